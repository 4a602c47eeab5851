/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statement that reads the rows of a table. Each leaf is read by ctid
 * alone: no partition is searched for a row of another. As in the walk, the
 * map's SQL stands in a sub-select that knows nothing but its own table.
 *
 * Where a row has nothing but its place to tell, it is read by an array of
 * places: the server sorts it and goes through the table once, in the order of
 * its pages, which no join does without putting rows aside on its disk. Where
 * foreign keys tell the rows (walk_chain.c) they are read by these.
 */
#include <string.h>

#include "libbackup/postgres/names.h"
#include "libbackup/subject/rows_impl.h"

static const struct bkp_model_table *
table_of(const struct bkp_rows *rows)
{
	return &rows->walk->model.tables[rows->table];
}

/* ---- the columns, in the scope of the table ---- */

static enum fmt_status
append_column(struct fmt_buf *out, const struct bkp_rows *rows, size_t at)
{
	const struct bkp_model_table *t = table_of(rows);
	const struct bkp_rows_column *column = &rows->columns[at];
	const struct bkp_model_column *c = &t->columns[column->column];
	const char *before = c->is_composite ? "pg_catalog.to_json(" : "";
	const char *after = c->is_composite ? ")" : "";

	/* Not "IS NOT NULL", which looks into a composite value. */
	if (column->treatment == BKP_MASK) {
		before = "CASE WHEN ";
		after = " IS DISTINCT FROM NULL THEN '***' END";
	}
	return bkp_pg_sql(out, ", %s%I.%I%s AS c%u", before, t->name, c->name,
	    after, (unsigned)at);
}

static enum fmt_status
append_values(struct fmt_buf *out, const struct bkp_rows *rows, size_t at)
{
	const struct bkp_walk_edge *edge = rows->references[at].edge;
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++) {
		status = fmt_buf_append_text(out, ", ");
		if (status == FMT_OK)
			status = bkp_walk_append_array_or_value(
			    out, rows->walk, edge, i);
		if (status == FMT_OK)
			status = bkp_pg_sql(
			    out, " AS r%uv%u", (unsigned)at, (unsigned)i);
	}
	return status;
}

/* An array of so many places takes the server about 45 MB while it is made,
 * and 12 MB then. More of them than AT_ONCE_MAX, and every array would go
 * through too many places that stand in others. */
#define AT_ONCE 1000000
#define AT_ONCE_MAX 16

static bool
is_by_array(const struct bkp_rows *rows)
{
	const struct bkp_walk_set *set = &rows->walk->sets[rows->table];

	return !bkp_walk_is_chain(rows->walk, rows->table) &&
	       (rows->decided == BKP_OWN || rows->decided == BKP_SHARED) &&
	       set->rows <= (uint64_t)AT_ONCE * AT_ONCE_MAX;
}

/* The walk's table is not joined. */
static bool
tells_places_alone(const struct bkp_rows *rows)
{
	return is_by_array(rows) || bkp_walk_is_chain(rows->walk, rows->table);
}

/* How often a leaf is read, each time by an array of its own. */
static unsigned
count_turns(const struct bkp_rows *rows)
{
	uint64_t all = rows->walk->sets[rows->table].of[rows->decided];

	if (!is_by_array(rows) || all <= AT_ONCE)
		return 1;
	return (unsigned)((all + AT_ONCE - 1) / AT_ONCE);
}

/* " WHERE t.ctid = ANY (ARRAY(SELECT w.tid ...))" */
static enum fmt_status
append_places(struct fmt_buf *out, const struct bkp_rows *rows,
    const struct bkp_model_leaf *leaf, unsigned turn)
{
	enum fmt_status status = bkp_pg_sql(out,
	    " WHERE %I.ctid = ANY (ARRAY(SELECT w.tid FROM pg_temp.walk_%u w"
	    " WHERE w.rel = %u AND w.decided = %u",
	    table_of(rows)->name, (unsigned)rows->table, leaf->oid,
	    (unsigned)rows->decided);

	if (status == FMT_OK && count_turns(rows) > 1)
		status = bkp_pg_sql(out, " LIMIT %u OFFSET %u",
		    (unsigned)AT_ONCE, turn * AT_ONCE);
	return status == FMT_OK ? fmt_buf_append_text(out, "))") : status;
}

