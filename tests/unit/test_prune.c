/* SPDX-License-Identifier: Apache-2.0 */
/* Removing snapshots, and giving back what only they used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/prune_fixture.h"

static void
what_only_a_removed_snapshot_used_is_given_back(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 3);
	report = prune_now(&backups, 1, 1);
	assert_int_equal(report.snapshots, 2);
	assert_int_equal(report.deleted.packs, 2); /* content and list */
	assert_in_range(report.deleted.bytes, UNIT, UNIT + 10000);
	assert_int_equal(report.waiting.packs, 0);
	assert_int_equal(report.orphans.packs, 0);
	assert_int_equal(count_objects(*state, "snapshots/"), 2);
	assert_int_equal(count_objects(*state, "packs/"), 4);
	assert_int_equal(count_objects(*state, "condemned/"), 0);
	assert_int_equal(count_objects(*state, "sessions/"), 0);
	assert_no_problems(*state, 2);
	assert_readable(&backups, 0);
	assert_readable(&backups, 2);
	/* And nothing more the next time. */
	report = prune_now(&backups, 0, 0);
	assert_int_equal(report.condemned.packs, 0);
	assert_int_equal(report.deleted.packs, 0);
	back_up_times(&backups, 1);
	assert_readable(&backups, 3);
	assert_no_problems(*state, 3);
	free(backups.noise);
}

static void
the_first_backup_keeps_what_later_ones_share(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 2);
	report = prune_now(&backups, 0, 1);
	/* The pack with the shared file stays, and with it what was not. */
	assert_int_equal(report.deleted.packs, 1);
	assert_int_equal(report.held.packs, 1);
	assert_in_range(report.held.bytes, UNIT, UNIT + 1000);
	assert_readable(&backups, 1);
	assert_no_problems(*state, 1);
	free(backups.noise);
}

static void
a_pack_that_is_hardly_used_is_written_anew(void **state)
{
	const struct bkp_prune_limits limits = {
	    .may_repack = true, .repack_below = 60};
	struct bkp_prune_limits dry = limits;
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *host;

	back_up_times(&backups, 2);
	/* Without the data identity it is told, and stays. */
	host = fixture_open_host(*state);
	must(prune(host, (const char(*)[BKP_OBJECT_NAME])backups.names, 1,
		 &limits, &report, &err),
	    &err);
	assert_int_equal(report.repacked.packs, 0);
	assert_int_equal(report.held.packs, 1);
	bkp_repository_close(host);
	host = open_both(*state);
	dry.is_dry_run = true;
	must(bkp_prune_collect(host, NULL, &dry, &report, NULL, &err), &err);
	assert_int_equal(report.repacked.packs, 1);
	assert_int_equal(report.repacked_to, 0);
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.repacked.packs, 1);
	assert_int_equal(report.held.packs, 0);
	assert_int_equal(report.deleted.packs, 1);
	assert_in_range(report.deleted.bytes, 2 * UNIT, 2 * UNIT + UNIT / 4);
	assert_in_range(report.repacked_to, UNIT, UNIT + UNIT / 4);
	assert_int_equal(count_objects(*state, "packs/"), 3);
	assert_no_problems(*state, 1);
	assert_readable(&backups, 1);
	/* And it is as it should be. */
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.repacked.packs, 0);
	assert_int_equal(report.condemned.packs, 0);
	bkp_repository_close(host);
	back_up_times(&backups, 1);
	assert_readable(&backups, 2);
	free(backups.noise);
}

/* The largest object is the content; what is in the middle of it. */
static void
damage_content(struct fixture *fixture)
{
	char *names = fixture_names(fixture, "packs/"), *rest = NULL;

	for (char *name = strtok_r(names, "\n", &rest); name != NULL;
	     name = strtok_r(NULL, "\n", &rest)) {
		struct fmt_buf bytes = FMT_BUF_INIT;

		assert_int_equal(bkp_store_get(fixture->memory, name, 0,
				     BKP_STORE_WHOLE, &bytes, NULL),
		    0);
		if (bytes.len >= UNIT) {
			bytes.data[bytes.len / 2] ^= 1;
			bytes.data[bytes.len / 4] ^= 1;
			bytes.data[bytes.len / 4 * 3] ^= 1;
		}
		assert_int_equal(bkp_store_put(fixture->memory, name,
				     bytes.data, bytes.len, NULL),
		    0);
		fmt_buf_free(&bytes);
	}
	free(names);
}

static void
what_cannot_be_written_anew_says_what_to_do(void **state)
{
	const struct bkp_prune_limits limits = {
	    .may_repack = true, .repack_below = 60};
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *host;

	back_up_times(&backups, 2);
	damage_content(*state);
	host = open_both(*state);
	assert_int_equal(
	    prune(host, (const char(*)[BKP_OBJECT_NAME])backups.names, 1,
		&limits, &report, &err),
	    -1);
	assert_non_null(strstr(err.message, "--no-repack"));
	assert_non_null(strstr(err.message, "backup-check --repair"));
	bkp_repository_close(host);
	free(backups.noise);
}

