/* SPDX-License-Identifier: Apache-2.0 */
/* Prunes that are cut off, and the next one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/prune_fixture.h"

struct crash {
	bool is_killed_after, is_effect_done;
	bool repacks; /* with the administrators' key at hand */
};

/* A prune over a store whose n-th call fails; 0 where it went through. */
static int
prune_through(struct backups *backups, struct bkp_store_fault *fault,
    const struct crash *crash, size_t first, struct bkp_error *err)
{
	const struct bkp_prune_limits limits = {
	    .may_repack = crash->repacks, .repack_below = 60};
	struct bkp_keys keys = fixture_host_keys(backups->fixture);
	struct bkp_prune_report report;
	struct bkp_repository *host = NULL;
	struct bkp_store *store = NULL;
	int rc;

	if (crash->repacks)
		keys.identity_file = backups->fixture->identity_file;
	assert_int_equal(bkp_store_fault_new(fixture_store(backups->fixture),
			     fault, &store, NULL),
	    0);
	rc = bkp_repository_open_store(store, &keys, &host, err);
	if (rc == 0)
		rc = prune(host,
		    (const char(*)[BKP_OBJECT_NAME])backups->names + first, 1,
		    &limits, &report, err);
	bkp_repository_close(host);
	return rc;
}

/* As a day later: sessions that were killed are not waited for. */
static void
forget_sessions(struct fixture *fixture)
{
	char *names = fixture_names(fixture, "sessions/"), *at = names, *end;

	while ((end = strchr(at, '\n')) != NULL) {
		*end = '\0';
		if (strstr(at, ".gone") == NULL)
			(void)bkp_store_remove(fixture->memory, at, NULL);
		at = end + 1;
	}
	free(names);
}

/* Every other snapshot is whole after each crash, and the next prune
 * finishes. */
static void
crash_at_every_call(struct fixture *fixture, const struct crash *crash)
{
	const size_t gone = crash->repacks ? 0 : 1, left = 1 - gone;
	bool went_through = false;

	for (uint64_t n = 1; !went_through; n++) {
		struct bkp_store_fault fault = {.fail_at = n,
		    .is_killed_after = crash->is_killed_after,
		    .is_effect_done = crash->is_effect_done};
		struct backups backups = make_backups(fixture);
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_prune_report report;
		char *snapshots;
		int rc;

		assert_true(n < 400);
		back_up_times(&backups, 3);
		rc = prune_through(&backups, &fault, crash, gone, &err);
		went_through = fault.hits == 0;
		if (went_through)
			assert_int_equal(rc, 0);
		assert_readable(&backups, left);
		assert_readable(&backups, 2);
		forget_sessions(fixture);
		report = prune_now(&backups, gone, 1);
		assert_int_equal(report.missing, 0);
		assert_int_equal(count_objects(fixture, "condemned/"), 0);
		assert_int_equal(count_objects(fixture, "sessions/"), 0);
		assert_int_equal(
		    count_objects(fixture, "packs/"), crash->repacks ? 5 : 4);
		snapshots = fixture_names(fixture, "snapshots/");
		assert_null(strstr(snapshots, backups.names[gone]));
		free(snapshots);
		assert_no_problems(fixture, 2);
		assert_readable(&backups, left);
		assert_readable(&backups, 2);
		(void)prune_now(&backups, 0, 3);
		assert_int_equal(count_objects(fixture, "packs/"), 0);
		free(backups.noise);
	}
}

static void
a_prune_that_fails_anywhere_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){false, false, false});
}

static void
a_prune_that_is_killed_anywhere_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){true, false, false});
}

static void
a_prune_that_hears_no_answer_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){true, true, false});
}

static void
writing_packs_anew_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){true, false, true});
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_prune_that_fails_anywhere_is_finished_by_the_next),
	    CASE(a_prune_that_is_killed_anywhere_is_finished_by_the_next),
	    CASE(a_prune_that_hears_no_answer_is_finished_by_the_next),
	    CASE(writing_packs_anew_is_finished_by_the_next),
	};

	return cmocka_run_group_tests_name("prune crash", tests, NULL, NULL);
}
