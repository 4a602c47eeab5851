/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/failing_alloc.h"
#include "tests/unit/retention_fixture.h"

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

static void
the_way_back_of_a_guard_stays_for_seven_days(void **state)
{
	static const char *const guard[] = {"guard"}, *const failed[] = {
							  "x", "guard-failed"};
	struct story story = begin();
	char text[65];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct bkp_candidate *c = add(&story, "db1",
		    (const char *[]){"2026-11-10 02:00", "2026-11-12 02:00",
			"2026-11-13 02:00"}[i]);

		c->tags = i == 2 ? failed : guard;
		c->tag_count = i == 2 ? 2 : 1;
	}
	add(&story, "db1", "2026-11-14 02:00");
	add(&story, "db1", "2026-11-18 02:00");
	story.now_us = at("2026-11-18 03:00");
	story.retention.keep_last = 1;
	assert_string_equal(outcome(&story, text), "gkkgk");
	expect(&story, 1, 1, "a guard's way back, for 7 days");
	expect(&story, 2, 1, "a guard's way back, for 7 days");
	end(&story);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
	    cmocka_unit_test(
		no_group_is_emptied_and_every_decision_has_a_reason),
	    cmocka_unit_test(to_keep_more_never_keeps_less),
	    cmocka_unit_test(to_prune_again_at_once_takes_nothing_more),
	    cmocka_unit_test(the_way_back_of_a_guard_stays_for_seven_days),
	    cmocka_unit_test(ten_thousand_are_decided_at_once),
	    cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
