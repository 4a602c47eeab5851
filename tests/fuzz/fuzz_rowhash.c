/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows and their hash. A run of rows sums up to what its rows sum up to one
 * by one, and a text that is taken as a hash is written back.
 */
#include <string.h>
#include <strings.h>

#include "formats/rowhash.h"
#include "tests/fuzz/fuzz.h"

static void
text_comes_back(const uint8_t *data, size_t size)
{
	char text[64] = "", back[FMT_ROWHASH_TEXT];
	struct fmt_rowhash hash;

	memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
	if (fmt_rowhash_parse(text, &hash) != FMT_OK)
		return;
	fmt_rowhash_text(&hash, back);
	require(strcasecmp(text, back) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_rowhash all = FMT_ROWHASH_INIT, sum = FMT_ROWHASH_INIT;
	enum fmt_status status =
	    fmt_rowhash_add_rows(&all, FMT_COPY_TEXT, data, size);
	size_t start = 0;

	for (size_t i = 0; i < size; i++)
		if (data[i] == '\n') {
			fmt_rowhash_add(&sum, data + start, i - start);
			start = i + 1;
		}
	require((status == FMT_OK) == (start == size));
	if (status == FMT_OK)
		require(fmt_rowhash_is_equal(&all, &sum));
	else
		require(status == FMT_TRUNCATED && all.rows == 0);
	text_comes_back(data, size);
	return 0;
}
