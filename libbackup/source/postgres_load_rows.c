/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of single tables into tables that exist. */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/postgres_load_impl.h"

/* *only: how to name just the table that the rows were in. Those of a
 * partitioned one are in its partitions; what inherits otherwise has its own.
 */
static int
check_kind(struct bkp_pg *pg, const struct bkp_pg_loaded *table,
    const char **only, struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(pg,
		"SELECT relkind = 'p' FROM pg_catalog.pg_class"
		" WHERE oid = $1::text::pg_catalog.regclass",
		1, (const char *[]){table->quoted}, &result, err) < 0)
		return bkp_fail_in(err,
		    "rows can be loaded only into a table that exists (make "
		    "it, or restore the whole database under another name)");
	*only = PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == 't'
		    ? ""
		    : "ONLY ";
	PQclear(result);
	return 0;
}

static int
check_empty(struct bkp_pg_load *load, struct bkp_pg *pg,
    const struct bkp_pg_loaded *table, const char *only, bool *has_rows,
    struct bkp_error *err)
{
	char *sql = bkp_format(
	    err, "SELECT EXISTS (SELECT FROM %s%s)", only, table->quoted);
	char *answer;

	if (sql == NULL)
		return -1;
	answer = bkp_pg_text(pg, sql, err);
	free(sql);
	if (answer == NULL)
		return -1;
	*has_rows = answer[0] == 't';
	free(answer);
	if (*has_rows && !load->target->options.is_overwrite)
		return bkp_fail(err, BKP_EXISTS,
		    "table %s has rows: empty it first, or replace them "
		    "(--overwrite)",
		    table->quoted);
	return 0;
}

/* A table of which rows are lost stays as it was: it has its name, and nobody
 * would see by it what it lacks. */
static int
load_one(struct bkp_pg_load *load, struct bkp_pg *pg,
    struct bkp_pg_loaded *table, struct fmt_buf *undo, uint64_t *loaded,
    struct bkp_error *err)
{
	struct bkp_pg_piece piece = {.table = table,
	    .last = table->entry.chunk_count,
	    .hash = FMT_ROWHASH_INIT};
	const char *only = "";
	bool has_rows = false;
	int outcome;

	if (bkp_pg_do(pg, "SAVEPOINT one", err) < 0 ||
	    check_kind(pg, table, &only, err) < 0 ||
	    check_empty(load, pg, table, only, &has_rows, err) < 0 ||
	    bkp_pg_part_hush(pg, table->quoted, undo, err) < 0 ||
	    (has_rows && bkp_pg_run(pg, err, "TRUNCATE TABLE %s%s", only,
			     table->quoted) < 0))
		return -1;
	if (bkp_pg_load_chunks(load, pg, 0, &piece, err) < 0)
		return bkp_fail_in(err, "table %s", table->quoted);
	if (bkp_pg_load_add(table, &piece, err) < 0)
		return -1;
	outcome = bkp_pg_load_settle_table(load, table,
	    "left as it was (a restore of the database under another name has "
	    "what there is): ",
	    err);
	if (outcome < 0)
		return -1;
	*loaded += outcome == 0 ? 1 : 0;
	return bkp_pg_do(pg,
	    outcome == 0 ? "RELEASE SAVEPOINT one"
			 : "ROLLBACK TO SAVEPOINT one",
	    err);
}

/* All or nothing: one transaction, and rows that were there come back where
 * anything fails. */
static int
load_selected(
    struct bkp_pg_load *load, struct bkp_pg *pg, struct bkp_error *err)
{
	struct fmt_buf undo = FMT_BUF_INIT;
	uint64_t loaded = 0;
	int rc = bkp_pg_do(pg, "BEGIN", err);

	for (size_t i = 0; rc == 0 && i < load->table_count; i++)
		rc = load_one(load, pg, &load->tables[i], &undo, &loaded, err);
	/* A table that something deferred is still to be done to cannot be
	 * altered. */
	if (rc == 0 && undo.len > 0)
		rc = fmt_buf_text(&undo) == NULL
			 ? bkp_fail_nomem(err, "waking triggers")
			 : bkp_pg_do(pg, "SET CONSTRAINTS ALL IMMEDIATE", err);
	if (rc == 0 && undo.len > 0)
		rc = bkp_pg_do(pg, (const char *)undo.data, err);
	if (rc == 0)
		rc = bkp_pg_do(pg, "COMMIT", err);
	if (rc == 0)
		bkp_supply_restored(load->supply, loaded);
	fmt_buf_free(&undo);
	return rc;
}

int
bkp_pg_target_load_rows(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_pg_load load = {.target = target,
	    .supply = supply,
	    .run = bkp_supply_run(supply),
	    .database = database->name};
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (bkp_pg_load_init(&load, database, err) < 0)
		goto out;
	if (load.table_count == 0 && bkp_supply_has_whole_list(supply)) {
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "the snapshot holds no rows below %s",
		    bkp_supply_selection(supply));
		goto out;
	}
	bkp_run_phase(load.run, 0, 0, "%s: rows", database->name);
	if (bkp_pg_open(&pg, target->config, database->name, load.run, err) < 0)
		goto out;
	pg.is_ticking = true;
	rc = load_selected(&load, &pg, err);
out:
	bkp_pg_close(&pg);
	bkp_pg_load_fini(&load);
	return rc;
}
