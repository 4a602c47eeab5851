/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clears a reference in the row that has it. A column becomes NULL; of an
 * array that a declared reference is made of only what is erased goes; an
 * expression is understood where it reads a column, or a member of a jsonb
 * column, with or without casts:
 *
 *	user_ref::bigint
 *	(payload->'user'->>'id')::bigint
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/postgres/names.h"
#include "libbackup/subject/erase_own.h"

/* ---- foreign keys ---- */

static bool
is_fixed(const struct bkp_model_column *column)
{
	return column->is_not_null || column->is_generated;
}

/* A column that another foreign key needs as well: the tenant of an order is
 * not forgotten because its customer is. */
static bool
is_needed(const struct bkp_model *model, const struct bkp_model_edge *key,
    size_t column)
{
	for (size_t i = 0; i < model->edge_count; i++) {
		const struct bkp_model_edge *other = &model->edges[i];

		if (other == key || other->child != key->child)
			continue;
		for (size_t k = 0; k < other->column_count; k++)
			if (other->child_columns[k] == column)
				return true;
	}
	return false;
}

/* Which columns become NULL: those that nothing else needs, else all that
 * may. False: the key cannot be cleared. */
static bool
choose(const struct bkp_model *model, const struct bkp_model_edge *key,
    bool *is_chosen)
{
	const struct bkp_model_table *child = &model->tables[key->child];
	size_t free_count = 0, unneeded = 0;

	for (size_t i = 0; i < key->column_count; i++) {
		size_t column = key->child_columns[i];

		if (is_fixed(&child->columns[column]))
			continue;
		free_count++;
		unneeded += !is_needed(model, key, column);
	}
	if (free_count == 0 ||
	    (key->is_match_full && free_count < key->column_count))
		return false;
	for (size_t i = 0; i < key->column_count; i++) {
		size_t column = key->child_columns[i];

		is_chosen[i] = !is_fixed(&child->columns[column]) &&
			       (key->is_match_full || unneeded == 0 ||
				   !is_needed(model, key, column));
	}
	return true;
}

#define COLUMNS_MAX 32

bool
bkp_erase_can_clear(
    const struct bkp_model *model, const struct bkp_model_edge *key)
{
	bool is_chosen[COLUMNS_MAX];

	return key->column_count <= COLUMNS_MAX &&
	       choose(model, key, is_chosen);
}

static enum fmt_status
append_key(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_model_edge *key, const char **why)
{
	const struct bkp_model_table *child = &walk->model.tables[key->child];
	bool is_chosen[COLUMNS_MAX] = {false};
	enum fmt_status status = FMT_OK;
	bool is_first = true;

	if (key->column_count > COLUMNS_MAX ||
	    !choose(&walk->model, key, is_chosen)) {
		*why = "its columns cannot be NULL";
		return FMT_OK;
	}
	for (size_t i = 0; status == FMT_OK && i < key->column_count; i++) {
		if (!is_chosen[i])
			continue;
		status = bkp_pg_sql(out, "%s%I = NULL", is_first ? "" : ", ",
		    child->columns[key->child_columns[i]].name);
		is_first = false;
	}
	return status;
}

/* ---- expressions ---- */

/* Where a value is read: a column, or a member in it. */
struct place {
	const char *at; /* what is left of the text */
	const struct bkp_model_table *table;
	size_t column;
	struct fmt_buf path; /* "'a', 'b'" */
	size_t steps;
	enum fmt_status status;
};

static void
skip_space(struct place *place)
{
	place->at += strspn(place->at, " \t\r\n");
}

static bool
takes(struct place *place, const char *text)
{
	size_t len = strlen(text);

	skip_space(place);
	if (strncmp(place->at, text, len) != 0)
		return false;
	place->at += len;
	return true;
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' ||
	       (unsigned char)c >= 0x80;
}

