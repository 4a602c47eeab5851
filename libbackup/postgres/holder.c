/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/holder.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/run.h"
#include "libbackup/postgres/names.h"

#define LOCK_BATCH 100
#define ATTEMPTS 5

/* ---- locks ---- */

int
bkp_pg_fail_locked(const struct bkp_postgres_config *config,
    const char *database, struct bkp_run *run, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
	    " l.pid, COALESCE(a.application_name, ''), l.mode "
	    "FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
	    " JOIN pg_namespace n ON n.oid = c.relnamespace"
	    " LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
	    "WHERE l.locktype = 'relation' AND l.granted"
	    " AND l.mode = 'AccessExclusiveLock'"
	    " AND l.database = (SELECT oid FROM pg_database"
	    "  WHERE datname = current_database())"
	    " AND c.relkind IN ('r', 'p') ORDER BY 1 LIMIT 1";
	struct bkp_pg other = BKP_PG_INIT;
	PGresult *result = NULL;

	(void)bkp_fail(err, BKP_RETRY,
	    "a table is locked exclusively and the lock was not given in time: "
	    "try again later, or raise lock_timeout in conninfo's options");
	if (bkp_pg_open(&other, config, database, run, NULL) == 0 &&
	    bkp_pg_query(&other, sql, 0, NULL, &result, NULL) == 0 &&
	    PQntuples(result) == 1)
		(void)bkp_fail(err, BKP_RETRY,
		    "table %s is locked exclusively by process %s "
		    "(application \"%s\"): try again when it has ended, or "
		    "raise lock_timeout in conninfo's options",
		    PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1),
		    PQgetvalue(result, 0, 2));
	PQclear(result);
	bkp_pg_close(&other);
	return -1;
}

/* Collects names for one LOCK TABLE. */
struct batch {
	struct fmt_buf sql;
	unsigned count;
};

static int
lock_batch(
    struct bkp_pg_holder *holder, struct batch *batch, struct bkp_error *err)
{
	enum fmt_status status;

	if (batch->count == 0)
		return 0;
	status = fmt_buf_append_text(&batch->sql, " IN ACCESS SHARE MODE");
	if (status != FMT_OK || fmt_buf_text(&batch->sql) == NULL)
		return bkp_fail_nomem(err, "locking the tables");
	if (bkp_pg_do(&holder->pg, (const char *)batch->sql.data, err) < 0)
		return bkp_fail_in(err, "locking the tables");
	fmt_buf_clear(&batch->sql);
	batch->count = 0;
	return 0;
}

static int
add_lock(struct bkp_pg_holder *holder, struct batch *batch, const char *quoted,
    struct bkp_error *err)
{
	enum fmt_status status = bkp_pg_sql(&batch->sql, "%s ONLY %s",
	    batch->count == 0 ? "LOCK TABLE" : ",", quoted);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "locking the tables");
	if (++batch->count == LOCK_BATCH)
		return lock_batch(holder, batch, err);
	return 0;
}

static int
lock_all(struct bkp_pg_holder *holder, struct bkp_error *err)
{
	const struct bkp_pg_catalogue *catalogue = &holder->catalogue;
	struct batch batch = {.sql = FMT_BUF_INIT};
	int rc = -1;

	for (size_t i = 0; i < catalogue->table_count; i++) {
		const struct bkp_pg_table *table = &catalogue->tables[i];

		if (table->is_root &&
		    add_lock(holder, &batch, table->quoted, err) < 0)
			goto out;
		for (size_t p = 0; p < table->part_count; p++)
			if (add_lock(holder, &batch, table->parts[p].quoted,
				err) < 0)
				goto out;
	}
	if (lock_batch(holder, &batch, err) < 0)
		goto out;
	rc = 0;
out:
	fmt_buf_free(&batch.sql);
	return rc;
}

static uint64_t
count_tables(const struct bkp_pg_catalogue *catalogue)
{
	uint64_t count = 0;

	for (size_t i = 0; i < catalogue->table_count; i++)
		count += catalogue->tables[i].part_count +
			 (catalogue->tables[i].is_root ? 1 : 0);
	return count;
}

/* Each table is locked by the holder and by pg_dump; as much again is left to
 * others. The transaction that wanted the locks is broken. */
static void
fail_lock_table(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT current_setting('max_locks_per_transaction')::bigint,"
	    " current_setting('max_connections')::bigint"
	    "  + current_setting('max_prepared_transactions')::bigint";
	uint64_t count = count_tables(&holder->catalogue), each, slots;
	struct bkp_pg other = BKP_PG_INIT;
	PGresult *result = NULL;

	if (bkp_pg_open(
		&other, config, holder->database, holder->pg.run, NULL) == 0 &&
	    bkp_pg_query(&other, sql, 0, NULL, &result, NULL) == 0) {
		each = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
		slots = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
		(void)bkp_fail(err, BKP_IO,
		    "its %llu tables are locked while they are read, and the "
		    "server has room for about %llu locks "
		    "(max_locks_per_transaction %llu, times %llu connections "
		    "and prepared transactions): set "
		    "max_locks_per_transaction to %llu and start it again",
		    (unsigned long long)count,
		    (unsigned long long)(each * slots),
		    (unsigned long long)each, (unsigned long long)slots,
		    (unsigned long long)(each + 3 * count / slots + 1));
	}
	PQclear(result);
	bkp_pg_close(&other);
}

