/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <time.h>

#include "libbackup/base/instant.h"

#define S ((int64_t)1000000)

static int64_t
at(const char *text)
{
	int64_t us = 0;

	if (!bkp_instant_read(text, &us))
		fail_msg("'%s' is taken for no time", text);
	return us;
}

static void
here(const char *zone)
{
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
}

static void
a_time_is_up_to_the_end_of_what_is_told(void **state)
{
	(void)state;
	here("UTC");
	assert_int_equal(at("1970-01-01T00:00:00Z"), S - 1);
	assert_int_equal(at("1970-01-01 00:00:00.25"), 259999);
	assert_int_equal(at("1970-01-01T00:00:00.1234567Z"), 123456);
	assert_int_equal(at("1970-01-01T00:00Z"), 60 * S - 1);
	assert_int_equal(at("1970-01-01"), 86400 * S - 1);
	assert_int_equal(
	    at("2026-11-20T12:00:05Z"), INT64_C(1795176005) * S + S - 1);
	assert_int_equal(at("2028-02-29Z"), at("2028-02-29T23:59:59Z"));
}

static void
a_zone_is_heeded_and_else_the_local_one_is_meant(void **state)
{
	(void)state;
	here("CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(at("2026-01-10T12:00+01:00"), at("2026-01-10T11:00Z"));
	assert_int_equal(at("2026-01-10T12:00-00:30"), at("2026-01-10T12:30Z"));
	assert_int_equal(at("2026-01-10T12:00"), at("2026-01-10T11:00Z"));
	assert_int_equal(at("2026-07-10 12:00"), at("2026-07-10 10:00Z"));
	/* The clock goes back on this day: it has 25 hours. */
	assert_int_equal(at("2026-10-25") - at("2026-10-24"), 25 * 3600 * S);
	assert_int_equal(at("2026-10-25"), at("2026-10-25T22:59:59Z"));
	here("UTC");
}

static void
what_is_no_time_is_none(void **state)
{
	static const char *const texts[] = {"", "latest", "2026", "2026-11",
	    "2026-11-2", "2026-13-01", "2026-02-29", "2026-02-31", "2026-00-10",
	    "20261120", "2026-11-20T", "2026-11-20T1:00", "2026-11-20T24:00",
	    "2026-11-20T12", "2026-11-20T12:60",
	    "2026-11-20T12:00:", "2026-11-20T12:00:60", "2026-11-20T12:00:00.",
	    "2026-11-20T12:00z", "2026-11-20T12:00+1", "2026-11-20T12:00+0100",
	    "2026-11-20T12:00Z ", " 2026-11-20", "2026-11-20x", "deadbeef"};
	int64_t us = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (bkp_instant_read(texts[i], &us) || us != 7)
			fail_msg("'%s' is taken for a time", texts[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_time_is_up_to_the_end_of_what_is_told),
	    cmocka_unit_test(a_zone_is_heeded_and_else_the_local_one_is_meant),
	    cmocka_unit_test(what_is_no_time_is_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
