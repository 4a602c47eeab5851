/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/model.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/model_own.h"

/* ---- rows of answers ---- */

const char *
bkp_model_row_text(const struct model_row *row, int column)
{
	return PQgetvalue(row->result, row->number, column);
}

unsigned
bkp_model_row_oid(const struct model_row *row, int column)
{
	return (unsigned)strtoul(bkp_model_row_text(row, column), NULL, 10);
}

bool
bkp_model_row_is(const struct model_row *row, int column)
{
	return bkp_model_row_text(row, column)[0] == 't';
}

int
bkp_model_row_copy(
    const struct model_row *row, int column, char **out, struct bkp_error *err)
{
	if (PQgetisnull(row->result, row->number, column))
		return 0;
	*out = bkp_strdup(bkp_model_row_text(row, column), err);
	return *out != NULL ? 0 : -1;
}

int
bkp_model_each(struct model_reader *r, const char *sql,
    int (*each)(struct model_reader *r, const struct model_row *row, void *arg,
	struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	PGresult *result = NULL;
	struct model_row row;
	int rc = 0;

	if (bkp_pg_query(r->pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	row = (struct model_row){.result = result};
	for (; rc == 0 && row.number < PQntuples(result); row.number++)
		rc = each(r, &row, arg, err);
	PQclear(result);
	return rc;
}

static int
compare_oid(const void *key, const void *relation)
{
	unsigned a = *(const unsigned *)key;
	unsigned b = ((const struct model_relation *)relation)->oid;

	return (a > b) - (a < b);
}

const struct model_relation *
bkp_model_relation(const struct model_reader *r, unsigned oid)
{
	if (r->relation_count == 0)
		return NULL;
	return bsearch(&oid, r->relations, r->relation_count,
	    sizeof(*r->relations), compare_oid);
}

/* ---- reading ---- */

static int
read_model(struct bkp_pg *pg, bool is_for_advice, struct bkp_model *out,
    struct bkp_error *err)
{
	struct bkp_model model = BKP_MODEL_INIT;
	struct model_reader r = {.pg = pg, .model = &model};
	int rc = -1;

	model.is_for_advice = is_for_advice;
	if (bkp_model_read_tables(&r, err) == 0 &&
	    bkp_model_read_columns(&r, err) == 0 &&
	    bkp_model_read_edges(&r, err) == 0 &&
	    (!is_for_advice || bkp_model_read_indexes(&r, err) == 0))
		rc = 0;
	for (size_t i = 0; !is_for_advice && i < model.edge_count; i++)
		model.edges[i].is_child_indexed = true;
	for (size_t i = 0; i < r.relation_count; i++)
		free(r.relations[i].id);
	free(r.relations);
	free(r.children);
	if (rc < 0) {
		(void)bkp_fail_in(err, "reading the catalogue");
		bkp_model_free(&model);
		return -1;
	}
	*out = model;
	return 0;
}

int
bkp_model_read(struct bkp_pg *pg, struct bkp_model *out, struct bkp_error *err)
{
	return read_model(pg, true, out, err);
}

int
bkp_model_read_for_rows(
    struct bkp_pg *pg, struct bkp_model *out, struct bkp_error *err)
{
	return read_model(pg, false, out, err);
}

static void
free_table(struct bkp_model_table *table)
{
	for (size_t i = 0; i < table->leaf_count; i++)
		free(table->leaves[i].quoted);
	for (size_t i = 0; i < table->column_count; i++) {
		free(table->columns[i].name);
		free(table->columns[i].type);
		free(table->columns[i].comment);
	}
	free(table->leaves);
	free(table->columns);
	free(table->schema);
	free(table->name);
	free(table->id);
	free(table->quoted);
	free(table->key);
	free(table->parent);
	free(table->comment);
}

void
bkp_model_free(struct bkp_model *model)
{
	for (size_t i = 0; i < model->table_count; i++)
		free_table(&model->tables[i]);
	for (size_t i = 0; i < model->edge_count; i++) {
		free(model->edges[i].child_columns);
		free(model->edges[i].parent_columns);
		free(model->edges[i].constraint);
		free(model->edges[i].id);
	}
	for (size_t i = 0; i < model->split_count; i++) {
		free(model->splits[i].with);
		free(model->splits[i].without);
	}
	free(model->tables);
	free(model->edges);
	free(model->splits);
	*model = (struct bkp_model)BKP_MODEL_INIT;
}

const char *
bkp_model_unreadable(const struct bkp_model_table *table)
{
	switch (table->access) {
	case BKP_ACCESS_NONE:
		return "this role may not read it: GRANT SELECT on it and its "
		       "partitions, and USAGE on its schema";
	case BKP_ACCESS_SOME:
		return "row-level security hides rows of it from this role: "
		       "export as its owner, or ALTER ROLE ... BYPASSRLS";
	case BKP_ACCESS_ALL:
		break;
	}
	return NULL;
}

/* ---- looking up ---- */

static int
compare_table(const void *id, const void *table)
{
	return strcmp(id, ((const struct bkp_model_table *)table)->id);
}

static int
compare_edge(const void *id, const void *edge)
{
	return strcmp(id, ((const struct bkp_model_edge *)edge)->id);
}

size_t
bkp_model_table(const struct bkp_model *model, const char *id)
{
	const struct bkp_model_table *found = NULL;

	if (model->table_count > 0)
		found = bsearch(id, model->tables, model->table_count,
		    sizeof(*model->tables), compare_table);
	return found != NULL ? (size_t)(found - model->tables) : SIZE_MAX;
}

size_t
bkp_model_edge(const struct bkp_model *model, const char *id)
{
	const struct bkp_model_edge *found = NULL;

	if (model->edge_count > 0)
		found = bsearch(id, model->edges, model->edge_count,
		    sizeof(*model->edges), compare_edge);
	return found != NULL ? (size_t)(found - model->edges) : SIZE_MAX;
}

size_t
bkp_model_column(const struct bkp_model_table *table, const char *name)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (strcmp(table->columns[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

bool
bkp_model_is_array_of(const struct bkp_model_table *table, const char *value,
    const struct bkp_model_column *parent)
{
	size_t at = bkp_model_column(table, value), len = strlen(parent->type);
	const struct bkp_model_column *column;

	if (at == SIZE_MAX)
		return false;
	column = &table->columns[at];
	return column->is_array && !column->is_composite &&
	       strncmp(column->type, parent->type, len) == 0 &&
	       strcmp(column->type + len, "[]") == 0;
}

enum fmt_status
bkp_model_value(
    struct fmt_buf *out, const struct bkp_model_table *table, const char *value)
{
	if (bkp_model_column(table, value) != SIZE_MAX)
		return bkp_pg_quote(out, value);
	return fmt_buf_printf(out, "(%s)", value);
}
