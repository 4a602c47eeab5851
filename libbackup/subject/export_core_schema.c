/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON Schema of subject.json: for the rows of each table what stands in
 * and below them. It refers to itself alone, and so can be used alone. */
#include <stdio.h>

#include "libbackup/subject/export_core.h"

/* "#/$defs/4", the schema of what stands for a row of the table. */
static json_t *
reference(size_t table)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "#/$defs/%zu", table);
	return json_pack("{s:s}", "$ref", text);
}

static json_t *
group(const struct bkp_export *export, size_t at)
{
	const struct bkp_exported_table *table = &export->tables[at];

	return json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s, s:o},"
			 " s:{s:s, s:i}}, s:[s,s,s,s], s:b}",
	    "type", "object", "properties", "table", "const",
	    bkp_export_model(export, table)->id, "file", "const",
	    table->json.name, "rows", "type", "array", "items", reference(at),
	    "more", "type", "integer", "minimum", 0, "required", "table",
	    "file", "rows", "more", "additionalProperties", 0);
}

/* True where groups of the edge stand in rows of the table (NONE: in the
 * subject's own, which is not in the export). */
static bool
is_below(const struct bkp_export *export, const struct bkp_walk_edge *edge,
    size_t at)
{
	size_t subject = bkp_core_table(export, export->walk->subject, BKP_OWN);

	if (edge->decided == BKP_OWN && bkp_core_is_adopted(export, edge))
		return at == subject;
	return at != BKP_CORE_NONE &&
	       bkp_walk_source(edge) == export->tables[at].table;
}

/* Everything that came in by edges of this kind. */
static json_t *
groups(const struct bkp_export *export, size_t at, enum bkp_decided decided)
{
	json_t *all = json_object();

	for (size_t i = 0; i < export->walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &export->walk->edges[i];
		size_t target =
		    bkp_core_table(export, bkp_walk_target(edge), decided);

		if (edge->decided != decided || target == BKP_CORE_NONE ||
		    !is_below(export, edge, at))
			continue;
		if (json_object_set_new(all, edge->id, group(export, target)) <
		    0) {
			json_decref(all);
			return NULL;
		}
	}
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", all,
	    "additionalProperties", 0);
}

/* No row: it is too long to stand there, or is shown elsewhere. */
static json_t *
node(const struct bkp_export *export, size_t at)
{
	json_t *row = json_pack("{s:s}", "type", "null");

	if (at != BKP_CORE_NONE)
		row = json_pack("{s:[o,o]}", "anyOf",
		    bkp_export_row_schema(export, &export->tables[at]), row);
	return json_pack("{s:s, s:{s:{s:[s,s]}, s:o, s:o, s:o}, s:[s,s], s:b}",
	    "type", "object", "properties", "line", "type", "integer", "null",
	    "row", row, "lookups", groups(export, at, BKP_LOOKUP), "owned",
	    groups(export, at, BKP_OWN), "required", "line", "row",
	    "additionalProperties", 0);
}

static json_t *
definitions(const struct bkp_export *export)
{
	json_t *all = json_object();

	for (size_t i = 0; i < export->table_count; i++) {
		char name[32];

		if (export->tables[i].decided != BKP_OWN &&
		    export->tables[i].decided != BKP_LOOKUP)
			continue;
		(void)snprintf(name, sizeof(name), "%zu", i);
		if (json_object_set_new(all, name, node(export, i)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static json_t *
table_schema(void)
{
	return json_pack("{s:s, s:{s:{s:s}, s:{s:[s,s]}, s:{s:s, s:{s:s}},"
			 " s:{s:s}, s:{s:s}}, s:[s,s,s,s], s:b}",
	    "type", "object", "properties", "file", "type", "string", "label",
	    "type", "string", "null", "columns", "type", "object",
	    "additionalProperties", "type", "string", "rows", "type", "integer",
	    "here", "type", "integer", "required", "file", "label", "columns",
	    "rows", "additionalProperties", 0);
}

static json_t *
tables_schema(void)
{
	return json_pack("{s:s, s:{s:{s:s, s:o}, s:{s:s, s:o}}, s:[s,s], s:b}",
	    "type", "object", "properties", "own", "type", "object",
	    "additionalProperties", table_schema(), "lookup", "type", "object",
	    "additionalProperties", table_schema(), "required", "own", "lookup",
	    "additionalProperties", 0);
}

json_t *
bkp_export_core_schema(const struct bkp_export *export)
{
	size_t subject = bkp_core_table(export, export->walk->subject, BKP_OWN);

	return json_pack("{s:s, s:s, s:s, s:{s:{s:s}, s:{s:i}, s:o, s:o},"
			 " s:[s,s,s,s], s:b, s:o}",
	    "$id", "subject.json", "title",
	    "The subject's own rows, nested by the edges by which they came "
	    "in",
	    "type", "object", "properties", "format", "const",
	    "libbackup-subject", "version", "const", 1, "tables",
	    tables_schema(), "subject",
	    subject != BKP_CORE_NONE ? reference(subject)
				     : node(export, BKP_CORE_NONE),
	    "required", "format", "version", "tables", "subject",
	    "additionalProperties", 0, "$defs", definitions(export));
}
