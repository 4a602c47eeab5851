/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "libbackup/base/duration.h"
#include "libbackup/operations/retention.h"
#include "tests/unit/failing_alloc.h"

#define SECOND ((int64_t)1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

static const char *const stack[] = {"files/etc", "postgres/app"};

/* "2026-11-18 02:00" in microseconds. */
static int64_t
at(const char *text)
{
	struct tm tm = {.tm_mday = 1};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (int64_t)timegm(&tm) * SECOND;
}

/* A repository of up to 64 snapshots, and what was decided about it. */
struct story {
	struct bkp_candidate items[64];
	char names[64][65];
	size_t count;
	int64_t now_us; /* 0: a minute after the newest */
	struct bkp_retention retention;
	struct bkp_retention_scope scope;
	struct bkp_decisions decisions;
};

static struct story
begin(void)
{
	struct story story;

	memset(&story, 0, sizeof(story));
	story.retention.size = sizeof(story.retention);
	return story;
}

/* Returns the snapshot, to be changed. */
static struct bkp_candidate *
add(struct story *story, const char *host, const char *time)
{
	struct bkp_candidate *c = &story->items[story->count];

	(void)snprintf(
	    story->names[story->count], 65, "%012zx%052d", story->count, 0);
	*c = (struct bkp_candidate){.name = story->names[story->count],
	    .host = host,
	    .time_us = at(time),
	    .finished_us = at(time) + SECOND,
	    .sources = stack,
	    .source_count = 2};
	story->count++;
	return c;
}

