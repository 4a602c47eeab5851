/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/path.h"

#include <stdlib.h>
#include <string.h>

#include "formats/entry.h"
#include "formats/json.h"
#include "formats/sign.h"

/* True for bytes that stand for themselves, also inside JSON quotes. */
static inline bool
is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '%' && byte != '"' &&
	       byte != '\\';
}

/* True where the character is a control character: ASCII's, or one of the
 * second set (U+0080 to U+009F), which terminals obey as well. */
static bool
is_control(const unsigned char *character, size_t len)
{
	if (len == 1)
		return character[0] < 0x20 || character[0] == 0x7f;
	return len == 2 && character[0] == 0xc2 && character[1] < 0xa0;
}

static enum fmt_status
append_percent(const unsigned char *bytes, size_t len, struct fmt_buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < len && status == FMT_OK; i++) {
		char text[3] = {
		    '%', digits[bytes[i] >> 4], digits[bytes[i] & 15]};

		status = fmt_buf_append(out, text, sizeof(text));
	}
	return status;
}

/* Appends the character at `bytes` and tells how many bytes it took. */
static enum fmt_status
escape_character(const unsigned char *bytes, size_t left, bool in_json,
    size_t *taken, struct fmt_buf *out)
{
	size_t len = fmt_utf8_length(bytes, left);
	enum fmt_status status;

	*taken = len == 0 ? 1 : len;
	if (len == 0 || is_control(bytes, len) || bytes[0] == '%')
		return append_percent(bytes, *taken, out);
	if (in_json && (bytes[0] == '"' || bytes[0] == '\\') &&
	    (status = fmt_buf_append_byte(out, '\\')) != FMT_OK)
		return status;
	return fmt_buf_append(out, bytes, len);
}

static enum fmt_status
escape(const char *path, bool in_json, struct fmt_buf *out)
{
	const unsigned char *bytes = (const unsigned char *)path;
	size_t left = strlen(path), taken;
	enum fmt_status status;

	for (; left > 0; bytes += taken, left -= taken) {
		for (taken = 0; taken < left && is_plain(bytes[taken]);)
			taken++;
		status = taken > 0 ? fmt_buf_append(out, bytes, taken)
				   : escape_character(
					 bytes, left, in_json, &taken, out);
		if (status != FMT_OK)
			return status;
	}
	return FMT_OK;
}

enum fmt_status
fmt_path_escape(const char *path, struct fmt_buf *out)
{
	size_t start = out->len;
	enum fmt_status status = escape(path, false, out);

	if (status != FMT_OK)
		out->len = start;
	return status;
}

static enum fmt_status
unescape(const char *text, size_t len, struct fmt_buf *out)
{
	const char *end;
	enum fmt_status status;

	/* No text may be a NULL, to which nothing may be added. */
	if (len == 0)
		return FMT_OK;
	for (end = text + len; text < end;) {
		const char *stop = memchr(text, '%', (size_t)(end - text));
		char digits[3] = "";
		unsigned char byte;

		if (stop == NULL)
			stop = end;
		if (memchr(text, '\0', (size_t)(stop - text)) != NULL)
			return FMT_MALFORMED;
		status = fmt_buf_append(out, text, (size_t)(stop - text));
		if (status != FMT_OK || stop == end)
			return status;
		if (end - stop < 3)
			return FMT_MALFORMED;
		memcpy(digits, stop + 1, 2);
		status = fmt_unhex(digits, &byte, 1);
		if (status != FMT_OK || byte == 0)
			return FMT_MALFORMED;
		if ((status = fmt_buf_append_byte(out, byte)) != FMT_OK)
			return status;
		text = stop + 3;
	}
	return FMT_OK;
}

enum fmt_status
fmt_path_unescape(const char *text, size_t len, struct fmt_buf *out)
{
	size_t start = out->len;
	enum fmt_status status = unescape(text, len, out);

	if (status != FMT_OK)
		out->len = start;
	return status;
}

enum fmt_status
fmt_path_append_json(const char *path, struct fmt_buf *out)
{
	enum fmt_status status;

	if ((status = fmt_buf_append_byte(out, '"')) != FMT_OK ||
	    (status = escape(path, true, out)) != FMT_OK)
		return status;
	return fmt_buf_append_byte(out, '"');
}

enum fmt_status
fmt_path_from_text(const char *text, size_t len, char **out)
{
	struct fmt_buf path = FMT_BUF_INIT;
	enum fmt_status status;

	if (len == 0)
		return FMT_MALFORMED;
	status = unescape(text, len, &path);
	if (status == FMT_OK && fmt_buf_text(&path) == NULL)
		status = FMT_NOMEM;
	if (status != FMT_OK) {
		fmt_buf_free(&path);
		return status;
	}
	*out = (char *)path.data;
	return FMT_OK;
}

enum fmt_status
fmt_path_from_json(const json_t *value, char **out)
{
	if (!json_is_string(value))
		return FMT_MALFORMED;
	return fmt_path_from_text(
	    json_string_value(value), json_string_length(value), out);
}

enum fmt_status
fmt_path_get(const json_t *object, const char *key, char **out)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value) || json_string_length(value) > 0)
		return fmt_path_from_json(value, out);
	*out = calloc(1, 1);
	return *out != NULL ? FMT_OK : FMT_NOMEM;
}

json_t *
fmt_path_to_json(const char *path)
{
	struct fmt_buf text = FMT_BUF_INIT;
	json_t *value = NULL;

	if (fmt_path_escape(path, &text) == FMT_OK &&
	    fmt_buf_text(&text) != NULL)
		value = json_string(fmt_buf_text(&text));
	fmt_buf_free(&text);
	return value;
}
