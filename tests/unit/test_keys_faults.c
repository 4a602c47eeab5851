/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever fails while keys are changed, everybody gets in who could before or
 * can afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/key.h"
#include "tests/unit/keys_fixture.h"

struct scene {
	struct fixture *fixture;
	struct bkp_keys first, second, phrase, host, new_host;
	char recipient[63], snapshot[65];
};

enum { ADD, ADD_PHRASE, REMOVE, HOST, REVOKE, ROTATE, CHANGES };

static int
change(struct scene *scene, struct bkp_repository *admin, int what,
    struct bkp_error *err)
{
	char removed[63];

	switch (what) {
	case ADD:
		return keys_add_recipient(
		    admin, scene->recipient, "second", err);
	case ADD_PHRASE:
		return keys_add_phrase(admin, "third", err);
	case REMOVE:
		return bkp_key_remove(
		    admin, scene->fixture->recipient, removed, err);
	case HOST:
		return bkp_key_host_add(
		    admin, "db2", scene->new_host.key_file, 0, err);
	case REVOKE:
		return bkp_key_host_revoke(admin, "db2", NULL, err);
	default:
		return bkp_key_rotate(admin, err);
	}
}

/* Makes the repository as it is before `what`. */
static void
set_up(struct scene *scene, int what)
{
	struct bkp_repository *admin = fixture_open_admin(scene->fixture);

	scene->first = fixture_admin_keys(scene->fixture);
	scene->host = fixture_host_keys(scene->fixture);
	scene->new_host = keys_of_host(scene->fixture, "db2.key");
	scene->phrase = keys_of_phrase("third");
	scene->second =
	    keys_new_identity(scene->fixture, "second.txt", scene->recipient);
	for (int i = 0; i < what; i++) {
		/* The one who is to be removed must not be the one who does
		 * what comes after. */
		if (i != REMOVE)
			MUST(change(scene, admin, i, &keys_trouble));
	}
	bkp_repository_close(admin);
	keys_back_up(scene->fixture,
	    what == REVOKE ? &scene->new_host : &scene->host, scene->snapshot);
}

static int
change_through(struct scene *scene, struct bkp_store_fault *fault, int what,
    struct bkp_error *err)
{
	struct bkp_keys *keys = what > ADD ? &scene->second : &scene->first;
	struct bkp_repository *admin = NULL;
	struct bkp_store *store = NULL;
	int rc;

	MUST(bkp_store_fault_new(
	    fixture_store(scene->fixture), fault, &store, &keys_trouble));
	rc = bkp_repository_open_store(store, keys, &admin, err);
	if (rc == 0)
		rc = change(scene, admin, what, err);
	bkp_repository_close(admin);
	return rc;
}

static bool
opens(struct scene *scene, const struct bkp_keys *keys)
{
	return keys_try(scene->fixture, keys, NULL) == 0;
}

/* Who could get in before, or can afterwards, does. */
static void
assert_nobody_is_locked_out(struct scene *scene, int what, bool is_done)
{
	assert_true(is_done || opens(scene, &scene->first));
	if (what > ADD)
		assert_true(opens(scene, &scene->second));
	if (what > ADD_PHRASE)
		assert_true(opens(scene, &scene->phrase));
	assert_true(opens(scene, &scene->host));
	if (what > HOST && what != REVOKE && what != ROTATE)
		assert_true(opens(scene, &scene->new_host));
	keys_assert_reads(scene->fixture,
	    what > ADD ? &scene->second : &scene->first, scene->snapshot);
}

static void
assert_all_is_well(struct scene *scene, int what)
{
	const struct bkp_keys *admin =
	    what >= ADD ? &scene->second : &scene->first;
	struct bkp_repository *repository = keys_open(scene->fixture, admin);
	char name[65];

	MUST(bkp_repository_check_keys(
	    repository, keys_no_damage, NULL, &keys_trouble));
	bkp_repository_close(repository);
	keys_back_up(scene->fixture, &scene->host, name);
	keys_assert_reads(scene->fixture, admin, name);
	keys_assert_reads(scene->fixture, admin, scene->snapshot);
	if (what >= ADD_PHRASE)
		keys_assert_reads(scene->fixture, &scene->phrase, name);
	if (what == HOST)
		assert_true(opens(scene, &scene->new_host));
	if (what != REMOVE)
		return;
	/* An object that could not be removed goes with the next change. */
	repository = keys_open(scene->fixture, admin);
	MUST(bkp_key_rotate(repository, &keys_trouble));
	bkp_repository_close(repository);
	assert_false(opens(scene, &scene->first));
}

/* The repository as set_up made it, so that nothing is left by others. */
static void
begin_anew(struct scene *scene, struct bkp_store *template, int what)
{
	struct bkp_store *stores[2] = {template, NULL};

	MUST(bkp_store_memory_new(&stores[1], &keys_trouble));
	MUST(bkp_store_list(
	    template, "", keys_copy_object, stores, &keys_trouble));
	bkp_store_close(scene->fixture->memory);
	scene->fixture->memory = stores[1];
	fixture_forget(scene->fixture);
	if (what == HOST)
		(void)unlink(scene->new_host.key_file);
}

static void
assert_keys_are_good(struct scene *scene, int what)
{
	struct bkp_repository *admin = keys_open(
	    scene->fixture, what > ADD ? &scene->second : &scene->first);

	MUST(bkp_repository_check_keys(
	    admin, keys_no_damage, NULL, &keys_trouble));
	bkp_repository_close(admin);
}

/* Answers whether a call failed: false where there are not so many. */
static bool
fail_one(struct scene *scene, int what, uint64_t n, int way)
{
	struct bkp_store_fault fault = {.fail_at = n,
	    .is_effect_done = way == 1,
	    .is_killed_after = way == 2};
	struct bkp_store_fault none = BKP_STORE_FAULT_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	int rc = change_through(scene, &fault, what, &err);

	if (fault.hits == 0)
		assert_int_equal(rc, 0);
	assert_nobody_is_locked_out(scene, what, what == REMOVE);
	assert_keys_are_good(scene, what);
	/* Once more, unless it had happened. */
	if (rc < 0) {
		(void)unlink(scene->new_host.key_file);
		rc = change_through(scene, &none, what, &err);
		if (rc < 0 && err.code != BKP_EXISTS &&
		    err.code != BKP_NOTFOUND)
			fail_msg("change %d, call %d: %s", what, (int)n,
			    err.message);
		if (what == HOST && rc < 0)
			return true;
	}
	assert_all_is_well(scene, what);
	return fault.hits > 0;
}

/* All the ways of one change, on copies of one repository. */
static void
fail_each(int what)
{
	struct bkp_store *template = NULL;
	struct scene scene;
	void *state;

	assert_int_equal(fixture_new_initialised(&state), 0);
	scene.fixture = state;
	set_up(&scene, what);
	template = fixture_store(scene.fixture);
	/* That one call alone fails is told apart once. */
	for (int way = what == ROTATE ? 0 : 1; way < 3; way++) {
		uint64_t n = 0;

		do {
			begin_anew(&scene, template, what);
			assert_true(++n < 200);
		} while (fail_one(&scene, what, n, way));
		assert_true(n > 10);
	}
	bkp_store_close(template);
	assert_int_equal(fixture_free(&state), 0);
}

static void
no_failed_call_locks_anybody_out(void **state)
{
	(void)state;
	for (int what = 0; what < CHANGES; what++)
		fail_each(what);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_failed_call_locks_anybody_out),
	};

	return cmocka_run_group_tests_name("keys faults", tests, NULL, NULL);
}
