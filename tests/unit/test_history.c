/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that are missing, damaged or forged, with the test as the one who
 * has the store. What nobody touched gives no finding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "tests/unit/history_fixture.h"

static char db2[] = "db2";

/* ---- what nobody touched ---- */

static void
what_nobody_touched_gives_no_finding(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct bkp_history history;

	expect_none(host);
	for (int i = 0; i < 4; i++) {
		struct bkp_error err = BKP_ERROR_INIT;
		char name[65];

		(void)fixture_back_up(host, &file, 1, 4, name, &err);
		assert_string_equal(err.message, "");
		expect_none(host);
		remember(admin);
		expect_none(admin);
	}
	history = look_at(host);
	assert_int_equal(history.snapshots.count, 4);
	for (size_t i = 1; i < 4; i++) {
		const struct fmt_snapshot *snapshot =
		    &history.snapshots.items[i].snapshot;

		assert_int_equal(snapshot->seen_count, 1);
		assert_string_equal(
		    snapshot->seen[0], history.snapshots.items[i - 1].name);
		assert_string_equal(snapshot->previous, snapshot->seen[0]);
		assert_int_equal(snapshot->sequence, i + 1);
	}
	bkp_history_free(&history);
	bkp_repository_close(host);
	bkp_repository_close(admin);
}

/* Both came after the same one and neither after the other. */
static void
sessions_at_the_same_time_are_both_named_by_the_next(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	const struct fixture_file file = {"a", "hello", 5};
	struct maker a = maker_of(host), b;
	struct bkp_history history;
	char name[65];

	make(&a);
	b = a;
	make(&a);
	b.clock_us -= 5 * HOUR; /* a clock that is wrong */
	make(&b);
	expect_none(host);
	remember(host);
	assert_int_equal(fixture_back_up(host, &file, 1, 4, name, NULL), 0);
	expect_none(host);
	history = look_at(host);
	for (size_t i = 0; i < history.snapshots.count; i++)
		if (strcmp(history.snapshots.items[i].name, name) == 0)
			assert_int_equal(
			    history.snapshots.items[i].snapshot.seen_count, 2);
	bkp_history_free(&history);
	bkp_repository_close(host);
}

/* ---- deleting ---- */

static void
one_that_others_came_after_is_missed_by_anybody(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made oldest = make(&maker), middle = make(&maker);

	make(&maker);
	expect_none(host);
	delete (*state, middle);
	expect(host, is("missing", middle));
	delete (*state, oldest);
	/* Who named the oldest is missing as well. */
	expect(host, is("missing", middle));
	bkp_repository_close(host);
}

static void
who_saw_them_names_all_that_are_lost(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made oldest = make(&maker), middle = make(&maker), newest;
	char name[65];

	newest = make(&maker);
	remember(host);
	delete (*state, oldest);
	expect(host, is("missing", oldest));
	delete (*state, middle);
	expect(host, is("missing", oldest), is("missing", middle));
	/* Looking is not forgetting, and the newest is not in doubt. */
	remember(host);
	expect(host, is("missing", oldest), is("missing", middle));
	assert_int_equal(bkp_snapshot_find(host, "latest", name, NULL), 0);
	assert_string_equal(name, newest.name);
	/* What was removed is not missed. */
	prune(host, oldest);
	expect(host, is("missing", middle));
	prune(host, middle);
	expect_none(host);
	bkp_repository_close(host);
}

static void
the_newest_is_missed_by_who_saw_it(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made newest;

	make(&maker);
	newest = make(&maker);
	remember(host);
	delete (*state, newest);
	expect(host, is("rolled-back", newest));
	/* It is not forgotten by looking at what is left. */
	remember(host);
	expect(host, is("rolled-back", newest));
	/* Nor by what comes then. */
	maker.previous[0] = '\0';
	make(&maker);
	remember(host);
	expect(host, is("rolled-back", newest));
	fixture_forget(*state);
	expect_none(host);
	bkp_repository_close(host);
}

