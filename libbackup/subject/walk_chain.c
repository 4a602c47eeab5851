/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables whose rows the foreign keys alone tell, from the subject down: each
 * row has one parent, and nothing but other such tables is reached from it.
 * Where rows are only to be read, the question takes the place of the answer:
 * the statement that reads them goes by the keys, as one written by hand does,
 * and no row is found first, put into a temporary table and then found again.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

/* The planner puts so many tables in an order of its own, and more of them in
 * that of the statement. */
#define LINKS_MAX 5

bool
bkp_walk_is_chain(const struct bkp_walk *walk, size_t table)
{
	return walk->sets[table].chain != NULL;
}

/* ---- which tables ---- */

/* A table of which nothing is given is told by the rows that it has. */
static bool
gives_columns(const struct bkp_walk *walk, size_t table)
{
	const struct bkp_model_table *t = &walk->model.tables[table];
	const struct bkp_map_table *map = bkp_map_table(walk->map, t->id);

	for (size_t i = 0; i < t->column_count; i++) {
		const struct bkp_map_column *column =
		    bkp_map_column(map, t->columns[i].name);
		enum bkp_origin origin =
		    map != NULL ? map->origin : BKP_ORIGIN_UNKNOWN;

		if (column != NULL && column->origin != BKP_ORIGIN_UNKNOWN)
			origin = column->origin;
		if (origin != BKP_DERIVED &&
		    (column == NULL || column->treatment != BKP_OMIT))
			return true;
	}
	return false;
}

/* Others ask for its rows by where they stand: files that they name, and
 * references of an unknown type. */
static bool
is_asked_for(const struct bkp_walk *walk, size_t table)
{
	for (size_t i = 0; i < walk->map->file_count; i++)
		if (strcmp(walk->map->files[i].table,
			walk->model.tables[table].id) == 0)
			return true;
	for (size_t i = 0; i < walk->edge_count; i++)
		if (walk->edges[i].key == NULL &&
		    walk->edges[i].parent == table)
			return true;
	return false;
}

/* The only edge to a table, where it may be one of a chain. */
static const struct bkp_walk_edge *
find_edge(const struct bkp_walk *walk, size_t table)
{
	const struct bkp_walk_edge *found = NULL;

	for (size_t i = 0; i < walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &walk->edges[i];

		if (bkp_walk_target(edge) == table &&
		    bkp_walk_is_followed(walk, edge))
			found = edge;
	}
	if (found == NULL || found->decided != BKP_OWN ||
	    walk->sets[table].is_unique || table == walk->subject ||
	    bkp_walk_is_partitioned(&walk->model.tables[table]) ||
	    !gives_columns(walk, table) || is_asked_for(walk, table))
		return NULL;
	return found;
}

/* Of a chain that is too long, or that has no beginning for its tables refer
 * to each other, what is above LINKS_MAX is none. */
static bool
cut(struct bkp_walk *walk, size_t table)
{
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		if (!bkp_walk_is_chain(walk, table))
			return false;
		table = walk->sets[table].chain->parent;
	}
	if (!bkp_walk_is_chain(walk, table))
		return false;
	walk->sets[table].chain = NULL;
	return true;
}

void
bkp_walk_find_chains(struct bkp_walk *walk)
{
	bool is_more = true;

	for (size_t i = 0; i < walk->model.table_count; i++)
		if (walk->sets[i].has_edge)
			walk->sets[i].chain = find_edge(walk, i);
	while (is_more) {
		is_more = false;
		for (size_t i = 0; i < walk->model.table_count; i++)
			is_more |= bkp_walk_is_chain(walk, i) && cut(walk, i);
		for (size_t i = 0; i < walk->edge_count; i++) {
			const struct bkp_walk_edge *edge = &walk->edges[i];
			size_t source = bkp_walk_source(edge);

			if (!bkp_walk_is_followed(walk, edge) ||
			    !bkp_walk_is_chain(walk, source) ||
			    bkp_walk_is_chain(walk, bkp_walk_target(edge)))
				continue;
			walk->sets[source].chain = NULL;
			is_more = true;
		}
	}
}

/* ---- where a chain begins ---- */

bool
bkp_walk_hangs_on_subject(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge)
{
	return edge->parent == walk->subject &&
	       !walk->sets[walk->subject].has_edge;
}

bool
bkp_walk_is_chain_empty(const struct bkp_walk *walk, size_t table)
{
	while (bkp_walk_is_chain(walk, table))
		table = walk->sets[table].chain->parent;
	return walk->sets[table].rows == 0;
}

static bool
is_referred_to(const struct bkp_walk *walk, size_t column)
{
	for (size_t i = 0; i < walk->model.table_count; i++) {
		const struct bkp_walk_edge *edge = walk->sets[i].chain;

		for (size_t k = 0;
		     edge != NULL && bkp_walk_hangs_on_subject(walk, edge) &&
		     k < bkp_walk_pair_count(edge);
		     k++)
			if (edge->key->parent_columns[k] == column)
				return true;
	}
	return false;
}

/* What chains hang on, as text, the other columns unread: with the subject's
 * own values in it the planner sees how many rows there are that have them. */
