/* SPDX-License-Identifier: Apache-2.0 */
/* How the server and its databases are. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/doctor/database.h"
#include "libbackup/postgres/collations.h"

#define MIB ((uint64_t)1024 * 1024)

/* Locks a table: of the session that holds the snapshot, and of pg_dump. */
#define LOCKS_EACH 2

/* Ids of transactions, or of groups that share a lock, that are used up; at
 * 2,147 million the server stops. */
#define AGE_WARNING 1000000000ull
#define AGE_ERROR 1800000000ull

static struct bkp_exam_server *
server_of(struct bkp_exam *exam)
{
	return exam->state;
}

/* ---- the server ---- */

static int
count_tables(struct bkp_exam *exam, struct bkp_pg *pg, const char *subject,
    struct bkp_error *err)
{
	char *text = bkp_pg_text(pg,
	    "SELECT count(*) FROM pg_catalog.pg_class c"
	    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	    " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'"
	    " AND n.nspname <> 'information_schema'",
	    err);

	(void)subject;
	if (text == NULL)
		return -1;
	server_of(exam)->tables += strtoull(text, NULL, 10);
	free(text);
	return 0;
}

int
bkp_exam_locks(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_server *server = server_of(exam);
	unsigned long long each, users, need;
	PGresult *row = NULL;

	server->tables = 0;
	if (bkp_exam_each_database(exam, count_tables, err) < 0 ||
	    bkp_exam_row(&server->pg,
		"SELECT current_setting('max_locks_per_transaction')::bigint,"
		" current_setting('max_connections')::bigint"
		" + current_setting('max_prepared_transactions')::bigint",
		&row, err) < 0)
		return -1;
	each = bkp_exam_number(row, 0);
	users = bkp_exam_number(row, 1);
	PQclear(row);
	need = server->tables * LOCKS_EACH;
	if (need <= each * users / 2)
		return bkp_exam_ok(exam, err,
		    "%llu tables are locked while they are read, and there is "
		    "room for about %llu locks",
		    (unsigned long long)server->tables, each * users);
	return bkp_exam_tell(exam,
	    need > each * users ? BKP_HEALTH_ERROR : BKP_HEALTH_WARNING, NULL,
	    "raise max_locks_per_transaction and start the server again", err,
	    "%llu tables take %llu locks while they are read, and the server "
	    "has room for about %llu (max_locks_per_transaction %llu); %llu "
	    "would do",
	    (unsigned long long)server->tables, need, each * users, each,
	    3 * (unsigned long long)server->tables / users + each + 1);
}

int
bkp_exam_wal(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_pg *pg = &server_of(exam)->pg;
	char *text;
	bool is_on;

	if (!exam->source->postgres.is_incremental)
		return bkp_exam_ok(
		    exam, err, "incremental reading is not asked for");
	if (bkp_pg_major(pg) < 17)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "upgrade the server, or take `incremental:` out", err,
		    "PostgreSQL %u has no summaries of its WAL: every page is "
		    "read each time",
		    bkp_pg_major(pg));
	text = bkp_pg_text(pg, "SELECT current_setting('summarize_wal')", err);
	if (text == NULL)
		return -1;
	is_on = strcmp(text, "on") == 0;
	free(text);
	if (is_on)
		return bkp_exam_ok(exam, err, "its WAL is summarised");
	return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
	    "ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf()", err,
	    "summarize_wal is off: every page is read each time");
}

/* Who may not read the statistics sees no transaction but the own. */
static int
can_see_others(struct bkp_exam *exam, bool *answer, struct bkp_error *err)
{
	char *text = bkp_pg_text(&server_of(exam)->pg,
	    "SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')", err);

	if (text == NULL)
		return -1;
	*answer = text[0] == 't';
	free(text);
	return 0;
}

int
bkp_exam_transactions(struct bkp_exam *exam, struct bkp_error *err)
{
	bool sees_all = false;

	if (bkp_exam_tell_names(exam, &server_of(exam)->pg, NULL,
		"SELECT 'pid ' || pid || ' of ' || COALESCE(usename, '?')"
		" || ' in ' || COALESCE(datname, '?') || ' since '"
		" || xact_start::timestamp(0)"
		" FROM pg_catalog.pg_stat_activity"
		" WHERE xact_start < pg_catalog.now() - interval '1 hour'"
		" AND backend_type = 'client backend' ORDER BY xact_start",
		BKP_HEALTH_WARNING,
		"transactions that are older than an hour keep vacuum from "
		"its work",
		"look what they do, and end them: SELECT "
		"pg_terminate_backend(pid)",
		err) < 0 ||
	    can_see_others(exam, &sees_all, err) < 0)
		return -1;
	if (exam->has_found)
		return 0;
	if (sees_all)
		return bkp_exam_ok(
		    exam, err, "no transaction is older than an hour");
	return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL,
	    "GRANT pg_read_all_stats TO the role, where it is to look", err,
	    "the role does not see transactions of others");
}

