/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "libbackup/base/duration.h"
#include "tests/unit/retention_fixture.h"

/* ---- rules ---- */

static void
the_last_ones_stay_and_the_others_go(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-18 02:00");
	add(&story, "db1", "2026-11-18 03:00");
	add(&story, "db1", "2026-11-18 04:00");
	story.retention.keep_last = 2;
	assert_string_equal(outcome(&story, text), "gkk");
	expect(&story, 0, 0, "last: the 2 places are newer ones'");
	expect(&story, 1, 1, "last 2 of 2");
	expect(&story, 2, 1, "last 1 of 2");
	expect(&story, 2, 1, "the newest of db1");
	assert_string_equal(
	    story.decisions.items[2].sources, "files/etc, postgres/app");
	end(&story);
}

static void
each_day_keeps_its_newest(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-16 02:00");
	add(&story, "db1", "2026-11-17 02:00");
	add(&story, "db1", "2026-11-17 23:59");
	add(&story, "db1", "2026-11-18 00:00");
	add(&story, "db1", "2026-11-18 02:00");
	story.retention.keep_daily = 2;
	assert_string_equal(outcome(&story, text), "ggkgk");
	expect(&story, 0, 0, "daily: the 2 places are newer ones'");
	expect(&story, 1, 0, "daily: 000000000002 is kept for 2026-11-17");
	expect(&story, 2, 1, "daily 2 of 2 (2026-11-17)");
	expect(&story, 3, 0, "daily: 000000000004 is kept for 2026-11-18");
	end(&story);
}

static void
days_without_a_backup_use_no_place(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2024-01-03 02:00");
	add(&story, "db1", "2025-06-01 02:00");
	add(&story, "db1", "2026-11-18 02:00");
	story.now_us = at("2031-01-01 00:00");
	story.retention.keep_daily = 2;
	assert_string_equal(outcome(&story, text), "gkk");
	end(&story);
}

static void
hours_are_hours_of_utc(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	/* Europe set its clocks back on 2026-10-25 at 01:00 UTC: 02:30 is
	 * there twice by the wall, and not by UTC. */
	add(&story, "db1", "2026-10-25 00:30");
	add(&story, "db1", "2026-10-25 01:30");
	add(&story, "db1", "2026-10-25 01:45");
	story.retention.keep_hourly = 24;
	assert_string_equal(outcome(&story, text), "kgk");
	expect(&story, 0, 1, "hourly 2 of 24 (2026-10-25 00:00)");
	expect(
	    &story, 1, 0, "hourly: 000000000002 is kept for 2026-10-25 01:00");
	end(&story);
}

static void
the_zone_of_the_machine_changes_nothing(void **state)
{
	static const char *const zones[] = {"UTC", "Pacific/Kiritimati",
	    "America/Los_Angeles", "Europe/Berlin"};
	char text[65];

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		struct story story = begin();

		assert_int_equal(setenv("TZ", zones[i], 1), 0);
		tzset();
		add(&story, "db1", "2026-03-28 23:30");
		add(&story, "db1", "2026-03-29 00:30");
		add(&story, "db1", "2026-03-29 01:30");
		add(&story, "db1", "2026-03-29 23:30");
		story.retention.keep_daily = 7;
		assert_string_equal(outcome(&story, text), "kggk");
		end(&story);
	}
	assert_int_equal(unsetenv("TZ"), 0);
	tzset();
}

static void
weeks_are_iso_weeks_across_the_turn_of_the_year(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	/* Monday 2026-12-28 to Sunday 2027-01-03 are week 53 of 2026. */
	add(&story, "db1", "2026-12-27 02:00"); /* Sunday of week 52 */
	add(&story, "db1", "2026-12-28 02:00");
	add(&story, "db1", "2026-12-31 02:00");
	add(&story, "db1", "2027-01-03 23:59");
	add(&story, "db1", "2027-01-04 00:00"); /* Monday of week 1 */
	story.retention.keep_weekly = 8;
	assert_string_equal(outcome(&story, text), "kggkk");
	expect(&story, 4, 1, "weekly 1 of 8 (2027-W01)");
	expect(&story, 3, 1, "weekly 2 of 8 (2026-W53)");
	expect(&story, 0, 1, "weekly 3 of 8 (2026-W52)");
	end(&story);
}