static enum fmt_status
append_inner(struct fmt_buf *out, const struct bkp_rows *rows,
    const struct bkp_model_leaf *leaf, unsigned turn)
{
	const struct bkp_model_table *t = table_of(rows);
	enum fmt_status status =
	    bkp_pg_sql(out, "(SELECT %I.ctid AS tid%s", t->name,
		bkp_rows_has_parents(rows) ? ", " BKP_WALK_CHAIN_PARENT
					     ".ctid AS up"
					   : "");

	for (size_t i = 0; status == FMT_OK && i < rows->column_count; i++)
		status = append_column(out, rows, i);
	for (size_t i = 0; status == FMT_OK && i < t->key_count; i++)
		status = bkp_pg_sql(out, ", %I.%I AS k%u", t->name,
		    t->columns[t->key[i]].name, (unsigned)i);
	for (size_t i = 0; status == FMT_OK && i < rows->reference_count; i++)
		status = append_values(out, rows, i);
	if (status == FMT_OK)
		status =
		    bkp_walk_is_chain(rows->walk, rows->table)
			? bkp_walk_append_chain(out, rows->walk, rows->table)
			: bkp_pg_sql(out, " FROM ONLY %s AS %I", leaf->quoted,
			      t->name);
	if (status == FMT_OK && is_by_array(rows))
		status = append_places(out, rows, leaf, turn);
	return status == FMT_OK ? fmt_buf_append_byte(out, ')') : status;
}

/* ---- what references name ---- */

/* "EXISTS (...)": a row that is owned has these values; `when` narrows. */
static enum fmt_status
append_exists(struct fmt_buf *out, const struct bkp_rows *rows, size_t at,
    const char *alias, const char *when)
{
	const struct bkp_walk_edge *edge = rows->references[at].edge;
	const struct bkp_model_table *parent =
	    &rows->walk->model.tables[edge->parent];
	bool is_array = edge->key == NULL && edge->map->is_array;
	enum fmt_status status = bkp_pg_sql(out,
	    "EXISTS (SELECT FROM pg_temp.walk_%u o JOIN %s%s p"
	    " ON p.tableoid = o.rel AND p.ctid = o.tid"
	    " WHERE o.decided = %u%s",
	    (unsigned)edge->parent,
	    bkp_walk_is_partitioned(parent) ? "" : "ONLY ", parent->quoted,
	    (unsigned)BKP_OWN, when);

	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++) {
		struct fmt_buf left = FMT_BUF_INIT;

		status = is_array ? fmt_buf_append_text(&left, alias)
				  : fmt_buf_printf(&left, "%s.r%uv%u", alias,
					(unsigned)at, (unsigned)i);
		if (status == FMT_OK && fmt_buf_text(&left) == NULL)
			status = FMT_NOMEM;
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, " AND ");
		if (status == FMT_OK)
			status = bkp_walk_append_equal(out, rows->walk, edge, i,
			    (const char *)left.data, "p");
		fmt_buf_free(&left);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, ')') : status;
}

/* 's' the subject, 'o' another owned row, 'x' somebody else's. */
static enum fmt_status
append_whose(struct fmt_buf *out, const struct bkp_rows *rows, size_t at,
    const char *alias)
{
	enum fmt_status status = fmt_buf_append_text(out, "CASE WHEN ");

	if (status == FMT_OK)
		status =
		    append_exists(out, rows, at, alias, " AND o.round = 0");
	if (status == FMT_OK)
		status = bkp_pg_sql(out, " THEN '%s' WHEN ",
		    rows->references[at].edge->decided == BKP_SHARED ? "s"
								     : "o");
	if (status == FMT_OK)
		status = append_exists(out, rows, at, alias, "");
	return status == FMT_OK
		   ? fmt_buf_append_text(out, " THEN 'o' ELSE 'x' END")
		   : status;
}

/* The elements of an array of references: "s31,x32", values in hex. */
static enum fmt_status
append_array_state(struct fmt_buf *out, const struct bkp_rows *rows, size_t at)
{
	enum fmt_status status = bkp_pg_sql(out,
	    ", CASE WHEN c.r%uv0 IS NOT NULL THEN (SELECT COALESCE("
	    "pg_catalog.string_agg(CASE WHEN u.v IS NULL THEN 'n' ELSE ",
	    (unsigned)at);

	if (status == FMT_OK)
		status = append_whose(out, rows, at, "u.v");
	return status == FMT_OK
		   ? bkp_pg_sql(out,
			 " || pg_catalog.encode(pg_catalog.textsend(u.v::text),"
			 " 'hex') END, ',' ORDER BY u.n), '') FROM"
			 " pg_catalog.unnest(c.r%uv0) WITH ORDINALITY"
			 " AS u(v, n)) END AS r%us, NULL::text AS r%ut0",
			 (unsigned)at, (unsigned)at, (unsigned)at)
		   : status;
}

static enum fmt_status
append_state(struct fmt_buf *out, const struct bkp_rows *rows, size_t at)
{
	const struct bkp_walk_edge *edge = rows->references[at].edge;
	size_t pairs = bkp_walk_pair_count(edge);
	enum fmt_status status;

	if (edge->key == NULL && edge->map->is_array)
		return append_array_state(out, rows, at);
	status = fmt_buf_append_text(out, ", CASE WHEN ");
	for (size_t i = 0; status == FMT_OK && i < pairs; i++)
		status = bkp_pg_sql(out, "%sc.r%uv%u IS NULL",
		    i > 0 ? " OR " : "", (unsigned)at, (unsigned)i);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " THEN 'n' ELSE ");
	if (status == FMT_OK)
		status = append_whose(out, rows, at, "c");
	if (status == FMT_OK)
		status = bkp_pg_sql(out, " END AS r%us", (unsigned)at);
	for (size_t i = 0; status == FMT_OK && i < pairs; i++)
		status = bkp_pg_sql(out, ", c.r%uv%u::text AS r%ut%u",
		    (unsigned)at, (unsigned)i, (unsigned)at, (unsigned)i);
	return status;
}

