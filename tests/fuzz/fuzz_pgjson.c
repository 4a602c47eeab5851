/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as JSON. The first byte chooses the kind, and whether it is an array;
 * the rest is what a server might have said. What is taken is one line of
 * valid JSON (jansson reads it), and what is refused leaves nothing behind.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/pgjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds)
{
	if (!holds)
		abort();
}

/* jansson has limits of its own (depth, range of numbers, lone surrogates),
 * which say nothing about the text. */
static void
is_json(struct fmt_buf *out)
{
	json_error_t error;
	json_t *value = json_loadb((const char *)out->data, out->len,
	    JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);

	if (value == NULL) {
		enum json_error_code code = json_error_code(&error);

		require(code == json_error_stack_overflow ||
			code == json_error_numeric_overflow ||
			strstr(error.text, "Unicode") != NULL);
	}
	json_decref(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status;
	enum fmt_pgjson kind;
	int is_changed = 0;
	const char *text;

	if (size == 0)
		return 0;
	kind = (enum fmt_pgjson)((data[0] & 0x3f) % (FMT_PGJSON_JSON + 1));
	text = (const char *)data + 1;
	if ((data[0] & 0x40) != 0)
		status = fmt_pgjson_array(
		    &out, kind, ',', text, size - 1, &is_changed);
	else
		status =
		    fmt_pgjson_value(&out, kind, text, size - 1, &is_changed);
	if (status == FMT_OK) {
		require(memchr(out.data, '\n', out.len) == NULL);
		require(fmt_buf_text(&out) != NULL);
		require(strlen((const char *)out.data) == out.len);
		require(fmt_utf8_is_valid((const char *)out.data));
		is_json(&out);
	} else {
		require(out.len == 0);
	}
	if (kind == FMT_PGJSON_TEXT && (data[0] & 0x40) == 0)
		require(status == FMT_OK);
	fmt_buf_free(&out);
	return 0;
}
