/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller said of single tables and columns: which are left out, and
 * which values are put where the export has none. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/load_own.h"
#include "libbackup/subject/names.h"

bool
bkp_load_is_left(const struct bkp_load *load, const char *id)
{
	for (size_t i = 0; i < load->options.left_count; i++)
		if (strcmp(load->options.left[i], id) == 0)
			return true;
	return false;
}

/* The SQL behind "public.users.name=", or NULL where this is no such text. */
static int
match(const char *text, const struct bkp_model_table *table,
    const struct bkp_model_column *column, const char **sql,
    struct bkp_error *err)
{
	struct fmt_buf name = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&name, table->id);
	int rc = 0;

	*sql = NULL;
	if (status == FMT_OK)
		status = fmt_buf_append_byte(&name, '.');
	if (status == FMT_OK)
		status = bkp_subject_identifier(&name, column->name);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(&name, '=');
	if (status != FMT_OK || fmt_buf_text(&name) == NULL)
		rc = bkp_fail_nomem(err, "comparing columns");
	else if (strncmp(text, (const char *)name.data, name.len) == 0)
		*sql = text + name.len;
	fmt_buf_free(&name);
	return rc;
}

/* The column of a portion that a text is about; *sql is NULL where there is
 * none. */
static int
find_column(const struct load_table *table, const char *text,
    struct load_column **column, const char **sql, struct bkp_error *err)
{
	*sql = NULL;
	for (size_t i = 0; i < table->to->column_count && *sql == NULL; i++) {
		*column = &table->columns[i];
		if (match(text, table->to, (*column)->model, sql, err) < 0)
			return -1;
	}
	return 0;
}

/* A table may be loaded in several portions, of which some have the column. */
static int
fill(struct bkp_load *load, const char *text, struct bkp_error *err)
{
	bool is_known = false, is_used = false;
	const char *problem;

	for (size_t i = 0; i < load->count; i++) {
		struct load_column *column = NULL;
		const char *sql;

		if (find_column(&load->tables[i], text, &column, &sql, err) < 0)
			return -1;
		if (sql == NULL)
			continue;
		is_known = true;
		if ((problem = bkp_subject_expression(sql)) != NULL)
			return bkp_fail(err, BKP_INVALID,
			    "'%s' is no SQL expression to fill a column with: "
			    "%s",
			    sql, problem);
		if ((column->is_loaded && !column->is_named) ||
		    column->model->is_generated)
			continue;
		column->fill = sql;
		is_used = true;
	}
	if (!is_known)
		return bkp_fail(err, BKP_INVALID,
		    "'%s' names no column of a table that is loaded; write "
		    "SCHEMA.TABLE.COLUMN=SQL",
		    text);
	if (!is_used)
		return bkp_fail(err, BKP_INVALID,
		    "'%s': the export has values for this column, or it is "
		    "generated",
		    text);
	return 0;
}

static bool
has_table(const struct bkp_unpack *unpack, const char *id)
{
	for (size_t i = 0; i < unpack->table_count; i++)
		if (strcmp(unpack->tables[i].id, id) == 0)
			return true;
	return false;
}

int
bkp_load_choose(struct bkp_load *load, struct bkp_error *err)
{
	const struct bkp_load_options *options = &load->options;

	for (size_t i = 0; i < options->left_count; i++)
		if (!has_table(load->unpack, options->left[i]))
			return bkp_fail(err, BKP_INVALID,
			    "the export has no table %s to leave out",
			    options->left[i]);
	for (size_t i = 0; i < options->fill_count; i++)
		if (fill(load, options->fill[i], err) < 0)
			return -1;
	return 0;
}
