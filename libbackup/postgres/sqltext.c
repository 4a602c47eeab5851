/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/sqltext.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- moving over text ---- */

/* Behind the quoted run that begins at `at` (a quote); end where it does not
 * close. In E'' a backslash hides the next byte. */
static const char *
skip_quoted(const char *at, const char *end, bool has_escapes)
{
	char quote = *at++;

	for (; at < end; at++) {
		if (has_escapes && *at == '\\' && at + 1 < end)
			at++;
		else if (*at == quote)
			return at + 1;
	}
	return end;
}

static const char *
skip_line(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline != NULL ? newline + 1 : end;
}

static const char *
skip_space_and_comments(const char *at, const char *end)
{
	while (at < end) {
		if (isspace((unsigned char)*at))
			at++;
		else if (*at == '\\' ||
			 (end - at >= 2 && at[0] == '-' && at[1] == '-'))
			at = skip_line(at, end);
		else
			break;
	}
	return at;
}

static bool
is_escape_string(const char *start, const char *quote)
{
	return quote > start && (quote[-1] == 'E' || quote[-1] == 'e') &&
	       (quote - 1 == start || !isalnum((unsigned char)quote[-2]));
}

bool
bkp_sql_next(const char **at, const char *end, struct bkp_sql_statement *out)
{
	const char *start = skip_space_and_comments(*at, end);
	const char *p = start;

	while (p < end && *p != ';') {
		if (*p == '\'')
			p = skip_quoted(p, end, is_escape_string(start, p));
		else if (*p == '"')
			p = skip_quoted(p, end, false);
		else
			p++;
	}
	if (p < end)
		p++;
	*at = p;
	out->text = start;
	out->len = (size_t)(p - start);
	return out->len > 0;
}

bool
bkp_sql_begins(const struct bkp_sql_statement *statement, const char *words,
    const char **rest)
{
	size_t len = strlen(words);

	if (statement->len < len || memcmp(statement->text, words, len) != 0)
		return false;
	if (rest != NULL)
		*rest = statement->text + len;
	return true;
}

bool
bkp_sql_identifier(const char **at, const char *end, struct fmt_buf *out)
{
	const char *p = *at;
	enum fmt_status status = FMT_OK;

	fmt_buf_clear(out);
	while (p < end && isspace((unsigned char)*p))
		p++;
	if (p < end && *p == '"') {
		for (p++; p < end && status == FMT_OK; p++) {
			if (*p == '"' && (p + 1 == end || p[1] != '"'))
				break;
			if (*p == '"')
				p++;
			status = fmt_buf_append_byte(out, (unsigned char)*p);
		}
		if (p == end)
			return false;
		p++;
	} else {
		const char *start = p;

		while (p < end && (isalnum((unsigned char)*p) || *p == '_' ||
				      *p == '$' || (*p & 0x80) != 0))
			p++;
		status = fmt_buf_append(out, start, (size_t)(p - start));
	}
	*at = p;
	return status == FMT_OK && out->len > 0 && fmt_buf_text(out) != NULL;
}

/* ---- globals ---- */

static bool
is_of_tablespace(const struct bkp_sql_statement *s)
{
	static const char *const starts[] = {"CREATE TABLESPACE ",
	    "ALTER TABLESPACE ", "COMMENT ON TABLESPACE ",
	    "SECURITY LABEL FOR TABLESPACE "};
	const char *on;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (bkp_sql_begins(s, starts[i], NULL))
			return true;
	if (!bkp_sql_begins(s, "GRANT ", NULL) &&
	    !bkp_sql_begins(s, "REVOKE ", NULL))
		return false;
	on = memmem(s->text, s->len, " ON TABLESPACE ", 15);
	return on != NULL &&
	       memchr(s->text, '"', (size_t)(on - s->text)) == NULL;
}

enum fmt_status
bkp_sql_globals(const char *text, size_t len, struct fmt_buf *out,
    struct fmt_buf *tablespaces)
{
	const char *at = text, *end = text + len;
	struct bkp_sql_statement s;
	enum fmt_status status = FMT_OK;

	while (status == FMT_OK && bkp_sql_next(&at, end, &s)) {
		struct fmt_buf *to = is_of_tablespace(&s) ? tablespaces : out;

		if (bkp_sql_begins(&s, "SET ", NULL))
			continue;
		status = fmt_buf_append(to, s.text, s.len);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(to, '\n');
	}
	return status;
}

/* ---- the catalogue ---- */

/* A run of lines that belong to one object. */
struct block {
	unsigned char *text;
	size_t len;
};

struct blocks {
	struct fmt_buf all; /* array of struct block */
	struct fmt_buf now; /* the one being read */
};

static int
compare_blocks(const void *a, const void *b)
{
	const struct block *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order = len > 0 ? memcmp(x->text, y->text, len) : 0;

	if (order != 0)
		return order;
	return (x->len > y->len) - (x->len < y->len);
}

static enum fmt_status
end_block(struct blocks *blocks)
{
	struct block block = {blocks->now.data, blocks->now.len};
	enum fmt_status status;

	while (block.len > 0 && block.text[block.len - 1] == '\n')
		block.len--;
	if (block.len == 0) {
		fmt_buf_clear(&blocks->now);
		return FMT_OK;
	}
	status = fmt_buf_append(&blocks->all, &block, sizeof(block));
	if (status == FMT_OK)
		blocks->now = (struct fmt_buf)FMT_BUF_INIT;
	return status;
}

static bool
line_begins(const char *line, size_t len, const char *with)
{
	size_t need = strlen(with);

	return len >= need && memcmp(line, with, need) == 0;
}

/* Lines that tell of the run and not of the schema: when and by what it was
 * dumped, and settings that depend on the order of the objects. */
