/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/slots.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"

int
bkp_slots_open(struct bkp_slots *slots, unsigned count, struct bkp_error *err)
{
	slots->is_taken = bkp_alloc_array(count, sizeof(*slots->is_taken), err);
	if (slots->is_taken == NULL)
		return -1;
	slots->count = count;
	pthread_mutex_init(&slots->lock, NULL);
	pthread_cond_init(&slots->freed, NULL);
	return 0;
}

void
bkp_slots_close(struct bkp_slots *slots)
{
	if (slots->is_taken == NULL)
		return;
	free(slots->is_taken);
	slots->is_taken = NULL;
	pthread_cond_destroy(&slots->freed);
	pthread_mutex_destroy(&slots->lock);
}

/* count: there is none. */
static unsigned
find_free(const struct bkp_slots *slots)
{
	unsigned slot = 0;

	while (slot < slots->count && slots->is_taken[slot])
		slot++;
	return slot;
}

unsigned
bkp_slots_take(struct bkp_slots *slots)
{
	unsigned slot;

	pthread_mutex_lock(&slots->lock);
	while ((slot = find_free(slots)) == slots->count)
		pthread_cond_wait(&slots->freed, &slots->lock);
	slots->is_taken[slot] = true;
	pthread_mutex_unlock(&slots->lock);
	return slot;
}

void
bkp_slots_give(struct bkp_slots *slots, unsigned slot)
{
	pthread_mutex_lock(&slots->lock);
	slots->is_taken[slot] = false;
	pthread_cond_signal(&slots->freed);
	pthread_mutex_unlock(&slots->lock);
}
