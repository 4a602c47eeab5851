/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_RATE_H
#define LIBBACKUP_BASE_RATE_H

/*
 * So many bytes a second, of all threads and connections together. What is
 * taken is paid for by waiting afterwards (the "virtual scheduling" of the
 * generic cell rate algorithm, ITU-T I.371): nobody waits longer than for what
 * was taken before and what he takes, and an idle time saves up a quarter of a
 * second at the most.
 */

#include <pthread.h>
#include <stdint.h>

#include "libbackup/cancel.h"
#include "libbackup/error.h"

struct bkp_rate {
	pthread_mutex_t mutex;
	uint64_t per_second; /* 0: no limit */
	uint64_t paid_us;    /* by then all is paid for that was taken */
};

void bkp_rate_init(struct bkp_rate *rate);
void bkp_rate_destroy(struct bkp_rate *rate);

/* Before anybody takes. */
void bkp_rate_set(struct bkp_rate *rate, uint64_t per_second);

/* How long whoever takes `bytes` now has to wait, in microseconds; now_us is of
 * any clock that only goes forward. */
uint64_t bkp_rate_take(struct bkp_rate *rate, uint64_t bytes, uint64_t now_us);

/* Takes and waits. NULL: no limit. cancel (may be NULL) ends the wait. */
void bkp_rate_wait(
    struct bkp_rate *rate, uint64_t bytes, const struct bkp_cancel *cancel);

/* Both directions, of a run. */
struct bkp_limits {
	struct bkp_rate upload, download;
};

/* What is best sent at once where there is a limit, so that a pause is short.
 */
#define BKP_RATE_PIECE 16384u

/* Bytes a second: "10MiB", "500K"; powers of 1024, at least BKP_RATE_LEAST.
 * BKP_INVALID. */
#define BKP_RATE_LEAST 16384u
int bkp_rate_read(const char *text, uint64_t *out, struct bkp_error *err);

#endif
