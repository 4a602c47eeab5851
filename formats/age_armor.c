/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

#include <string.h>

static const char begin_line[] = "-----BEGIN AGE ENCRYPTED FILE-----";
static const char end_line[] = "-----END AGE ENCRYPTED FILE-----";

#define LINE_BYTES (FMT_AGE_ARMOR_LINE / 4 * 3)

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool
fmt_age_armor_begins(unsigned char first)
{
	return first == '-' || is_space((char)first);
}

static bool
is_line(const struct fmt_age_armor *armor, size_t len, const char *line)
{
	return len == strlen(line) && memcmp(armor->line, line, len) == 0;
}

/* A line of base64: 64 columns, or fewer in the last line only. Padding ends
 * the body as well. */
static enum fmt_status
take_body(struct fmt_age_armor *armor, size_t len, struct fmt_buf *out)
{
	unsigned char bytes[LINE_BYTES];
	size_t digits = len, got;

	if (armor->state == FMT_AGE_ARMOR_LAST || len == 0 || len % 4 != 0)
		return FMT_MALFORMED;
	while (digits > len - 2 && armor->line[digits - 1] == '=')
		digits--;
	if (len < FMT_AGE_ARMOR_LINE || digits < len)
		armor->state = FMT_AGE_ARMOR_LAST;
	if (fmt_age_base64_decode(
		armor->line, digits, bytes, sizeof bytes, &got) != FMT_OK)
		return FMT_MALFORMED;
	return fmt_buf_append(out, bytes, got);
}

/* A whole line, its newline gone. */
static enum fmt_status
take_line(struct fmt_age_armor *armor, struct fmt_buf *out)
{
	size_t len = armor->len;

	armor->len = 0;
	if (len > 0 && armor->line[len - 1] == '\r')
		len--;
	if (armor->state == FMT_AGE_ARMOR_BEGIN) {
		armor->state = FMT_AGE_ARMOR_BODY;
		return is_line(armor, len, begin_line) ? FMT_OK : FMT_MALFORMED;
	}
	if (is_line(armor, len, end_line)) {
		armor->state = FMT_AGE_ARMOR_TRAILING;
		return FMT_OK;
	}
	if (len > FMT_AGE_ARMOR_LINE)
		return FMT_MALFORMED;
	return take_body(armor, len, out);
}

static enum fmt_status
take_char(struct fmt_age_armor *armor, char c, struct fmt_buf *out)
{
	if (armor->state == FMT_AGE_ARMOR_TRAILING)
		return is_space(c) ? FMT_OK : FMT_MALFORMED;
	if (armor->state == FMT_AGE_ARMOR_LEADING) {
		/* Lines of white space may come first; in the line of the
		 * mark nothing may. */
		if (is_space(c)) {
			armor->len = c != '\n';
			return FMT_OK;
		}
		if (armor->len > 0)
			return FMT_MALFORMED;
		armor->state = FMT_AGE_ARMOR_BEGIN;
	}
	if (c == '\n')
		return take_line(armor, out);
	if (armor->len == sizeof armor->line)
		return FMT_MALFORMED;
	armor->line[armor->len++] = c;
	return FMT_OK;
}

enum fmt_status
fmt_age_armor_update(struct fmt_age_armor *armor, const char *text, size_t len,
    struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < len && status == FMT_OK; i++)
		status = take_char(armor, text[i], out);
	return status;
}

/* The last line may lack its newline. */
enum fmt_status
fmt_age_armor_finish(struct fmt_age_armor *armor)
{
	if (armor->state == FMT_AGE_ARMOR_TRAILING)
		return FMT_OK;
	if (armor->state == FMT_AGE_ARMOR_LEADING ||
	    armor->state == FMT_AGE_ARMOR_BEGIN)
		return FMT_TRUNCATED;
	return is_line(armor, armor->len, end_line) ? FMT_OK : FMT_TRUNCATED;
}

enum fmt_status
fmt_age_armor(const void *file, size_t len, struct fmt_buf *out)
{
	const unsigned char *at = file;
	char line[FMT_AGE_ARMOR_LINE + 1];
	size_t start = out->len;
	enum fmt_status status = fmt_buf_printf(out, "%s\n", begin_line);

	while (len > 0 && status == FMT_OK) {
		size_t take = len < LINE_BYTES ? len : LINE_BYTES;
		size_t n = fmt_age_base64_encode(at, take, line);

		while (n % 4 != 0)
			line[n++] = '=';
		line[n++] = '\n';
		status = fmt_buf_append(out, line, n);
		at += take;
		len -= take;
	}
	if (status == FMT_OK)
		status = fmt_buf_printf(out, "%s\n", end_line);
	if (status != FMT_OK)
		out->len = start;
	return status;
}

enum fmt_status
fmt_age_dearmor(const void *text, size_t len, struct fmt_buf *out)
{
	struct fmt_age_armor armor = FMT_AGE_ARMOR_INIT;
	size_t start = out->len;
	enum fmt_status status = fmt_age_armor_update(&armor, text, len, out);

	if (status == FMT_OK)
		status = fmt_age_armor_finish(&armor);
	/* Half a file is of no use to whoever asked for all of it. */
	if (status != FMT_OK)
		out->len = start;
	return status == FMT_TRUNCATED ? FMT_MALFORMED : status;
}
