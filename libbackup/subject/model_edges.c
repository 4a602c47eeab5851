/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign keys, folded to the tables that maps know, and what their parts do
 * not agree on. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/model_own.h"
#include "libbackup/subject/names.h"

/* A row a column, those of a constraint together. The last column of a
 * constraint with PERIOD, which servers have since 18, is no reference of its
 * own. */
#define CONSTRAINTS(has_period)                                                \
	"SELECT k.oid, k.conname, k.conrelid, k.confrelid,"                    \
	" k.confdeltype = 'c', k.confmatchtype = 'f', a.attname, b.attname "   \
	"FROM pg_constraint k"                                                 \
	" CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY"      \
	"  x(child, parent, place)"                                            \
	" JOIN pg_attribute a ON a.attrelid = k.conrelid"                      \
	"  AND a.attnum = x.child"                                             \
	" JOIN pg_attribute b ON b.attrelid = k.confrelid"                     \
	"  AND b.attnum = x.parent "                                           \
	"WHERE k.contype = 'f' AND NOT (" has_period                           \
	" AND x.place = cardinality(k.conkey)) "                               \
	"ORDER BY k.oid, x.place"

enum {
	K_OID,
	K_NAME,
	K_CHILD,
	K_PARENT,
	K_IS_CASCADE,
	K_IS_MATCH_FULL,
	K_CHILD_COLUMN,
	K_PARENT_COLUMN
};

#define COLUMNS_MAX 32

/* A constraint on its way to being an edge. */
struct draft {
	struct bkp_model_edge edge;
	unsigned relation; /* that carries the constraint */
};

struct drafts {
	struct draft *items;
	size_t count, cap;
};

static void
free_edge(struct bkp_model_edge *edge)
{
	free(edge->child_columns);
	free(edge->parent_columns);
	free(edge->constraint);
	free(edge->id);
}

/* Names and columns of the edge, from the pairs of one constraint. */
static int
fill_edge(const struct model_reader *r, struct bkp_model_edge *edge,
    struct bkp_subject_pair *pairs, size_t count, struct bkp_error *err)
{
	const struct bkp_model_table *child = &r->model->tables[edge->child];
	const struct bkp_model_table *parent = &r->model->tables[edge->parent];
	struct fmt_buf id = FMT_BUF_INIT;

	if (bkp_subject_edge(&id, child->id, parent->id, pairs, count) !=
		FMT_OK ||
	    fmt_buf_text(&id) == NULL)
		(void)bkp_fail_nomem(err, "reading the catalogue");
	else
		edge->id = bkp_strdup((const char *)id.data, err);
	fmt_buf_free(&id);
	edge->child_columns = bkp_alloc_array(count, sizeof(size_t), err);
	edge->parent_columns = bkp_alloc_array(count, sizeof(size_t), err);
	if (edge->id == NULL || edge->child_columns == NULL ||
	    edge->parent_columns == NULL)
		return -1;
	edge->column_count = count;
	for (size_t i = 0; i < count; i++) {
		edge->child_columns[i] =
		    bkp_model_column(child, pairs[i].child);
		edge->parent_columns[i] =
		    bkp_model_column(parent, pairs[i].parent);
	}
	return 0;
}

/* The constraint whose rows begin here; *row moves to its last. */
static int
add_draft(struct model_reader *r, struct model_row *row, struct drafts *drafts,
    struct bkp_error *err)
{
	const struct model_relation *child, *parent;
	struct bkp_subject_pair pairs[COLUMNS_MAX];
	unsigned oid = bkp_model_row_oid(row, K_OID);
	struct model_row first = *row;
	struct draft *draft;
	size_t count = 0;

