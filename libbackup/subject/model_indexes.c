/* SPDX-License-Identifier: Apache-2.0 */
/* Which edges an index helps to follow from parent to child. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/model_own.h"

/* A row a column, NULL for an expression. An index that holds only rows whose
 * first column is not null finds every reference. */
static const char indexes_sql[] =
    "SELECT i.indrelid, i.indexrelid, a.attname "
    "FROM " MODEL_FROM " JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid"
    " JOIN pg_class x ON x.oid = i.indexrelid"
    " JOIN pg_am m ON m.oid = x.relam AND m.amname IN ('btree', 'hash')"
    " CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, place)"
    " LEFT JOIN pg_attribute a ON a.attrelid = c.oid"
    "  AND a.attnum = k.attnum AND k.attnum <> 0 "
    "WHERE c.relkind = 'r' AND k.place <= i.indnkeyatts"
    " AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ="
    "  (SELECT format('(%I IS NOT NULL)', f.attname) FROM pg_attribute f"
    "   WHERE f.attrelid = c.oid AND f.attnum = i.indkey[0])) "
    "ORDER BY i.indrelid, i.indexrelid, k.place";

enum { I_TABLE, I_INDEX, I_COLUMN };

static bool
is_among(const struct bkp_model_table *table, const struct bkp_model_edge *edge,
    const char *name)
{
	for (size_t i = 0; i < edge->column_count; i++)
		if (strcmp(table->columns[edge->child_columns[i]].name, name) ==
		    0)
			return true;
	return false;
}

/* The first row of the leaf, or the number of rows. */
static int
find_leaf(const PGresult *result, unsigned leaf)
{
	int low = 0, high = PQntuples(result);

	while (low < high) {
		struct model_row row = {result, low + (high - low) / 2};

		if (bkp_model_row_oid(&row, I_TABLE) < leaf)
			low = row.number + 1;
		else
			high = row.number;
	}
	return low;
}

static bool
is_leaf_indexed(const PGresult *result, const struct bkp_model_table *table,
    const struct bkp_model_edge *edge, unsigned leaf)
{
	struct model_row row = {result, find_leaf(result, leaf)};
	unsigned index = 0;
	size_t matching = 0;

	for (; row.number < PQntuples(result) &&
	       bkp_model_row_oid(&row, I_TABLE) == leaf;
	     row.number++) {
		if (bkp_model_row_oid(&row, I_INDEX) != index)
			matching = 0;
		else if (matching == SIZE_MAX)
			continue;
		index = bkp_model_row_oid(&row, I_INDEX);
		if (is_among(table, edge, bkp_model_row_text(&row, I_COLUMN)))
			matching++;
		else
			matching = SIZE_MAX;
		if (matching == edge->column_count)
			return true;
	}
	return false;
}

int
bkp_model_read_indexes(struct model_reader *r, struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(r->pg, indexes_sql, 0, NULL, &result, err) < 0)
		return -1;
	for (size_t i = 0; i < r->model->edge_count; i++) {
		struct bkp_model_edge *edge = &r->model->edges[i];
		const struct bkp_model_table *table =
		    &r->model->tables[edge->child];

		edge->is_child_indexed = true;
		for (size_t n = 0; !table->is_foreign && n < table->leaf_count;
		     n++)
			edge->is_child_indexed &= is_leaf_indexed(
			    result, table, edge, table->leaves[n].oid);
	}
	PQclear(result);
	return 0;
}
