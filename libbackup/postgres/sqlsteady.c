/* SPDX-License-Identifier: Apache-2.0 */
/* What the server writes otherwise once it has read it (sqltext.h). */
#include <ctype.h>
#include <string.h>

#include "libbackup/postgres/sqltext.h"

/* Types whose own name is another than the one that is written. */
static const struct {
	const char *written, *own;
} names[] = {{"bigint", "int8"}, {"bit varying", "varbit"}, {"boolean", "bool"},
    {"character", "bpchar"}, {"character varying", "varchar"},
    {"double precision", "float8"}, {"integer", "int4"}, {"real", "float4"},
    {"smallint", "int2"}, {"time with time zone", "timetz"},
    {"time without time zone", "time"},
    {"timestamp with time zone", "timestamptz"},
    {"timestamp without time zone", "timestamp"}};

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

/* Where the type begins that ends at `end`: behind the last "::" of a run of
 * what type names are made of; NULL where there is none. */
static const char *
find_type(const char *text, const char *end)
{
	const char *at = end;

	while (at > text && (is_word(at[-1]) || strchr(" .\"[]()", at[-1])))
		at--;
	return at - text >= 2 && at[-1] == ':' && at[-2] == ':' ? at : NULL;
}

/* True where `own` is what the server calls a column that is a cast to the
 * type from `type` to `end`: its name without schema, length and brackets. */
static bool
is_own_name(const char *type, const char *end, const char *own, size_t len)
{
	const char *bracket = memchr(type, '[', (size_t)(end - type));
	const char *length = memchr(type, '(', (size_t)(end - type));
	const char *dot;

	if (bracket != NULL)
		end = bracket;
	if (length != NULL && length < end)
		end = length;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].written) == (size_t)(end - type) &&
		    memcmp(names[i].written, type, (size_t)(end - type)) == 0)
			return strlen(names[i].own) == len &&
			       memcmp(names[i].own, own, len) == 0;
	dot = memrchr(type, '.', (size_t)(end - type));
	if (dot != NULL)
		type = dot + 1;
	return (size_t)(end - type) == len && memcmp(type, own, len) == 0;
}

/* The end of the name that begins at `at`, quoted or not. */
static const char *
skip_name(const char *at, const char *end)
{
	if (at < end && *at == '"') {
		at = memchr(at + 1, '"', (size_t)(end - at - 1));
		return at != NULL ? at + 1 : end;
	}
	while (at < end && is_word(*at))
		at++;
	return at;
}

enum fmt_status
bkp_sql_steady(const char *line, size_t len, struct fmt_buf *out)
{
	static const char as[] = " AS ";
	static const char *const limits[] = {
	    "    MAXVALUE 32767", "    MAXVALUE 2147483647"};
	const char *at = line, *end = line + len, *found;
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (strlen(limits[i]) == len &&
		    memcmp(limits[i], line, len) == 0)
			return fmt_buf_append_text(out, "    NO MAXVALUE");
	while (status == FMT_OK && (found = memmem(at, (size_t)(end - at), as,
					sizeof(as) - 1)) != NULL) {
		const char *name = found + sizeof(as) - 1;
		const char *behind = skip_name(name, end);
		const char *type = find_type(line, found);

		status = fmt_buf_append(out, at, (size_t)(found - at));
		at = name;
		if (type != NULL &&
		    is_own_name(type, found, name, (size_t)(behind - name)))
			at = behind;
		else if (status == FMT_OK)
			status = fmt_buf_append_text(out, as);
	}
	return status == FMT_OK ? fmt_buf_append(out, at, (size_t)(end - at))
				: status;
}
