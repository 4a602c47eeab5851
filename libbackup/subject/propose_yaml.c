/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as people would write it: quotes where they are needed, comments that
 * end before the line does. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/subject/propose_own.h"

#define WIDTH 78

void
bkp_propose_put(struct proposal *p, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	if (p->status != FMT_OK)
		return;
	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0) {
		p->status = FMT_NOMEM;
		return;
	}
	p->status = fmt_buf_append(p->out, text, (size_t)len);
	free(text);
}

/* A word or several, which no reader of YAML takes for anything else. */
static bool
is_plain(const char *text)
{
	static const char *const taken[] = {"true", "false", "yes", "no", "on",
	    "off", "null", "y", "n", "undecided", NULL};
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				     "0123456789. -";
	size_t len = strlen(text);

	if (len == 0 || strchr(letters, text[0]) == NULL ||
	    text[strspn(text, others)] != '\0' || text[len - 1] == ' ')
		return false;
	for (size_t i = 0; taken[i] != NULL; i++)
		if (strcasecmp(text, taken[i]) == 0)
			return false;
	return true;
}

void
bkp_propose_scalar(struct proposal *p, const char *text)
{
	if (is_plain(text)) {
		bkp_propose_put(p, "%s", text);
		return;
	}
	bkp_propose_put(p, "\"");
	for (; *text != '\0' && p->status == FMT_OK; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			bkp_propose_put(p, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			bkp_propose_put(p, "\\x%02X", c);
		else
			p->status = fmt_buf_append_byte(p->out, c);
	}
	bkp_propose_put(p, "\"");
}

void
bkp_propose_list(struct proposal *p, const struct bkp_strings *list)
{
	bkp_propose_put(p, "[");
	for (size_t i = 0; i < list->count; i++) {
		bkp_propose_put(p, "%s", i > 0 ? ", " : "");
		bkp_propose_scalar(p, list->items[i]);
	}
	bkp_propose_put(p, "]");
}

/* Control characters in names would end the comment. */
static void
tame(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

void
bkp_propose_comment(
    struct proposal *p, const char *indent, const char *format, ...)
{
	char *text = NULL, *word, *rest;
	size_t column = 0;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0) {
		p->status = FMT_NOMEM;
		return;
	}
	tame(text);
	for (word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		if (column > 0 && column + 1 + strlen(word) <= WIDTH) {
			bkp_propose_put(p, " %s", word);
			column += 1 + strlen(word);
			continue;
		}
		bkp_propose_put(
		    p, "%s%s# %s", column > 0 ? "\n" : "", indent, word);
		column = strlen(indent) + 2 + strlen(word);
	}
	bkp_propose_put(p, "%s", column > 0 ? "\n" : "");
	free(text);
}
