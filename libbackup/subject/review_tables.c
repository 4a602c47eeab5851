/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and columns: those that nobody decided, those that are gone. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/review_own.h"

/* ---- what the map names ---- */

/* The table that has a partition of this name, or NULL. */
static const char *
root_of(const struct reviewer *r, const char *id)
{
	struct fmt_buf name = FMT_BUF_INIT;
	const char *root = NULL;

	for (size_t i = 0; i < r->model->table_count && root == NULL; i++) {
		const struct bkp_model_table *table = &r->model->tables[i];

		for (size_t k = 0; k < table->leaf_count && root == NULL; k++) {
			fmt_buf_clear(&name);
			if (bkp_subject_read_table(
				&name, table->leaves[k].quoted) == FMT_OK &&
			    fmt_buf_text(&name) != NULL &&
			    strcmp((const char *)name.data, id) == 0)
				root = table->id;
		}
	}
	fmt_buf_free(&name);
	return root;
}

/* The table of this name but in another schema, or with few letters changed. */
static const char *
nearest_table(const struct reviewer *r, const char *id)
{
	size_t best = strlen(id) / 4 + 1;
	const char *meant = NULL;

	for (size_t i = 0; i < r->model->table_count; i++) {
		const char *other = r->model->tables[i].id;
		size_t distance = bkp_config_distance(id, other);

		if (distance < best) {
			best = distance;
			meant = other;
		}
	}
	return meant;
}

static int
add_table_gone(struct reviewer *r, const char *kind, const char *id,
    unsigned line, struct bkp_error *err)
{
	const char *root = root_of(r, id), *meant = NULL;

	if (root != NULL)
		return bkp_review_add(r, BKP_REVIEW_FINDING, kind, id, line,
		    err, "it is a partition of %s: name that instead", root);
	if ((meant = nearest_table(r, id)) != NULL)
		return bkp_review_add(r, BKP_REVIEW_FINDING, kind, id, line,
		    err, "the database has no such table; did you mean %s?",
		    meant);
	return bkp_review_add(r, BKP_REVIEW_FINDING, kind, id, line, err,
	    "the database has no such table; take it out of the map");
}

static int
review_column(struct reviewer *r, const struct bkp_model_table *table,
    const struct bkp_map_column *column, struct bkp_error *err)
{
	char *what;
	int rc;

	if (bkp_model_column(table, column->name) == SIZE_MAX)
		return bkp_review_column_gone(
		    r, table, column->name, column->line, err);
	if (!column->is_undecided)
		return 0;
	if ((what = bkp_format(err, "%s.%s", table->id, column->name)) == NULL)
		return -1;
	rc = bkp_review_add(r, BKP_REVIEW_FINDING, "column-undecided", what,
	    column->line, err,
	    "say {plain: true} (it is data like any other), {omit: why}, "
	    "{mask: true} or {pseudonym: realm}, or declare what it refers to "
	    "under 'references' or 'files'");
	free(what);
	return rc;
}

/* What the file says about a table, held against the table. */
static int
review_entry(struct reviewer *r, const struct bkp_map_table *entry,
    struct bkp_error *err)
{
	size_t at = bkp_model_table(r->model, entry->id);

	if (at == SIZE_MAX)
		return add_table_gone(
		    r, "table-gone", entry->id, entry->line, err);
	for (size_t i = 0; i < entry->column_count; i++)
		if (review_column(
			r, &r->model->tables[at], &entry->columns[i], err) < 0)
			return -1;
	return 0;
}

static int
review_files(struct reviewer *r, struct bkp_error *err)
{
	for (size_t i = 0; i < r->map->file_count; i++) {
		const struct bkp_map_file *file = &r->map->files[i];

		if (bkp_model_table(r->model, file->table) == SIZE_MAX &&
		    add_table_gone(
			r, "table-gone", file->table, file->line, err) < 0)
			return -1;
	}
	return 0;
}

static int
review_subject(struct reviewer *r, struct bkp_error *err)
{
	const struct bkp_map *map = r->map;

	if (r->subject == SIZE_MAX)
		return add_table_gone(r, "subject-gone", map->table, 0, err);
	for (size_t i = 0; i < map->key.count; i++)
		if (bkp_model_column(&r->model->tables[r->subject],
			map->key.items[i]) == SIZE_MAX &&
		    bkp_review_add(r, BKP_REVIEW_FINDING, "subject-gone",
			map->table, 0, err,
			"the subject's key names '%s', which the table does "
			"not have",
			map->key.items[i]) < 0)
			return -1;
	return 0;
}

