/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators and hosts come and go, keys are rotated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/key.h"
#include "libbackup/repository/history.h"
#include "tests/unit/keys_fixture.h"

static size_t
count_snapshots(struct fixture *fixture, const struct bkp_keys *keys)
{
	struct bkp_repository *repository = keys_open(fixture, keys);
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	size_t count;

	(void)bkp_snapshot_list(repository, &list, &err);
	assert_string_equal(err.message, "");
	count = list.count;
	bkp_snapshot_list_free(&list);
	bkp_repository_close(repository);
	return count;
}

static int
no_finding(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err)
{
	(void)arg;
	(void)err;
	fail_msg("%s %s: %s", finding->kind, finding->object, finding->text);
	return 0;
}

static void
assert_checks(struct fixture *fixture, bkp_key_finding_fn *fn)
{
	struct bkp_repository *admin = fixture_open_admin(fixture);

	MUST(bkp_repository_check_keys(admin, fn, NULL, &keys_trouble));
	bkp_repository_close(admin);
}

/* ---- administrators ---- */

static void
who_is_added_opens_everything_and_who_is_removed_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys host = fixture_host_keys(fixture), second;
	struct bkp_repository *admin;
	struct bkp_error err = BKP_ERROR_INIT;
	char recipient[63], removed[63], snapshot[65];
	char *packs, *after;

	keys_back_up(fixture, &host, snapshot);
	packs = fixture_names(fixture, "packs/");
	second = keys_new_identity(fixture, "second.txt", recipient);
	assert_int_equal(keys_try(fixture, &second, NULL), -1);
	admin = fixture_open_admin(fixture);
	MUST(keys_add_recipient(
	    admin, recipient, "second person", &keys_trouble));
	keys_assert_reads(fixture, &second, snapshot);
	assert_checks(fixture, no_finding);
	assert_int_equal(keys_add_recipient(admin, recipient, NULL, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	MUST(bkp_key_remove(admin, "second p", removed, &keys_trouble));
	assert_string_equal(removed, recipient);
	assert_int_equal(keys_try(fixture, &second, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_checks(fixture, no_finding);
	bkp_repository_close(admin);
	second = fixture_admin_keys(fixture);
	keys_assert_reads(fixture, &second, snapshot);
	after = fixture_names(fixture, "packs/");
	assert_string_equal(packs, after);
	free(packs);
	free(after);
}

static void
the_last_administrator_stays(void **state)
{
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct bkp_error err = BKP_ERROR_INIT;
	char removed[63];

	assert_int_equal(bkp_key_remove(admin, "age1", removed, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, "last administrator"));
	assert_int_equal(bkp_key_remove(admin, "nobody", removed, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(bkp_key_remove(admin, "", removed, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	bkp_repository_close(admin);
}

static void
a_passphrase_is_one_more_way_in_and_survives_a_rotation(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys host = fixture_host_keys(fixture);
	struct bkp_keys phrase = keys_of_phrase("a second way");
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	char first[65], second[65], removed[63];

	keys_back_up(fixture, &host, first);
	MUST(keys_add_phrase(admin, "a second way", &keys_trouble));
	keys_assert_reads(fixture, &phrase, first);
	/* Removing one of two would leave the secret working. */
	assert_int_equal(keys_add_phrase(admin, "a second way", &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_non_null(strstr(err.message, "'passphrase'"));
	MUST(bkp_key_rotate(admin, &keys_trouble));
	assert_int_equal(keys_add_phrase(admin, "a second way", &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	keys_back_up(fixture, &host, second);
	keys_assert_reads(fixture, &phrase, first);
	keys_assert_reads(fixture, &phrase, second);
	MUST(bkp_key_remove(admin, "passphrase", removed, &keys_trouble));
	assert_int_equal(keys_try(fixture, &phrase, NULL), -1);
	MUST(keys_add_phrase(admin, "a second way", &keys_trouble));
	keys_assert_reads(fixture, &phrase, second);
	assert_checks(fixture, no_finding);
	bkp_repository_close(admin);
}

/* The administrator who was added last does all that the first could. */
static void
administrators_can_replace_one_another(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys first = fixture_admin_keys(fixture), second;
	struct bkp_repository *admin = fixture_open_admin(fixture);
	char recipient[63], removed[63];

	second = keys_new_identity(fixture, "second.txt", recipient);
	MUST(keys_add_recipient(admin, recipient, "new", &keys_trouble));
	bkp_repository_close(admin);
	admin = keys_open(fixture, &second);
	MUST(bkp_key_remove(admin, fixture->recipient, removed, &keys_trouble));
	MUST(bkp_key_rotate(admin, &keys_trouble));
	bkp_repository_close(admin);
	assert_int_equal(keys_try(fixture, &first, NULL), -1);
	admin = keys_open(fixture, &second);
	MUST(bkp_key_rotate(admin, &keys_trouble));
	bkp_repository_close(admin);
}

static void
only_an_administrator_changes_keys(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(bkp_key_rotate(host, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	bkp_repository_close(host);
}

/* ---- rotation ---- */

static void
after_a_rotation_hosts_go_on_and_nothing_is_rewritten(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys host = fixture_host_keys(fixture);
	struct bkp_keys admin_keys = fixture_admin_keys(fixture);
	struct bkp_repository *admin;
	char names[4][65], *packs, *after;

	keys_back_up(fixture, &host, names[0]);
	packs = fixture_names(fixture, "packs/");
	for (int i = 1; i < 4; i++) {
		struct bkp_repository *before = fixture_open_host(fixture);
		struct fmt_age_recipient old = before->keys.metadata_recipient;

		bkp_repository_close(before);
		admin = fixture_open_admin(fixture);
		MUST(bkp_key_rotate(admin, &keys_trouble));
		assert_int_equal(admin->roster.generation, 1 + i);
		bkp_repository_close(admin);
		before = fixture_open_host(fixture);
		assert_memory_not_equal(
		    old.key, before->keys.metadata_recipient.key, 32);
		bkp_repository_close(before);
		keys_back_up(fixture, &host, names[i]);
	}
	for (int i = 0; i < 4; i++)
		keys_assert_reads(fixture, &admin_keys, names[i]);
	assert_int_equal(count_snapshots(fixture, &host), 4);
	after = fixture_names(fixture, "packs/");
	for (char *pack = strtok(packs, "\n"); pack != NULL;
	     pack = strtok(NULL, "\n"))
		assert_non_null(strstr(after, pack));
	assert_checks(fixture, no_finding);
	free(packs);
	free(after);
}

static void
there_is_an_end_to_rotations(void **state)
{
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct bkp_error err = BKP_ERROR_INIT;

	for (int i = 1; i < BKP_GENERATIONS; i++)
		MUST(bkp_key_rotate(admin, &keys_trouble));
	assert_int_equal(bkp_key_rotate(admin, &err), -1);
	assert_int_equal(err.code, BKP_UNSUPPORTED);
	bkp_repository_close(admin);
	admin = fixture_open_admin(*state);
	assert_int_equal(admin->keys.count, BKP_GENERATIONS);
	bkp_repository_close(admin);
}

/* ---- hosts ---- */

static void
a_second_host_backs_up_and_reads_no_content(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys first = fixture_host_keys(fixture);
	struct bkp_keys second = keys_of_host(fixture, "db2.key");
	struct bkp_keys admin_keys = fixture_admin_keys(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	unsigned char public_key[32];
	struct bkp_repository *host;
	char names[2][65];

	MUST(bkp_key_rotate(admin, &keys_trouble));
	MUST(bkp_key_host_add(admin, "db2", second.key_file, 0, &keys_trouble));
	assert_int_equal(bkp_key_host_add(admin, "db2",
			     keys_path(fixture, "x.key"), 0, &err),
	    -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_int_equal(access(keys_path(fixture, "x.key"), F_OK), -1);
	assert_int_equal(bkp_key_host_add(admin, "d b",
			     keys_path(fixture, "x.key"), 0, &err),
	    -1);
	assert_int_equal(err.code, BKP_INVALID);
	bkp_repository_close(admin);
	keys_back_up(fixture, &first, names[0]);
	keys_back_up(fixture, &second, names[1]);
	keys_assert_reads(fixture, &admin_keys, names[1]);
	host = keys_open(fixture, &second);
	assert_int_equal(bkp_repository_can_read(host), 0);
	assert_int_equal(
	    fmt_sign_public(host->keys.signing_seed, public_key), FMT_OK);
	assert_false(bkp_roster_may_prune(&host->roster, public_key));
	assert_string_equal(
	    bkp_roster_writer_name(&host->roster, public_key), "db2");
	bkp_repository_close(host);
	host = keys_open(fixture, &first);
	assert_int_equal(
	    fmt_sign_public(host->keys.signing_seed, public_key), FMT_OK);
	assert_true(bkp_roster_may_prune(&host->roster, public_key));
	bkp_repository_close(host);
}

/* What is stolen with a host's key: the past stays believed, the future of
 * that key is not, and after a rotation it opens nothing that is new. */
/* Stores a later snapshot with the content of one that is there. */
static void
sign_again(struct bkp_repository *host, const char *name, char later[65])
{
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct fmt_buf text = FMT_BUF_INIT;

	MUST(bkp_repository_snapshot(host, name, &snapshot, &keys_trouble));
	snapshot.time_us++;
	assert_int_equal(
	    fmt_snapshot_encode(&snapshot, host->keys.signing_seed, &text),
	    FMT_OK);
	MUST(bkp_object_seal(host->store, "snapshots",
	    &host->keys.metadata_recipient, 1, text.data, text.len, later, NULL,
	    &keys_trouble));
	fmt_buf_free(&text);
	fmt_snapshot_free(&snapshot);
}

static void
a_revoked_host_is_believed_for_what_it_had_written(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys first = fixture_host_keys(fixture);
	struct bkp_keys second = keys_of_host(fixture, "db2.key");
	struct bkp_keys admin_keys = fixture_admin_keys(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture), *thief;
	struct bkp_error err = BKP_ERROR_INIT;
	char names[2][65], *packs, *after;
	uint64_t believed = 0;

	MUST(bkp_key_host_add(admin, "db2", second.key_file, 1, &keys_trouble));
	keys_back_up(fixture, &second, names[0]);
	thief = keys_open(fixture, &second);
	packs = fixture_names(fixture, "packs/");
	MUST(bkp_key_host_revoke(admin, "db2", &believed, &keys_trouble));
	assert_int_equal(believed, 1);
	assert_int_equal(
	    bkp_key_host_revoke(admin, "db2", &believed, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	/* One who had opened before is told; one who goes on all the same is
	 * not believed. */
	assert_int_equal(
	    fixture_back_up(thief, keys_files, 2, 100, names[1], &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "revoked"));
	sign_again(thief, names[0], names[1]);
	bkp_repository_close(thief);
	keys_assert_reads(fixture, &admin_keys, names[0]);
	bkp_repository_close(admin);
	admin = fixture_open_admin(fixture);
	assert_int_equal(
	    fixture_compare(admin, names[1], keys_files, 2, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "revoked"));
	thief = keys_open(fixture, &second);
	assert_int_equal(
	    fixture_back_up(thief, keys_files, 2, 100, names[1], &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "revoked"));
	bkp_repository_close(thief);
	MUST(bkp_key_rotate(admin, &keys_trouble));
	assert_int_equal(keys_try(fixture, &second, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "revoked"));
	/* A new key for the same host takes its place. */
	second = keys_of_host(fixture, "db2-new.key");
	MUST(bkp_key_host_add(admin, "db2", second.key_file, 1, &keys_trouble));
	keys_back_up(fixture, &second, names[1]);
	keys_back_up(fixture, &first, names[1]);
	keys_assert_reads(fixture, &admin_keys, names[0]);
	keys_assert_reads(fixture, &admin_keys, names[1]);
	bkp_repository_close(admin);
	after = fixture_names(fixture, "packs/");
	for (char *pack = strtok(packs, "\n"); pack != NULL;
	     pack = strtok(NULL, "\n"))
		assert_non_null(strstr(after, pack));
	free(packs);
	free(after);
}

/* A snapshot that it had removed does not come back with its key. */
static void
what_a_revoked_host_had_removed_stays_removed(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys host = fixture_host_keys(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture), *pruner;
	struct bkp_checkpoint checkpoint = {.sequence = 0};
	char name[65];

	keys_back_up(fixture, &host, name);
	pruner = keys_open(fixture, &host);
	MUST(bkp_checkpoint_load(pruner, &checkpoint, &keys_trouble));
	MUST(bkp_checkpoint_put(pruner, &checkpoint, &keys_trouble));
	bkp_checkpoint_free(&checkpoint);
	MUST(bkp_key_host_revoke(
	    admin, pruner->keys.writer, NULL, &keys_trouble));
	bkp_repository_close(admin);
	admin = fixture_open_admin(fixture);
	MUST(bkp_checkpoint_load(admin, &checkpoint, &keys_trouble));
	assert_int_equal(checkpoint.sequence, 1);
	assert_int_equal(checkpoint.damaged, 0);
	bkp_checkpoint_free(&checkpoint);
	/* Afterwards it states nothing. */
	MUST(bkp_checkpoint_load(pruner, &checkpoint, &keys_trouble));
	(void)bkp_checkpoint_put(pruner, &checkpoint, &keys_trouble);
	bkp_checkpoint_free(&checkpoint);
	bkp_repository_close(pruner);
	MUST(bkp_checkpoint_load(admin, &checkpoint, &keys_trouble));
	assert_true(checkpoint.sequence <= 1);
	bkp_checkpoint_free(&checkpoint);
	bkp_repository_close(admin);
}

static void
the_list_tells_all_of_them(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *admin = fixture_open_admin(fixture), *host;
	struct bkp_key_list list = BKP_KEY_LIST_INIT;

	MUST(keys_add_phrase(admin, "x", &keys_trouble));
	MUST(bkp_key_host_add(
	    admin, "db2", keys_path(fixture, "db2.key"), 0, &keys_trouble));
	MUST(bkp_key_host_revoke(admin, "db2", NULL, &keys_trouble));
	bkp_repository_close(admin);
	host = fixture_open_host(fixture);
	MUST(bkp_key_list(host, &list, &keys_trouble));
	assert_int_equal(list.roster, 4);
	assert_int_equal(list.generation, 1);
	assert_int_equal(list.admin_count, 2);
	assert_string_equal(list.admins[0].recipient, fixture->recipient);
	assert_int_equal(list.admins[0].is_passphrase, 0);
	assert_int_equal(list.admins[1].is_passphrase, 1);
	assert_string_equal(list.admins[1].label, "passphrase");
	assert_int_equal(list.host_count, 2);
	assert_int_equal(list.hosts[0].may_prune, 1);
	assert_int_equal(list.hosts[0].revoked_us, 0);
	assert_string_equal(list.hosts[1].name, "db2");
	assert_true(list.hosts[1].revoked_us > 0);
	assert_null(list.damage);
	bkp_key_list_free(&list);
	bkp_repository_close(host);
}

/* ---- at the same time ---- */

static void
of_two_changes_at_the_same_time_one_is_told_to_try_again(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *a = fixture_open_admin(fixture);
	struct bkp_repository *b = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	MUST(bkp_key_rotate(a, &keys_trouble));
	assert_int_equal(bkp_key_rotate(b, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	bkp_repository_close(a);
	bkp_repository_close(b);
	b = fixture_open_admin(fixture);
	MUST(bkp_key_rotate(b, &keys_trouble));
	assert_int_equal(b->roster.generation, 3);
	bkp_repository_close(b);
}

/* Both began with the same roster, as when neither saw the other's; what one
 * took away the other may not bring back. */
static void
two_changes_that_did_not_see_each_other_are_joined(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_store *stores[2] = {NULL, NULL};
	struct bkp_keys phrase = keys_of_phrase("joined"), second;
	struct bkp_keys admin_keys = fixture_admin_keys(fixture);
	struct bkp_keys host = fixture_host_keys(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture), *other;
	char recipient[63], removed[63], names[3][65];
	struct bkp_error err = BKP_ERROR_INIT;

	second = keys_new_identity(fixture, "second.txt", recipient);
	MUST(keys_add_recipient(admin, recipient, "second", &keys_trouble));
	keys_back_up(fixture, &host, names[0]);
	MUST(bkp_store_memory_new(&stores[1], &keys_trouble));
	stores[0] = fixture->memory;
	MUST(bkp_store_list(
	    stores[0], "", keys_copy_object, stores, &keys_trouble));
	fixture->memory = stores[1];
	other = fixture_open_admin(fixture);
	MUST(bkp_key_remove(other, "second", removed, &keys_trouble));
	bkp_repository_close(other);
	fixture->memory = stores[0];
	/* Meanwhile here: a rotation, and then one more, as the other did. */
	MUST(bkp_key_rotate(admin, &keys_trouble));
	bkp_repository_close(admin);
	keys_back_up(fixture, &host, names[1]);
	stores[0] = stores[1];
	stores[1] = fixture->memory;
	MUST(bkp_store_list(
	    stores[0], "", keys_copy_object, stores, &keys_trouble));
	bkp_store_close(stores[0]);
	assert_checks(fixture, keys_no_damage);
	keys_assert_reads(fixture, &admin_keys, names[0]);
	keys_assert_reads(fixture, &admin_keys, names[1]);
	keys_back_up(fixture, &host, names[2]);
	/* The next change joins them. */
	admin = fixture_open_admin(fixture);
	assert_true(admin->roster.is_joined);
	assert_int_equal(admin->roster.key_count, 1);
	MUST(keys_add_phrase(admin, "joined", &keys_trouble));
	assert_false(admin->roster.is_joined);
	bkp_repository_close(admin);
	for (int i = 0; i < 3; i++)
		keys_assert_reads(fixture, &phrase, names[i]);
	assert_int_equal(keys_try(fixture, &second, &err), -1);
	assert_checks(fixture, no_finding);
	assert_int_equal(count_snapshots(fixture, &host), 3);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(who_is_added_opens_everything_and_who_is_removed_nothing),
	    CASE(the_last_administrator_stays),
	    CASE(a_passphrase_is_one_more_way_in_and_survives_a_rotation),
	    CASE(administrators_can_replace_one_another),
	    CASE(only_an_administrator_changes_keys),
	    CASE(after_a_rotation_hosts_go_on_and_nothing_is_rewritten),
	    CASE(there_is_an_end_to_rotations),
	    CASE(a_second_host_backs_up_and_reads_no_content),
	    CASE(a_revoked_host_is_believed_for_what_it_had_written),
	    CASE(what_a_revoked_host_had_removed_stays_removed),
	    CASE(the_list_tells_all_of_them),
	    CASE(of_two_changes_at_the_same_time_one_is_told_to_try_again),
	    CASE(two_changes_that_did_not_see_each_other_are_joined),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
