/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements of a walk. The map's SQL only ever sees the columns of its
 * own table: it stands in a sub-select of its own, which the planner flattens.
 */
#include <stdarg.h>
#include <string.h>

#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

/* ---- parts ---- */

size_t
bkp_walk_parent_column(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t pair)
{
	if (edge->key != NULL)
		return edge->key->parent_columns[pair];
	return bkp_model_column(&walk->model.tables[edge->parent],
	    edge->map->parent_columns.items[pair]);
}

bool
bkp_walk_child_column(const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair, size_t *column)
{
	if (edge->key != NULL)
		*column = edge->key->child_columns[pair];
	else
		*column = bkp_model_column(&walk->model.tables[edge->child],
		    edge->map->child_values.items[pair]);
	return *column != SIZE_MAX;
}

static const char *
condition(const struct bkp_walk_edge *edge)
{
	return edge->map != NULL && edge->map->is_declared ? edge->map->when
							   : NULL;
}

static const struct bkp_walk_operator *
find_operator(const struct bkp_walk *walk, unsigned type)
{
	for (size_t i = 0; i < walk->operator_count; i++)
		if (walk->operators[i].type == type)
			return &walk->operators[i];
	return NULL;
}

static const char *
find_collation(const struct bkp_walk *walk, unsigned table, const char *column)
{
	for (size_t i = 0; i < walk->collation_count; i++)
		if (walk->collations[i].table == table &&
		    strcmp(walk->collations[i].column, column) == 0)
			return walk->collations[i].name;
	return NULL;
}

enum fmt_status
bkp_walk_append_operator(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_model_column *column)
{
	const struct bkp_walk_operator *own =
	    find_operator(walk, column->type_oid);

	return bkp_pg_sql(out, " %s", own != NULL ? own->equals : "=");
}

static const struct bkp_model_column *
parent_column(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t pair)
{
	return &walk->model.tables[edge->parent]
		    .columns[bkp_walk_parent_column(walk, edge, pair)];
}

/* Two columns of different collations cannot be compared until somebody says
 * by which: by the parent's, as the foreign key does it. */
static enum fmt_status
append_collation(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair)
{
	const struct bkp_model_table *child = &walk->model.tables[edge->child],
				     *parent =
					 &walk->model.tables[edge->parent];
	const char *of_parent = find_collation(
	    walk, parent->oid, parent_column(walk, edge, pair)->name);
	const char *of_child = NULL;
	size_t column;

	if (bkp_walk_child_column(walk, edge, pair, &column))
		of_child = find_collation(
		    walk, child->oid, child->columns[column].name);
	if (of_parent == NULL && of_child == NULL)
		return FMT_OK;
	return bkp_pg_sql(out, " COLLATE %s",
	    of_parent != NULL ? of_parent : "pg_catalog.\"default\"");
}

enum fmt_status
bkp_walk_append_equal(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair, const char *left,
    const char *alias)
{
	const struct bkp_model_column *column = parent_column(walk, edge, pair);
	enum fmt_status status = fmt_buf_append_text(out, left);

	if (status == FMT_OK)
		status = bkp_walk_append_operator(out, walk, column);
	if (status == FMT_OK)
		status = bkp_pg_sql(out, " %s.%I", alias, column->name);
	if (status == FMT_OK)
		status = append_collation(out, walk, edge, pair);
	return status;
}

enum fmt_status
bkp_walk_append_equal_value(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair, const char *left,
    const char *value)
{
	const struct bkp_model_column *column = parent_column(walk, edge, pair);
	enum fmt_status status = fmt_buf_append_text(out, left);

	if (status == FMT_OK)
		status = bkp_walk_append_operator(out, walk, column);
	if (status == FMT_OK)
		status =
		    bkp_pg_sql(out, " CAST(%L AS %s)", value, column->type);
	return status == FMT_OK ? append_collation(out, walk, edge, pair)
				: status;
}

/* The value itself: a column, an expression, an element of an array. A type
 * that is compared by its own operator needs values of that type. */
