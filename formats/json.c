/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/json.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json_plain.h"
#include "formats/sign.h"

/* What a failed load was. Where jansson runs out of memory it says so, or says
 * nothing, or calls the text invalid (in its scanner). */
static enum fmt_status
load_status(const json_error_t *error)
{
	if (error->text[0] == '\0' ||
	    json_error_code(error) == json_error_out_of_memory)
		return FMT_NOMEM;
	return FMT_MALFORMED;
}

static enum fmt_status
load(const char *text, size_t len, json_t **out)
{
	json_error_t error;

	memset(&error, 0, sizeof(error));
	*out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	return *out != NULL ? FMT_OK : load_status(&error);
}

/*
 * Where jansson's scanner cannot grow its buffer it drops a byte of a string
 * and goes on. Text in its short form is as long as what jansson would write,
 * so nothing was dropped; other text is read a second time to compare.
 *
 * It may drop the quote that ends the string, too: its 16th, 32nd, 64th...
 * byte where one allocation fails, any where all do. Then jansson (2.14) copies
 * beyond its buffer up to the next quote in memory, and no check of the result
 * comes in time: a lack of memory just there may end the process.
 */
static enum fmt_status
check_nothing_dropped(const char *text, size_t len, const json_t *root)
{
	enum fmt_status status;
	json_t *again;

	if (json_dumpb(root, NULL, 0, JSON_COMPACT) == len)
		return FMT_OK;
	if ((status = load(text, len, &again)) != FMT_OK)
		return FMT_NOMEM;
	if (!json_equal(root, again))
		status = FMT_NOMEM;
	json_decref(again);
	return status;
}

enum fmt_status
fmt_json_parse(const char *text, size_t len, json_t **out)
{
	enum fmt_status status;
	json_t *root;

	status = load(text, len, &root);
	/* Text that is really invalid is so the second time, too; an
	 * allocation that failed inside the scanner is not taken for it. */
	if (status == FMT_MALFORMED)
		status = load(text, len, &root);
	if (status != FMT_OK)
		return status;
	status = check_nothing_dropped(text, len, root);
	if (status == FMT_OK && !json_is_object(root))
		status = FMT_MALFORMED;
	if (status != FMT_OK) {
		json_decref(root);
		return status;
	}
	*out = root;
	return FMT_OK;
}

struct portions {
	struct fmt_buf *out;
	enum fmt_status status; /* the first failure stays */
};

static int
append_portion(const char *portion, size_t len, void *arg)
{
	struct portions *portions = arg;

	if (portions->status == FMT_OK)
		portions->status = fmt_buf_append(portions->out, portion, len);
	return portions->status == FMT_OK ? 0 : -1;
}

enum fmt_status
fmt_json_append(const json_t *value, struct fmt_buf *out)
{
	struct portions portions = {.out = out, .status = FMT_OK};
	size_t start = out->len;
	enum fmt_status status = fmt_plain_append(value, out);

	if (status == FMT_OK)
		return FMT_OK;
	out->len = start;
	if (status != FMT_MALFORMED)
		return status;
	/* jansson does not look at the answer where the portion is a key, and
	 * goes on without it, so its own answer is half of the truth. */
	if (json_dump_callback(value, append_portion, &portions,
		JSON_COMPACT | JSON_SORT_KEYS) == 0 &&
	    portions.status == FMT_OK)
		return FMT_OK;
	/* A value made by jansson's own calls can always be written, so what
	 * is missing is memory. */
	out->len = start;
	return FMT_NOMEM;
}

enum fmt_status
fmt_json_get_uint(const json_t *object, const char *key, uint64_t *out)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return FMT_MALFORMED;
	*out = (uint64_t)json_integer_value(value);
	return FMT_OK;
}

enum fmt_status
fmt_json_get_int(const json_t *object, const char *key, int64_t *out)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		return FMT_MALFORMED;
	*out = json_integer_value(value);
	return FMT_OK;
}

enum fmt_status
fmt_json_get_hex(
    const json_t *object, const char *key, size_t digits, char *out)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL || !fmt_is_hex(text, digits))
		return FMT_MALFORMED;
	memcpy(out, text, digits + 1);
	return FMT_OK;
}

void
fmt_json_set(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value) != 0)
		*failed = true;
}

/* ---- chunks ---- */

