/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pack.h"

#include <stdlib.h>
#include <string.h>

#include "formats/bytes.h"

/* A zstd skippable frame: magic and content size, then content. */
#define FRAME_MAGIC UINT32_C(0x184d2a5b)
#define FRAME_HEAD ((size_t)8)

#define RECORD ((size_t)40)
#define FOOTER ((size_t)16)
#define VERSION 1u

/* Where the frame's 32-bit size ends. */
#define MAX_CHUNKS ((UINT32_MAX - FOOTER) / RECORD)

static const char magic[8] = {'b', 'k', 'p', 'p', 'a', 'c', 'k', '\n'};

size_t
fmt_pack_directory_size(size_t count)
{
	return FRAME_HEAD + count * RECORD + FOOTER;
}

/* In order, without gaps, and within 32 bits. */
static enum fmt_status
check_chunks(const struct fmt_pack_chunk *chunks, size_t count)
{
	uint64_t offset = 0;

	if (count > MAX_CHUNKS)
		return FMT_LIMIT;
	for (size_t i = 0; i < count; i++) {
		if (chunks[i].offset != offset || chunks[i].stored_len == 0)
			return FMT_MALFORMED;
		offset += chunks[i].stored_len;
		if (offset > UINT32_MAX)
			return FMT_LIMIT;
	}
	return FMT_OK;
}

enum fmt_status
fmt_pack_directory_encode(
    const struct fmt_pack_chunk *chunks, size_t count, struct fmt_buf *out)
{
	enum fmt_status status;
	unsigned char *p;
	size_t size;

	if ((status = check_chunks(chunks, count)) != FMT_OK)
		return status;
	size = fmt_pack_directory_size(count);
	if ((status = fmt_buf_reserve(out, size)) != FMT_OK)
		return status;
	p = out->data + out->len;
	fmt_store_le32(p, FRAME_MAGIC);
	fmt_store_le32(p + 4, (uint32_t)(size - FRAME_HEAD));
	p += FRAME_HEAD;
	for (size_t i = 0; i < count; i++, p += RECORD) {
		memcpy(p, chunks[i].id, FMT_ID_SIZE);
		fmt_store_le32(p + 32, chunks[i].stored_len);
		fmt_store_le32(p + 36, chunks[i].has_base ? chunks[i].delta_len
							  : chunks[i].raw_len);
	}
	fmt_store_le32(p, (uint32_t)count);
	fmt_store_le32(p + 4, VERSION);
	memcpy(p + 8, magic, sizeof(magic));
	out->len += size;
	return FMT_OK;
}

/* Reads the footer: how many chunks there are, where such a directory fits
 * into the payload. */
static enum fmt_status
read_footer(const unsigned char *footer, uint64_t payload_size, size_t *count)
{
	uint32_t chunks = fmt_load_le32(footer);

	if (memcmp(footer + 8, magic, sizeof(magic)) != 0)
		return FMT_MALFORMED;
	if (fmt_load_le32(footer + 4) != VERSION)
		return FMT_UNSUPPORTED;
	if (chunks > MAX_CHUNKS ||
	    fmt_pack_directory_size(chunks) > payload_size)
		return FMT_MALFORMED;
	*count = chunks;
	return FMT_OK;
}

/* The frames must fill the payload up to the directory, no byte more. */
static enum fmt_status
read_records(const unsigned char *records, size_t count, uint64_t frames_size,
    struct fmt_pack_chunk *chunks)
{
	uint64_t offset = 0;

	if (frames_size > UINT32_MAX)
		return FMT_MALFORMED;
	for (size_t i = 0; i < count; i++, records += RECORD) {
		memcpy(chunks[i].id, records, FMT_ID_SIZE);
		chunks[i].stored_len = fmt_load_le32(records + 32);
		chunks[i].raw_len = fmt_load_le32(records + 36);
		chunks[i].offset = (uint32_t)offset;
		if (chunks[i].stored_len == 0 ||
		    chunks[i].stored_len > frames_size - offset)
			return FMT_MALFORMED;
		offset += chunks[i].stored_len;
	}
	return offset == frames_size ? FMT_OK : FMT_MALFORMED;
}

enum fmt_status
fmt_pack_directory_decode(const void *tail, size_t len, uint64_t payload_size,
    struct fmt_pack_chunk **chunks, size_t *count, size_t *need)
{
	const unsigned char *bytes = tail;
	struct fmt_pack_chunk *found;
	size_t size, found_count;
	enum fmt_status status;

	if (payload_size < fmt_pack_directory_size(0) || len > payload_size)
		return FMT_MALFORMED;
	if (len < FOOTER) {
		*need = FOOTER;
		return FMT_TRUNCATED;
	}
	status = read_footer(bytes + len - FOOTER, payload_size, &found_count);
	if (status != FMT_OK)
		return status;
	size = fmt_pack_directory_size(found_count);
	if (len < size) {
		*need = size;
		return FMT_TRUNCATED;
	}
	bytes += len - size;
	if (fmt_load_le32(bytes) != FRAME_MAGIC ||
	    fmt_load_le32(bytes + 4) != size - FRAME_HEAD)
		return FMT_MALFORMED;
	/* calloc(0) may answer NULL, which would look like no memory. */
	found = calloc(found_count > 0 ? found_count : 1, sizeof(*found));
	if (found == NULL)
		return FMT_NOMEM;
	status = read_records(
	    bytes + FRAME_HEAD, found_count, payload_size - size, found);
	if (status != FMT_OK) {
		free(found);
		return status;
	}
	*chunks = found;
	*count = found_count;
	return FMT_OK;
}
