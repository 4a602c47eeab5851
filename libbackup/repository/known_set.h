/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_KNOWN_SET_H
#define LIBBACKUP_REPOSITORY_KNOWN_SET_H

/*
 * The chunks that a session is storing and no index object holds yet. Sharded
 * by id, one lock a shard. The first 16 bytes of an id (a keyed hash) stand
 * for it. Memory: about 40 bytes a chunk.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "formats/pack.h"
#include "libbackup/error.h"

#define BKP_KNOWN_SHARDS 16
#define BKP_KNOWN_KEY 16

struct bkp_known_shard {
	pthread_mutex_t lock;
	unsigned char (*slots)[BKP_KNOWN_KEY]; /* owned; all zero: free */
	size_t count, cap;                     /* cap: 0 or a power of two */
};

struct bkp_known_set {
	struct bkp_known_shard shards[BKP_KNOWN_SHARDS];
};

void bkp_known_set_init(struct bkp_known_set *set);
void bkp_known_set_free(struct bkp_known_set *set);

/* Adds an id; *is_new tells whether it was not there. 0 or -1. */
int bkp_known_set_add(struct bkp_known_set *set,
    const unsigned char id[FMT_ID_SIZE], bool *is_new, struct bkp_error *err);

bool bkp_known_set_has(
    struct bkp_known_set *set, const unsigned char id[FMT_ID_SIZE]);

/* Takes an id out; nothing happens where it is not there. */
void bkp_known_set_remove(
    struct bkp_known_set *set, const unsigned char id[FMT_ID_SIZE]);

#endif
