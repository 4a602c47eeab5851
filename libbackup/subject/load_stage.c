/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of JSON into temporary tables, and from there into rows with types:
 * the server reads each value as it reads its own text, so that numbers keep
 * their digits. What JSON writes in another way is turned back: bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

#define PORTION ((uint64_t)256 * 1024)

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "loading rows");
}

/* ---- lines ---- */

/* As COPY wants them: what would end or change a field is escaped; a line ends
 * a row. */
static enum fmt_status
append_escaped(struct fmt_buf *out, const unsigned char *data, size_t len)
{
	enum fmt_status status = fmt_buf_reserve(out, 2 * len + 1);

	for (size_t i = 0; status == FMT_OK && i < len; i++) {
		const char *escape = data[i] == '\\'   ? "\\\\"
				     : data[i] == '\t' ? "\\t"
				     : data[i] == '\r' ? "\\r"
						       : NULL;

		status = escape != NULL ? fmt_buf_append_text(out, escape)
					: fmt_buf_append_byte(out, data[i]);
	}
	return status;
}

/* Reads a member through; where `is_copied` its lines go to the COPY that is
 * open. */
static int
read_member(
    struct bkp_load *load, uint64_t size, bool is_copied, struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT, text = FMT_BUF_SECRET_INIT;
	int rc = 0;

	while (size > 0 && rc == 0) {
		size_t here = (size_t)(size < PORTION ? size : PORTION);

		fmt_buf_clear(&plain);
		fmt_buf_clear(&text);
		if (bkp_run_check(load->run, err) < 0 ||
		    bkp_spool_read(load->unpack->rows, here, &plain, err) < 0)
			rc = -1;
		else if (is_copied &&
			 append_escaped(&text, plain.data, plain.len) != FMT_OK)
			rc = nomem(err);
		else if (is_copied)
			rc = bkp_pg_copy_in_put(
			    load->pg, text.data, text.len, err);
		size -= here;
		bkp_run_count(load->run, here, 0);
		bkp_run_tick(load->run);
	}
	fmt_buf_free(&plain);
	fmt_buf_free(&text);
	return rc;
}

static int
begin_copy(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err)
{
	static const char *const columns[] = {"line"};
	struct fmt_buf sql = FMT_BUF_INIT;
	char *name = bkp_format(err, "pg_temp.load_%u", table->number);
	int rc = -1;

	if (name == NULL ||
	    bkp_pg_run(load->pg, err,
		"CREATE TEMP TABLE %s (n bigint GENERATED ALWAYS AS IDENTITY,"
		" line json) ON COMMIT DROP",
		name) < 0)
		goto out;
	if (bkp_pg_copy_in_sql(&sql, name, columns, 1, "UTF8",
		FMT_COPY_TEXT) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL)
		(void)nomem(err);
	else
		rc =
		    bkp_pg_copy_in_begin(load->pg, (const char *)sql.data, err);
out:
	fmt_buf_free(&sql);
	free(name);
	return rc;
}

static int
stage(struct bkp_load *load, const struct load_table *table, uint64_t size,
    struct bkp_error *err)
{
	uint64_t rows = 0;

	if (begin_copy(load, table, err) < 0)
		return -1;
	if (read_member(load, size, true, err) < 0) {
		bkp_pg_copy_in_abort(load->pg);
		return -1;
	}
	if (bkp_pg_copy_in_end(load->pg, &rows, err) < 0)
		return -1;
	if (rows != table->from->rows)
		return bkp_fail(err, BKP_CORRUPT,
		    "it has %llu rows, and the manifest says %llu",
		    (unsigned long long)rows,
		    (unsigned long long)table->from->rows);
	return 0;
}

/* The contents stand in the spool one behind the other. */
int
bkp_load_stage(struct bkp_load *load, struct bkp_error *err)
{
	const struct bkp_unpack *unpack = load->unpack;

	bkp_run_phase(load->run, bkp_spool_size(unpack->rows), 0,
	    "sending the rows to the server");
	for (size_t i = 0; i < unpack->count; i++) {
		const struct bkp_unpack_member *member = &unpack->members[i];
		const struct load_table *table = NULL;
		int rc;

		if (member->place != BKP_UNPACK_ROWS)
			continue;
		for (size_t k = 0; k < load->count; k++)
			if (load->tables[k].member == i)
				table = &load->tables[k];
		rc = table != NULL
			 ? stage(load, table, member->size, err)
			 : read_member(load, member->size, false, err);
		if (rc < 0)
			return bkp_fail_in(
			    err, "%s in the export", member->name);
	}
	return 0;
}

/* ---- what lines hold ---- */

/* Rows that were given as a whole have every column, and no other. */
static int
check_names(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	uint64_t others = 0;
	int rc;

	status = bkp_pg_sql(&sql,
	    "SELECT pg_catalog.count(*) FROM pg_temp.load_%u WHERE"
	    " line IS NULL OR ARRAY(SELECT pg_catalog.json_object_keys(line))"
	    " IS DISTINCT FROM ARRAY[",
	    table->number);
	for (size_t i = 0; status == FMT_OK && i < table->from->column_count;
	     i++)
		status = bkp_pg_sql(
		    &sql, i > 0 ? ", %L" : "%L", table->from->columns[i].name);
	if (status == FMT_OK)
		status = bkp_pg_sql(&sql, "]::text[]");
	rc = status == FMT_OK ? bkp_load_number(load, &sql, &others, err)
			      : nomem(err);
	fmt_buf_free(&sql);
	if (rc == 0 && others > 0)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "%llu of its lines have not the columns that the manifest "
		    "names",
		    (unsigned long long)others);
	return rc;
}

