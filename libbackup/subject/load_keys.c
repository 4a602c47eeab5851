/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New keys. Every staged row keeps the old values of what foreign keys touch
 * (o0, o1...) beside the new ones (c0, c1...): first the keys themselves are
 * made, then references follow their parents, parents first.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "making new keys");
}

bool
bkp_load_is_remapped(
    const struct bkp_load *load, const struct load_table *table)
{
	if (!load->options.is_remapped)
		return false;
	for (size_t i = 0; i < load->count; i++)
		if (load->tables[i].model == table->model &&
		    load->tables[i].from->decided != BKP_LOOKUP)
			return true;
	return false;
}

/* ---- keys ---- */

/* A key that is a reference, too, follows what it refers to. */
static bool
is_fresh(const struct bkp_load *load, const struct load_table *table,
    const struct load_column *column)
{
	return bkp_load_is_remapped(load, table) && column->is_key &&
	       column->is_loaded && column->fresh != NULL &&
	       !column->is_referring;
}

static enum fmt_status
append_table(struct fmt_buf *sql, const struct bkp_load *load,
    const struct load_table *table)
{
	enum fmt_status status = bkp_pg_sql(sql,
	    "CREATE TEMP TABLE pg_temp.rows_%u ON COMMIT DROP AS SELECT s.n",
	    table->number);

	for (size_t i = 0; status == FMT_OK && i < table->to->column_count;
	     i++) {
		const struct load_column *column = &table->columns[i];
		unsigned number = (unsigned)i;

		if (!column->is_loaded)
			continue;
		status = is_fresh(load, table, column)
			     ? bkp_pg_sql(sql, ", (%s)::%s AS c%u",
				   column->fresh, column->model->type, number)
			     : bkp_pg_sql(sql, ", s.c%u", number);
		if (status == FMT_OK && column->is_linked)
			status =
			    bkp_pg_sql(sql, ", s.c%u AS o%u", number, number);
	}
	return status == FMT_OK
		   ? bkp_pg_sql(sql,
			 " FROM (SELECT * FROM pg_temp.typed_%u ORDER BY n) s",
			 table->number)
		   : status;
}

static void
tell_kept(struct bkp_load *load, const struct load_table *table,
    const struct load_column *column)
{
	if (bkp_load_is_remapped(load, table) && column->is_key &&
	    !column->is_referring && !is_fresh(load, table, column))
		bkp_run_message(load->run, BKP_WARNING, NULL,
		    "%s.%s: the keys are kept, for the column has no default "
		    "that gives new ones",
		    table->to->id, column->model->name);
}

static int
make_keys(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	bool is_new = false;
	int rc;

	for (size_t i = 0; i < table->to->column_count; i++) {
		tell_kept(load, table, &table->columns[i]);
		if (is_fresh(load, table, &table->columns[i]))
			is_new = table->columns[i].is_changed = true;
	}
	rc = append_table(&sql, load, table) == FMT_OK
		 ? bkp_load_do(load, &sql, NULL, err)
		 : nomem(err);
	fmt_buf_free(&sql);
	if (rc < 0)
		return -1;
	table->is_stored = true;
	if (is_new)
		load->counts.remapped += table->from->rows;
	return bkp_pg_run(
	    load->pg, err, "ANALYZE pg_temp.rows_%u", table->number);
}

/* ---- references ---- */

/* True where the parent's rows have other values than before. */
static bool
has_changed(const struct bkp_model_edge *edge, const struct load_table *child,
    const struct load_table *parent)
{
	bool is_changed = false;

	for (size_t i = 0; i < edge->column_count; i++) {
		if (!child->columns[edge->child_columns[i]].is_loaded ||
		    !parent->columns[edge->parent_columns[i]].is_loaded)
			return false;
		is_changed |=
		    parent->columns[edge->parent_columns[i]].is_changed;
	}
	return is_changed;
}

static enum fmt_status
append_follow(struct fmt_buf *sql, const struct bkp_model_edge *edge,
    const struct load_table *child, const struct load_table *parent)
{
	enum fmt_status status =
	    bkp_pg_sql(sql, "UPDATE pg_temp.rows_%u AS s SET", child->number);

	for (size_t i = 0; status == FMT_OK && i < edge->column_count; i++)
		status = bkp_pg_sql(sql, "%s c%u = p.c%u", i > 0 ? "," : "",
		    (unsigned)edge->child_columns[i],
		    (unsigned)edge->parent_columns[i]);
	if (status == FMT_OK)
		status = bkp_pg_sql(
		    sql, " FROM pg_temp.rows_%u AS p WHERE", parent->number);
	for (size_t i = 0; status == FMT_OK && i < edge->column_count; i++)
		status = bkp_pg_sql(sql, "%s s.o%u = p.o%u",
		    i > 0 ? " AND" : "", (unsigned)edge->child_columns[i],
		    (unsigned)edge->parent_columns[i]);
	return status;
}

