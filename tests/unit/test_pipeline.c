/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"

struct job {
	int number;
	int square;
};

struct scene {
	int count;	   /* items to yield */
	int fail_next_at;  /* -1: never */
	int fail_work_at;
	int fail_done_at;
	int cancel_at;
	struct bkp_cancel cancel;
	int work_every; /* so many items have one that needs work; 0: all */
	int yielded, finished;
	atomic_int worked;
	atomic_int alive; /* items that nobody has freed yet */
};

static int
yield(void *arg, void **item, struct bkp_error *err)
{
	struct scene *scene = arg;
	struct job *job;

	if (scene->yielded == scene->fail_next_at)
		return bkp_fail(err, BKP_IO, "next failed");
	if (scene->yielded == scene->count) {
		*item = NULL;
		return 0;
	}
	job = calloc(1, sizeof(*job));
	assert_non_null(job);
	job->number = scene->yielded++;
	atomic_fetch_add(&scene->alive, 1);
	*item = job;
	return 0;
}

static bool
needs_work(void *arg, const void *item)
{
	const struct scene *scene = arg;
	const struct job *job = item;

	return scene->work_every == 0 || job->number % scene->work_every == 1;
}

static int
work(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct scene *scene = arg;
	struct job *job = item;
	struct timespec pause = {0, (job->number * 7919) % 50 * 1000};

	(void)worker;
	nanosleep(&pause, NULL);
	if (job->number == scene->cancel_at)
		bkp_cancel_request(&scene->cancel);
	if (job->number == scene->fail_work_at)
		return bkp_fail(err, BKP_CORRUPT, "item %d", job->number);
	job->square = job->number * job->number;
	atomic_fetch_add(&scene->worked, 1);
	return 0;
}

static void
discard(void *arg, void *item)
{
	struct scene *scene = arg;

	atomic_fetch_sub(&scene->alive, 1);
	free(item);
}

static int
done(void *arg, void *item, struct bkp_error *err)
{
	struct scene *scene = arg;
	struct job *job = item;
	int number = job->number, square = job->square;
	int expected = needs_work(arg, item) ? number * number : 0;

	discard(arg, item);
	if (number == scene->fail_done_at)
		return bkp_fail(err, BKP_IO, "done failed");
	if (number != scene->finished || square != expected)
		return bkp_fail(err, BKP_INVALID, "out of order");
	scene->finished++;
	return 0;
}

static const struct bkp_pipeline_ops ops = {
    .next = yield,
    .work = work,
    .needs_work = needs_work,
    .done = done,
    .discard = discard};

static int
play(struct scene *scene, unsigned workers, unsigned window,
    struct bkp_error *err)
{
	return bkp_pipeline_run(
	    workers, window, &ops, scene, &scene->cancel, err);
}

#define QUIET                                                             \
	.fail_next_at = -1, .fail_work_at = -1, .fail_done_at = -1,       \
	.cancel_at = -1

static void
items_come_back_in_order_whatever_the_workers(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 8; workers *= 2)
		for (unsigned window = 1; window <= 64; window *= 4) {
			struct scene scene = {.count = 500, QUIET};
			struct bkp_error err = BKP_ERROR_INIT;

			assert_int_equal(
			    play(&scene, workers, window, &err), 0);
			assert_int_equal(scene.finished, 500);
			assert_int_equal(scene.alive, 0);
		}
}

static void
items_without_work_pass_the_workers_in_order(void **state)
{
	static const int every[] = {2, 5, 100, 1000}; /* the last: a single one */

	(void)state;
	for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++)
		for (unsigned window = 1; window <= 64; window *= 4) {
			struct scene scene = {.count = 500, QUIET};
			struct bkp_error err = BKP_ERROR_INIT;

			scene.work_every = every[i];
			assert_int_equal(play(&scene, 3, window, &err), 0);
			assert_int_equal(scene.finished, 500);
			assert_int_equal(
			    scene.worked, (500 + every[i] - 2) / every[i]);
			assert_int_equal(scene.alive, 0);
		}
}

