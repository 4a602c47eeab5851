/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue as maps see it, for the tests that hold it against real
 * databases.
 *
 *   subject_tool model CONNINFO
 *   subject_tool review CONNINFO MAP
 *   subject_tool propose CONNINFO TABLE [MAP]
 *
 * Exit status: 0, or 1 with "code CODE: MESSAGE" on stderr.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/subject/review.h"

static json_t *
columns_of(const struct bkp_model_table *table)
{
	json_t *list = json_array();

	for (size_t i = 0; i < table->column_count; i++) {
		const struct bkp_model_column *c = &table->columns[i];

		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:i, s:i, s:b, s:b, s:b, s:b, s:s?}",
			"name", c->name, "type", c->type, "oid",
			(int)c->type_oid, "kind", (int)c->kind, "array",
			c->is_array, "composite", c->is_composite, "not_null",
			c->is_not_null, "generated", c->is_generated, "comment",
			c->comment));
	}
	return list;
}

static json_t *
table_json(const struct bkp_model_table *table)
{
	json_t *leaves = json_array(), *key = json_array();

	for (size_t i = 0; i < table->leaf_count; i++)
		json_array_append_new(
		    leaves, json_string(table->leaves[i].quoted));
	for (size_t i = 0; i < table->key_count; i++)
		json_array_append_new(
		    key, json_string(table->columns[table->key[i]].name));
	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:o, s:f, s:I, s:b, s:s?, s:s?}",
	    "schema", table->schema, "name", table->name, "quoted",
	    table->quoted, "leaves", leaves, "key", key, "columns",
	    columns_of(table), "rows", table->rows, "bytes",
	    (json_int_t)table->bytes, "foreign", table->is_foreign, "parent",
	    table->parent, "comment", table->comment);
}

static json_t *
edge_json(const struct bkp_model *model, const struct bkp_model_edge *edge)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:b}", "child",
	    model->tables[edge->child].id, "parent",
	    model->tables[edge->parent].id, "constraint", edge->constraint,
	    "indexed", edge->is_child_indexed, "cascade", edge->is_cascade);
}

static json_t *
split_json(const struct bkp_model *model, const struct bkp_model_split *split)
{
	return json_pack("{s:s, s:b, s:s, s:s}", "edge",
	    model->edges[split->edge].id, "inherited", split->is_inherited,
	    "with", split->with, "without", split->without);
}

static json_t *
model_json(const struct bkp_model *model)
{
	json_t *tables = json_object(), *edges = json_object();
	json_t *splits = json_array();

	for (size_t i = 0; i < model->table_count; i++)
		json_object_set_new(
		    tables, model->tables[i].id, table_json(&model->tables[i]));
	for (size_t i = 0; i < model->edge_count; i++)
		json_object_set_new(edges, model->edges[i].id,
		    edge_json(model, &model->edges[i]));
	for (size_t i = 0; i < model->split_count; i++)
		json_array_append_new(
		    splits, split_json(model, &model->splits[i]));
	return json_pack("{s:o, s:o, s:o}", "tables", tables, "edges", edges,
	    "splits", splits);
}

static json_t *
review_json(const struct bkp_model *model, const struct bkp_review *review)
{
	json_t *findings = json_array(), *reached = json_object();

	for (size_t i = 0; i < review->count; i++) {
		const struct bkp_review_finding *f = &review->findings[i];

		json_array_append_new(findings,
		    json_pack("{s:b, s:s, s:s, s:s, s:i}", "advice",
			f->level == BKP_REVIEW_ADVICE, "kind", f->kind, "what",
			f->what, "message", f->message, "line", (int)f->line));
	}
	for (size_t i = 0; i < model->table_count; i++)
		json_object_set_new(reached, model->tables[i].id,
		    json_string(bkp_decided_name(review->reached[i])));
	return json_pack("{s:o, s:o, s:I}", "findings", findings, "reached",
	    reached, "failing", (json_int_t)review->failing);
}

static int
print(json_t *value)
{
	int rc = value != NULL ? json_dumpf(value, stdout, JSON_INDENT(1)) : -1;

	json_decref(value);
	return rc;
}

static int
review(struct bkp_pg *pg, const struct bkp_model *model, const char *path,
    struct bkp_error *err)
{
	struct bkp_review review = BKP_REVIEW_INIT;
	struct bkp_map map = BKP_MAP_INIT;
	int rc = -1;

	if (bkp_map_load(path, &map, err) == 0 &&
	    bkp_review(pg, model, &map, &review, err) == 0)
		rc = print(review_json(model, &review));
	bkp_review_free(&review);
	bkp_map_free(&map);
	return rc;
}

static int
propose(struct bkp_pg *pg, const struct bkp_model *model, char **args,
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_map map = BKP_MAP_INIT, again = BKP_MAP_INIT;
	int rc = -1;

	if ((args[1] == NULL || bkp_map_load(args[1], &map, err) == 0) &&
	    bkp_propose(pg, model, args[0], args[1] != NULL ? &map : NULL,
		&text, err) == 0 &&
	    bkp_map_parse("proposed", text.data, text.len, &again, err) == 0)
		rc =
		    fwrite(text.data, 1, text.len, stdout) == text.len ? 0 : -1;
	fmt_buf_free(&text);
	bkp_map_free(&map);
	bkp_map_free(&again);
	return rc;
}

static int
run(int argc, char **argv, struct bkp_error *err)
{
	struct bkp_postgres_config config = {.conninfo = argv[2]};
	struct bkp_model model = BKP_MODEL_INIT;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (bkp_pg_open(&pg, &config, NULL, NULL, err) < 0)
		return -1;
	if (bkp_model_read(&pg, &model, err) < 0)
		rc = -1;
	else if (argc == 3 && strcmp(argv[1], "model") == 0)
		rc = print(model_json(&model));
	else if (argc == 4 && strcmp(argv[1], "review") == 0)
		rc = review(&pg, &model, argv[3], err);
	else if (argc >= 4 && strcmp(argv[1], "propose") == 0)
		rc = propose(&pg, &model, argv + 3, err);
	bkp_model_free(&model);
	bkp_pg_close(&pg);
	return rc;
}

int
main(int argc, char **argv)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (argc >= 3 && run(argc, argv, &err) == 0)
		return 0;
	fprintf(stderr, "code %d: %s\n", err.code, err.message);
	return 1;
}
