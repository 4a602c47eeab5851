/* SPDX-License-Identifier: Apache-2.0 */
/* Edges without a decision, decisions without an edge, and those that say less
 * than they seem to. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/erase.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/review_own.h"

bool
bkp_review_has_column(const struct reviewer *r, const struct review_edge *edge,
    const char *column)
{
	const struct bkp_model_table *child = &r->model->tables[edge->child];
	const struct bkp_map_edge *map = edge->map;

	if (edge->key != NULL) {
		for (size_t i = 0; i < edge->key->column_count; i++)
			if (strcmp(child->columns[edge->key->child_columns[i]]
				       .name,
				column) == 0)
				return true;
		return false;
	}
	for (size_t i = 0; i < map->child_values.count; i++)
		if (strcmp(map->child_values.items[i], column) == 0 ||
		    bkp_subject_mentions(map->child_values.items[i], column))
			return true;
	return map->when != NULL && bkp_subject_mentions(map->when, column);
}

static const char *
id_of(const struct review_edge *edge)
{
	return edge->key != NULL ? edge->key->id : edge->map->id;
}

/* ---- undecided ---- */

static int
add_undecided(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	const char *child = r->model->tables[edge->child].id;
	const char *parent = r->model->tables[edge->parent].id;
	unsigned line = edge->map != NULL ? edge->map->line : 0;

	if (bkp_review_is_held(r, edge->parent))
		return bkp_review_add(r, BKP_REVIEW_FINDING, "edge-undecided",
		    id_of(edge), line, err,
		    "rows of %s refer to rows of %s that are exported: say "
		    "'own' (they are the subject's too), 'shared' (and other "
		    "people's), {actor: [columns]} (what the subject did to "
		    "what is not theirs), or {skip: why}",
		    child, parent);
	return bkp_review_add(r, BKP_REVIEW_FINDING, "edge-undecided",
	    id_of(edge), line, err,
	    "rows of %s that are exported refer to %s: say {lookup: [columns]} "
	    "(what explains them), {own: up} (the row is the subject's too), "
	    "or {skip: why}",
	    child, parent);
}

/* A foreign key that touches what is exported needs a decision, unless the
 * table on one side is left out as a whole; what the file calls undecided
 * needs one anyway. */
static int
review_decision(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	if (edge->child == SIZE_MAX || edge->parent == SIZE_MAX ||
	    (edge->map != NULL && edge->map->decided != BKP_UNDECIDED))
		return 0;
	if (edge->map == NULL && ((!bkp_review_is_held(r, edge->child) &&
				      !bkp_review_is_held(r, edge->parent)) ||
				     bkp_review_skip(r, edge->child) != NULL ||
				     bkp_review_skip(r, edge->parent) != NULL))
		return 0;
	return add_undecided(r, edge, err);
}

/* ---- unreached ---- */

static int
review_start(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	const struct bkp_map_edge *map = edge->map;
	size_t from = map->is_up ? edge->child : edge->parent;
	enum bkp_decided state = r->out->reached[from];
	bool is_strict = map->decided != BKP_SHARED;

	if ((map->decided != BKP_OWN && map->decided != BKP_SHARED &&
		map->decided != BKP_ACTOR) ||
	    state == BKP_OWN || (state == BKP_SHARED && !is_strict))
		return 0;
	if (state == BKP_SHARED)
		return bkp_review_add(r, BKP_REVIEW_FINDING, "edge-unreached",
		    id_of(edge), map->line, err,
		    "'%s' begins at rows that are the subject's alone, and "
		    "those of %s are shared: say 'shared', or {skip: why}",
		    bkp_decided_name(map->decided), r->model->tables[from].id);
	return bkp_review_add(r, BKP_REVIEW_FINDING, "edge-unreached",
	    id_of(edge), map->line, err,
	    "nothing gets to %s, where it begins: decide an edge that leads "
	    "there, turn it round (%s: %s), or {skip: why}",
	    r->model->tables[from].id, bkp_decided_name(map->decided),
	    map->is_up ? "down" : "up");
}

/* ---- columns and tables that are named ---- */