int
bkp_walk_read_subject(struct bkp_walk *walk, struct bkp_error *err)
{
	const struct bkp_model_table *t = &walk->model.tables[walk->subject];
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&sql, "SELECT ");
	int rc = -1;

	for (size_t i = 0; status == FMT_OK && i < t->column_count; i++)
		status = is_referred_to(walk, i)
			     ? bkp_pg_sql(&sql, "%sp.%I", i > 0 ? ", " : "",
				   t->columns[i].name)
			     : bkp_pg_sql(&sql, "%sNULL", i > 0 ? ", " : "");
	if (status == FMT_OK)
		status = bkp_pg_sql(&sql,
		    " FROM pg_temp.walk_%u w JOIN ONLY %s p ON p.ctid = w.tid"
		    " WHERE w.round = 0",
		    (unsigned)walk->subject, t->quoted);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "reading the subject");
	else
		rc = bkp_pg_query(&walk->pg, (const char *)sql.data, 0, NULL,
		    &walk->subject_row, err);
	fmt_buf_free(&sql);
	return rc;
}

/* ---- statements ---- */

/* Where a table of a chain is so far above the one that is read. */
static enum fmt_status
print_alias(struct fmt_buf *out, unsigned above)
{
	enum fmt_status status = fmt_buf_printf(out, "\"walk %u\"", above);

	return status == FMT_OK && fmt_buf_text(out) == NULL ? FMT_NOMEM
							     : status;
}

/* "child.a", of an edge's pair; behind AND where others came before. */
static enum fmt_status
print_child(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair, const char *child)
{
	const struct bkp_model_table *t = &walk->model.tables[edge->child];
	enum fmt_status status =
	    bkp_pg_sql(out, "%s%s.%I", pair > 0 ? " AND " : "", child,
		t->columns[edge->key->child_columns[pair]].name);

	return status == FMT_OK && fmt_buf_text(out) == NULL ? FMT_NOMEM
							     : status;
}

/* "child.a = parent.b AND ...", of the aliases as they are quoted. */
static enum fmt_status
append_pairs(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const char *child, const char *parent)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++) {
		struct fmt_buf left = FMT_BUF_INIT;

		status = print_child(&left, walk, edge, i, child);
		if (status == FMT_OK)
			status = bkp_walk_append_equal(out, walk, edge, i,
			    (const char *)left.data, parent);
		fmt_buf_free(&left);
	}
	return status;
}

/* The subject is one row, and its values are known. */
static enum fmt_status
append_values(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const char *child)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++) {
		int column = (int)edge->key->parent_columns[i];

		if (PQgetisnull(walk->subject_row, 0, column))
			return fmt_buf_append_text(out, "false");
	}
	for (size_t i = 0; status == FMT_OK && i < bkp_walk_pair_count(edge);
	     i++) {
		struct fmt_buf left = FMT_BUF_INIT;

		status = print_child(&left, walk, edge, i, child);
		if (status == FMT_OK)
			status = bkp_walk_append_equal_value(out, walk, edge, i,
			    (const char *)left.data,
			    PQgetvalue(walk->subject_row, 0,
				(int)edge->key->parent_columns[i]));
		fmt_buf_free(&left);
	}
	return status;
}

/* What is above `child`, whose edge it is: joined, or, where `where` is asked
 * for, what must hold of the last. */
static enum fmt_status
append_above(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const char *child, unsigned above,
    bool is_where)
{
	struct fmt_buf alias = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;

	if (bkp_walk_hangs_on_subject(walk, edge))
		return is_where ? append_values(out, walk, edge, child)
				: FMT_OK;
	status = print_alias(&alias, above);
	if (status == FMT_OK && !is_where)
		status = bkp_pg_sql(out, " JOIN ONLY %s AS %s ON ",
		    walk->model.tables[edge->parent].quoted,
		    (const char *)alias.data);
	if (status == FMT_OK && !is_where)
		status = append_pairs(
		    out, walk, edge, child, (const char *)alias.data);
	if (status != FMT_OK)
		goto out;
	if (bkp_walk_is_chain(walk, edge->parent))
		status = append_above(out, walk, walk->sets[edge->parent].chain,
		    (const char *)alias.data, above + 1, is_where);
	else if (is_where)
		status = bkp_pg_sql(
		    out, "\"walk w\".decided = %u", (unsigned)BKP_OWN);
	else
		status = bkp_pg_sql(out,
		    " JOIN pg_temp.walk_%u AS \"walk w\""
		    " ON \"walk w\".tid = %s.ctid",
		    (unsigned)edge->parent, (const char *)alias.data);
out:
	fmt_buf_free(&alias);
	return status;
}

enum fmt_status
bkp_walk_append_chain(
    struct fmt_buf *out, const struct bkp_walk *walk, size_t table)
{
	const struct bkp_model_table *t = &walk->model.tables[table];
	const struct bkp_walk_edge *edge = walk->sets[table].chain;
	struct fmt_buf alias = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_quote(&alias, t->name);

	if (status == FMT_OK && fmt_buf_text(&alias) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		status = bkp_walk_append_from(out, t);
	if (status == FMT_OK)
		status = append_above(
		    out, walk, edge, (const char *)alias.data, 1, false);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, " WHERE ");
	if (status == FMT_OK)
		status = append_above(
		    out, walk, edge, (const char *)alias.data, 1, true);
	fmt_buf_free(&alias);
	return status;
}

enum fmt_status
bkp_walk_append_chain_link(
    struct fmt_buf *out, const struct bkp_walk *walk, size_t table)
{
	return append_pairs(out, walk, walk->sets[table].chain, "c", "p");
}
