/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "libbackup/source/bucket_moment.h"

#define MS 1000
#define SECOND 1000000

static enum bkp_bucket_verdict
judge(int64_t modified_us, bool is_marker, bool has_whole_seconds)
{
	const struct bkp_bucket_window window = {.from = 100 * SECOND,
	    .to = 100 * SECOND + 20 * MS,
	    .has_whole_seconds = has_whole_seconds};
	const struct bkp_s3_version version = {.key = "a",
	    .version_id = "1",
	    .modified_us = modified_us,
	    .is_delete_marker = is_marker};

	return bkp_bucket_judge(&window, &version);
}

static void
what_was_put_before_the_window_or_in_it_is_taken(void **state)
{
	(void)state;
	assert_int_equal(judge(99 * SECOND, false, false), BKP_BUCKET_TAKEN);
	assert_int_equal(judge(100 * SECOND + 10 * MS + 999, false, false),
	    BKP_BUCKET_TAKEN);
	assert_int_equal(judge(100 * SECOND + 20 * MS + 999, false, false),
	    BKP_BUCKET_TAKEN);
	assert_int_equal(judge(100 * SECOND + 21 * MS + 999, false, false),
	    BKP_BUCKET_LATER);
}

static void
only_what_was_deleted_before_the_window_is_gone(void **state)
{
	(void)state;
	assert_int_equal(
	    judge(99 * SECOND + 998 * MS + 999, true, false), BKP_BUCKET_GONE);
	assert_int_equal(
	    judge(99 * SECOND + 999 * MS + 999, true, false), BKP_BUCKET_GONE);
	assert_int_equal(
	    judge(100 * SECOND + 999, true, false), BKP_BUCKET_LATER);
	assert_int_equal(judge(101 * SECOND, true, false), BKP_BUCKET_LATER);
}

/* "100Z" may be any time of that second, and so may "100.000Z". */
static void
a_whole_second_is_all_of_it(void **state)
{
	(void)state;
	assert_int_equal(
	    judge(100 * SECOND + 999999, false, true), BKP_BUCKET_TAKEN);
	assert_int_equal(
	    judge(100 * SECOND + 999, true, true), BKP_BUCKET_LATER);
	assert_int_equal(judge(99 * SECOND + 999, true, true), BKP_BUCKET_GONE);
	assert_int_equal(judge(101 * SECOND, false, true), BKP_BUCKET_LATER);
}

static struct bkp_s3_time
second(int64_t date, int64_t late)
{
	return (struct bkp_s3_time){
	    .from = date * SECOND, .to = (date + 1) * SECOND + late};
}

/* The server is 7 s and 300 ms ahead; its answers take 2 ms. */
static struct bkp_s3_time
date_at(int64_t local_us, int64_t late)
{
	return second((local_us + MS + 7 * SECOND + 300 * MS - late) / SECOND,
	    late > 0 ? SECOND : 0);
}

static void
a_date_of_whole_seconds_beside_finer_ones_is_one(void **state)
{
	const struct bkp_bucket_window window = {
	    .from = 100 * SECOND + 500 * MS, .to = 100 * SECOND + 520 * MS};
	struct bkp_s3_version version = {.key = "a",
	    .version_id = "1",
	    .last_modified = "1970-01-01T00:01:40Z",
	    .modified_us = 101 * SECOND - 1};

	(void)state;
	assert_int_equal(bkp_bucket_judge(&window, &version), BKP_BUCKET_TAKEN);
	version.last_modified = "1970-01-01T00:01:40.999Z";
	assert_int_equal(bkp_bucket_judge(&window, &version), BKP_BUCKET_LATER);
}

static void
dates_tell_how_far_a_server_is_ahead(void **state)
{
	struct bkp_bucket_clock clock = {.ahead_min = 0};
	int64_t at = 50 * SECOND;

	(void)state;
	for (int i = 0; i < 51; i++, at += 20 * MS) {
		const struct bkp_s3_time time = date_at(at, 0);

		bkp_bucket_clock_take(&clock, at, at + 2 * MS, &time, i == 0);
	}
	assert_true(clock.ahead_min <= 7 * SECOND + 300 * MS);
	assert_true(clock.ahead_max >= 7 * SECOND + 300 * MS);
	assert_true(clock.ahead_max - clock.ahead_min <= 24 * MS);
}

