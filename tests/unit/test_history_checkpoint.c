/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that were pruned, held back, put back or out of order, and
 * checkpoints that are damaged, gone or of a stranger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/history_fixture.h"

static void
keep(struct bkp_checkpoint *checkpoint, struct made made)
{
	assert_int_equal(bkp_checkpoint_keep(checkpoint, made.name, NULL), 0);
}

static void
numbers_that_go_backwards_are_out_of_order(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made odd, nothing;

	memset(nothing.name, 'f', 64);
	nothing.name[64] = '\0';
	make(&maker);
	make(&maker);
	maker.sequence = 1;
	odd = make(&maker);
	expect(host, is("reordered", odd));
	/* Whoever has looked into it may accept it. */
	prune(host, nothing);
	expect_none(host);
	bkp_repository_close(host);
}

static size_t
count_objects(struct fixture *fixture, const char *prefix)
{
	char *names = fixture_names(fixture, prefix);
	size_t count = 0;

	for (const char *at = names; *at != '\0'; at++)
		count += *at == '\n';
	free(names);
	return count;
}

static void
what_a_prune_removed_is_not_missed(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker), c = make(&maker);
	struct fmt_buf bytes = take(*state, c);

	remember(host);
	prune(host, b);
	/* It counts no more, also before it is deleted. */
	expect(host, is("returned", b));
	delete (*state, b);
	expect_none(host);
	prune(host, c); /* which this machine remembers */
	delete (*state, c);
	expect_none(host);
	remember(host);
	put_bytes(*state, c, bytes.data, bytes.len);
	expect(host, is("returned", c));
	put_bytes(*state, c, bytes.data, bytes.len / 2);
	expect(host, is("returned", c));
	delete (*state, c);
	delete (*state, a); /* kept by the checkpoint, named by nobody */
	expect(host, is("missing", a));
	prune(host, a); /* the loss is accepted */
	expect_none(host);
	assert_int_equal(count_objects(*state, "checkpoints/"), 1);
	fmt_buf_free(&bytes);
	bkp_repository_close(host);
}

static void
what_a_session_that_was_given_up_made_is_void(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fmt_snapshot with = FMT_SNAPSHOT_INIT;
	struct maker maker = maker_of(host);
	struct bkp_checkpoint checkpoint = load(host);
	struct bkp_history history;
	struct made a = make(&maker), before, after;

	memset(with.session, 'a', 32);
	before = make_with(&maker, with, NULL);
	keep(&checkpoint, a);
	keep(&checkpoint, before);
	assert_int_equal(
	    bkp_checkpoint_expire(&checkpoint, with.session, NULL), 0);
	put(host, &checkpoint);
	bkp_checkpoint_free(&checkpoint);
	expect_none(host); /* what it had made by then counts */
	after = make_with(&maker, with, NULL);
	expect(host, is("void", after));
	history = look_at(host);
	assert_int_equal(history.snapshots.count, 2);
	assert_int_equal(bkp_history_problems(&history), 0);
	bkp_history_free(&history);
	bkp_repository_close(host);
}

static void
two_checkpoints_of_the_same_time_are_joined(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker), c = make(&maker);
	struct bkp_checkpoint one, other, late, joined;

	prune(host, a);
	one = load(host);
	other = load(host);
	late = load(host);
	strike(&one, b);
	strike(&other, c);
	put(host, &one);
	put(host, &other);
	assert_int_equal(count_objects(*state, "checkpoints/"), 2);
	joined = load(host);
	assert_int_equal(joined.sequence, 2);
	assert_int_equal(joined.kept_count, 0);
	assert_int_equal(joined.removed_count, 3);
	keep(&joined, b); /* removed is removed */
	assert_int_equal(joined.kept_count, 0);
	put(host, &joined);
	assert_int_equal(count_objects(*state, "checkpoints/"), 1);
	bkp_checkpoint_free(&joined);
	/* One that slept meanwhile takes nothing back, and is not lost. */
	assert_int_equal(bkp_checkpoint_expire(
			     &late, "0123456789abcdef0123456789abcdef", NULL),
	    0);
	put(host, &late);
	joined = load(host);
	assert_int_equal(joined.sequence, 3);
	assert_int_equal(joined.removed_count, 3);
	assert_int_equal(joined.expired_count, 1);
	assert_int_equal(joined.kept_count, 0);
	bkp_checkpoint_free(&joined);
	bkp_checkpoint_free(&one);
	bkp_checkpoint_free(&other);
	bkp_checkpoint_free(&late);
	bkp_repository_close(host);
}

/* Fails and is killed at every call of writing one: the state is the old one
 * or the new one, and nothing is missed. */
