/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References of many types by one column: (subject_type, subject_id) with a
 * reference for each type, told apart by its condition. A type that none of
 * them is for is no mistake that the server can see, and must not pass in
 * silence.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/walk_impl.h"

#define NAMED_MAX 5 /* types that a message lists */

/* ---- groups ---- */

static bool
is_typed(const struct bkp_walk_edge *edge)
{
	return edge->key == NULL && edge->map->when != NULL &&
	       edge->map->child_values.count == 1 && !edge->map->is_array;
}

static bool
is_same_group(const struct bkp_walk_edge *a, const struct bkp_walk_edge *b)
{
	return is_typed(a) && is_typed(b) && a->child == b->child &&
	       strcmp(a->map->child_values.items[0],
		   b->map->child_values.items[0]) == 0;
}

/* "concat_ws(', ', kind)": the columns that the edge's condition is about. */
static enum fmt_status
append_types(struct fmt_buf *sql, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge)
{
	const struct bkp_model_table *t = &walk->model.tables[edge->child];
	enum fmt_status status =
	    fmt_buf_append_text(sql, "pg_catalog.concat_ws(', ', ''");

	for (size_t i = 0; status == FMT_OK && i < t->column_count; i++)
		if (bkp_subject_mentions(edge->map->when, t->columns[i].name))
			status = bkp_pg_sql(
			    sql, ", %I.%I", t->name, t->columns[i].name);
	return status == FMT_OK ? fmt_buf_append_byte(sql, ')') : status;
}

static enum fmt_status
append_conditions(struct fmt_buf *sql, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge)
{
	enum fmt_status status = FMT_OK;
	bool is_first = true;

	for (size_t i = 0; status == FMT_OK && i < walk->edge_count; i++) {
		if (!is_same_group(edge, &walk->edges[i]))
			continue;
		status = bkp_pg_sql(sql, "%s(%s) IS NOT TRUE",
		    is_first ? " WHERE " : " AND ", walk->edges[i].map->when);
		is_first = false;
	}
	return status;
}

/* Values are compared as text where they are of two types: what is of an
 * unknown type may be anything. */
static enum fmt_status
append_unknown(struct fmt_buf *sql, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t column,
    const struct bkp_model_leaf *leaf)
{
	const struct bkp_model_table *child = &walk->model.tables[edge->child];
	const struct bkp_model_column *of_parent =
	    &walk->model.tables[edge->parent]
		 .columns[bkp_walk_parent_column(walk, edge, 0)];
	bool is_same = child->columns[column].type_oid == of_parent->type_oid;
	enum fmt_status status =
	    bkp_pg_sql(sql, "SELECT c.kind, count(*) FROM (SELECT ");

	if (status == FMT_OK)
		status = append_types(sql, walk, edge);
	if (status == FMT_OK)
		status = bkp_pg_sql(sql, " AS kind, %I.%I AS v0", child->name,
		    child->columns[column].name);
	if (status == FMT_OK)
		status = bkp_walk_append_from(sql, child);
	if (status == FMT_OK)
		status = append_conditions(sql, walk, edge);
	if (status == FMT_OK)
		status = bkp_pg_sql(sql,
		    ") c JOIN (SELECT DISTINCT p.%I AS k"
		    " FROM pg_temp.walk_%u w JOIN ONLY %s p ON p.ctid = w.tid"
		    " WHERE w.rel = %u AND w.decided = %u) o ON ",
		    of_parent->name, (unsigned)edge->parent, leaf->quoted,
		    leaf->oid, (unsigned)BKP_OWN);
	if (status == FMT_OK && is_same) {
		status = fmt_buf_append_text(sql, "c.v0");
		if (status == FMT_OK)
			status = bkp_walk_append_operator(sql, walk, of_parent);
		if (status == FMT_OK)
			status = fmt_buf_append_text(sql, " o.k");
	} else if (status == FMT_OK) {
		status = fmt_buf_append_text(sql, "c.v0::text = o.k::text");
	}
	return status == FMT_OK
		   ? fmt_buf_append_text(sql, " GROUP BY 1 ORDER BY 1")
		   : status;
}

static int
tell(struct bkp_walk *walk, const struct bkp_walk_edge *edge, PGresult *result,
    struct bkp_error *err)
{
	struct fmt_buf types = FMT_BUF_INIT;
	unsigned long long rows = 0;
	enum fmt_status status = FMT_OK;
	int rc = -1;

	for (int i = 0; status == FMT_OK && i < PQntuples(result); i++) {
		/* concat_ws began with an empty value. */
		const char *type = PQgetvalue(result, i, 0);

		rows += strtoull(PQgetvalue(result, i, 1), NULL, 10);
		type += strncmp(type, ", ", 2) == 0 ? 2 : 0;
		if (i < NAMED_MAX)
			status = fmt_buf_printf(
			    &types, i > 0 ? "; '%s'" : "'%s'", type);
	}
	if (status != FMT_OK || fmt_buf_text(&types) == NULL)
		(void)bkp_fail_nomem(err, "reporting unknown types");
	else
		rc = bkp_run_omit(walk->run, err,
		    walk->model.tables[edge->child].id,
		    "%llu rows may refer to the subject's by %s, and no "
		    "reference of the map is for their type (%s): declare one, "
		    "or one that skips them with its reason",
		    rows, edge->map->child_values.items[0],
		    (const char *)types.data);
	fmt_buf_free(&types);
	return rc;
}

/* Looks for rows of an unknown type that have the key of a row of this
 * edge's parent. */
static int
look(struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t column,
    bool *is_told, struct bkp_error *err)
{
	const struct bkp_model_table *parent =
	    &walk->model.tables[edge->parent];

	for (size_t i = 0; !*is_told && i < parent->leaf_count; i++) {
		struct fmt_buf sql = FMT_BUF_INIT;
		PGresult *result = NULL;
		int rc = -1;

		if (append_unknown(&sql, walk, edge, column,
			&parent->leaves[i]) != FMT_OK ||
		    fmt_buf_text(&sql) == NULL)
			(void)bkp_fail_nomem(err, "looking at types");
		else
			rc = bkp_pg_query(&walk->pg, (const char *)sql.data, 0,
			    NULL, &result, err);
		if (rc == 0 && PQntuples(result) > 0) {
			*is_told = true;
			rc = tell(walk, edge, result, err);
		}
		PQclear(result);
		fmt_buf_free(&sql);
		if (rc < 0)
			return bkp_fail_in(err, "the types of %s", edge->id);
	}
	return 0;
}

static int
report_group(struct bkp_walk *walk, size_t first, struct bkp_error *err)
{
	bool is_told = false;
	size_t column;

	if (!bkp_walk_child_column(walk, &walk->edges[first], 0, &column))
		return 0;
	for (size_t i = first; i < walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &walk->edges[i];

		if (!is_same_group(&walk->edges[first], edge) ||
		    !bkp_walk_can_read(walk, edge) ||
		    walk->sets[edge->parent].rows == 0)
			continue;
		if (look(walk, edge, column, &is_told, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_walk_report_types(struct bkp_walk *walk, struct bkp_error *err)
{
	for (size_t i = 0; i < walk->edge_count; i++) {
		bool is_first = true, is_group = false;

		for (size_t k = 0; k < walk->edge_count; k++)
			if (k != i &&
			    is_same_group(&walk->edges[i], &walk->edges[k])) {
				is_group = true;
				is_first = is_first && k > i;
			}
		if (is_group && is_first && report_group(walk, i, err) < 0)
			return -1;
	}
	return 0;
}
