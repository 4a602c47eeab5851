/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/store/s3_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "libbackup/base/fail.h"

/* For those who tidy up after they were asked to stop. */
#define LATE_TRIES 2
#define LATE_CONNECT_MS 3000
#define LATE_STALL_S 5

struct bkp_s3_pool {
	const struct bkp_cancel *cancel;
	struct bkp_s3 *usual, *late; /* owned */
	pthread_mutex_t lock;        /* of what follows */
	struct bkp_s3_lent *free[2]; /* owned: usual, late */
};

int
bkp_s3_pool_new(const struct bkp_s3_options *options,
    const struct bkp_cancel *cancel, struct bkp_s3_pool **out,
    struct bkp_error *err)
{
	struct bkp_s3_options late = *options;
	struct bkp_s3_pool *pool = bkp_alloc(sizeof(*pool), err);

	if (pool == NULL)
		return -1;
	pool->cancel = cancel;
	pthread_mutex_init(&pool->lock, NULL);
	late.tries = LATE_TRIES;
	late.connect_ms = LATE_CONNECT_MS;
	late.stall_s = LATE_STALL_S;
	if (bkp_s3_new(options, &pool->usual, err) < 0 ||
	    bkp_s3_new(&late, &pool->late, err) < 0) {
		bkp_s3_pool_free(pool);
		return -1;
	}
	*out = pool;
	return 0;
}

static void
free_lent(struct bkp_s3_lent *lent)
{
	while (lent != NULL) {
		struct bkp_s3_lent *next = lent->next;

		bkp_s3_disconnect(lent->connection);
		free(lent);
		lent = next;
	}
}

void
bkp_s3_pool_free(struct bkp_s3_pool *pool)
{
	if (pool == NULL)
		return;
	free_lent(pool->free[0]);
	free_lent(pool->free[1]);
	bkp_s3_free(pool->usual);
	bkp_s3_free(pool->late);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

int64_t
bkp_s3_pool_clock_offset(const struct bkp_s3_pool *pool)
{
	return bkp_s3_clock_offset(pool->usual);
}

const char *
bkp_s3_pool_endpoint(const struct bkp_s3_pool *pool)
{
	return bkp_s3_endpoint(pool->usual);
}

static struct bkp_s3_lent *
new_lent(struct bkp_s3_pool *pool, bool is_late, struct bkp_error *err)
{
	struct bkp_s3_lent *lent = bkp_alloc(sizeof(*lent), err);

	if (lent == NULL)
		return NULL;
	lent->is_late = is_late;
	if (bkp_s3_connect(is_late ? pool->late : pool->usual,
		is_late ? NULL : pool->cancel, &lent->connection, err) < 0) {
		free(lent);
		return NULL;
	}
	return lent;
}

struct bkp_s3_lent *
bkp_s3_pool_take(struct bkp_s3_pool *pool, struct bkp_error *err)
{
	bool is_late = bkp_cancel_is_requested(pool->cancel);
	struct bkp_s3_lent *lent;

	pthread_mutex_lock(&pool->lock);
	if ((lent = pool->free[is_late]) != NULL)
		pool->free[is_late] = lent->next;
	pthread_mutex_unlock(&pool->lock);
	return lent != NULL ? lent : new_lent(pool, is_late, err);
}

void
bkp_s3_pool_give(struct bkp_s3_pool *pool, struct bkp_s3_lent *lent)
{
	if (lent == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	lent->next = pool->free[lent->is_late];
	pool->free[lent->is_late] = lent;
	pthread_mutex_unlock(&pool->lock);
}