static enum fmt_status
append_plain(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair)
{
	const struct bkp_model_table *child = &walk->model.tables[edge->child];
	const struct bkp_walk_operator *own =
	    find_operator(walk, parent_column(walk, edge, pair)->type_oid);
	size_t column;

	if (edge->key != NULL)
		return bkp_pg_sql(out, "%I.%I", child->name,
		    child->columns[edge->key->child_columns[pair]].name);
	if (edge->map->is_array)
		return fmt_buf_append_text(out, "\"walk e\".\"walk v\"");
	if (own != NULL && bkp_pg_sql(out, "CAST(") != FMT_OK)
		return FMT_NOMEM;
	if (bkp_walk_child_column(walk, edge, pair, &column)
		? bkp_pg_sql(out, "%I.%I", child->name,
		      child->columns[column].name) != FMT_OK
		: bkp_pg_sql(out, "(%s)",
		      edge->map->child_values.items[pair]) != FMT_OK)
		return FMT_NOMEM;
	return own != NULL ? bkp_pg_sql(out, " AS %s)", own->name) : FMT_OK;
}

enum fmt_status
bkp_walk_append_value(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair, bool is_guarded)
{
	const char *when = is_guarded ? condition(edge) : NULL;
	enum fmt_status status = FMT_OK;

	if (when != NULL)
		status = bkp_pg_sql(out, "CASE WHEN (%s) THEN ", when);
	if (status == FMT_OK)
		status = append_plain(out, walk, edge, pair);
	if (status == FMT_OK && when != NULL)
		status = fmt_buf_append_text(out, " END");
	return status;
}

enum fmt_status
bkp_walk_append_from(struct fmt_buf *out, const struct bkp_model_table *table)
{
	return bkp_pg_sql(out, " FROM %s%s AS %I",
	    bkp_walk_is_partitioned(table) ? "" : "ONLY ", table->quoted,
	    table->name);
}

/* The array that a reference is, its condition around it. */
static enum fmt_status
append_array(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, bool is_guarded)
{
	const struct bkp_model_table *child = &walk->model.tables[edge->child];
	const char *when = is_guarded ? condition(edge) : NULL;
	enum fmt_status status = FMT_OK;
	size_t column;

	if (when != NULL)
		status = bkp_pg_sql(out, "CASE WHEN (%s) THEN ", when);
	if (status == FMT_OK)
		status = bkp_walk_child_column(walk, edge, 0, &column)
			     ? bkp_pg_sql(out, "%I.%I", child->name,
				   child->columns[column].name)
			     : bkp_pg_sql(out, "(%s)",
				   edge->map->child_values.items[0]);
	return status == FMT_OK && when != NULL
		   ? fmt_buf_append_text(out, " END")
		   : status;
}

enum fmt_status
bkp_walk_append_array_or_value(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair)
{
	return edge->key == NULL && edge->map->is_array
		   ? append_array(out, walk, edge, true)
		   : bkp_walk_append_value(out, walk, edge, pair, true);
}

/* The array's elements, where the reference is an array of them. */
static enum fmt_status
append_elements(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, bool is_guarded)
{
	enum fmt_status status;

	if (edge->key != NULL || !edge->map->is_array)
		return FMT_OK;
	status =
	    fmt_buf_append_text(out, " CROSS JOIN LATERAL pg_catalog.unnest(");
	if (status == FMT_OK)
		status = append_array(out, walk, edge, is_guarded);
	return status == FMT_OK
		   ? fmt_buf_append_text(out, ") AS \"walk e\"(\"walk v\")")
		   : status;
}

/* An index of arrays finds those with an element; the elements themselves are
 * compared none the less. */
static bool
is_by_element(const struct bkp_walk *walk, const struct bkp_walk_edge *edge)
{
	const struct bkp_model_table *child = &walk->model.tables[edge->child];
	const struct bkp_model_column *column;
	const char *value;

	if (edge->key != NULL || !edge->map->is_array)
		return false;
	value = edge->map->child_values.items[0];
	column = parent_column(walk, edge, 0);
	return bkp_model_is_array_of(child, value, column) &&
	       find_operator(walk, column->type_oid) == NULL &&
	       find_collation(walk, child->oid, value) == NULL &&
	       find_collation(walk, walk->model.tables[edge->parent].oid,
		   column->name) == NULL;
}

