/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of COPY, in either form: a row that is found ends within the data, is
 * found again alone and not when it is cut; and a run of rows sums up to what
 * its rows sum up to. The first byte chooses the form.
 */
#include "formats/pgcopy.h"
#include "formats/rowhash.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_rowhash all = FMT_ROWHASH_INIT, sum = FMT_ROWHASH_INIT;
	enum fmt_status status = FMT_OK;
	enum fmt_copy_form form;
	size_t at = 1, len = 0, again = 0;

	if (size == 0)
		return 0;
	form = data[0] == 'b' ? FMT_COPY_BINARY : FMT_COPY_TEXT;
	for (; at < size; at += len) {
		status = fmt_copy_row(form, data + at, size - at, &len);
		if (status != FMT_OK)
			break;
		require(len > 0 && len <= size - at);
		require(fmt_copy_row(form, data + at, len, &again) == FMT_OK);
		require(again == len);
		require(fmt_copy_row(form, data + at, len - 1, &again) ==
			FMT_TRUNCATED);
		fmt_rowhash_add(
		    &sum, data + at, form == FMT_COPY_TEXT ? len - 1 : len);
	}
	require((fmt_rowhash_add_rows(&all, form, data + 1, size - 1) ==
		    FMT_OK) == (status == FMT_OK));
	if (status == FMT_OK)
		require(fmt_rowhash_is_equal(&all, &sum));
	else
		require(all.rows == 0);
	return 0;
}
