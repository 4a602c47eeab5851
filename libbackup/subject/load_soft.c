/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References that are no foreign keys, under new keys: columns, texts that are
 * read as numbers, arrays, values within JSON, pairs of which one names the
 * table. What the catalogue does not tell the manifest does.
 */
#include "libbackup/subject/load_soft.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "following references");
}

/* ---- reading ---- */

static bool
is_loaded(const struct bkp_load *load, size_t model)
{
	for (size_t i = 0; i < load->count; i++)
		if (load->tables[i].model == model)
			return true;
	return false;
}

static enum fmt_status
name_nothing(struct fmt_buf *out, size_t column, void *arg)
{
	(void)arg;
	(void)column;
	return fmt_buf_append_text(out, "x");
}

static enum fmt_status
read_words(struct load_soft *soft, const struct bkp_model *model)
{
	const struct bkp_model_table *child = &model->tables[soft->child];
	const struct bkp_model_table *parent = &model->tables[soft->parent];
	struct fmt_buf unused = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < soft->from->count; i++) {
		soft->parent_columns[i] =
		    bkp_model_column(parent, soft->from->to_columns[i]);
		status = soft->parent_columns[i] == SIZE_MAX
			     ? FMT_MALFORMED
			     : bkp_load_words(&soft->values[i], child,
				   soft->from->columns[i]);
	}
	if (status == FMT_OK && soft->from->when != NULL)
		status = bkp_load_words_condition(
		    &unused, child, soft->from->when, name_nothing, NULL);
	fmt_buf_free(&unused);
	return status;
}

/* What can be written back: text in jsonb, which keeps no spaces, and arrays
 * that are columns. */
static bool
is_writable(const struct load_soft *soft, const struct bkp_model_table *child)
{
	for (size_t i = 0; i < soft->from->count; i++) {
		const struct load_words *words = &soft->values[i];

		if (words->kind == LOAD_WORDS_PATH &&
		    strcmp(child->columns[words->column].type, "jsonb") != 0)
			return false;
		if (soft->from->is_array &&
		    (words->kind != LOAD_WORDS_COLUMN ||
			soft->from->count != 1 ||
			!child->columns[words->column].is_array))
			return false;
	}
	return true;
}

static void
mark(struct bkp_load *load, const struct load_soft *soft)
{
	for (size_t k = 0; k < load->count; k++) {
		struct load_table *table = &load->tables[k];

		for (size_t i = 0; i < soft->from->count; i++) {
			if (table->model == soft->child) {
				struct load_column *column =
				    &table->columns[soft->values[i].column];

				column->is_linked = true;
				column->is_referring |=
				    soft->values[i].kind == LOAD_WORDS_COLUMN &&
				    soft->child != soft->parent;
			}
			if (table->model == soft->parent)
				table->columns[soft->parent_columns[i]]
				    .is_linked = true;
		}
	}
}

static int
read_reference(struct bkp_load *load,
    const struct bkp_unpack_reference *reference, struct bkp_error *err)
{
	struct load_soft *soft = &load->softs[load->soft_count];
	enum fmt_status status;

	*soft = (struct load_soft){
	    .from = reference,
	    .child = bkp_model_table(&load->model, reference->from),
	    .parent = bkp_model_table(&load->model, reference->to),
	};
	if (soft->child == SIZE_MAX || soft->parent == SIZE_MAX ||
	    !is_loaded(load, soft->child) || !is_loaded(load, soft->parent))
		return 0;
	load->soft_count++;
	soft->values =
	    bkp_alloc_array(reference->count, sizeof(*soft->values), err);
	soft->parent_columns = bkp_alloc_array(
	    reference->count, sizeof(*soft->parent_columns), err);
	if (soft->values == NULL || soft->parent_columns == NULL)
		return -1;
	status = read_words(soft, &load->model);
	if (status == FMT_NOMEM)
		return nomem(err);
	soft->is_understood =
	    status == FMT_OK &&
	    is_writable(soft, &load->model.tables[soft->child]);
	if (soft->is_understood)
		mark(load, soft);
	return 0;
}

int
bkp_load_soft_read(struct bkp_load *load, struct bkp_error *err)
{
	const struct bkp_unpack *unpack = load->unpack;

	load->softs = bkp_alloc_array(
	    unpack->reference_count + 1, sizeof(*load->softs), err);
	if (load->softs == NULL)
		return -1;
	for (size_t i = 0; i < unpack->reference_count; i++)
		if (read_reference(load, &unpack->references[i], err) < 0)
			return -1;
	return 0;
}

