/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/report_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats/entry.h"
#include "formats/json.h"

void
bkp_report_add(struct bkp_report_text *out, const char *text)
{
	if (out->status == FMT_OK)
		out->status = fmt_buf_append_text(&out->buf, text);
}

void
bkp_report_addf(struct bkp_report_text *out, const char *format, ...)
{
	char small[512], *large = small;
	va_list ap, again;
	int len;

	if (out->status != FMT_OK)
		return;
	va_start(ap, format);
	va_copy(again, ap);
	len = vsnprintf(small, sizeof(small), format, ap);
	if (len >= (int)sizeof(small) &&
	    (large = malloc((size_t)len + 1)) != NULL)
		len = vsnprintf(large, (size_t)len + 1, format, again);
	if (len < 0 || large == NULL)
		out->status = FMT_NOMEM;
	else
		out->status = fmt_buf_append(&out->buf, large, (size_t)len);
	if (large != small)
		free(large);
	va_end(again);
	va_end(ap);
}

/* ---- characters that a form cannot hold ---- */

/* C0 and C1 but for tab and newline, DEL, what is not UTF-8 (surrogates are
 * not), and U+FFFE and U+FFFF, which XML 1.0 has no way to write. */
static bool
is_unfit(const unsigned char *at, size_t len)
{
	if (len == 0)
		return true;
	if (len == 1)
		return (at[0] < 0x20 && at[0] != '\t' && at[0] != '\n') ||
		       at[0] == 0x7f;
	if (len == 2)
		return at[0] == 0xc2 && at[1] < 0xa0;
	return len == 3 && at[0] == 0xef && at[1] == 0xbf && at[2] >= 0xbe;
}

static void
add_bytes(struct bkp_report_text *out, const void *data, size_t len)
{
	if (out->status == FMT_OK)
		out->status = fmt_buf_append(&out->buf, data, len);
}

static void
add_percent(struct bkp_report_text *out, const unsigned char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bkp_report_addf(out, "%%%02X", at[i]);
}

/* How one form writes a character that it holds; NULL: as it is. */
typedef const char *written_fn(char character);

static void
add_fit(struct bkp_report_text *out, const char *text, written_fn *written)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strlen(text), len, taken;

	for (; left > 0 && out->status == FMT_OK; at += taken, left -= taken) {
		const char *other = written((char)*at);

		len = fmt_utf8_length(at, left);
		taken = len == 0 ? 1 : len;
		if (is_unfit(at, len))
			add_percent(out, at, taken);
		else if (other != NULL)
			bkp_report_add(out, other);
		else
			add_bytes(out, at, taken);
	}
}

/* An attribute would read a newline or a tab as a space. */
static const char *
in_markup(char character)
{
	switch (character) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '\n':
		return "&#10;";
	case '\t':
		return "&#9;";
	default:
		return NULL;
	}
}

void
bkp_report_markup(struct bkp_report_text *out, const char *text)
{
	add_fit(out, text, in_markup);
}

void
bkp_report_path(struct bkp_report_text *out, const char *path)
{
	struct fmt_buf escaped = FMT_BUF_INIT;
	const char *text = NULL;

	if (out->status == FMT_OK)
		out->status = fmt_path_escape(path, &escaped);
	if (out->status == FMT_OK && (text = fmt_buf_text(&escaped)) == NULL)
		out->status = FMT_NOMEM;
	if (text != NULL)
		bkp_report_markup(out, text);
	fmt_buf_free(&escaped);
}

static const char *
in_plain(char character)
{
	(void)character;
	return NULL;
}

void
bkp_report_plain(struct bkp_report_text *out, const char *text)
{
	add_fit(out, text, in_plain);
}

static const char *
in_label(char character)
{
	switch (character) {
	case '\\':
		return "\\\\";
	case '"':
		return "\\\"";
	case '\n':
		return "\\n";
	default:
		return NULL;
	}
}

void
bkp_report_label(struct bkp_report_text *out, const char *text)
{
	add_fit(out, text, in_label);
}

void
bkp_report_time(struct bkp_report_text *out, int64_t us)
{
	bkp_report_addf(out, "<time datetime=\"%s\">%s</time>",
	    bkp_words_iso(us, 1).text, bkp_words_time(us).text);
}
