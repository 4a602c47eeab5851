/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Silence while rows are erased. A superuser's session is told that it
 * replicates, which rests what checks foreign keys and most of the rest; the
 * triggers and rules that would fire all the same are disabled for the
 * transaction, which their tables' owner may do, and enabled again as they
 * were.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/erase_own.h"

/* Appends the tables that are written to, with every leaf, as an array's
 * text. */
static enum fmt_status
append_written(struct fmt_buf *out, const struct eraser *e)
{
	const struct bkp_model *model = &e->walk->model;
	enum fmt_status status = fmt_buf_append_text(out, "{0");

	for (size_t i = 0; status == FMT_OK && i < model->table_count; i++) {
		const struct bkp_model_table *table = &model->tables[i];

		if (e->walk->sets[i].rows == 0 && !e->has_references[i])
			continue;
		status = fmt_buf_printf(out, ",%u", table->oid);
		for (size_t k = 0; status == FMT_OK && k < table->leaf_count;
		     k++)
			status =
			    fmt_buf_printf(out, ",%u", table->leaves[k].oid);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, '}') : status;
}

static int
turn_replica(struct eraser *e, struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;
	struct bkp_pg *pg = &e->walk->pg;

	if (bkp_pg_do(pg, "SAVEPOINT quiet", err) < 0)
		return -1;
	e->is_replica =
	    bkp_pg_do(pg, "SET LOCAL session_replication_role TO replica",
		&failure) == 0;
	if (e->is_replica)
		return bkp_pg_do(pg, "RELEASE SAVEPOINT quiet", err);
	if (failure.code != BKP_AUTH) {
		if (err != NULL)
			*err = failure;
		return -1;
	}
	/* What checks later would find its tables altered. */
	return bkp_pg_do(pg,
	    "ROLLBACK TO SAVEPOINT quiet; RELEASE SAVEPOINT quiet;"
	    "SET CONSTRAINTS ALL IMMEDIATE",
	    err);
}

/* Triggers and rules that fire, as (table, kind, name, when). */
static int
list_firing(struct eraser *e, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), x.kind,"
	    " x.name, x.fires FROM ("
	    " SELECT t.tgrelid AS rel, 'TRIGGER' AS kind, t.tgname AS name,"
	    "  t.tgenabled AS fires FROM pg_catalog.pg_trigger t"
	    "  WHERE NOT t.tgisinternal"
	    " UNION ALL SELECT r.ev_class, 'RULE', r.rulename, r.ev_enabled"
	    "  FROM pg_catalog.pg_rewrite r WHERE r.ev_type <> '1') x"
	    " JOIN pg_catalog.pg_class c ON c.oid = x.rel"
	    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	    "WHERE x.rel = ANY ($1::oid[]) AND x.fires::text = ANY ($2::text[])"
	    " ORDER BY 1, 2, 3";
	struct fmt_buf written = FMT_BUF_INIT;
	const char *values[2];
	int rc = -1;

	if (append_written(&written, e) != FMT_OK ||
	    fmt_buf_text(&written) == NULL) {
		(void)bkp_fail_nomem(err, "looking for triggers");
	} else {
		values[0] = (const char *)written.data;
		values[1] = e->is_replica ? "{A,R}" : "{O,A}";
		rc = bkp_pg_query(
		    &e->walk->pg, sql, 2, values, &e->resting, err);
	}
	fmt_buf_free(&written);
	return rc;
}

static const char *
how_it_fired(const char *fires)
{
	return fires[0] == 'A'   ? "ENABLE ALWAYS"
	       : fires[0] == 'R' ? "ENABLE REPLICA"
				 : "ENABLE";
}

static int
alter_all(struct eraser *e, bool is_waking, struct bkp_error *err)
{
	for (int i = 0; i < PQntuples(e->resting); i++)
		if (bkp_pg_run(&e->walk->pg, err,
			"ALTER TABLE ONLY %s %s %s %I",
			PQgetvalue(e->resting, i, 0),
			is_waking ? how_it_fired(PQgetvalue(e->resting, i, 3))
				  : "DISABLE",
			PQgetvalue(e->resting, i, 1),
			PQgetvalue(e->resting, i, 2)) < 0)
			return bkp_fail_in(err,
			    "keeping the triggers of %s quiet (the role must "
			    "own the table, or be a superuser)",
			    PQgetvalue(e->resting, i, 0));
	return 0;
}

int
bkp_erase_quiet(struct eraser *e, struct bkp_error *err)
{
	if (turn_replica(e, err) < 0 || list_firing(e, err) < 0)
		return -1;
	return alter_all(e, false, err);
}

int
bkp_erase_wake(struct eraser *e, struct bkp_error *err)
{
	return alter_all(e, true, err);
}
