/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of erasures: who writes, who reads, and what is missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/key.h"
#include "libbackup/operations/replay.h"
#include "libbackup/repository/erasures.h"
#include "libbackup/repository/remembered.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/history_fixture.h"

static const char map[] = "version: 1\nsubject: {table: public.users}\n";
static const char *const seven[] = {"7"}, *const eight[] = {"8"};

static struct bkp_erasure_entry
entry_of(const char *const *values)
{
	return (struct bkp_erasure_entry){.source = "postgres/app",
	    .database = "app",
	    .table = "public.users",
	    .values = values,
	    .value_count = 1,
	    .map = map,
	    .map_len = strlen(map)};
}

static void
append(
    struct bkp_repository *repository, const char *const *values, char name[65])
{
	const struct bkp_erasure_entry entry = entry_of(values);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_erasure_append(repository, &entry, name, &err);
	assert_string_equal(err.message, "");
}

static struct bkp_erasures
load_all(struct bkp_repository *repository)
{
	struct bkp_erasures erasures = BKP_ERASURES_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_erasures_load(repository, &erasures, &err);
	assert_string_equal(err.message, "");
	return erasures;
}

static void
expect_counts(struct bkp_repository *repository, size_t count, size_t damaged)
{
	struct bkp_erasures erasures = load_all(repository);

	assert_int_equal(erasures.count, count);
	assert_int_equal(erasures.damaged, damaged);
	bkp_erasures_free(&erasures);
}

/* Both places, or one. */
static void
remove_entry(struct fixture *fixture, const char *name, bool is_all)
{
	struct bkp_store *store = fixture_store(fixture);
	char path[128];

	(void)snprintf(path, sizeof(path), "erasures/%s", name);
	assert_int_equal(bkp_store_remove(store, path, NULL), 0);
	(void)snprintf(path, sizeof(path), "copies/erasures/%s", name);
	if (is_all)
		assert_int_equal(bkp_store_remove(store, path, NULL), 0);
	bkp_store_close(store);
}

/* ---- writing and reading ---- */

