/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/load.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_own.h"

/* ---- SQL ---- */

static const char *
text_of(struct fmt_buf *sql, struct bkp_error *err)
{
	const char *text = fmt_buf_text(sql);

	if (text == NULL)
		(void)bkp_fail_nomem(err, "loading rows");
	return text;
}

int
bkp_load_number(struct bkp_load *load, struct fmt_buf *sql, uint64_t *out,
    struct bkp_error *err)
{
	const char *text = text_of(sql, err);
	PGresult *result = NULL;
	int rc = -1;

	if (text != NULL)
		rc = bkp_pg_query(load->pg, text, 0, NULL, &result, err);
	if (rc == 0 && PQntuples(result) == 1)
		*out = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	fmt_buf_clear(sql);
	return rc;
}

int
bkp_load_do(struct bkp_load *load, struct fmt_buf *sql, uint64_t *rows,
    struct bkp_error *err)
{
	const char *text = text_of(sql, err);
	PGresult *result = NULL;
	int rc = -1;

	if (text != NULL)
		rc = bkp_pg_query(load->pg, text, 0, NULL, &result, err);
	if (rc == 0 && rows != NULL)
		*rows = strtoull(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	fmt_buf_clear(sql);
	return rc;
}

enum fmt_status
bkp_load_append_columns(
    struct fmt_buf *sql, const struct load_table *table, bool is_staged)
{
	enum fmt_status status = FMT_OK;
	const char *comma = "";

	for (size_t i = 0; i < table->to->column_count && status == FMT_OK;
	     i++) {
		const struct load_column *column = &table->columns[i];

		bool is_filled = !column->is_loaded && column->fill != NULL;

		if (!column->is_loaded && !is_filled)
			continue;
		if (!is_staged)
			status =
			    bkp_pg_sql(sql, "%s%I", comma, column->model->name);
		else if (is_filled)
			status = bkp_pg_sql(sql, "%s(%s)::%s", comma,
			    column->fill, column->model->type);
		else
			status = bkp_pg_sql(sql, "%sc%u", comma, (unsigned)i);
		comma = ", ";
	}
	return status;
}

/* ---- inserting ---- */

/* What the constraint says is the server's to say; what to do is not. */
static int
explain(struct bkp_load *load, const struct load_table *table, int rc,
    struct bkp_error *err)
{
	if (rc == 0)
		return 0;
	if (err != NULL && strstr(err->message, "foreign key") != NULL)
		(void)bkp_fail_in(err,
		    "a row refers to one that the export does not have%s",
		    load->options.has_shared
			? ""
			: " or has as context only (--with shared)");
	return table != NULL ? bkp_fail_in(err, "loading %s", table->to->id)
			     : -1;
}

static int
insert(struct bkp_load *load, struct load_table *table, struct bkp_error *err)
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
		status = bkp_pg_sql(
		    &sql, " FROM pg_temp.rows_%u ORDER BY n", table->number);
	rc = status == FMT_OK ? bkp_load_do(load, &sql, &table->inserted, err)
			      : bkp_fail_nomem(err, "loading rows");
	fmt_buf_free(&sql);
	if (rc == 0 && table->inserted != table->from->rows)
		rc = bkp_fail(err, BKP_IO,
		    "the table took %llu rows, and the export has %llu; a rule "
		    "or a trigger of the table may leave some out",
		    (unsigned long long)table->inserted,
		    (unsigned long long)table->from->rows);
	return explain(load, table, rc, err);
}

static int
insert_all(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->count; i++) {
		struct load_table *table = &load->tables[i];

		bkp_run_phase(load->run, 0, table->from->rows, "loading %s",
		    table->to->id);
		if (table->from->decided == BKP_LOOKUP) {
			if (bkp_load_lookup(load, table, err) < 0)
				return explain(load, table, -1, err);
		} else if (insert(load, table, err) < 0) {
			return -1;
		}
		load->counts.rows += table->inserted;
		bkp_run_count(load->run, 0, table->inserted);
	}
	return 0;
}

/* ---- counting ---- */

/* Whether the table now holds what was put there, and nothing else. */
static int
count_table(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	uint64_t expected = 0, there = 0;
	int rc;

	for (size_t i = 0; i < load->count; i++)
		if (load->tables[i].model == table->model)
			expected += load->tables[i].inserted;
	expected += table->before;
	if (bkp_pg_sql(&sql, "SELECT pg_catalog.count(*) FROM ONLY %s",
		table->to->quoted) != FMT_OK)
		rc = bkp_fail_nomem(err, "counting rows");
	else
		rc = bkp_load_number(load, &sql, &there, err);
	fmt_buf_free(&sql);
	if (rc == 0 && there != expected)
		rc = bkp_fail(err, BKP_IO,
		    "%s has %llu rows after loading, and %llu were put there",
		    table->to->id, (unsigned long long)there,
		    (unsigned long long)expected);
	return rc;
}

