/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_REACH_H
#define LIBBACKUP_REPOSITORY_REACH_H

/*
 * What snapshots refer to: the chunks of their entry lists, the chunks of
 * every entry, and the bases of those that are stored as differences. Needs
 * the metadata identity only. Each chunk of a list is read once however many
 * snapshots share it.
 *
 * Memory: a bit for each record of the loaded index, and 16 bytes for each
 * list chunk.
 */

#include "libbackup/repository/repository_own.h"

struct bkp_reach;

/* Over the index as it is loaded now (lost and condemned packs left out where
 * another copy exists). */
int bkp_reach_new(struct bkp_repository *repository, struct bkp_reach **out,
    struct bkp_error *err);
/* The same, with condemned lists that have been read. */
struct bkp_condemned;
int bkp_reach_new_under(struct bkp_repository *repository,
    const struct bkp_condemned *condemned, struct bkp_reach **out,
    struct bkp_error *err);
void bkp_reach_free(struct bkp_reach *reach);

/* A chunk that a snapshot needs and no good pack holds. `path` is NULL for the
 * chunks of an entry list. Borrowed; 0 to go on, -1 to stop. */
typedef int bkp_reach_missing_fn(void *arg, const char *snapshot,
    const char *path, const struct fmt_chunk_ref *ref, struct bkp_error *err);

/* Marks what a snapshot refers to. Where `missing` is NULL, something missing
 * is BKP_CORRUPT, naming snapshot, entry and chunk. */
int bkp_reach_add(struct bkp_reach *reach,
    const struct bkp_named_snapshot *snapshot, bkp_reach_missing_fn *missing,
    void *arg, struct bkp_error *err);

/* How much of a pack is referred to. Packs by binary name. */
struct bkp_reach_pack {
	unsigned char name[32];
	uint64_t stored_size;
	enum fmt_pack_kind kind;
	uint64_t chunks, used_chunks; /* of the index */
	uint64_t bytes, used_bytes;   /* of frames */
};

/* Every pack of the index once, by name. *out is the caller's (free()). */
int bkp_reach_packs(struct bkp_reach *reach, struct bkp_reach_pack **out,
    size_t *count, struct bkp_error *err);

/* Every marked record of the packs that `wants` takes, in the order in which
 * they lie there. 0 to go on, -1 to stop. */
typedef bool bkp_reach_wants_fn(void *arg, const unsigned char pack[32]);
typedef int bkp_reach_used_fn(
    void *arg, const struct fmt_index_place *place, struct bkp_error *err);
int bkp_reach_each_used(struct bkp_reach *reach, bkp_reach_wants_fn *wants,
    bkp_reach_used_fn *fn, void *arg, struct bkp_error *err);

#endif
