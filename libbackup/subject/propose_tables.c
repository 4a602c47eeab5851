/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a proposed map. */
#include <ctype.h>
#include <string.h>

#include "libbackup/subject/propose_own.h"

/* ---- columns ---- */

static void
write_origin(struct proposal *p, const char *indent, enum bkp_origin origin)
{
	static const char *const words[] = {
	    "undecided", "provided", "observed", "derived"};

	bkp_propose_put(p, "%sorigin: %s\n", indent, words[origin]);
}

static void
write_pair(
    struct proposal *p, const char *indent, const char *name, const char *text)
{
	if (text == NULL)
		return;
	bkp_propose_put(p, "%s%s: ", indent, name);
	bkp_propose_scalar(p, text);
	bkp_propose_put(p, "\n");
}

static void
write_values(struct proposal *p, const struct bkp_map_column *said)
{
	if (said->value_count == 0)
		return;
	bkp_propose_put(p, "        values:\n");
	for (size_t i = 0; i < said->value_count; i++) {
		bkp_propose_put(p, "          ");
		bkp_propose_scalar(p, said->values[i].value);
		bkp_propose_put(p, ": ");
		bkp_propose_scalar(p, said->values[i].label);
		bkp_propose_put(p, "\n");
	}
}

/* What was said before about a column. */
static void
write_said(struct proposal *p, const struct bkp_map_column *said)
{
	static const char indent[] = "        ";

	if (said->is_undecided)
		bkp_propose_put(p, "%sundecided: true\n", indent);
	write_pair(p, indent, "label", said->label);
	write_pair(p, indent, "omit", said->reason);
	if (said->treatment == BKP_MASK)
		bkp_propose_put(p, "%smask: true\n", indent);
	write_pair(p, indent, "pseudonym", said->realm);
	if (said->is_plain)
		bkp_propose_put(p, "%splain: true\n", indent);
	if (said->origin != BKP_ORIGIN_UNKNOWN)
		write_origin(p, indent, said->origin);
	write_values(p, said);
}

static void
write_column_name(struct proposal *p, const char *name)
{
	bkp_propose_put(p, "      ");
	bkp_propose_scalar(p, name);
	bkp_propose_put(p, ":");
}

/* What is to be asked about a column, or NULL. */
static const char *
question(const struct proposal *p, size_t table, size_t column)
{
	size_t target = SIZE_MAX;

	if (!bkp_propose_is_held(p, table))
		return NULL;
	switch (bkp_subject_likeness(p->model, table, column, &target)) {
	case BKP_LIKE_NOTHING:
		return NULL;
	case BKP_LIKE_REFERENCE:
		if (target != SIZE_MAX)
			return NULL; /* asked under references */
		if (bkp_propose_is_known(p, table, column))
			return NULL;
		return "Named like a reference: to what (declare it under "
		       "references), or is it none (plain: true)?";
	case BKP_LIKE_OBJECT:
		break;
	}
	if (bkp_propose_is_known(p, table, column))
		return NULL;
	return "May name objects of a bucket: of which (declare it under "
	       "files), or is it data like any other (plain: true)?";
}

/* Nothing was said beside the treatment. */
static bool
is_alone(const struct bkp_map_column *said)
{
	return said->label == NULL && !said->is_plain &&
	       said->origin == BKP_ORIGIN_UNKNOWN && said->value_count == 0;
}

/* Nothing but "undecided" was said. */
static bool
is_bare(const struct bkp_map_column *said)
{
	return said->is_undecided && said->treatment == BKP_KEEP &&
	       is_alone(said);
}

/* One column's lines; *has_head: "columns:" stands there. */
static void
write_column(struct proposal *p, size_t table, size_t column,
    const struct bkp_map_column *said, bool *has_head)
{
	const struct bkp_model_table *t = &p->model->tables[table];
	const char *name = t->columns[column].name;
	bool is_open = said != NULL && is_bare(said);
	bool is_credential = said == NULL && bkp_propose_is_held(p, table) &&
			     bkp_propose_is_credential(t, column);
	const char *asked = (said == NULL || is_open) && !is_credential
				? question(p, table, column)
				: NULL;

	if (said == NULL && !is_credential && asked == NULL)
		return;
	if (!*has_head)
		bkp_propose_put(p, "    columns:\n");
	*has_head = true;
	if (asked != NULL)
		bkp_propose_comment(p, "      ", "%s", asked);
	write_column_name(p, name);
	if (said != NULL && said->treatment == BKP_OMIT && is_alone(said) &&
	    !said->is_undecided) {
		bkp_propose_put(p, " {omit: ");
		bkp_propose_scalar(p, said->reason);
		bkp_propose_put(p, "}\n");
	} else if (said != NULL && !is_open) {
		bkp_propose_put(p, "\n");
		write_said(p, said);
	} else {
		bkp_propose_put(p, "%s",
		    is_credential ? " {omit: a credential}\n" : " undecided\n");
	}
}

