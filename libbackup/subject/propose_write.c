/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of a proposed map that are about edges and files. */
#include <string.h>

#include "libbackup/subject/names.h"
#include "libbackup/subject/propose_own.h"

/* ---- foreign keys ---- */

/* The columns of a table that the test picks, in brackets. */
static void
write_columns(struct proposal *p, const struct bkp_model_table *table,
    bool (*is_picked)(const struct bkp_model_table *table, size_t column))
{
	size_t count = 0;

	bkp_propose_put(p, "[");
	for (size_t i = 0; i < table->column_count; i++) {
		if (!is_picked(table, i))
			continue;
		bkp_propose_put(p, "%s", count++ > 0 ? ", " : "");
		bkp_propose_scalar(p, table->columns[i].name);
	}
	/* An actor's table may have neither key nor time. */
	if (count == 0 && table->column_count > 0)
		bkp_propose_scalar(p, table->columns[0].name);
	bkp_propose_put(p, "]");
}

/* What was decided before, as the value of a mapping or within one. */
static void
write_kept(struct proposal *p, const struct bkp_map_edge *edge)
{
	bkp_propose_put(p, "%s: ", bkp_decided_name(edge->decided));
	switch (edge->decided) {
	case BKP_OWN:
	case BKP_SHARED:
		bkp_propose_put(p, "%s", edge->is_up ? "up" : "down");
		break;
	case BKP_ACTOR:
	case BKP_LOOKUP:
		bkp_propose_list(p, &edge->columns);
		break;
	case BKP_SKIP:
		bkp_propose_scalar(p, edge->reason);
		break;
	case BKP_UNDECIDED:
		bkp_propose_put(p, "true");
		break;
	}
	if (edge->erase != BKP_ERASE_DEFAULT)
		bkp_propose_put(
		    p, "\n    erase: %s", bkp_erase_name(edge->erase));
}

static void
write_decision(struct proposal *p, const struct bkp_model_edge *edge,
    const struct proposed_edge *proposed)
{
	bool is_more = proposed->kept != NULL &&
		       proposed->kept->erase != BKP_ERASE_DEFAULT;

	if (proposed->decided == BKP_UNDECIDED ||
	    ((proposed->decided == BKP_OWN ||
		 proposed->decided == BKP_SHARED) &&
		!proposed->is_up && !is_more)) {
		bkp_propose_put(
		    p, " %s\n", bkp_decided_name(proposed->decided));
		return;
	}
	bkp_propose_put(p, "\n    ");
	if (proposed->kept != NULL) {
		write_kept(p, proposed->kept);
	} else if (proposed->decided == BKP_ACTOR) {
		bkp_propose_put(p, "actor: ");
		write_columns(
		    p, &p->model->tables[edge->child], bkp_propose_is_trace);
	} else {
		bkp_propose_put(p, "lookup: ");
		write_columns(
		    p, &p->model->tables[edge->parent], bkp_propose_is_name);
	}
	bkp_propose_put(p, "\n");
}

static void
write_splits(struct proposal *p, size_t edge)
{
	for (size_t i = 0; i < p->model->split_count; i++)
		if (p->model->splits[i].edge == edge &&
		    !p->model->splits[i].is_inherited)
			bkp_propose_comment(p, "  ",
			    "The foreign key is on %s and not on %s; the "
			    "columns are followed in all of them.",
			    p->model->splits[i].with,
			    p->model->splits[i].without);
}

/* What check advises, too. */
static void
write_no_index(struct proposal *p, const struct bkp_model_edge *edge,
    const struct proposed_edge *proposed)
{
	if (!edge->is_child_indexed && !proposed->is_up &&
	    proposed->decided != BKP_LOOKUP && proposed->decided != BKP_SKIP)
		bkp_propose_comment(p, "  ",
		    "No index serves it: following it reads all of %s.",
		    p->model->tables[edge->child].id);
}