enum fmt_status
bkp_walk_append_child(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const struct bkp_model_leaf *leaf,
    bool is_guarded)
{
	const struct bkp_model_table *child = &walk->model.tables[edge->child];
	enum fmt_status status =
	    bkp_pg_sql(out, "(SELECT %I.tableoid AS rel, %I.ctid AS tid",
		child->name, child->name);

	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++) {
		status = fmt_buf_append_text(out, ", ");
		if (status == FMT_OK)
			status = bkp_walk_append_value(
			    out, walk, edge, i, is_guarded);
		if (status == FMT_OK)
			status = bkp_pg_sql(out, " AS v%u", (unsigned)i);
	}
	if (status == FMT_OK && is_by_element(walk, edge))
		status = bkp_pg_sql(out, ", %I.%I AS \"walk a\"", child->name,
		    edge->map->child_values.items[0]);
	if (status == FMT_OK)
		status = leaf != NULL ? bkp_pg_sql(out, " FROM ONLY %s AS %I",
					    leaf->quoted, child->name)
				      : bkp_walk_append_from(out, child);
	if (status == FMT_OK)
		status = append_elements(out, walk, edge, is_guarded);
	if (status == FMT_OK && condition(edge) != NULL)
		status = bkp_pg_sql(out, " WHERE (%s)", condition(edge));
	return status == FMT_OK ? fmt_buf_append_byte(out, ')') : status;
}

enum fmt_status
bkp_walk_append_join(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const char *alias)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++) {
		struct fmt_buf left = FMT_BUF_INIT;

		status = fmt_buf_printf(&left, "%s.v%u", alias, (unsigned)i);
		if (status == FMT_OK && fmt_buf_text(&left) == NULL)
			status = FMT_NOMEM;
		if (status == FMT_OK && i > 0)
			status = fmt_buf_append_text(out, " AND ");
		if (status == FMT_OK)
			status = bkp_walk_append_equal(
			    out, walk, edge, i, (const char *)left.data, "p");
		fmt_buf_free(&left);
	}
	return status;
}

/* ---- following ---- */

enum bkp_decided
bkp_walk_reaches_from(enum bkp_decided decided)
{
	if (decided == BKP_ACTOR)
		return BKP_OWN;
	return decided;
}

static enum fmt_status
append_frontier(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const struct bkp_model_leaf *leaf,
    bool is_first)
{
	return bkp_pg_sql(out,
	    " WHERE w.rel = %u AND w.decided <= %u AND w.round %s %u",
	    leaf->oid, (unsigned)bkp_walk_reaches_from(edge->decided),
	    is_first ? "<" : "=", is_first ? walk->round : walk->round - 1);
}

/* Rows that refer to what was reached. */
static enum fmt_status
append_down(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const struct bkp_model_leaf *leaf,
    bool is_first, bool is_guarded)
{
	enum fmt_status status = bkp_pg_sql(out,
	    " c.rel, c.tid, w.tid AS from_tid FROM pg_temp.walk_%u w"
	    " JOIN ONLY %s p ON p.ctid = w.tid JOIN ",
	    (unsigned)edge->parent, leaf->quoted);

	if (status == FMT_OK)
		status =
		    bkp_walk_append_child(out, walk, edge, NULL, is_guarded);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " c ON ");
	if (status == FMT_OK)
		status = bkp_walk_append_join(out, walk, edge, "c");
	if (status == FMT_OK && is_by_element(walk, edge))
		status = bkp_pg_sql(out, " AND c.\"walk a\" @> ARRAY[p.%I]",
		    parent_column(walk, edge, 0)->name);
	if (status == FMT_OK)
		status = append_frontier(out, walk, edge, leaf, is_first);
	return status;
}

static enum fmt_status
append_values(struct fmt_buf *out, const struct bkp_walk_edge *edge)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++)
		status =
		    bkp_pg_sql(out, i > 0 ? ", c.v%u" : "c.v%u", (unsigned)i);
	return status;
}

/* Rows that are referred to by what was reached: many refer to one, so equal
 * references are one before they are looked for. */
