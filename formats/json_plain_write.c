/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "formats/json.h"
#include "formats/json_plain.h"

#define MAX_DEPTH 8
#define MAX_MEMBERS ((size_t)32)

struct member {
	const char *key;
	const json_t *value;
};

static enum fmt_status append_value(
    const json_t *value, int depth, struct fmt_buf *out);

enum fmt_status
fmt_plain_append_uint(uint64_t value, struct fmt_buf *out)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return fmt_buf_append(out, digits + at, sizeof(digits) - at);
}

/* Between quotes. Control characters have escapes of many kinds, which are
 * jansson's. */
static enum fmt_status
append_string(const char *text, size_t len, struct fmt_buf *out)
{
	const unsigned char *at = (const unsigned char *)text;
	const unsigned char *end = at + len;
	unsigned char *to;
	size_t width;

	if (fmt_buf_reserve(out, 2 * len + 2) != FMT_OK)
		return FMT_NOMEM;
	to = out->data + out->len;
	*to++ = '"';
	for (; at < end; at += width) {
		width = fmt_utf8_length(at, (size_t)(end - at));
		if (width == 0 || *at < 0x20)
			return FMT_MALFORMED;
		if (*at == '"' || *at == '\\')
			*to++ = '\\';
		for (size_t i = 0; i < width; i++)
			*to++ = at[i];
	}
	*to++ = '"';
	out->len = (size_t)(to - out->data);
	return FMT_OK;
}

/* Sorted as they come in: there are few, and often in order already. */
static size_t
sort_members(json_t *object, struct member members[MAX_MEMBERS])
{
	size_t count = 0, at;
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		for (at = count++; at > 0; at--) {
			if (strcmp(members[at - 1].key, key) < 0)
				break;
			members[at] = members[at - 1];
		}
		members[at] = (struct member){.key = key, .value = value};
	}
	return count;
}

static enum fmt_status
append_object(json_t *object, int depth, struct fmt_buf *out)
{
	struct member members[MAX_MEMBERS];
	enum fmt_status status;
	size_t count;

	if (json_object_size(object) > MAX_MEMBERS)
		return FMT_MALFORMED;
	count = sort_members(object, members);
	status = fmt_buf_append_byte(out, '{');
	for (size_t i = 0; i < count && status == FMT_OK; i++) {
		const char *key = members[i].key;

		if (i > 0)
			status = fmt_buf_append_byte(out, ',');
		if (status == FMT_OK)
			status = append_string(key, strlen(key), out);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(out, ':');
		if (status == FMT_OK)
			status = append_value(members[i].value, depth, out);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, '}') : status;
}

static enum fmt_status
append_array(const json_t *array, int depth, struct fmt_buf *out)
{
	enum fmt_status status = fmt_buf_append_byte(out, '[');

	for (size_t i = 0; i < json_array_size(array) && status == FMT_OK;
	     i++) {
		if (i > 0)
			status = fmt_buf_append_byte(out, ',');
		if (status == FMT_OK)
			status =
			    append_value(json_array_get(array, i), depth, out);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, ']') : status;
}

static enum fmt_status
append_value(const json_t *value, int depth, struct fmt_buf *out)
{
	if (depth == MAX_DEPTH)
		return FMT_MALFORMED;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		/* jansson's iterators want it without the const; they change
		 * nothing. */
		return append_object(
		    (json_t *)(uintptr_t)value, depth + 1, out);
	case JSON_ARRAY:
		return append_array(value, depth + 1, out);
	case JSON_STRING:
		return append_string(
		    json_string_value(value), json_string_length(value), out);
	case JSON_INTEGER:
		if (json_integer_value(value) < 0)
			return FMT_MALFORMED;
		return fmt_plain_append_uint(
		    (uint64_t)json_integer_value(value), out);
	case JSON_TRUE:
		return fmt_buf_append_text(out, "true");
	case JSON_FALSE:
		return fmt_buf_append_text(out, "false");
	case JSON_NULL:
		return fmt_buf_append_text(out, "null");
	case JSON_REAL:
	default:
		return FMT_MALFORMED;
	}
}

enum fmt_status
fmt_plain_append(const json_t *value, struct fmt_buf *out)
{
	return append_value(value, 0, out);
}
