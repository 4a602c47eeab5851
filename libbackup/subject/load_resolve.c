/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References to rows that are neither in the export nor in the database. The
 * server would refuse the first of them; here all are counted by their edge.
 * With new keys it would not even do that: a key that was left as it was may
 * have become somebody else's.
 */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

struct resolution {
	struct bkp_load *load;
	const struct bkp_model_edge *edge; /* that is looked at */
	struct load_table *child;
};

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "looking for what rows refer to");
}

/* ---- which rows ---- */

static bool
is_staged(const struct bkp_model_edge *edge, const struct load_table *parent)
{
	if (parent->model != edge->parent ||
	    (parent->from->decided == BKP_LOOKUP && !bkp_load_has_key(parent)))
		return false;
	for (size_t i = 0; i < edge->column_count; i++)
		if (!parent->columns[edge->parent_columns[i]].is_loaded)
			return false;
	return true;
}

/* Rows that the database has count where all of the parent's rows that are
 * loaded are looked up, or none is loaded: elsewhere a row with the same key is
 * another's. */
static bool
is_target_asked(const struct bkp_load *load, const struct bkp_model_edge *edge)
{
	for (size_t i = 0; i < load->count; i++)
		if (load->tables[i].model == edge->parent &&
		    load->tables[i].from->decided != BKP_LOOKUP)
			return false;
	return true;
}

/* Where keys change old values are compared. */
static const char *
prefix_of(const struct resolution *resolution)
{
	return resolution->load->options.is_remapped ? "o" : "c";
}

static enum fmt_status
append_staged(struct fmt_buf *sql, const struct resolution *resolution,
    const struct load_table *parent)
{
	const struct bkp_model_edge *edge = resolution->edge;
	const char *prefix = prefix_of(resolution);
	enum fmt_status status = bkp_pg_sql(sql,
	    " AND NOT EXISTS (SELECT FROM pg_temp.rows_%u p WHERE",
	    parent->number);

	for (size_t i = 0; status == FMT_OK && i < edge->column_count; i++)
		status =
		    bkp_pg_sql(sql, "%s p.%s%u = s.%s%u", i > 0 ? " AND" : "",
			prefix, (unsigned)edge->parent_columns[i], prefix,
			(unsigned)edge->child_columns[i]);
	return status == FMT_OK ? fmt_buf_append_byte(sql, ')') : status;
}

static enum fmt_status
append_target(struct fmt_buf *sql, const struct resolution *resolution)
{
	const struct bkp_model_edge *edge = resolution->edge;
	const struct bkp_model_table *parent =
	    &resolution->load->model.tables[edge->parent];
	bool is_alone =
	    parent->leaf_count == 1 && parent->leaves[0].oid == parent->oid;
	enum fmt_status status =
	    bkp_pg_sql(sql, " AND NOT EXISTS (SELECT FROM %s%s t WHERE",
		is_alone ? "ONLY " : "", parent->quoted);

	for (size_t i = 0; status == FMT_OK && i < edge->column_count; i++)
		status = bkp_pg_sql(sql, "%s t.%I = s.c%u", i > 0 ? " AND" : "",
		    parent->columns[edge->parent_columns[i]].name,
		    (unsigned)edge->child_columns[i]);
	return status == FMT_OK ? fmt_buf_append_byte(sql, ')') : status;
}

/* A reference of several columns of which one is NULL refers to nothing. */
static enum fmt_status
append_open(struct fmt_buf *sql, const struct resolution *resolution)
{
	const struct bkp_model_edge *edge = resolution->edge;
	const struct bkp_load *load = resolution->load;
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < edge->column_count; i++)
		status = bkp_pg_sql(sql, "%s s.c%u IS NOT NULL",
		    i > 0 ? " AND" : "", (unsigned)edge->child_columns[i]);
	for (size_t i = 0; status == FMT_OK && i < load->count; i++)
		if (is_staged(edge, &load->tables[i]))
			status =
			    append_staged(sql, resolution, &load->tables[i]);
	if (status == FMT_OK && is_target_asked(load, edge))
		status = append_target(sql, resolution);
	return status;
}

/* ---- setting them to NULL ---- */

static bool
is_nullable(const struct load_table *table, size_t column)
{
	return !table->columns[column].model->is_not_null &&
	       !table->columns[column].is_key;
}

/* Whether another edge of the table stands on the column, too. */
static bool
is_elsewhere(const struct resolution *resolution, size_t column)
{
	const struct bkp_model *model = &resolution->load->model;

	for (size_t i = 0; i < model->edge_count; i++) {
		const struct bkp_model_edge *edge = &model->edges[i];

		if (edge == resolution->edge ||
		    edge->child != resolution->edge->child)
			continue;
		for (size_t k = 0; k < edge->column_count; k++)
			if (edge->child_columns[k] == column)
				return true;
	}
	return false;
}

/* Which column becomes NULL: one of its own before one that another edge has,
 * too. SIZE_MAX: all must have values. */
static size_t
choose_column(const struct resolution *resolution)
{
	const struct bkp_model_edge *edge = resolution->edge;
	size_t shared = SIZE_MAX;

	for (size_t i = 0; i < edge->column_count; i++) {
		size_t column = edge->child_columns[i];

		if (!is_nullable(resolution->child, column))
			continue;
		if (!is_elsewhere(resolution, column))
			return column;
		shared = column;
	}
	return shared;
}

