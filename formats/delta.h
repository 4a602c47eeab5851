/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_DELTA_H
#define FORMATS_DELTA_H

/*
 * A chunk of rows of a table as a difference to another chunk, its base: rows
 * to copy from there and rows that are new. It is made from 64 bits a row of
 * the base, so that who writes need not be able to read what was written
 * before. Rows of COPY text are lines, and the difference speaks of lines; of
 * those in the binary form it speaks of bytes. formats/delta.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/pack.h"
#include "formats/pgcopy.h"
#include "formats/siphash.h"
#include "formats/status.h"

/* The longest base and the longest chunk that is stored as a difference. */
#define FMT_DELTA_MAX ((size_t)8 << 20)

/* The most lines of either. */
#define FMT_DELTA_LINES_MAX ((size_t)1 << 18)

/* ---- reading ---- */

struct fmt_delta_head {
	unsigned char base[FMT_ID_SIZE];
	uint32_t base_len, len; /* bytes of the base and of the chunk */
	size_t head_len;        /* of the head itself, which ops come after */
	enum fmt_copy_form form;
};

/* FMT_MALFORMED: not a difference. FMT_UNSUPPORTED: one of a later version. */
enum fmt_status fmt_delta_head(
    const void *delta, size_t len, struct fmt_delta_head *out);

/* Appends the chunk, of head.len bytes, to `out`; nothing on failure. That it
 * is the right one is for the caller to see, by its id. */
enum fmt_status fmt_delta_apply(const void *delta, size_t len, const void *base,
    size_t base_len, struct fmt_buf *out);

/* ---- writing ---- */

/* The rows of a chunk. Starts as FMT_DELTA_LINES_INIT; can be used again. */
struct fmt_delta_lines {
	uint64_t *hashes; /* owned: of each line without its newline */
	uint32_t *starts; /* owned: count + 1, where each begins */
	size_t count, cap;
	enum fmt_copy_form form;
};

#define FMT_DELTA_LINES_INIT                                                   \
	{                                                                      \
		NULL, NULL, 0, 0, FMT_COPY_TEXT                                \
	}

void fmt_delta_lines_free(struct fmt_delta_lines *lines);

/* Finds and hashes the rows of a chunk. FMT_TRUNCATED where the last one does
 * not end (text: with a newline), FMT_MALFORMED where something is no row,
 * FMT_LIMIT beyond FMT_DELTA_MAX or FMT_DELTA_LINES_MAX. */
enum fmt_status fmt_delta_split(const unsigned char key[FMT_SIPHASH_KEY],
    enum fmt_copy_form form, const void *data, size_t len,
    struct fmt_delta_lines *out);

/* What is known of a base; borrowed. */
struct fmt_delta_base {
	unsigned char id[FMT_ID_SIZE];
	uint32_t len;
	const uint64_t *hashes; /* under the same key, in order */
	const uint32_t *starts; /* `count`; NULL where the rows are lines */
	size_t count;
};

/* Appends the chunk `data`, whose rows are `lines`, as a difference to the
 * base. FMT_LIMIT, and nothing appended, where that takes more than `max`
 * bytes or is not shorter than the chunk, or the base has another form. */
enum fmt_status fmt_delta_make(const struct fmt_delta_base *base,
    const void *data, size_t len, const struct fmt_delta_lines *lines,
    size_t max, struct fmt_buf *out);

/* Applies a difference to the base as far as that is known: FMT_OK where each
 * row copied has the hash of the row wanted, and every other is the same. */
enum fmt_status fmt_delta_prove(const void *delta, size_t delta_len,
    const struct fmt_delta_base *base, const void *data, size_t len,
    const struct fmt_delta_lines *lines);

#endif
