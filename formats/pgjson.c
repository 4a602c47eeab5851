/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pgjson.h"

#include <openssl/evp.h>
#include <string.h>

#include "formats/json.h"
#include "formats/pgjson_impl.h"

/* ---- strings ---- */

static void
note_change(int *is_changed)
{
	if (is_changed != NULL)
		*is_changed = 1;
}

/* What ends a line for somebody who reads line by line, though not for JSON:
 * U+0085, U+2028, U+2029. */
static unsigned
line_end(const unsigned char *at, size_t len)
{
	if (len == 2 && at[0] == 0xc2 && at[1] == 0x85)
		return 0x85;
	if (len == 3 && at[0] == 0xe2 && at[1] == 0x80 &&
	    (at[2] == 0xa8 || at[2] == 0xa9))
		return 0x2000u | (at[2] & 0x3fu);
	return 0;
}

static enum fmt_status
append_control(struct fmt_buf *out, unsigned char c)
{
	switch (c) {
	case '\b':
		return fmt_buf_append(out, "\\b", 2);
	case '\f':
		return fmt_buf_append(out, "\\f", 2);
	case '\n':
		return fmt_buf_append(out, "\\n", 2);
	case '\r':
		return fmt_buf_append(out, "\\r", 2);
	case '\t':
		return fmt_buf_append(out, "\\t", 2);
	default:
		return fmt_buf_printf(out, "\\u%04x", c);
	}
}

enum fmt_status
fmt_pgjson_character(
    struct fmt_buf *out, const char **text, const char *end, int *is_changed)
{
	const unsigned char *at = (const unsigned char *)*text;
	size_t len = fmt_utf8_length(at, (size_t)(end - *text));
	unsigned code;

	if (len == 0) {
		note_change(is_changed);
		*text += 1;
		return fmt_buf_append(out, "\xef\xbf\xbd", 3);
	}
	*text += len;
	if (*at < 0x20)
		return append_control(out, *at);
	if ((code = line_end(at, len)) != 0)
		return fmt_buf_printf(out, "\\u%04x", code);
	return fmt_buf_append(out, at, len);
}