static void
months_and_years_keep_their_newest(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2024-02-29 02:00");
	add(&story, "db1", "2025-12-31 02:00");
	add(&story, "db1", "2026-01-01 02:00");
	add(&story, "db1", "2026-01-31 02:00");
	add(&story, "db1", "2026-02-01 02:00");
	story.retention.keep_monthly = 2;
	story.retention.keep_yearly = 2;
	assert_string_equal(outcome(&story, text), "gkgkk");
	expect(&story, 1, 1, "yearly 2 of 2 (2025)");
	expect(&story, 3, 1, "monthly 2 of 2 (2026-01)");
	expect(&story, 4, 1, "yearly 1 of 2 (2026)");
	expect(&story, 2, 0, "monthly: 000000000003 is kept for 2026-01");
	expect(&story, 2, 0, "yearly: 000000000004 is kept for 2026");
	end(&story);
}

static void
before_1970_is_divided_as_well(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "1969-12-30 23:00");
	add(&story, "db1", "1969-12-31 23:00")->time_us += HOUR - 1;
	add(&story, "db1", "1970-01-01 00:00");
	story.now_us = at("2026-11-18 00:00");
	story.retention.keep_daily = 9;
	assert_string_equal(outcome(&story, text), "kkk");
	expect(&story, 1, 1, "daily 2 of 9 (1969-12-31)");
	end(&story);
}

static void
within_counts_from_the_newest_backup(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-10-18 01:59");
	add(&story, "db1", "2026-10-19 02:00");
	add(&story, "db1", "2026-11-18 02:00");
	story.now_us = at("2029-01-01 00:00"); /* nobody backed up since */
	story.retention.keep_within = "30d";
	assert_string_equal(outcome(&story, text), "gkk");
	expect(&story, 1, 1, "within 30d of the newest");
	expect(&story, 0, 0, "within: older than 30d before the newest");
	end(&story);
}

static void
tags_are_kept_for_ever(void **state)
{
	static const char *const tags[] = {"nightly", "audit"};
	static const char *const kept[] = {"audit", "legal"};
	struct story story = begin();
	struct bkp_candidate *c;
	char text[65];

	(void)state;
	c = add(&story, "db1", "2016-10-18 01:59");
	c->tags = tags;
	c->tag_count = 2;
	c = add(&story, "db1", "2026-10-18 01:59");
	c->tags = tags;
	c->tag_count = 1;
	add(&story, "db1", "2026-11-18 02:00");
	story.retention.keep_last = 1;
	story.retention.keep_tags = kept;
	story.retention.keep_tag_count = 2;
	assert_string_equal(outcome(&story, text), "kgk");
	expect(&story, 0, 1, "tag audit");
	end(&story);
}

