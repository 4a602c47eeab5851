/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/toc_line.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

struct bkp_pg_view
bkp_pg_next_line(const char **at, const char *end)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));
	struct bkp_pg_view line = {*at, 0};

	*at = newline != NULL ? newline + 1 : end;
	line.len = (size_t)(*at - line.text);
	return line;
}

unsigned long
bkp_pg_read_number(const char **at, const char *end)
{
	unsigned long number = 0;

	while (*at < end && isdigit((unsigned char)**at))
		number = number * 10 + (unsigned long)(*(*at)++ - '0');
	return number;
}

unsigned long
bkp_pg_next_number(const char **at, const char *end)
{
	while (*at < end && !isdigit((unsigned char)**at))
		(*at)++;
	return bkp_pg_read_number(at, end);
}

size_t
bkp_pg_kind_at(const char *line, size_t len)
{
	size_t at = 0;

	for (int numbers = 0; numbers < 3; numbers++) {
		while (at < len && isdigit((unsigned char)line[at]))
			at++;
		while (at < len && (line[at] == ';' || line[at] == ' '))
			at++;
	}
	return at;
}

static bool
is_of_kind(const char *line, size_t len, const char *kind)
{
	size_t at = bkp_pg_kind_at(line, len), kind_len = strlen(kind);

	return len - at >= kind_len && memcmp(line + at, kind, kind_len) == 0;
}

enum bkp_pg_need
bkp_pg_need_of(const char *line, size_t len)
{
	static const char *const leaves[] = {"EVENT TRIGGER ", "PUBLICATION ",
	    "SUBSCRIPTION ", "SECURITY LABEL ", "COMMENT - EXTENSION ",
	    "COMMENT - EVENT TRIGGER ", "COMMENT - PUBLICATION ",
	    "COMMENT - SUBSCRIPTION "};
	static const char *const bases[] = {"FOREIGN DATA WRAPPER ",
	    "OPERATOR CLASS ", "OPERATOR FAMILY ", "ACCESS METHOD ",
	    "PROCEDURAL LANGUAGE ", "TRANSFORM ", "TEXT SEARCH PARSER ",
	    "TEXT SEARCH TEMPLATE ", "SHELL TYPE "};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		if (is_of_kind(line, len, leaves[i]))
			return BKP_PG_NEED_LEAF;
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		if (is_of_kind(line, len, bases[i]))
			return BKP_PG_NEED_BASE;
	return BKP_PG_NEED_NONE;
}

const char *
bkp_pg_line_owner(const char *line, size_t len, size_t *owner_len)
{
	size_t at;

	while (len > 0 && line[len - 1] == '\n')
		len--;
	for (at = len; at > 0 && line[at - 1] != ' ';)
		at--;
	*owner_len = len - at;
	return line + at;
}

const char *
bkp_pg_line_name(const char *line, size_t len, size_t *name_len)
{
	size_t kind = bkp_pg_kind_at(line, len), owner_len;
	const char *owner = bkp_pg_line_owner(line, len, &owner_len);

	*name_len = owner > line + kind + 1
			? (size_t)(owner - (line + kind)) - 1
			: len - kind;
	return line + kind;
}