static int
review_columns(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	const struct bkp_map_edge *map = edge->map;
	const struct bkp_model_table *table =
	    &r->model->tables[map->decided == BKP_ACTOR ? edge->child
							: edge->parent];

	for (size_t i = 0; i < map->columns.count; i++)
		if (bkp_model_column(table, map->columns.items[i]) ==
			SIZE_MAX &&
		    bkp_review_column_gone(
			r, table, map->columns.items[i], map->line, err) < 0)
			return -1;
	if (!map->is_declared)
		return 0;
	table = &r->model->tables[edge->parent];
	for (size_t i = 0; i < map->parent_columns.count; i++)
		if (bkp_model_column(table, map->parent_columns.items[i]) ==
			SIZE_MAX &&
		    bkp_review_column_gone(r, table,
			map->parent_columns.items[i], map->line, err) < 0)
			return -1;
	return 0;
}

static int
add_no_table(struct reviewer *r, const struct bkp_map_edge *edge,
    const char *table, struct bkp_error *err)
{
	return bkp_review_add(r, BKP_REVIEW_FINDING, "table-gone", table,
	    edge->line, err,
	    "the reference %s names a table that the database does not have; "
	    "take it out, or put right what it says",
	    edge->id);
}

/* ---- indexes ---- */

static int
append_index(struct fmt_buf *out, const struct bkp_model_table *table,
    const struct bkp_model_edge *key)
{
	for (size_t i = 0; i < key->column_count; i++)
		if (fmt_buf_append_text(out, i > 0 ? ", " : "") != FMT_OK ||
		    bkp_subject_identifier(out,
			table->columns[key->child_columns[i]].name) != FMT_OK)
			return -1;
	return fmt_buf_text(out) != NULL ? 0 : -1;
}

static int
review_index(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	struct fmt_buf columns = FMT_BUF_INIT;
	const struct bkp_map_edge *map = edge->map;
	const struct bkp_model_table *child = &r->model->tables[edge->child];
	int rc;

	if (edge->key == NULL || edge->key->is_child_indexed || map->is_up ||
	    (map->decided != BKP_OWN && map->decided != BKP_SHARED &&
		map->decided != BKP_ACTOR))
		return 0;
	if (append_index(&columns, child, edge->key) < 0)
		rc = bkp_fail_nomem(err, "reviewing a map");
	else
		rc = bkp_review_add(r, BKP_REVIEW_ADVICE, "no-index",
		    edge->key->id, map->line, err,
		    "no index begins with these columns, so every export reads "
		    "the whole table: CREATE INDEX ON %s (%s)",
		    child->id, (const char *)columns.data);
	fmt_buf_free(&columns);
	return rc;
}

/* ---- erasures ---- */

/* Rows that stay, and must refer to what is erased. */
static int
review_erasure(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	const struct bkp_map_edge *map = edge->map;
	enum bkp_erase erase = map != NULL ? map->erase : BKP_ERASE_DEFAULT;
	bool is_own = map != NULL && map->decided == BKP_OWN;

	if (edge->key == NULL || r->out->reached[edge->parent] != BKP_OWN ||
	    erase == BKP_ERASE_DELETE ||
	    (is_own && (erase == BKP_ERASE_DEFAULT || map->is_up)) ||
	    bkp_erase_can_clear(r->model, edge->key))
		return 0;
	return bkp_review_add(r, BKP_REVIEW_ADVICE, "erasure-open",
	    edge->key->id, map != NULL ? map->line : 0, err,
	    "where a row of %s is erased, rows of %s that refer to it cannot: "
	    "their columns are never NULL. Say 'erase: delete' beside the "
	    "decision, and they go, too; else an erasure that meets one stops",
	    r->model->tables[edge->parent].id,
	    r->model->tables[edge->child].id);
}

/* ---- partitions and children ---- */

/* A declared reference that does for the child what the foreign key does for
 * its parent; of many columns the first is enough to see that it is meant. */
static bool
is_declared_for(
    const struct reviewer *r, size_t child, const struct bkp_model_edge *edge)
{
	const struct bkp_model_table *table = &r->model->tables[edge->child];
	const char *column = table->columns[edge->child_columns[0]].name;

	for (size_t i = 0; i < r->edge_count; i++)
		if (r->edges[i].key == NULL && r->edges[i].child == child &&
		    r->edges[i].parent == edge->parent &&
		    bkp_review_has_column(r, &r->edges[i], column))
			return true;
	return false;
}

