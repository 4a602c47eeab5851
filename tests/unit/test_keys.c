/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrators and hosts come and go, keys are rotated; whatever fails on
 * the way, everybody gets in who could before or can afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/key.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/key_check.h"
#include "tests/unit/repository_fixture.h"

static const struct fixture_file files[] = {
    {"a", "what was backed up", 18}, {"b", "", 0}};

/* ---- helpers ---- */

static int
open_keys(
    struct fixture *fixture, const struct bkp_keys *keys, struct bkp_error *err)
{
	struct bkp_repository *repository = NULL;
	int rc = bkp_repository_open_store(
	    fixture_store(fixture), keys, &repository, err);

	bkp_repository_close(repository);
	return rc;
}

/* A file in the fixture's folder. */
static char *
in_folder(struct fixture *fixture, const char *name)
{
	static char paths[8][96];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, 96, "%s/%s", fixture->folder, name);
	return path;
}

static struct bkp_keys
host_keys(struct fixture *fixture, const char *name)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.key_file = in_folder(fixture, name);
	return keys;
}

static struct bkp_keys
phrase_keys(const char *passphrase)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.passphrase = passphrase;
	return keys;
}

/* A second administrator's identity, and its recipient. */
static struct bkp_keys
new_identity(struct fixture *fixture, const char *name, char recipient[63])
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.identity_file = in_folder(fixture, name);
	assert_int_equal(
	    bkp_identity_create(keys.identity_file, recipient, NULL), 0);
	return keys;
}

static struct bkp_repository *
open_as(struct fixture *fixture, const struct bkp_keys *keys)
{
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_repository_open_store(
	    fixture_store(fixture), keys, &repository, &err);
	assert_string_equal(err.message, "");
	return repository;
}

static void
back_up(struct fixture *fixture, const struct bkp_keys *keys, char name[65])
{
	struct bkp_repository *host = open_as(fixture, keys);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)fixture_back_up(host, files, 2, 100, name, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(host);
}

static void
assert_reads(
    struct fixture *fixture, const struct bkp_keys *keys, const char *snapshot)
{
	struct bkp_repository *admin = open_as(fixture, keys);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)fixture_compare(admin, snapshot, files, 2, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(admin);
}

static size_t
count_snapshots(struct fixture *fixture, const struct bkp_keys *keys)
{
	struct bkp_repository *repository = open_as(fixture, keys);
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
add_recipient(struct bkp_repository *repository, const char *recipient,
    const char *label, struct bkp_error *err)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;

	options.recipient = recipient;
	options.label = label;
	return bkp_key_add(repository, &options, err);
}

static int
add_phrase(struct bkp_repository *repository, const char *passphrase,
    struct bkp_error *err)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;

	options.passphrase = passphrase;
	options.work_factor = 2;
	return bkp_key_add(repository, &options, err);
}

static struct bkp_error trouble;

#define MUST(call)                                                             \
	do {                                                                   \
		int must_rc;                                                   \
		trouble = (struct bkp_error)BKP_ERROR_INIT;                    \
		must_rc = (call);                                              \
		assert_string_equal(trouble.message, "");                      \
		assert_int_equal(must_rc, 0);                                  \
	} while (0)