	for (; row->number < PQntuples(row->result) &&
	       bkp_model_row_oid(row, K_OID) == oid;
	     row->number++)
		if (count < COLUMNS_MAX)
			pairs[count++] = (struct bkp_subject_pair){
			    bkp_model_row_text(row, K_CHILD_COLUMN),
			    bkp_model_row_text(row, K_PARENT_COLUMN), 0};
	row->number--;
	child = bkp_model_relation(r, bkp_model_row_oid(&first, K_CHILD));
	parent = bkp_model_relation(r, bkp_model_row_oid(&first, K_PARENT));
	if (child == NULL || parent == NULL || child->table == SIZE_MAX ||
	    parent->table == SIZE_MAX)
		return 0;
	if (bkp_grow(&drafts->items, drafts->count, &drafts->cap,
		sizeof(*drafts->items), err) < 0)
		return -1;
	draft = &drafts->items[drafts->count++];
	*draft = (struct draft){.relation = child->oid};
	draft->edge.child = child->table;
	draft->edge.parent = parent->table;
	draft->edge.is_cascade = bkp_model_row_is(&first, K_IS_CASCADE);
	draft->edge.is_match_full = bkp_model_row_is(&first, K_IS_MATCH_FULL);
	if (bkp_model_row_copy(&first, K_NAME, &draft->edge.constraint, err) <
	    0)
		return -1;
	return fill_edge(r, &draft->edge, pairs, count, err);
}

static int
read_drafts(
    struct model_reader *r, struct drafts *drafts, struct bkp_error *err)
{
	PGresult *result = NULL;
	struct model_row row;
	int rc = 0;

	if (bkp_pg_query(r->pg,
		bkp_pg_major(r->pg) >= 18 ? CONSTRAINTS("k.conperiod")
					  : CONSTRAINTS("false"),
		0, NULL, &result, err) < 0)
		return -1;
	row = (struct model_row){.result = result};
	for (; rc == 0 && row.number < PQntuples(result); row.number++)
		rc = add_draft(r, &row, drafts, err);
	PQclear(result);
	return rc;
}

/* By edge, then by what carries it, then by name. */
static int
compare_drafts(const void *a, const void *b)
{
	const struct draft *left = a, *right = b;
	int order = strcmp(left->edge.id, right->edge.id);

	if (order == 0 && left->relation != right->relation)
		order = left->relation < right->relation ? -1 : 1;
	return order != 0
		   ? order
		   : strcmp(left->edge.constraint, right->edge.constraint);
}

/* ---- those who do not agree ---- */

/* The drafts of one edge. */
struct bearers {
	const struct draft *items;
	size_t count;
};

static bool
bears(const struct bearers *bearers, unsigned relation)
{
	size_t low = 0, high = bearers->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bearers->items[middle].relation == relation)
			return true;
		if (bearers->items[middle].relation < relation)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* True where the leaf, or what it is a partition of, has the constraint. */
static bool
is_covered(
    const struct model_reader *r, const struct bearers *bearers, unsigned leaf)
{
	const struct model_relation *relation = bkp_model_relation(r, leaf);

	for (; relation != NULL;
	     relation = bkp_model_relation(r, relation->above)) {
		if (bears(bearers, relation->oid))
			return true;
		if (relation->above == 0)
			break;
	}
	return false;
}

static int
add_split(struct model_reader *r, const struct bkp_model_split *split,
    struct bkp_error *err)
{
	struct bkp_model *model = r->model;

	if (split->with == NULL || split->without == NULL ||
	    bkp_grow(&model->splits, model->split_count, &model->split_cap,
		sizeof(*model->splits), err) < 0) {
		free(split->with);
		free(split->without);
		return -1;
	}
	model->splits[model->split_count++] = *split;
	return 0;
}

/* The ids of the leaves that have the constraint, or have it not. */
static char *
list_leaves(const struct model_reader *r, const struct bkp_model_table *table,
    const struct bearers *bearers, bool is_with, struct bkp_error *err)
{
	struct fmt_buf list = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	char *text = NULL;

	for (size_t i = 0; status == FMT_OK && i < table->leaf_count; i++) {
		unsigned leaf = table->leaves[i].oid;

		if (is_covered(r, bearers, leaf) == is_with)
			status = fmt_buf_printf(&list, "%s%s",
			    list.len > 0 ? ", " : "",
			    bkp_model_relation(r, leaf)->id);
	}
	if (status != FMT_OK || fmt_buf_text(&list) == NULL)
		(void)bkp_fail_nomem(err, "reading the catalogue");
	else
		text = bkp_strdup((const char *)list.data, err);
	fmt_buf_free(&list);
	return text;
}

