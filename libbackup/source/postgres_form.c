/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/postgres_form.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"

/* A new table of so many bytes of heap and TOAST is read in the binary form.
 * Below it that gains nothing. */
#define BINARY_MIN (1024u * 1024)

/* ---- choosing ---- */

static enum fmt_copy_form
form_of_new(
    const struct bkp_pg_table *table, const struct bkp_postgres_config *config)
{
	switch ((enum bkp_copy)config->copy) {
	case BKP_COPY_TEXT:
		return FMT_COPY_TEXT;
	case BKP_COPY_BINARY:
		return FMT_COPY_BINARY;
	case BKP_COPY_BY_SIZE:
		break;
	}
	return table->bytes >= BINARY_MIN ? FMT_COPY_BINARY : FMT_COPY_TEXT;
}

/* Text of a database in another encoding than UTF-8 would be sent in that of
 * the session. */
enum fmt_copy_form
bkp_pg_form_choose(const struct bkp_pg_table *table,
    const struct bkp_postgres_config *config, const char *encoding,
    bool is_compared, const json_t *known)
{
	enum fmt_copy_form form = FMT_COPY_TEXT;
	bool is_known = fmt_copy_form_parse(json_string_value(known), &form);

	if (!table->has_binary || strcmp(encoding, "UTF8") != 0)
		return FMT_COPY_TEXT;
	if (is_compared || (is_known && config->copy == BKP_COPY_BY_SIZE))
		return form;
	return form_of_new(table, config);
}

/* ---- describing ---- */

