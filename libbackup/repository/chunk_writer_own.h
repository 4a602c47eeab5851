/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_CHUNK_WRITER_OWN_H
#define LIBBACKUP_REPOSITORY_CHUNK_WRITER_OWN_H

/* A chunk writer, as chunk_writer.c and row_writer.c see it. */

#include <zstd.h>

#include "formats/delta.h"
#include "libbackup/repository/row_cache.h"
#include "libbackup/repository/row_seal.h"
#include "libbackup/repository/session_own.h"

#define BKP_CHUNK_LEVEL 1 /* of zstd */

/* One of the repositories that a writer writes into. */
struct bkp_outlet {
	struct bkp_session *session; /* borrowed */

	/* Owned; NULL where nothing is pending. Differences have packs of their
	 * own: most serve one snapshot and go with it, while what they
	 * are differences to serves many. */
	struct bkp_pack *packs[2];

	/* of the chunk under way */
	bool is_due; /* it counts as known here and is not stored yet */
	struct bkp_row_cache *cache; /* borrowed; NULL: nothing is remembered */
	struct fmt_buf room;         /* what `base` points into */
	struct bkp_row_base base;    /* of the range so far */
	bool is_remembered, has_base;
};

struct bkp_chunk_writer {
	struct bkp_outlet *outlets; /* owned: those of the session first */
	size_t outlet_count;
	enum fmt_pack_kind kind;
	struct bkp_chunk_hasher hasher;
	ZSTD_CCtx *compressor;   /* owned */
	ZSTD_DCtx *decompressor; /* owned */
	struct fmt_buf frame;
	struct fmt_buf proof; /* a piece of what was decompressed again */

	/* of rows */
	struct fmt_delta_lines lines; /* of the chunk */
	struct fmt_buf delta;
	struct bkp_sealer *sealer; /* owned; NULL: not needed yet */
};

/* Whether it goes on there. */
bool bkp_outlet_is_open(const struct bkp_outlet *outlet);

/* Finds the id, and where this writer is to store the chunk (is_due). */
int bkp_chunk_writer_name(struct bkp_chunk_writer *writer, const void *data,
    size_t len, struct fmt_chunk_ref *ref, struct bkp_error *err);

/* The chunk could not be made: where it is due it never will be stored.
 * Returns -1. */
int bkp_chunk_writer_give_up(struct bkp_chunk_writer *writer);

/* Compresses into `frame`, and proves that it decompresses. */
int bkp_chunk_writer_compress(struct bkp_chunk_writer *writer, int level,
    const void *data, size_t len, struct bkp_error *err);

/* Adds `frame` to a pack; then the chunk is not due there any more. */
int bkp_chunk_writer_append(struct bkp_chunk_writer *writer,
    struct bkp_outlet *outlet, const struct fmt_pack_chunk *chunk,
    struct bkp_error *err);

/* Lets a very large frame go. */
void bkp_chunk_writer_shrink(struct bkp_chunk_writer *writer);

#endif
