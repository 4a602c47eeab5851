/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/names.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 32 /* columns of an index, as PostgreSQL is built */

static bool
is_start(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || c == '_';
}

static bool
is_part(unsigned char c)
{
	return is_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static bool
is_plain(const char *name)
{
	if (!is_start((unsigned char)*name))
		return false;
	while (is_part((unsigned char)*name))
		name++;
	return *name == '\0';
}

enum fmt_status
bkp_subject_identifier(struct fmt_buf *out, const char *name)
{
	enum fmt_status status;

	if (is_plain(name))
		return fmt_buf_append_text(out, name);
	status = fmt_buf_append_byte(out, '"');
	for (; status == FMT_OK && *name != '\0'; name++) {
		if (*name == '"')
			status = fmt_buf_append_byte(out, '"');
		if (status == FMT_OK)
			status = fmt_buf_append_byte(out, (unsigned char)*name);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, '"') : status;
}

enum fmt_status
bkp_subject_table(struct fmt_buf *out, const char *schema, const char *table)
{
	enum fmt_status status = bkp_subject_identifier(out, schema);

	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '.');
	return status == FMT_OK ? bkp_subject_identifier(out, table) : status;
}

static int
compare_pairs(const void *a, const void *b)
{
	const struct bkp_subject_pair *left = a, *right = b;
	int order = strcmp(left->child, right->child);

	return order != 0 ? order : strcmp(left->parent, right->parent);
}

static enum fmt_status
append_columns(struct fmt_buf *out, const struct bkp_subject_pair *pairs,
    size_t count, bool is_child)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < count; i++) {
		status = fmt_buf_append_text(out, i == 0 ? "(" : ", ");
		if (status == FMT_OK)
			status = bkp_subject_identifier(
			    out, is_child ? pairs[i].child : pairs[i].parent);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, ')') : status;
}

enum fmt_status
bkp_subject_edge(struct fmt_buf *out, const char *child, const char *parent,
    struct bkp_subject_pair *pairs, size_t count)
{
	enum fmt_status status;

	qsort(pairs, count, sizeof(*pairs), compare_pairs);
	status = fmt_buf_append_text(out, child);
	if (status == FMT_OK)
		status = append_columns(out, pairs, count, true);
	if (status == FMT_OK)
		status = fmt_buf_printf(out, " -> %s", parent);
	if (status == FMT_OK)
		status = append_columns(out, pairs, count, false);
	return status;
}

/* ---- reading ---- */

static void
skip_space(const char **at)
{
	*at += strspn(*at, " \t\r\n");
}

static bool
take(const char **at, const char *token)
{
	size_t len = strlen(token);

	skip_space(at);
	if (strncmp(*at, token, len) != 0)
		return false;
	*at += len;
	return true;
}

/* Appends what stands between the quotes; *at is behind the first. */
static enum fmt_status
read_quoted(const char **at, struct fmt_buf *out)
{
	const char *from = *at;
	enum fmt_status status = FMT_OK;

	for (; status == FMT_OK; (*at)++) {
		if (**at == '\0')
			return FMT_MALFORMED;
		if (**at == '"' && *++*at != '"')
			return *at == from + 1 ? FMT_MALFORMED : FMT_OK;
		status = fmt_buf_append_byte(out, (unsigned char)**at);
	}
	return status;
}

/* Appends the identifier without its quotes, folded as the server would. */
static enum fmt_status
read_identifier(const char **at, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;
	size_t before = out->len;

	if (take(at, "\""))
		return read_quoted(at, out);
	for (; status == FMT_OK; (*at)++) {
		unsigned char c = (unsigned char)**at;

		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		if (!is_part(c) && c < 0x80)
			break;
		if (out->len == before && !is_start(c) && c < 0x80)
			return FMT_MALFORMED;
		status = fmt_buf_append_byte(out, c);
	}
	return status == FMT_OK && out->len == before ? FMT_MALFORMED : status;
}

