/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk as a difference to another. The input is a base, a zero byte (or, for
 * rows in the binary form, 'b', zero, a share, and then the base), and the
 * rest, which is taken for a difference to it, and for a new chunk: what is
 * made of that is proven and comes back.
 */
#include <string.h>

#include "formats/delta.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char key[FMT_SIPHASH_KEY] = "sixteen bytes of";

static void
is_applied_or_refused(
    const uint8_t *base, size_t base_len, const uint8_t *delta, size_t len)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct fmt_delta_head head;
	enum fmt_status status;

	status = fmt_delta_apply(delta, len, base, base_len, &out);
	if (status == FMT_OK) {
		require(fmt_delta_head(delta, len, &head) == FMT_OK);
		require(out.len == head.len && head.base_len == base_len);
	} else {
		require(out.len == 0);
	}
	fmt_buf_free(&out);
}

static void
comes_back(enum fmt_copy_form form, const uint8_t *before, size_t before_len,
    const uint8_t *text, size_t len)
{
	struct fmt_delta_lines old = FMT_DELTA_LINES_INIT;
	struct fmt_delta_lines new = FMT_DELTA_LINES_INIT;
	struct fmt_delta_base base = {.len = (uint32_t)before_len};
	struct fmt_buf delta = FMT_BUF_INIT, back = FMT_BUF_INIT;

	if (fmt_delta_split(key, form, before, before_len, &old) != FMT_OK ||
	    fmt_delta_split(key, form, text, len, &new) != FMT_OK)
		goto out;
	base.hashes = old.hashes;
	base.count = old.count;
	if (form == FMT_COPY_BINARY)
		base.starts = old.starts;
	if (fmt_delta_make(&base, text, len, &new, len, &delta) != FMT_OK)
		goto out;
	require(fmt_delta_prove(
		    delta.data, delta.len, &base, text, len, &new) == FMT_OK);
	require(fmt_delta_apply(delta.data, delta.len, before, before_len,
		    &back) == FMT_OK);
	require(back.len == len && memcmp(back.data, text, len) == 0);
out:
	fmt_delta_lines_free(&old);
	fmt_delta_lines_free(&new);
	fmt_buf_free(&delta);
	fmt_buf_free(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	const uint8_t *rest;
	size_t len;

	/* A run of rows in the binary form holds zeros: its length comes
	 * first. */
	if (size > 3 && data[0] == 'b' && data[1] == 0) {
		len = (size - 3) * data[2] / 255;
		is_applied_or_refused(
		    data + 3, len, data + 3 + len, size - 3 - len);
		comes_back(FMT_COPY_BINARY, data + 3, len, data + 3 + len,
		    size - 3 - len);
		return 0;
	}
	if (zero == NULL || zero == data)
		return 0;
	rest = zero + 1;
	len = size - (size_t)(rest - data);
	is_applied_or_refused(data, (size_t)(zero - data), rest, len);
	comes_back(FMT_COPY_TEXT, data, (size_t)(zero - data), rest, len);
	return 0;
}
