/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repairs that are cut off, that lack a key, or that somebody is in the way of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "formats/parity.h"
#include "libbackup/base/run.h"
#include "libbackup/repository/repair.h"
#include "libbackup/store/store_fault.h"
#include "libbackup/store/store_parity.h"
#include "tests/unit/check_patient.h"

/* ---- what is damaged ---- */

/* The first or last object of a folder in the order of size. */
static const char *
object_in(const char *folder, bool is_largest)
{
	const char *found = NULL;
	size_t size = 0;

	for (size_t i = 0; i < patient.object_count; i++) {
		size_t here = patient.sizes[i];

		if (strncmp(patient.objects[i], folder, strlen(folder)) != 0)
			continue;
		if (found == NULL || (here > size) == is_largest) {
			found = patient.objects[i];
			size = here;
		}
	}
	assert_non_null(found);
	return found;
}

/* ---- a repair over a store that fails ---- */

static int
repair_round(struct bkp_repository *repository, struct bkp_run *run,
    size_t *done, struct bkp_error *err)
{
	struct bkp_presence *presence = NULL;
	struct bkp_checker checker;
	struct bkp_repair repair;
	int rc;

	bkp_checker_init(&checker, repository, run);
	bkp_repair_init(&repair, &checker);
	checker.read_percent = 100;
	rc = bkp_checker_run(&checker, err);
	if (rc == 0)
		rc = bkp_repair_begin(repository, &presence, err);
	repair.presence = presence;
	if (rc == 0)
		rc = bkp_repair_round(&repair, err);
	*done = repair.done;
	bkp_presence_end(presence);
	bkp_repair_free(&repair);
	bkp_checker_free(&checker);
	return rc;
}

