/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/json_plain.h"

#include <string.h>

#include "formats/json.h"
#include "formats/sign.h"

#define MAX_DEPTH 8
#define MAX_KEY ((size_t)128)
#define MAX_DIGITS 18

/* True for bytes that stand for themselves inside quotes. */
static inline bool
is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

void
fmt_plain_free(struct fmt_plain *in)
{
	fmt_buf_free(&in->unescaped);
}

bool
fmt_plain_take(struct fmt_plain *in, const char *token)
{
	size_t len = strlen(token);

	if ((size_t)(in->end - in->at) < len || memcmp(in->at, token, len) != 0)
		return false;
	in->at += len;
	return true;
}

/* Appends the character or the escape that stands next in a string; tells of
 * jansson's escapes the two that it writes most. */
static enum fmt_status
unescape_character(struct fmt_plain *in)
{
	size_t left = (size_t)(in->end - in->at), len;
	enum fmt_status status;

	if (*in->at == '\\') {
		if (left < 2 || (in->at[1] != '"' && in->at[1] != '\\'))
			return FMT_MALFORMED;
		in->at++;
		len = 1;
	} else {
		len = fmt_utf8_length((const unsigned char *)in->at, left);
		if (len == 0 || (unsigned char)*in->at < 0x20)
			return FMT_MALFORMED;
	}
	status = fmt_buf_append(&in->unescaped, in->at, len);
	in->at += len;
	return status;
}

/* The rest of a string of which `len` bytes in front were plain. */
static enum fmt_status
read_unusual_string(struct fmt_plain *in, const char *front, size_t len)
{
	struct fmt_buf *text = &in->unescaped;
	enum fmt_status status;

	fmt_buf_clear(text);
	status = fmt_buf_append(text, front, len);
	while (status == FMT_OK) {
		if (in->at == in->end)
			return FMT_MALFORMED;
		if (*in->at == '"')
			break;
		status = unescape_character(in);
	}
	in->at++;
	return status;
}

enum fmt_status
fmt_plain_string(struct fmt_plain *in, const char **text, size_t *len)
{
	const char *front;
	enum fmt_status status;

	if (!fmt_plain_take(in, "\""))
		return FMT_MALFORMED;
	front = in->at;
	while (in->at < in->end && is_plain((unsigned char)*in->at))
		in->at++;
	*len = (size_t)(in->at - front);
	*text = front;
	if (fmt_plain_take(in, "\""))
		return FMT_OK;
	status = read_unusual_string(in, front, *len);
	*text = (const char *)in->unescaped.data;
	*len = in->unescaped.len;
	return status;
}

enum fmt_status
fmt_plain_hex(struct fmt_plain *in, void *out, size_t len)
{
	char digits[65];
	size_t count = 2 * len;

	if (count >= sizeof(digits) || !fmt_plain_take(in, "\"") ||
	    (size_t)(in->end - in->at) <= count || in->at[count] != '"')
		return FMT_MALFORMED;
	memcpy(digits, in->at, count);
	digits[count] = '\0';
	in->at += count + 1;
	return fmt_unhex(digits, out, len);
}

enum fmt_status
fmt_plain_uint(struct fmt_plain *in, uint64_t *out)
{
	const char *start = in->at;
	uint64_t value = 0;

	for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
		if (in->at - start == MAX_DIGITS)
			return FMT_MALFORMED;
		value = 10 * value + (uint64_t)(*in->at - '0');
	}
	if (in->at == start || (*start == '0' && in->at - start > 1))
		return FMT_MALFORMED;
	/* A fraction or an exponent behind it is no token that anybody asks
	 * for next, and so not plain. */
	*out = value;
	return FMT_OK;
}

static enum fmt_status read_value(struct fmt_plain *in, int depth, json_t **);

/* The value where a value was made, and the memory for it was there. */
static enum fmt_status
made(json_t *value, json_t **out)
{
	if (value == NULL)
		return FMT_NOMEM;
	*out = value;
	return FMT_OK;
}

