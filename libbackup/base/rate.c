/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"

#define SAVED_US 250000u /* what an idle time may save up */
#define SLICE_US 50000u  /* how long a request to stop may go unheard */
#define SECOND_US 1000000u

void
bkp_rate_init(struct bkp_rate *rate)
{
	(void)pthread_mutex_init(&rate->mutex, NULL);
	rate->per_second = 0;
	rate->paid_us = 0;
}

void
bkp_rate_destroy(struct bkp_rate *rate)
{
	(void)pthread_mutex_destroy(&rate->mutex);
}

void
bkp_rate_set(struct bkp_rate *rate, uint64_t per_second)
{
	rate->per_second = per_second;
}

uint64_t
bkp_rate_take(struct bkp_rate *rate, uint64_t bytes, uint64_t now_us)
{
	uint64_t wait_us = 0, cost_us;

	if (rate->per_second == 0)
		return 0;
	cost_us = bytes / rate->per_second * SECOND_US +
		  bytes % rate->per_second * SECOND_US / rate->per_second;
	(void)pthread_mutex_lock(&rate->mutex);
	if (rate->paid_us + SAVED_US < now_us)
		rate->paid_us = now_us - SAVED_US;
	rate->paid_us += cost_us;
	if (rate->paid_us > now_us)
		wait_us = rate->paid_us - now_us;
	(void)pthread_mutex_unlock(&rate->mutex);
	return wait_us;
}

static uint64_t
now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	/* Above what may be saved up. */
	return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000 +
	       SAVED_US;
}

void
bkp_rate_wait(
    struct bkp_rate *rate, uint64_t bytes, const struct bkp_cancel *cancel)
{
	uint64_t wait_us;

	if (rate == NULL || rate->per_second == 0)
		return;
	wait_us = bkp_rate_take(rate, bytes, now_us());
	while (wait_us > 0 && !bkp_cancel_is_requested(cancel)) {
		uint64_t slice = wait_us < SLICE_US ? wait_us : SLICE_US;
		struct timespec pause = {0, (long)slice * 1000};

		(void)nanosleep(&pause, NULL);
		wait_us -= slice;
	}
}

/* How many bytes a unit is; 0: it is none. */
static uint64_t
factor_of(const char *unit)
{
	static const char letters[] = "KMGT";
	const char *letter;

	if (unit[0] == '\0')
		return 1;
	if ((letter = strchr(letters, unit[0])) == NULL)
		return 0;
	if (unit[1] != '\0' && strcmp(unit + 1, "iB") != 0 &&
	    strcmp(unit + 1, "B") != 0)
		return 0;
	return (uint64_t)1 << (10 * (unsigned)(letter - letters + 1));
}

int
bkp_rate_read(const char *text, uint64_t *out, struct bkp_error *err)
{
	unsigned long long value;
	uint64_t factor = 0;
	char *end = NULL;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && errno == 0)
		factor = factor_of(end);
	if (factor == 0 || value > UINT64_MAX / SECOND_US / factor)
		return bkp_fail(err, BKP_INVALID,
		    "'%s' is no number of bytes a second, such as 500K or "
		    "10MiB",
		    text);
	if (value * factor < BKP_RATE_LEAST)
		return bkp_fail(err, BKP_INVALID,
		    "'%s' a second is too little to keep a connection alive: "
		    "the least is 16K",
		    text);
	*out = value * factor;
	return 0;
}