static int
lock_tables(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, struct bkp_error *err)
{
	int rc = lock_all(holder, err);

	if (rc < 0 && strcmp(holder->pg.state, "53200") == 0)
		fail_lock_table(holder, config, err);
	return rc;
}

/*
 * Between the snapshot and the locks, and for the name of a schema at any
 * time, others may change what a name means: a table that was truncated or
 * rewritten looks empty in the snapshot, one that took another's name would be
 * read in its place, and so would a column. The snapshot's catalogue has what
 * was, the functions tell what is. The first such table; "" where there is
 * none.
 */
static const char changed_sql[] =
    "SELECT COALESCE(min(quote_ident(t.nspname) || '.' ||"
    "  quote_ident(t.relname)), '') "
    "FROM (SELECT c.oid, n.nspname, c.relname,"
    "  pg_relation_filenode(c.oid)"
    "   IS DISTINCT FROM NULLIF(c.relfilenode, 0) AS is_rewritten"
    "  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  WHERE c.relkind = 'r' AND n.nspname !~ '^pg_'"
    "   AND n.nspname <> 'information_schema'"
    "   AND (c.relpersistence <> 'u' OR NOT pg_is_in_recovery())"
    "   AND (NOT EXISTS (SELECT FROM pg_depend d"
    "     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid"
    "     AND d.objsubid = 0 AND d.deptype = 'e')"
    "    OR EXISTS (SELECT FROM pg_extension e"
    "     WHERE c.oid = ANY (e.extconfig)))) t "
    "WHERE t.is_rewritten"
    " OR (pg_identify_object('pg_class'::regclass, t.oid, 0)).identity"
    "  IS DISTINCT FROM"
    "  quote_ident(t.nspname) || '.' || quote_ident(t.relname)"
    " OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid"
    "  AND a.attnum > 0 AND NOT a.attisdropped"
    "  AND (pg_identify_object('pg_class'::regclass, t.oid, a.attnum)"
    "   ).identity IS DISTINCT FROM quote_ident(t.nspname) || '.' ||"
    "   quote_ident(t.relname) || '.' || quote_ident(a.attname))";

static int
find_changed(struct bkp_pg_holder *holder, bool *out, struct bkp_error *err)
{
	char *name = bkp_pg_text(&holder->pg, changed_sql, err);

	if (name == NULL)
		return -1;
	*out = name[0] != '\0';
	free(name);
	return 0;
}

int
bkp_pg_holder_finish(struct bkp_pg_holder *holder, struct bkp_error *err)
{
	char *name;
	int rc = 0;

	if (bkp_pg_holder_ping(holder, err) < 0)
		return -1;
	name = bkp_pg_text(&holder->pg, changed_sql, err);
	if (name == NULL)
		return -1;
	if (name[0] != '\0')
		rc = bkp_fail(err, BKP_RETRY,
		    "%s is not what it was when its rows began to be read: "
		    "somebody gave its schema another name; try again",
		    name);
	free(name);
	return rc;
}

/* ---- the moment ---- */

static void
forget_moment(struct bkp_pg_holder *holder)
{
	bkp_pg_catalogue_free(&holder->catalogue);
	free(holder->snapshot);
	free(holder->lsn);
	free(holder->time);
	holder->snapshot = holder->lsn = holder->time = NULL;
}

static int
take_snapshot(struct bkp_pg_holder *holder, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT pg_export_snapshot(),"
	    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
	    "  ELSE pg_current_wal_lsn() END,"
	    " (extract(epoch FROM t) * 1000000)::bigint,"
	    " to_char(t, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
	    "FROM clock_timestamp() t";
	PGresult *result = NULL;

	holder->from_us = bkp_run_clock_us();
	if (bkp_pg_do(&holder->pg,
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err) < 0 ||
	    bkp_pg_query(&holder->pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	holder->to_us = bkp_run_clock_us();
	holder->snapshot = bkp_strdup(PQgetvalue(result, 0, 0), err);
	holder->lsn = bkp_strdup(PQgetvalue(result, 0, 1), err);
	holder->time_us = strtoll(PQgetvalue(result, 0, 2), NULL, 10);
	holder->time = bkp_strdup(PQgetvalue(result, 0, 3), err);
	PQclear(result);
	return holder->snapshot != NULL && holder->lsn != NULL &&
		       holder->time != NULL
		   ? 0
		   : -1;
}

/* Reading the catalogue waits for locks too: for the size of a table. */
static int
read_and_lock(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, bool *is_changed,
    struct bkp_error *err)
{
	struct bkp_pg *pg = &holder->pg;

	if (bkp_pg_do(pg,
		"SELECT set_config('lock_timeout',"
		" current_setting('libbackup.lock_timeout'), true)",
		err) < 0 ||
	    bkp_pg_catalogue_read(pg, &holder->catalogue, err) < 0 ||
	    lock_tables(holder, config, err) < 0 ||
	    bkp_pg_do(pg, "SET LOCAL lock_timeout TO 0", err) < 0)
		return -1;
	return find_changed(holder, is_changed, err);
}

/* 1 where a name of the snapshot means something else by now, 0 or -1. */
static int
try_moment(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;
	bool is_changed = false;

	if (take_snapshot(holder, err) < 0)
		return -1;
	if (read_and_lock(holder, config, &is_changed, &failure) == 0)
		return is_changed;
	if (failure.code == BKP_NOTFOUND)
		return 1;
	if (bkp_pg_is_locked(&holder->pg))
		return bkp_pg_fail_locked(
		    config, holder->database, holder->pg.run, err);
	if (err != NULL)
		*err = failure;
	return -1;
}

static int
fix_moment(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, struct bkp_error *err)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		int is_changed = try_moment(holder, config, err);

		if (is_changed <= 0)
			return is_changed;
		forget_moment(holder);
		if (bkp_pg_do(&holder->pg, "ROLLBACK", err) < 0)
			return -1;
	}
	return bkp_fail(err, BKP_RETRY,
	    "tables are being dropped, renamed, truncated or rewritten faster "
	    "than they can be locked: try again when that has ended");
}

