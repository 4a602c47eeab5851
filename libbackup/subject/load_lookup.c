/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that others refer to and that are nobody's own: what is there already
 * must be equal, by its key; what is missing is put there. */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "loading looked-up rows");
}

bool
bkp_load_has_key(const struct load_table *table)
{
	for (size_t i = 0; i < table->to->key_count; i++)
		if (!table->columns[table->to->key[i]].is_loaded)
			return false;
	return table->to->key_count > 0;
}

/* "t.id = s.c0 AND ..." */
static enum fmt_status
append_match(struct fmt_buf *sql, const struct load_table *table)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < table->to->key_count; i++) {
		size_t column = table->to->key[i];

		status = bkp_pg_sql(sql, "%st.%I = s.c%u", i > 0 ? " AND " : "",
		    table->to->columns[column].name, (unsigned)column);
	}
	return status;
}

/* A column that the edges of a row did not give says nothing. */
static enum fmt_status
append_difference(struct fmt_buf *sql, const struct load_table *table)
{
	enum fmt_status status = fmt_buf_append_text(sql, "false");

	for (size_t i = 0; status == FMT_OK && i < table->to->column_count; i++)
		if (table->columns[i].is_loaded && !table->columns[i].is_key)
			status = bkp_pg_sql(sql,
			    " OR (s.c%u IS NOT NULL AND s.c%u::text IS"
			    " DISTINCT FROM t.%I::text)",
			    (unsigned)i, (unsigned)i,
			    table->columns[i].model->name);
	return status;
}

/* How many of the rows are there, or are there and differ. */
static int
count_there(struct bkp_load *load, const struct load_table *table,
    bool is_differing, uint64_t *out, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_sql(&sql,
	    "SELECT pg_catalog.count(*) FROM pg_temp.rows_%u s JOIN %s t ON ",
	    table->number, table->to->quoted);
	int rc;

	if (status == FMT_OK)
		status = append_match(&sql, table);
	if (status == FMT_OK && is_differing) {
		status = fmt_buf_append_text(&sql, " WHERE ");
		if (status == FMT_OK)
			status = append_difference(&sql, table);
	}
	rc = status == FMT_OK ? bkp_load_number(load, &sql, out, err)
			      : nomem(err);
	fmt_buf_free(&sql);
	return rc;
}

/* What new rows would lack: all of it, for all of it is to be given. */
static int
check_needed(const struct load_table *table, struct bkp_error *err)
{
	struct fmt_buf names = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	int rc = 0;

	for (size_t i = 0; i < table->to->column_count && status == FMT_OK;
	     i++) {
		const struct load_column *column = &table->columns[i];

		if (column->is_loaded || column->model->is_generated ||
		    !column->model->is_not_null || column->has_default ||
		    column->fill != NULL)
			continue;
		status = fmt_buf_printf(&names, "%s%s",
		    names.len > 0 ? ", " : "", column->model->name);
	}
	if (status != FMT_OK || fmt_buf_text(&names) == NULL)
		rc = nomem(err);
	else if (names.len > 0)
		rc = bkp_fail(err, BKP_INVALID,
		    "rows that are looked up are not there, and the export "
		    "cannot make them: these columns must have a value and "
		    "have no default: %.300s; load these rows first, or give "
		    "them one (--fill)",
		    (const char *)names.data);
	fmt_buf_free(&names);
	return rc;
}

static int
insert_missing(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	status = bkp_pg_sql(&sql, "INSERT INTO %s (", table->to->quoted);
	if (status == FMT_OK)
		status = bkp_load_append_columns(&sql, table, false);
	if (status == FMT_OK)
		status = bkp_pg_sql(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
	if (status == FMT_OK)
		status = bkp_load_append_columns(&sql, table, true);
	if (status == FMT_OK)
		status = bkp_pg_sql(&sql,
		    " FROM pg_temp.rows_%u s WHERE NOT EXISTS (SELECT FROM %s"
		    " t WHERE ",
		    table->number, table->to->quoted);
	if (status == FMT_OK)
		status = append_match(&sql, table);
	if (status == FMT_OK)
		status = fmt_buf_append_text(&sql, ") ORDER BY n");
	rc = status == FMT_OK ? bkp_load_do(load, &sql, &table->inserted, err)
			      : nomem(err);
	fmt_buf_free(&sql);
	return rc;
}

int
bkp_load_lookup(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err)
{
	uint64_t there = 0, differing = 0;

	if (!bkp_load_has_key(table)) {
		load->counts.left += table->from->rows;
		bkp_run_message(load->run, BKP_WARNING, NULL,
		    "%s: %llu looked-up rows are left out, for the export "
		    "does not have their primary key",
		    table->to->id, (unsigned long long)table->from->rows);
		return 0;
	}
	if (count_there(load, table, false, &there, err) < 0 ||
	    count_there(load, table, true, &differing, err) < 0)
		return -1;
	if (differing > 0)
		return bkp_fail(err, BKP_EXISTS,
		    "%llu rows with the keys of looked-up rows are there and "
		    "are not equal to them",
		    (unsigned long long)differing);
	load->counts.existing += there;
	if (there == table->from->rows)
		return 0;
	if (check_needed(table, err) < 0)
		return -1;
	if (insert_missing(load, table, err) < 0)
		return -1;
	if (table->inserted + there != table->from->rows)
		return bkp_fail(err, BKP_IO,
		    "the table took %llu rows, and %llu were missing",
		    (unsigned long long)table->inserted,
		    (unsigned long long)(table->from->rows - there));
	return 0;
}