/* Rows that became differences, and what they are differences to. */
static void
differences_are_written_anew_with_their_bases(void **state)
{
	enum { NIGHTS = 4, ROWS = 2000, ROW = 40 };
	const struct bkp_prune_limits limits = {
	    .may_repack = true, .repack_below = 100};
	struct bkp_repository *host = open_both(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	char *rows = malloc(ROWS * ROW + 1), *other;
	struct fixture_file files[] = {
	    {"rows-a", rows, ROWS * ROW}, {"rows-b", NULL, ROWS * ROW}};
	char names[NIGHTS][BKP_OBJECT_NAME];
	bool has_differences = false;

	other = malloc(ROWS * ROW + 1);
	assert_non_null(rows);
	assert_non_null(other);
	files[1].data = other;
	for (int night = 0; night < NIGHTS; night++) {
		for (int i = 0; i < ROWS; i++) {
			(void)snprintf(rows + i * ROW, ROW + 1,
			    "%08u\ta row of night %08x       \n",
			    (unsigned)i % 100000000U,
			    (unsigned)(i % 40 == 0 ? night : i * 7919));
			(void)snprintf(other + i * ROW, ROW + 1,
			    "%08u\tanother of night %08x     \n",
			    (unsigned)i % 100000000U,
			    (unsigned)(night * 77 + i * 104729));
		}
		must(fixture_back_up(
			 host, files, 2, ROWS * ROW, names[night], &err),
		    &err);
	}
	for (size_t i = 0; i < host->index.count; i++)
		has_differences =
		    has_differences || host->index.files[i].view.base_count > 0;
	assert_true(has_differences);
	must(prune(host, (const char(*)[BKP_OBJECT_NAME])names, NIGHTS - 1,
		 &limits, &report, &err),
	    &err);
	assert_true(report.repacked.packs > 0);
	assert_int_equal(report.held.packs, 0);
	must(fixture_compare(host, names[NIGHTS - 1], files, 2, &err), &err);
	assert_no_problems(*state, 1);
	bkp_repository_close(host);
	free(rows);
	free(other);
}

static void
all_snapshots_may_go(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 2);
	report = prune_now(&backups, 0, 2);
	assert_int_equal(report.snapshots, 0);
	assert_int_equal(count_objects(*state, "packs/"), 0);
	assert_int_equal(count_objects(*state, "index/"), 0);
	back_up_times(&backups, 1);
	assert_readable(&backups, 2);
	assert_no_problems(*state, 1);
	free(backups.noise);
}

static void
a_dry_run_tells_and_does_nothing(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_prune_limits limits = {.is_dry_run = true};
	struct bkp_repository *host;
	char *before, *after;

	back_up_times(&backups, 3);
	before = fixture_names(*state, "");
	host = fixture_open_host(*state);
	limits.without = (const char(*)[BKP_OBJECT_NAME])backups.names + 1;
	limits.without_count = 2;
	must(bkp_prune_collect(host, NULL, &limits, &report, NULL, &err), &err);
	bkp_repository_close(host);
	assert_int_equal(report.condemned.packs, 4);
	assert_in_range(report.condemned.bytes, 2 * UNIT, 2 * UNIT + 20000);
	assert_int_equal(report.deleted.packs, 0);
	after = fixture_names(*state, "");
	assert_string_equal(before, after);
	free(before);
	free(after);
	free(backups.noise);
}

static void
within_the_grace_it_waits(void **state)
{
	struct bkp_prune_limits limits = {.grace_s = 3600};
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *host;
	char *list;

	back_up_times(&backups, 2);
	host = fixture_open_host(*state);
	must(prune(host, (const char(*)[BKP_OBJECT_NAME])backups.names + 1, 1,
		 &limits, &report, &err),
	    &err);
	assert_int_equal(report.condemned.packs, 2);
	assert_int_equal(report.waiting.packs, 2);
	assert_int_equal(report.deleted.packs, 0);
	assert_in_range(report.grace_left_s, 3500, 3600);
	/* It is not condemned twice. */
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.condemned.packs, 0);
	assert_int_equal(report.waiting.packs, 2);
	assert_int_equal(count_objects(*state, "condemned/"), 1);
	/* Where the list is taken away they stay, and are condemned anew. */
	list = fixture_names(*state, "condemned/");
	list[strcspn(list, "\n")] = '\0';
	must(bkp_store_remove(host->store, list, &err), &err);
	free(list);
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.condemned.packs, 2);
	assert_int_equal(report.deleted.packs, 0);
	must(prune(host, NULL, 0, &prune_at_once, &report, &err), &err);
	assert_int_equal(report.deleted.packs, 2);
	bkp_repository_close(host);
	assert_readable(&backups, 0);
	free(backups.noise);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_only_a_removed_snapshot_used_is_given_back),
	    CASE(the_first_backup_keeps_what_later_ones_share),
	    CASE(a_pack_that_is_hardly_used_is_written_anew),
	    CASE(what_cannot_be_written_anew_says_what_to_do),
	    CASE(differences_are_written_anew_with_their_bases),
	    CASE(all_snapshots_may_go),
	    CASE(a_dry_run_tells_and_does_nothing),
	    CASE(within_the_grace_it_waits),
	};

	return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
