/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_CHUNKER_H
#define FORMATS_CHUNKER_H

/*
 * Content-defined chunking with a keyed gear hash and normalised cut masks
 * (FastCDC, Xia et al., USENIX ATC 2016). formats/chunker.md is the
 * specification. The table comes from a secret, so cut points tell nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/status.h"

#define FMT_CHUNKER_MIN (512u * 1024u)
#define FMT_CHUNKER_AVG (1024u * 1024u)
#define FMT_CHUNKER_MAX (8u * 1024u * 1024u)

/* Made once per repository, then read by any number of threads. */
struct fmt_chunker {
	uint64_t gear[256];
	size_t min, avg, max;
	uint64_t mask_hard, mask_easy;
};

/* Sets up a chunker. `key` is 32 secret bytes; avg is a power of two. */
enum fmt_status fmt_chunker_init(struct fmt_chunker *chunker,
    const unsigned char key[32], size_t min, size_t avg, size_t max);

/*
 * The length of the first chunk of data. Where no cut point is found in the
 * `len` bytes given and len < max, answers 0: give more, or, at the end of the
 * input, take all of it as the last chunk.
 */
size_t fmt_chunker_cut(const struct fmt_chunker *chunker,
    const unsigned char *data, size_t len);

#endif
