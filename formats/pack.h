/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PACK_H
#define FORMATS_PACK_H

/*
 * The payload of a pack: zstd frames, one a chunk, then the directory in a
 * zstd skippable frame, so that `age -d | zstd -d` yields the chunks in order
 * and a reader that lost every index can rebuild it. formats/pack.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

#define FMT_ID_SIZE 32

/* One chunk inside a pack's payload (offsets are of the plaintext payload). */
struct fmt_pack_chunk {
	unsigned char id[FMT_ID_SIZE];
	uint32_t offset;     /* of its zstd frame */
	uint32_t stored_len; /* of its zstd frame */
	uint32_t raw_len;    /* of the chunk itself */
	/* Stored as a difference (delta.md) of delta_len bytes to the chunk
	 * `base`. An index tells base and raw_len, but not delta_len; the
	 * directory of a pack tells delta_len in place of raw_len, and neither
	 * whether nor to what: there the frame must be looked at. */
	bool has_base;
	unsigned char base[FMT_ID_SIZE];
	uint32_t delta_len;
};

/* Bytes a directory of `count` chunks takes in the payload. */
size_t fmt_pack_directory_size(size_t count);

/* Appends the directory's skippable frame. */
enum fmt_status fmt_pack_directory_encode(
    const struct fmt_pack_chunk *chunks, size_t count, struct fmt_buf *out);

/*
 * Finds the directory at the end of a payload. `tail` is the last `len` bytes
 * of a payload of `payload_size` bytes. FMT_TRUNCATED: give at least *need
 * bytes of tail. The chunks are checked: in order, without gaps, from 0 up to
 * the directory. *chunks is the caller's (free()).
 */
enum fmt_status fmt_pack_directory_decode(const void *tail, size_t len,
    uint64_t payload_size, struct fmt_pack_chunk **chunks, size_t *count,
    size_t *need);

#endif
