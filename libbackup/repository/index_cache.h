/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_INDEX_CACHE_H
#define LIBBACKUP_REPOSITORY_INDEX_CACHE_H

/*
 * Index objects that were decrypted and checked before, as files of this
 * machine: <cache>/<repository id>/index/<name>, readable by their owner only.
 * Such a file is the plain index and a tail of ours with a hash of all of it,
 * so that one which has rotted is noticed. Anybody may delete any of them at
 * any time.
 *
 * A cache only ever answers for names that its user has just seen in the
 * store; it is never asked what there is. Where there is no place for one,
 * everything works without. One thread at a time.
 */

#include "libbackup/repository/object.h"

struct bkp_index_cache {
	char *directory; /* owned; NULL: there is no cache */
	char *path;      /* owned: what is being looked at */
	char *temporary; /* owned: what is being made */
	size_t path_size;
	unsigned char *block;      /* owned */
	struct XXH3_state_s *hash; /* owned */
};

#define BKP_INDEX_CACHE_INIT                                                   \
	{                                                                      \
		NULL, NULL, NULL, 0, NULL, NULL                                \
	}

/* Finds the place of the repository with that id. That there is none is no
 * failure; what was opened is closed in any case. */
int bkp_index_cache_open(
    struct bkp_index_cache *cache, const char *id, struct bkp_error *err);
void bkp_index_cache_close(struct bkp_index_cache *cache);

/* A descriptor (the caller's) on the file of that name, with *len bytes of
 * index at its beginning, which are what had been put there. -1: there is
 * none, or it was not whole and has been removed. */
int bkp_index_cache_get(
    struct bkp_index_cache *cache, const char *name, uint64_t *len);

/* A file (the caller's) that is to become one of the cache, for reading and
 * writing; one at a time. -1: it cannot be made, or the file system is nearly
 * full. */
int bkp_index_cache_begin(struct bkp_index_cache *cache);

/* Ends it: adds the tail behind the `len` bytes of index that it holds and
 * gives it the name; or removes it. */
void bkp_index_cache_keep(
    struct bkp_index_cache *cache, int fd, uint64_t len, const char *name);
void bkp_index_cache_drop(struct bkp_index_cache *cache);

/* Removes the file of that name. */
void bkp_index_cache_forget(struct bkp_index_cache *cache, const char *name);

/* The names of files of objects that are not among these. */
int bkp_index_cache_others(struct bkp_index_cache *cache,
    const struct bkp_names *names, struct bkp_names *out,
    struct bkp_error *err);

/* Removes the files of objects that are not among the names (in order), and
 * what runs that were killed have left. */
void bkp_index_cache_sweep(
    struct bkp_index_cache *cache, const struct bkp_names *names);

#endif
