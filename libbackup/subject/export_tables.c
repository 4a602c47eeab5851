/* SPDX-License-Identifier: Apache-2.0 */
/* Rows into the package: a JSON object a line, and CSV where it is wanted. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/export_pages.h"

/* Lines are put together in runs of about so many bytes. */
#define RUN ((size_t)256 * 1024)

/* Writes one row; appended to `out`. */
typedef int row_fn(const struct bkp_export *export,
    const struct bkp_exported_table *table, const struct bkp_rows_value *values,
    struct fmt_buf *out, struct bkp_error *err);

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "writing rows of the export");
}

const struct bkp_model_table *
bkp_export_model(
    const struct bkp_export *export, const struct bkp_exported_table *table)
{
	return &bkp_walk_model(export->walk)->tables[table->table];
}

const struct bkp_map_table *
bkp_export_map(
    const struct bkp_export *export, const struct bkp_exported_table *table)
{
	return bkp_map_table(export->map, bkp_export_model(export, table)->id);
}

static void
free_file(struct bkp_exported_file *file)
{
	free(file->name);
	file->name = NULL;
}

static void
free_table(struct bkp_exported_table *table)
{
	free(table->columns);
	bkp_export_keep_no_more(table);
	free_file(&table->json);
	free_file(&table->csv);
	fmt_buf_free(&table->first);
}

void
bkp_export_fini(struct bkp_export *export)
{
	for (size_t i = 0; i < export->table_count; i++)
		free_table(&export->tables[i]);
	free(export->tables);
	export->tables = NULL;
	export->table_count = 0;
	for (size_t i = 0; i < export->shown_count; i++) {
		free(export->shown[i].name);
		free(export->shown[i].title);
		free(export->shown[i].type);
	}
	free(export->shown);
	export->shown = NULL;
	export->shown_count = 0;
	for (size_t i = 0; i < export->page_count; i++)
		free_file(&export->pages[i]);
	free(export->pages);
	export->pages = NULL;
	export->page_count = 0;
	free_file(&export->objects);
	free_file(&export->core);
	free_file(&export->schema);
	free_file(&export->index);
	OPENSSL_cleanse(export->secret, sizeof(export->secret));
}

int
bkp_export_put(struct bkp_export *export, const char *name,
    const struct fmt_buf *content, struct bkp_exported_file *out,
    struct bkp_error *err)
{
	if (bkp_package_begin(export->package, name, err) < 0)
		return -1;
	if (bkp_package_put(export->package, content->data, content->len, err) <
	    0)
		return -1;
	return bkp_export_end(export, name, out, err);
}

int
bkp_export_end(struct bkp_export *export, const char *name,
    struct bkp_exported_file *out, struct bkp_error *err)
{
	if ((out->name = bkp_strdup(name, err)) == NULL)
		return -1;
	return bkp_package_end(export->package, out->sha256, &out->size, err);
}

/* ---- JSON ---- */

int
bkp_export_value(const struct bkp_export *export,
    const struct bkp_exported_table *table, size_t column,
    const struct bkp_rows_value *value, struct fmt_buf *out,
    struct bkp_error *err)
{
	const struct bkp_rows_column *shown = &table->columns[column];
	const struct bkp_model_column *model =
	    &bkp_export_model(export, table)->columns[shown->column];
	enum fmt_status status;

	if (value->text == NULL)
		status = fmt_buf_append_text(out, "null");
	else if (value->form == BKP_ROWS_STRING)
		status = fmt_pgjson_string(out, value->text, value->len, NULL);
	else if (value->form == BKP_ROWS_STRINGS)
		status = fmt_pgjson_array(
		    out, FMT_PGJSON_TEXT, ',', value->text, value->len, NULL);
	else if (model->is_composite)
		status = fmt_pgjson_value(
		    out, FMT_PGJSON_JSON, value->text, value->len, NULL);
	else if (model->is_array)
		status = fmt_pgjson_array(
		    out, model->kind, ',', value->text, value->len, NULL);
	else
		status = fmt_pgjson_value(
		    out, model->kind, value->text, value->len, NULL);
	if (status != FMT_OK)
		return bkp_fail_format(err, status,
		    "a value of column %s of %s, which is of type %s",
		    model->name, bkp_export_model(export, table)->id,
		    model->type);
	return 0;
}

static int
json_row(const struct bkp_export *export,
    const struct bkp_exported_table *table, const struct bkp_rows_value *values,
    struct fmt_buf *out, struct bkp_error *err)
{
	unsigned char before = '{';

	for (size_t i = 0; i < table->column_count; i++) {
		const char *name = table->columns[i].name;

		if (values[i].form == BKP_ROWS_ABSENT)
			continue;
		if (fmt_buf_append_byte(out, before) != FMT_OK ||
		    fmt_pgjson_string(out, name, strlen(name), NULL) !=
			FMT_OK ||
		    fmt_buf_append_byte(out, ':') != FMT_OK)
			return nomem(err);
		if (bkp_export_value(export, table, i, &values[i], out, err) <
		    0)
			return -1;
		before = ',';
	}
	return fmt_buf_append_text(out, before == '{' ? "{}\n" : "}\n") ==
		       FMT_OK
		   ? 0
		   : nomem(err);
}