static void
no_items_is_fine(void **state)
{
	struct scene scene = {.count = 0, QUIET};

	(void)state;
	assert_int_equal(play(&scene, 3, 4, NULL), 0);
}

static void
the_first_error_wins_and_nothing_leaks(void **state)
{
	(void)state;
	for (int at = 0; at < 60; at += 7) {
		struct scene scene = {.count = 60, QUIET};
		struct bkp_error err = BKP_ERROR_INIT;

		scene.fail_work_at = at;
		assert_int_equal(play(&scene, 4, 16, &err), -1);
		assert_int_equal(err.code, BKP_CORRUPT);
		assert_int_equal(scene.alive, 0);
	}
}

static void
an_error_of_next_or_done_ends_it_too(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct scene a = {.count = 60, QUIET};
	struct scene b = {.count = 60, QUIET};

	(void)state;
	a.fail_next_at = 20;
	assert_int_equal(play(&a, 4, 16, &err), -1);
	assert_string_equal(err.message, "next failed");
	assert_int_equal(a.alive, 0);
	b.fail_done_at = 20;
	assert_int_equal(play(&b, 4, 16, &err), -1);
	assert_string_equal(err.message, "done failed");
	assert_int_equal(b.alive, 0);
}

static void
cancel_stops_it(void **state)
{
	struct scene scene = {.count = 100000, QUIET};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	scene.cancel_at = 30;
	assert_int_equal(play(&scene, 4, 16, &err), -1);
	assert_int_equal(err.code, BKP_CANCELLED);
	assert_true(scene.finished < 100000);
	assert_int_equal(scene.alive, 0);
}

static int
background_work(void *arg, void *item, struct bkp_error *err)
{
	struct scene *scene = arg;
	struct job *job = item;

	if (job->number == scene->fail_work_at)
		return bkp_fail(err, BKP_IO, "upload %d failed", job->number);
	return 0;
}

static const struct bkp_background_ops background_ops = {
    .work = background_work, .discard = discard};

static int
submit_all(struct scene *scene, struct bkp_error *err)
{
	struct bkp_background *background = NULL;
	int rc = 0;

	assert_int_equal(bkp_background_start(2, 3, &background_ops, scene,
			     &background, err),
	    0);
	while (rc == 0) {
		void *item = NULL;

		assert_int_equal(yield(scene, &item, err), 0);
		if (item == NULL)
			break;
		rc = bkp_background_submit(background, item, err);
	}
	if (rc == 0)
		rc = bkp_background_drain(background, err);
	bkp_background_stop(background);
	return rc;
}

static void
the_background_does_everything_before_drain_returns(void **state)
{
	struct scene scene = {.count = 200, QUIET};

	(void)state;
	assert_int_equal(submit_all(&scene, NULL), 0);
	assert_int_equal(scene.alive, 0);
}

static void
an_error_in_the_background_is_not_lost(void **state)
{
	(void)state;
	for (int at = 0; at < 20; at++) {
		struct scene scene = {.count = 20, QUIET};
		struct bkp_error err = BKP_ERROR_INIT;

		scene.fail_work_at = at;
		assert_int_equal(submit_all(&scene, &err), -1);
		assert_int_equal(err.code, BKP_IO);
		assert_int_equal(scene.alive, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(items_come_back_in_order_whatever_the_workers),
	    cmocka_unit_test(items_without_work_pass_the_workers_in_order),
	    cmocka_unit_test(no_items_is_fine),
	    cmocka_unit_test(the_first_error_wins_and_nothing_leaks),
	    cmocka_unit_test(an_error_of_next_or_done_ends_it_too),
	    cmocka_unit_test(cancel_stops_it),
	    cmocka_unit_test(
		the_background_does_everything_before_drain_returns),
	    cmocka_unit_test(an_error_in_the_background_is_not_lost),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
