/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_INDEX_SET_H
#define LIBBACKUP_REPOSITORY_INDEX_SET_H

/*
 * The index objects that are loaded: each decrypted into a file, of this
 * machine's cache where there is one and without a name otherwise, and mapped,
 * so that it takes address space and page cache. What is resident of the maps
 * is kept below about 100 MiB; the directory takes 6 bytes a chunk. The set
 * only grows, until it is freed.
 *
 * Thread rule: look-ups and loading may happen at the same time.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "formats/index.h"
#include "libbackup/repository/index_cache.h"
#include "libbackup/repository/index_directory.h"
#include "libbackup/repository/index_file.h"

/* One that is there and cannot be read. */
struct bkp_index_damage {
	char name[BKP_OBJECT_NAME];
	struct bkp_error problem;
};

struct bkp_index_set {
	pthread_mutex_t loading; /* held while files come in */
	pthread_rwlock_t lock;   /* of the array; a loaded file never changes */
	struct bkp_index_file *files;
	size_t count, cap;
	size_t large_count;
	size_t mapped; /* bytes of those that are not large */
	struct bkp_index_directory directory;
	size_t noted; /* files, from the first, that are in the directory */
	struct bkp_index_cache cache;
	bool notes_newer;  /* what a newer version wrote is noted as damage, by
			      who deletes nothing and tells it */
	bool keeps_copies; /* of objects that are gone from the store: somebody
			      looks at them before they go, too */
	atomic_size_t touched;     /* bytes of them, since they were let go */
	unsigned char (*lost)[32]; /* owned: packs that are not there */
	size_t lost_count, lost_cap;
	struct bkp_index_damage *damaged; /* owned; not tried again */
	size_t damaged_count, damaged_cap;
};

void bkp_index_set_init(struct bkp_index_set *set);
void bkp_index_set_free(struct bkp_index_set *set);

/* Keeps decrypted index objects of the repository with this id on this machine
 * from now on; NULL: not (any more), so that all are read from the store. Fails
 * for want of memory only. */
int bkp_index_set_use_cache(
    struct bkp_index_set *set, const char *id, struct bkp_error *err);

/* 0 where an index object that this key signed counts here; -1 and why not. */
typedef int bkp_index_signer_fn(void *arg, const unsigned char key[32],
    const char *name, struct bkp_error *err);

/* Loads every index object that is not loaded yet: digest, decryption, every
 * record and the signature of a known writer are checked. Of one that this
 * machine has checked before, that it is still that, and the writer. What
 * vanishes meanwhile (a prune joins index objects) makes it list again. One
 * that is damaged is noted in `damaged` and left out, for all that the others
 * know is true without it; whoever decides what may go asks
 * bkp_index_set_is_whole. */
int bkp_index_set_load(struct bkp_index_set *set, struct bkp_store *store,
    const struct fmt_age_identity *metadata, size_t metadata_count,
    bkp_index_signer_fn *check, void *arg, struct bkp_error *err);

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

/* Whether check_packs missed a pack. Under the lock. */
/* The same of one that was found to be damaged. */
int bkp_index_set_lose(struct bkp_index_set *set, const unsigned char pack[32],
    struct bkp_error *err);
bool bkp_index_set_is_lost(
    const struct bkp_index_set *set, const unsigned char pack[32]);

/* Gives what is resident of the maps back to the page cache: for those who
 * read all of them. */
void bkp_index_set_relax(struct bkp_index_set *set);

/* Lets go of everything but the cache, so that the next load finds what is in
 * the store and nothing else. Nobody may be at work with it. */
void bkp_index_set_clear(struct bkp_index_set *set);

/* Where a chunk is; false where no loaded index knows it. A copy that is stored
 * whole is preferred to a difference, so what is told of a base is always
 * such a copy; a difference whose base has no such copy is not found. */
bool bkp_index_set_find(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out);

/* The same for the n-th copy, from 0: what had been lost is stored twice. */
bool bkp_index_set_find_copy(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], size_t n, struct fmt_index_place *out);

#endif