static void
write_gone(struct proposal *p)
{
	for (size_t i = 0; i < p->before->edge_count; i++) {
		const struct bkp_map_edge *edge = &p->before->edges[i];

		if (!edge->is_declared &&
		    bkp_model_edge(p->model, edge->id) == SIZE_MAX)
			bkp_propose_comment(p, "  ",
			    "Gone from the database: %s, which was '%s'.",
			    edge->id, bkp_decided_name(edge->decided));
	}
}

void
bkp_propose_write_edges(struct proposal *p)
{
	bkp_propose_put(p, "\nedges:\n");
	write_gone(p);
	for (size_t i = 0; i < p->model->edge_count; i++) {
		const struct proposed_edge *proposed = &p->edges[i];

		if (!proposed->is_written)
			continue;
		write_no_index(p, &p->model->edges[i], proposed);
		if (proposed->why != NULL)
			bkp_propose_comment(p, "  ", "%s", proposed->why);
		write_splits(p, i);
		bkp_propose_put(p, "  ");
		bkp_propose_scalar(p, p->model->edges[i].id);
		bkp_propose_put(p, ":");
		write_decision(p, &p->model->edges[i], proposed);
	}
}

/* ---- declared references ---- */

/* "public.users(id)" as it is written under 'to'. */
static void
write_target(
    struct proposal *p, const char *table, const struct bkp_strings *columns)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&text, table);

	for (size_t i = 0; status == FMT_OK && i < columns->count; i++) {
		status = fmt_buf_append_text(&text, i > 0 ? ", " : "(");
		if (status == FMT_OK)
			status =
			    bkp_subject_identifier(&text, columns->items[i]);
	}
	if (status == FMT_OK)
		status = fmt_buf_append_text(&text, ")");
	if (status != FMT_OK || fmt_buf_text(&text) == NULL)
		p->status = FMT_NOMEM;
	else
		bkp_propose_scalar(p, (const char *)text.data);
	fmt_buf_free(&text);
}

static void
write_reference(struct proposal *p, const struct bkp_map_edge *edge)
{
	bkp_propose_put(p, "  - from: ");
	bkp_propose_scalar(p, edge->child);
	bkp_propose_put(p, "\n    columns: ");
	bkp_propose_list(p, &edge->child_values);
	bkp_propose_put(p, "\n    to: ");
	write_target(p, edge->parent, &edge->parent_columns);
	if (edge->when != NULL) {
		bkp_propose_put(p, "\n    when: ");
		bkp_propose_scalar(p, edge->when);
	}
	if (edge->is_array)
		bkp_propose_put(p, "\n    array: true");
	bkp_propose_put(p, "\n    ");
	write_kept(p, edge);
	bkp_propose_put(p, "\n");
}

/* A reference between columns that are all there, for people to decide. */
static void
write_question(struct proposal *p, size_t child, const size_t *child_columns,
    size_t parent, const size_t *parent_columns, size_t count)
{
	const struct bkp_model_table *from = &p->model->tables[child];
	const struct bkp_model_table *to = &p->model->tables[parent];
	char *child_names[32], *parent_names[32];
	struct fmt_buf quoted = FMT_BUF_INIT;
	bool is_quoted[32] = {false};
	struct bkp_map_edge edge = {.child = from->id,
	    .parent = to->id,
	    .child_values = {child_names, count},
	    .parent_columns = {parent_names, count}};

	edge.is_array = count == 1 && from->columns[child_columns[0]].is_array;
	for (size_t i = 0; i < count && i < 32; i++) {
		size_t column = child_columns[i];

		/* A name that does not read as one stands as an expression. */
		parent_names[i] = to->columns[parent_columns[i]].name;
		child_names[i] = from->columns[column].name;
		if (bkp_subject_expression(child_names[i]) != NULL) {
			if (bkp_subject_identifier(&quoted, child_names[i]) !=
				FMT_OK ||
			    fmt_buf_append_byte(&quoted, 0) != FMT_OK)
				p->status = FMT_NOMEM;
			is_quoted[i] = true;
		}
	}
	for (size_t i = 0, at = 0; p->status == FMT_OK && i < count; i++)
		if (is_quoted[i]) {
			child_names[i] = (char *)quoted.data + at;
			at += strlen(child_names[i]) + 1;
		}
	write_reference(p, &edge);
	fmt_buf_free(&quoted);
}