/* ---- CSV (RFC 4180): NULL is nothing, the empty text is "" ---- */

static enum fmt_status
append_field(struct fmt_buf *out, const char *text, size_t len)
{
	enum fmt_status status = fmt_buf_append_byte(out, '"');

	for (size_t i = 0; i < len && status == FMT_OK; i++) {
		if (text[i] == '"')
			status = fmt_buf_append_byte(out, '"');
		if (status == FMT_OK)
			status =
			    fmt_buf_append_byte(out, (unsigned char)text[i]);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, '"') : status;
}

/* Text and what JSON has no type for is as the server writes it; dates and
 * bytes are as in JSON, where they are strings without an escape. */
static int
csv_value(const struct bkp_export *export,
    const struct bkp_exported_table *table, size_t column,
    const struct bkp_rows_value *value, struct fmt_buf *out,
    struct bkp_error *err)
{
	const struct bkp_rows_column *shown = &table->columns[column];
	const struct bkp_model_column *model =
	    &bkp_export_model(export, table)->columns[shown->column];
	struct fmt_buf json = FMT_BUF_SECRET_INIT;
	const char *text = value->text;
	size_t len = value->len;
	int rc = 0;

	if (text == NULL)
		return 0;
	if (value->form == BKP_ROWS_STRINGS ||
	    (value->form == BKP_ROWS_TYPED &&
		(model->is_array || model->is_composite ||
		    model->kind != FMT_PGJSON_TEXT))) {
		rc = bkp_export_value(export, table, column, value, &json, err);
		text = (const char *)json.data;
		len = json.len;
		if (rc == 0 && len >= 2 && text[0] == '"') {
			text++;
			len -= 2;
		}
	}
	if (rc == 0 && append_field(out, text, len) != FMT_OK)
		rc = nomem(err);
	fmt_buf_free(&json);
	return rc;
}

static int
csv_row(const struct bkp_export *export, const struct bkp_exported_table *table,
    const struct bkp_rows_value *values, struct fmt_buf *out,
    struct bkp_error *err)
{
	for (size_t i = 0; i < table->column_count; i++) {
		if (i > 0 && fmt_buf_append_byte(out, ',') != FMT_OK)
			return nomem(err);
		if (csv_value(export, table, i, &values[i], out, err) < 0)
			return -1;
	}
	return fmt_buf_append_text(out, "\r\n") == FMT_OK ? 0 : nomem(err);
}

static int
csv_names(const struct bkp_exported_table *table, struct fmt_buf *out,
    struct bkp_error *err)
{
	for (size_t i = 0; i < table->column_count; i++) {
		const char *name = table->columns[i].name;

		if ((i > 0 && fmt_buf_append_byte(out, ',') != FMT_OK) ||
		    append_field(out, name, strlen(name)) != FMT_OK)
			return nomem(err);
	}
	return fmt_buf_append_text(out, "\r\n") == FMT_OK ? 0 : nomem(err);
}

/* ---- a table ---- */

static int
put_rows(struct bkp_export *export, struct bkp_exported_table *table,
    struct bkp_rows *rows, row_fn *write, struct bkp_pages *pages,
    struct fmt_buf *out, struct bkp_error *err)
{
	const struct bkp_rows_value *values;
	uint64_t count = 0;
	int rc;

	while ((rc = bkp_rows_next(rows, &values, err)) > 0) {
		size_t before = out->len;

		if (write(export, table, values, out, err) < 0 ||
		    (pages != NULL && bkp_pages_row(pages, values, err) < 0))
			return -1;
		count++;
		if (write == json_row &&
		    bkp_export_keep(export, table, rows, count,
			out->data + before, out->len - before, err) < 0)
			return -1;
		bkp_run_count(export->run, out->len - before, 1);
		if (out->len < RUN)
			continue;
		bkp_run_tick(export->run);
		if (bkp_package_put(export->package, out->data, out->len, err) <
		    0)
			return -1;
		fmt_buf_clear(out);
	}
	if (rc < 0)
		return -1;
	table->rows = count;
	return bkp_package_put(export->package, out->data, out->len, err);
}

/* Keeps the columns, which are the same for every pass over the table. */
static int
keep_columns(struct bkp_exported_table *table, const struct bkp_rows *rows,
    struct bkp_error *err)
{
	size_t count;
	const struct bkp_rows_column *columns = bkp_rows_columns(rows, &count);

	if (table->columns != NULL)
		return 0;
	table->columns = bkp_alloc_array(
	    count > 0 ? count : 1, sizeof(*table->columns), err);
	if (table->columns == NULL)
		return -1;
	if (count > 0)
		memcpy(table->columns, columns, count * sizeof(*columns));
	table->column_count = count;
	return 0;
}

