/* SPDX-License-Identifier: Apache-2.0 */
/* What a prune makes of index objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/repository/condemned.h"
#include "tests/unit/prune_fixture.h"

static void
many_small_index_objects_become_one(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 12);
	assert_int_equal(count_objects(*state, "index/"), 12);
	report = prune_now(&backups, 3, 1);
	assert_int_equal(report.indexes_before, 12);
	assert_int_equal(report.indexes_after, 1);
	assert_int_equal(count_objects(*state, "index/"), 1);
	for (size_t i = 0; i < 12; i++)
		if (i != 3)
			assert_readable(&backups, i);
	free(backups.noise);
}

static void
condemn_all_packs(struct fixture *fixture, struct bkp_repository *host)
{
	struct bkp_condemned_list list = {.packs = NULL};
	struct bkp_error err = BKP_ERROR_INIT;
	char *packs = fixture_names(fixture, "packs/"), name[65];

	list.packs =
	    calloc(count_objects(fixture, "packs/"), sizeof(*list.packs));
	for (char *at = packs; *at != '\0'; at = strchr(at, '\n') + 1) {
		memcpy(list.packs[list.count], at + strlen("packs/00/"), 64);
		list.count++;
	}
	must(bkp_condemned_put(host, &list, name, &err), &err);
	free(list.packs);
	free(packs);
}

/* Joins index objects while nothing is old enough to go; the number of times
 * that they name a pack. */
static size_t
join_indexes(struct fixture *fixture, struct bkp_prune_report *report)
{
	const struct bkp_prune_limits later = {.grace_s = 3600};
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	size_t named = 0;

	must(prune(host, NULL, 0, &later, report, &err), &err);
	must(bkp_repository_load_index(host, &err), &err);
	for (size_t i = 0; i < host->index.count; i++)
		named += host->index.files[i].view.pack_count;
	bkp_repository_close(host);
	return named;
}

/* A pack is condemned, and what lies in it stored anew: the same ids in two
 * packs, and both stay known as long as both are there. */
static void
copies_stay_known_when_index_objects_are_joined(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 1);
	condemn_all_packs(*state, host);
	backups.count = 0;
	for (size_t i = 0; i < 9; i++)
		back_up(&backups, host);
	bkp_repository_close(host);
	/* The condemned packs, and those that took their place. */
	assert_int_equal(
	    join_indexes(*state, &report), count_objects(*state, "packs/"));
	assert_true(report.indexes_after < report.indexes_before);
	assert_in_range(report.indexes_after, 2, 3);
	report = prune_now(&backups, 0, 0);
	assert_int_equal(report.deleted.packs, 2);
	assert_readable(&backups, 0);
	free(backups.noise);
}

/* Packs that share some of what they hold: a repair believes that of a pack
 * that an index object names all is known. */
static void
index_objects_that_are_joined_name_packs_as_a_whole(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 1);
	condemn_all_packs(*state, host);
	for (size_t i = 0; i < 9; i++)
		back_up(&backups, host);
	bkp_repository_close(host);
	assert_int_equal(
	    join_indexes(*state, &report), count_objects(*state, "packs/"));
	assert_true(report.indexes_after < report.indexes_before);
	assert_readable(&backups, 0);
	assert_readable(&backups, 9);
	free(backups.noise);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(many_small_index_objects_become_one),
	    CASE(copies_stay_known_when_index_objects_are_joined),
	    CASE(index_objects_that_are_joined_name_packs_as_a_whole),
	};

	return cmocka_run_group_tests_name("prune index", tests, NULL, NULL);
}
