/* SPDX-License-Identifier: Apache-2.0 */
/* Array casts in the one form that stays as it is (sqltext.h). */
#include <ctype.h>
#include <string.h>

#include "libbackup/postgres/sqltext.h"

static const char opening[] = "(ARRAY[";
#define OPENING_LEN (sizeof(opening) - 1)

/* Behind what begins at `at`: a quoted run as a whole, else one byte. */
static const char *
step(const char *at, const char *end)
{
	char quote = *at++;

	if (quote != '\'' && quote != '"')
		return at;
	while (at < end && *at != quote)
		at++;
	return at < end ? at + 1 : end;
}

/* The ']' that ends the list whose elements begin at `at`; NULL where there is
 * none. */
static const char *
find_end(const char *at, const char *end)
{
	unsigned depth = 0;

	while (at < end) {
		if (depth == 0 && *at == ']')
			return at;
		if (*at == '[' || *at == '(')
			depth++;
		if ((*at == ']' || *at == ')') && depth > 0)
			depth--;
		at = step(at, end);
	}
	return NULL;
}

/* The end of a type name that begins at `at` and ends in "[]"; *name_len is
 * the length without it. NULL where it is none. */
static const char *
find_type(const char *at, const char *end, size_t *name_len)
{
	const char *p = at;

	while (p < end && *p != '[') {
		if (*p == '"')
			p = step(p, end);
		else if (isalnum((unsigned char)*p) || *p == '_' || *p == '.' ||
			 *p == ' ' || (*p & 0x80) != 0)
			p++;
		else
			return NULL;
	}
	if (end - p < 2 || p == at || p[1] != ']')
		return NULL;
	*name_len = (size_t)(p - at);
	return p + 2;
}

/* Appends "(element)::type" for each element from at to end. */
static enum fmt_status
append_elements(const char *at, const char *end, const char *type,
    size_t type_len, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	while (status == FMT_OK && at < end) {
		const char *start = at;
		unsigned depth = 0;

		while (at < end && !(depth == 0 && *at == ',')) {
			if (*at == '[' || *at == '(')
				depth++;
			if ((*at == ']' || *at == ')') && depth > 0)
				depth--;
			at = step(at, end);
		}
		status = fmt_buf_append_byte(out, '(');
		if (status == FMT_OK)
			status =
			    bkp_sql_settle(start, (size_t)(at - start), out);
		if (status == FMT_OK)
			status =
			    fmt_buf_printf(out, ")::%.*s", (int)type_len, type);
		if (status == FMT_OK && at < end)
			status = fmt_buf_append_text(out, ", ");
		for (at = at < end ? at + 1 : end; at < end && *at == ' ';)
			at++;
	}
	return status;
}

/* Writes the cast that begins at *at in its settled form and moves behind it;
 * leaves *at where it is none. */
static enum fmt_status
settle_one(const char **at, const char *end, struct fmt_buf *out)
{
	const char *list = *at + OPENING_LEN, *close, *type, *behind;
	enum fmt_status status;
	size_t type_len = 0;

	close = find_end(list, end);
	if (close == NULL || close == list || end - close < 5 ||
	    memcmp(close, "])::", 4) != 0)
		return FMT_OK;
	type = close + 4;
	behind = find_type(type, end, &type_len);
	if (behind == NULL)
		return FMT_OK;
	status = fmt_buf_append_text(out, "ARRAY[");
	if (status == FMT_OK)
		status = append_elements(list, close, type, type_len, out);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, ']');
	if (status == FMT_OK)
		*at = behind;
	return status;
}

enum fmt_status
bkp_sql_settle(const char *text, size_t len, struct fmt_buf *out)
{
	const char *at = text, *end;
	enum fmt_status status = FMT_OK;

	/* No text may be a NULL, to which nothing may be added. */
	if (len == 0)
		return FMT_OK;
	end = text + len;
	while (status == FMT_OK && at < end) {
		const char *found =
		    memmem(at, (size_t)(end - at), opening, OPENING_LEN);
		const char *before;

		if (found == NULL)
			return fmt_buf_append(out, at, (size_t)(end - at));
		status = fmt_buf_append(out, at, (size_t)(found - at));
		before = at = found;
		if (status == FMT_OK)
			status = settle_one(&at, end, out);
		if (status == FMT_OK && at == before) {
			status = fmt_buf_append(out, at, OPENING_LEN);
			at += OPENING_LEN;
		}
	}
	return status;
}
