/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/run.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"

#define TICK_MS 200

struct bkp_run {
	unsigned workers;
	struct bkp_events events;
	const struct bkp_cancel *cancel;

	char phase[256];
	uint64_t bytes_total, items_total;
	uint64_t phase_began_ms, last_tick_ms;
	atomic_uint_fast64_t bytes, items;

	bool has_moment;
	int64_t moment_from_us, moment_to_us;

	pthread_mutex_t lock; /* guards the omissions */
	struct bkp_omission *omissions;
	size_t omission_count, omission_cap;
	size_t told; /* omissions already handed to the events */
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int
bkp_run_new(unsigned workers, const struct bkp_events *events,
    const struct bkp_cancel *cancel, struct bkp_run **out,
    struct bkp_error *err)
{
	struct bkp_run *run = bkp_alloc(sizeof(*run), err);

	if (run == NULL)
		return -1;
	run->workers = workers > 0 ? workers : 1;
	if (events != NULL)
		run->events = *events;
	run->cancel = cancel;
	run->phase_began_ms = now_ms();
	pthread_mutex_init(&run->lock, NULL);
	*out = run;
	return 0;
}

void
bkp_run_free(struct bkp_run *run)
{
	if (run == NULL)
		return;
	for (size_t i = 0; i < run->omission_count; i++) {
		free(run->omissions[i].path);
		free(run->omissions[i].reason);
	}
	free(run->omissions);
	pthread_mutex_destroy(&run->lock);
	free(run);
}

unsigned
bkp_run_workers(const struct bkp_run *run)
{
	return run->workers;
}

const struct bkp_cancel *
bkp_run_cancel(const struct bkp_run *run)
{
	return run->cancel;
}

bool
bkp_run_is_cancelled(const struct bkp_run *run)
{
	return bkp_cancel_is_requested(run->cancel) != 0;
}

int
bkp_run_check(const struct bkp_run *run, struct bkp_error *err)
{
	if (bkp_run_is_cancelled(run))
		return bkp_fail(err, BKP_CANCELLED, "stopped on request");
	return 0;
}

int64_t
bkp_run_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
bkp_run_add_moment(struct bkp_run *run, int64_t from_us, int64_t to_us)
{
	if (!run->has_moment || from_us < run->moment_from_us)
		run->moment_from_us = from_us;
	if (!run->has_moment || to_us > run->moment_to_us)
		run->moment_to_us = to_us;
	run->has_moment = true;
}

bool
bkp_run_moment(const struct bkp_run *run, int64_t *from_us, int64_t *to_us)
{
	if (!run->has_moment)
		return false;
	*from_us = run->moment_from_us;
	*to_us = run->moment_to_us;
	return true;
}

void
bkp_run_message(struct bkp_run *run, enum bkp_level level, const char *path,
    const char *format, ...)
{
	char text[1024];
	va_list ap;

	if (run->events.message == NULL)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	run->events.message(run->events.arg, level, path, text);
}

/* Hands omissions that workers noted to the events. The lock is not held
 * while the callback runs: an omission never moves or changes. */
static void
tell_omissions(struct bkp_run *run)
{
	for (;;) {
		struct bkp_omission omission = {NULL, NULL};

		pthread_mutex_lock(&run->lock);
		if (run->told < run->omission_count)
			omission = run->omissions[run->told++];
		pthread_mutex_unlock(&run->lock);
		if (omission.path == NULL)
			return;
		bkp_run_message(
		    run, BKP_OMISSION, omission.path, "%s", omission.reason);
	}
}

static void
tell_progress(struct bkp_run *run, uint64_t now)
{
	struct bkp_progress progress;

	if (run->events.progress == NULL || run->phase[0] == '\0')
		return;
	progress.phase = run->phase;
	progress.bytes_done = atomic_load(&run->bytes);
	progress.items_done = atomic_load(&run->items);
	progress.bytes_total = run->bytes_total;
	progress.items_total = run->items_total;
	progress.elapsed_ms = now - run->phase_began_ms;
	run->events.progress(run->events.arg, &progress);
}

void
bkp_run_phase(struct bkp_run *run, uint64_t bytes_total, uint64_t items_total,
    const char *format, ...)
{
	va_list ap;

	tell_omissions(run);
	tell_progress(run, now_ms());
	va_start(ap, format);
	(void)vsnprintf(run->phase, sizeof(run->phase), format, ap);
	va_end(ap);
	run->bytes_total = bytes_total;
	run->items_total = items_total;
	atomic_store(&run->bytes, 0);
	atomic_store(&run->items, 0);
	run->phase_began_ms = run->last_tick_ms = now_ms();
}

void
bkp_run_show(struct bkp_run *run)
{
	run->last_tick_ms = now_ms();
	tell_progress(run, run->last_tick_ms);
}

void
bkp_run_tick(struct bkp_run *run)
{
	uint64_t now = now_ms();

	if (now - run->last_tick_ms < TICK_MS)
		return;
	run->last_tick_ms = now;
	tell_omissions(run);
	tell_progress(run, now);
}

void
bkp_run_count(struct bkp_run *run, uint64_t bytes, uint64_t items)
{
	atomic_fetch_add(&run->bytes, bytes);
	atomic_fetch_add(&run->items, items);
}

static int
add_omission(
    struct bkp_run *run, char *path, char *reason, struct bkp_error *err)
{
	int rc;

	pthread_mutex_lock(&run->lock);
	rc = bkp_grow(&run->omissions, run->omission_count, &run->omission_cap,
	    sizeof(*run->omissions), err);
	if (rc == 0) {
		run->omissions[run->omission_count].path = path;
		run->omissions[run->omission_count].reason = reason;
		run->omission_count++;
	}
	pthread_mutex_unlock(&run->lock);
	return rc;
}

int
bkp_run_omit(struct bkp_run *run, struct bkp_error *err, const char *path,
    const char *format, ...)
{
	char text[1024];
	char *path_copy, *reason;
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	path_copy = bkp_strdup(path, err);
	reason = bkp_strdup(text, err);
	if (path_copy == NULL || reason == NULL ||
	    add_omission(run, path_copy, reason, err) < 0) {
		free(path_copy);
		free(reason);
		return -1;
	}
	return 0;
}

const struct bkp_omission *
bkp_run_omissions(struct bkp_run *run, size_t *count)
{
	tell_omissions(run);
	*count = run->omission_count;
	return run->omissions;
}