size_t
fmt_pgjson_plain(const char *at, const char *end)
{
	const char *start = at;

	while (at < end && (unsigned char)*at >= 0x20 &&
	       (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return (size_t)(at - start);
}

static enum fmt_status
append_inside(
    struct fmt_buf *out, const char *text, size_t len, int *is_changed)
{
	const char *end = text + len;
	enum fmt_status status = FMT_OK;

	while (status == FMT_OK && text < end) {
		size_t run = fmt_pgjson_plain(text, end);

		if (run > 0) {
			status = fmt_buf_append(out, text, run);
			text += run;
		} else if (*text == '"' || *text == '\\') {
			status = fmt_buf_append_byte(out, '\\');
			if (status == FMT_OK)
				status = fmt_buf_append(out, text, 1);
			text++;
		} else {
			status =
			    fmt_pgjson_character(out, &text, end, is_changed);
		}
	}
	return status;
}

enum fmt_status
fmt_pgjson_string(
    struct fmt_buf *out, const char *text, size_t len, int *is_changed)
{
	size_t start = out->len;
	enum fmt_status status = fmt_buf_append_byte(out, '"');

	if (status == FMT_OK)
		status = append_inside(out, text, len, is_changed);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '"');
	if (status != FMT_OK)
		out->len = start;
	return status;
}

/* ---- numbers ---- */

static size_t
digits(const char *text, size_t len)
{
	size_t count = 0;

	while (count < len && text[count] >= '0' && text[count] <= '9')
		count++;
	return count;
}

size_t
fmt_pgjson_number(const char *text, size_t len)
{
	size_t at = len > 0 && text[0] == '-' ? 1 : 0;
	size_t count = digits(text + at, len - at);

	if (count == 0 || (count > 1 && text[at] == '0'))
		return 0;
	at += count;
	if (at < len && text[at] == '.') {
		if ((count = digits(text + at + 1, len - at - 1)) == 0)
			return 0;
		at += 1 + count;
	}
	if (at < len && (text[at] == 'e' || text[at] == 'E')) {
		at++;
		if (at < len && (text[at] == '+' || text[at] == '-'))
			at++;
		if ((count = digits(text + at, len - at)) == 0)
			return 0;
		at += count;
	}
	return at;
}

static bool
is_text(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

static bool
is_no_number(const char *text, size_t len)
{
	return is_text(text, len, "NaN") || is_text(text, len, "Infinity") ||
	       is_text(text, len, "-Infinity");
}

static enum fmt_status
append_number(
    struct fmt_buf *out, enum fmt_pgjson kind, const char *text, size_t len)
{
	if (kind != FMT_PGJSON_INTEGER && is_no_number(text, len))
		return fmt_pgjson_string(out, text, len, NULL);
	if (len == 0 || fmt_pgjson_number(text, len) != len)
		return FMT_MALFORMED;
	if (kind == FMT_PGJSON_FLOAT)
		return fmt_buf_append(out, text, len);
	if (memchr(text, 'e', len) != NULL || memchr(text, 'E', len) != NULL)
		return FMT_MALFORMED;
	if (kind == FMT_PGJSON_EXACT)
		return fmt_pgjson_string(out, text, len, NULL);
	return memchr(text, '.', len) != NULL ? FMT_MALFORMED
					      : fmt_buf_append(out, text, len);
}

static enum fmt_status
append_boolean(struct fmt_buf *out, const char *text, size_t len)
{
	if (is_text(text, len, "t") || is_text(text, len, "true"))
		return fmt_buf_append_text(out, "true");
	if (is_text(text, len, "f") || is_text(text, len, "false"))
		return fmt_buf_append_text(out, "false");
	return FMT_MALFORMED;
}

/* ---- bytes ---- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
is_octal(const char *at)
{
	return at[0] >= '0' && at[0] <= '3' && at[1] >= '0' && at[1] <= '7' &&
	       at[2] >= '0' && at[2] <= '7';
}

/* One byte of bytea's text at *at: in hex form, or as it is and "\\\\" and
 * "\ooo" in escape form. -1: that is none. */
static int
next_byte(const char **at, const char *end, bool is_hex)
{
	const char *p = *at;

	if (is_hex) {
		if (end - p < 2 || hex_digit(p[0]) < 0 || hex_digit(p[1]) < 0)
			return -1;
		*at += 2;
		return hex_digit(p[0]) << 4 | hex_digit(p[1]);
	}
	if (*p != '\\') {
		*at += 1;
		return (unsigned char)*p;
	}
	if (end - p >= 2 && p[1] == '\\') {
		*at += 2;
		return '\\';
	}
	if (end - p < 4 || !is_octal(p + 1))
		return -1;
	*at += 4;
	return (p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0');
}

static enum fmt_status
append_bytes(struct fmt_buf *out, const char *text, size_t len)
{
	const char *end = text + len;
	bool is_hex = len >= 2 && text[0] == '\\' && text[1] == 'x';
	enum fmt_status status = fmt_buf_append_byte(out, '"');
	/* A multiple of three bytes has no padding. */
	unsigned char raw[3 * 512], coded[4 * 512 + 1];

	if (is_hex)
		text += 2;
	while (status == FMT_OK && text < end) {
		int count = 0;

		while (text < end && count < (int)sizeof(raw)) {
			int byte = next_byte(&text, end, is_hex);

			if (byte < 0)
				return FMT_MALFORMED;
			raw[count++] = (unsigned char)byte;
		}
		status = fmt_buf_append(
		    out, coded, (size_t)EVP_EncodeBlock(coded, raw, count));
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, '"') : status;
}

/* ---- dates ---- */

/* Lengths of "YYYY-MM-DD" and "HH:MM:SS[.ffffff]" at the beginning; 0: it is
 * neither. A year has four digits or more. */
static size_t
date_length(const char *text, size_t len)
{
	size_t year = digits(text, len);
	const char *p = text + year;

	if (year < 4 || len < year + 6 || p[0] != '-' ||
	    digits(p + 1, 2) != 2 || p[3] != '-' || digits(p + 4, 2) != 2)
		return 0;
	return year + 6;
}

static size_t
time_length(const char *text, size_t len)
{
	size_t count;

	if (len < 8 || digits(text, 2) != 2 || text[2] != ':' ||
	    digits(text + 3, 2) != 2 || text[5] != ':' ||
	    digits(text + 6, 2) != 2)
		return 0;
	if (len == 8 || text[8] != '.')
		return 8;
	count = digits(text + 9, len - 9);
	return count > 0 ? 9 + count : 0;
}

/* "+00", "-03:30", "+00:53:28" (before there were time zones). */
static size_t
zone_length(const char *text, size_t len)
{
	size_t at = 3;

	if (len < 3 || (text[0] != '+' && text[0] != '-') ||
	    digits(text + 1, 2) != 2)
		return 0;
	while (at < 9 && len >= at + 3 && text[at] == ':' &&
	       digits(text + at + 1, 2) == 2)
		at += 3;
	return at;
}

static enum fmt_status
append_zone(struct fmt_buf *out, const char *zone, size_t len)
{
	enum fmt_status status;

	if (is_text(zone, len, "+00"))
		return fmt_buf_append_byte(out, 'Z');
	status = fmt_buf_append(out, zone, len);
	return status == FMT_OK && len == 3 ? fmt_buf_append_text(out, ":00")
					    : status;
}

/* Where the parts of a moment end. */
struct moment {
	size_t date, time, zone; /* 0: it has none */
	bool is_bc;
};

static bool
read_moment(
    struct moment *m, enum fmt_pgjson kind, const char *text, size_t len)
{
	size_t all = date_length(text, len);

	*m = (struct moment){.date = all};
	if (all == 0)
		return false;
	if (kind != FMT_PGJSON_DATE) {
		if (all == len || text[all] != ' ')
			return false;
		m->time = time_length(text + all + 1, len - all - 1);
		if (m->time == 0)
			return false;
		all += 1 + m->time;
	}
	if (kind == FMT_PGJSON_TIMESTAMPTZ) {
		m->zone = zone_length(text + all, len - all);
		if (m->zone == 0)
			return false;
		all += m->zone;
	}
	m->is_bc = is_text(text + all, len - all, " BC");
	return m->is_bc || all == len;
}

static enum fmt_status
append_iso(struct fmt_buf *out, const struct moment *m, const char *text)
{
	enum fmt_status status = fmt_buf_append(out, text, m->date);

	text += m->date;
	if (status == FMT_OK && m->time > 0) {
		status = fmt_buf_append_byte(out, 'T');
		if (status == FMT_OK)
			status = fmt_buf_append(out, text + 1, m->time);
		text += 1 + m->time;
	}
	if (status == FMT_OK && m->zone > 0)
		status = append_zone(out, text, m->zone);
	return status;
}

/* ISO 8601 has years of four digits, after Christ, and zones of minutes. */
static enum fmt_status
append_moment(
    struct fmt_buf *out, enum fmt_pgjson kind, const char *text, size_t len)
{
	enum fmt_status status;
	struct moment m;

	if (is_text(text, len, "infinity") || is_text(text, len, "-infinity"))
		return fmt_pgjson_string(out, text, len, NULL);
	if (!read_moment(&m, kind, text, len))
		return FMT_MALFORMED;
	if (m.is_bc || m.date > 10 || m.zone > 6)
		return fmt_pgjson_string(out, text, len, NULL);
	status = fmt_buf_append_byte(out, '"');
	if (status == FMT_OK)
		status = append_iso(out, &m, text);
	return status == FMT_OK ? fmt_buf_append_byte(out, '"') : status;
}

/* ---- any ---- */

static enum fmt_status
append_value(struct fmt_buf *out, enum fmt_pgjson kind, const char *text,
    size_t len, int *is_changed)
{
	switch (kind) {
	case FMT_PGJSON_BOOLEAN:
		return append_boolean(out, text, len);
	case FMT_PGJSON_INTEGER:
	case FMT_PGJSON_EXACT:
	case FMT_PGJSON_FLOAT:
		return append_number(out, kind, text, len);
	case FMT_PGJSON_BYTES:
		return append_bytes(out, text, len);
	case FMT_PGJSON_DATE:
	case FMT_PGJSON_TIMESTAMP:
	case FMT_PGJSON_TIMESTAMPTZ:
		return append_moment(out, kind, text, len);
	case FMT_PGJSON_JSON:
		return fmt_pgjson_document(out, text, len, is_changed);
	case FMT_PGJSON_TEXT:
		break;
	}
	return fmt_pgjson_string(out, text, len, is_changed);
}

enum fmt_status
fmt_pgjson_value(struct fmt_buf *out, enum fmt_pgjson kind, const char *text,
    size_t len, int *is_changed)
{
	size_t start = out->len;
	enum fmt_status status = append_value(out, kind, text, len, is_changed);

	if (status != FMT_OK)
		out->len = start;
	return status;
}