static int
review_child(struct reviewer *r, const struct bkp_model_split *split,
    const struct bkp_map_edge *map, struct bkp_error *err)
{
	const struct bkp_model_edge *edge = &r->model->edges[split->edge];
	size_t child = bkp_model_table(r->model, split->without);

	if (child == SIZE_MAX || bkp_review_skip(r, child) != NULL ||
	    is_declared_for(r, child, edge))
		return 0;
	return bkp_review_add(r, BKP_REVIEW_FINDING, "partitions-disagree",
	    edge->id, map->line, err,
	    "%s inherits from %s and lacks its foreign key, so its rows are "
	    "not found by it: declare the reference under 'references', or "
	    "leave the table out with a reason",
	    split->without, split->with);
}

static int
review_split(struct reviewer *r, const struct bkp_model_split *split,
    struct bkp_error *err)
{
	const char *id = r->model->edges[split->edge].id;
	const struct bkp_map_edge *map = bkp_map_edge(r->map, id);

	if (map == NULL || map->decided == BKP_UNDECIDED ||
	    map->decided == BKP_SKIP)
		return 0;
	if (split->is_inherited)
		return review_child(r, split, map, err);
	return bkp_review_add(r, BKP_REVIEW_ADVICE, "partitions-disagree", id,
	    map->line, err,
	    "the foreign key is on %s and not on %s; the export follows the "
	    "columns in all of them, so see that they mean the same",
	    split->with, split->without);
}

/* ---- all of them ---- */

/* Decisions about foreign keys that there are not. */
static int
review_gone(
    struct reviewer *r, const struct bkp_map_edge *edge, struct bkp_error *err)
{
	size_t len = strcspn(edge->id, "(");
	const char *other = NULL;

	if (edge->is_declared || bkp_model_edge(r->model, edge->id) != SIZE_MAX)
		return 0;
	for (size_t i = 0; i < r->model->edge_count && other == NULL; i++)
		if (strncmp(r->model->edges[i].id, edge->id, len + 1) == 0 &&
		    bkp_map_edge(r->map, r->model->edges[i].id) == NULL)
			other = r->model->edges[i].id;
	if (other != NULL)
		return bkp_review_add(r, BKP_REVIEW_FINDING, "edge-gone",
		    edge->id, edge->line, err,
		    "the database has no such foreign key; it has %s, which is "
		    "not decided",
		    other);
	return bkp_review_add(r, BKP_REVIEW_FINDING, "edge-gone", edge->id,
	    edge->line, err,
	    "the database has no such foreign key; take the line out, or put "
	    "it under 'references' where it is still meant");
}

static int
review_edge(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err)
{
	if (review_erasure(r, edge, err) < 0)
		return -1;
	if (edge->map == NULL)
		return review_decision(r, edge, err);
	if (edge->child == SIZE_MAX &&
	    add_no_table(r, edge->map, edge->map->child, err) < 0)
		return -1;
	if (edge->parent == SIZE_MAX &&
	    add_no_table(r, edge->map, edge->map->parent, err) < 0)
		return -1;
	if (edge->child == SIZE_MAX || edge->parent == SIZE_MAX)
		return 0;
	if (review_decision(r, edge, err) < 0 ||
	    review_start(r, edge, err) < 0 || review_columns(r, edge, err) < 0)
		return -1;
	return review_index(r, edge, err);
}

int
bkp_review_edges(struct reviewer *r, struct bkp_error *err)
{
	for (size_t i = 0; i < r->edge_count; i++)
		if (review_edge(r, &r->edges[i], err) < 0)
			return -1;
	for (size_t i = 0; i < r->map->edge_count; i++)
		if (review_gone(r, &r->map->edges[i], err) < 0)
			return -1;
	for (size_t i = 0; i < r->model->split_count; i++)
		if (review_split(r, &r->model->splits[i], err) < 0)
			return -1;
	return 0;
}
