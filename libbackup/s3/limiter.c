/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/limiter.h"

#include <time.h>

#define PATIENCE_MS 5000u
#define SLICE_MS 50u

void
bkp_s3_limiter_init(struct bkp_s3_limiter *limiter, unsigned most)
{
	(void)pthread_mutex_init(&limiter->mutex, NULL);
	(void)pthread_cond_init(&limiter->freed, NULL);
	limiter->most = most;
	limiter->limit = most;
	limiter->active = 0;
	limiter->cuts = 0;
	limiter->patience_ms = PATIENCE_MS;
}

void
bkp_s3_limiter_destroy(struct bkp_s3_limiter *limiter)
{
	(void)pthread_cond_destroy(&limiter->freed);
	(void)pthread_mutex_destroy(&limiter->mutex);
}

/* Slices, so that a request to stop is heard. */
static void
wait_slice(struct bkp_s3_limiter *limiter)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)SLICE_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(&limiter->freed, &limiter->mutex, &until);
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
bkp_s3_limiter_enter(struct bkp_s3_limiter *limiter,
    const struct bkp_cancel *cancel, uint64_t *ticket)
{
	uint64_t begin = now_ms();

	(void)pthread_mutex_lock(&limiter->mutex);
	while (limiter->active >= (unsigned)limiter->limit &&
	       now_ms() - begin < limiter->patience_ms &&
	       !bkp_cancel_is_requested(cancel))
		wait_slice(limiter);
	limiter->active++;
	*ticket = limiter->cuts;
	(void)pthread_mutex_unlock(&limiter->mutex);
}

/* Requests that began before the last cut tell of a load that is history. What
 * really ran counts, not what might have. */
static void
cut(struct bkp_s3_limiter *limiter, uint64_t ticket)
{
	double ran = limiter->active;

	if (ticket != limiter->cuts)
		return;
	if (ran > limiter->limit)
		ran = limiter->limit;
	limiter->limit = ran / 2 > 1 ? ran / 2 : 1;
	limiter->cuts++;
}

void
bkp_s3_limiter_leave(
    struct bkp_s3_limiter *limiter, uint64_t ticket, enum bkp_s3_load load)
{
	(void)pthread_mutex_lock(&limiter->mutex);
	if (load == BKP_S3_LOAD_TOO_MUCH)
		cut(limiter, ticket);
	else if (load == BKP_S3_LOAD_GOOD)
		limiter->limit += 1 / limiter->limit;
	if (limiter->limit > limiter->most)
		limiter->limit = limiter->most;
	limiter->active--;
	(void)pthread_cond_broadcast(&limiter->freed);
	(void)pthread_mutex_unlock(&limiter->mutex);
}

unsigned
bkp_s3_limiter_limit(struct bkp_s3_limiter *limiter)
{
	unsigned limit;

	(void)pthread_mutex_lock(&limiter->mutex);
	limit = (unsigned)limiter->limit;
	(void)pthread_mutex_unlock(&limiter->mutex);
	return limit;
}
