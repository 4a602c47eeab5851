/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdint.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/base/schedule.h"
#include "tests/unit/failing_alloc.h"

static struct bkp_schedule *
new_schedule(void)
{
	struct bkp_schedule *schedule = NULL;

	assert_int_equal(bkp_schedule_new(&schedule, NULL), 0);
	return schedule;
}

static size_t
add(struct bkp_schedule *schedule, uint64_t length)
{
	size_t job;

	assert_int_equal(
	    bkp_schedule_add(schedule, length, 1, NULL, &job, NULL), 0);
	return job;
}

static void
after(struct bkp_schedule *schedule, size_t job, size_t earlier)
{
	assert_int_equal(bkp_schedule_after(schedule, job, earlier, NULL), 0);
}

static void
lock(struct bkp_schedule *schedule, size_t job, size_t thing, bool is_alone)
{
	assert_int_equal(
	    bkp_schedule_lock(schedule, job, thing, is_alone, NULL), 0);
}

static void
start(struct bkp_schedule *schedule)
{
	assert_int_equal(bkp_schedule_start(schedule, NULL), 0);
}

static struct bkp_task
take(struct bkp_schedule *schedule)
{
	struct bkp_task task = {SIZE_MAX, 0, NULL};

	assert_int_equal(bkp_schedule_take(schedule, NULL, &task, NULL), 1);
	return task;
}

static void
finish(struct bkp_schedule *schedule, const struct bkp_task *task)
{
	assert_true(bkp_schedule_finish(schedule, task));
	bkp_schedule_release(schedule, task);
}

static void
assert_nothing_left(struct bkp_schedule *schedule)
{
	struct bkp_task task;

	assert_int_equal(bkp_schedule_take(schedule, NULL, &task, NULL), 0);
}

static void
assert_next(struct bkp_schedule *schedule, size_t job)
{
	struct bkp_task task = take(schedule);

	assert_int_equal(task.job, job);
	finish(schedule, &task);
}

static void
the_longest_way_to_the_end_goes_first(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	size_t load_long = add(schedule, 10);
	size_t load_short = add(schedule, 5);
	size_t slow_index = add(schedule, 20);

	(void)state;
	after(schedule, slow_index, load_short);
	start(schedule);
	assert_next(schedule, load_short);
	assert_next(schedule, slow_index);
	assert_next(schedule, load_long);
	assert_nothing_left(schedule);
	bkp_schedule_free(schedule);
}

static void
of_equals_the_first_comes_first(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	size_t jobs[5];

	(void)state;
	for (int i = 0; i < 5; i++)
		jobs[i] = add(schedule, 3);
	start(schedule);
	for (int i = 0; i < 5; i++)
		assert_next(schedule, jobs[i]);
	bkp_schedule_free(schedule);
}

static void
a_job_waits_for_all_that_it_needs(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	size_t a = add(schedule, 2), b = add(schedule, 1);
	size_t both = add(schedule, 100), other = add(schedule, 1);
	struct bkp_task first, second, third;

	(void)state;
	after(schedule, both, a);
	after(schedule, both, b);
	start(schedule);
	first = take(schedule);
	second = take(schedule);
	third = take(schedule);
	assert_int_equal(first.job, a);
	assert_int_equal(second.job, b);
	assert_int_equal(third.job, other);
	finish(schedule, &first);
	finish(schedule, &third);
	finish(schedule, &second);
	assert_next(schedule, both);
	bkp_schedule_free(schedule);
}

static void
units_of_a_job_are_given_to_several_and_awaited_together(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	struct bkp_task units[3];
	size_t job, behind;

	(void)state;
	assert_int_equal(
	    bkp_schedule_add(schedule, 9, 3, schedule, &job, NULL), 0);
	behind = add(schedule, 1);
	after(schedule, behind, job);
	start(schedule);
	for (uint64_t i = 0; i < 3; i++) {
		units[i] = take(schedule);
		assert_int_equal(units[i].job, job);
		assert_int_equal(units[i].unit, i);
		assert_ptr_equal(units[i].arg, schedule);
	}
	assert_false(bkp_schedule_finish(schedule, &units[2]));
	assert_false(bkp_schedule_finish(schedule, &units[0]));
	finish(schedule, &units[1]);
	assert_next(schedule, behind);
	bkp_schedule_free(schedule);
}

static void
who_wants_a_thing_alone_is_passed_over_until_it_is_free(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	size_t index_a = add(schedule, 9), index_b = add(schedule, 8);
	size_t constraint = add(schedule, 7), other = add(schedule, 1);
	struct bkp_task a, b;

	(void)state;
	lock(schedule, index_a, 4, false);
	lock(schedule, index_b, 4, false);
	lock(schedule, constraint, 4, true);
	start(schedule);
	a = take(schedule);
	b = take(schedule);
	assert_int_equal(a.job, index_a);
	assert_int_equal(b.job, index_b);
	assert_next(schedule, other);
	finish(schedule, &b);
	finish(schedule, &a);
	assert_next(schedule, constraint);
	assert_nothing_left(schedule);
	bkp_schedule_free(schedule);
}

