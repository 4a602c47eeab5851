/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every object of a repository is damaged in turn, in every way. A check must
 * name it, and exactly the entries that cannot be read any more; a repair must
 * leave everything readable that was, and a check after it must tell the truth
 * again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/check_patient.h"

static const char *const damage_names[] = {"a bit at the start",
    "a bit in the middle", "a bit at the end", "cut", "empty", "gone",
    "exchanged", "twice", "zeroed"};

/* ---- the matrix ---- */

/* What no longer matters, or a repair can always undo. */
static bool
can_be_mended(const char *object, enum damage damage)
{
	if (strncmp(object, "snapshots/", 10) == 0 ||
	    strncmp(object, "checkpoints/", 12) == 0)
		return damage == SWAP;
	return strncmp(object, "packs/", 6) != 0 || damage == SWAP ||
	       damage == TWICE;
}

/* Then nobody misses what was given up; what is lost of others stays told. */
static void
accept(const char *object, const struct readable *before, const char *story)
{
	struct bkp_check_result result = {.is_clean = 0};
	struct readable after;

	patient_check(ACCEPT, &result, story);
	after = patient_read_all();
	patient_assert_no_worse(before, &after, story);
	if (strncmp(object, "packs/", 6) != 0 &&
	    (result.damage > 0 || result.warnings > 0)) {
		patient_print(&result);
		fail_msg("%s: the loss was accepted and is told", story);
	}
	bkp_check_result_free(&result);
}

static void
go_through(const char *object, enum damage damage)
{
	struct bkp_check_result first = {.is_clean = 0}, second = first,
				last = first;
	struct readable before, after;
	char story[256];

	if (!patient_damage(object, damage))
		return;
	(void)snprintf(
	    story, sizeof(story), "%s (%s)", object, damage_names[damage]);
	before = patient_read_all();
	patient_check(LOOK, &first, story);
	if (!patient_is_named(&first, object) && damage != TWICE) {
		patient_print(&first);
		fail_msg("%s: it is not named", story);
	}
	if (first.finding_count == 0)
		fail_msg("%s: it is not noticed", story);
	patient_assert_true_story(&first, &before, story);
	patient_check(REPAIR, &second, story);
	after = patient_read_all();
	patient_assert_no_worse(&before, &after, story);
	patient_assert_true_story(&second, &after, story);
	patient_check(LOOK, &last, story);
	patient_assert_true_story(&last, &after, story);
	if (can_be_mended(object, damage) &&
	    (!patient_is_all_readable(&after) ||
		last.damage + last.warnings > 0)) {
		patient_print(&second);
		patient_print(&last);
		fail_msg("%s: it was not mended", story);
	}
	if (strncmp(object, "index/", 6) == 0)
		assert_int_equal(patient_differences(), DIFFERENCES);
	if (last.damage > 0)
		accept(object, &after, story);
	bkp_check_result_free(&first);
	bkp_check_result_free(&second);
	bkp_check_result_free(&last);
}

static void
every_damage_is_found_named_and_mended_as_far_as_can_be(void **state)
{
	(void)state;
	for (size_t i = 0; i < patient.object_count; i++) {
		for (int damage = 0; damage < DAMAGES; damage++)
			go_through(patient.objects[i], (enum damage)damage);
	}
}

static void
a_good_repository_is_clean_and_a_repair_does_nothing(void **state)
{
	struct bkp_check_result result = {.is_clean = 0};
	struct readable readable;

	(void)state;
	patient_begin_anew();
	patient_check(REPAIR, &result, "undamaged");
	if (result.finding_count > 0 || result.step_count > 0)
		patient_print(&result);
	assert_int_equal(result.finding_count, 0);
	assert_int_equal(result.step_count, 0);
	assert_true(result.is_clean);
	bkp_check_result_free(&result);
	readable = patient_read_all();
	assert_true(patient_is_all_readable(&readable));
	patient_shell("diff -r %s %s", patient.good, patient.sick);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_good_repository_is_clean_and_a_repair_does_nothing,
		patient_set_up, patient_tear_down),
	    cmocka_unit_test_setup_teardown(
		every_damage_is_found_named_and_mended_as_far_as_can_be,
		patient_set_up, patient_tear_down),
	};

	return cmocka_run_group_tests_name("check damage", tests, NULL, NULL);
}
