/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints. The input is the file, and then, because no mutation signs
 * itself, the first line of one that is signed here. A checkpoint that is taken
 * can be written, and is then read back.
 */
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
	require_record(
	    seed, "libbackup checkpoint v1", read_and_write, data, size);
	return 0;
}
