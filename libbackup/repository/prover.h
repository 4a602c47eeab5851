/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_PROVER_H
#define LIBBACKUP_REPOSITORY_PROVER_H

/*
 * Proves packs and chunks out of bytes that are in memory. One a thread.
 */

#include "libbackup/repository/repository_own.h"

struct bkp_prover {
	struct bkp_repository *repository; /* borrowed */
	struct bkp_chunk_hasher hasher;
	void *zstd;                     /* owned: ZSTD_DCtx */
	struct bkp_chunk_reader *bases; /* owned; made when it is needed */
	struct fmt_buf chunk;           /* secret */
	struct fmt_buf base;            /* secret */
	struct fmt_buf whole;           /* secret: a difference applied */
	struct fmt_buf plain;           /* secret: a payload */
};

int bkp_prover_init(struct bkp_prover *prover,
    struct bkp_repository *repository, struct bkp_error *err);
void bkp_prover_free(struct bkp_prover *prover);

/* True where the keys at hand open packs of a kind. */
bool bkp_prover_opens(
    const struct bkp_repository *repository, enum fmt_pack_kind kind);

/* The bytes of a whole pack against its name: BKP_CORRUPT. `digest` (32 bytes,
 * may be NULL) takes the name that they have. */
int bkp_prove_name(const struct fmt_buf *stored, const unsigned char name[32],
    unsigned char *digest, struct bkp_error *err);

/* Everything in a pack whose bytes fit its name: decrypted, each chunk
 * decompressed, its id recomputed, its place compared with the index. *chunks
 * (the caller's, free()): as an index names them. */
int bkp_prove_content(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const unsigned char name[32], const struct fmt_buf *stored,
    struct fmt_pack_chunk **chunks, size_t *count, struct bkp_error *err);

/* A chunk's frame; id and stored_len are given, the rest but the offset is
 * found. Where it is a difference and its base cannot be read, that is no
 * fault of this one. */
int bkp_prove_frame(struct bkp_prover *prover, enum fmt_pack_kind kind,
    struct fmt_pack_chunk *chunk, const unsigned char *frame,
    struct bkp_error *err);

/* What is told of a chunk of a damaged pack: its frame, where all segments of
 * that still decrypt and it is the one it should be, or NULL. The chunk is as
 * an index and a directory name it then. 0, or -1 to stop. */
typedef int bkp_salvage_fn(void *arg, const struct fmt_pack_chunk *chunk,
    const unsigned char *frame, struct bkp_error *err);

/* What is left of a pack: `stored` are the bytes that are there, which may be
 * fewer or more than `size`, with which it was stored. */
int bkp_salvage(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const struct fmt_buf *stored, uint64_t size,
    const struct fmt_pack_chunk *chunks, size_t count, bkp_salvage_fn *fn,
    void *arg, struct bkp_error *err);

#endif