void
bkp_load_soft_free(struct bkp_load *load)
{
	for (size_t i = 0; i < load->soft_count; i++) {
		struct load_soft *soft = &load->softs[i];

		for (size_t k = 0;
		     soft->values != NULL && k < soft->from->count; k++)
			bkp_load_words_free(&soft->values[k]);
		free(soft->values);
		free(soft->parent_columns);
	}
	free(load->softs);
}

/* ---- following ---- */

static bool
has_columns(
    const struct load_soft *soft, const struct load_table *table, bool is_child)
{
	for (size_t i = 0; i < soft->from->count; i++)
		if (!table
			 ->columns[is_child ? soft->values[i].column
					    : soft->parent_columns[i]]
			 .is_loaded)
			return false;
	return true;
}

static bool
has_changed(const struct bkp_load *load, const struct load_soft *soft)
{
	for (size_t k = 0; k < load->count; k++)
		for (size_t i = 0; i < soft->from->count; i++) {
			const struct load_table *table = &load->tables[k];

			if (table->model == soft->parent &&
			    soft->parent_columns[i] != SIZE_MAX &&
			    table->columns[soft->parent_columns[i]].is_changed)
				return true;
		}
	return false;
}

/* An array's element, or the column itself. */
static bool
is_nullable(const struct load_soft *soft, const struct load_table *child)
{
	for (size_t i = 0; i < soft->from->count; i++) {
		const struct load_column *column =
		    &child->columns[soft->values[i].column];

		if (soft->from->is_array ||
		    soft->values[i].kind == LOAD_WORDS_PATH ||
		    (!column->model->is_not_null && !column->is_key))
			return true;
	}
	return false;
}

/* The statement that `append` writes; *rows: how many it concerned. */
static int
run(struct bkp_load *load, const struct load_soft_child *child,
    enum fmt_status (*append)(struct fmt_buf *, const struct load_soft_child *),
    uint64_t *rows, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc = append(&sql, child) == FMT_OK
		     ? bkp_load_do(load, &sql, rows, err)
		     : nomem(err);

	fmt_buf_free(&sql);
	return rc == 0
		   ? 0
		   : bkp_fail_in(err, "following %s", child->soft->from->id);
}

static int
count_open(struct bkp_load *load, const struct load_soft_child *child,
    uint64_t *open, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc = bkp_load_soft_append_count(&sql, child) == FMT_OK
		     ? bkp_load_number(load, &sql, open, err)
		     : nomem(err);

	fmt_buf_free(&sql);
	return rc == 0
		   ? 0
		   : bkp_fail_in(err, "following %s", child->soft->from->id);
}

static int
follow(struct bkp_load *load, const struct load_soft_child *child,
    struct bkp_error *err)
{
	const struct load_soft *soft = child->soft;
	uint64_t open = 0, rows = 0;
	bool may_be_null = is_nullable(soft, child->table);

	if (run(load, child, bkp_load_soft_append_update, &rows, err) < 0 ||
	    count_open(load, child, &open, err) < 0)
		return -1;
	for (size_t i = 0; i < soft->from->count; i++)
		child->table->columns[soft->values[i].column].is_changed = true;
	if (open == 0)
		return 0;
	if (!load->options.is_nulled || !may_be_null) {
		bkp_load_tell_open(
		    load, soft->from->id, child->table, open, may_be_null);
		return 0;
	}
	if (run(load, child, bkp_load_soft_append_null, &rows, err) < 0)
		return -1;
	bkp_load_tell_null(load, soft->from->id, open);
	return 0;
}

static void
tell_beyond(struct bkp_load *load, const struct load_soft *soft,
    const struct load_table *table)
{
	load->counts.unfollowed += table->from->rows;
	bkp_run_message(load->run, BKP_WARNING, NULL,
	    "%s: this is SQL beyond what can be rewritten; the references of "
	    "%llu rows (%s) are as they were, and may lead to other rows now",
	    soft->from->id, (unsigned long long)table->from->rows,
	    bkp_decided_name(table->from->decided));
}

int
bkp_load_soft_follow(struct bkp_load *load, struct bkp_error *err)
{
	for (size_t i = 0; i < load->soft_count; i++) {
		const struct load_soft *soft = &load->softs[i];

		if (soft->is_understood && !has_changed(load, soft))
			continue;
		for (size_t k = 0; k < load->count; k++) {
			struct load_table *table = &load->tables[k];
			struct load_soft_child child = {load, soft, table};

			if (table->model != soft->child)
				continue;
			if (!soft->is_understood)
				tell_beyond(load, soft, table);
			else if (has_columns(soft, table, true) &&
				 follow(load, &child, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* ---- for the SQL ---- */

bool
bkp_load_soft_is_parent(
    const struct load_soft *soft, const struct load_table *table)
{
	return table->model == soft->parent && has_columns(soft, table, false);
}