static void
write_columns(
    struct proposal *p, size_t table, const struct bkp_map_table *entry)
{
	const struct bkp_model_table *t = &p->model->tables[table];
	bool has_head = false;

	for (size_t i = 0; i < t->column_count; i++)
		write_column(p, table, i,
		    bkp_map_column(entry, t->columns[i].name), &has_head);
	for (size_t i = 0; entry != NULL && i < entry->column_count; i++)
		if (bkp_model_column(t, entry->columns[i].name) == SIZE_MAX)
			bkp_propose_comment(p, "    ",
			    "Gone from the table: %s.", entry->columns[i].name);
}

/* ---- tables ---- */

/* "order_items": "Order items" */
static void
write_label(struct proposal *p, const struct bkp_model_table *table)
{
	char label[128];
	size_t len = strlen(table->name);

	if (len >= sizeof(label))
		len = sizeof(label) - 1;
	memcpy(label, table->name, len);
	label[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (label[i] == '_')
			label[i] = ' ';
	label[0] = (char)toupper((unsigned char)label[0]);
	write_pair(p, "    ", "label", label);
}

static void
write_reached(
    struct proposal *p, size_t table, const struct bkp_map_table *entry)
{
	const struct bkp_model_table *t = &p->model->tables[table];

	bkp_propose_put(p, "\n");
	if (entry != NULL && (entry->label != NULL || entry->skip != NULL))
		write_pair(p, "    ", "label", entry->label);
	else
		write_label(p, t);
	if (entry != NULL) {
		write_pair(p, "    ", "purpose", entry->purpose);
		write_pair(p, "    ", "retention", entry->retention);
		write_pair(p, "    ", "skip", entry->skip);
	}
	if (entry != NULL && entry->origin != BKP_ORIGIN_UNKNOWN)
		write_origin(p, "    ", entry->origin);
	else if (p->reached[table] != BKP_LOOKUP &&
		 (entry == NULL || entry->skip == NULL))
		write_origin(p, "    ", BKP_ORIGIN_UNKNOWN);
	write_columns(p, table, entry);
}

/* True where an edge of the map has to do with the table. */
static bool
is_beside(const struct proposal *p, size_t table)
{
	for (size_t i = 0; i < p->model->edge_count; i++)
		if (p->edges[i].is_written &&
		    p->edges[i].decided == BKP_UNDECIDED &&
		    (p->model->edges[i].child == table ||
			p->model->edges[i].parent == table))
			return true;
	return false;
}

static void
write_table(struct proposal *p, size_t table)
{
	const struct bkp_model_table *t = &p->model->tables[table];
	const struct bkp_map_table *entry = bkp_map_table(p->before, t->id);
	bool is_left_out = entry != NULL && entry->skip != NULL;
	bool is_open = p->reached[table] == BKP_UNDECIDED && !is_left_out;

	if (is_open && is_beside(p, table))
		bkp_propose_comment(p, "  ",
		    "An edge that leads here is not decided: that decides "
		    "this, or a reason for leaving the table out ({skip: "
		    "why}).");
	else if (is_open)
		bkp_propose_comment(p, "  ",
		    "Nothing that is decided leads here: does it hold nothing "
		    "about people ({skip: why}), or a reference that the "
		    "database does not know?");
	bkp_propose_put(p, "  ");
	bkp_propose_scalar(p, t->id);
	bkp_propose_put(p, ":");
	if (is_open && (entry == NULL || entry->is_undecided))
		bkp_propose_put(p, " undecided\n");
	else
		write_reached(p, table, entry);
}

void
bkp_propose_write_tables(struct proposal *p)
{
	bkp_propose_put(p, "\ntables:\n");
	for (size_t i = 0; i < p->before->table_count; i++)
		if (bkp_model_table(p->model, p->before->tables[i].id) ==
		    SIZE_MAX)
			bkp_propose_comment(p, "  ",
			    "Gone from the database: %s.",
			    p->before->tables[i].id);
	for (size_t i = 0; i < p->model->table_count; i++)
		write_table(p, i);
}
