/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/schedule.h"

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
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
