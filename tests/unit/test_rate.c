/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "libbackup/base/rate.h"

#define SECOND UINT64_C(1000000)
#define START (1000 * SECOND)
#define SAVED (SECOND / 4)

static int
begin(void **state)
{
	static struct bkp_rate rate;

	bkp_rate_init(&rate);
	bkp_rate_set(&rate, 100000);
	*state = &rate;
	return 0;
}

static int
end(void **state)
{
	bkp_rate_destroy(*state);
	return 0;
}

/* Takes pieces one after another, as one who waits does, for as long as it is
 * before `until`; the sum. */
static uint64_t
take_until(struct bkp_rate *rate, uint64_t piece, uint64_t until)
{
	uint64_t now = START, sum = 0;

	while (now < until) {
		now += bkp_rate_take(rate, piece, now);
		sum += piece;
	}
	return sum;
}

static void
without_a_limit_nobody_waits(void **state)
{
	struct bkp_rate *rate = *state;

	bkp_rate_set(rate, 0);
	assert_int_equal(bkp_rate_take(rate, UINT64_MAX, START), 0);
	bkp_rate_wait(rate, UINT64_MAX, NULL);
	bkp_rate_wait(NULL, UINT64_MAX, NULL);
}

static void
what_is_taken_is_paid_for(void **state)
{
	struct bkp_rate *rate = *state;

	/* A quarter of a second is free. */
	assert_int_equal(bkp_rate_take(rate, 100000, START), SECOND - SAVED);
	/* Nobody has waited: the debt grows. */
	assert_int_equal(
	    bkp_rate_take(rate, 50000, START), SECOND + SECOND / 2 - SAVED);
	assert_int_equal(
	    bkp_rate_take(rate, 0, START + SECOND), SECOND / 2 - SAVED);
}

static void
an_idle_time_saves_up_little(void **state)
{
	struct bkp_rate *rate = *state;

	(void)bkp_rate_take(rate, 100000, START);
	assert_int_equal(
	    bkp_rate_take(rate, 100000, START + 100 * SECOND), SECOND - SAVED);
}

static void
the_sum_is_what_the_rate_says_whatever_the_pieces(void **state)
{
	static const uint64_t pieces[] = {1, 7, 1000, 16384, 99999, 250000};
	struct bkp_rate *rate = *state;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		uint64_t sum;

		rate->paid_us = 0;
		sum = take_until(rate, pieces[i], START + 10 * SECOND);
		assert_true(sum <= 1025000 + pieces[i]);
		/* A microsecond of one byte is rounded down. */
		assert_true(sum + pieces[i] >= 1000000);
	}
}

static void
many_bytes_are_no_overflow(void **state)
{
	struct bkp_rate *rate = *state;

	assert_int_equal(bkp_rate_take(rate, UINT64_C(1) << 50, START),
	    (UINT64_C(1) << 50) * 10 - SAVED);
}

static void
a_request_to_stop_ends_the_wait(void **state)
{
	struct bkp_cancel cancel = BKP_CANCEL_INIT;

	bkp_cancel_request(&cancel);
	bkp_rate_wait(*state, UINT64_C(1) << 40, &cancel);
}

static void
rates_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {{"16384", 16384}, {"16K", 16384}, {"500K", 512000},
	    {"10MiB", 10485760}, {"1G", 1073741824}, {"2TiB", 2199023255552},
	    {"20MB", 20971520}};
	static const char *const bad[] = {"", "fast", "-1M", "+1M", " 1M",
	    "1.5M", "10MiB/s", "10Mb", "10m", "0", "16383", "1K", "10MiBx",
	    "99999999999999999999", "18446744073709551615", "99999999T"};
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(bkp_rate_read(good[i].text, &value, NULL), 0);
		assert_int_equal(value, good[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bkp_error err = BKP_ERROR_INIT;

		value = 17;
		assert_int_equal(bkp_rate_read(bad[i], &value, &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
		assert_int_equal(value, 17);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		without_a_limit_nobody_waits, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_is_taken_is_paid_for, begin, end),
	    cmocka_unit_test_setup_teardown(
		an_idle_time_saves_up_little, begin, end),
	    cmocka_unit_test_setup_teardown(
		the_sum_is_what_the_rate_says_whatever_the_pieces, begin, end),
	    cmocka_unit_test_setup_teardown(
		many_bytes_are_no_overflow, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_request_to_stop_ends_the_wait, begin, end),
	    cmocka_unit_test(rates_are_read)};

	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
