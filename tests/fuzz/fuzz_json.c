/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON and the paths that are kept in it. What is taken is written back in its
 * one form and read again as the same; the plain reader and jansson never
 * disagree; and the name that a path has stands for that path.
 */
#include <string.h>

#include "formats/json.h"
#include "formats/json_plain.h"
#include "formats/path.h"
#include "tests/fuzz/fuzz.h"

static void
try_whole(const char *text, size_t len)
{
	struct fmt_buf out = FMT_BUF_INIT, plain = FMT_BUF_INIT;
	json_t *value, *again;

	if (fmt_json_parse(text, len, &value) != FMT_OK)
		return;
	require(fmt_json_append(value, &out) == FMT_OK);
	require(
	    fmt_json_parse((const char *)out.data, out.len, &again) == FMT_OK);
	require(json_equal(value, again));
	if (fmt_plain_append(value, &plain) == FMT_OK)
		require(plain.len == out.len &&
			memcmp(plain.data, out.data, out.len) == 0);
	json_decref(value);
	json_decref(again);
	fmt_buf_free(&out);
	fmt_buf_free(&plain);
}

static void
try_plain(const char *text, size_t len)
{
	struct fmt_plain in = FMT_PLAIN_INIT(text, len);
	json_t *value = NULL, *other = NULL;

	if (fmt_plain_object(&in, &value) == FMT_OK && in.at == in.end) {
		require(fmt_json_parse(text, len, &other) == FMT_OK);
		require(json_equal(value, other));
	}
	json_decref(value);
	json_decref(other);
	fmt_plain_free(&in);
}

static void
try_tokens(const char *text, size_t len)
{
	struct fmt_plain in = FMT_PLAIN_INIT(text, len);
	unsigned char bytes[32];
	const char *string;
	size_t string_len;
	uint64_t number;

	while (in.at < in.end) {
		const char *before = in.at;

		if (fmt_plain_string(&in, &string, &string_len) == FMT_OK)
			require(memchr(string, '\0', string_len) == NULL);
		(void)fmt_plain_uint(&in, &number);
		(void)fmt_plain_hex(&in, bytes, 1);
		(void)fmt_plain_take(&in, ",");
		if (in.at == before)
			break;
	}
	fmt_plain_free(&in);
}

static void
try_path(const char *text, size_t len)
{
	struct fmt_buf out = FMT_BUF_INIT;
	char *path, *again;
	json_t *value;

	if (fmt_path_from_text(text, len, &path) != FMT_OK)
		return;
	require(fmt_path_append_json(path, &out) == FMT_OK);
	value =
	    json_loadb((const char *)out.data, out.len, JSON_DECODE_ANY, NULL);
	require(value != NULL);
	require(fmt_path_from_json(value, &again) == FMT_OK);
	require(strcmp(path, again) == 0);
	json_decref(value);
	free(path);
	free(again);
	fmt_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = size > 0 ? (const char *)data : "";

	try_whole(text, size);
	try_plain(text, size);
	try_tokens(text, size);
	try_path(text, size);
	return 0;
}
