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
#include <stdlib.h>
#include <string.h>

#include "formats/parity.h"

#include "tests/unit/check_patient.h"

static const char *const damage_names[] = {"a bit at the start",
    "a bit in the middle", "a bit at the end", "cut", "empty", "gone",
    "exchanged", "twice", "zeroed"};

/* ---- the matrix ---- */

static bool
is_below(const char *object, const char *folder)
{
	return strncmp(object, folder, strlen(folder)) == 0;
}

/* What no longer matters, or a repair can always undo. */
static bool
can_be_mended(const char *object, enum damage damage)
{
	/* It may be of somebody at work. */
	if (is_below(object, "sessions/"))
		return patient_is_old(damage);
	/* Others remember that there was one; only another verification makes
	 * the next. */
	if (is_below(object, "proofs/"))
		return damage == TWICE;
	/* A copy of the error correction of a snapshot, as if that had been
	 * there. */
	if (is_below(object, "parity/snapshots/") && damage == TWICE)
		return false;
	if (patient.is_rich && fmt_parity_is_available() && damage <= FLIP_END)
		return true;
	if (strncmp(object, "snapshots/", 10) == 0)
		return damage == SWAP || damage == TWICE;
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
	if (!patient_is_named(
		&first, damage == TWICE ? patient.copy : object)) {
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
		assert_int_equal(patient_differences(), patient.differences);
	if (last.damage + last.warnings > 0 && !is_below(object, "sessions/") &&
	    !is_below(object, "proofs/"))
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

/* ---- the same of all kinds of objects ---- */

/* The folder of an object, of packs without their digits. */
static size_t
kind_length(const char *object)
{
	const char *packs = strstr(object, "packs/"), *slash;

	if (packs != NULL)
		return (size_t)(packs - object) + 6;
	slash = strrchr(object, '/');
	return slash == NULL || strcmp(slash, "/config") == 0
		   ? strlen(object)
		   : (size_t)(slash - object) + 1;
}

static bool
is_same_kind(const char *a, const char *b)
{
	return kind_length(a) == kind_length(b) &&
	       strncmp(a, b, kind_length(a)) == 0;
}

/* Whether the object is the one of its kind that is damaged so: each time it is
 * another one. Which are all of them with BACKUP_TEST_ALL set. */
static bool
is_chosen(size_t which, int damage)
{
	size_t count = 0, rank = 0;

	if (getenv("BACKUP_TEST_ALL") != NULL)
		return true;
	for (size_t i = 0; i < patient.object_count; i++) {
		if (!is_same_kind(patient.objects[i], patient.objects[which]))
			continue;
		rank += i < which;
		count++;
	}
	return (size_t)damage % count == rank;
}

static void
every_kind_of_object_in_a_rich_repository_is_seen_to(void **state)
{
	(void)state;
	for (size_t i = 0; i < patient.object_count; i++) {
		for (int damage = 0; damage < DAMAGES; damage++) {
			if (is_chosen(i, damage))
				go_through(
				    patient.objects[i], (enum damage)damage);
		}
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
	    cmocka_unit_test_setup_teardown(
		a_good_repository_is_clean_and_a_repair_does_nothing,
		patient_set_up_rich, patient_tear_down),
	    cmocka_unit_test_setup_teardown(
		every_kind_of_object_in_a_rich_repository_is_seen_to,
		patient_set_up_rich, patient_tear_down),
	};

	return cmocka_run_group_tests_name("check damage", tests, NULL, NULL);
}
