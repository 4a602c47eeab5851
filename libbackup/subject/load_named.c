/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared rows name the subject by "self" and everybody else by a pseudonym of
 * 16 hex digits, where they refer to the subject's table. The first is turned
 * back; the others are nobody any more: NULL, or what the caller puts there.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

#define PSEUDONYM "'^[0-9a-f]{16}$'"

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "reading who is named");
}

/* ---- who the subject is ---- */

static const json_t *
subject_of(const struct bkp_load *load)
{
	return json_object_get(load->unpack->manifest, "subject");
}

static const struct load_table *
find_subject(const struct bkp_load *load)
{
	const char *id =
	    json_string_value(json_object_get(subject_of(load), "table"));

	for (size_t i = 0; id != NULL && i < load->count; i++)
		if (load->tables[i].from->decided == BKP_OWN &&
		    strcmp(load->tables[i].to->id, id) == 0)
			return &load->tables[i];
	return NULL;
}

/* The column of the subject's table that a foreign key, or else a declared
 * reference, leads to from this one. SIZE_MAX: none does. */
static size_t
find_column(const struct bkp_load *load, const struct load_table *table,
    size_t column, const struct load_table *subject)
{
	const struct bkp_unpack *unpack = load->unpack;

	for (size_t i = 0; i < load->model.edge_count; i++) {
		const struct bkp_model_edge *edge = &load->model.edges[i];

		for (size_t k = 0;
		     edge->child == table->model &&
		     edge->parent == subject->model && k < edge->column_count;
		     k++)
			if (edge->child_columns[k] == column)
				return edge->parent_columns[k];
	}
	for (size_t i = 0; i < unpack->reference_count; i++) {
		const struct bkp_unpack_reference *reference =
		    &unpack->references[i];

		if (reference->count == 1 &&
		    strcmp(reference->from, table->to->id) == 0 &&
		    strcmp(reference->to, subject->to->id) == 0 &&
		    strcmp(reference->columns[0],
			table->to->columns[column].name) == 0)
			return bkp_model_column(
			    subject->to, reference->to_columns[0]);
	}
	return SIZE_MAX;
}

/* The value of that column in the subject's row, as text. */
static int
find_self(struct bkp_load *load, const struct load_table *subject,
    size_t column, char **out, struct bkp_error *err)
{
	json_t *keys = json_object_get(subject_of(load), "key"), *value;
	enum fmt_status status;
	struct fmt_buf sql = FMT_BUF_INIT;
	const char *key;
	int rc = 0;

	status = bkp_pg_sql(&sql,
	    "(SELECT p.line OPERATOR(pg_catalog.->>) %L FROM pg_temp.load_%u p"
	    " WHERE true",
	    subject->to->columns[column].name, subject->number);
	json_object_foreach(keys, key, value)
	{
		if (status == FMT_OK && json_is_string(value))
			status = bkp_pg_sql(&sql,
			    " AND p.line OPERATOR(pg_catalog.->>) %L = %L", key,
			    json_string_value(value));
	}
	if (status == FMT_OK)
		status = fmt_buf_append_byte(&sql, ')');
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		rc = nomem(err);
	else if ((*out = bkp_strdup((const char *)sql.data, err)) == NULL)
		rc = -1;
	fmt_buf_free(&sql);
	return rc;
}

/* ---- who else ---- */

static int
count_others(struct bkp_load *load, const struct load_table *table,
    const struct load_column *column, uint64_t *out, struct bkp_error *err)
{
	const char *name = column->model->name;
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	if (column->model->is_array)
		status = bkp_pg_sql(&sql,
		    "SELECT pg_catalog.count(*) FROM pg_temp.load_%u l,"
		    " pg_catalog.json_to_record(l.line) AS r(%I text[]),"
		    " pg_catalog.unnest(r.%I) AS e(v) WHERE ",
		    table->number, name, name);
	else
		status = bkp_pg_sql(&sql,
		    "SELECT pg_catalog.count(*) FROM pg_temp.load_%u l,"
		    " pg_catalog.json_to_record(l.line) AS r(%I text) WHERE ",
		    table->number, name);
	if (status == FMT_OK)
		status = bkp_load_append_other(
		    &sql, column, column->model->is_array ? "e.v" : NULL);
	rc = status == FMT_OK ? bkp_load_number(load, &sql, out, err)
			      : nomem(err);
	fmt_buf_free(&sql);
	return rc;
}