static bool
is_bytes_array(const struct load_column *column)
{
	return column->is_loaded && column->model->is_array &&
	       column->model->kind == FMT_PGJSON_BYTES;
}

/* Taking an array of bytes apart loses its dimensions. */
static int
check_dimensions(struct bkp_load *load, const struct load_table *table,
    const struct load_column *column, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	uint64_t others = 0;
	int rc;

	if (bkp_pg_sql(&sql,
		"SELECT pg_catalog.count(*) FROM pg_temp.load_%u l,"
		" pg_catalog.json_to_record(l.line) AS r(%I text[])"
		" WHERE pg_catalog.array_ndims(r.%I) > 1",
		table->number, column->model->name,
		column->model->name) != FMT_OK)
		rc = nomem(err);
	else
		rc = bkp_load_number(load, &sql, &others, err);
	fmt_buf_free(&sql);
	if (rc == 0 && others > 0)
		rc = bkp_fail(err, BKP_UNSUPPORTED,
		    "column %s: an array of bytea with several dimensions is "
		    "not loaded",
		    column->model->name);
	return rc;
}

int
bkp_load_check_lines(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err)
{
	bool is_whole = table->from->decided == BKP_OWN ||
			table->from->decided == BKP_SHARED;

	if (is_whole && check_names(load, table, err) < 0)
		return -1;
	for (size_t i = 0; i < table->to->column_count; i++)
		if (is_bytes_array(&table->columns[i]) &&
		    check_dimensions(load, table, &table->columns[i], err) < 0)
			return -1;
	return 0;
}

/* ---- types ---- */

static enum fmt_status
append_value(struct fmt_buf *sql, const struct load_column *from)
{
	const struct bkp_model_column *column = from->model;
	const char *name = column->name;

	if (from->is_named)
		return bkp_load_append_named(sql, from);

	if (column->kind == FMT_PGJSON_BYTES && !column->is_composite &&
	    column->is_array)
		return bkp_pg_sql(sql,
		    "CASE WHEN r.%I IS NULL THEN NULL ELSE ARRAY(SELECT"
		    " pg_catalog.decode(e.v, 'base64') FROM"
		    " pg_catalog.unnest(r.%I) WITH ORDINALITY AS e(v, o)"
		    " ORDER BY e.o) END::%s",
		    name, name, column->type);
	if (column->kind == FMT_PGJSON_BYTES && !column->is_composite)
		return bkp_pg_sql(sql, "pg_catalog.decode(r.%I, 'base64')::%s",
		    name, column->type);
	/* JSON's null and no value at all are one in the export. */
	if (column->kind == FMT_PGJSON_JSON && !column->is_composite &&
	    !column->is_array && column->is_not_null)
		return bkp_pg_sql(
		    sql, "coalesce(r.%I, 'null'::%s)", name, column->type);
	return bkp_pg_sql(sql, "r.%I", name);
}

static enum fmt_status
append_declaration(struct fmt_buf *sql, const struct load_column *from)
{
	const struct bkp_model_column *column = from->model;
	bool is_text = from->is_named || (column->kind == FMT_PGJSON_BYTES &&
					     !column->is_composite);

	return bkp_pg_sql(sql, "%I %s", column->name,
	    !is_text           ? column->type
	    : column->is_array ? "text[]"
			       : "text");
}

/* A view of rows where they go in as they are; where keys change it is called
 * otherwise, and a table of that name comes after it. */
static enum fmt_status
append_view(struct fmt_buf *sql, const struct bkp_load *load,
    const struct load_table *table)
{
	const char *comma = "";
	enum fmt_status status =
	    bkp_pg_sql(sql, "CREATE TEMP VIEW pg_temp.%s_%u AS SELECT l.n",
		load->options.is_remapped ? "typed" : "rows", table->number);

	for (size_t i = 0; status == FMT_OK && i < table->to->column_count;
	     i++) {
		if (!table->columns[i].is_loaded)
			continue;
		status = fmt_buf_append_text(sql, ", ");
		if (status == FMT_OK)
			status = append_value(sql, &table->columns[i]);
		if (status == FMT_OK)
			status = bkp_pg_sql(sql, " AS c%u", (unsigned)i);
	}
	if (status == FMT_OK)
		status = bkp_pg_sql(sql,
		    " FROM pg_temp.load_%u l CROSS JOIN LATERAL"
		    " pg_catalog.json_to_record(l.line) AS r(",
		    table->number);
	for (size_t i = 0; status == FMT_OK && i < table->to->column_count;
	     i++) {
		if (!table->columns[i].is_loaded)
			continue;
		status = fmt_buf_append_text(sql, comma);
		if (status == FMT_OK)
			status = append_declaration(sql, &table->columns[i]);
		comma = ", ";
	}
	return status == FMT_OK ? fmt_buf_append_text(sql, ")") : status;
}

int
bkp_load_type(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc;

	if (append_view(&sql, load, table) != FMT_OK)
		rc = nomem(err);
	else
		rc = bkp_load_do(load, &sql, NULL, err);
	fmt_buf_free(&sql);
	return rc;
}