static void
decide(struct story *story)
{
	struct bkp_error err = BKP_ERROR_INIT;
	int64_t now = story->now_us;

	for (size_t i = 0; story->now_us == 0 && i < story->count; i++)
		if (story->items[i].time_us >= now)
			now = story->items[i].time_us + 60 * SECOND;
	if (bkp_retention_decide(&story->retention, &story->scope, story->items,
		story->count, now, &story->decisions, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(story->decisions.count, story->count);
	for (size_t i = 0; i < story->count; i++)
		assert_ptr_equal(
		    story->decisions.items[i].snapshot, story->items[i].name);
}

static bool
has_reason(const struct story *story, size_t n, const char *reason)
{
	const struct bkp_decision *d = &story->decisions.items[n];

	for (size_t i = 0; i < d->reason_count; i++)
		if (strcmp(d->reasons[i], reason) == 0)
			return true;
	return false;
}

static void
expect(struct story *story, size_t n, int is_kept, const char *reason)
{
	const struct bkp_decision *d = &story->decisions.items[n];

	assert_true(d->reason_count > 0);
	if (d->is_kept == is_kept && has_reason(story, n, reason))
		return;
	print_message("snapshot %zu is kept: %d\n", n, d->is_kept);
	for (size_t i = 0; i < d->reason_count; i++)
		print_message("  %s\n", d->reasons[i]);
	fail_msg("not: %s", reason);
}

/* Decides and gives a letter each: k or g. */
static const char *
outcome(struct story *story, char text[65])
{
	decide(story);
	for (size_t i = 0; i < story->count; i++)
		text[i] = story->decisions.items[i].is_kept ? 'k' : 'g';
	text[story->count] = '\0';
	return text;
}

static void
end(struct story *story)
{
	bkp_decisions_free(&story->decisions);
	assert_null(story->decisions.items);
}

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

/* ---- what is not good ---- */

static void
a_degraded_one_takes_no_place(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-14 02:00");
	add(&story, "db1", "2026-11-15 02:00");
	add(&story, "db1", "2026-11-16 02:00")->omission_count = 3;
	add(&story, "db1", "2026-11-17 02:00");
	add(&story, "db1", "2026-11-17 21:00")->omission_count = 1;
	add(&story, "db1", "2026-11-18 02:00")->omission_count = 1;
	story.retention.keep_daily = 2;
	assert_string_equal(outcome(&story, text), "gkkkgk");
	expect(&story, 1, 1, "daily 2 of 2 (2026-11-15)");
	expect(&story, 2, 1,
	    "daily, beside the 2 (2026-11-16): something was left out of it, "
	    "and there is no better one of that time");
	expect(&story, 3, 1, "daily 1 of 2 (2026-11-17)");
	expect(&story, 3, 1, "the last good one");
	expect(&story, 4, 0, "daily: 000000000003 is kept for 2026-11-17");
	expect(&story, 5, 1, "the newest of db1");
	end(&story);
}

static void
degraded_ones_alone_are_kept_as_far_as_the_rule_goes(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-14 02:00")->omission_count = 1;
	add(&story, "db1", "2026-11-15 02:00")->omission_count = 1;
	add(&story, "db1", "2026-11-16 02:00")->omission_count = 1;
	story.retention.keep_daily = 2;
	assert_string_equal(outcome(&story, text), "gkk");
	expect(&story, 0, 0,
	    "daily: something was left out of it, and newer ones are enough");
	expect(&story, 2, 1, "the last one whose verification did not fail");
	end(&story);
}

static void
an_old_degraded_one_does_not_stay_behind(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-14 02:00")->omission_count = 1;
	add(&story, "db1", "2026-11-15 02:00");
	add(&story, "db1", "2026-11-16 02:00");
	story.retention.keep_last = 2;
	assert_string_equal(outcome(&story, text), "gkk");
	end(&story);
}

static void
the_last_good_one_stays_whatever_the_rules_say(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2020-01-01 02:00");
	for (int i = 0; i < 5; i++)
		add(&story, "db1", "2026-11-14 02:00")->omission_count = 1;
	story.retention.keep_within = "1h";
	outcome(&story, text);
	assert_int_equal(text[0], 'k');
	expect(&story, 0, 1, "the last good one");
	end(&story);
}

/* ---- proofs ---- */

static void
the_last_proven_one_stays(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-10 02:00")->proven_us =
	    at("2026-11-10 04:00");
	add(&story, "db1", "2026-11-11 02:00")->proven_us =
	    at("2026-11-11 04:00");
	add(&story, "db1", "2026-11-12 02:00");
	add(&story, "db1", "2026-11-13 02:00");
	story.retention.keep_last = 1;
	assert_string_equal(outcome(&story, text), "gkgk");
	expect(&story, 1, 1,
	    "the last one that was proven (2026-11-11 04:00 UTC)");
	end(&story);
}

static void
a_failed_verification_keeps_the_proof_before_it(void **state)
{
	struct story story = begin();
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-10 02:00")->proven_us =
	    at("2026-11-10 04:00");
	add(&story, "db1", "2026-11-12 02:00")->failed_us =
	    at("2026-11-12 04:00");
	add(&story, "db1", "2026-11-13 02:00")->failed_us =
	    at("2026-11-13 04:00");
	story.retention.keep_last = 1;
	assert_string_equal(outcome(&story, text), "kgk");
	expect(&story, 0, 1,
	    "the last one that was proven (2026-11-10 04:00 UTC): the "
	    "verification of 000000000002 failed");
	expect(&story, 0, 1, "the last good one");
	expect(&story, 1, 0,
	    "last: its verification failed, and newer ones are enough");
	end(&story);
}

static void
a_proof_that_failed_later_is_none_while_there_is_a_better_one(void **state)
{
	struct story story = begin();
	struct bkp_candidate *c;
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-10 02:00")->proven_us =
	    at("2026-11-10 04:00");
	c = add(&story, "db1", "2026-11-11 02:00");
	c->proven_us = at("2026-11-11 04:00");
	c->failed_us = at("2026-11-12 04:00");
	add(&story, "db1", "2026-11-13 02:00");
	story.retention.keep_last = 1;
	assert_string_equal(outcome(&story, text), "kgk");
	end(&story);
	/* The other way round it is proven again. */
	c->failed_us = at("2026-11-11 03:00");
	assert_string_equal(outcome(&story, text), "gkk");
	end(&story);
	/* Where no better one is left, what once held is all there is. */
	story.items[0].proven_us = 0;
	c->failed_us = at("2026-11-12 04:00");
	assert_string_equal(outcome(&story, text), "gkk");
	end(&story);
}

static void
a_whole_proof_is_not_replaced_by_a_degraded_one(void **state)
{
	struct story story = begin();
	struct bkp_candidate *c;
	char text[65];

	(void)state;
	add(&story, "db1", "2026-11-10 02:00")->proven_us =
	    at("2026-11-10 04:00");
	c = add(&story, "db1", "2026-11-11 02:00");
	c->proven_us = at("2026-11-11 04:00");
	c->omission_count = 1;
	add(&story, "db1", "2026-11-12 02:00");
	add(&story, "db1", "2026-11-13 02:00");
	story.retention.keep_last = 1;
	assert_string_equal(outcome(&story, text), "kggk");
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

/* ---- properties ---- */

#define MANY 10000

struct crowd {
	struct bkp_candidate *items;
	char (*names)[65];
	size_t count;
};

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static struct crowd
make_crowd(size_t count, uint64_t seed)
{
	static const char *const hosts[] = {"db1", "db2", "web"};
	static const char *const tags[] = {"audit"};
	struct crowd crowd = {.count = count};

	crowd.items = calloc(count, sizeof(*crowd.items));
	crowd.names = calloc(count, sizeof(*crowd.names));
	assert_non_null(crowd.items);
	assert_non_null(crowd.names);
	for (size_t i = 0; i < count; i++) {
		struct bkp_candidate *c = &crowd.items[i];

		(void)snprintf(crowd.names[i], 65, "%064zx", i);
		c->name = crowd.names[i];
		c->host = hosts[next_random(&seed) % 3];
		c->time_us = at("2026-01-01 00:00") +
			     (int64_t)(next_random(&seed) % (count * 2)) * HOUR;
		c->finished_us = c->time_us + SECOND;
		c->sources = stack;
		c->source_count = 1 + next_random(&seed) % 2;
		c->omission_count = next_random(&seed) % 5 == 0;
		if (next_random(&seed) % 7 == 0)
			c->proven_us = c->time_us + HOUR;
		if (next_random(&seed) % 11 == 0)
			c->failed_us = c->time_us + 2 * HOUR;
		if (next_random(&seed) % 97 == 0) {
			c->tags = tags;
			c->tag_count = 1;
		}
	}
	return crowd;
}

static void
free_crowd(struct crowd *crowd)
{
	free(crowd->items);
	free(crowd->names);
}

static struct bkp_retention
random_retention(uint64_t *seed)
{
	static const char *const withins[] = {NULL, "36h", "3d", "2w"};
	static const char *const tags[] = {"audit"};
	struct bkp_retention r = BKP_RETENTION_INIT;

	r.keep_last = (unsigned)(next_random(seed) % 4);
	r.keep_hourly = (unsigned)(next_random(seed) % 6);
	r.keep_daily = (unsigned)(next_random(seed) % 8);
	r.keep_weekly = (unsigned)(next_random(seed) % 5);
	r.keep_monthly = (unsigned)(next_random(seed) % 4);
	r.keep_yearly = (unsigned)(next_random(seed) % 3);
	r.keep_within = withins[next_random(seed) % 4];
	r.keep_tags = tags;
	r.keep_tag_count = (unsigned)(next_random(seed) % 2);
	if (!bkp_retention_has_rule(&r))
		r.keep_last = 1;
	return r;
}

static struct bkp_decisions
decide_crowd(const struct crowd *crowd, const struct bkp_retention *retention)
{
	struct bkp_decisions decisions = BKP_DECISIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_retention_decide(retention, NULL, crowd->items, crowd->count,
		at("2026-03-01 00:00"), &decisions, &err) < 0)
		fail_msg("%s", err.message);
	return decisions;
}

/* A group keeps its newest, a good one and a proven one where it had one. */
static void
check_groups(const struct crowd *crowd, const struct bkp_decisions *decisions)
{
	static const char *const hosts[] = {"db1", "db2", "web"};

	for (size_t g = 0; g < 6; g++) {
		bool had[3] = {false}, has[3] = {false};

		for (size_t i = 0; i < crowd->count; i++) {
			const struct bkp_candidate *c = &crowd->items[i];
			bool is[3] = {true,
			    c->omission_count == 0 && c->failed_us == 0,
			    c->proven_us != 0 && c->failed_us == 0};

			if (strcmp(c->host, hosts[g % 3]) != 0 ||
			    c->source_count != 1 + g / 3)
				continue;
			for (size_t k = 0; k < 3; k++) {
				had[k] |= is[k];
				has[k] |= is[k] && decisions->items[i].is_kept;
			}
		}
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(had[k], has[k]);
	}
}

static void
no_group_is_emptied_and_every_decision_has_a_reason(void **state)
{
	uint64_t seed = 88172645463325252ULL;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct crowd crowd =
		    make_crowd(1 + next_random(&seed) % 200, seed);
		struct bkp_retention retention = random_retention(&seed);
		struct bkp_decisions decisions =
		    decide_crowd(&crowd, &retention);

		check_groups(&crowd, &decisions);
		for (size_t i = 0; i < crowd.count; i++)
			assert_true(decisions.items[i].reason_count > 0);
		bkp_decisions_free(&decisions);
		free_crowd(&crowd);
	}
}

/* Makes one rule keep more. */
static void
raise(struct bkp_retention *retention, uint64_t *seed)
{
	unsigned *const numbers[] = {&retention->keep_last,
	    &retention->keep_hourly, &retention->keep_daily,
	    &retention->keep_weekly, &retention->keep_monthly,
	    &retention->keep_yearly};
	size_t which = (unsigned)(next_random(seed) % 7);

	if (which == 6)
		retention->keep_within = "3m";
	else
		*numbers[which] += 1 + (unsigned)(next_random(seed) % 3);
}

static void
to_keep_more_never_keeps_less(void **state)
{
	uint64_t seed = 362436069362436069ULL;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct crowd crowd =
		    make_crowd(1 + next_random(&seed) % 200, seed);
		struct bkp_retention retention = random_retention(&seed);
		struct bkp_decisions less = decide_crowd(&crowd, &retention),
				     more;

		raise(&retention, &seed);
		more = decide_crowd(&crowd, &retention);
		for (size_t i = 0; i < crowd.count; i++)
			if (less.items[i].is_kept)
				assert_true(more.items[i].is_kept);
		bkp_decisions_free(&less);
		bkp_decisions_free(&more);
		free_crowd(&crowd);
	}
}