static void
durations_are_read_or_refused(void **state)
{
	static const char *const bad[] = {"", "d", "30", "30 d", "-1d", "1.5d",
	    "0d", "3x", "1y2", "1001y", "99999999999999999999d", "1d ", "d1"};
	int64_t us = 7;

	(void)state;
	assert_int_equal(bkp_duration_read("36h", &us, NULL), 0);
	assert_int_equal(us, 36 * HOUR);
	assert_int_equal(bkp_duration_read("2w", &us, NULL), 0);
	assert_int_equal(us, 14 * DAY);
	assert_int_equal(bkp_duration_read("1y6m", &us, NULL), 0);
	assert_int_equal(us, (366 + 6 * 31) * DAY);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bkp_error err = BKP_ERROR_INIT;

		us = 7;
		assert_int_equal(bkp_duration_read(bad[i], &us, &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
		assert_int_equal(us, 7);
	}
}

static void
spans_are_read_or_refused(void **state)
{
	static const char *const bad[] = {"", "m", "30", "30 m", "-1m", "1.5h",
	    "0s", "3y", "1h2", "3661d", "99999999999999999999s", "1m ", "m1"};
	uint64_t ms = 7;

	(void)state;
	assert_int_equal(bkp_span_read("90s", &ms, NULL), 0);
	assert_int_equal(ms, 90 * 1000);
	assert_int_equal(bkp_span_read("1h30m", &ms, NULL), 0);
	assert_int_equal(ms, 90 * 60 * 1000);
	assert_int_equal(bkp_span_read("1w2d", &ms, NULL), 0);
	assert_int_equal(ms, 9 * (DAY / 1000));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bkp_error err = BKP_ERROR_INIT;

		ms = 7;
		assert_int_equal(bkp_span_read(bad[i], &ms, &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
		assert_int_equal(ms, 7);
	}
}

static void
spans_are_told_in_two_units(void **state)
{
	(void)state;
	assert_string_equal(bkp_span(0).text, "0 ms");
	assert_string_equal(bkp_span(320).text, "320 ms");
	assert_string_equal(bkp_span(45999).text, "45 s");
	assert_string_equal(bkp_span(90 * 60 * 1000).text, "1 h 30 min");
	assert_string_equal(bkp_span(86400 * 1000).text, "1 d");
	assert_string_equal(bkp_span(51 * 3600 * 1000).text, "2 d 3 h");
}

static void
no_rule_is_refused(void **state)
{
	static const char *const tags[] = {"audit"};
	struct bkp_retention retention = BKP_RETENTION_INIT;
	struct bkp_decisions decisions = BKP_DECISIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_candidate c = {.name = "x", .host = "db1"};

	(void)state;
	assert_false(bkp_retention_has_rule(&retention));
	assert_int_equal(
	    bkp_retention_decide(&retention, NULL, &c, 1, 0, &decisions, &err),
	    -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, "nothing is removed"));
	retention.keep_tags = tags;
	retention.keep_tag_count = 1;
	assert_int_equal(
	    bkp_retention_decide(&retention, NULL, &c, 1, 0, &decisions, &err),
	    -1);
	assert_non_null(strstr(err.message, "tags alone"));
	retention.keep_within = "soon";
	assert_int_equal(
	    bkp_retention_decide(&retention, NULL, &c, 1, 0, &decisions, &err),
	    -1);
	assert_null(decisions.items);
}

/* ---- groups ---- */

static void
hosts_and_sets_of_sources_are_apart(void **state)
{
	static const char *const other[] = {"files/etc"};
	struct story story = begin();
	struct bkp_candidate *c;
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-16 02:00");
	c = add(&story, "db1", "2026-11-16 03:00");
	c->sources = other;
	c->source_count = 1;
	add(&story, "db2", "2026-11-16 04:00");
	add(&story, "db1", "2026-11-17 02:00");
	c = add(&story, "db1", "2026-11-17 03:00");
	c->sources = other;
	c->source_count = 1;
	story.retention.keep_last = 1;
	assert_string_equal(outcome(&story, text), "ggkkk");
	end(&story);
}

static void
only_what_was_asked_about_goes(void **state)
{
	static const char *const hosts[] = {"db2"};
	static const char *const sources[] = {"files/etc", "files/home"};
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-16 02:00");
	add(&story, "db1", "2026-11-17 02:00");
	add(&story, "db2", "2026-11-16 02:00");
	add(&story, "db2", "2026-11-17 02:00");
	for (size_t i = 2; i < 4; i++)
		story.items[i].source_count = 1; /* files/etc */
	story.retention.keep_last = 1;
	story.scope.hosts = hosts;
	story.scope.host_count = 1;
	assert_string_equal(outcome(&story, text), "kkgk");
	expect(&story, 0, 1, "not asked about: of host db1");
	end(&story);
	story.scope.host_count = 0;
	story.scope.sources = sources;
	story.scope.source_count = 2;
	assert_string_equal(outcome(&story, text), "kkgk");
	expect(&story, 0, 1, "not asked about: it holds postgres/app");
	end(&story);
}

/* ---- clocks ---- */

static void
the_future_stays_and_counts_for_nothing(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-16 02:00");
	add(&story, "db1", "2026-11-17 02:00");
	add(&story, "db1", "2099-01-01 00:00");
	story.now_us = at("2026-11-17 03:00");
	story.retention.keep_last = 1;
	story.retention.keep_within = "1d";
	assert_string_equal(outcome(&story, text), "kkk");
	expect(&story, 0, 1, "within 1d of the newest");
	expect(&story, 1, 1, "last 1 of 1");
	expect(&story, 2, 1,
	    "from the future (2099-01-01 00:00 UTC): the clock of db1, or of "
	    "this machine, is wrong");
	end(&story);
	/* With a clock at its beginning everything is the future. */
	story.now_us = 0;
	story.retention.keep_within = NULL;
	for (size_t i = 0; i < 3; i++)
		story.items[i].time_us += (int64_t)400 * 366 * DAY;
	story.now_us = 1;
	assert_string_equal(outcome(&story, text), "kkk");
	end(&story);
}

static void
extreme_times_are_divided_too(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-16 02:00")->time_us = INT64_MIN;
	add(&story, "db1", "2026-11-17 02:00");
	add(&story, "db1", "2026-11-17 02:00")->time_us = INT64_MAX;
	story.now_us = at("2026-11-17 03:00");
	story.retention.keep_within = "1d";
	story.retention.keep_yearly = 1;
	assert_string_equal(outcome(&story, text), "gkk");
	end(&story);
}

static void
a_tie_goes_to_what_was_finished_last_and_then_to_a_name(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-17 02:00")->finished_us += SECOND;
	add(&story, "db1", "2026-11-17 02:00");
	story.retention.keep_last = 1;
	assert_string_equal(outcome(&story, text), "kg");
	end(&story);
	story.items[0].finished_us = story.items[1].finished_us;
	assert_string_equal(outcome(&story, text), "gk");
	end(&story);
}

static void
no_snapshots_are_no_decisions(void **state)
{
	struct story story = begin();

	(void)state;
	story.retention.keep_last = 1;
	decide(&story);
	assert_int_equal(story.decisions.count, 0);
	end(&story);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_last_ones_stay_and_the_others_go),
	    cmocka_unit_test(each_day_keeps_its_newest),
	    cmocka_unit_test(days_without_a_backup_use_no_place),
	    cmocka_unit_test(hours_are_hours_of_utc),
	    cmocka_unit_test(the_zone_of_the_machine_changes_nothing),
	    cmocka_unit_test(weeks_are_iso_weeks_across_the_turn_of_the_year),
	    cmocka_unit_test(months_and_years_keep_their_newest),
	    cmocka_unit_test(before_1970_is_divided_as_well),
	    cmocka_unit_test(within_counts_from_the_newest_backup),
	    cmocka_unit_test(tags_are_kept_for_ever),
	    cmocka_unit_test(durations_are_read_or_refused),
	    cmocka_unit_test(spans_are_read_or_refused),
	    cmocka_unit_test(spans_are_told_in_two_units),
	    cmocka_unit_test(no_rule_is_refused),
	    cmocka_unit_test(hosts_and_sets_of_sources_are_apart),
	    cmocka_unit_test(only_what_was_asked_about_goes),
	    cmocka_unit_test(the_future_stays_and_counts_for_nothing),
	    cmocka_unit_test(extreme_times_are_divided_too),
	    cmocka_unit_test(
		a_tie_goes_to_what_was_finished_last_and_then_to_a_name),
	    cmocka_unit_test(no_snapshots_are_no_decisions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