/* What stands between two quotes, of which a doubled one is one. */
static bool
read_quoted(struct place *place, char quote, struct fmt_buf *out)
{
	place->at++;
	for (; place->at[0] != '\0'; place->at++) {
		if (place->at[0] == quote && place->at[1] != quote)
			break;
		place->at += place->at[0] == quote;
		if (fmt_buf_append_byte(out, (unsigned char)place->at[0]) !=
		    FMT_OK)
			place->status = FMT_NOMEM;
	}
	if (place->at[0] != quote)
		return false;
	place->at++;
	return true;
}

static bool
read_name(struct place *place, struct fmt_buf *out)
{
	skip_space(place);
	fmt_buf_clear(out);
	if (place->at[0] == '"')
		return read_quoted(place, '"', out);
	if (isdigit((unsigned char)place->at[0]))
		return false;
	for (; is_word(place->at[0]); place->at++)
		if (fmt_buf_append_byte(out,
			(unsigned char)tolower((unsigned char)place->at[0])) !=
		    FMT_OK)
			place->status = FMT_NOMEM;
	return out->len > 0;
}

/* "column" or "table.column" */
static bool
read_column(struct place *place)
{
	struct fmt_buf name = FMT_BUF_INIT;
	bool is_read = read_name(place, &name);

	if (is_read && place->at[0] == '.' && fmt_buf_text(&name) != NULL &&
	    strcmp((const char *)name.data, place->table->name) == 0) {
		place->at++;
		is_read = read_name(place, &name);
	}
	if (is_read && fmt_buf_text(&name) == NULL)
		place->status = FMT_NOMEM;
	else if (is_read)
		place->column =
		    bkp_model_column(place->table, (const char *)name.data);
	fmt_buf_free(&name);
	return is_read && place->status == FMT_OK && place->column != SIZE_MAX;
}

/* A member's name, or an element's number. */
static bool
read_step(struct place *place)
{
	struct fmt_buf step = FMT_BUF_INIT;
	bool is_read = true;

	skip_space(place);
	if (place->at[0] == '\'') {
		is_read = read_quoted(place, '\'', &step);
	} else {
		size_t len = strspn(place->at, "-0123456789");

		is_read = len > 0;
		if (fmt_buf_append(&step, place->at, len) != FMT_OK)
			place->status = FMT_NOMEM;
		place->at += len;
	}
	if (fmt_buf_text(&step) == NULL ||
	    bkp_pg_sql(&place->path, place->steps > 0 ? ", %L" : "%L",
		(const char *)step.data) != FMT_OK)
		place->status = FMT_NOMEM;
	place->steps++;
	fmt_buf_free(&step);
	return is_read && place->status == FMT_OK;
}

/* "bigint", "character varying(10)" */
static bool
read_type(struct place *place)
{
	const char *from;

	skip_space(place);
	from = place->at;
	while (
	    is_word(place->at[0]) || place->at[0] == ' ' || place->at[0] == '.')
		place->at++;
	if (place->at == from)
		return false;
	if (place->at[0] != '(')
		return true;
	place->at += 1 + strspn(place->at + 1, "0123456789, ");
	return takes(place, ")");
}

#define DEPTH_MAX 16

static bool
read_value(struct place *place, unsigned depth)
{
	if (depth == DEPTH_MAX)
		return false;
	if (takes(place, "(")) {
		if (!read_value(place, depth + 1) || !takes(place, ")"))
			return false;
	} else if (!read_column(place)) {
		return false;
	}
	for (;;) {
		if (takes(place, "::")) {
			if (!read_type(place))
				return false;
		} else if (takes(place, "->>") || takes(place, "->")) {
			if (!read_step(place))
				return false;
		} else {
			return true;
		}
	}
}

/* Where a value of the map is read: a column's name, or an expression. */
static bool
find_place(struct place *place, const char *value)
{
	place->at = value;
	place->column = bkp_model_column(place->table, value);
	if (place->column != SIZE_MAX)
		return true;
	if (!read_value(place, 0))
		return false;
	skip_space(place);
	return place->at[0] == '\0';
}