static enum fmt_status
append_up(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const struct bkp_model_leaf *leaf,
    bool is_first, bool is_guarded)
{
	const struct bkp_model_table *parent =
	    &walk->model.tables[edge->parent];
	enum fmt_status status = bkp_pg_sql(
	    out, " p.tableoid AS rel, p.ctid AS tid, v.from_tid FROM (SELECT ");

	if (status == FMT_OK)
		status = append_values(out, edge);
	if (status == FMT_OK)
		status = bkp_pg_sql(out,
		    ", pg_catalog.min(w.tid) AS from_tid"
		    " FROM pg_temp.walk_%u w JOIN ",
		    (unsigned)edge->child);
	if (status == FMT_OK)
		status =
		    bkp_walk_append_child(out, walk, edge, leaf, is_guarded);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " c ON c.tid = w.tid");
	if (status == FMT_OK)
		status = append_frontier(out, walk, edge, leaf, is_first);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " GROUP BY ");
	if (status == FMT_OK)
		status = append_values(out, edge);
	if (status == FMT_OK)
		status = bkp_pg_sql(out, ") v JOIN %s%s p ON ",
		    bkp_walk_is_partitioned(parent) ? "" : "ONLY ",
		    parent->quoted);
	return status == FMT_OK ? bkp_walk_append_join(out, walk, edge, "v")
				: status;
}

bool
bkp_walk_is_merged(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge)
{
	for (size_t i = 0; edge->list != 0 && i < walk->list_count; i++)
		if (walk->lists[i].table == bkp_walk_target(edge) &&
		    walk->lists[i].decided == edge->decided &&
		    walk->lists[i].bit != edge->list)
			return true;
	return false;
}

enum fmt_status
bkp_walk_append_follow(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t at, bool is_first, bool is_guarded)
{
	const struct bkp_model_leaf *leaf =
	    &walk->model.tables[bkp_walk_source(edge)].leaves[at];
	enum fmt_status status = bkp_pg_sql(out,
	    "INSERT INTO pg_temp.walk_%u AS o (rel, tid, decided, edge,"
	    " from_rel, from_tid, round, lists) "
	    "SELECT n.rel, n.tid, %u, %u, %u, n.from_tid, %u, %llu FROM "
	    "(SELECT%s",
	    (unsigned)bkp_walk_target(edge), (unsigned)edge->decided,
	    (unsigned)(edge - walk->edges), leaf->oid, walk->round,
	    (unsigned long long)edge->list,
	    bkp_walk_is_merged(walk, edge) ? " DISTINCT ON (rel, tid)" : "");

	if (status == FMT_OK)
		status = edge->is_up ? append_up(out, walk, edge, leaf,
					   is_first, is_guarded)
				     : append_down(out, walk, edge, leaf,
					   is_first, is_guarded);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, ") n");
	if (status != FMT_OK || !walk->sets[bkp_walk_target(edge)].is_unique)
		return status;
	status = fmt_buf_append_text(out, " ON CONFLICT (rel, tid) DO ");
	if (status != FMT_OK)
		return status;
	if (!bkp_walk_is_merged(walk, edge))
		return fmt_buf_append_text(out, "NOTHING");
	/* Reached a second time: it gives what both edges give. */
	return fmt_buf_append_text(out,
	    "UPDATE SET lists = o.lists | excluded.lists "
	    "WHERE o.decided = excluded.decided"
	    " AND o.lists & excluded.lists = 0");
}

/* A condition stands around its value: nothing is tried twice here. */
enum fmt_status
bkp_walk_append_referring(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const struct bkp_model_leaf *leaf)
{
	enum fmt_status status = bkp_pg_sql(out,
	    "SELECT DISTINCT c.rel, c.tid FROM pg_temp.walk_%u w"
	    " JOIN ONLY %s p ON p.ctid = w.tid JOIN ",
	    (unsigned)edge->parent, leaf->quoted);

	if (status == FMT_OK)
		status = bkp_walk_append_child(
		    out, walk, edge, NULL, condition(edge) != NULL);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " c ON ");
	if (status == FMT_OK)
		status = bkp_walk_append_join(out, walk, edge, "c");
	if (status == FMT_OK)
		status = bkp_pg_sql(out, " WHERE w.rel = %u", leaf->oid);
	if (status == FMT_OK && walk->sets[edge->child].is_used)
		status = bkp_pg_sql(out,
		    " AND NOT EXISTS (SELECT FROM pg_temp.walk_%u x"
		    " WHERE x.rel = c.rel AND x.tid = c.tid)",
		    (unsigned)edge->child);
	return status;
}
