/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tools/cli.h"

static char text[CLI_TEXT_SIZE];

static void
sizes_have_the_unit_that_keeps_them_short(void **state)
{
	(void)state;
	assert_string_equal(cli_size(0, text), "0 B");
	assert_string_equal(cli_size(1023, text), "1023 B");
	assert_string_equal(cli_size(1024, text), "1.0 KiB");
	assert_string_equal(cli_size(1048575, text), "1.0 MiB");
	assert_string_equal(cli_size(3ULL << 30, text), "3.0 GiB");
	assert_string_equal(cli_size(UINT64_MAX, text), "16.0 EiB");
}

static void
counts_are_grouped_by_three_digits(void **state)
{
	(void)state;
	assert_string_equal(cli_count(0, text), "0");
	assert_string_equal(cli_count(999, text), "999");
	assert_string_equal(cli_count(1000, text), "1,000");
	assert_string_equal(
	    cli_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
}

static void
durations_have_hours_only_when_there_are_some(void **state)
{
	(void)state;
	assert_string_equal(cli_duration(0, text), "0:00");
	assert_string_equal(cli_duration(59999, text), "0:59");
	assert_string_equal(cli_duration(3599999, text), "59:59");
	assert_string_equal(cli_duration(3600000, text), "1:00:00");
}

static void
times_are_local_for_people_and_utc_for_programs(void **state)
{
	(void)state;
	assert_int_equal(setenv("TZ", "XXX-05:30", 1), 0);
	tzset();
	assert_string_equal(
	    cli_time(1764547199123456, text), "2025-12-01T05:29:59+05:30");
	assert_int_equal(setenv("TZ", "XXX+03:30", 1), 0);
	tzset();
	assert_string_equal(
	    cli_time(1764547199123456, text), "2025-11-30T20:29:59-03:30");
	assert_string_equal(cli_time_utc(1764547199123456, text),
	    "2025-11-30T23:59:59.123456Z");
}

static void
times_before_1970_and_beyond_all_years_do_not_break(void **state)
{
	(void)state;
	assert_string_equal(
	    cli_time_utc(-1, text), "1969-12-31T23:59:59.999999Z");
	assert_true(strlen(cli_time_utc(INT64_MAX, text)) > 0);
	assert_true(strlen(cli_time(INT64_MIN, text)) > 0);
}

static void
assert_escaped(const char *from, const char *to)
{
	char *got = cli_escape(from);

	assert_non_null(got);
	assert_string_equal(got, to);
	free(got);
}

static void
what_a_terminal_would_obey_is_escaped(void **state)
{
	(void)state;
	assert_escaped("plain 100% \xc3\xa4\xf0\x9f\x98\x80",
	    "plain 100% \xc3\xa4\xf0\x9f\x98\x80");
	assert_escaped("a\nb\033[2J\x7f", "a%0Ab%1B[2J%7F");
	assert_escaped("\xc2\x9b", "%C2%9B");
}

static void
what_is_not_utf8_is_escaped(void **state)
{
	(void)state;
	assert_escaped("\xff", "%FF");
	assert_escaped("\xc3", "%C3");
	assert_escaped("\xc0\x80", "%C0%80");               /* overlong */
	assert_escaped("\xe0\x80\x80", "%E0%80%80");        /* overlong */
	assert_escaped("\xed\xa0\x80", "%ED%A0%80");        /* surrogate */
	assert_escaped("\xf4\x90\x80\x80", "%F4%90%80%80"); /* too large */
	assert_escaped("\xf0\x9f\x98", "%F0%9F%98");        /* cut */
}

static void
assert_json(json_t *json, const char *to)
{
	assert_non_null(json);
	assert_string_equal(json_string_value(json), to);
	json_decref(json);
}

static void
paths_in_json_can_be_had_back(void **state)
{
	(void)state;
	assert_json(cli_json_path("100%\n\xff"), "100%25%0A%FF");
	assert_json(cli_json_text("100%\n\xff"), "100%\n%FF");
	assert_true(json_is_null(cli_json_path(NULL)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_have_the_unit_that_keeps_them_short),
	    cmocka_unit_test(counts_are_grouped_by_three_digits),
	    cmocka_unit_test(durations_have_hours_only_when_there_are_some),
	    cmocka_unit_test(times_are_local_for_people_and_utc_for_programs),
	    cmocka_unit_test(
		times_before_1970_and_beyond_all_years_do_not_break),
	    cmocka_unit_test(what_a_terminal_would_obey_is_escaped),
	    cmocka_unit_test(what_is_not_utf8_is_escaped),
	    cmocka_unit_test(paths_in_json_can_be_had_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
