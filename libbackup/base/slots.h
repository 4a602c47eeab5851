/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_SLOTS_H
#define LIBBACKUP_BASE_SLOTS_H

/*
 * Numbers 0..count-1 for more threads than there are: who has one is the only
 * one who has it. What takes much memory is kept by number, so that threads
 * that mostly wait for a server can be many. Any thread.
 */

#include <pthread.h>
#include <stdbool.h>

#include "libbackup/error.h"

struct bkp_slots {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	bool *is_taken; /* owned; NULL: not open */
	unsigned count;
};

int bkp_slots_open(
    struct bkp_slots *slots, unsigned count, struct bkp_error *err);
void bkp_slots_close(struct bkp_slots *slots); /* also of one all zero */

/* Waits for one; the lowest, which was used last more likely than others. */
unsigned bkp_slots_take(struct bkp_slots *slots);
void bkp_slots_give(struct bkp_slots *slots, unsigned slot);

#endif