int
bkp_load_store(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err)
{
	if (table->is_stored)
		return 0;
	table->is_stored = true;
	if (bkp_pg_run(load->pg, err,
		"ALTER VIEW pg_temp.rows_%u RENAME TO typed_%u", table->number,
		table->number) < 0)
		return -1;
	return bkp_pg_run(load->pg, err,
	    "CREATE TEMP TABLE pg_temp.rows_%u ON COMMIT DROP AS SELECT * FROM "
	    "pg_temp.typed_%u",
	    table->number, table->number);
}

static int
set_null(struct resolution *resolution, size_t column, struct bkp_error *err)
{
	struct bkp_load *load = resolution->load;
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	uint64_t rows = 0;
	int rc;

	if (bkp_load_store(load, resolution->child, err) < 0)
		return -1;
	status =
	    bkp_pg_sql(&sql, "UPDATE pg_temp.rows_%u s SET c%u = NULL WHERE",
		resolution->child->number, (unsigned)column);
	if (status == FMT_OK)
		status = append_open(&sql, resolution);
	rc =
	    status == FMT_OK ? bkp_load_do(load, &sql, &rows, err) : nomem(err);
	fmt_buf_free(&sql);
	if (rc < 0)
		return -1;
	bkp_load_tell_null(load, resolution->edge->id, rows);
	return 0;
}

/* ---- telling ---- */

static const char *
advice(const struct bkp_load *load, bool is_nullable)
{
	if (!load->options.has_shared || !load->options.has_actor)
		return is_nullable
			   ? "load context, too (--with), or let them be NULL "
			     "(--null-missing)"
			   : "load context, too (--with), leave the table out "
			     "(--leave-out), or have the map export what it "
			     "refers to";
	return is_nullable ? "let them be NULL (--null-missing)"
			   : "leave the table out (--leave-out), or have the "
			     "map export what it refers to";
}

void
bkp_load_tell_open(struct bkp_load *load, const char *edge,
    const struct load_table *child, uint64_t open, bool is_nullable)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	(void)bkp_fail(&problem, BKP_INVALID,
	    "%s: %llu rows (%s) refer to rows that the export does not have%s; "
	    "%s",
	    edge, (unsigned long long)open,
	    bkp_decided_name(child->from->decided),
	    is_nullable ? "" : ", and the reference must have a value",
	    advice(load, is_nullable));
	bkp_run_message(load->run, BKP_WARNING, NULL, "%s", problem.message);
	if (load->open++ == 0)
		load->first_open = problem;
}

void
bkp_load_tell_null(struct bkp_load *load, const char *edge, uint64_t rows)
{
	load->counts.nulled += rows;
	bkp_run_message(load->run, BKP_WARNING, NULL,
	    "%s: %llu references to rows that the export does not have became "
	    "NULL",
	    edge, (unsigned long long)rows);
}

/* ---- all of it ---- */

static int
resolve(struct resolution *resolution, struct bkp_error *err)
{
	struct bkp_load *load = resolution->load;
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	uint64_t open = 0;
	size_t column;
	int rc;

	status = bkp_pg_sql(&sql,
	    "SELECT pg_catalog.count(*) FROM pg_temp.rows_%u s WHERE",
	    resolution->child->number);
	if (status == FMT_OK)
		status = append_open(&sql, resolution);
	rc = status == FMT_OK ? bkp_load_number(load, &sql, &open, err)
			      : nomem(err);
	fmt_buf_free(&sql);
	if (rc < 0)
		return bkp_fail_in(err, "following %s", resolution->edge->id);
	if (open == 0)
		return 0;
	column = choose_column(resolution);
	if (column != SIZE_MAX && load->options.is_nulled)
		return set_null(resolution, column, err);
	bkp_load_tell_open(load, resolution->edge->id, resolution->child, open,
	    column != SIZE_MAX);
	return 0;
}

static bool
has_columns(const struct bkp_model_edge *edge, const struct load_table *child)
{
	for (size_t i = 0; i < edge->column_count; i++)
		if (!child->columns[edge->child_columns[i]].is_loaded)
			return false;
	return true;
}

static int
resolve_table(struct resolution *resolution, struct bkp_error *err)
{
	const struct bkp_model *model = &resolution->load->model;
	const struct load_table *child = resolution->child;

	if (child->from->decided == BKP_LOOKUP && !bkp_load_has_key(child))
		return 0;
	for (size_t i = 0; i < model->edge_count; i++) {
		resolution->edge = &model->edges[i];
		if (resolution->edge->child == child->model &&
		    has_columns(resolution->edge, child) &&
		    resolve(resolution, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_load_resolve(struct bkp_load *load, struct bkp_error *err)
{
	struct resolution resolution = {.load = load};

	bkp_run_phase(load->run, 0, 0, "looking for what rows refer to");
	for (size_t i = 0; i < load->count; i++) {
		resolution.child = &load->tables[i];
		if (resolve_table(&resolution, err) < 0)
			return -1;
	}
	if (load->open == 0)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "references lead nowhere (%zu kinds); nothing was loaded; "
	    "the first of them: %s",
	    load->open, load->first_open.message);
}
