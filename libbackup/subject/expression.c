/* SPDX-License-Identifier: Apache-2.0 */
/* As much of SQL's lexical rules as tells where an expression ends. What would
 * need more of them (comments, dollar quotes, parameters) is refused. */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "libbackup/subject/names.h"

static bool
is_word(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '$' || c >= 0x80;
}

/* Behind the closing quote, or NULL; *at stands on the opening one. */
static const char *
end_of_quotes(const char *at, bool has_backslash)
{
	char quote = *at++;

	for (; *at != '\0'; at++) {
		if (has_backslash && *at == '\\' && at[1] != '\0')
			at++;
		else if (*at == quote && at[1] == quote)
			at++;
		else if (*at == quote)
			return at + 1;
	}
	return NULL;
}

/* True where the quote at `at` begins E'...'. */
static bool
is_escaped(const char *text, const char *at)
{
	return at > text && (at[-1] == 'e' || at[-1] == 'E') &&
	       (at - 1 == text || !is_word((unsigned char)at[-2]));
}

static bool
closes(char open, char c)
{
	return (open == '(' && c == ')') || (open == '[' && c == ']');
}

const char *
bkp_subject_expression(const char *text)
{
	char open[64];
	size_t depth = 0;
	const char *at = text;

	if (text[strspn(text, " \t\r\n")] == '\0')
		return "it is empty";
	while (*at != '\0') {
		if (*at == '\'' || *at == '"') {
			at = end_of_quotes(
			    at, *at == '\'' && is_escaped(text, at));
			if (at == NULL)
				return "a quote is not closed";
			continue;
		}
		if (*at == '(' || *at == '[') {
			if (depth == sizeof(open))
				return "it has too many brackets";
			open[depth++] = *at;
		} else if (*at == ')' || *at == ']') {
			if (depth == 0 || !closes(open[--depth], *at))
				return "a bracket closes none";
		} else if (*at == ';') {
			return "it is one expression, without ';'";
		} else if (*at == ',' && depth == 0) {
			return "it is one expression, and a ',' makes it two";
		} else if (strncmp(at, "--", 2) == 0 ||
			   strncmp(at, "/*", 2) == 0) {
			return "it may hold no comment";
		} else if (*at == '$' &&
			   (at == text || !is_word((unsigned char)at[-1]))) {
			return "it may hold no '$' outside of quotes";
		}
		at++;
	}
	return depth == 0 ? NULL : "a bracket is not closed";
}

/* Quoted as `"it"`, from one quote to behind the other. */
static bool
is_quoted_name(const char *at, const char *end, const char *name)
{
	for (at++, end--; at < end; at++, name++) {
		if (*at == '"')
			at++;
		if (*at != *name)
			return false;
	}
	return *name == '\0';
}

bool
bkp_subject_mentions(const char *expression, const char *column)
{
	const char *at = expression;

	while (*at != '\0') {
		const char *start = at;

		if (*at == '\'' || *at == '"') {
			at = end_of_quotes(
			    at, *at == '\'' && is_escaped(expression, at));
			if (at == NULL)
				return false;
			if (*start == '"' && is_quoted_name(start, at, column))
				return true;
		} else if (is_word((unsigned char)*at)) {
			while (is_word((unsigned char)*at))
				at++;
			if ((size_t)(at - start) == strlen(column) &&
			    strncasecmp(start, column, strlen(column)) == 0)
				return true;
		} else {
			at++;
		}
	}
	return false;
}