static void
a_date_that_is_behind_misleads_nobody(void **state)
{
	(void)state;
	for (int64_t late = 100 * MS; late < SECOND; late += 200 * MS) {
		struct bkp_bucket_clock clock = {.ahead_min = 0};
		int64_t at = 50 * SECOND;

		for (int i = 0; i < 51; i++, at += 20 * MS) {
			const struct bkp_s3_time time = date_at(at, late);

			bkp_bucket_clock_take(
			    &clock, at, at + 2 * MS, &time, i == 0);
		}
		assert_true(clock.ahead_min <= 7 * SECOND + 300 * MS);
		assert_true(clock.ahead_max >= 7 * SECOND + 300 * MS);
		assert_true(
		    clock.ahead_max - clock.ahead_min <= SECOND + 24 * MS);
	}
}

static void
one_date_tells_it_to_a_second(void **state)
{
	struct bkp_bucket_clock clock = {.ahead_min = 0};
	const struct bkp_s3_time time = second(57, 0);

	(void)state;
	bkp_bucket_clock_take(
	    &clock, 50 * SECOND, 50 * SECOND + 2 * MS, &time, true);
	assert_int_equal(clock.ahead_min, 7 * SECOND - 2 * MS);
	assert_int_equal(clock.ahead_max, 8 * SECOND);
}

static void
clocks_that_differ_are_both_believed(void **state)
{
	struct bkp_bucket_clock clock = {.ahead_min = 0};
	const struct bkp_s3_time one = second(57, 0), other = second(40, 0);

	(void)state;
	bkp_bucket_clock_take(&clock, 50 * SECOND, 50 * SECOND, &one, true);
	bkp_bucket_clock_take(&clock, 50 * SECOND, 50 * SECOND, &other, false);
	assert_int_equal(clock.ahead_min, -10 * SECOND);
	assert_int_equal(clock.ahead_max, 8 * SECOND);
}

static void
the_window_is_that_of_all_databases(void **state)
{
	const struct bkp_bucket_clock clock = {.ahead_min = 10 * SECOND,
	    .ahead_max = 10 * SECOND + 5 * MS,
	    .looked_at = 50 * SECOND};
	struct bkp_bucket_window window;
	struct bkp_run *run = NULL;

	(void)state;
	assert_int_equal(bkp_run_new(1, NULL, NULL, &run, NULL), 0);
	window = bkp_bucket_window_of(&clock, run);
	assert_true(window.from < 60 * SECOND);
	assert_true(window.from > 60 * SECOND - 2 * MS);
	bkp_run_add_moment(run, 52 * SECOND, 52 * SECOND + 3 * MS);
	bkp_run_add_moment(run, 51 * SECOND, 51 * SECOND + 3 * MS);
	window = bkp_bucket_window_of(&clock, run);
	assert_true(window.from < 61 * SECOND);
	assert_true(window.from > 61 * SECOND - 10 * MS);
	assert_true(window.to > 62 * SECOND + 8 * MS);
	assert_true(window.to < 62 * SECOND + 18 * MS);
	bkp_run_free(run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_date_of_whole_seconds_beside_finer_ones_is_one),
	    cmocka_unit_test(what_was_put_before_the_window_or_in_it_is_taken),
	    cmocka_unit_test(only_what_was_deleted_before_the_window_is_gone),
	    cmocka_unit_test(a_whole_second_is_all_of_it),
	    cmocka_unit_test(dates_tell_how_far_a_server_is_ahead),
	    cmocka_unit_test(a_date_that_is_behind_misleads_nobody),
	    cmocka_unit_test(one_date_tells_it_to_a_second),
	    cmocka_unit_test(clocks_that_differ_are_both_believed),
	    cmocka_unit_test(the_window_is_that_of_all_databases),
	};

	return cmocka_run_group_tests_name("bucket moment", tests, NULL, NULL);
}
