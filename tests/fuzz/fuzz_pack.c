/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pack's directory. A tail of any length gives what the whole payload gives
 * or asks for more than it has, and a directory that is taken is written back
 * as the same bytes.
 */
#include <string.h>

#include "formats/pack.h"
#include "tests/fuzz/fuzz.h"

static void
is_written_back(const uint8_t *data, size_t size,
    const struct fmt_pack_chunk *chunks, size_t count)
{
	struct fmt_buf out = FMT_BUF_INIT;

	require(fmt_pack_directory_encode(chunks, count, &out) == FMT_OK);
	require(out.len == fmt_pack_directory_size(count) && out.len <= size);
	require(memcmp(data + size - out.len, out.data, out.len) == 0);
	fmt_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_pack_chunk *chunks = NULL, *again = NULL;
	size_t count = 0, need = 0, wanted = 0;
	enum fmt_status status, cut;

	status =
	    fmt_pack_directory_decode(data, size, size, &chunks, &count, &need);
	require(status != FMT_TRUNCATED);
	do {
		need = 0;
		cut = fmt_pack_directory_decode(
		    data + size - wanted, wanted, size, &again, &count, &need);
		if (cut == FMT_TRUNCATED)
			require(need > wanted && need <= size);
		if (need > wanted)
			wanted = need;
	} while (cut == FMT_TRUNCATED);
	require(cut == status);
	if (status == FMT_OK)
		is_written_back(data, size, chunks, count);
	free(chunks);
	free(again);
	return 0;
}