static int
look_at(struct bkp_load *load, const struct load_table *table,
    struct load_column *column, struct bkp_error *err)
{
	const struct load_table *subject = find_subject(load);
	size_t at = (size_t)(column - table->columns);
	size_t theirs =
	    subject != NULL ? find_column(load, table, at, subject) : SIZE_MAX;
	uint64_t others = 0;
	char *name;

	if (theirs != SIZE_MAX &&
	    find_self(load, subject, theirs, &column->self, err) < 0)
		return -1;
	if (count_others(load, table, column, &others, err) < 0)
		return -1;
	if (others == 0 || column->fill != NULL)
		return 0;
	name = bkp_format(err, "%s.%s (pseudonyms of other people)",
	    table->to->id, column->model->name);
	if (name == NULL)
		return -1;
	if (load->options.is_nulled &&
	    (column->model->is_array ||
		(!column->model->is_not_null && !column->is_key)))
		bkp_load_tell_null(load, name, others);
	else
		bkp_load_tell_open(load, name, table, others,
		    column->model->is_array ||
			(!column->model->is_not_null && !column->is_key));
	free(name);
	return 0;
}

int
bkp_load_name(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->count; i++) {
		const struct load_table *table = &load->tables[i];

		for (size_t k = 0; k < table->to->column_count; k++)
			if (table->columns[k].is_named &&
			    look_at(load, table, &table->columns[k], err) < 0)
				return bkp_fail_in(
				    err, "%s in the export", table->from->name);
	}
	return 0;
}

/* ---- for the SQL ---- */

/* `value` as SQL has it; NULL: the column itself. */
static enum fmt_status
append_it(
    struct fmt_buf *sql, const struct load_column *column, const char *value)
{
	return value != NULL ? fmt_buf_append_text(sql, value)
			     : bkp_pg_sql(sql, "r.%I", column->model->name);
}

enum fmt_status
bkp_load_append_other(
    struct fmt_buf *sql, const struct load_column *column, const char *value)
{
	enum fmt_status status = fmt_buf_append_byte(sql, '(');

	if (status == FMT_OK)
		status = append_it(sql, column, value);
	if (status == FMT_OK)
		status = fmt_buf_append_text(
		    sql, " OPERATOR(pg_catalog.~) " PSEUDONYM);
	if (status == FMT_OK && column->self == NULL) {
		status = fmt_buf_append_text(sql, " OR ");
		if (status == FMT_OK)
			status = append_it(sql, column, value);
		if (status == FMT_OK)
			status = fmt_buf_append_text(sql, " = 'self'");
	}
	return status == FMT_OK ? fmt_buf_append_byte(sql, ')') : status;
}

/* One name, as text. */
static enum fmt_status
append_name(
    struct fmt_buf *sql, const struct load_column *column, const char *value)
{
	enum fmt_status status = fmt_buf_append_text(sql, "CASE WHEN ");

	if (status == FMT_OK)
		status = bkp_load_append_other(sql, column, value);
	if (status == FMT_OK)
		status = bkp_pg_sql(sql, " THEN (%s)::text",
		    column->fill != NULL ? column->fill : "NULL");
	if (status == FMT_OK && column->self != NULL) {
		status = fmt_buf_append_text(sql, " WHEN ");
		if (status == FMT_OK)
			status = append_it(sql, column, value);
		if (status == FMT_OK)
			status =
			    bkp_pg_sql(sql, " = 'self' THEN %s", column->self);
	}
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, " ELSE ");
	if (status == FMT_OK)
		status = append_it(sql, column, value);
	return status == FMT_OK ? fmt_buf_append_text(sql, " END") : status;
}

enum fmt_status
bkp_load_append_named(struct fmt_buf *sql, const struct load_column *column)
{
	const char *name = column->model->name;
	enum fmt_status status;

	if (!column->model->is_array) {
		status = fmt_buf_append_byte(sql, '(');
		if (status == FMT_OK)
			status = append_name(sql, column, NULL);
		return status == FMT_OK
			   ? bkp_pg_sql(sql, ")::%s", column->model->type)
			   : status;
	}
	status = bkp_pg_sql(
	    sql, "CASE WHEN r.%I IS NULL THEN NULL ELSE ARRAY(SELECT ", name);
	if (status == FMT_OK)
		status = append_name(sql, column, "e.v");
	return status == FMT_OK
		   ? bkp_pg_sql(sql,
			 " FROM pg_catalog.unnest(r.%I) WITH ORDINALITY AS"
			 " e(v, o) ORDER BY e.o) END::%s",
			 name, column->model->type)
		   : status;
}