/* What went is gone: the same rules then take nothing more. */
static void
to_prune_again_at_once_takes_nothing_more(void **state)
{
	uint64_t seed = 521288629521288629ULL;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct crowd crowd =
		    make_crowd(1 + next_random(&seed) % 200, seed);
		struct bkp_retention retention = random_retention(&seed);
		struct bkp_decisions decisions =
		    decide_crowd(&crowd, &retention);
		size_t kept = 0;

		for (size_t i = 0; i < crowd.count; i++)
			if (decisions.items[i].is_kept)
				crowd.items[kept++] = crowd.items[i];
		bkp_decisions_free(&decisions);
		crowd.count = kept;
		decisions = decide_crowd(&crowd, &retention);
		for (size_t i = 0; i < crowd.count; i++)
			assert_true(decisions.items[i].is_kept);
		bkp_decisions_free(&decisions);
		free_crowd(&crowd);
	}
}

static void
ten_thousand_are_decided_at_once(void **state)
{
	struct crowd crowd = make_crowd(MANY, 123456789);
	struct bkp_retention retention = {.size = sizeof(retention),
	    .keep_last = 10,
	    .keep_hourly = 48,
	    .keep_daily = 30,
	    .keep_weekly = 12,
	    .keep_monthly = 24,
	    .keep_yearly = 10};
	clock_t began = clock();
	struct bkp_decisions decisions = decide_crowd(&crowd, &retention);

	(void)state;
	assert_true(clock() - began < 5 * CLOCKS_PER_SEC);
	check_groups(&crowd, &decisions);
	bkp_decisions_free(&decisions);
	free_crowd(&crowd);
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

static void
every_allocation_may_fail(void **state)
{
	struct crowd crowd = make_crowd(20, 4711);
	uint64_t seed = 42;
	struct bkp_retention retention = random_retention(&seed);

	(void)state;
	retention.keep_within = "3d";
	for (int n = 0;; n++) {
		struct bkp_decisions decisions = BKP_DECISIONS_INIT;
		struct bkp_error err = BKP_ERROR_INIT;
		int rc;

		failing_alloc_at(n);
		rc = bkp_retention_decide(&retention, NULL, crowd.items,
		    crowd.count, at("2026-01-02 00:00"), &decisions, &err);
		if (!failing_alloc_end()) {
			assert_int_equal(rc, 0);
			bkp_decisions_free(&decisions);
			break;
		}
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
		assert_null(decisions.items);
	}
	free_crowd(&crowd);
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
	    cmocka_unit_test(no_rule_is_refused),
	    cmocka_unit_test(hosts_and_sets_of_sources_are_apart),
	    cmocka_unit_test(only_what_was_asked_about_goes),
	    cmocka_unit_test(a_degraded_one_takes_no_place),
	    cmocka_unit_test(
		degraded_ones_alone_are_kept_as_far_as_the_rule_goes),
	    cmocka_unit_test(an_old_degraded_one_does_not_stay_behind),
	    cmocka_unit_test(the_last_good_one_stays_whatever_the_rules_say),
	    cmocka_unit_test(the_last_proven_one_stays),
	    cmocka_unit_test(a_failed_verification_keeps_the_proof_before_it),
	    cmocka_unit_test(
		a_proof_that_failed_later_is_none_while_there_is_a_better_one),
	    cmocka_unit_test(a_whole_proof_is_not_replaced_by_a_degraded_one),
	    cmocka_unit_test(the_future_stays_and_counts_for_nothing),
	    cmocka_unit_test(extreme_times_are_divided_too),
	    cmocka_unit_test(
		a_tie_goes_to_what_was_finished_last_and_then_to_a_name),
	    cmocka_unit_test(
		no_group_is_emptied_and_every_decision_has_a_reason),
	    cmocka_unit_test(to_keep_more_never_keeps_less),
	    cmocka_unit_test(to_prune_again_at_once_takes_nothing_more),
	    cmocka_unit_test(ten_thousand_are_decided_at_once),
	    cmocka_unit_test(no_snapshots_are_no_decisions),
	    cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