static void
a_host_records_and_an_administrator_opens(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct bkp_erasure_secret secret = BKP_ERASURE_SECRET_INIT, other;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_erasures erasures;
	unsigned char hash[32];
	char names[2][65];

	append(host, seven, names[0]);
	append(host, eight, names[1]);
	erasures = load_all(host);
	assert_int_equal(erasures.count, 2);
	assert_int_equal(
	    bkp_erasure_open(host, &erasures.items[0], &secret, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	bkp_erasures_free(&erasures);
	erasures = load_all(admin);
	assert_int_equal(erasures.count, 2);
	assert_string_equal(erasures.items[0].name, names[0]);
	assert_string_equal(erasures.items[0].record.table, "public.users");
	assert_string_equal(erasures.items[0].record.host, host->keys.writer);
	assert_int_equal(
	    bkp_erasure_open(admin, &erasures.items[0], &secret, NULL), 0);
	assert_int_equal(
	    bkp_erasure_open(admin, &erasures.items[1], &other, NULL), 0);
	/* One key for all of a host. */
	assert_memory_equal(secret.key, other.key, sizeof(other.key));
	assert_string_equal(secret.map, map);
	assert_int_equal(secret.map_len, strlen(map));
	assert_int_equal(
	    bkp_erasure_hash(secret.key, "public.users", seven, 1, hash, NULL),
	    0);
	assert_memory_equal(hash, erasures.items[0].record.hash, 32);
	assert_memory_not_equal(hash, erasures.items[1].record.hash, 32);
	bkp_erasure_secret_free(&secret);
	bkp_erasure_secret_free(&other);
	bkp_erasures_free(&erasures);
	bkp_repository_close(host);
	bkp_repository_close(admin);
}

static void
whoever_may_not_write_records_nothing(void **state)
{
	const struct bkp_erasure_entry entry = entry_of(seven);
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	assert_int_equal(bkp_erasure_append(admin, &entry, name, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	/* Nor by a key that nobody let in. */
	memset(admin->keys.signing_seed, 7, 32);
	admin->keys.has_signing = true;
	append(admin, seven, name);
	expect_counts(admin, 0, 1);
	bkp_repository_close(admin);
}

static void
an_entry_is_about_earlier_snapshots_of_its_database(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct bkp_erasures erasures;
	struct bkp_erasure *erasure;
	char name[65];
	int64_t future;

	/* A clock that is a day ahead made a snapshot. */
	maker.clock_us = bkp_now_us() + DAY;
	(void)make(&maker);
	future = maker.clock_us;
	assert_int_equal(fixture_back_up(host, &file, 1, 4, name, NULL), 0);
	append(host, seven, name);
	erasures = load_all(host);
	assert_int_equal(erasures.count, 1);
	erasure = &erasures.items[0];
	assert_true(bkp_erasure_concerns(
	    erasure, "postgres/app", "app", future - HOUR));
	assert_true(erasure->record.time_us > bkp_now_us() + DAY - 2 * HOUR);
	assert_false(bkp_erasure_concerns(
	    erasure, "postgres/app", "app", erasure->record.time_us));
	assert_false(bkp_erasure_concerns(erasure, "postgres/app", "other", 0));
	assert_false(bkp_erasure_concerns(erasure, "postgres/b", "app", 0));
	bkp_erasures_free(&erasures);
	bkp_repository_close(host);
}

static void
entries_of_a_host_that_was_revoked_count_where_they_were_there(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	uint64_t believed;
	char name[65];

	append(host, seven, name);
	(void)bkp_key_host_revoke(admin, host->keys.writer, &believed, &err);
	assert_string_equal(err.message, "");
	append(host, eight, name);
	bkp_repository_close(host);
	bkp_repository_close(admin);
	admin = fixture_open_admin(fixture);
	expect_counts(admin, 1, 1);
	bkp_repository_close(admin);
}

/* ---- damage ---- */

static void
one_of_two_is_enough_and_none_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_store *store = fixture_store(fixture);
	char name[65], path[128];

	append(host, seven, name);
	remove_entry(fixture, name, false);
	expect_counts(host, 1, 0);
	(void)snprintf(path, sizeof(path), "erasures/%s", name);
	assert_int_equal(bkp_store_put(store, path, "x", 1, NULL), 0);
	expect_counts(host, 1, 0);
	(void)snprintf(path, sizeof(path), "copies/erasures/%s", name);
	assert_int_equal(bkp_store_put(store, path, "x", 1, NULL), 0);
	expect_counts(host, 0, 1);
	bkp_store_close(store);
	bkp_repository_close(host);
}

static void
what_snapshots_knew_of_is_missed_until_it_is_back(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_history history;
	char names[2][65], name[65];

	append(host, seven, names[0]);
	append(host, eight, names[1]);
	assert_int_equal(fixture_back_up(host, &file, 1, 4, name, NULL), 0);
	history = look_at(host);
	assert_int_equal(history.snapshots.items[0].snapshot.erasures, 2);
	bkp_history_free(&history);
	expect_none(host);
	remove_entry(fixture, names[0], false);
	expect_none(host);
	remove_entry(fixture, names[1], true);
	expect(host, "erasure-missing ");
	/* A backup does not make it forgotten. */
	assert_int_equal(fixture_back_up(host, &file, 1, 4, name, NULL), 0);
	expect(host, "erasure-missing ");
	history = look_at(host);
	assert_int_equal(history.snapshots.items[1].snapshot.erasures, 2);
	assert_int_equal(history.erasures, 2);
	bkp_history_free(&history);
	append(host, eight, name);
	expect_none(host);
	bkp_repository_close(host);
}

static void
what_a_machine_has_seen_is_missed_before_any_snapshot_knows(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_history history;
	char first[65], second[65], name[65];

	append(host, seven, first);
	remember(host);
	append(host, eight, second);
	assert_int_equal(bkp_remembered_erasures(host->config.id, 2, NULL), 0);
	/* No more than once, and not for fewer. */
	assert_int_equal(bkp_remembered_erasures(host->config.id, 1, NULL), 0);
	expect_none(host);
	remove_entry(fixture, second, true);
	expect(host, "erasure-missing ");
	remove_entry(fixture, first, true);
	expect(host, "erasure-missing ");
	/* The next backup tells it to the other machines. */
	assert_int_equal(fixture_back_up(host, &file, 1, 4, name, NULL), 0);
	fixture_forget(fixture);
	expect(host, "erasure-missing ");
	history = look_at(host);
	assert_int_equal(history.erasures, 2);
	bkp_history_free(&history);
	append(host, seven, name);
	append(host, eight, name);
	expect_none(host);
	bkp_repository_close(host);
}

static void
what_is_no_entry_is_not_missed_where_it_is_taken_away(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_repository *stranger = fixture_open_admin(fixture);
	char name[65], made[65];

	memset(stranger->keys.signing_seed, 7, 32);
	stranger->keys.has_signing = true;
	append(host, seven, name);
	append(stranger, eight, name);
	remember(host);
	assert_int_equal(fixture_back_up(host, &file, 1, 4, made, NULL), 0);
	remove_entry(fixture, name, true);
	expect_none(host);
	bkp_repository_close(stranger);
	bkp_repository_close(host);
}

/* ---- faults ---- */

static struct bkp_repository *
open_faulty(struct fixture *fixture, struct bkp_store_fault *fault)
{
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_store *store = NULL;

	assert_int_equal(
	    bkp_store_fault_new(fixture_store(fixture), fault, &store, NULL),
	    0);
	assert_int_equal(
	    bkp_repository_open_store(store, &keys, &repository, NULL), 0);
	return repository;
}

/* ---- a restore ---- */

struct asked {
	uint64_t calls;   /* because of the ledger */
	uint64_t hits;    /* of those that were to fail */
	int rc;           /* of opening it */
	size_t omissions; /* things that may be missing */
};

/* A restore, as far as it asks about the ledger. */
static struct asked
ask(struct fixture *fixture, uint64_t fail_at)
{
	struct bkp_store_fault fault = BKP_STORE_FAULT_INIT;
	struct bkp_opened opened = BKP_OPENED_INIT;
	struct bkp_replay *replay = NULL;
	struct bkp_run *run = NULL;
	struct asked asked;
	uint64_t before;

	opened.repository = open_faulty(fixture, &fault);
	assert_int_equal(bkp_run_new(1, NULL, NULL, &run, NULL), 0);
	fault.fail_at = fail_at > 0 ? fault.calls + fail_at : 0;
	assert_int_equal(bkp_opened_warn(&opened, run, NULL), 0);
	before = fault.calls;
	asked.rc = bkp_replay_open(&opened, run, NULL, &replay, NULL);
	(void)bkp_run_omissions(run, &asked.omissions);
	asked.calls = fault.calls - before;
	asked.hits = fault.hits;
	bkp_replay_close(replay);
	bkp_run_free(run);
	bkp_opened_fini(&opened);
	return asked;
}

static uint64_t
calls_of_a_restore(struct fixture *fixture, size_t omissions)
{
	struct asked asked = ask(fixture, 0);

	assert_int_equal(asked.rc, 0);
	assert_int_equal(asked.omissions, omissions);
	return asked.calls;
}

static void
an_empty_ledger_costs_a_restore_the_same_whatever_there_is(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct maker maker = maker_of(host);
	struct fmt_snapshot knows = FMT_SNAPSHOT_INIT;
	uint64_t calls;

	make(&maker);
	calls = calls_of_a_restore(fixture, 0);
	assert_int_not_equal(calls, 0);
	make(&maker);
	make(&maker);
	assert_int_equal(calls_of_a_restore(fixture, 0), calls);
	/* That it should not be empty is known all the same. */
	knows.erasures = 1;
	make_with(&maker, knows, NULL);
	assert_int_equal(calls_of_a_restore(fixture, 1), calls);
	bkp_repository_close(host);
}

static void
a_gap_is_not_passed_over_whatever_fails(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct maker maker = maker_of(host);
	struct fmt_snapshot knows = FMT_SNAPSHOT_INIT;
	struct asked asked = {.hits = 1};
	char name[65];

	append(host, seven, name);
	knows.erasures = 2;
	make_with(&maker, knows, NULL);
	for (uint64_t n = 1; asked.hits > 0; n++) {
		fixture_forget(fixture);
		asked = ask(fixture, n);
		assert_true(asked.rc < 0 || asked.omissions > 0);
	}
	assert_int_equal(asked.rc, 0);
	assert_int_equal(asked.omissions, 1);
	bkp_repository_close(host);
}

typedef int faulty_fn(struct bkp_repository *repository, struct bkp_error *err);

static int
append_one(struct bkp_repository *repository, struct bkp_error *err)
{
	const struct bkp_erasure_entry entry = entry_of(seven);
	char name[65];

	return bkp_erasure_append(repository, &entry, name, err);
}

static int
load_and_drop(struct bkp_repository *repository, struct bkp_error *err)
{
	struct bkp_erasures erasures = BKP_ERASURES_INIT;
	int rc = bkp_erasures_load(repository, &erasures, err);

	assert_int_equal(erasures.count, rc == 0 ? 1 : 0);
	bkp_erasures_free(&erasures);
	return rc;
}

static unsigned
fail_each_call(struct bkp_repository *repository, struct bkp_store_fault *fault,
    faulty_fn *fn)
{
	for (unsigned n = 1;; n++) {
		struct bkp_error err = BKP_ERROR_INIT;
		uint64_t hits = fault->hits;
		int rc;

		assert_true(n < 100);
		fault->fail_at = fault->calls + n;
		rc = fn(repository, &err);
		if (fault->hits == hits) {
			assert_int_equal(rc, 0);
			return n - 1;
		}
		assert_int_equal(rc, -1);
		assert_int_not_equal(err.code, BKP_OK);
	}
}

static void
every_call_of_the_store_may_fail(void **state)
{
	struct bkp_store_fault fault = BKP_STORE_FAULT_INIT;
	struct bkp_repository *host = open_faulty(*state, &fault);
	struct fixture *fixture = *state;
	char name[65], *names;

	append(host, seven, name);
	assert_true(fail_each_call(host, &fault, load_and_drop) >= 3);
	assert_true(fail_each_call(host, &fault, append_one) >= 4);
	fault.fail_at = 0;
	/* What was left behind is whole, and counts. */
	names = fixture_names(fixture, "copies/erasures/");
	assert_true(strlen(names) > 0);
	free(names);
	expect_counts(host, 3, 0);
	bkp_repository_close(host);
}

static void
every_allocation_may_fail(void **state)
{
	const struct bkp_erasure_entry entry = entry_of(seven);
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);
	char name[65];

	append(host, seven, name);
	for (int n = 0; n < 100000; n++) {
		struct bkp_erasure_secret secret = BKP_ERASURE_SECRET_INIT;
		struct bkp_erasures erasures = BKP_ERASURES_INIT;
		struct bkp_error err = BKP_ERROR_INIT;
		bool has_failed;
		int rc;

		failing_alloc_at(n);
		rc = bkp_erasures_load(admin, &erasures, &err);
		if (rc == 0)
			rc = bkp_erasure_open(
			    admin, &erasures.items[0], &secret, &err);
		has_failed = failing_alloc_end();
		if (rc < 0)
			assert_int_equal(err.code, BKP_NOMEM);
		bkp_erasures_free(&erasures);
		bkp_erasure_secret_free(&secret);
		if (!has_failed) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_int_equal(rc, -1);
	}
	for (int n = 0; n < 100000; n++) {
		struct bkp_error err = BKP_ERROR_INIT;
		bool has_failed;
		int rc;

		failing_alloc_at(n);
		rc = bkp_erasure_append(host, &entry, name, &err);
		has_failed = failing_alloc_end();
		if (!has_failed) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
	}
	bkp_repository_close(host);
	bkp_repository_close(admin);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(                                       \
	    name, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_host_records_and_an_administrator_opens),
	    TEST(whoever_may_not_write_records_nothing),
	    TEST(an_entry_is_about_earlier_snapshots_of_its_database),
	    TEST(
		entries_of_a_host_that_was_revoked_count_where_they_were_there),
	    TEST(one_of_two_is_enough_and_none_is_told),
	    TEST(what_snapshots_knew_of_is_missed_until_it_is_back),
	    TEST(what_a_machine_has_seen_is_missed_before_any_snapshot_knows),
	    TEST(what_is_no_entry_is_not_missed_where_it_is_taken_away),
	    TEST(an_empty_ledger_costs_a_restore_the_same_whatever_there_is),
	    TEST(a_gap_is_not_passed_over_whatever_fails),
	    TEST(every_call_of_the_store_may_fail),
	    TEST(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("erasures", tests, NULL, NULL);
}