static bool
is_of_the_run(const char *line, size_t len)
{
	static const char *const starts[] = {"\\restrict ", "\\unrestrict ",
	    "-- Dumped ", "-- Started on ", "-- Completed on ",
	    "-- PostgreSQL database dump", "SET default_tablespace = ",
	    "SET default_table_access_method = ", "SET statement_timeout = ",
	    "SET lock_timeout = ", "SET idle_in_transaction_session_timeout = ",
	    "SET transaction_timeout = ", "SET client_encoding = ",
	    "SET standard_conforming_strings = ",
	    "SET check_function_bodies = ", "SET xmloption = ",
	    "SET client_min_messages = ", "SET row_security = ",
	    "SELECT pg_catalog.set_config('search_path', '', false)"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (line_begins(line, len, starts[i]))
			return true;
	return false;
}

/* Where an object lies is the server's matter: it may have no such
 * tablespace, and a scratch server never does. */
static size_t
without_tablespace(const char *line, size_t len)
{
	static const char owner[] = "; Owner: ", space[] = "; Tablespace: ";
	const char *at = memmem(line, len, owner, sizeof(owner) - 1);
	size_t before = at != NULL ? (size_t)(at - line) : len;

	at = memmem(line + before, len - before, space, sizeof(space) - 1);
	return at != NULL ? (size_t)(at - line) : len;
}

static enum fmt_status
append_line(struct fmt_buf *block, const char *line, size_t len)
{
	size_t kept = len;
	enum fmt_status status;

	if (line_begins(line, len, "-- Name: "))
		kept = without_tablespace(line, len);
	status = fmt_buf_append(block, line, kept);
	return status == FMT_OK && kept < len ? fmt_buf_append_byte(block, '\n')
					      : status;
}

static enum fmt_status
read_blocks(const char *text, size_t len, struct blocks *blocks)
{
	const char *at = text, *end = text + len;
	enum fmt_status status = FMT_OK;

	while (status == FMT_OK && at < end) {
		const char *next = skip_line(at, end);
		size_t line = (size_t)(next - at);

		if (line_begins(at, line, "-- Name: ") ||
		    line_begins(at, line, "-- Data for Name: "))
			status = end_block(blocks);
		if (status == FMT_OK && !is_of_the_run(at, line) &&
		    !(line == 3 && memcmp(at, "--\n", 3) == 0) && !(line == 1))
			status = append_line(&blocks->now, at, line);
		at = next;
	}
	return status == FMT_OK ? end_block(blocks) : status;
}

/* The order of grants within an object tells nothing. */
static enum fmt_status
sort_lines(struct block *block)
{
	struct blocks lines = {FMT_BUF_INIT, FMT_BUF_INIT};
	const char *at = (const char *)block->text, *end = at + block->len;
	struct fmt_buf sorted = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;

	at = skip_line(at, end);
	if (at == end)
		return FMT_OK; /* nothing follows the first line */
	status = fmt_buf_append(
	    &sorted, block->text, (size_t)(at - (const char *)block->text));
	while (status == FMT_OK && at < end) {
		const char *next = skip_line(at, end);

		status = fmt_buf_append(&lines.now, at, (size_t)(next - at));
		if (status == FMT_OK)
			status = end_block(&lines);
		at = next;
	}
	if (status == FMT_OK && lines.all.len > 0)
		qsort(lines.all.data, lines.all.len / sizeof(struct block),
		    sizeof(struct block), compare_blocks);
	for (size_t i = 0; i < lines.all.len / sizeof(struct block); i++) {
		struct block *line = (struct block *)(void *)lines.all.data + i;

		if (status == FMT_OK)
			status = fmt_buf_append(&sorted, line->text, line->len);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(&sorted, '\n');
		free(line->text);
	}
	fmt_buf_free(&lines.all);
	fmt_buf_free(&lines.now);
	if (status == FMT_OK && sorted.len > 0) {
		free(block->text);
		block->text = sorted.data;
		block->len = sorted.len - 1;
		return FMT_OK;
	}
	fmt_buf_free(&sorted);
	return status;
}

static bool
is_acl(const struct block *block)
{
	const char *line = (const char *)block->text;
	const char *end = skip_line(line, line + block->len);

	return memmem(line, (size_t)(end - line), "; Type: ACL;", 12) != NULL ||
	       memmem(line, (size_t)(end - line), "; Type: DEFAULT ACL;", 20) !=
		   NULL;
}

enum fmt_status
bkp_sql_catalogue(const char *text, size_t len, struct fmt_buf *out)
{
	struct blocks blocks = {FMT_BUF_INIT, FMT_BUF_INIT};
	struct fmt_buf sorted = FMT_BUF_INIT;
	enum fmt_status status = read_blocks(text, len, &blocks);
	size_t count = blocks.all.len / sizeof(struct block);
	struct block *block = (struct block *)(void *)blocks.all.data;

	for (size_t i = 0; status == FMT_OK && i < count; i++)
		if (is_acl(&block[i]))
			status = sort_lines(&block[i]);
	if (status == FMT_OK && count > 0)
		qsort(block, count, sizeof(*block), compare_blocks);
	for (size_t i = 0; i < count; i++) {
		if (status == FMT_OK)
			status = fmt_buf_append(
			    &sorted, block[i].text, block[i].len);
		if (status == FMT_OK)
			status = fmt_buf_append_text(&sorted, "\n\n");
		free(block[i].text);
	}
	if (status == FMT_OK)
		status =
		    bkp_sql_settle((const char *)sorted.data, sorted.len, out);
	fmt_buf_free(&sorted);
	fmt_buf_free(&blocks.all);
	fmt_buf_free(&blocks.now);
	return status;
}
