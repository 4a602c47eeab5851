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
