/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON Schema (draft 2020-12) of the lines of each table: "$defs" has one
 * for each file, by its name. */
#include <jansson.h>
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/exported.h"

#define NUMBER "^(-?[0-9]+([.][0-9]+)?|NaN|-?Infinity)$"

/* What ISO 8601 has no form for stays as the server writes it: no end of time,
 * years before Christ, years of more than four digits, and offsets of seconds,
 * as places had before there were time zones. */
#define BEYOND                                                                 \
	"^(-?infinity|.* BC|[0-9]{5,}-.*|.*[+-][0-9]{2}:[0-9]{2}:[0-9]{2})$"

/* An array of PostgreSQL may have any number of dimensions, whatever its
 * column says. Elements are described in so many; an array that is deeper is
 * an array, and no more is said of it. */
#define DIMENSIONS 2

static json_t *
of_moment(const char *format)
{
	return json_pack("{s:[{s:[s,s], s:s}, {s:s, s:s}]}", "anyOf", "type",
	    "string", "null", "format", format, "type", "string", "pattern",
	    BEYOND);
}

static json_t *
of_kind(enum fmt_pgjson kind)
{
	switch (kind) {
	case FMT_PGJSON_BOOLEAN:
		return json_pack("{s:[s,s]}", "type", "boolean", "null");
	case FMT_PGJSON_INTEGER:
		return json_pack("{s:[s,s]}", "type", "integer", "null");
	case FMT_PGJSON_EXACT:
		return json_pack("{s:[s,s], s:s}", "type", "string", "null",
		    "pattern", NUMBER);
	case FMT_PGJSON_FLOAT:
		return json_pack("{s:[{s:[s,s]}, {s:[s,s,s]}]}", "anyOf",
		    "type", "number", "null", "enum", "NaN", "Infinity",
		    "-Infinity");
	case FMT_PGJSON_BYTES:
		return json_pack("{s:[s,s], s:s}", "type", "string", "null",
		    "contentEncoding", "base64");
	case FMT_PGJSON_DATE:
		return of_moment("date");
	case FMT_PGJSON_TIMESTAMPTZ:
		return of_moment("date-time");
	case FMT_PGJSON_JSON:
		return json_object();
	case FMT_PGJSON_TIMESTAMP:
	case FMT_PGJSON_TEXT:
		break;
	}
	return json_pack("{s:[s,s]}", "type", "string", "null");
}

/* In shared rows a made-up name may stand for a reference to somebody. */
static json_t *
or_text(json_t *schema)
{
	return json_pack("{s:[o, {s:s}]}", "anyOf", schema, "type", "string");
}

static json_t *
of_array(
    const struct bkp_model_column *model, const struct bkp_rows_column *column)
{
	json_t *array = json_pack("{s:s}", "type", "array");

	for (int i = 0; i < DIMENSIONS; i++) {
		json_t *element = of_kind(model->kind);

		if (column->names_others)
			element = or_text(element);
		array = json_pack("{s:s, s:{s:[o,o]}}", "type", "array",
		    "items", "anyOf", element, array);
	}
	return json_pack("{s:[o, {s:s}]}", "anyOf", array, "type", "null");
}

static json_t *
of_column(
    const struct bkp_model_column *model, const struct bkp_rows_column *column)
{
	const struct bkp_map_column *map = column->map;
	json_t *schema;

	if (column->treatment != BKP_KEEP)
		schema = of_kind(FMT_PGJSON_TEXT);
	else if (model->is_composite)
		schema = json_object();
	else if (model->is_array)
		schema = of_array(model, column);
	else
		schema = of_kind(model->kind);
	if (column->names_others)
		schema = or_text(schema);
	if (schema == NULL ||
	    json_object_set_new(schema, "$comment", json_string(model->type)) <
		0 ||
	    (map != NULL && map->label != NULL &&
		json_object_set_new(schema, "title", json_string(map->label)) <
		    0)) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

/* A row that came in by an edge with a list of columns has these. */
json_t *
bkp_export_row_schema(
    const struct bkp_export *export, const struct bkp_exported_table *table)
{
	const struct bkp_model_table *model = bkp_export_model(export, table);
	const struct bkp_map_table *map = bkp_export_map(export, table);
	const char *title =
	    map != NULL && map->label != NULL ? map->label : model->id;
	bool is_whole =
	    table->decided == BKP_OWN || table->decided == BKP_SHARED;
	json_t *properties = json_object(), *required = json_array();

	for (size_t i = 0; i < table->column_count; i++) {
		const struct bkp_rows_column *column = &table->columns[i];
		int rc = json_object_set_new(properties, column->name,
		    of_column(&model->columns[column->column], column));

		if (rc == 0 && is_whole)
			rc = json_array_append_new(
			    required, json_string(column->name));
		if (rc != 0) {
			json_decref(properties);
			json_decref(required);
			return NULL;
		}
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:b}", "title", title, "type",
	    "object", "properties", properties, "required", required,
	    "additionalProperties", 0);
}

int
bkp_export_put_json(struct bkp_export *export, const char *name, json_t *value,
    struct bkp_exported_file *file, struct bkp_error *err)
{
	struct fmt_buf out = FMT_BUF_SECRET_INIT;
	char *text = value != NULL
			 ? json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS)
			 : NULL;
	int rc;

	json_decref(value);
	if (text == NULL || fmt_buf_append_text(&out, text) != FMT_OK ||
	    fmt_buf_append_byte(&out, '\n') != FMT_OK)
		rc = bkp_fail_nomem(err, "describing the export");
	else
		rc = bkp_export_put(export, name, &out, file, err);
	free(text);
	fmt_buf_free(&out);
	return rc;
}

int
bkp_export_schema(struct bkp_export *export, struct bkp_error *err)
{
	json_t *files = json_object();

	for (size_t i = 0; i < export->table_count; i++) {
		const struct bkp_exported_table *table = &export->tables[i];

		if (json_object_set_new(files, table->json.name,
			bkp_export_row_schema(export, table)) < 0) {
			json_decref(files);
			return bkp_fail_nomem(err, "describing the export");
		}
	}
	if (json_object_set_new(
		files, "subject.json", bkp_export_core_schema(export)) < 0 ||
	    bkp_export_describe(files) < 0) {
		json_decref(files);
		return bkp_fail_nomem(err, "describing the export");
	}
	return bkp_export_put_json(export, "schema.json",
	    json_pack("{s:s, s:s, s:o}", "$schema",
		"https://json-schema.org/draft/2020-12/schema", "title",
		"Each file of this export, by its name: subject.json, "
		"manifest.json, and one line of the others",
		"$defs", files),
	    &export->schema, err);
}