/* ---- the whole ---- */

/* "FROM (...) c", and the walk's table where it tells more than places. */
static enum fmt_status
append_rows(struct fmt_buf *out, const struct bkp_rows *rows,
    const struct bkp_model_leaf *leaf, unsigned turn)
{
	enum fmt_status status = fmt_buf_append_text(out, " FROM ");

	if (status == FMT_OK)
		status = append_inner(out, rows, leaf, turn);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " c");
	if (status != FMT_OK || tells_places_alone(rows))
		return status;
	return bkp_pg_sql(out,
	    " JOIN pg_temp.walk_%u w ON c.tid = w.tid"
	    " WHERE w.rel = %u AND w.decided = %u",
	    (unsigned)rows->table, leaf->oid, (unsigned)rows->decided);
}

static enum fmt_status
append_leaf(struct fmt_buf *out, const struct bkp_rows *rows,
    const struct bkp_model_leaf *leaf, unsigned turn)
{
	const struct bkp_model_table *t = table_of(rows);
	enum fmt_status status =
	    bkp_pg_sql(out, "SELECT %s AS lists, %u::oid AS rel, c.tid",
		tells_places_alone(rows) ? "0" : "w.lists", leaf->oid);

	if (status == FMT_OK && bkp_rows_has_parents(rows))
		status = fmt_buf_append_text(out, ", c.up");
	for (size_t i = 0; status == FMT_OK && i < rows->column_count; i++)
		status = bkp_pg_sql(out, ", c.c%u", (unsigned)i);
	for (size_t i = 0; status == FMT_OK && i < t->key_count; i++)
		status = bkp_pg_sql(out, ", c.k%u", (unsigned)i);
	for (size_t i = 0; status == FMT_OK && i < rows->reference_count; i++)
		status = append_state(out, rows, i);
	return status == FMT_OK ? append_rows(out, rows, leaf, turn) : status;
}

static enum fmt_status
append_fields(struct fmt_buf *out, const struct bkp_rows *rows)
{
	bool has_lists = bkp_rows_has_lists(rows);
	enum fmt_status status =
	    fmt_buf_append_text(out, has_lists ? "u.lists" : "");

	for (size_t i = 0; status == FMT_OK && i < rows->column_count; i++)
		status = bkp_pg_sql(out, "%su.c%u",
		    has_lists || i > 0 ? ", " : "", (unsigned)i);
	for (size_t i = 0; status == FMT_OK && i < rows->reference_count; i++) {
		const struct bkp_walk_edge *edge = rows->references[i].edge;

		status = bkp_pg_sql(out, ", u.r%us", (unsigned)i);
		for (size_t k = 0;
		     status == FMT_OK && k < bkp_walk_pair_count(edge); k++)
			status = bkp_pg_sql(
			    out, ", u.r%ut%u", (unsigned)i, (unsigned)k);
	}
	if (status == FMT_OK && bkp_rows_has_places(rows))
		status = bkp_pg_sql(out, "%s%su.tid%s",
		    has_lists || rows->column_count > 0 ? ", " : "",
		    bkp_rows_has_leaves(rows) ? "u.rel, " : "",
		    bkp_rows_has_parents(rows) ? ", u.up" : "");
	return status;
}

enum fmt_status
bkp_rows_append_sql(struct fmt_buf *out, const struct bkp_rows *rows,
    const struct bkp_model_leaf *const *leaves, size_t count)
{
	const struct bkp_model_table *t = table_of(rows);
	enum fmt_status status = fmt_buf_append_text(out, "COPY (SELECT ");
	size_t turns = count_turns(rows);

	if (status == FMT_OK)
		status = append_fields(out, rows);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " FROM (");
	for (size_t i = 0; status == FMT_OK && i < count * turns; i++) {
		if (i > 0)
			status = fmt_buf_append_text(out, " UNION ALL ");
		if (status == FMT_OK)
			status = append_leaf(out, rows, leaves[i / turns],
			    (unsigned)(i % turns));
	}
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, ") u ORDER BY ");
	for (size_t i = 0; status == FMT_OK && i < t->key_count; i++)
		status =
		    bkp_pg_sql(out, i > 0 ? ", u.k%u" : "u.k%u", (unsigned)i);
	if (status == FMT_OK && t->key_count == 0)
		status = fmt_buf_append_text(out, "u.rel, u.tid");
	if (status == FMT_OK && rows->limit > 0)
		status = bkp_pg_sql(
		    out, " LIMIT %llu", (unsigned long long)rows->limit);
	return status == FMT_OK ? fmt_buf_append_text(out, ") TO STDOUT")
				: status;
}