/* Programs that use them have some at any moment, each for a short one. */
int
bkp_exam_prepared(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_pg *pg = &server_of(exam)->pg;
	char *count;
	int rc;

	if (bkp_exam_tell_names(exam, pg, NULL,
		"SELECT pg_catalog.quote_literal(gid) || ' in ' || database"
		" || ' since ' || prepared::timestamp(0)"
		" FROM pg_catalog.pg_prepared_xacts"
		" WHERE prepared < pg_catalog.now() - interval '5 minutes'"
		" ORDER BY prepared",
		BKP_HEALTH_WARNING,
		"prepared transactions that nobody ended in five minutes keep "
		"their locks and hold vacuum back, and what they did is in no "
		"backup",
		"where nobody will end them: ROLLBACK PREPARED", err) < 0)
		return -1;
	if (exam->has_found)
		return 0;
	count = bkp_pg_text(
	    pg, "SELECT count(*) FROM pg_catalog.pg_prepared_xacts", err);
	if (count == NULL)
		return -1;
	rc = bkp_exam_ok(
	    exam, err, "%s prepared transactions, and none that is old", count);
	free(count);
	return rc;
}

int
bkp_exam_slots(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_tell_names(exam, &server_of(exam)->pg, NULL,
		"SELECT slot_name || COALESCE(' (' || "
		"pg_catalog.pg_size_pretty("
		" pg_catalog.pg_wal_lsn_diff(CASE"
		"  WHEN pg_catalog.pg_is_in_recovery()"
		"  THEN pg_catalog.pg_last_wal_replay_lsn()"
		"  ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn))"
		" || ' of WAL)', '') FROM pg_catalog.pg_replication_slots"
		" WHERE NOT active AND NOT temporary"
		" AND restart_lsn IS NOT NULL ORDER BY 1",
		BKP_HEALTH_WARNING,
		"replication slots that nobody uses keep WAL until the disk "
		"is full",
		"where their reader is gone for good: SELECT "
		"pg_drop_replication_slot(name)",
		err) < 0)
		return -1;
	return exam->has_found
		   ? 0
		   : bkp_exam_ok(exam, err, "no replication slot is idle");
}

int
bkp_exam_wraparound(struct bkp_exam *exam, struct bkp_error *err)
{
	PGresult *row = NULL;
	uint64_t age;
	int rc;

	if (bkp_exam_row(&server_of(exam)->pg,
		"SELECT GREATEST(pg_catalog.age(datfrozenxid),"
		" pg_catalog.mxid_age(datminmxid)), datname"
		" FROM pg_catalog.pg_database ORDER BY 1 DESC LIMIT 1",
		&row, err) < 0)
		return -1;
	age = bkp_exam_number(row, 0);
	if (age < AGE_WARNING)
		rc = bkp_exam_ok(exam, err,
		    "the oldest transaction or multixact id is %llu million "
		    "old",
		    (unsigned long long)age / 1000000);
	else
		rc = bkp_exam_tell(exam,
		    age > AGE_ERROR ? BKP_HEALTH_ERROR : BKP_HEALTH_WARNING,
		    NULL, "VACUUM FREEZE, and look what keeps autovacuum away",
		    err,
		    "the oldest transaction or multixact id, in " BKP_NAMED
		    ", is %llu million old; "
		    "at 2147 million the server takes no more writes",
		    PQgetvalue(row, 0, 1), (unsigned long long)age / 1000000);
	PQclear(row);
	return rc;
}

int
bkp_exam_checksums(struct bkp_exam *exam, struct bkp_error *err)
{
	char *text = bkp_pg_text(&server_of(exam)->pg,
	    "SELECT current_setting('data_checksums')", err);
	bool is_on;

	if (text == NULL)
		return -1;
	is_on = strcmp(text, "on") == 0;
	free(text);
	if (is_on)
		return bkp_exam_ok(exam, err, "pages have checksums");
	return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
	    "pg_checksums --enable, while the server is stopped", err,
	    "pages have no checksums: what a disk changes may be backed up "
	    "unseen");
}