/* ---- declared references ---- */

static enum fmt_status
append_place(struct fmt_buf *out, const struct place *place, const char **why)
{
	const struct bkp_model_column *column =
	    &place->table->columns[place->column];

	*why = NULL;
	if (column->is_generated) {
		*why = "its column is generated";
		return FMT_OK;
	}
	if (place->steps > 0 && strcmp(column->type, "jsonb") != 0) {
		*why = "it is a part of a value that only the application can "
		       "change";
		return FMT_OK;
	}
	if (place->steps > 0)
		return bkp_pg_sql(out,
		    "%I = pg_catalog.jsonb_set(%I.%I, ARRAY[%s]::text[],"
		    " 'null', false)",
		    column->name, place->table->name, column->name,
		    (const char *)place->path.data);
	if (column->is_not_null) {
		*why = "its column cannot be NULL";
		return FMT_OK;
	}
	return bkp_pg_sql(out, "%I = NULL", column->name);
}

/* One value of several is enough: a reference that lacks one is none. */
static enum fmt_status
append_values(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const char **why)
{
	const struct bkp_strings *values = &edge->map->child_values;
	enum fmt_status status = FMT_OK;
	size_t len = out->len;

	for (size_t i = 0; status == FMT_OK && i < values->count; i++) {
		struct place place = {.table = &walk->model.tables[edge->child],
		    .path = FMT_BUF_INIT};

		*why = "it is an expression that only the application can turn "
		       "round";
		if (find_place(&place, values->items[i]) &&
		    (place.steps == 0 || fmt_buf_text(&place.path) != NULL))
			status = append_place(out, &place, why);
		if (place.status != FMT_OK)
			status = place.status;
		fmt_buf_free(&place.path);
		if (out->len > len)
			break;
	}
	return status;
}

/* The array without the keys of what is erased. */
static enum fmt_status
append_array(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const char **why)
{
	const struct bkp_model_table *child = &walk->model.tables[edge->child];
	const struct bkp_model_table *parent =
	    &walk->model.tables[edge->parent];
	const struct bkp_model_column *column;
	enum fmt_status status;
	size_t at;

	if (!bkp_walk_child_column(walk, edge, 0, &at) ||
	    !child->columns[at].is_array || child->columns[at].is_generated) {
		*why = "it is no plain column of an array type";
		return FMT_OK;
	}
	column = &child->columns[at];
	status = bkp_pg_sql(out,
	    "%I = ARRAY(SELECT \"walk e\".\"walk v\" FROM"
	    " pg_catalog.unnest(%I.%I) WITH ORDINALITY"
	    " AS \"walk e\"(\"walk v\", \"walk n\") WHERE NOT EXISTS"
	    " (SELECT FROM pg_temp.walk_%u w JOIN %s%s p"
	    " ON p.tableoid = w.rel AND p.ctid = w.tid WHERE ",
	    column->name, child->name, column->name, (unsigned)edge->parent,
	    bkp_walk_is_partitioned(parent) ? "" : "ONLY ", parent->quoted);
	if (status == FMT_OK)
		status = bkp_walk_append_equal(
		    out, walk, edge, 0, "\"walk e\".\"walk v\"", "p");
	return status == FMT_OK ? bkp_pg_sql(out, ") ORDER BY \"walk n\")")
				: status;
}

enum fmt_status
bkp_erase_append_cleared(struct fmt_buf *out, const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, const char **why)
{
	*why = NULL;
	if (edge->key != NULL)
		return append_key(out, walk, edge->key, why);
	if (edge->map->erase == BKP_ERASE_KEEP) {
		*why = "the map says that it stays";
		return FMT_OK;
	}
	return edge->map->is_array ? append_array(out, walk, edge, why)
				   : append_values(out, walk, edge, why);
}