static enum fmt_status
read_table(const char **at, struct fmt_buf *out)
{
	struct fmt_buf schema = FMT_BUF_INIT, table = FMT_BUF_INIT;
	enum fmt_status status = read_identifier(at, &schema);

	if (status == FMT_OK)
		status =
		    take(at, ".") ? read_identifier(at, &table) : FMT_MALFORMED;
	if (status == FMT_OK &&
	    (fmt_buf_text(&schema) == NULL || fmt_buf_text(&table) == NULL))
		status = FMT_NOMEM;
	if (status == FMT_OK)
		status = bkp_subject_table(
		    out, (const char *)schema.data, (const char *)table.data);
	fmt_buf_free(&schema);
	fmt_buf_free(&table);
	return status;
}

/* "(a, b)": the names one after the other, each with its NUL. */
static enum fmt_status
read_list(const char **at, struct fmt_buf *out, size_t *count)
{
	enum fmt_status status;

	*count = 0;
	if (!take(at, "("))
		return FMT_MALFORMED;
	do {
		status = *count < PAIRS_MAX ? read_identifier(at, out)
					    : FMT_MALFORMED;
		if (status == FMT_OK)
			status = fmt_buf_append_byte(out, 0);
		++*count;
	} while (status == FMT_OK && take(at, ","));
	if (status != FMT_OK)
		return status;
	return take(at, ")") ? FMT_OK : FMT_MALFORMED;
}

static bool
is_end(const char *at)
{
	skip_space(&at);
	return *at == '\0';
}

enum fmt_status
bkp_subject_read_table(struct fmt_buf *out, const char *text)
{
	size_t before = out->len;
	enum fmt_status status = read_table(&text, out);

	if (status == FMT_OK && !is_end(text))
		status = FMT_MALFORMED;
	if (status != FMT_OK)
		out->len = before;
	return status;
}

enum fmt_status
bkp_subject_read_columns(struct fmt_buf *table, struct fmt_buf *columns,
    size_t *count, const char *text)
{
	enum fmt_status status = read_table(&text, table);

	if (status == FMT_OK)
		status = read_list(&text, columns, count);
	if (status == FMT_OK && !is_end(text))
		status = FMT_MALFORMED;
	return status;
}

static void
pair_up(struct bkp_subject_pair *pairs, size_t count, const char *child,
    const char *parent)
{
	for (size_t i = 0; i < count; i++) {
		pairs[i] = (struct bkp_subject_pair){child, parent, i};
		child += strlen(child) + 1;
		parent += strlen(parent) + 1;
	}
}

/* The two sides of an edge. */
struct sides {
	struct fmt_buf child, child_columns, parent, parent_columns;
	size_t child_count, parent_count;
};

static enum fmt_status
read_sides(struct sides *sides, const char *text)
{
	enum fmt_status status = read_table(&text, &sides->child);

	if (status == FMT_OK)
		status = read_list(
		    &text, &sides->child_columns, &sides->child_count);
	if (status == FMT_OK && !take(&text, "->"))
		status = FMT_MALFORMED;
	if (status == FMT_OK)
		status = read_table(&text, &sides->parent);
	if (status == FMT_OK)
		status = read_list(
		    &text, &sides->parent_columns, &sides->parent_count);
	if (status == FMT_OK &&
	    (!is_end(text) || sides->child_count != sides->parent_count))
		status = FMT_MALFORMED;
	if (status == FMT_OK && (fmt_buf_text(&sides->child) == NULL ||
				    fmt_buf_text(&sides->parent) == NULL))
		status = FMT_NOMEM;
	return status;
}

enum fmt_status
bkp_subject_read_edge(struct fmt_buf *out, const char *text)
{
	struct sides sides = {.child = FMT_BUF_INIT};
	struct bkp_subject_pair pairs[PAIRS_MAX];
	size_t before = out->len;
	enum fmt_status status = read_sides(&sides, text);

	if (status == FMT_OK) {
		pair_up(pairs, sides.child_count,
		    (const char *)sides.child_columns.data,
		    (const char *)sides.parent_columns.data);
		status = bkp_subject_edge(out, (const char *)sides.child.data,
		    (const char *)sides.parent.data, pairs, sides.child_count);
	}
	fmt_buf_free(&sides.child);
	fmt_buf_free(&sides.child_columns);
	fmt_buf_free(&sides.parent);
	fmt_buf_free(&sides.parent_columns);
	if (status != FMT_OK)
		out->len = before;
	return status;
}
