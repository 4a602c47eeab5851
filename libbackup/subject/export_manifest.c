/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest: what there is, and what there is not, and why. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/exported.h"
#include "libbackup/subject/walk_impl.h"

static json_t *
text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *
file_json(const struct bkp_exported_file *file)
{
	if (file->name == NULL)
		return json_null();
	return json_pack("{s:s, s:I, s:s}", "name", file->name, "bytes",
	    (json_int_t)file->size, "sha256", file->sha256);
}

static const char *
origin_name(enum bkp_origin origin)
{
	switch (origin) {
	case BKP_PROVIDED:
		return "provided";
	case BKP_OBSERVED:
		return "observed";
	case BKP_DERIVED:
		return "derived";
	case BKP_ORIGIN_UNKNOWN:
		break;
	}
	return NULL;
}

static const char *
treatment_name(enum bkp_treatment treatment)
{
	return treatment == BKP_MASK        ? "masked"
	       : treatment == BKP_PSEUDONYM ? "pseudonym"
					    : NULL;
}

static json_t *
columns_json(
    const struct bkp_export *export, const struct bkp_exported_table *table)
{
	const struct bkp_model_table *model = bkp_export_model(export, table);
	json_t *all = json_array();

	for (size_t i = 0; i < table->column_count; i++) {
		const struct bkp_rows_column *column = &table->columns[i];
		const struct bkp_map_column *map = column->map;
		json_t *one = json_pack("{s:s, s:s, s:o, s:o, s:b}", "name",
		    column->name, "type", model->columns[column->column].type,
		    "label", text_or_null(map != NULL ? map->label : NULL),
		    "replaced", text_or_null(treatment_name(column->treatment)),
		    "names_others", column->names_others);

		if (json_array_append_new(all, one) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* Why a column of a table that is exported is not, and whose words say so. */
static json_t *
left_out(const struct bkp_export *export,
    const struct bkp_exported_table *table,
    const struct bkp_model_column *column)
{
	const struct bkp_map_column *map =
	    bkp_map_column(bkp_export_map(export, table), column->name);
	const char *why = "derived";
	const char *reason = "derived, and so no part of portability";

	if (map != NULL && map->treatment == BKP_OMIT) {
		why = "omitted";
		reason = map->reason;
	} else if (table->decided == BKP_ACTOR ||
		   table->decided == BKP_LOOKUP) {
		why = "not given";
		reason = "the edges by which the rows came in do not give it";
	}
	return json_pack("{s:s, s:s, s:s, s:s}", "name", column->name, "type",
	    column->type, "why", why, "reason", reason);
}

static json_t *
left_out_json(
    const struct bkp_export *export, const struct bkp_exported_table *table)
{
	const struct bkp_model_table *model = bkp_export_model(export, table);
	json_t *all = json_array();

	for (size_t i = 0, next = 0; i < model->column_count; i++) {
		if (next < table->column_count &&
		    table->columns[next].column == i) {
			next++;
			continue;
		}
		if (json_array_append_new(
			all, left_out(export, table, &model->columns[i])) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static json_t *
tables_json(const struct bkp_export *export)
{
	json_t *all = json_array();

	for (size_t i = 0; i < export->table_count; i++) {
		const struct bkp_exported_table *table = &export->tables[i];
		const struct bkp_map_table *map = bkp_export_map(export, table);
		json_t *one = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, "
					"s:o, s:o, s:o, s:o}",
		    "table", bkp_export_model(export, table)->id, "decision",
		    bkp_decided_name(table->decided), "rows",
		    (json_int_t)table->rows, "file", file_json(&table->json),
		    "csv", file_json(&table->csv), "columns",
		    columns_json(export, table), "left_out",
		    left_out_json(export, table), "label",
		    text_or_null(map != NULL ? map->label : NULL), "purpose",
		    text_or_null(map != NULL ? map->purpose : NULL),
		    "retention",
		    text_or_null(map != NULL ? map->retention : NULL), "origin",
		    text_or_null(
			map != NULL ? origin_name(map->origin) : NULL));

		if (json_array_append_new(all, one) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* ---- tables of which nothing was found ---- */

/* True where rows of the table were looked for by this decision. */
static bool
is_asked(const struct bkp_walk *walk, size_t table, enum bkp_decided decided)
{
	if (decided == BKP_OWN && table == walk->subject)
		return true;
	for (size_t i = 0; i < walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &walk->edges[i];

		if (edge->decided == decided &&
		    bkp_walk_target(edge) == table &&
		    bkp_walk_is_followed(walk, edge))
			return true;
	}
	return false;
}

/* A row counts as the first decision by which it came in, so one that is owned
 * is no less found where it was looked up, too. */
static bool
is_found(
    const struct bkp_export *export, size_t table, enum bkp_decided decided)
{
	for (size_t i = 0; i < export->table_count; i++)
		if (export->tables[i].table == table &&
		    export->tables[i].decided <= decided)
			return true;
	return false;
}

static int
add_empty(
    json_t *all, const struct bkp_export *export, enum bkp_decided decided)
{
	const struct bkp_model *model = bkp_walk_model(export->walk);

	for (size_t i = 0; i < model->table_count; i++) {
		const char *id = model->tables[i].id;
		const struct bkp_map_table *map =
		    bkp_map_table(export->map, id);

		if (!is_asked(export->walk, i, decided) ||
		    is_found(export, i, decided) ||
		    !bkp_export_is_wanted(export, i))
			continue;
		if (json_array_append_new(all,
			json_pack("{s:s, s:s, s:o}", "table", id, "decision",
			    bkp_decided_name(decided), "label",
			    text_or_null(map != NULL ? map->label : NULL))) < 0)
			return -1;
	}
	return 0;
}

/* Whoever reads the manifest sees what was looked at, and not only where
 * something was. */
static json_t *
empty_json(const struct bkp_export *export)
{
	json_t *all = json_array();

	for (int decided = BKP_OWN; decided <= BKP_LOOKUP; decided++)
		if (add_empty(all, export, (enum bkp_decided)decided) < 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

/* ---- references that are no foreign keys ---- */

static bool
is_exported(const struct bkp_export *export, const char *id)
{
	for (size_t i = 0; i < export->table_count; i++)
		if (strcmp(bkp_export_model(export, &export->tables[i])->id,
			id) == 0)
			return true;
	return false;
}

static json_t *
strings_json(const struct bkp_strings *strings)
{
	json_t *all = json_array();

	for (size_t i = 0; i < strings->count; i++)
		if (json_array_append_new(all, json_string(strings->items[i])) <
		    0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

/* Whoever loads the rows under other keys has to change these, too, and no
 * catalogue tells of them. */
static json_t *
references_json(const struct bkp_export *export)
{
	json_t *all = json_array();

	for (size_t i = 0; i < export->map->edge_count; i++) {
		const struct bkp_map_edge *edge = &export->map->edges[i];

		if (!edge->is_declared || !is_exported(export, edge->child) ||
		    !is_exported(export, edge->parent))
			continue;
		if (json_array_append_new(all,
			json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:b, s:s}",
			    "edge", edge->id, "from", edge->child, "columns",
			    strings_json(&edge->child_values), "to",
			    edge->parent, "to_columns",
			    strings_json(&edge->parent_columns), "when",
			    text_or_null(edge->when), "array", edge->is_array,
			    "decision", bkp_decided_name(edge->decided))) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* ---- what is not there ---- */

/* What people decided to leave out, with their reasons. */
static int
add_excluded(
    json_t *all, const char *kind, const char *what, const char *reason)
{
	return json_array_append_new(
	    all, json_pack("{s:s, s:s, s:s}", "kind", kind, "what", what,
		     "reason", reason));
}

static int
add_columns(json_t *all, const struct bkp_export *export,
    const struct bkp_map_table *table, struct bkp_error *err)
{
	for (size_t k = 0; k < table->column_count; k++) {
		const struct bkp_map_column *column = &table->columns[k];
		const char *reason = column->reason;
		char *what;
		int rc;

		if (column->treatment != BKP_OMIT &&
		    (export->profile != BKP_PROFILE_PORTABILITY ||
			column->origin != BKP_DERIVED))
			continue;
		if (column->treatment != BKP_OMIT)
			reason = "derived, and so no part of portability";
		what = bkp_format(err, "%s.%s", table->id, column->name);
		if (what == NULL)
			return -1;
		rc = add_excluded(all, "column", what, reason);
		free(what);
		if (rc < 0)
			return bkp_fail_nomem(err, "describing the export");
	}
	return 0;
}

static json_t *
excluded_json(const struct bkp_export *export, struct bkp_error *err)
{
	const struct bkp_map *map = export->map;
	json_t *all = json_array();
	int rc = all != NULL ? 0 : -1;

	for (size_t i = 0; i < map->edge_count && rc == 0; i++)
		if (map->edges[i].decided == BKP_SKIP)
			rc = add_excluded(all, "edge", map->edges[i].id,
			    map->edges[i].reason);
	for (size_t i = 0; i < map->table_count && rc == 0; i++) {
		const struct bkp_map_table *table = &map->tables[i];

		if (table->skip != NULL)
			rc = add_excluded(all, "table", table->id, table->skip);
		else if (export->profile == BKP_PROFILE_PORTABILITY &&
			 table->origin == BKP_DERIVED)
			rc = add_excluded(all, "table", table->id,
			    "derived, and so no part of portability");
		if (rc == 0)
			rc = add_columns(all, export, table, err);
	}
	if (rc == 0 && !export->has_files && map->file_count > 0)
		rc = add_excluded(
		    all, "files", "all", "the export was asked for without");
	if (rc == 0)
		return all;
	json_decref(all);
	return NULL;
}

/* What could not be had. */
static json_t *
omitted_json(struct bkp_run *run)
{
	size_t count;
	const struct bkp_omission *omissions = bkp_run_omissions(run, &count);
	json_t *all = json_array();

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(
			all, json_pack("{s:s, s:s}", "what", omissions[i].path,
				 "reason", omissions[i].reason)) < 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

static json_t *
subject_json(const struct bkp_export *export)
{
	json_t *key = json_object();

	for (size_t i = 0; i < export->key_count; i++)
		if (json_object_set_new(key, export->map->key.items[i],
			json_string(export->key[i])) < 0) {
			json_decref(key);
			return NULL;
		}
	return json_pack("{s:s, s:o, s:o}", "table", export->map->table, "key",
	    key, "label", text_or_null(export->map->label));
}

static json_t *
pages_json(const struct bkp_export *export)
{
	json_t *all = json_array();

	for (size_t i = 0; i < export->page_count; i++)
		if (json_array_append_new(all, file_json(&export->pages[i])) <
		    0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

int
bkp_export_manifest(struct bkp_export *export, struct bkp_error *err)
{
	struct bkp_exported_file file = {.name = NULL};
	size_t omitted;
	json_t *excluded = excluded_json(export, err), *value;
	int rc;

	if (excluded == NULL)
		return bkp_fail_nomem(err, "describing the export");
	(void)bkp_run_omissions(export->run, &omitted);
	value = json_pack(
	    "{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, "
	    "s:o, s:{s:o, s:I, s:I}, s:o, s:o, s:o, s:o, s:o, s:o}",
	    "format", "libbackup-export", "version", 1, "status",
	    omitted == 0 ? "complete" : "partial", "profile",
	    export->profile == BKP_PROFILE_ACCESS ? "access" : "portability",
	    "time", export->time, "lsn", export->lsn, "map_sha256",
	    export->map->sha256, "snapshot", text_or_null(export->snapshot),
	    "subject", subject_json(export), "tables", tables_json(export),
	    "empty", empty_json(export), "references", references_json(export),
	    "objects", "list", file_json(&export->objects), "count",
	    (json_int_t) export->object_count, "bytes",
	    (json_int_t) export->object_bytes, "schema",
	    file_json(&export->schema), "index", file_json(&export->index),
	    "core", file_json(&export->core), "pages", pages_json(export),
	    "excluded", excluded, "omitted", omitted_json(export->run));
	rc = bkp_export_put_json(export, "manifest.json", value, &file, err);
	free(file.name);
	return rc;
}
