/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_LIMITER_H
#define LIBBACKUP_S3_LIMITER_H

/*
 * Inside libbackup/s3: how many requests run at the same time against one
 * endpoint. Starts at the most; halves where the server says that it is too
 * much, or falls silent; grows by one for as many good answers as run at
 * once ("additive increase, multiplicative decrease", RFC 5681).
 *
 * No lock is held while a request runs. A request that waits in vain for
 * `patience_ms` goes all the same: a caller may make one from within another.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "libbackup/cancel.h"

struct bkp_s3_limiter {
	pthread_mutex_t mutex;
	pthread_cond_t freed;
	double limit;
	unsigned most, active;
	unsigned patience_ms;
	uint64_t cuts;
};

/* How a request went. */
enum bkp_s3_load {
	BKP_S3_LOAD_GOOD,
	BKP_S3_LOAD_UNKNOWN, /* says nothing about the server's load */
	BKP_S3_LOAD_TOO_MUCH
};

void bkp_s3_limiter_init(struct bkp_s3_limiter *limiter, unsigned most);
void bkp_s3_limiter_destroy(struct bkp_s3_limiter *limiter);

/* Waits for a place; cancel (may be NULL) ends the wait. *ticket goes to
 * leave. */
void bkp_s3_limiter_enter(struct bkp_s3_limiter *limiter,
    const struct bkp_cancel *cancel, uint64_t *ticket);
void bkp_s3_limiter_leave(
    struct bkp_s3_limiter *limiter, uint64_t ticket, enum bkp_s3_load load);

/* How many requests may run now. */
unsigned bkp_s3_limiter_limit(struct bkp_s3_limiter *limiter);

#endif