static json_t *
list_strings(const char *const *strings, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(list, json_string(strings[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* What rows in the binary form can be loaded into. */
static bool
describe_types(const struct bkp_pg_table *table, json_t *attrs)
{
	return table->form == FMT_COPY_TEXT ||
	       json_object_set_new(attrs, "types",
		   list_strings(table->types, table->column_count)) == 0;
}

json_t *
bkp_pg_form_describe(const struct bkp_pg_table *table,
    const struct fmt_rowhash *hash, const char *encoding)
{
	char text[FMT_ROWHASH_TEXT];
	json_t *columns = list_strings(table->columns, table->column_count);
	json_t *attrs;

	if (columns == NULL)
		return NULL;
	fmt_rowhash_text(hash, text);
	attrs = json_pack("{s:s, s:s, s:o, s:s, s:s, s:I, s:s, s:I}", "schema",
	    table->schema, "name", table->name, "columns", columns, "format",
	    fmt_copy_form_name(table->form), "encoding", encoding, "rows",
	    (json_int_t)hash->rows, "rowhash", text, "range_pages",
	    (json_int_t)table->range_pages);
	if (attrs == NULL)
		return NULL;
	if (!describe_types(table, attrs) ||
	    (table->is_unlogged &&
		json_object_set_new(attrs, "unlogged", json_true()) < 0) ||
	    (table->is_root && json_object_set_new(
				   attrs, "partition_root", json_true()) < 0) ||
	    (table->extension != NULL &&
		(json_object_set_new(
		     attrs, "extension", json_string(table->extension)) < 0 ||
		    json_object_set_new(
			attrs, "filter", json_string(table->filter)) < 0))) {
		json_decref(attrs);
		return NULL;
	}
	return attrs;
}

/* ---- loading ---- */

static int
fail_attributes(const struct fmt_entry *entry, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "%s: its attributes are not those of rows in the binary form",
	    entry->path);
}

/* The first chunk and the last are what they are in every table. */
static int
take_frame(struct fmt_entry *entry, struct bkp_error *err)
{
	const json_t *types = json_object_get(entry->attrs, "types");
	const json_t *columns = json_object_get(entry->attrs, "columns");
	const char *encoding =
	    json_string_value(json_object_get(entry->attrs, "encoding"));
	size_t count = entry->chunk_count;

	if (count < 2 || entry->chunks[0].len != FMT_COPY_HEADER_LEN ||
	    entry->chunks[count - 1].len != FMT_COPY_TRAILER_LEN ||
	    !json_is_array(types) ||
	    json_array_size(types) != json_array_size(columns) ||
	    encoding == NULL || strcmp(encoding, "UTF8") != 0)
		return fail_attributes(entry, err);
	memmove(entry->chunks, entry->chunks + 1,
	    (count - 2) * sizeof(*entry->chunks));
	entry->chunk_count = count - 2;
	entry->size -= FMT_COPY_HEADER_LEN + FMT_COPY_TRAILER_LEN;
	return 0;
}

int
bkp_pg_form_read(
    struct fmt_entry *entry, enum fmt_copy_form *out, struct bkp_error *err)
{
	const char *name =
	    json_string_value(json_object_get(entry->attrs, "format"));

	if (!fmt_copy_form_parse(name, out))
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%s: its rows are stored as \"%s\", which this version "
		    "does not know: a later one made it",
		    entry->path, name != NULL ? name : "");
	return *out == FMT_COPY_TEXT ? 0 : take_frame(entry, err);
}

/* ---- types ---- */

static const char columns_sql[] =
    "SELECT a.attname, t.name,"
    " pg_catalog.format_type(a.atttypid, a.atttypmod)"
    " FROM pg_catalog.pg_attribute a"
    " LEFT JOIN (%s) t ON t.type = a.atttypid"
    " WHERE a.attrelid = $1::text::pg_catalog.regclass"
    " AND a.attnum > 0 AND NOT a.attisdropped";

/* The row of the answer that is about a column; -1: none is. */
static int
find_column(const PGresult *result, const char *column)
{
	for (int i = 0; i < PQntuples(result); i++)
		if (strcmp(PQgetvalue(result, i, 0), column) == 0)
			return i;
	return -1;
}

/*
 * Types that receive the same bytes as each other, which are text in the
 * encoding of the session: what does not fit a length is refused, as it is as
 * text. Not bpchar, which adds and drops spaces, so that what is read back is
 * not what went in.
 */
static bool
is_same_inside(const char *a, const char *b)
{
	static const char *const texts[] = {"text", "varchar"};
	unsigned found = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		found += strcmp(a, texts[i]) == 0 ? 1 : 0;
		found += strcmp(b, texts[i]) == 0 ? 1 : 0;
	}
	return strcmp(a, b) == 0 || found == 2;
}

static int
check_column(const PGresult *result, const char *column, const char *type,
    struct bkp_error *err)
{
	int found = find_column(result, column);

	/* COPY itself says so of a column that is not there. */
	if (found < 0 ||
	    (type[0] != '\0' &&
		is_same_inside(PQgetvalue(result, found, 1), type)))
		return 0;
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "column \"%s\" was %s and is %s here: its rows are stored in the "
	    "binary form of COPY, which only a column of the same type can "
	    "take. Restore the database under another name, and bring the "
	    "rows over from there",
	    column, type[0] != '\0' ? type : "of no type",
	    PQgetvalue(result, found, 2));
}

int
bkp_pg_form_check(struct bkp_pg *pg, const char *quoted,
    const char *const *columns, const char *const *types, size_t count,
    struct bkp_error *err)
{
	PGresult *result = NULL;
	char *sql = NULL;
	int rc = -1;

	if (types == NULL)
		return 0;
	if ((sql = bkp_format(err, columns_sql, bkp_pg_types)) == NULL ||
	    bkp_pg_query(pg, sql, 1, &quoted, &result, err) < 0)
		goto out;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = check_column(result, columns[i], types[i], err);
out:
	PQclear(result);
	free(sql);
	return rc;
}

/* ---- what is around the rows ---- */

int
bkp_pg_form_begin(
    struct bkp_pg *pg, enum fmt_copy_form form, struct bkp_error *err)
{
	return form == FMT_COPY_TEXT ? 0
				     : bkp_pg_copy_in_put(pg, fmt_copy_header,
					   FMT_COPY_HEADER_LEN, err);
}

int
bkp_pg_form_end(
    struct bkp_pg *pg, enum fmt_copy_form form, struct bkp_error *err)
{
	return form == FMT_COPY_TEXT ? 0
				     : bkp_pg_copy_in_put(pg, fmt_copy_trailer,
					   FMT_COPY_TRAILER_LEN, err);
}
