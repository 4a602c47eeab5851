/* SPDX-License-Identifier: Apache-2.0 */
/* How long the object locks of a repository last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/locks.h"

#define DAY (INT64_C(86400) * 1000000)
#define DAYS 40

/* A store that has a config of day 0, and checkpoints of some days. */
struct calendar {
	struct bkp_store base;
	int64_t checkpoints[3]; /* 0: none */
	bool is_broken;
};

static int
list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	const struct calendar *calendar = (const struct calendar *)store;

	assert_string_equal(prefix, "checkpoints/");
	if (calendar->is_broken)
		return bkp_fail(err, BKP_IO, "the server is gone");
	for (size_t i = 0; i < 3; i++) {
		const struct bkp_store_object object = {.name = "checkpoints/x",
		    .modified_us = calendar->checkpoints[i]};

		if (object.modified_us != 0 && fn(arg, &object, err) < 0)
			return -1;
	}
	return 0;
}

static int
look(struct bkp_store *store, const char *name, struct bkp_store_object *out,
    struct bkp_error *err)
{
	(void)store;
	(void)err;
	assert_string_equal(name, "config");
	*out = (struct bkp_store_object){.modified_us = 100 * DAY};
	return 0;
}

static const struct bkp_store_ops ops = {
    .driver = "calendar", .list = list, .stat = look};
static char location[] = "s3://calendar";

static struct bkp_lock_outlook
ask(const int64_t checkpoints[3], int64_t now_us)
{
	struct calendar calendar = {
	    .base = {.ops = &ops, .location = location}};
	struct bkp_lock_outlook outlook = {.is_due = false};
	struct bkp_error err = BKP_ERROR_INIT;

	memcpy(calendar.checkpoints, checkpoints, sizeof(calendar.checkpoints));
	assert_int_equal(
	    bkp_lock_outlook_read(&calendar.base, DAYS, now_us, &outlook, &err),
	    0);
	return outlook;
}

static void
locks_last_for_half_their_time_after_the_last_prune(void **state)
{
	const int64_t three[3] = {110 * DAY, 130 * DAY, 120 * DAY};
	struct bkp_lock_outlook outlook = ask(three, 131 * DAY);

	(void)state;
	assert_int_equal(outlook.pruned_us, 130 * DAY);
	assert_int_equal(outlook.ends_us, 150 * DAY);
	assert_false(outlook.is_due);
	assert_false(outlook.is_over);
}

static void
a_prune_is_due_after_a_quarter_of_it_and_over_after_half(void **state)
{
	const int64_t one[3] = {130 * DAY, 0, 0};

	(void)state;
	assert_false(ask(one, 140 * DAY - 1).is_due);
	assert_true(ask(one, 140 * DAY).is_due);
	assert_false(ask(one, 150 * DAY - 1).is_over);
	assert_true(ask(one, 150 * DAY).is_over);
}

static void
a_repository_that_was_never_pruned_counts_from_its_beginning(void **state)
{
	const int64_t none[3] = {0, 0, 0};

	(void)state;
	assert_int_equal(ask(none, 101 * DAY).pruned_us, 100 * DAY);
	assert_false(ask(none, 109 * DAY).is_due);
	assert_true(ask(none, 110 * DAY).is_due);
}

static void
what_cannot_be_asked_is_an_error(void **state)
{
	struct calendar calendar = {
	    .base = {.ops = &ops, .location = location}, .is_broken = true};
	struct bkp_lock_outlook outlook;

	(void)state;
	assert_int_equal(
	    bkp_lock_outlook_read(&calendar.base, DAYS, 0, &outlook, NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		locks_last_for_half_their_time_after_the_last_prune),
	    cmocka_unit_test(
		a_prune_is_due_after_a_quarter_of_it_and_over_after_half),
	    cmocka_unit_test(
		a_repository_that_was_never_pruned_counts_from_its_beginning),
	    cmocka_unit_test(what_cannot_be_asked_is_an_error),
	};

	return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
