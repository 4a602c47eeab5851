/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The moment of a walk. The locks come before the snapshot: a table that was
 * truncated or rewritten between the two would look empty. The temporary tables
 * come after it and before the transaction becomes READ ONLY, which leaves
 * nothing but them to write to, whatever the functions in a map may try.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/holder.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

#define LOCK_BATCH 100
#define ATTEMPTS 5

/* Tables that a role may not read are not locked; where the map leads to one
 * the walk fails by its name, or goes without it (walk_unread.c). */
#define TABLES                                                                 \
	"FROM pg_catalog.pg_class c"                                           \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "           \
	"WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'"            \
	" AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"       \
	" AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')"                 \
	" AND pg_catalog.has_table_privilege(c.oid, 'SELECT')"

static const char list_tables[] =
    "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) " TABLES
    " ORDER BY c.oid";

/* Those that came after the list was made. */
static const char count_unlocked[] =
    "SELECT count(*) " TABLES
    " AND c.oid NOT IN (SELECT l.relation FROM pg_catalog.pg_locks l"
    "  WHERE l.locktype = 'relation' AND l.relation IS NOT NULL"
    "  AND l.pid = pg_catalog.pg_backend_pid())";

/* Before the first temporary table; compiling never pays off here.
 *
 * What is asked of the catalogue goes by its indexes from row to row. To think
 * of other ways takes the server longer than they save: for each it looks at
 * the statistics of the catalogue, of which a new session has none in memory.
 */
static const char begin_session[] =
    "SET temp_buffers TO '64MB';SET work_mem TO '32MB';SET jit TO off;"
    "SET enable_hashjoin TO off;SET enable_mergejoin TO off";
static const char plan_rows[] = "RESET enable_hashjoin;RESET enable_mergejoin";

/* ---- what the session must be able to do ---- */