enum fmt_status
fmt_json_get_ref(const json_t *pair, struct fmt_chunk_ref *out)
{
	const json_t *id, *len;
	struct fmt_chunk_ref ref;

	if (!json_is_array(pair) || json_array_size(pair) != 2)
		return FMT_MALFORMED;
	id = json_array_get(pair, 0);
	len = json_array_get(pair, 1);
	if (!json_is_string(id) || !json_is_integer(len) ||
	    json_integer_value(len) < 1 || json_integer_value(len) > UINT32_MAX)
		return FMT_MALFORMED;
	if (fmt_unhex(json_string_value(id), ref.id, sizeof(ref.id)) != FMT_OK)
		return FMT_MALFORMED;
	ref.len = (uint32_t)json_integer_value(len);
	*out = ref;
	return FMT_OK;
}

enum fmt_status
fmt_json_append_refs(
    const struct fmt_chunk_ref *refs, size_t count, struct fmt_buf *out)
{
	char hex[2 * FMT_ID_SIZE + 1];
	enum fmt_status status = fmt_buf_append_byte(out, '[');

	for (size_t i = 0; i < count && status == FMT_OK; i++) {
		fmt_hex(refs[i].id, FMT_ID_SIZE, hex);
		status = fmt_buf_append_text(out, i > 0 ? ",[\"" : "[\"");
		if (status == FMT_OK)
			status = fmt_buf_append(out, hex, sizeof(hex) - 1);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "\",");
		if (status == FMT_OK)
			status = fmt_plain_append_uint(refs[i].len, out);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(out, ']');
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, ']') : status;
}

json_t *
fmt_json_ref(const struct fmt_chunk_ref *ref)
{
	char hex[2 * FMT_ID_SIZE + 1];

	fmt_hex(ref->id, FMT_ID_SIZE, hex);
	return json_pack("[s,I]", hex, (json_int_t)ref->len);
}

json_t *
fmt_json_refs(const struct fmt_chunk_ref *refs, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < count; i++)
		/* Takes the pair, and answers -1 where that is NULL. */
		if (json_array_append_new(array, fmt_json_ref(&refs[i])) != 0) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

enum fmt_status
fmt_json_get_refs(const json_t *object, const char *key,
    struct fmt_chunk_ref **refs, size_t *count)
{
	const json_t *array = json_object_get(object, key);
	size_t size = json_array_size(array);
	enum fmt_status status = FMT_OK;

	if (!json_is_array(array))
		return FMT_MALFORMED;
	if (size == 0)
		return FMT_OK;
	if ((*refs = calloc(size, sizeof(**refs))) == NULL)
		return FMT_NOMEM;
	*count = size;
	for (size_t i = 0; i < size && status == FMT_OK; i++)
		status =
		    fmt_json_get_ref(json_array_get(array, i), &(*refs)[i]);
	return status;
}

/* ---- UTF-8 ---- */

/* The range of the second byte decides over-long forms, surrogates and what
 * lies beyond U+10FFFF (table 3-7 of the Unicode standard). */
size_t
fmt_utf8_length(const unsigned char *bytes, size_t len)
{
	unsigned char first, low = 0x80, high = 0xbf;
	size_t need;

	if (len == 0)
		return 0;
	first = bytes[0];
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	need = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (len < need || bytes[1] < low || bytes[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if (bytes[i] < 0x80 || bytes[i] > 0xbf)
			return 0;
	return need;
}

bool
fmt_utf8_is_valid(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t left = strlen(text);

	while (left > 0) {
		size_t len = fmt_utf8_length(bytes, left);

		if (len == 0)
			return false;
		bytes += len;
		left -= len;
	}
	return true;
}

/* ---- names ---- */

json_t *
fmt_json_names(const void *items, size_t count, size_t digits)
{
	json_t *array = json_array();
	const char *item = items;

	for (size_t i = 0; array != NULL && i < count; i++, item += digits + 1)
		if (json_array_append_new(array, json_string(item)) != 0) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

enum fmt_status
fmt_json_get_names(const json_t *object, const char *key, size_t digits,
    void *items, size_t *count)
{
	const json_t *array = json_object_get(object, key);
	size_t size = json_array_size(array);
	char *copy;

	if (!json_is_array(array))
		return FMT_MALFORMED;
	if (size == 0)
		return FMT_OK;
	if ((copy = calloc(size, digits + 1)) == NULL)
		return FMT_NOMEM;
	memcpy(items, &copy, sizeof(copy));
	*count = size;
	for (size_t i = 0; i < size; i++, copy += digits + 1) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text == NULL || strlen(text) != digits)
			return FMT_MALFORMED;
		memcpy(copy, text, digits);
	}
	return FMT_OK;
}

bool
fmt_json_are_names(
    const void *items, size_t count, size_t digits, bool is_sorted)
{
	const char *item = items;

	for (size_t i = 0; i < count; i++, item += digits + 1) {
		if (!fmt_is_hex(item, digits))
			return false;
		if (is_sorted && i > 0 && strcmp(item - digits - 1, item) >= 0)
			return false;
	}
	return true;
}