/* ---- its databases ---- */

static int
look_at_unlogged(struct bkp_exam *exam, struct bkp_pg *pg, const char *subject,
    struct bkp_error *err)
{
	return bkp_exam_tell_names(exam, pg, subject,
	    "SELECT c.oid::pg_catalog.regclass::text"
	    " FROM pg_catalog.pg_class c"
	    " WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'u'"
	    " ORDER BY 1",
	    BKP_HEALTH_NOTE, "unlogged tables",
	    "the server empties them after a crash; ALTER TABLE ... SET LOGGED "
	    "where that would hurt",
	    err);
}

int
bkp_exam_unlogged(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_each_database(exam, look_at_unlogged, err) < 0)
		return -1;
	return exam->has_found ? 0 : bkp_exam_ok(exam, err, "there are none");
}

static int
look_at_indexes(struct bkp_exam *exam, struct bkp_pg *pg, const char *subject,
    struct bkp_error *err)
{
	return bkp_exam_tell_names(exam, pg, subject,
	    "SELECT i.indexrelid::pg_catalog.regclass::text"
	    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c"
	    " ON c.oid = i.indexrelid WHERE NOT i.indisvalid"
	    " AND c.relkind = 'i' ORDER BY 1",
	    BKP_HEALTH_WARNING, "invalid indexes are not used",
	    "REINDEX INDEX CONCURRENTLY, or DROP INDEX; a restore makes them "
	    "anew, which fails where their rows break them",
	    err);
}

int
bkp_exam_indexes(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_each_database(exam, look_at_indexes, err) < 0)
		return -1;
	return exam->has_found ? 0 : bkp_exam_ok(exam, err, "all are valid");
}

static int
look_at_collations(struct bkp_exam *exam, struct bkp_pg *pg,
    const char *subject, struct bkp_error *err)
{
	json_t *list = NULL;
	int rc = 0;

	if (bkp_pg_describe_collations(pg, &list, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *name =
		    json_string_value(json_object_get(item, "name"));
		const char *was =
		    json_string_value(json_object_get(item, "version"));
		const char *is =
		    json_string_value(json_object_get(item, "actual"));

		if (was == NULL || is == NULL || strcmp(was, is) == 0)
			continue;
		exam->has_found = true;
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, subject,
		    "REINDEX DATABASE, then ALTER DATABASE (or COLLATION) ... "
		    "REFRESH VERSION: indexes of text may miss rows",
		    err,
		    "collation " BKP_NAMED
		    " was made with version %s of its library, "
		    "which is %s now",
		    name != NULL ? name : "?", was, is);
	}
	json_decref(list);
	return rc;
}

int
bkp_exam_collations(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_each_database(exam, look_at_collations, err) < 0)
		return -1;
	return exam->has_found ? 0
			       : bkp_exam_ok(exam, err,
				     "libraries are those of the indexes");
}

static int
look_at_extensions(struct bkp_exam *exam, struct bkp_pg *pg,
    const char *subject, struct bkp_error *err)
{
	if (bkp_exam_tell_names(exam, pg, subject,
		"SELECT e.extname FROM pg_catalog.pg_extension e"
		" WHERE NOT EXISTS (SELECT FROM"
		"  pg_catalog.pg_available_extensions a"
		"  WHERE a.name = e.extname) ORDER BY 1",
		BKP_HEALTH_WARNING,
		"the files of these extensions are not on the server any more",
		"install the package that has them; a restore needs them",
		err) < 0)
		return -1;
	return bkp_exam_tell_names(exam, pg, subject,
	    "SELECT e.extname || ' ' || e.extversion || ' (' ||"
	    " a.default_version || ' is there)'"
	    " FROM pg_catalog.pg_extension e"
	    " JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname"
	    " WHERE a.default_version <> e.extversion ORDER BY 1",
	    BKP_HEALTH_NOTE,
	    "extensions that a restore would make in another version",
	    "ALTER EXTENSION ... UPDATE", err);
}

int
bkp_exam_extensions(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_each_database(exam, look_at_extensions, err) < 0)
		return -1;
	return exam->has_found
		   ? 0
		   : bkp_exam_ok(exam, err, "what is installed is available");
}
