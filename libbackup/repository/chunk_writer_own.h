/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_CHUNK_WRITER_OWN_H
#define LIBBACKUP_REPOSITORY_CHUNK_WRITER_OWN_H

/* A chunk writer, as chunk_writer.c and row_writer.c see it. */

#include <zstd.h>

#include "formats/delta.h"
#include "libbackup/repository/row_seal.h"
#include "libbackup/repository/session_own.h"

#define BKP_CHUNK_LEVEL 1 /* of zstd */

struct bkp_chunk_writer {
	struct bkp_session *session;
	enum fmt_pack_kind kind;
	struct bkp_chunk_hasher hasher;
	ZSTD_CCtx *compressor;   /* owned */
	ZSTD_DCtx *decompressor; /* owned */
	struct fmt_buf frame;
	struct fmt_buf proof; /* a piece of what was decompressed again */

	/* Owned; NULL where nothing is pending. Differences have packs of their
	 * own: most serve one snapshot and go with it, while what they
	 * are differences to serves many. */
	struct bkp_pack *packs[2];

	/* of rows */
	struct fmt_delta_lines lines; /* of the chunk */
	struct fmt_buf base;          /* hashes of what it may differ from */
	struct fmt_buf delta;
	struct bkp_sealer *sealer; /* owned; NULL: not needed yet */
};

/* Finds the id, and whether this writer is to store the chunk. */
int bkp_chunk_writer_name(struct bkp_chunk_writer *writer, const void *data,
    size_t len, struct fmt_chunk_ref *ref, bool *is_new, struct bkp_error *err);

/* Compresses into `frame`, and proves that it decompresses. */
int bkp_chunk_writer_compress(struct bkp_chunk_writer *writer, int level,
    const void *data, size_t len, struct bkp_error *err);

/* Adds `frame` to a pack. */
int bkp_chunk_writer_append(struct bkp_chunk_writer *writer,
    const struct fmt_pack_chunk *chunk, struct bkp_error *err);

/* Both, for a chunk that is stored whole. */
int bkp_chunk_writer_store(struct bkp_chunk_writer *writer,
    const unsigned char id[FMT_ID_SIZE], const void *data, size_t len,
    struct bkp_error *err);

#endif