static int
compare_leaves(struct model_reader *r, size_t edge,
    const struct bearers *bearers, struct bkp_error *err)
{
	const struct bkp_model_table *table =
	    &r->model->tables[r->model->edges[edge].child];
	struct bkp_model_split split = {.edge = edge};
	size_t covered = 0;

	for (size_t i = 0; i < table->leaf_count; i++)
		covered += is_covered(r, bearers, table->leaves[i].oid);
	if (covered == table->leaf_count)
		return 0;
	split.with = list_leaves(r, table, bearers, true, err);
	split.without = list_leaves(r, table, bearers, false, err);
	return add_split(r, &split, err);
}

/* ---- inheritance ---- */

static bool
has_edge_like(const struct bkp_model *model, size_t table, size_t like)
{
	const struct bkp_model_edge *edge = &model->edges[like];

	for (size_t i = 0; i < model->edge_count; i++) {
		const struct bkp_model_edge *other = &model->edges[i];
		size_t n = 0;

		if (other->child != table || other->parent != edge->parent ||
		    other->column_count != edge->column_count)
			continue;
		while (n < edge->column_count &&
		       other->parent_columns[n] == edge->parent_columns[n] &&
		       strcmp(model->tables[table]
				  .columns[other->child_columns[n]]
				  .name,
			   model->tables[edge->child]
			       .columns[edge->child_columns[n]]
			       .name) == 0)
			n++;
		if (n == edge->column_count)
			return true;
	}
	return false;
}

/* What `table` lacks of the foreign keys of `parent`, and of those above. */
static int
compare_parents(
    struct model_reader *r, size_t table, size_t parent, struct bkp_error *err)
{
	const struct bkp_model *model = r->model;

	for (size_t i = 0; i < model->edge_count; i++) {
		struct bkp_model_split split = {
		    .edge = i, .is_inherited = true};

		if (model->edges[i].child != parent ||
		    has_edge_like(model, table, i))
			continue;
		split.with = bkp_strdup(model->tables[parent].id, err);
		split.without = bkp_strdup(model->tables[table].id, err);
		if (add_split(r, &split, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < r->child_count; i++)
		if (r->children[i].table == parent &&
		    compare_parents(r, table, r->children[i].parent, err) < 0)
			return -1;
	return 0;
}

static int
compare_children(struct model_reader *r, struct bkp_error *err)
{
	for (size_t i = 0; i < r->child_count; i++)
		if (compare_parents(r, r->children[i].table,
			r->children[i].parent, err) < 0)
			return -1;
	return 0;
}

/* ---- all of it ---- */

/* Makes one edge of the drafts from `first` that are the same; returns the
 * number of the draft behind them, or 0. */
static size_t
settle(struct model_reader *r, struct drafts *drafts, size_t first,
    struct bkp_error *err)
{
	struct bkp_model *model = r->model;
	struct bkp_model_edge *edge = &drafts->items[first].edge;
	size_t end = first + 1;
	struct bearers bearers;

	if (bkp_grow(&model->edges, model->edge_count, &model->edge_cap,
		sizeof(*model->edges), err) < 0)
		return 0;
	for (; end < drafts->count &&
	       strcmp(drafts->items[end].edge.id, edge->id) == 0;
	     end++)
		edge->is_cascade |= drafts->items[end].edge.is_cascade;
	bearers = (struct bearers){&drafts->items[first], end - first};
	model->edges[model->edge_count++] = *edge;
	*edge = (struct bkp_model_edge){.column_count = 0};
	return compare_leaves(r, model->edge_count - 1, &bearers, err) == 0
		   ? end
		   : 0;
}

int
bkp_model_read_edges(struct model_reader *r, struct bkp_error *err)
{
	struct drafts drafts = {NULL, 0, 0};
	int rc = read_drafts(r, &drafts, err);

	if (rc == 0 && drafts.count > 0)
		qsort(drafts.items, drafts.count, sizeof(*drafts.items),
		    compare_drafts);
	for (size_t i = 0; rc == 0 && i < drafts.count;)
		if ((i = settle(r, &drafts, i, err)) == 0)
			rc = -1;
	if (rc == 0)
		rc = compare_children(r, err);
	for (size_t i = 0; i < drafts.count; i++)
		free_edge(&drafts.items[i].edge);
	free(drafts.items);
	return rc;
}
