/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of exported tables that look like references, and that nobody
 * called anything else; those that may name large objects, too. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/review_own.h"

/* Of type oid, on every server. */
#define OID_TYPE 26

static bool
is_of_file(const struct bkp_map_file *file, const char *column)
{
	const char *const texts[] = {
	    file->key, file->prefix, file->name, file->when};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i] != NULL && bkp_subject_mentions(texts[i], column))
			return true;
	return false;
}

/* Somebody refers to it: it is a key. */
static bool
is_referred_to(const struct reviewer *r, size_t table, size_t column)
{
	const char *name = r->model->tables[table].columns[column].name;

	for (size_t i = 0; i < r->edge_count; i++) {
		const struct review_edge *edge = &r->edges[i];

		if (edge->parent != table)
			continue;
		if (edge->key == NULL) {
			const struct bkp_strings *names =
			    &edge->map->parent_columns;

			for (size_t k = 0; k < names->count; k++)
				if (strcmp(names->items[k], name) == 0)
					return true;
			continue;
		}
		for (size_t k = 0; k < edge->key->column_count; k++)
			if (edge->key->parent_columns[k] == column)
				return true;
	}
	return false;
}

/* True where an edge, a file or a word of the map says what it is. */
static bool
is_settled(const struct reviewer *r, size_t table, size_t column,
    const struct bkp_map_column *said)
{
	const struct bkp_model_table *t = &r->model->tables[table];
	const char *name = t->columns[column].name;

	if (said != NULL && (said->is_plain || said->is_undecided ||
				said->treatment != BKP_KEEP))
		return true;
	for (size_t i = 0; i < r->edge_count; i++)
		if (r->edges[i].child == table &&
		    bkp_review_has_column(r, &r->edges[i], name))
			return true;
	for (size_t i = 0; i < r->map->file_count; i++)
		if (strcmp(r->map->files[i].table, t->id) == 0 &&
		    is_of_file(&r->map->files[i], name))
			return true;
	return is_referred_to(r, table, column);
}

static bool
has_type_beside(const struct bkp_model_table *table, const char *column)
{
	size_t len = strlen(column);
	char name[128];

	if (len < 4 || len > 100 || strcmp(column + len - 3, "_id") != 0)
		return false;
	memcpy(name, column, len - 2);
	memcpy(name + len - 2, "type", sizeof("type"));
	return bkp_model_column(table, name) != SIZE_MAX;
}

static int
add_likeness(struct reviewer *r, const struct bkp_model_table *table,
    const char *column, enum bkp_likeness likeness, size_t target,
    unsigned line, struct bkp_error *err)
{
	const char *kind = "column-like-a-reference";
	char *what = bkp_format(err, "%s.%s", table->id, column);
	int rc;

	if (what == NULL)
		return -1;
	if (likeness == BKP_LIKE_OBJECT)
		rc =
		    bkp_review_add(r, BKP_REVIEW_FINDING, kind, what, line, err,
			"it may name objects of a bucket: declare it under "
			"'files', or say {plain: true}");
	else if (has_type_beside(table, column))
		rc = bkp_review_add(r, BKP_REVIEW_FINDING, kind, what, line,
		    err,
		    "with the type beside it, it may refer to rows of many "
		    "tables: declare a reference for each type, with 'when', "
		    "or say {plain: true}");
	else if (target != SIZE_MAX)
		rc =
		    bkp_review_add(r, BKP_REVIEW_FINDING, kind, what, line, err,
			"it has no foreign key and may refer to %s: declare it "
			"under 'references', or say {plain: true}",
			r->model->tables[target].id);
	else
		rc = bkp_review_add(r, BKP_REVIEW_FINDING, kind, what, line,
		    err,
		    "it has no foreign key: declare what it refers to under "
		    "'references', or say {plain: true}");
	free(what);
	return rc;
}

/* The number of a large object is an oid like any other, and what has that
 * number is in no export. */
static int
review_large_object(struct reviewer *r, const struct bkp_model_table *table,
    size_t column, const struct bkp_map_column *said, struct bkp_error *err)
{
	const struct bkp_model_column *c = &table->columns[column];
	char *what;
	int rc;

	if (c->type_oid != OID_TYPE || c->is_array ||
	    (said != NULL && (said->is_plain || said->treatment != BKP_KEEP)))
		return 0;
	if ((what = bkp_format(err, "%s.%s", table->id, c->name)) == NULL)
		return -1;
	rc = bkp_review_add(r, BKP_REVIEW_ADVICE, "large-object", what,
	    said != NULL ? said->line : 0, err,
	    "it may name large objects, which no export has: give them to the "
	    "person beside it, or say {plain: true}");
	free(what);
	return rc;
}

static int
review_table(struct reviewer *r, size_t at, struct bkp_error *err)
{
	const struct bkp_model_table *table = &r->model->tables[at];
	const struct bkp_map_table *entry = bkp_map_table(r->map, table->id);

	for (size_t i = 0; i < table->column_count; i++) {
		const struct bkp_map_column *said =
		    bkp_map_column(entry, table->columns[i].name);
		size_t target = SIZE_MAX;
		enum bkp_likeness likeness =
		    bkp_subject_likeness(r->model, at, i, &target);

		if (review_large_object(r, table, i, said, err) < 0)
			return -1;
		if (likeness != BKP_LIKE_NOTHING &&
		    !is_settled(r, at, i, said) &&
		    add_likeness(r, table, table->columns[i].name, likeness,
			target, said != NULL ? said->line : 0, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_review_likeness(struct reviewer *r, struct bkp_error *err)
{
	for (size_t i = 0; i < r->model->table_count; i++)
		if (bkp_review_is_held(r, i) && review_table(r, i, err) < 0)
			return -1;
	return 0;
}
