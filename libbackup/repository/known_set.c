/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/known_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

/* Open addressing with linear probing; at most three quarters full. */

static bool
is_free(const unsigned char slot[BKP_KNOWN_KEY])
{
	static const unsigned char zero[BKP_KNOWN_KEY];

	return memcmp(slot, zero, BKP_KNOWN_KEY) == 0;
}

/* Where the search for an id begins. Its bytes are as good as random. */
static size_t
home_of(const unsigned char *id, size_t cap)
{
	uint64_t number;

	memcpy(&number, id + 8, sizeof(number));
	return (size_t)number & (cap - 1);
}

/* The slot that holds the id, or the free one where it would go. */
static size_t
probe(const struct bkp_known_shard *shard, const unsigned char *id)
{
	size_t at = home_of(id, shard->cap);

	while (!is_free(shard->slots[at]) &&
	       memcmp(shard->slots[at], id, BKP_KNOWN_KEY) != 0)
		at = (at + 1) & (shard->cap - 1);
	return at;
}

static int
make_room(struct bkp_known_shard *shard, struct bkp_error *err)
{
	struct bkp_known_shard grown = *shard;

	if (shard->count < shard->cap / 4 * 3)
		return 0;
	grown.cap = shard->cap > 0 ? shard->cap * 2 : 64;
	grown.slots = bkp_alloc_array(grown.cap, BKP_KNOWN_KEY, err);
	if (grown.slots == NULL)
		return -1;
	for (size_t i = 0; i < shard->cap; i++) {
		if (!is_free(shard->slots[i]))
			memcpy(grown.slots[probe(&grown, shard->slots[i])],
			    shard->slots[i], BKP_KNOWN_KEY);
	}
	free(shard->slots);
	shard->slots = grown.slots;
	shard->cap = grown.cap;
	return 0;
}

static struct bkp_known_shard *
lock_shard(struct bkp_known_set *set, const unsigned char *id)
{
	struct bkp_known_shard *shard = &set->shards[id[0] % BKP_KNOWN_SHARDS];

	pthread_mutex_lock(&shard->lock);
	return shard;
}

void
bkp_known_set_init(struct bkp_known_set *set)
{
	*set = (struct bkp_known_set){.shards[0].slots = NULL};
	for (size_t i = 0; i < BKP_KNOWN_SHARDS; i++)
		pthread_mutex_init(&set->shards[i].lock, NULL);
}

void
bkp_known_set_free(struct bkp_known_set *set)
{
	for (size_t i = 0; i < BKP_KNOWN_SHARDS; i++) {
		free(set->shards[i].slots);
		pthread_mutex_destroy(&set->shards[i].lock);
	}
}

int
bkp_known_set_add(struct bkp_known_set *set,
    const unsigned char id[FMT_ID_SIZE], bool *is_new, struct bkp_error *err)
{
	struct bkp_known_shard *shard = lock_shard(set, id);
	int rc = make_room(shard, err);

	if (rc == 0) {
		size_t at = probe(shard, id);

		*is_new = is_free(shard->slots[at]);
		if (*is_new) {
			memcpy(shard->slots[at], id, BKP_KNOWN_KEY);
			shard->count++;
		}
	}
	pthread_mutex_unlock(&shard->lock);
	return rc;
}

bool
bkp_known_set_has(
    struct bkp_known_set *set, const unsigned char id[FMT_ID_SIZE])
{
	struct bkp_known_shard *shard = lock_shard(set, id);
	bool is_there =
	    shard->cap > 0 && !is_free(shard->slots[probe(shard, id)]);

	pthread_mutex_unlock(&shard->lock);
	return is_there;
}

/* Closes the gap at `gap`: what comes after it and may not be found beyond a
 * free slot moves up. */
static void
close_gap(struct bkp_known_shard *shard, size_t gap)
{
	size_t mask = shard->cap - 1, at = gap;

	for (;;) {
		size_t home;

		at = (at + 1) & mask;
		if (is_free(shard->slots[at]))
			break;
		home = home_of(shard->slots[at], shard->cap);
		/* Stays where its home lies after the gap. */
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		memcpy(shard->slots[gap], shard->slots[at], BKP_KNOWN_KEY);
		gap = at;
	}
	memset(shard->slots[gap], 0, BKP_KNOWN_KEY);
}

void
bkp_known_set_remove(
    struct bkp_known_set *set, const unsigned char id[FMT_ID_SIZE])
{
	struct bkp_known_shard *shard = lock_shard(set, id);

	if (shard->cap > 0) {
		size_t at = probe(shard, id);

		if (!is_free(shard->slots[at])) {
			close_gap(shard, at);
			shard->count--;
		}
	}
	pthread_mutex_unlock(&shard->lock);
}