static void
all_of_them_are_missed_by_who_saw_the_newest(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made old = make(&maker), newest = make(&maker);

	remember(host);
	delete (*state, old);
	delete (*state, newest);
	expect(host, is("rolled-back", newest), is("missing", old));
	bkp_repository_close(host);
}

static void
what_another_host_made_later_gives_the_deletion_away(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker a = maker_of(host), b = maker_of(host);
	struct made first = make(&a);

	make_with(&b, (struct fmt_snapshot){.host = db2},
	    (const char *[]){first.name, NULL});
	expect_none(host);
	delete (*state, first);
	expect(host, is("missing", first));
	bkp_repository_close(host);
}

/* ---- other bytes ---- */

static void
other_bytes_under_a_name_are_damage(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker), c = make(&maker);
	struct fmt_buf bytes_a = take(*state, a), bytes_b = take(*state, b);

	put_bytes(*state, a, bytes_b.data, bytes_b.len);
	expect(host, is("damaged", a));
	put_bytes(*state, b, bytes_a.data, bytes_a.len); /* swapped */
	expect(host, is("damaged", a), is("damaged", b));
	put_bytes(*state, a, bytes_a.data, bytes_a.len);
	put_bytes(*state, b, bytes_b.data, bytes_b.len - 1);
	expect(host, is("damaged", b));
	put_bytes(*state, b, "", 0);
	expect(host, is("damaged", b));
	put_bytes(*state, b, bytes_b.data, bytes_b.len);
	expect_none(host);
	remember(host);
	put_bytes(*state, c, bytes_a.data, bytes_a.len);
	expect(host, is("damaged", c));
	/* It is remembered until it is there again, or removed. */
	remember(host);
	delete (*state, c);
	expect(host, is("rolled-back", c));
	fmt_buf_free(&bytes_a);
	fmt_buf_free(&bytes_b);
	bkp_repository_close(host);
}

/* Nobody misses what was there before under that name, if anything was. */
static void
another_one_under_a_name_that_nobody_knows_is_a_note(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker), stray;
	struct fmt_buf bytes = take(*state, a);
	struct bkp_history history;
	char name[65];

	memset(stray.name, 'a', 64);
	stray.name[64] = '\0';
	put_bytes(*state, stray, bytes.data, bytes.len);
	expect(host, is("copy", stray));
	history = look_at(host);
	assert_int_equal(bkp_history_problems(&history), 0);
	assert_int_equal(history.snapshots.count, 2);
	assert_non_null(strstr(history.findings[0].text, "backup-check"));
	bkp_history_free(&history);
	assert_int_equal(bkp_snapshot_find(host, "latest", name, NULL), 0);
	assert_string_equal(name, b.name);
	/* A part of it is no copy, nor is one of what is not there. */
	put_bytes(*state, stray, bytes.data, bytes.len - 1);
	expect(host, is("damaged", stray));
	put_bytes(*state, stray, bytes.data, bytes.len);
	delete (*state, a);
	expect(host, is("missing", a), is("damaged", stray));
	fmt_buf_free(&bytes);
	bkp_repository_close(host);
}

static void
what_nobody_who_may_has_signed_is_forged(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fmt_snapshot snapshot = {.host = db1, .sequence = 9};
	struct maker maker = maker_of(host);
	unsigned char stranger[32] = {4};
	struct made forged;

	make(&maker);
	memcpy(snapshot.repository, host->config.id, 33);
	seal(host, &snapshot, stranger, forged.name);
	expect(host, is("forged", forged));
	delete (*state, forged);
	/* As a copy out of another repository with the same keys would be. */
	memset(snapshot.repository, '0', 32);
	seal(host, &snapshot, host->keys.signing_seed, forged.name);
	expect(host, is("forged", forged));
	bkp_repository_close(host);
}

/* ---- the machine ---- */

static void
a_machine_that_cannot_remember_goes_on(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_history history;

	make(&maker);
	assert_int_equal(setenv("BACKUP_STATE_DIR", "/dev/null/x", 1), 0);
	history = look_at(host);
	assert_int_equal(history.count, 1);
	assert_int_equal(history.findings[0].kind, BKP_HISTORY_MACHINE);
	assert_int_equal(bkp_history_problems(&history), 0);
	assert_int_equal(bkp_history_remember(host, &history, &err), -1);
	assert_non_null(strstr(err.message, "BACKUP_STATE_DIR"));
	bkp_history_free(&history);
	bkp_repository_close(host);
}

