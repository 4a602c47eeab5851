/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ordered parallel map (contract in pipeline.h). The window is a ring of
 * slots: the calling thread fills the slot at `filled` and empties the one at
 * `emptied`, in order; a worker takes the one at `taken`. So a slot goes
 * FREE -> READY -> WORKING -> FINISHED -> FREE, each step under the lock, and
 * its item belongs to whoever made the last step. Where there is no work to do
 * for an item its slot goes from FREE to FINISHED, and workers pass it over.
 */
#include "libbackup/base/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "libbackup/base/fail.h"

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_WORKING, SLOT_FINISHED };

struct slot {
	enum slot_state state;
	void *item;
};

struct pipeline {
	const struct bkp_pipeline_ops *ops;
	void *arg;
	const struct bkp_cancel *cancel;

	pthread_mutex_t lock;
	pthread_cond_t work_there; /* a slot is READY, or the end */
	pthread_cond_t work_done;  /* a slot is FINISHED, or an error */
	struct slot *ring;
	unsigned window;
	uint64_t filled, taken, emptied; /* counts; slot = count % window */
	bool has_ended;			 /* workers are to go home */
	bool has_failed;
	struct bkp_error error; /* the first one */
};

struct worker {
	struct pipeline *pipeline;
	unsigned number;
	pthread_t thread;
};

static void
keep_first_error(struct pipeline *p, const struct bkp_error *error)
{
	pthread_mutex_lock(&p->lock);
	if (!p->has_failed) {
		p->has_failed = true;
		p->error = *error;
	}
	p->has_ended = true;
	pthread_cond_broadcast(&p->work_there);
	pthread_cond_broadcast(&p->work_done);
	pthread_mutex_unlock(&p->lock);
}

/* Whether there is a slot to take, which is then the one at `taken`. Under the
 * lock. */
static bool
find_ready(struct pipeline *p)
{
	while (p->taken < p->filled &&
	       p->ring[p->taken % p->window].state != SLOT_READY)
		p->taken++;
	return p->taken < p->filled;
}

/* Takes the next ready slot; NULL when there is no more work. */
static struct slot *
take_slot(struct pipeline *p)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&p->lock);
	while (!find_ready(p) && !p->has_ended)
		pthread_cond_wait(&p->work_there, &p->lock);
	if (!p->has_failed && p->taken < p->filled) {
		slot = &p->ring[p->taken % p->window];
		slot->state = SLOT_WORKING;
		p->taken++;
	}
	pthread_mutex_unlock(&p->lock);
	return slot;
}

static void
finish_slot(struct pipeline *p, struct slot *slot)
{
	pthread_mutex_lock(&p->lock);
	slot->state = SLOT_FINISHED;
	pthread_cond_signal(&p->work_done);
	pthread_mutex_unlock(&p->lock);
}

static void *
worker_main(void *arg)
{
	struct worker *worker = arg;
	struct pipeline *p = worker->pipeline;
	struct slot *slot;

	while ((slot = take_slot(p)) != NULL) {
		struct bkp_error error = BKP_ERROR_INIT;

		if (p->ops->work(p->arg, worker->number, slot->item, &error) <
		    0)
			keep_first_error(p, &error);
		finish_slot(p, slot);
	}
	return NULL;
}

/* Waits until the oldest item under way is finished or a fifth of a second has
 * passed. True where it is finished. */
static bool
wait_for_oldest(struct pipeline *p)
{
	struct timespec until;
	struct slot *slot;
	bool is_finished;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 200 * 1000 * 1000;
	if (until.tv_nsec >= 1000 * 1000 * 1000) {
		until.tv_nsec -= 1000 * 1000 * 1000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&p->lock);
	slot = &p->ring[p->emptied % p->window];
	while (slot->state != SLOT_FINISHED && !p->has_failed) {
		if (pthread_cond_timedwait(&p->work_done, &p->lock, &until) ==
		    ETIMEDOUT)
			break;
	}
	is_finished = slot->state == SLOT_FINISHED;
	pthread_mutex_unlock(&p->lock);
	return is_finished;
}

static bool
has_failed(struct pipeline *p)
{
	bool answer;

	pthread_mutex_lock(&p->lock);
	answer = p->has_failed;
	pthread_mutex_unlock(&p->lock);
	return answer;
}

