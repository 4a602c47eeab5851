/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints. The input is the file, and then, because no mutation signs
 * itself, the first line of one that is signed here. A checkpoint that is taken
 * can be written, and is then read back.
 */
#include <string.h>

#include "formats/checkpoint.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char seed[32] = {1};

static enum fmt_status
read_and_write(const void *data, size_t size, struct fmt_buf *out)
{
	struct fmt_checkpoint checkpoint = FMT_CHECKPOINT_INIT;
	enum fmt_status status = fmt_checkpoint_decode(data, size, &checkpoint);

	if (status == FMT_OK)
		require(
		    fmt_checkpoint_encode(&checkpoint, seed, out) == FMT_OK);
	fmt_checkpoint_free(&checkpoint);
	return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_buf file = FMT_BUF_INIT, out = FMT_BUF_INIT;
	struct fmt_buf again = FMT_BUF_INIT;
	const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;

	(void)read_and_write(data, size, &again);
	fmt_buf_clear(&again);
	sign_line(seed, "libbackup checkpoint v1", data,
	    newline != NULL ? (size_t)(newline - data) : size, &file);
	if (read_and_write(file.data, file.len, &out) == FMT_OK) {
		require(read_and_write(out.data, out.len, &again) == FMT_OK);
		require(out.len == again.len &&
			memcmp(out.data, again.data, out.len) == 0);
	}
	fmt_buf_free(&file);
	fmt_buf_free(&out);
	fmt_buf_free(&again);
	return 0;
}
