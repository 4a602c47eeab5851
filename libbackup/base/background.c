/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue with threads behind it (contract in pipeline.h). */
#include <pthread.h>
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"

struct bkp_background {
	const struct bkp_background_ops *ops;
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void **queue; /* ring of `depth` items, `count` from `first` */
	unsigned depth, first, count;
	unsigned busy; /* items being worked on */
	bool has_ended, has_failed;
	struct bkp_error error;
	pthread_t *threads;
	unsigned thread_count;
};

/* Takes an item; NULL at the end. Counts the taker as busy. */
static void *
take(struct bkp_background *b, bool *is_wanted)
{
	void *item = NULL;

	pthread_mutex_lock(&b->lock);
	while (b->count == 0 && !b->has_ended)
		pthread_cond_wait(&b->changed, &b->lock);
	if (b->count > 0) {
		item = b->queue[b->first];
		b->first = (b->first + 1) % b->depth;
		b->count--;
		b->busy++;
		*is_wanted = !b->has_failed && !b->has_ended;
		pthread_cond_broadcast(&b->changed);
	}
	pthread_mutex_unlock(&b->lock);
	return item;
}

static void
finish(struct bkp_background *b, const struct bkp_error *error)
{
	pthread_mutex_lock(&b->lock);
	b->busy--;
	if (error != NULL && !b->has_failed) {
		b->has_failed = true;
		b->error = *error;
	}
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static void *
background_main(void *arg)
{
	struct bkp_background *b = arg;
	bool is_wanted = false;
	void *item;

	while ((item = take(b, &is_wanted)) != NULL) {
		struct bkp_error error = BKP_ERROR_INIT;
		int rc = 0;

		if (is_wanted)
			rc = b->ops->work(b->arg, item, &error);
		b->ops->discard(b->arg, item);
		finish(b, rc < 0 ? &error : NULL);
	}
	return NULL;
}

int
bkp_background_start(unsigned threads, unsigned depth,
    const struct bkp_background_ops *ops, void *arg,
    struct bkp_background **out, struct bkp_error *err)
{
	struct bkp_background *b = bkp_alloc(sizeof(*b), err);
	int error;

	if (b == NULL)
		return -1;
	b->ops = ops;
	b->arg = arg;
	b->depth = depth > 0 ? depth : 1;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	b->queue = bkp_alloc_array(b->depth, sizeof(*b->queue), err);
	b->threads = bkp_alloc_array(threads, sizeof(*b->threads), err);
	if (b->queue == NULL || b->threads == NULL)
		goto fail;
	while (b->thread_count < threads) {
		error = pthread_create(&b->threads[b->thread_count], NULL,
		    background_main, b);
		if (error != 0) {
			(void)bkp_fail_errno(err, error, "starting a thread");
			goto fail;
		}
		b->thread_count++;
	}
	*out = b;
	return 0;
fail:
	bkp_background_stop(b);
	return -1;
}

int
bkp_background_submit(
    struct bkp_background *b, void *item, struct bkp_error *err)
{
	int rc = -1;

	pthread_mutex_lock(&b->lock);
	while (b->count == b->depth && !b->has_failed)
		pthread_cond_wait(&b->changed, &b->lock);
	if (b->has_failed) {
		if (err != NULL)
			*err = b->error;
	} else {
		b->queue[(b->first + b->count) % b->depth] = item;
		b->count++;
		pthread_cond_broadcast(&b->changed);
		rc = 0;
	}
	pthread_mutex_unlock(&b->lock);
	if (rc < 0)
		b->ops->discard(b->arg, item);
	return rc;
}

int
bkp_background_drain(struct bkp_background *b, struct bkp_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	while (b->count > 0 || b->busy > 0)
		pthread_cond_wait(&b->changed, &b->lock);
	if (b->has_failed) {
		if (err != NULL)
			*err = b->error;
		rc = -1;
	}
	pthread_mutex_unlock(&b->lock);
	return rc;
}

void
bkp_background_stop(struct bkp_background *b)
{
	if (b == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	b->has_ended = true;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->thread_count; i++)
		pthread_join(b->threads[i], NULL);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	free(b->threads);
	free(b->queue);
	free(b);
}