static int
no_damage(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err)
{
	(void)arg;
	(void)err;
	if (finding->level != BKP_FINDING_NOTE)
		fail_msg(
		    "%s %s: %s", finding->kind, finding->object, finding->text);
	return 0;
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

	MUST(bkp_repository_check_keys(admin, fn, NULL, &trouble));
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

	back_up(fixture, &host, snapshot);
	packs = fixture_names(fixture, "packs/");
	second = new_identity(fixture, "second.txt", recipient);
	assert_int_equal(open_keys(fixture, &second, NULL), -1);
	admin = fixture_open_admin(fixture);
	MUST(add_recipient(admin, recipient, "second person", &trouble));
	assert_reads(fixture, &second, snapshot);
	assert_checks(fixture, no_finding);
	assert_int_equal(add_recipient(admin, recipient, NULL, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	MUST(bkp_key_remove(admin, "second p", removed, &trouble));
	assert_string_equal(removed, recipient);
	assert_int_equal(open_keys(fixture, &second, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_checks(fixture, no_finding);
	bkp_repository_close(admin);
	second = fixture_admin_keys(fixture);
	assert_reads(fixture, &second, snapshot);
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
	struct bkp_keys phrase = phrase_keys("a second way");
	struct bkp_repository *admin = fixture_open_admin(fixture);
	char first[65], second[65], removed[63];

	back_up(fixture, &host, first);
	MUST(add_phrase(admin, "a second way", &trouble));
	assert_reads(fixture, &phrase, first);
	MUST(bkp_key_rotate(admin, &trouble));
	back_up(fixture, &host, second);
	assert_reads(fixture, &phrase, first);
	assert_reads(fixture, &phrase, second);
	MUST(bkp_key_remove(admin, "passphrase", removed, &trouble));
	assert_int_equal(open_keys(fixture, &phrase, NULL), -1);
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

	second = new_identity(fixture, "second.txt", recipient);
	MUST(add_recipient(admin, recipient, "new", &trouble));
	bkp_repository_close(admin);
	admin = open_as(fixture, &second);
	MUST(bkp_key_remove(admin, fixture->recipient, removed, &trouble));
	MUST(bkp_key_rotate(admin, &trouble));
	bkp_repository_close(admin);
	assert_int_equal(open_keys(fixture, &first, NULL), -1);
	admin = open_as(fixture, &second);
	MUST(bkp_key_rotate(admin, &trouble));
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

	back_up(fixture, &host, names[0]);
	packs = fixture_names(fixture, "packs/");
	for (int i = 1; i < 4; i++) {
		struct bkp_repository *before = fixture_open_host(fixture);
		struct fmt_age_recipient old = before->keys.metadata_recipient;

		bkp_repository_close(before);
		admin = fixture_open_admin(fixture);
		MUST(bkp_key_rotate(admin, &trouble));
		assert_int_equal(admin->roster.generation, 1 + i);
		bkp_repository_close(admin);
		before = fixture_open_host(fixture);
		assert_memory_not_equal(
		    old.key, before->keys.metadata_recipient.key, 32);
		bkp_repository_close(before);
		back_up(fixture, &host, names[i]);
	}
	for (int i = 0; i < 4; i++)
		assert_reads(fixture, &admin_keys, names[i]);
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
		MUST(bkp_key_rotate(admin, &trouble));
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
	struct bkp_keys second = host_keys(fixture, "db2.key");
	struct bkp_keys admin_keys = fixture_admin_keys(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	unsigned char public_key[32];
	struct bkp_repository *host;
	char names[2][65];

	MUST(bkp_key_rotate(admin, &trouble));
	MUST(bkp_key_host_add(admin, "db2", second.key_file, 0, &trouble));
	assert_int_equal(bkp_key_host_add(admin, "db2",
			     in_folder(fixture, "x.key"), 0, &err),
	    -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_int_equal(access(in_folder(fixture, "x.key"), F_OK), -1);
	assert_int_equal(bkp_key_host_add(admin, "d b",
			     in_folder(fixture, "x.key"), 0, &err),
	    -1);
	assert_int_equal(err.code, BKP_INVALID);
	bkp_repository_close(admin);
	back_up(fixture, &first, names[0]);
	back_up(fixture, &second, names[1]);
	assert_reads(fixture, &admin_keys, names[1]);
	host = open_as(fixture, &second);
	assert_int_equal(bkp_repository_can_read(host), 0);
	assert_int_equal(
	    fmt_sign_public(host->keys.signing_seed, public_key), FMT_OK);
	assert_false(bkp_roster_may_prune(&host->roster, public_key));
	assert_string_equal(
	    bkp_roster_writer_name(&host->roster, public_key), "db2");
	bkp_repository_close(host);
	host = open_as(fixture, &first);
	assert_int_equal(
	    fmt_sign_public(host->keys.signing_seed, public_key), FMT_OK);
	assert_true(bkp_roster_may_prune(&host->roster, public_key));
	bkp_repository_close(host);
}

/* What is stolen with a host's key: the past stays believed, the future of
 * that key is not, and after a rotation it opens nothing that is new. */
static void
a_revoked_host_is_believed_for_what_it_had_written(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys first = fixture_host_keys(fixture);
	struct bkp_keys second = host_keys(fixture, "db2.key");
	struct bkp_keys admin_keys = fixture_admin_keys(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture), *thief;
	struct bkp_error err = BKP_ERROR_INIT;
	char names[2][65], *packs, *after;
	uint64_t believed = 0;

	MUST(bkp_key_host_add(admin, "db2", second.key_file, 1, &trouble));
	back_up(fixture, &second, names[0]);
	thief = open_as(fixture, &second);
	packs = fixture_names(fixture, "packs/");
	MUST(bkp_key_host_revoke(admin, "db2", &believed, &trouble));
	assert_int_equal(believed, 1);
	assert_int_equal(
	    bkp_key_host_revoke(admin, "db2", &believed, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	/* One who had opened before does not ask the roster again. */
	(void)fixture_back_up(thief, files, 2, 100, names[1], &err);
	bkp_repository_close(thief);
	assert_reads(fixture, &admin_keys, names[0]);
	bkp_repository_close(admin);
	admin = fixture_open_admin(fixture);
	assert_int_equal(fixture_compare(admin, names[1], files, 2, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "revoked"));
	thief = open_as(fixture, &second);
	assert_int_equal(
	    fixture_back_up(thief, files, 2, 100, names[1], &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "revoked"));
	bkp_repository_close(thief);
	MUST(bkp_key_rotate(admin, &trouble));
	assert_int_equal(open_keys(fixture, &second, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "revoked"));
	/* A new key for the same host takes its place. */
	second = host_keys(fixture, "db2-new.key");
	MUST(bkp_key_host_add(admin, "db2", second.key_file, 1, &trouble));
	back_up(fixture, &second, names[1]);
	back_up(fixture, &first, names[1]);
	assert_reads(fixture, &admin_keys, names[0]);
	assert_reads(fixture, &admin_keys, names[1]);
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

	back_up(fixture, &host, name);
	pruner = open_as(fixture, &host);
	MUST(bkp_checkpoint_load(pruner, &checkpoint, &trouble));
	MUST(bkp_checkpoint_put(pruner, &checkpoint, &trouble));
	bkp_checkpoint_free(&checkpoint);
	MUST(bkp_key_host_revoke(admin, pruner->keys.writer, NULL, &trouble));
	bkp_repository_close(admin);
	admin = fixture_open_admin(fixture);
	MUST(bkp_checkpoint_load(admin, &checkpoint, &trouble));
	assert_int_equal(checkpoint.sequence, 1);
	assert_int_equal(checkpoint.damaged, 0);
	bkp_checkpoint_free(&checkpoint);
	/* Afterwards it states nothing. */
	MUST(bkp_checkpoint_load(pruner, &checkpoint, &trouble));
	(void)bkp_checkpoint_put(pruner, &checkpoint, &trouble);
	bkp_checkpoint_free(&checkpoint);
	bkp_repository_close(pruner);
	MUST(bkp_checkpoint_load(admin, &checkpoint, &trouble));
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

	MUST(add_phrase(admin, "x", &trouble));
	MUST(bkp_key_host_add(
	    admin, "db2", in_folder(fixture, "db2.key"), 0, &trouble));
	MUST(bkp_key_host_revoke(admin, "db2", NULL, &trouble));
	bkp_repository_close(admin);
	host = fixture_open_host(fixture);
	MUST(bkp_key_list(host, &list, &trouble));
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

	MUST(bkp_key_rotate(a, &trouble));
	assert_int_equal(bkp_key_rotate(b, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	bkp_repository_close(a);
	bkp_repository_close(b);
	b = fixture_open_admin(fixture);
	MUST(bkp_key_rotate(b, &trouble));
	assert_int_equal(b->roster.generation, 3);
	bkp_repository_close(b);
}

/* Copies all objects of one store into another, where they are missing. */
static int
copy_object(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct bkp_store **stores = arg;
	struct fmt_buf bytes = FMT_BUF_INIT;
	int rc = bkp_store_get(
	    stores[0], object->name, 0, BKP_STORE_WHOLE, &bytes, err);

	if (rc == 0)
		rc = bkp_store_put(
		    stores[1], object->name, bytes.data, bytes.len, err);
	fmt_buf_free(&bytes);
	return rc;
}

/* Both began with the same roster, as when neither saw the other's; what one
 * took away the other may not bring back. */
static void
two_changes_that_did_not_see_each_other_are_joined(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_store *stores[2] = {NULL, NULL};
	struct bkp_keys phrase = phrase_keys("joined"), second;
	struct bkp_keys admin_keys = fixture_admin_keys(fixture);
	struct bkp_keys host = fixture_host_keys(fixture);
	struct bkp_repository *admin = fixture_open_admin(fixture), *other;
	char recipient[63], removed[63], names[3][65];
	struct bkp_error err = BKP_ERROR_INIT;

	second = new_identity(fixture, "second.txt", recipient);
	MUST(add_recipient(admin, recipient, "second", &trouble));
	back_up(fixture, &host, names[0]);
	MUST(bkp_store_memory_new(&stores[1], &trouble));
	stores[0] = fixture->memory;
	MUST(bkp_store_list(stores[0], "", copy_object, stores, &trouble));
	fixture->memory = stores[1];
	other = fixture_open_admin(fixture);
	MUST(bkp_key_remove(other, "second", removed, &trouble));
	bkp_repository_close(other);
	fixture->memory = stores[0];
	/* Meanwhile here: a rotation, and then one more, as the other did. */
	MUST(bkp_key_rotate(admin, &trouble));
	bkp_repository_close(admin);
	back_up(fixture, &host, names[1]);
	stores[0] = stores[1];
	stores[1] = fixture->memory;
	MUST(bkp_store_list(stores[0], "", copy_object, stores, &trouble));
	bkp_store_close(stores[0]);
	assert_checks(fixture, no_damage);
	assert_reads(fixture, &admin_keys, names[0]);
	assert_reads(fixture, &admin_keys, names[1]);
	back_up(fixture, &host, names[2]);
	/* The next change joins them. */
	admin = fixture_open_admin(fixture);
	assert_true(admin->roster.is_joined);
	assert_int_equal(admin->roster.key_count, 1);
	MUST(add_phrase(admin, "joined", &trouble));
	assert_false(admin->roster.is_joined);
	bkp_repository_close(admin);
	for (int i = 0; i < 3; i++)
		assert_reads(fixture, &phrase, names[i]);
	assert_int_equal(open_keys(fixture, &second, &err), -1);
	assert_checks(fixture, no_finding);
	assert_int_equal(count_snapshots(fixture, &host), 3);
}

/* ---- a store that fails ---- */

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
		return add_recipient(admin, scene->recipient, "second", err);
	case ADD_PHRASE:
		return add_phrase(admin, "third", err);
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
	scene->new_host = host_keys(scene->fixture, "db2.key");
	scene->phrase = phrase_keys("third");
	scene->second =
	    new_identity(scene->fixture, "second.txt", scene->recipient);
	for (int i = 0; i < what; i++) {
		/* The one who is to be removed must not be the one who does
		 * what comes after. */
		if (i != REMOVE)
			MUST(change(scene, admin, i, &trouble));
	}
	bkp_repository_close(admin);
	back_up(scene->fixture,
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
	    fixture_store(scene->fixture), fault, &store, &trouble));
	rc = bkp_repository_open_store(store, keys, &admin, err);
	if (rc == 0)
		rc = change(scene, admin, what, err);
	bkp_repository_close(admin);
	return rc;
}

static bool
opens(struct scene *scene, const struct bkp_keys *keys)
{
	return open_keys(scene->fixture, keys, NULL) == 0;
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
	assert_reads(scene->fixture,
	    what > ADD ? &scene->second : &scene->first, scene->snapshot);
}

static void
assert_all_is_well(struct scene *scene, int what)
{
	const struct bkp_keys *admin =
	    what >= ADD ? &scene->second : &scene->first;
	struct bkp_repository *repository = open_as(scene->fixture, admin);
	char name[65];

	MUST(bkp_repository_check_keys(repository, no_damage, NULL, &trouble));
	bkp_repository_close(repository);
	back_up(scene->fixture, &scene->host, name);
	assert_reads(scene->fixture, admin, name);
	assert_reads(scene->fixture, admin, scene->snapshot);
	if (what >= ADD_PHRASE)
		assert_reads(scene->fixture, &scene->phrase, name);
	if (what == HOST)
		assert_true(opens(scene, &scene->new_host));
	if (what != REMOVE)
		return;
	/* An object that could not be removed goes with the next change. */
	repository = open_as(scene->fixture, admin);
	MUST(bkp_key_rotate(repository, &trouble));
	bkp_repository_close(repository);
	assert_false(opens(scene, &scene->first));
}

/* Each run on a repository of its own, so that nothing is left by others. */
static bool
fail_one(int what, uint64_t n, int way)
{
	struct bkp_store_fault fault = {.fail_at = n,
	    .is_effect_done = way == 1,
	    .is_killed_after = way == 2};
	struct bkp_error err = BKP_ERROR_INIT;
	struct scene scene;
	bool has_failed;
	void *state;
	int rc;

	assert_int_equal(fixture_new_initialised(&state), 0);
	scene.fixture = state;
	set_up(&scene, what);
	rc = change_through(&scene, &fault, what, &err);
	has_failed = fault.hits > 0;
	if (!has_failed)
		assert_int_equal(rc, 0);
	assert_nobody_is_locked_out(&scene, what, what == REMOVE);
	{
		struct bkp_repository *admin = open_as(
		    scene.fixture, what > ADD ? &scene.second : &scene.first);

		MUST(bkp_repository_check_keys(
		    admin, no_damage, NULL, &trouble));
		bkp_repository_close(admin);
	}
	/* Once more, unless it had happened. */
	if (rc < 0) {
		struct bkp_store_fault none = BKP_STORE_FAULT_INIT;

		(void)unlink(scene.new_host.key_file);
		rc = change_through(&scene, &none, what, &err);
		if (rc < 0 && err.code != BKP_EXISTS &&
		    err.code != BKP_NOTFOUND)
			fail_msg("change %d, call %d: %s", what, (int)n,
			    err.message);
		if (what == HOST && rc < 0)
			return fixture_free(&state) == 0;
	}
	assert_all_is_well(&scene, what);
	assert_int_equal(fixture_free(&state), 0);
	return has_failed;
}

static void
no_failed_call_locks_anybody_out(void **state)
{
	(void)state;
	for (int what = 0; what < CHANGES; what++) {
		/* That one call alone fails is told apart once. */
		for (int way = what == ROTATE ? 0 : 1; way < 3; way++) {
			uint64_t n = 1;

			while (fail_one(what, n, way)) {
				n++;
				assert_true(n < 200);
			}
			assert_true(n > 10);
		}
	}
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
	    cmocka_unit_test(no_failed_call_locks_anybody_out),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