static int
check_session(struct bkp_walk *walk, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT pg_catalog.pg_is_in_recovery(),"
	    " pg_catalog.has_database_privilege("
	    "pg_catalog.current_database(), 'TEMPORARY'),"
	    " pg_catalog.quote_ident(pg_catalog.current_database()),"
	    " pg_catalog.quote_ident(current_user)";
	PGresult *result = NULL;
	int rc = 0;

	if (bkp_pg_query(&walk->pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	if (PQgetvalue(result, 0, 0)[0] == 't')
		rc = bkp_fail(err, BKP_UNSUPPORTED,
		    "this server is a standby, and a walk needs temporary "
		    "tables, which a standby cannot have: export from the "
		    "primary, or from a backup (--snapshot latest)");
	else if (PQgetvalue(result, 0, 1)[0] != 't')
		rc = bkp_fail(err, BKP_AUTH,
		    "the role may not create temporary tables, which a walk "
		    "needs: GRANT TEMPORARY ON DATABASE %s TO %s",
		    PQgetvalue(result, 0, 2), PQgetvalue(result, 0, 3));
	PQclear(result);
	return rc;
}

/* ---- locks ---- */

static enum fmt_status
append_locks(struct fmt_buf *sql, PGresult *tables)
{
	enum fmt_status status = FMT_OK;

	for (int i = 0; status == FMT_OK && i < PQntuples(tables); i++)
		status = bkp_pg_sql(sql, "%s ONLY %s",
		    i % LOCK_BATCH > 0 ? ","
		    : i > 0            ? " IN ACCESS SHARE MODE;LOCK TABLE"
				       : "LOCK TABLE",
		    PQgetvalue(tables, i, 0));
	if (status == FMT_OK && PQntuples(tables) > 0)
		status = fmt_buf_append_text(sql, " IN ACCESS SHARE MODE;");
	return status;
}

static int
begin_locked(struct bkp_walk *walk, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *tables = NULL;
	int rc = -1;

	if (bkp_pg_query(&walk->pg, list_tables, 0, NULL, &tables, err) < 0)
		return -1;
	if (fmt_buf_append_text(
		&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ;") != FMT_OK ||
	    append_locks(&sql, tables) != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "locking the tables");
	else
		rc = bkp_pg_do(&walk->pg, (const char *)sql.data, err);
	PQclear(tables);
	fmt_buf_free(&sql);
	return rc;
}

/* A table may be dropped before it is locked, and made before the snapshot. */
static int
take_moment(struct bkp_walk *walk, bool *is_taken, struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;
	char *text;

	*is_taken = false;
	if (begin_locked(walk, &failure) < 0) {
		if (failure.code != BKP_NOTFOUND) {
			if (err != NULL)
				*err = failure;
			return -1;
		}
		return bkp_pg_do(&walk->pg, "ROLLBACK", err);
	}
	if ((text = bkp_pg_text(&walk->pg, count_unlocked, err)) == NULL)
		return -1;
	*is_taken = strcmp(text, "0") == 0;
	free(text);
	return *is_taken ? 0 : bkp_pg_do(&walk->pg, "ROLLBACK", err);
}

static int
take_moments(struct bkp_walk *walk, const struct bkp_postgres_config *config,
    const char *database, struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;
	bool is_taken = false;

	if (bkp_pg_do(&walk->pg,
		"SELECT pg_catalog.set_config('lock_timeout',"
		" pg_catalog.current_setting('libbackup.lock_timeout'), false)",
		err) < 0)
		return -1;
	for (int i = 0; i < ATTEMPTS && !is_taken; i++)
		if (take_moment(walk, &is_taken, &failure) < 0) {
			if (failure.code == BKP_RETRY)
				return bkp_pg_fail_locked(
				    config, database, walk->run, err);
			if (err != NULL)
				*err = failure;
			return bkp_fail_in(err, "locking the tables");
		}
	if (!is_taken)
		return bkp_fail(err, BKP_RETRY,
		    "tables come and go faster than they can be locked: try "
		    "again when that has ended");
	return bkp_pg_do(&walk->pg, "SET LOCAL lock_timeout TO 0", err);
}

static int
read_moment(struct bkp_walk *walk, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT pg_catalog.pg_current_wal_lsn(), pg_catalog.to_char("
	    "pg_catalog.clock_timestamp(), "
	    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
	PGresult *result = NULL;

	if (bkp_pg_query(&walk->pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	walk->lsn = bkp_strdup(PQgetvalue(result, 0, 0), err);
	walk->time = bkp_strdup(PQgetvalue(result, 0, 1), err);
	PQclear(result);
	return walk->lsn != NULL && walk->time != NULL ? 0 : -1;
}

/* ---- the tables of a walk ---- */

static int
use_table(struct bkp_walk *walk, size_t table, struct bkp_error *err)
{
	const struct bkp_model_table *t = &walk->model.tables[table];

	if (t->is_foreign)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%s is a foreign table or has a foreign partition, whose "
		    "rows cannot be told apart here: let the map skip it, with "
		    "its reason, and export it where it is",
		    t->id);
	walk->sets[table].is_used = true;
	return 0;
}

/* A row has one parent by a foreign key, whose columns are unique there. Of a
 * partitioned parent they may be so in one partition and not in another. */
static bool
is_reached_once(const struct bkp_walk *walk, const struct bkp_walk_edge *edge)
{
	return edge->key != NULL && !edge->is_up &&
	       !bkp_walk_is_partitioned(&walk->model.tables[edge->parent]);
}

static int
use_edge(struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    struct bkp_error *err)
{
	struct bkp_walk_set *set = &walk->sets[bkp_walk_target(edge)];

	set->is_unique |= set->has_edge || !is_reached_once(walk, edge);
	set->has_edge = true;
	return use_table(walk, edge->child, err) < 0
		   ? -1
		   : use_table(walk, edge->parent, err);
}

static int
use_tables(struct bkp_walk *walk, struct bkp_error *err)
{
	walk->subject = bkp_model_table(&walk->model, walk->map->table);
	if (walk->subject == SIZE_MAX)
		return bkp_fail(err, BKP_INVALID,
		    "there is no table %s, in which the map has its subject",
		    walk->map->table);
	walk->sets =
	    bkp_alloc_array(walk->model.table_count, sizeof(*walk->sets), err);
	if (walk->sets == NULL || use_table(walk, walk->subject, err) < 0)
		return -1;
	walk->sets[walk->subject].is_unique = true;
	for (size_t i = 0; i < walk->edge_count; i++)
		if (bkp_walk_is_followed(walk, &walk->edges[i]) &&
		    use_edge(walk, &walk->edges[i], err) < 0)
			return -1;
	if (walk->is_reading)
		bkp_walk_find_chains(walk);
	return 0;
}

static int
make_tables(struct bkp_walk *walk, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	int rc = -1;

	for (size_t i = 0; status == FMT_OK && i < walk->model.table_count; i++)
		if (walk->sets[i].is_used && !bkp_walk_is_chain(walk, i))
			status = bkp_pg_sql(&sql,
			    "CREATE TEMPORARY TABLE walk_%u (rel oid NOT NULL,"
			    " tid tid NOT NULL, decided smallint NOT NULL,"
			    " edge int NOT NULL, from_rel oid, from_tid tid,"
			    " round int NOT NULL, lists bigint NOT NULL%s"
			    ") ON COMMIT DROP;",
			    (unsigned)i,
			    walk->sets[i].is_unique ? ", PRIMARY KEY (rel, tid)"
						    : "");
	if (status == FMT_OK)
		status = fmt_buf_append_text(&sql, plan_rows);
	if (status == FMT_OK && !walk->is_erasing)
		status =
		    fmt_buf_append_text(&sql, ";SET TRANSACTION READ ONLY");
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "making temporary tables");
	else if (bkp_pg_do(&walk->pg, (const char *)sql.data, err) < 0)
		(void)bkp_fail_in(err, "making temporary tables");
	else
		rc = 0;
	fmt_buf_free(&sql);
	return rc;
}

/* ---- */

/* What rows are looked for. */
enum purpose { TO_EXPLAIN, TO_READ, TO_ERASE };

static int
open_walk(const struct bkp_postgres_config *config, const char *database,
    const struct bkp_map *map, enum purpose purpose, struct bkp_run *run,
    struct bkp_walk **out, struct bkp_error *err)
{
	struct bkp_walk *walk = bkp_alloc(sizeof(*walk), err);

	if (walk == NULL)
		return -1;
	walk->pg = (struct bkp_pg)BKP_PG_INIT;
	walk->model = (struct bkp_model)BKP_MODEL_INIT;
	walk->map = map;
	walk->is_erasing = purpose == TO_ERASE;
	walk->is_reading = purpose == TO_READ;
	walk->run = run;
	if (bkp_pg_open(&walk->pg, config, database, run, err) < 0)
		goto fail;
	walk->pg.is_ticking = true;
	if (check_session(walk, err) < 0 ||
	    bkp_pg_do(&walk->pg, begin_session, err) < 0 ||
	    take_moments(walk, config, database, err) < 0 ||
	    read_moment(walk, err) < 0 ||
	    bkp_model_read_for_rows(&walk->pg, &walk->model, err) < 0 ||
	    bkp_walk_read_edges(walk, err) < 0 ||
	    bkp_walk_read_operators(walk, err) < 0 ||
	    use_tables(walk, err) < 0 || make_tables(walk, err) < 0)
		goto fail;
	*out = walk;
	return 0;
fail:
	bkp_walk_close(walk);
	return -1;
}

int
bkp_walk_open(const struct bkp_postgres_config *config, const char *database,
    const struct bkp_map *map, struct bkp_run *run, struct bkp_walk **out,
    struct bkp_error *err)
{
	return open_walk(config, database, map, TO_EXPLAIN, run, out, err);
}

int
bkp_walk_open_reading(const struct bkp_postgres_config *config,
    const char *database, const struct bkp_map *map, struct bkp_run *run,
    struct bkp_walk **out, struct bkp_error *err)
{
	return open_walk(config, database, map, TO_READ, run, out, err);
}

int
bkp_walk_open_erasing(const struct bkp_postgres_config *config,
    const char *database, const struct bkp_map *map, struct bkp_run *run,
    struct bkp_walk **out, struct bkp_error *err)
{
	return open_walk(config, database, map, TO_ERASE, run, out, err);
}

void
bkp_walk_close(struct bkp_walk *walk)
{
	if (walk == NULL)
		return;
	bkp_pg_close(&walk->pg);
	PQclear(walk->subject_row);
	bkp_model_free(&walk->model);
	for (size_t i = 0; i < walk->operator_count; i++) {
		free(walk->operators[i].equals);
		free(walk->operators[i].name);
	}
	for (size_t i = 0; i < walk->collation_count; i++) {
		free(walk->collations[i].column);
		free(walk->collations[i].name);
	}
	free(walk->operators);
	free(walk->collations);
	free(walk->edges);
	free(walk->lists);
	free(walk->sets);
	free(walk->tables);
	free(walk->lsn);
	free(walk->time);
	free(walk);
}
