/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots. The input is the file, and then, because no mutation signs
 * itself, the first line of one that is signed here. A snapshot that is taken
 * can be written, and is then read back.
 */
#include "formats/snapshot.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char seed[32] = {1};

static enum fmt_status
read_and_write(const void *data, size_t size, struct fmt_buf *out)
{
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	enum fmt_status status = fmt_snapshot_decode(data, size, &snapshot);

	if (status == FMT_OK)
		require(fmt_snapshot_encode(&snapshot, seed, out) == FMT_OK);
	fmt_snapshot_free(&snapshot);
	return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	require_record(
	    seed, "libbackup snapshot v1", read_and_write, data, size);
	return 0;
}