/* A key with its colon. It must come after `key`, the one before it, which it
 * replaces: so none is there twice. */
static enum fmt_status
read_key(struct fmt_plain *in, bool is_first, char key[MAX_KEY])
{
	char next[MAX_KEY];
	const char *text;
	size_t len;
	enum fmt_status status;

	if ((status = fmt_plain_string(in, &text, &len)) != FMT_OK)
		return status;
	if (len >= MAX_KEY || !fmt_plain_take(in, ":"))
		return FMT_MALFORMED;
	if (len > 0)
		memcpy(next, text, len);
	next[len] = '\0';
	if (!is_first && strcmp(next, key) <= 0)
		return FMT_MALFORMED;
	memcpy(key, next, len + 1);
	return FMT_OK;
}

static enum fmt_status
read_members(struct fmt_plain *in, int depth, json_t *object)
{
	char key[MAX_KEY] = "";
	bool is_first = true;

	if (fmt_plain_take(in, "}"))
		return FMT_OK;
	do {
		json_t *value = NULL;
		enum fmt_status status = read_key(in, is_first, key);

		if (status == FMT_OK)
			status = read_value(in, depth, &value);
		if (status != FMT_OK)
			return status;
		if (json_object_set_new_nocheck(object, key, value) < 0)
			return FMT_NOMEM;
		is_first = false;
	} while (fmt_plain_take(in, ","));
	return fmt_plain_take(in, "}") ? FMT_OK : FMT_MALFORMED;
}

static enum fmt_status
read_items(struct fmt_plain *in, int depth, json_t *array)
{
	if (fmt_plain_take(in, "]"))
		return FMT_OK;
	do {
		json_t *value = NULL;
		enum fmt_status status = read_value(in, depth, &value);

		if (status != FMT_OK)
			return status;
		if (json_array_append_new(array, value) < 0)
			return FMT_NOMEM;
	} while (fmt_plain_take(in, ","));
	return fmt_plain_take(in, "]") ? FMT_OK : FMT_MALFORMED;
}

/* What stands behind an opening bracket or brace. */
static enum fmt_status
read_container(struct fmt_plain *in, int depth, bool is_object, json_t **out)
{
	json_t *value;
	enum fmt_status status;

	if (depth == MAX_DEPTH)
		return FMT_MALFORMED;
	value = is_object ? json_object() : json_array();
	if (value == NULL)
		return FMT_NOMEM;
	status = is_object ? read_members(in, depth + 1, value)
			   : read_items(in, depth + 1, value);
	if (status != FMT_OK)
		json_decref(value);
	else
		*out = value;
	return status;
}

static enum fmt_status
read_value(struct fmt_plain *in, int depth, json_t **out)
{
	const char *text;
	uint64_t number;
	size_t len;
	enum fmt_status status;

	if (in->at < in->end && *in->at == '"') {
		status = fmt_plain_string(in, &text, &len);
		if (status != FMT_OK)
			return status;
		return made(
		    json_stringn_nocheck(len > 0 ? text : "", len), out);
	}
	if (fmt_plain_take(in, "{"))
		return read_container(in, depth, true, out);
	if (fmt_plain_take(in, "["))
		return read_container(in, depth, false, out);
	if (fmt_plain_take(in, "true"))
		return made(json_true(), out);
	if (fmt_plain_take(in, "false"))
		return made(json_false(), out);
	if (fmt_plain_take(in, "null"))
		return made(json_null(), out);
	if ((status = fmt_plain_uint(in, &number)) != FMT_OK)
		return status;
	return made(json_integer((json_int_t)number), out);
}

enum fmt_status
fmt_plain_object(struct fmt_plain *in, json_t **out)
{
	if (!fmt_plain_take(in, "{"))
		return FMT_MALFORMED;
	return read_container(in, 0, true, out);
}