/* Tables that had to be empty are counted; a partitioned one has no rows of
 * its own, and ONLY would say so. */
static int
count_all(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->count; i++) {
		const struct load_table *table = &load->tables[i];

		if (table->from->decided == BKP_LOOKUP ||
		    table->to->leaf_count != 1 ||
		    table->to->leaves[0].oid != table->to->oid)
			continue;
		if (count_table(load, table, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- all of it ---- */

static int
begin(struct bkp_load *load, struct bkp_error *err)
{
	if (bkp_pg_do(load->pg, "BEGIN ISOLATION LEVEL READ COMMITTED", err) <
	    0)
		return -1;
	load->is_open = true;
	return bkp_model_read(load->pg, &load->model, err);
}

static int
finish(struct bkp_load *load, struct bkp_error *err)
{
	bkp_run_phase(load->run, 0, 0, "checking what was loaded");
	if (explain(load, NULL,
		bkp_pg_do(load->pg, "SET CONSTRAINTS ALL IMMEDIATE", err),
		err) < 0)
		return -1;
	if (bkp_load_switch_on(load, err) < 0)
		return -1;
	return count_all(load, err);
}

static int
run_steps(struct bkp_load *load, struct bkp_error *err)
{
	if (begin(load, err) < 0 || bkp_load_compare(load, err) < 0 ||
	    bkp_load_order(load, err) < 0 ||
	    (load->options.is_remapped && bkp_load_soft_read(load, err) < 0) ||
	    bkp_load_lock(load, err) < 0 || bkp_load_stage(load, err) < 0)
		return -1;
	if (bkp_load_name(load, err) < 0)
		return -1;
	for (size_t i = 0; i < load->count; i++)
		if (bkp_load_check_lines(load, &load->tables[i], err) < 0 ||
		    bkp_load_type(load, &load->tables[i], err) < 0)
			return bkp_fail_in(err, "%s in the export",
			    load->tables[i].from->name);
	if (load->options.is_remapped && bkp_load_remap(load, err) < 0)
		return -1;
	if (bkp_load_resolve(load, err) < 0 ||
	    bkp_load_switch_off(load, err) < 0 || insert_all(load, err) < 0)
		return -1;
	load->counts.tables = load->count;
	return finish(load, err);
}

int
bkp_load_run(struct bkp_pg *pg, struct bkp_unpack *unpack,
    const struct bkp_load_options *options, struct bkp_run *run,
    struct bkp_load **out, struct bkp_error *err)
{
	struct bkp_load *load = bkp_alloc(sizeof(*load), err);

	if (load == NULL)
		return -1;
	load->pg = pg;
	load->unpack = unpack;
	load->run = run;
	load->options = *options;
	if (run_steps(load, err) < 0) {
		bkp_load_free(load);
		return -1;
	}
	*out = load;
	return 0;
}

int
bkp_load_commit(struct bkp_load *load, struct bkp_error *err)
{
	if (bkp_run_check(load->run, err) < 0 ||
	    bkp_load_sequences(load, err) < 0)
		return -1;
	load->is_open = false;
	return bkp_pg_do(load->pg, "COMMIT", err);
}

struct bkp_load_counts
bkp_load_counts(const struct bkp_load *load)
{
	return load->counts;
}

static void
free_table(struct load_table *table)
{
	for (size_t i = 0;
	     table->columns != NULL && i < table->to->column_count; i++) {
		free(table->columns[i].fresh);
		free(table->columns[i].self);
	}
	free(table->columns);
}

void
bkp_load_free(struct bkp_load *load)
{
	if (load == NULL)
		return;
	/* A connection that is lost has rolled back by itself. */
	if (load->is_open)
		(void)bkp_pg_do(load->pg, "ROLLBACK", NULL);
	for (size_t i = 0; i < load->count; i++)
		free_table(&load->tables[i]);
	free(load->tables);
	for (size_t i = 0; i < load->trigger_count; i++) {
		free(load->triggers[i].table);
		free(load->triggers[i].name);
	}
	free(load->triggers);
	for (size_t i = 0; i < load->constraint_count; i++) {
		free(load->constraints[i].table);
		free(load->constraints[i].name);
	}
	free(load->constraints);
	bkp_load_soft_free(load);
	bkp_model_free(&load->model);
	free(load);
}