static void
a_checkpoint_is_written_whole_or_not_at_all(void **state)
{
	struct bkp_keys keys = fixture_host_keys(*state);
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made made = make(&maker);
	unsigned old = 0, new = 0;

	make(&maker);
	remember(host);
	for (uint64_t n = 1;; n++) {
		struct bkp_store_fault fault = {
		    .fail_at = 0, .is_killed_after = true};
		struct bkp_repository *failing = NULL;
		struct bkp_store *store = NULL;
		struct bkp_checkpoint checkpoint, after;

		assert_int_equal(bkp_store_fault_new(fixture_store(*state),
				     &fault, &store, NULL),
		    0);
		assert_int_equal(
		    bkp_repository_open_store(store, &keys, &failing, NULL), 0);
		checkpoint = load(failing);
		fault.fail_at = fault.calls + n;
		fault.is_effect_done = n % 2 == 0;
		strike(&checkpoint, made);
		(void)bkp_checkpoint_put(failing, &checkpoint, NULL);
		after = load(host);
		old += after.removed_count == 0;
		new += after.removed_count == 1;
		assert_int_equal(after.damaged, 0);
		bkp_checkpoint_free(&after);
		bkp_checkpoint_free(&checkpoint);
		bkp_repository_close(failing);
		if (fault.hits == 0)
			break;
	}
	assert_true(old > 0 && new > 1);
	/* What the others left was taken away by the last. */
	assert_int_equal(count_objects(*state, "checkpoints/"), 1);
	assert_int_equal(count_objects(*state, "copies/checkpoints/"), 1);
	expect(host, is("returned", made));
	bkp_repository_close(host);
}

/* One that another one stands for may be left by a crash, and rot. */
static void
a_damaged_checkpoint_that_was_replaced_is_missed_by_nobody(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fixture *fixture = *state;
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker);
	char *name;

	prune(host, a);
	name = fixture_names(fixture, "checkpoints/");
	name[strcspn(name, "\n")] = '\0';
	prune(host, b);
	delete (fixture, a);
	delete (fixture, b);
	assert_int_equal(bkp_store_put(fixture->memory, name, "x", 1, NULL), 0);
	expect_none(host);
	free(name);
	bkp_repository_close(host);
}

static void
a_checkpoint_that_is_gone_is_missed(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker);
	char *name, copy[128];

	prune(host, a);
	delete (*state, a);
	remember(host);
	expect_none(host);
	name = fixture_names(*state, "checkpoints/");
	name[strcspn(name, "\n")] = '\0';
	assert_int_equal(
	    bkp_store_remove(((struct fixture *)*state)->memory, name, NULL),
	    0);
	/* It is stored twice. */
	expect_none(host);
	(void)snprintf(copy, sizeof(copy), "copies/%s", name);
	assert_int_equal(
	    bkp_store_remove(((struct fixture *)*state)->memory, copy, NULL),
	    0);
	expect(host, "rolled-back ", is("missing", a));
	fixture_forget(*state);
	/* A snapshot that was made after it says so to anybody. */
	make_with(&maker, (struct fmt_snapshot){.checkpoint = 1}, NULL);
	expect(host, "record-damaged ", is("missing", a));
	prune(host, a);
	expect_none(host);
	assert_int_equal(bkp_store_put(((struct fixture *)*state)->memory, name,
			     "x", 1, NULL),
	    0);
	/* The one that is damaged there now has been lost before. */
	expect(host, "record-damaged ");
	(void)b;
	free(name);
	bkp_repository_close(host);
}

static void
one_that_a_later_checkpoint_does_not_know_was_held_back(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), held;
	const int64_t now = bkp_now_us();

	prune(host, a);
	maker.previous[0] = '\0';
	held = make_with(
	    &maker, (struct fmt_snapshot){.finished_us = now - 2 * DAY}, NULL);
	/* Made at the same time, by a clock that is some hours late. */
	make_with(
	    &maker, (struct fmt_snapshot){.finished_us = now - 9 * HOUR}, NULL);
	/* A clock that is weeks late, of one that knew the checkpoint. */
	make_with(&maker,
	    (struct fmt_snapshot){
		.finished_us = now - 30 * DAY, .checkpoint = 1},
	    NULL);
	expect(host, is("held-back", held), is("returned", a));
	bkp_repository_close(host);
}

static void
a_stranger_writes_no_checkpoint(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct bkp_checkpoint checkpoint = load(host);
	struct made made = make(&maker);
	struct bkp_history history;
	unsigned char seed[32];

	memcpy(seed, host->keys.signing_seed, 32);
	strike(&checkpoint, made);
	host->keys.signing_seed[3] ^= 1;
	assert_int_equal(bkp_checkpoint_put(host, &checkpoint, NULL), -1);
	/* As one who does not ask would do. */
	memcpy(host->keys.admin_seed, host->keys.signing_seed, 32);
	host->keys.has_admin = true;
	put(host, &checkpoint);
	host->keys.has_admin = false;
	memcpy(host->keys.signing_seed, seed, 32);
	expect(host, "record-damaged ");
	history = look_at(host);
	assert_int_equal(history.snapshots.count, 1);
	bkp_history_free(&history);
	bkp_checkpoint_free(&checkpoint);
	bkp_repository_close(host);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(numbers_that_go_backwards_are_out_of_order),
	    CASE(what_a_prune_removed_is_not_missed),
	    CASE(what_a_session_that_was_given_up_made_is_void),
	    CASE(two_checkpoints_of_the_same_time_are_joined),
	    CASE(a_checkpoint_is_written_whole_or_not_at_all),
	    CASE(a_damaged_checkpoint_that_was_replaced_is_missed_by_nobody),
	    CASE(a_checkpoint_that_is_gone_is_missed),
	    CASE(one_that_a_later_checkpoint_does_not_know_was_held_back),
	    CASE(a_stranger_writes_no_checkpoint),
	};

	return cmocka_run_group_tests_name(
	    "history checkpoint", tests, NULL, NULL);
}