static void
nobody_joins_who_has_a_thing_alone(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	size_t alone = add(schedule, 9), shared = add(schedule, 8);
	size_t other = add(schedule, 1);
	struct bkp_task task;

	(void)state;
	lock(schedule, alone, 0, true);
	lock(schedule, alone, 1, true);
	lock(schedule, shared, 1, false);
	start(schedule);
	task = take(schedule);
	assert_int_equal(task.job, alone);
	assert_next(schedule, other);
	finish(schedule, &task);
	assert_next(schedule, shared);
	bkp_schedule_free(schedule);
}

static void
a_circle_is_refused(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	struct bkp_error err = BKP_ERROR_INIT;
	size_t a = add(schedule, 1), b = add(schedule, 1);

	(void)state;
	(void)add(schedule, 1);
	after(schedule, a, b);
	after(schedule, b, a);
	assert_int_equal(bkp_schedule_start(schedule, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	bkp_schedule_free(schedule);
}

static void
after_a_stop_nothing_is_given_out(void **state)
{
	struct bkp_schedule *schedule = new_schedule();

	(void)state;
	(void)add(schedule, 1);
	start(schedule);
	bkp_schedule_stop(schedule);
	assert_nothing_left(schedule);
	bkp_schedule_free(schedule);
}

static void
a_cancel_ends_the_waiting(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	struct bkp_cancel cancel = {0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_task task;
	size_t first = add(schedule, 1), second = add(schedule, 1);

	(void)state;
	after(schedule, second, first);
	start(schedule);
	(void)take(schedule);
	bkp_cancel_request(&cancel);
	assert_int_equal(bkp_schedule_take(schedule, &cancel, &task, &err), -1);
	assert_int_equal(err.code, BKP_CANCELLED);
	bkp_schedule_free(schedule);
}

static void
no_jobs_are_no_work(void **state)
{
	struct bkp_schedule *schedule = new_schedule();

	(void)state;
	start(schedule);
	assert_nothing_left(schedule);
	bkp_schedule_free(schedule);
	bkp_schedule_free(NULL);
}

/* ---- several threads ---- */

#define JOBS 400
#define THINGS 5
#define WORKERS 4

/* What the jobs see of each other. */
struct crowd {
	struct bkp_schedule *schedule;
	atomic_uint units[JOBS]; /* that were done */
	atomic_bool is_over[JOBS];
	atomic_int users[THINGS]; /* -1: alone */
	atomic_uint wrong;
	size_t given;
};

/* Job n has 1 to 3 units, waits for one or two before it, and has a thing that
 * one in four wants alone. */
static size_t
units_of(size_t n)
{
	return 1 + n % 3;
}

static bool
is_alone(size_t n)
{
	return n % 4 == 0;
}

static void
fill_crowd(struct crowd *crowd)
{
	crowd->schedule = new_schedule();
	for (size_t n = 0; n < JOBS; n++) {
		size_t job;

		assert_int_equal(bkp_schedule_add(crowd->schedule, n * 7 % 11,
				     units_of(n), crowd, &job, NULL),
		    0);
		if (n >= 10)
			after(crowd->schedule, n, n - 1 - n % 10);
		if (n >= 20)
			after(crowd->schedule, n, n - 11 - n % 10);
		lock(crowd->schedule, n, n % THINGS, is_alone(n));
	}
	start(crowd->schedule);
}

static void
expect(struct crowd *crowd, bool holds)
{
	if (!holds)
		atomic_fetch_add(&crowd->wrong, 1);
}

static void
do_task(struct crowd *crowd, const struct bkp_task *task)
{
	size_t n = task->job;
	atomic_int *users = &crowd->users[n % THINGS];

	if (n >= 10)
		expect(crowd, atomic_load(&crowd->is_over[n - 1 - n % 10]));
	if (n >= 20)
		expect(crowd, atomic_load(&crowd->is_over[n - 11 - n % 10]));
	/* Units of one job have the thing together. */
	if (is_alone(n) && units_of(n) == 1)
		expect(crowd, atomic_fetch_sub(users, 1000) == 0);
	else if (!is_alone(n))
		expect(crowd, atomic_fetch_add(users, 1) >= 0);
	atomic_fetch_add(&crowd->units[n], 1);
	for (int i = 0; i < 20; i++)
		(void)sched_yield(); /* the others look in */
	if (is_alone(n) && units_of(n) == 1)
		atomic_fetch_add(users, 1000);
	else if (!is_alone(n))
		atomic_fetch_sub(users, 1);
	if (bkp_schedule_finish(crowd->schedule, task)) {
		atomic_store(&crowd->is_over[n], true);
		bkp_schedule_release(crowd->schedule, task);
	}
}

static int
next_drawer(void *arg, void **item, struct bkp_error *err)
{
	struct crowd *crowd = arg;

	(void)err;
	*item = crowd->given++ < WORKERS ? crowd : NULL;
	return 0;
}

static int
draw(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct crowd *crowd = arg;
	struct bkp_task task;
	int more;

	(void)worker;
	(void)item;
	while (
	    (more = bkp_schedule_take(crowd->schedule, NULL, &task, err)) > 0)
		do_task(crowd, &task);
	return more;
}

static void
keep(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

static void
several_draw_and_each_job_is_done_once_in_its_turn(void **state)
{
	static const struct bkp_pipeline_ops ops = {
	    .next = next_drawer, .work = draw, .discard = keep};
	static struct crowd crowd;

	(void)state;
	fill_crowd(&crowd);
	assert_int_equal(
	    bkp_pipeline_run(WORKERS, WORKERS, &ops, &crowd, NULL, NULL), 0);
	assert_int_equal(atomic_load(&crowd.wrong), 0);
	for (size_t n = 0; n < JOBS; n++)
		assert_int_equal(atomic_load(&crowd.units[n]), units_of(n));
	bkp_schedule_free(crowd.schedule);
}

/* ---- memory ---- */

static int
make_small(struct bkp_schedule **out, struct bkp_error *err)
{
	size_t a, b;

	if (bkp_schedule_new(out, err) < 0 ||
	    bkp_schedule_add(*out, 1, 1, NULL, &a, err) < 0 ||
	    bkp_schedule_add(*out, 2, 2, NULL, &b, err) < 0 ||
	    bkp_schedule_after(*out, b, a, err) < 0 ||
	    bkp_schedule_lock(*out, b, 3, true, err) < 0)
		return -1;
	return bkp_schedule_start(*out, err);
}

static void
memory_that_runs_out_is_told_wherever_it_does(void **state)
{
	int rc = -1;

	(void)state;
	for (int n = 0; rc < 0; n++) {
		struct bkp_schedule *schedule = NULL;
		struct bkp_error err = BKP_ERROR_INIT;

		failing_alloc_at(n);
		rc = make_small(&schedule, &err);
		assert_int_equal(failing_alloc_end(), rc < 0);
		if (rc < 0)
			assert_int_equal(err.code, BKP_NOMEM);
		bkp_schedule_free(schedule);
		assert_true(n < 100);
	}
}

/* Two workers and 100 in all: 37 is done in time by one, and 38 is not. */
static void
a_job_is_short_that_one_worker_ends_in_time(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	size_t load, index, others, small;

	(void)state;
	assert_int_equal(
	    bkp_schedule_add(schedule, 30, 5, NULL, &load, NULL), 0);
	assert_int_equal(
	    bkp_schedule_add(schedule, 37, 5, NULL, &small, NULL), 0);
	index = add(schedule, 8);
	others = add(schedule, 25);
	after(schedule, index, load);
	start(schedule);
	assert_true(bkp_schedule_is_short(schedule, small, 2));
	assert_false(bkp_schedule_is_short(schedule, load, 2));
	assert_true(bkp_schedule_is_short(schedule, load, 1));
	assert_true(bkp_schedule_is_short(schedule, others, 50));
	bkp_schedule_free(schedule);
}

static void
units_that_are_joined_are_one(void **state)
{
	struct bkp_schedule *schedule = new_schedule();
	size_t load, index;

	(void)state;
	assert_int_equal(
	    bkp_schedule_add(schedule, 30, 5, NULL, &load, NULL), 0);
	index = add(schedule, 8);
	after(schedule, index, load);
	start(schedule);
	bkp_schedule_join(schedule, load);
	assert_next(schedule, load);
	assert_next(schedule, index);
	assert_nothing_left(schedule);
	bkp_schedule_free(schedule);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_longest_way_to_the_end_goes_first),
	    cmocka_unit_test(of_equals_the_first_comes_first),
	    cmocka_unit_test(a_job_waits_for_all_that_it_needs),
	    cmocka_unit_test(
		units_of_a_job_are_given_to_several_and_awaited_together),
	    cmocka_unit_test(
		who_wants_a_thing_alone_is_passed_over_until_it_is_free),
	    cmocka_unit_test(nobody_joins_who_has_a_thing_alone),
	    cmocka_unit_test(a_circle_is_refused),
	    cmocka_unit_test(after_a_stop_nothing_is_given_out),
	    cmocka_unit_test(a_cancel_ends_the_waiting),
	    cmocka_unit_test(no_jobs_are_no_work),
	    cmocka_unit_test(
		several_draw_and_each_job_is_done_once_in_its_turn),
	    cmocka_unit_test(memory_that_runs_out_is_told_wherever_it_does),
	    cmocka_unit_test(a_job_is_short_that_one_worker_ends_in_time),
	    cmocka_unit_test(units_that_are_joined_are_one),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
