/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_PRUNE_OWN_H
#define LIBBACKUP_REPOSITORY_PRUNE_OWN_H

/* What the files of a prune share: prune.c, prune_*.c. */

#include "libbackup/repository/condemned.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/prune.h"
#include "libbackup/repository/reach.h"

/* ---- packs as they are stored (prune_packs.c) ---- */

struct bkp_stored_pack {
	unsigned char name[32];
	uint64_t size;
	int64_t modified_us; /* server's clock */
};

struct bkp_stored_packs {
	struct bkp_stored_pack *items; /* owned, by name */
	size_t count, cap;
	uint64_t bytes;
};

int bkp_stored_packs_list(struct bkp_store *store, struct bkp_stored_packs *out,
    struct bkp_error *err);
void bkp_stored_packs_free(struct bkp_stored_packs *packs);
const struct bkp_stored_pack *bkp_stored_packs_find(
    const struct bkp_stored_packs *packs, const unsigned char name[32]);

/* A sorted set of pack names. */
struct bkp_pack_set {
	unsigned char (*items)[32]; /* owned */
	size_t count, cap;
};

int bkp_pack_set_add(struct bkp_pack_set *set, const unsigned char name[32],
    struct bkp_error *err);
void bkp_pack_set_sort(struct bkp_pack_set *set);
bool bkp_pack_set_has(
    const struct bkp_pack_set *set, const unsigned char name[32]);
void bkp_pack_set_free(struct bkp_pack_set *set);

/* ---- what is needed (prune_survey.c) ---- */

/* Everything that a decision is made from, read in the order in which it was
 * written by others: snapshots, index, condemned lists, packs. */
struct bkp_survey {
	struct bkp_history history;
	struct bkp_condemned condemned;
	struct bkp_stored_packs stored;
	struct bkp_reach *reach;      /* owned */
	struct bkp_reach_pack *packs; /* owned, by name */
	size_t pack_count;
	uint64_t missing; /* chunks; 0 unless that is acknowledged */
};

#define BKP_SURVEY_INIT                                                        \
	{                                                                      \
		.reach = NULL                                                  \
	}

int bkp_survey_make(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, const struct bkp_cancel *cancel,
    struct bkp_survey *out, struct bkp_error *err);
void bkp_survey_free(struct bkp_survey *survey);

/* The pack as the index knows it, or NULL. */
const struct bkp_reach_pack *bkp_survey_find(
    const struct bkp_survey *survey, const unsigned char name[32]);

/* ---- object lock (prune_locks.c) ---- */

int bkp_prune_tend(struct bkp_repository *repository, struct bkp_survey *survey,
    int64_t began_us, const struct bkp_prune_limits *limits,
    struct bkp_store_tended *out, const struct bkp_cancel *cancel,
    struct bkp_error *err);

/* ---- sessions that are given up (prune_remove.c) ---- */

/* Marks them, states in a checkpoint that they do not count and which
 * snapshots do, and takes their objects away. */
int bkp_prune_give_up(struct bkp_repository *repository,
    const struct bkp_presence_info *sessions, size_t count,
    struct bkp_error *err);

/* ---- index objects (prune_index.c) ---- */

/* Writes the loaded index objects that name one of these packs anew without
 * them, and joins small ones; then removes the old ones. */
int bkp_prune_rewrite_index(struct bkp_repository *repository,
    struct bkp_presence *presence, const struct bkp_pack_set *dead,
    const struct bkp_cancel *cancel, struct bkp_error *err);

/* ---- packs that are hardly used (prune_repack.c) ---- */

/* Copies what is needed of these packs into new ones, stores these and an index
 * object. *stored: bytes of the new packs. */
int bkp_prune_repack(struct bkp_repository *repository,
    struct bkp_presence *presence, struct bkp_reach *reach,
    const struct bkp_pack_set *chosen, uint64_t *stored,
    const struct bkp_cancel *cancel, struct bkp_error *err);

#endif
