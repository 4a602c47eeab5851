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

/* The bytes of a whole pack against its name: BKP_CORRUPT. */
int bkp_prove_name(const struct fmt_buf *stored, const unsigned char name[32],
    struct bkp_error *err);

/* Everything in a pack whose bytes fit its name: decrypted, each chunk
 * decompressed, its id recomputed, its place compared with the index. */
int bkp_prove_content(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const unsigned char name[32], const struct fmt_buf *stored,
    uint64_t *chunks, struct bkp_error *err);

/* A chunk's frame, whatever length is told. Where it is a difference and its
 * base cannot be read, that is no fault of this one. */
int bkp_prove_frame(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const struct fmt_pack_chunk *chunk, const unsigned char *frame,
    struct bkp_error *err);

/*
 * What is left of a pack: `stored` are the bytes that are there, which may be
 * fewer than `size`, the size that it was stored with. For each of `chunks`
 * whose segments still decrypt and that is the one it should be, fn gets its
 * frame.
 */
typedef int bkp_salvage_fn(void *arg, const struct fmt_pack_chunk *chunk,
    const unsigned char *frame, bool is_good, struct bkp_error *err);

int bkp_salvage(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const struct fmt_buf *stored, uint64_t size,
    const struct fmt_pack_chunk *chunks, size_t count, bkp_salvage_fn *fn,
    void *arg, struct bkp_error *err);

#endif