static void
a_damaged_memory_is_told_and_made_anew(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fixture *fixture = *state;
	struct maker maker = maker_of(host);
	char path[256];
	FILE *file;

	make(&maker);
	remember(host);
	(void)snprintf(
	    path, sizeof(path), "%s/%s/seen", fixture->folder, host->config.id);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("{\"type\":\"lib", file);
	(void)fclose(file);
	expect(host, "not-remembered ");
	remember(host);
	expect_none(host);
	bkp_repository_close(host);
}

/* ---- the newest ---- */

static void
latest_is_refused_only_where_it_may_be_another_one(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made oldest = make(&maker), middle = make(&maker);
	struct made newest = make(&maker);
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf bytes;
	char name[65];

	remember(host);
	delete (*state, oldest);
	put_bytes(*state, middle, "x", 1);
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), 0);
	assert_string_equal(name, newest.name);
	bytes = take(*state, newest);
	put_bytes(*state, newest, "x", 1);
	fixture_forget(*state);
	/* Nobody is left who says that the middle one is older. */
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), -1);
	assert_true(strstr(err.message, newest.name) != NULL ||
		    strstr(err.message, middle.name) != NULL);
	put_bytes(*state, newest, bytes.data, bytes.len);
	fmt_buf_free(&bytes);
	remember(host);
	delete (*state, newest);
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, "no good snapshot"));
	maker.previous[0] = '\0';
	oldest = make(&maker);
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), -1);
	oldest.name[12] = '\0';
	assert_non_null(strstr(err.message, oldest.name));
	assert_int_equal(bkp_snapshot_find(host, oldest.name, name, &err), 0);
	bkp_repository_close(host);
}

static void
the_public_list_has_the_good_ones_and_the_problems(void **state)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_repository *host = fixture_open_host(*state);
	const struct bkp_snapshot_problem *problem;
	struct maker maker = maker_of(host);
	struct made first = make(&maker), second = make(&maker);

	assert_int_equal(bkp_snapshot_list(host, &list, NULL), 0);
	assert_int_equal(list.count, 2);
	assert_null(bkp_snapshot_list_problem(&list, 0));
	bkp_snapshot_list_free(&list);
	assert_null(bkp_snapshot_list_problem(&list, 0));
	delete (*state, first);
	assert_int_equal(bkp_snapshot_list(host, &list, NULL), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].name, second.name);
	problem = bkp_snapshot_list_problem(&list, 0);
	assert_non_null(problem);
	assert_string_equal(problem->kind, "snapshot-missing");
	assert_string_equal(problem->name, first.name);
	assert_int_equal(problem->is_note, 0);
	assert_null(bkp_snapshot_list_problem(&list, 1));
	bkp_snapshot_list_free(&list);
	/* Listing remembered them. */
	delete (*state, second);
	expect(host, is("rolled-back", second), is("missing", first));
	bkp_repository_close(host);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_nobody_touched_gives_no_finding),
	    CASE(sessions_at_the_same_time_are_both_named_by_the_next),
	    CASE(one_that_others_came_after_is_missed_by_anybody),
	    CASE(who_saw_them_names_all_that_are_lost),
	    CASE(the_newest_is_missed_by_who_saw_it),
	    CASE(all_of_them_are_missed_by_who_saw_the_newest),
	    CASE(what_another_host_made_later_gives_the_deletion_away),
	    CASE(other_bytes_under_a_name_are_damage),
	    CASE(another_one_under_a_name_that_nobody_knows_is_a_note),
	    CASE(what_nobody_who_may_has_signed_is_forged),
	    CASE(a_machine_that_cannot_remember_goes_on),
	    CASE(a_damaged_memory_is_told_and_made_anew),
	    CASE(latest_is_refused_only_where_it_may_be_another_one),
	    CASE(the_public_list_has_the_good_ones_and_the_problems),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