/* ---- what the database has ---- */

/* A column of the table that may refer to what is exported, or SIZE_MAX. */
static size_t
find_link(const struct reviewer *r, size_t table, size_t *target)
{
	for (size_t i = 0; i < r->model->tables[table].column_count; i++)
		if (bkp_subject_likeness(r->model, table, i, target) ==
			BKP_LIKE_REFERENCE &&
		    bkp_review_is_held(r, *target))
			return i;
	return SIZE_MAX;
}

static int
add_undecided(
    struct reviewer *r, size_t at, unsigned line, struct bkp_error *err)
{
	const struct bkp_model_table *table = &r->model->tables[at];
	size_t target = SIZE_MAX, column = find_link(r, at, &target);

	if (column != SIZE_MAX)
		return bkp_review_add(r, BKP_REVIEW_FINDING, "table-undecided",
		    table->id, line, err,
		    "no edge leads to it, but its column '%s' looks like a "
		    "reference to %s: declare it under 'references', or give "
		    "the reason for leaving the table out: {skip: why}",
		    table->columns[column].name, r->model->tables[target].id);
	return bkp_review_add(r, BKP_REVIEW_FINDING, "table-undecided",
	    table->id, line, err,
	    "no edge leads to it: decide one that does, declare a reference, "
	    "or give the reason for leaving it out: {skip: why}");
}

/* The edge that reaches a table which is left out. */
static const char *
reaching_edge(const struct reviewer *r, size_t table)
{
	for (size_t i = 0; i < r->edge_count; i++) {
		const struct review_edge *edge = &r->edges[i];
		size_t to;

		if (edge->map == NULL || edge->map->decided == BKP_SKIP ||
		    edge->map->decided == BKP_UNDECIDED ||
		    edge->child == SIZE_MAX || edge->parent == SIZE_MAX)
			continue;
		to = edge->map->is_up || edge->map->decided == BKP_LOOKUP
			 ? edge->parent
			 : edge->child;
		if (to == table)
			return edge->map->id;
	}
	return "it is the subject's";
}

/* The table says it for its columns, or each that is given says it. */
static bool
has_origin(
    const struct bkp_model_table *table, const struct bkp_map_table *entry)
{
	if (entry == NULL)
		return false;
	for (size_t i = 0; i < table->column_count; i++) {
		const struct bkp_map_column *column =
		    bkp_map_column(entry, table->columns[i].name);

		if (column == NULL || (column->origin == BKP_ORIGIN_UNKNOWN &&
					  column->treatment != BKP_OMIT))
			return entry->origin != BKP_ORIGIN_UNKNOWN;
	}
	return true;
}

static int
review_table(struct reviewer *r, size_t at, struct bkp_error *err)
{
	const struct bkp_model_table *table = &r->model->tables[at];
	const struct bkp_map_table *entry = bkp_map_table(r->map, table->id);
	enum bkp_decided reached = r->out->reached[at];
	unsigned line = entry != NULL ? entry->line : 0;

	if (reached != BKP_UNDECIDED && entry != NULL && entry->skip != NULL)
		return bkp_review_add(r, BKP_REVIEW_FINDING,
		    "skip-contradicted", table->id, line, err,
		    "it is left out and yet reached (%s): decide one of the "
		    "two otherwise",
		    reaching_edge(r, at));
	if (reached == BKP_UNDECIDED && (entry == NULL || entry->skip == NULL))
		return add_undecided(r, at, line, err);
	if (entry != NULL && entry->is_undecided)
		return bkp_review_add(r, BKP_REVIEW_FINDING, "table-undecided",
		    table->id, line, err,
		    "its rows are reached: say what it is (label, purpose, "
		    "origin), or take the line out");
	if (reached == BKP_UNDECIDED || reached == BKP_LOOKUP ||
	    has_origin(table, entry))
		return 0;
	return bkp_review_add(r, BKP_REVIEW_ADVICE, "origin-undecided",
	    table->id, line, err,
	    "an export for portability needs to know: origin: provided (by "
	    "the person), observed, or derived");
}

int
bkp_review_tables(struct reviewer *r, struct bkp_error *err)
{
	if (review_subject(r, err) < 0 || review_files(r, err) < 0)
		return -1;
	for (size_t i = 0; i < r->map->table_count; i++)
		if (review_entry(r, &r->map->tables[i], err) < 0)
			return -1;
	for (size_t i = 0; i < r->model->table_count; i++)
		if (review_table(r, i, err) < 0)
			return -1;
	return 0;
}
