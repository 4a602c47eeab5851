/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index. Whatever the bytes are, nothing outside of them is read, and
 * where the index checks out, each of its records is found.
 */
#include <string.h>

#include "formats/index.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_index_place place, found;
	struct fmt_index_pack pack;
	struct fmt_index index;
	bool is_good;

	if (fmt_index_open(data, size, &index) != FMT_OK)
		return 0;
	is_good = fmt_index_check(&index) == FMT_OK;
	for (uint32_t i = 0; i < index.pack_count; i++)
		fmt_index_pack_at(&index, i, &pack);
	for (uint64_t i = 0; i < index.chunk_count; i++) {
		enum fmt_status status = fmt_index_at(&index, i, &place);
		bool is_found = status == FMT_OK &&
				fmt_index_find(&index, place.chunk.id, &found);

		if (is_good)
			require(is_found &&
				found.chunk.offset == place.chunk.offset &&
				found.chunk.raw_len == place.chunk.raw_len &&
				found.chunk.has_base == place.chunk.has_base);
	}
	/* What is not there, at both ends and somewhere. */
	if (size >= FMT_ID_SIZE)
		(void)fmt_index_find(&index, data, &found);
	memset(place.chunk.id, 0, FMT_ID_SIZE);
	(void)fmt_index_find(&index, place.chunk.id, &found);
	memset(place.chunk.id, 0xff, FMT_ID_SIZE);
	(void)fmt_index_find(&index, place.chunk.id, &found);
	return 0;
}