/* "own/public.orders.ndjson", the caller's. */
static char *
file_name(const struct bkp_model_table *model, enum bkp_decided decided,
    const char *suffix, struct bkp_error *err)
{
	struct fmt_buf path = FMT_BUF_INIT;
	char *name = NULL;

	if (bkp_pg_path_table(&path, model->schema, model->name) != FMT_OK ||
	    fmt_buf_text(&path) == NULL)
		(void)nomem(err);
	else
		name = bkp_format(err, "%s/%s.%s", bkp_decided_name(decided),
		    fmt_buf_text(&path), suffix);
	fmt_buf_free(&path);
	return name;
}

/* Where it is not certain that there are rows, there is a file if there are. */
static int
put_table(struct bkp_export *export, struct bkp_exported_table *table,
    bool is_csv, bool is_certain, struct bkp_error *err)
{
	struct bkp_exported_file *file = is_csv ? &table->csv : &table->json;
	struct bkp_pages pages = BKP_PAGES_INIT(export, table);
	struct fmt_buf out = FMT_BUF_SECRET_INIT;
	struct bkp_rows *rows = NULL;
	int rc = -1;

	file->name = file_name(bkp_export_model(export, table), table->decided,
	    is_csv ? "csv" : "ndjson", err);
	if (file->name == NULL ||
	    bkp_rows_open(export->walk, table->table, table->decided,
		export->profile, export->secret, 0, &rows, err) < 0)
		goto out;
	if (keep_columns(table, rows, err) < 0 ||
	    bkp_package_begin(export->package, file->name, err) < 0)
		goto out;
	if ((is_csv && csv_names(table, &out, err) < 0) ||
	    put_rows(export, table, rows, is_csv ? csv_row : json_row,
		is_csv ? NULL : &pages, &out, err) < 0) {
		(void)bkp_fail_in(
		    err, "table %s", bkp_export_model(export, table)->id);
		goto out;
	}
	if (table->rows == 0 && !is_certain) {
		bkp_package_drop(export->package);
		rc = 0;
		goto out;
	}
	rc = bkp_package_end(export->package, file->sha256, &file->size, err);
	if (rc == 0)
		rc = bkp_pages_put(&pages, err);
out:
	bkp_pages_fini(&pages);
	bkp_rows_close(rows);
	fmt_buf_free(&out);
	return rc;
}

bool
bkp_export_is_wanted(const struct bkp_export *export, size_t table)
{
	const struct bkp_model *model = bkp_walk_model(export->walk);
	const struct bkp_map_table *map =
	    bkp_map_table(export->map, model->tables[table].id);

	return export->profile != BKP_PROFILE_PORTABILITY || map == NULL ||
	       map->origin != BKP_DERIVED;
}

static int
add_table(struct bkp_export *export, const struct bkp_walk_table *walked,
    struct bkp_error *err)
{
	bool is_certain = walked->rows != BKP_WALK_ROWS_UNKNOWN;
	struct bkp_exported_table *table;

	if (bkp_grow(&export->tables, export->table_count, &export->table_cap,
		sizeof(*export->tables), err) < 0)
		return -1;
	table = &export->tables[export->table_count];
	*table = (struct bkp_exported_table){.table = walked->table,
	    .decided = walked->decided,
	    .first = FMT_BUF_SECRET_INIT,
	    .kept.texts = FMT_BUF_SECRET_INIT};
	export->table_count++;
	if (put_table(export, table, false, is_certain, err) < 0)
		return -1;
	if (table->rows == 0 && !is_certain) {
		free_table(table);
		export->table_count--;
		return 0;
	}
	return export->has_csv ? put_table(export, table, true, true, err) : 0;
}

/* In the order in which people read: the subject itself, what is theirs, what
 * is others' too, what they did, what explains it. */
int
bkp_export_tables(struct bkp_export *export, struct bkp_error *err)
{
	static const enum bkp_decided order[] = {
	    BKP_OWN, BKP_OWN, BKP_SHARED, BKP_ACTOR, BKP_LOOKUP};
	size_t count, subject = bkp_model_table(
			  bkp_walk_model(export->walk), export->map->table);
	const struct bkp_walk_table *walked =
	    bkp_walk_tables(export->walk, &count);

	if (bkp_export_find_root(export, err) < 0)
		return -1;
	for (size_t turn = 0; turn < sizeof(order) / sizeof(*order); turn++) {
		for (size_t i = 0; i < count; i++) {
			bool is_first = walked[i].decided == BKP_OWN &&
					walked[i].table == subject;

			if (walked[i].decided != order[turn] ||
			    is_first != (turn == 0) || walked[i].rows == 0 ||
			    !bkp_export_is_wanted(export, walked[i].table))
				continue;
			if (add_table(export, &walked[i], err) < 0)
				return -1;
		}
	}
	return 0;
}