static void
write_inherited(struct proposal *p, const struct bkp_model_split *split)
{
	const struct bkp_model_edge *edge = &p->model->edges[split->edge];
	size_t child = bkp_model_table(p->model, split->without);
	size_t columns[32];

	if (!p->edges[split->edge].is_written)
		return;
	for (size_t i = 0; i < edge->column_count && i < 32; i++) {
		columns[i] = bkp_model_column(&p->model->tables[child],
		    p->model->tables[edge->child]
			.columns[edge->child_columns[i]]
			.name);
		if (columns[i] == SIZE_MAX ||
		    bkp_propose_is_declared(p, child, columns[i]))
			return;
	}
	bkp_propose_comment(p, "  ",
	    "%s inherits from %s, which has a foreign key here: is it the "
	    "same reference (decide as there), or none (skip)?",
	    split->without, split->with);
	write_question(p, child, columns, edge->parent, edge->parent_columns,
	    edge->column_count);
}

static const char likeness_question[] =
    "Named like a reference, without a foreign key: is it one (own, shared, "
    "actor, lookup), or not (take this out and say {plain: true} of the "
    "column)?";

static void
write_before(struct proposal *p, const struct bkp_map_edge *edge)
{
	if (edge->decided == BKP_UNDECIDED)
		bkp_propose_comment(p, "  ", "%s", likeness_question);
	write_reference(p, edge);
}

static void
write_alike(struct proposal *p, size_t table, size_t column)
{
	const struct bkp_model_table *t = &p->model->tables[table];
	size_t target = SIZE_MAX;

	if (bkp_subject_likeness(p->model, table, column, &target) !=
		BKP_LIKE_REFERENCE ||
	    target == SIZE_MAX || bkp_propose_is_credential(t, column) ||
	    (!bkp_propose_is_held(p, table) &&
		!bkp_propose_is_held(p, target)) ||
	    bkp_propose_is_known(p, table, column))
		return;
	bkp_propose_comment(p, "  ", "%s", likeness_question);
	write_question(
	    p, table, &column, target, p->model->tables[target].key, 1);
}

void
bkp_propose_write_references(struct proposal *p)
{
	bkp_propose_put(p, "\nreferences:\n");
	for (size_t i = 0; i < p->before->edge_count; i++)
		if (p->before->edges[i].is_declared)
			write_before(p, &p->before->edges[i]);
	for (size_t i = 0; i < p->model->split_count; i++) {
		const struct bkp_model_split *split = &p->model->splits[i];
		size_t child = bkp_model_table(p->model, split->without);

		if (split->is_inherited && child != SIZE_MAX &&
		    !bkp_propose_is_left_out(p, child))
			write_inherited(p, split);
	}
	for (size_t i = 0; i < p->model->table_count; i++)
		for (size_t k = 0; !bkp_propose_is_left_out(p, i) &&
				   k < p->model->tables[i].column_count;
		     k++)
			write_alike(p, i, k);
}

/* ---- files ---- */

static void
write_text(struct proposal *p, const char *name, const char *text)
{
	if (text == NULL)
		return;
	bkp_propose_put(p, "    %s: ", name);
	bkp_propose_scalar(p, text);
	bkp_propose_put(p, "\n");
}

void
bkp_propose_write_files(struct proposal *p)
{
	bkp_propose_put(p, "\nfiles:\n");
	for (size_t i = 0; i < p->before->file_count; i++) {
		const struct bkp_map_file *file = &p->before->files[i];

		bkp_propose_put(p, "  - table: ");
		bkp_propose_scalar(p, file->table);
		bkp_propose_put(p, "\n");
		write_text(p, "bucket", file->bucket);
		write_text(p, "key", file->key);
		write_text(p, "prefix", file->prefix);
		write_text(p, "name", file->name);
		write_text(p, "when", file->when);
		write_text(p, "of", file->is_shared ? "shared" : NULL);
	}
}