/* Hands over the oldest item if it is finished. */
static void
empty_oldest(struct pipeline *p)
{
	struct bkp_error error = BKP_ERROR_INIT;
	struct slot *slot = &p->ring[p->emptied % p->window];
	void *item = slot->item;

	pthread_mutex_lock(&p->lock);
	slot->item = NULL;
	slot->state = SLOT_FREE;
	p->emptied++;
	if (p->taken < p->emptied)
		p->taken = p->emptied;
	pthread_mutex_unlock(&p->lock);
	if (p->ops->done == NULL)
		p->ops->discard(p->arg, item);
	else if (p->ops->done(p->arg, item, &error) < 0)
		keep_first_error(p, &error);
}

/* Asks for one more item. False at the end of the input or on failure. */
static bool
fill_one(struct pipeline *p)
{
	struct bkp_error error = BKP_ERROR_INIT;
	bool has_work;
	struct slot *slot;
	void *item = NULL;

	if (bkp_cancel_is_requested(p->cancel)) {
		(void)bkp_fail(&error, BKP_CANCELLED, "stopped on request");
		keep_first_error(p, &error);
		return false;
	}
	if (p->ops->next(p->arg, &item, &error) < 0) {
		keep_first_error(p, &error);
		return false;
	}
	if (item == NULL)
		return false;
	has_work =
	    p->ops->needs_work == NULL || p->ops->needs_work(p->arg, item);
	pthread_mutex_lock(&p->lock);
	slot = &p->ring[p->filled % p->window];
	slot->item = item;
	slot->state = has_work ? SLOT_READY : SLOT_FINISHED;
	p->filled++;
	if (has_work)
		pthread_cond_signal(&p->work_there);
	pthread_mutex_unlock(&p->lock);
	return true;
}

static void
tick(struct pipeline *p)
{
	if (p->ops->tick != NULL)
		p->ops->tick(p->arg);
}

/* The calling thread's part. Slots that are FREE or FINISHED belong to it, so
 * it reads `filled` and `emptied`, which only it changes, without the lock. */
static void
feed(struct pipeline *p)
{
	bool has_input = true;

	while (!has_failed(p)) {
		while (has_input && p->filled - p->emptied < p->window)
			has_input = fill_one(p);
		if (has_failed(p) || p->filled == p->emptied)
			break;
		if (wait_for_oldest(p) && !has_failed(p))
			empty_oldest(p);
		if (bkp_cancel_is_requested(p->cancel)) {
			struct bkp_error error = BKP_ERROR_INIT;

			(void)bkp_fail(
			    &error, BKP_CANCELLED, "stopped on request");
			keep_first_error(p, &error);
		}
		tick(p);
	}
}

static void
send_home(struct pipeline *p)
{
	pthread_mutex_lock(&p->lock);
	p->has_ended = true;
	pthread_cond_broadcast(&p->work_there);
	pthread_mutex_unlock(&p->lock);
}

static int
start_workers(struct pipeline *p, struct worker *workers, unsigned count,
    unsigned *started, struct bkp_error *err)
{
	for (*started = 0; *started < count; (*started)++) {
		struct worker *worker = &workers[*started];
		int error;

		worker->pipeline = p;
		worker->number = *started;
		error = pthread_create(
		    &worker->thread, NULL, worker_main, worker);
		if (error != 0)
			return bkp_fail_errno(err, error, "starting a worker");
	}
	return 0;
}

int
bkp_pipeline_run(unsigned workers, unsigned window,
    const struct bkp_pipeline_ops *ops, void *arg,
    const struct bkp_cancel *cancel, struct bkp_error *err)
{
	struct pipeline p = {.ops = ops,
	    .arg = arg,
	    .cancel = cancel,
	    .window = window > 0 ? window : 1};
	struct worker *threads = NULL;
	unsigned started = 0;
	int rc = -1;

	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.work_there, NULL);
	pthread_cond_init(&p.work_done, NULL);
	if ((p.ring = bkp_alloc_array(p.window, sizeof(*p.ring), err)) == NULL)
		goto out;
	threads = bkp_alloc_array(workers, sizeof(*threads), err);
	if (threads == NULL)
		goto out;
	if (start_workers(&p, threads, workers, &started, err) < 0)
		goto out;
	feed(&p);
	rc = 0;
out:
	send_home(&p);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i].thread, NULL);
	if (rc == 0 && p.has_failed) {
		if (err != NULL)
			*err = p.error;
		rc = -1;
	}
	for (unsigned i = 0; p.ring != NULL && i < p.window; i++)
		if (p.ring[i].item != NULL)
			ops->discard(arg, p.ring[i].item);
	tick(&p);
	free(threads);
	free(p.ring);
	pthread_cond_destroy(&p.work_done);
	pthread_cond_destroy(&p.work_there);
	pthread_mutex_destroy(&p.lock);
	return rc;
}
