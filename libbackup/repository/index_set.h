/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_INDEX_SET_H
#define LIBBACKUP_REPOSITORY_INDEX_SET_H

/*
 * The index objects that are loaded: each decrypted into a file without a name
 * and mapped, so that it takes address space and page cache, not memory of
 * the process. It only grows, until it is freed.
 *
 * Thread rule: look-ups and loading may happen at the same time.
 */

#include <pthread.h>
#include <stdbool.h>

#include "formats/index.h"
#include "libbackup/repository/object.h"

struct bkp_index_file {
	char name[BKP_OBJECT_NAME];
	void *map; /* owned: `len` bytes */
	size_t len;
	struct fmt_index view;
};

/* One that is there and cannot be read. */
struct bkp_index_damage {
	char name[BKP_OBJECT_NAME];
	struct bkp_error problem;
};

struct bkp_index_set {
	pthread_rwlock_t lock; /* of the array; a loaded file never changes */
	struct bkp_index_file *files;
	size_t count, cap;
	unsigned char (*lost)[32]; /* owned: packs that are not there */
	size_t lost_count, lost_cap;
	struct bkp_index_damage *damaged; /* owned; not tried again */
	size_t damaged_count, damaged_cap;
};

void bkp_index_set_init(struct bkp_index_set *set);
void bkp_index_set_free(struct bkp_index_set *set);

/* Says whether a writer's key is one that may write to this repository. */
typedef bool bkp_is_writer_fn(void *arg, const unsigned char key[32]);

/* Loads every index object that is not loaded yet: digest, decryption, every
 * record and the signature of a known writer are checked. One that is damaged
 * is noted in `damaged` and left out, for all that the others know is true
 * without it; whoever decides what may go asks bkp_index_set_is_whole. */
int bkp_index_set_load(struct bkp_index_set *set, struct bkp_store *store,
    const struct fmt_age_identity *metadata, bkp_is_writer_fn *is_writer,
    void *arg, struct bkp_error *err);

/* 0 where nothing was left out; else -1 and why the first one was. */
int bkp_index_set_is_whole(struct bkp_index_set *set, struct bkp_error *err);

/* Adds an index that this process has just written (encoded, plain). */
int bkp_index_set_add(struct bkp_index_set *set, const char *name,
    const void *data, size_t len, struct bkp_error *err);

/* Compares the packs that are named with those that are stored. What lies in
 * one that is missing or of another size is not found from then on, so that
 * it is stored again. */
int bkp_index_set_check_packs(
    struct bkp_index_set *set, struct bkp_store *store, struct bkp_error *err);

/* Where a chunk is; false where no loaded index knows it. */
bool bkp_index_set_find(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out);

/* The same for the n-th copy, from 0: what had been lost is stored twice. */
bool bkp_index_set_find_copy(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], size_t n, struct fmt_index_place *out);

#endif