static int
follow(struct bkp_load *load, const struct bkp_model_edge *edge,
    struct load_table *child, const struct load_table *parent,
    struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc;

	rc = append_follow(&sql, edge, child, parent) == FMT_OK
		 ? bkp_load_do(load, &sql, NULL, err)
		 : nomem(err);
	fmt_buf_free(&sql);
	for (size_t i = 0; i < edge->column_count; i++)
		child->columns[edge->child_columns[i]].is_changed = true;
	return rc == 0 ? 0 : bkp_fail_in(err, "following %s", edge->id);
}

static int
follow_all(
    struct bkp_load *load, struct load_table *child, struct bkp_error *err)
{
	for (size_t i = 0; i < load->model.edge_count; i++) {
		const struct bkp_model_edge *edge = &load->model.edges[i];

		if (edge->child != child->model)
			continue;
		for (size_t k = 0; k < load->count; k++) {
			struct load_table *parent = &load->tables[k];

			if (parent->model == edge->parent &&
			    has_changed(edge, child, parent) &&
			    follow(load, edge, child, parent, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* ---- what is not followed ---- */

static bool
is_like_a_reference(const char *name)
{
	static const char *const ends[] = {"_id", "_ids", "_uuid", "_uuids"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t end = strlen(ends[i]);

		if (len > end && strcmp(name + len - end, ends[i]) == 0)
			return true;
	}
	return false;
}

static void
tell_unfollowed(struct bkp_load *load, const struct load_table *table)
{
	for (size_t i = 0; i < table->to->column_count; i++) {
		const struct load_column *column = &table->columns[i];

		if (column->is_loaded && !column->is_linked &&
		    !column->is_key && is_like_a_reference(column->model->name))
			bkp_run_message(load->run, BKP_WARNING, NULL,
			    "%s.%s looks like a reference and has no foreign "
			    "key; its values are as they were",
			    table->to->id, column->model->name);
	}
}

int
bkp_load_remap(struct bkp_load *load, struct bkp_error *err)
{
	bkp_run_phase(load->run, 0, 0, "making new keys");
	for (size_t i = 0; i < load->count; i++)
		if (make_keys(load, &load->tables[i], err) < 0)
			return bkp_fail_in(
			    err, "new keys for %s", load->tables[i].to->id);
	for (size_t i = 0; i < load->count; i++) {
		if (follow_all(load, &load->tables[i], err) < 0)
			return -1;
		tell_unfollowed(load, &load->tables[i]);
	}
	return bkp_load_soft_follow(load, err);
}

/* ---- sequences ---- */

/* No transaction takes a sequence back, so this comes last. One that stands
 * behind the keys already stays. */
static int
pass(struct bkp_load *load, const struct load_table *table,
    const struct load_column *column, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	uint64_t unused = 0;
	int rc;

	if (bkp_pg_sql(&sql,
		"SELECT pg_catalog.setval(q.seqrelid, x.m) FROM"
		" pg_catalog.pg_sequence q CROSS JOIN LATERAL (SELECT CASE"
		" WHEN q.seqincrement > 0 THEN pg_catalog.max(t.%I)"
		" ELSE pg_catalog.min(t.%I) END::bigint AS m FROM %s t) x"
		" WHERE q.seqrelid = %u"
		" AND x.m BETWEEN q.seqmin AND q.seqmax"
		" AND (x.m - coalesce("
		"pg_catalog.pg_sequence_last_value(q.seqrelid), q.seqstart)) *"
		" pg_catalog.sign(q.seqincrement) >= 0",
		column->model->name, column->model->name, table->to->quoted,
		column->sequence) != FMT_OK)
		rc = nomem(err);
	else
		rc = bkp_load_number(load, &sql, &unused, err);
	fmt_buf_free(&sql);
	return rc == 0 ? 0
		       : bkp_fail_in(err, "the sequence of %s.%s",
			     table->to->id, column->model->name);
}

int
bkp_load_sequences(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->count; i++)
		for (size_t k = 0; k < load->tables[i].to->column_count; k++) {
			const struct load_column *column =
			    &load->tables[i].columns[k];
			enum fmt_pgjson kind = column->model->kind;

			if (column->sequence != 0 && column->is_loaded &&
			    load->tables[i].inserted > 0 &&
			    (kind == FMT_PGJSON_INTEGER ||
				kind == FMT_PGJSON_EXACT) &&
			    pass(load, &load->tables[i], column, err) < 0)
				return -1;
		}
	return 0;
}