/* One round; 0, or -1 where the fault struck it. */
static int
round_over(struct bkp_store_fault *fault, size_t *done)
{
	struct bkp_keys keys = fixture_host_keys(patient.fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store = NULL;
	struct bkp_run *run = NULL;
	int rc;

	keys.identity_file = patient.fixture->identity_file;
	assert_int_equal(
	    bkp_store_open(patient.sick, BKP_STORE_OPEN, &store, NULL), 0);
	assert_int_equal(bkp_store_fault_new(store, fault, &store, NULL), 0);
	assert_int_equal(bkp_run_new(1, NULL, NULL, &run, NULL), 0);
	rc = bkp_repository_open_store(store, &keys, &repository, &err);
	if (rc == 0)
		rc = repair_round(repository, run, done, &err);
	bkp_repository_close(repository);
	bkp_run_free(run);
	if (rc < 0 && fault->hits == 0)
		fail_msg("%s", err.message);
	return rc;
}

/* Until nothing is left to be done, or the fault has struck. */
static void
repair_over(struct bkp_store_fault *fault)
{
	size_t done = 1;

	while (done > 0 && fault->hits == 0) {
		done = 0;
		if (round_over(fault, &done) < 0)
			break;
	}
}

/* Where a repair is struck, and how. */
enum strike {
	AT_ANY_CALL,   /* before its effect; then it is dead */
	BEFORE_CHANGE, /* the same, of calls that change something */
	AFTER_CHANGE,  /* dead, with the effect done */
	ONCE,          /* the change fails, and what comes works */
	STRIKES
};

static struct bkp_store_fault
fault_of(enum strike strike, uint64_t n)
{
	struct bkp_store_fault fault = BKP_STORE_FAULT_INIT;

	fault.fail_at = n;
	fault.is_killed_after = strike != ONCE;
	fault.only_changes = strike != AT_ANY_CALL;
	fault.is_effect_done = strike == AFTER_CHANGE;
	return fault;
}

/* What an undisturbed repair leaves. */
struct cure {
	struct readable readable;
	uint64_t damage, warnings;
};

static struct cure
cure(const char *story)
{
	struct bkp_check_result result = {.is_clean = 0};
	struct cure out;

	patient_check(REPAIR, &result, story);
	out.damage = result.damage;
	out.warnings = result.warnings;
	out.readable = patient_read_all();
	bkp_check_result_free(&result);
	return out;
}

/* Another repair has finished what this one began. */
static void
assert_finished(const struct cure *undisturbed, const char *story)
{
	struct cure after = cure(story);

	patient_assert_no_worse(&undisturbed->readable, &after.readable, story);
	/* What is lost for good may be told in other words. */
	if (undisturbed->damage + undisturbed->warnings == 0 &&
	    after.damage + after.warnings > 0)
		fail_msg("%s: it was not mended", story);
}

/* Is struck at every call in turn; then another repair finishes it. */
static void
strike_everywhere(const char *object, enum damage damage, enum strike strike)
{
	struct readable before, between;
	struct cure undisturbed;
	char story[256];

	if (!patient_damage(object, damage))
		fail_msg("%s cannot be damaged so (%d)", object, (int)damage);
	before = patient_read_all();
	undisturbed = cure(object);
	for (uint64_t n = 1;; n++) {
		struct bkp_store_fault fault = fault_of(strike, n);

		(void)snprintf(story, sizeof(story),
		    "%s, damage %d, strike %d: call %d", object, (int)damage,
		    (int)strike, (int)n);
		assert_true(n < 2000);
		assert_true(patient_damage(object, damage));
		repair_over(&fault);
		between = patient_read_all();
		patient_assert_no_worse(&before, &between, story);
		if (fault.hits == 0)
			break;
		/* Who died has left its session behind. */
		patient_shell("rm -rf %s/sessions", patient.sick);
		assert_finished(&undisturbed, story);
	}
}

static void
strike_changes(const char *object, enum damage damage)
{
	for (int strike = BEFORE_CHANGE; strike < STRIKES; strike++)
		strike_everywhere(object, damage, (enum strike)strike);
}

static void
a_repair_of_an_index_may_die_at_any_call(void **state)
{
	(void)state;
	strike_everywhere(object_in("index/", true), GONE, AT_ANY_CALL);
}

static void
repairs_of_packs_may_be_struck_at_any_change(void **state)
{
	(void)state;
	strike_changes(object_in("packs/", true), FLIP_MIDDLE);
	strike_changes(object_in("packs/", true), GONE);
	strike_changes(object_in("packs/", true), SWAP);
}

static void
repairs_of_small_objects_may_be_struck_at_any_change(void **state)
{
	(void)state;
	strike_changes(object_in("index/", true), GONE);
	strike_changes(object_in("index/", true), SWAP);
	strike_changes(object_in("index/", false), EMPTY);
	strike_changes(object_in("snapshots/", true), SWAP);
	strike_changes(object_in("roster/", true), FLIP_END);
	strike_changes(object_in("copies/keys/", true), CUT);
	strike_changes("config", ZERO);
	strike_changes(object_in("condemned/", true), TWICE);
}

/* Sessions are left out: who is struck leaves his own. */
static void
repairs_of_a_rich_repository_may_be_struck_at_any_change(void **state)
{
	(void)state;
	strike_changes(object_in("proofs/", true), FLIP_START);
	strike_changes(object_in("roster/", true), SWAP);
	strike_changes(object_in("keys/", true), SWAP);
	strike_changes(object_in("packs/", true), FLIP_MIDDLE);
	if (!fmt_parity_is_available())
		return;
	strike_changes(object_in("parity/packs/", true), FLIP_START);
	strike_changes(object_in("parity/keys/", true), SWAP);
}

/* ---- keys that lack ---- */

static bool
needs_identity(const struct bkp_check_result *result)
{
	for (size_t i = 0; i < result->step_count; i++) {
		if (result->steps[i].state == BKP_REPAIR_NEEDS &&
		    strstr(result->steps[i].text, "--identity-file") != NULL)
			return true;
	}
	return false;
}

static void
without_an_identity_content_is_left_as_it_is(void **state)
{
	static const struct {
		const char *folder;
		enum damage damage;
	} cases[] = {{"packs/", FLIP_MIDDLE}, {"packs/", CUT}, {"packs/", ZERO},
	    {"index/", GONE}, {"index/", EMPTY}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *object = object_in(cases[i].folder, true);
		struct bkp_check_result result = {.is_clean = 0};
		struct readable before, after, mended;

		assert_true(patient_damage(object, cases[i].damage));
		before = patient_read_all();
		patient_check_as_host(REPAIR, &result, object);
		assert_false(result.is_clean);
		assert_true(needs_identity(&result));
		bkp_check_result_free(&result);
		after = patient_read_all();
		patient_assert_no_worse(&before, &after, object);
		/* Who has one can still do what could be done before. */
		patient_check(REPAIR, &result, object);
		bkp_check_result_free(&result);
		mended = patient_read_all();
		patient_assert_no_worse(&before, &mended, object);
		if (strcmp(cases[i].folder, "index/") == 0)
			assert_true(patient_is_all_readable(&mended));
	}
}

/* ---- error correction ---- */

static void
keep_parity(void)
{
	struct bkp_store *store = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_store_open(patient.sick, BKP_STORE_OPEN, &store, &err);
	(void)bkp_store_parity_new(store, &store, &err);
	(void)bkp_store_parity_set(store, 10, &err);
	(void)bkp_parity_complete(store, "", NULL, &err);
	assert_string_equal(err.message, "");
	bkp_store_close(store);
}

static void
flip(const char *object, size_t at)
{
	char path[256];
	FILE *file;
	int byte;

	(void)snprintf(path, sizeof(path), "%s/%s", patient.sick, object);
	patient_shell("chmod 600 %s", path);
	file = fopen(path, "r+b");
	assert_non_null(file);
	assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
	byte = fgetc(file);
	assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
	assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
	assert_int_equal(fclose(file), 0);
}

static void
what_has_error_correction_is_made_whole_by_it(void **state)
{
	static const char *const folders[] = {"packs/", "index/", "snapshots/"};

	(void)state;
	if (!fmt_parity_is_available())
		skip(); /* this build has no error correction */
	for (size_t i = 0; i < 3; i++) {
		const char *object = object_in(folders[i], true);
		struct bkp_check_result result = {.is_clean = 0};
		struct readable readable;

		patient_begin_anew();
		keep_parity();
		patient_check(LOOK, &result, object);
		assert_int_equal(result.damage, 0);
		bkp_check_result_free(&result);
		flip(object, 1000);
		/* No identity is needed for that. */
		patient_check_as_host(REPAIR, &result, object);
		if (!result.is_clean)
			patient_print(&result);
		assert_true(result.is_clean);
		bkp_check_result_free(&result);
		readable = patient_read_all();
		assert_true(patient_is_all_readable(&readable));
	}
}

/* ---- somebody else ---- */

static void
a_prune_at_work_is_in_the_way_and_a_backup_is_not(void **state)
{
	static const char *const who[] = {"prune", "repair", "backup"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct bkp_presence *other = NULL, *ours = NULL;
		struct bkp_repository *repository;
		struct bkp_error err = BKP_ERROR_INIT;
		int rc;

		patient_begin_anew();
		repository = patient_open(patient.sick);
		assert_int_equal(
		    bkp_presence_begin(repository, who[i], &other, NULL), 0);
		rc = bkp_repair_begin(repository, &ours, &err);
		assert_int_equal(rc, i < 2 ? -1 : 0);
		if (rc < 0) {
			assert_int_equal(err.code, BKP_RETRY);
			assert_non_null(strstr(err.message, who[i]));
		}
		bkp_presence_end(ours);
		bkp_presence_end(other);
		bkp_repository_close(repository);
	}
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(f, patient_set_up, patient_tear_down)

#define RICH(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, patient_set_up_rich, patient_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_repair_of_an_index_may_die_at_any_call),
	    CASE(repairs_of_packs_may_be_struck_at_any_change),
	    CASE(repairs_of_small_objects_may_be_struck_at_any_change),
	    RICH(repairs_of_a_rich_repository_may_be_struck_at_any_change),
	    CASE(without_an_identity_content_is_left_as_it_is),
	    CASE(what_has_error_correction_is_made_whole_by_it),
	    CASE(a_prune_at_work_is_in_the_way_and_a_backup_is_not),
	};

	return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