int
bkp_pg_holder_take(struct bkp_pg_holder *holder, struct bkp_pg *pg,
    const struct bkp_postgres_config *config, struct bkp_error *err)
{
	*holder = (struct bkp_pg_holder)BKP_PG_HOLDER_INIT;
	holder->pg = *pg;
	*pg = (struct bkp_pg)BKP_PG_INIT;
	holder->pg.is_ticking = true;
	holder->database = bkp_strdup(PQdb(holder->pg.conn), err);
	if (holder->database != NULL && fix_moment(holder, config, err) == 0)
		return 0;
	bkp_pg_holder_close(holder);
	return -1;
}

int
bkp_pg_holder_open(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_run *run, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;

	*holder = (struct bkp_pg_holder)BKP_PG_HOLDER_INIT;
	if (bkp_pg_open(&pg, config, database, run, err) < 0)
		return -1;
	return bkp_pg_holder_take(holder, &pg, config, err);
}

bool
bkp_pg_holder_is_waited_for(struct bkp_pg_holder *holder)
{
	char *text = bkp_pg_text(&holder->pg,
	    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
	    " AND locktype = 'relation' AND mode = 'AccessExclusiveLock'"
	    " AND database = (SELECT oid FROM pg_database"
	    "  WHERE datname = current_database()))",
	    NULL);
	bool answer = text != NULL && text[0] == 't';

	free(text);
	return answer;
}

int
bkp_pg_holder_ping(struct bkp_pg_holder *holder, struct bkp_error *err)
{
	if (bkp_pg_do(&holder->pg, "SELECT 1", err) < 0)
		return bkp_fail_in(err,
		    "the transaction that holds the snapshot of %s is gone",
		    holder->database);
	return 0;
}

void
bkp_pg_holder_explain(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (err == NULL || holder->pg.conn == NULL ||
	    strstr(err->message, bkp_pg_conflict_advice) != NULL)
		return;
	if (bkp_pg_holder_ping(holder, &why) < 0) {
		if (bkp_pg_is_conflict(&holder->pg))
			*err = why;
	} else if (strstr(err->message, "max_locks_per_transaction") != NULL) {
		fail_lock_table(holder, config, err);
	} else if (strstr(err->message, "conflict with recovery") != NULL) {
		/* In the words of pg_dump, which tells no SQLSTATE. */
		why = *err;
		(void)bkp_fail(err, BKP_RETRY, "%s; %s", why.message,
		    bkp_pg_conflict_advice);
	}
}

void
bkp_pg_holder_close(struct bkp_pg_holder *holder)
{
	bkp_pg_close(&holder->pg);
	forget_moment(holder);
	free(holder->database);
	holder->database = NULL;
}

int
bkp_pg_import_again(
    struct bkp_pg *pg, const char *snapshot, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	if (PQtransactionStatus(pg->conn) != PQTRANS_IDLE &&
	    bkp_pg_do(pg, "ROLLBACK", err) < 0)
		return -1;
	status = bkp_pg_sql(&sql,
	    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
	    "SET TRANSACTION SNAPSHOT %L",
	    snapshot);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		rc = bkp_fail_nomem(err, "importing the snapshot");
	else if ((rc = bkp_pg_do(pg, (const char *)sql.data, err)) < 0)
		(void)bkp_fail_in(err, "importing the snapshot");
	fmt_buf_free(&sql);
	return rc;
}

int
bkp_pg_import(struct bkp_pg *pg, const struct bkp_postgres_config *config,
    const char *database, const char *snapshot, struct bkp_run *run,
    struct bkp_error *err)
{
	if (bkp_pg_open(pg, config, database, run, err) < 0)
		return -1;
	if (bkp_pg_import_again(pg, snapshot, err) < 0) {
		bkp_pg_close(pg);
		return -1;
	}
	return 0;
}
