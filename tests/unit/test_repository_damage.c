/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage in every stored object, and a store that fails at every call: never
 * other bytes, always a name, and what was committed stays readable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/age.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/object.h"
#include "libbackup/repository/repository_own.h"
#include "tests/unit/repository_fixture.h"

#define PIECE ((size_t)64 << 10)

/* One small backup with every kind of object. */
struct backup {
	struct fixture *fixture;
	unsigned char *noise;
	struct fixture_file files[3];
	char name[65];
};

static struct backup
make_backup(struct fixture *fixture)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct backup backup = {
	    .fixture = fixture, .noise = fixture_random(150000, 7)};

	backup.files[0] = (struct fixture_file){"a", "hello", 5};
	backup.files[1] = (struct fixture_file){"b", backup.noise, 150000};
	backup.files[2] = (struct fixture_file){"c", "", 0};
	(void)fixture_back_up(host, backup.files, 3, PIECE, backup.name, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(host);
	return backup;
}

/* Everything that an administrator does to get the data back. */
static int
read_all(const struct backup *backup, struct bkp_error *err)
{
	struct bkp_keys keys = fixture_admin_keys(backup->fixture);
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_repository *repository = NULL;
	char latest[65];
	int rc = -1;

	if (bkp_repository_open_store(
		fixture_store(backup->fixture), &keys, &repository, err) == 0 &&
	    bkp_snapshot_list(repository, &list, err) == 0 &&
	    bkp_snapshot_find(repository, "latest", latest, err) == 0) {
		assert_string_equal(latest, backup->name);
		rc = fixture_compare(
		    repository, backup->name, backup->files, 3, err);
	}
	bkp_snapshot_list_free(&list);
	bkp_repository_close(repository);
	return rc;
}

/* ---- every object in turn ---- */

static void
each_object(const struct backup *backup,
    void (*damage)(const struct backup *backup, const char *name,
	const struct fmt_buf *good))
{
	struct bkp_store *store = backup->fixture->memory;
	char *names = fixture_names(backup->fixture, "");
	unsigned count = 0;

	for (char *name = names; *name != '\0';) {
		struct fmt_buf good = FMT_BUF_INIT;
		size_t len = strcspn(name, "\n");
		struct bkp_error err = BKP_ERROR_INIT;

		name[len] = '\0';
		assert_int_equal(
		    bkp_store_get(store, name, 0, BKP_STORE_WHOLE, &good, NULL),
		    0);
		damage(backup, name, &good);
		assert_int_equal(
		    bkp_store_put(store, name, good.data, good.len, NULL), 0);
		fmt_buf_free(&good);
		(void)read_all(backup, &err);
		assert_string_equal(err.message, "");
		name += len + 1;
		count++;
	}
	assert_int_equal(count, 10); /* config, key and roster, each twice, 2
					packs, index, snapshot */
	free(names);
}

/* Of these there are two, and one is enough: reading goes on. */
static bool
is_stored_twice(const char *name)
{
	return strcmp(name, "config") == 0 || strncmp(name, "keys/", 5) == 0 ||
	       strncmp(name, "roster/", 7) == 0 ||
	       strncmp(name, "copies/", 7) == 0;
}

static bool
is_expected(int code, const char *name)
{
	return code == BKP_CORRUPT || code == BKP_AUTH ||
	       (strcmp(name, "config") == 0 && code == BKP_UNSUPPORTED);
}

/* Reading with damage in `name`: right bytes (where the damage does not
 * matter), or an error that names it. True where it was noticed. */
static bool
is_noticed(const struct backup *backup, const char *name)
{
	struct bkp_error err = BKP_ERROR_INIT;
	const char *base = strrchr(name, '/');

	if (read_all(backup, &err) == 0)
		return false;
	if (!is_expected(err.code, name))
		fail_msg("%s: code %d: %s", name, err.code, err.message);
	base = base != NULL ? base + 1 : name;
	if (strstr(err.message, base) == NULL)
		fail_msg("%s is not named: %s", name, err.message);
	return true;
}

static void
flip_bits(
    const struct backup *backup, const char *name, const struct fmt_buf *good)
{
	size_t step = good->len > 1200 ? good->len / 97 : 11;
	unsigned noticed = 0, tried = 0;

	for (size_t at = 0; at < good->len; at += step, tried++) {
		good->data[at] ^= (unsigned char)(1u << (at % 8));
		assert_int_equal(bkp_store_put(backup->fixture->memory, name,
				     good->data, good->len, NULL),
		    0);
		noticed += is_noticed(backup, name);
		good->data[at] ^= (unsigned char)(1u << (at % 8));
	}
	assert_true(tried > 0);
	/* config has no digest: the id or the version may become another. */
	if (strcmp(name, "config") == 0)
		assert_true(noticed < tried);
	else
		assert_int_equal(noticed, is_stored_twice(name) ? 0 : tried);
}

static void
a_flipped_bit_anywhere_is_noticed(void **state)
{
	struct backup backup = make_backup(*state);

	each_object(&backup, flip_bits);
	free(backup.noise);
}

static void
truncate_object(
    const struct backup *backup, const char *name, const struct fmt_buf *good)
{
	const size_t lengths[] = {0, 1, good->len / 2, good->len - 1};

	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(bkp_store_put(backup->fixture->memory, name,
				     good->data, lengths[i], NULL),
		    0);
		assert_int_equal(
		    is_noticed(backup, name), !is_stored_twice(name));
	}
}

static void
a_truncated_object_is_noticed(void **state)
{
	struct backup backup = make_backup(*state);

	each_object(&backup, truncate_object);
	free(backup.noise);
}

static void
exchange_object(
    const struct backup *backup, const char *name, const struct fmt_buf *good)
{
	struct fmt_buf other = FMT_BUF_INIT;
	char *names = fixture_names(backup->fixture, "snapshots/");

	/* A whole, genuine object under the name of another one. */
	(void)good;
	names[strcspn(names, "\n")] = '\0';
	assert_int_equal(bkp_store_get(backup->fixture->memory, names, 0,
			     BKP_STORE_WHOLE, &other, NULL),
	    0);
	if (strcmp(names, name) != 0) {
		assert_int_equal(bkp_store_put(backup->fixture->memory, name,
				     other.data, other.len, NULL),
		    0);
		assert_int_equal(
		    is_noticed(backup, name), !is_stored_twice(name));
	}
	fmt_buf_free(&other);
	free(names);
}

static void
an_object_under_the_name_of_another_is_noticed(void **state)
{
	struct backup backup = make_backup(*state);

	each_object(&backup, exchange_object);
	free(backup.noise);
}

static void
a_missing_pack_or_index_is_damage(void **state)
{
	static const char *const folders[] = {"packs/", "index/"};
	struct backup backup = make_backup(*state);

	for (int i = 0; i < 2; i++) {
		char *names = fixture_names(backup.fixture, folders[i]);
		struct fmt_buf good = FMT_BUF_INIT;
		struct bkp_error err = BKP_ERROR_INIT;

		names[strcspn(names, "\n")] = '\0';
		assert_int_equal(bkp_store_get(backup.fixture->memory, names, 0,
				     BKP_STORE_WHOLE, &good, NULL),
		    0);
		assert_int_equal(
		    bkp_store_remove(backup.fixture->memory, names, NULL), 0);
		assert_int_equal(read_all(&backup, &err), -1);
		assert_int_equal(err.code, BKP_CORRUPT);
		assert_int_equal(bkp_store_put(backup.fixture->memory, names,
				     good.data, good.len, NULL),
		    0);
		fmt_buf_free(&good);
		free(names);
	}
	free(backup.noise);
}

/* The chunks that only a damaged index knew are stored again, and what the
 * earlier backup holds can be read by that. */
static void
backups_go_on_over_a_damaged_index(void **state)
{
	struct backup backup = make_backup(*state);
	struct bkp_repository *host = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	char *index = fixture_names(backup.fixture, "index/");
	char name[65];

	index[strcspn(index, "\n")] = '\0';
	assert_int_equal(
	    bkp_store_put(backup.fixture->memory, index, "x", 1, NULL), 0);
	host = fixture_open_host(backup.fixture);
	assert_int_equal(bkp_repository_load_index(host, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, index));
	err = (struct bkp_error)BKP_ERROR_INIT;
	(void)fixture_back_up(host, backup.files, 3, PIECE, name, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(host);
	memcpy(backup.name, name, sizeof(backup.name));
	(void)read_all(&backup, &err);
	assert_string_equal(err.message, "");
	free(index);
	free(backup.noise);
}

/* ---- forgery ---- */

/* A snapshot or index, whole and encrypted to the repository, but signed by
 * somebody who was not let in. */
static void
what_a_stranger_signed_is_refused(void **state)
{
	struct backup backup = make_backup(*state);
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_repository *host = fixture_open_host(backup.fixture);
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	unsigned char stranger[32] = {1, 2, 3};
	char latest[65], forged[65], first[12 + 1] = "";

	assert_int_equal(
	    bkp_repository_snapshot(host, backup.name, &snapshot, NULL), 0);
	snapshot.time_us += 1000000;
	assert_int_equal(
	    fmt_snapshot_encode(&snapshot, stranger, &text), FMT_OK);
	assert_int_equal(bkp_object_seal(backup.fixture->memory, "snapshots",
			     &host->keys.metadata_recipient, 1, text.data,
			     text.len, forged, NULL, NULL),
	    0);
	assert_int_equal(bkp_snapshot_find(host, "latest", latest, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, forged));
	/* The way on is told by the first digits of a name, and works. */
	memcpy(first, backup.name, sizeof(first) - 1);
	assert_non_null(strstr(err.message, first));
	assert_int_equal(bkp_snapshot_find(host, first, latest, NULL), 0);
	assert_string_equal(latest, backup.name);
	fmt_snapshot_free(&snapshot);
	fmt_buf_free(&text);
	bkp_repository_close(host);
	free(backup.noise);
}

/* ---- a store that fails ---- */

static int
back_up_through(struct fixture *fixture, struct bkp_store_fault *fault,
    const struct backup *backup, char name[65], struct bkp_error *err)
{
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_repository *host = NULL;
	struct bkp_store *store = NULL;
	int rc;

	assert_int_equal(
	    bkp_store_fault_new(fixture_store(fixture), fault, &store, NULL),
	    0);
	rc = bkp_repository_open_store(store, &keys, &host, err);
	if (rc == 0)
		rc = fixture_back_up(host, backup->files, 3, PIECE, name, err);
	bkp_repository_close(host);
	return rc;
}

/* What is there beside the snapshot `name`: none, or a whole one of which the
 * session could not find out whether it counts. */
static void
assert_lists_whole_ones(const struct backup *backup, const char *name)
{
	struct bkp_repository *host = fixture_open_host(backup->fixture);
	struct bkp_repository *admin = fixture_open_admin(backup->fixture);
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_snapshot_list(host, &list, &err);
	assert_string_equal(err.message, "");
	assert_in_range(list.count, 1, 2);
	assert_string_equal(list.items[0].name, name);
	if (list.count == 2)
		(void)fixture_compare(
		    admin, list.items[1].name, backup->files, 3, &err);
	assert_string_equal(err.message, "");
	bkp_snapshot_list_free(&list);
	bkp_repository_close(admin);
	bkp_repository_close(host);
}

static void
assert_lists_exactly(struct fixture *fixture, char (*names)[65], size_t count)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_snapshot_list(host, &list, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(list.count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(list.items[i].name, names[i]);
	bkp_snapshot_list_free(&list);
	bkp_repository_close(host);
}

static void
assert_readable(const struct backup *backup, const char *name)
{
	struct bkp_repository *admin = fixture_open_admin(backup->fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)fixture_compare(admin, name, backup->files, 3, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(admin);
}

/* What a failed session left is garbage; without it every session makes the
 * same calls. */
static int
remove_garbage(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	void **pair = arg;

	if (strstr(pair[1], object->name) != NULL)
		return 0;
	return bkp_store_remove(pair[0], object->name, err);
}

/* Lets the n-th call fail for every n until a session goes through. */
static void
fail_at_every_call(struct fixture *fixture, bool is_killed_after)
{
	struct backup backup = make_backup(fixture);
	char *names = fixture_names(fixture, "");
	void *pair[] = {fixture->memory, names};
	char committed[2][65];

	memcpy(committed[0], backup.name, 65);
	for (uint64_t n = 1;; n++) {
		struct bkp_store_fault fault = {
		    .fail_at = n, .is_killed_after = is_killed_after};
		struct bkp_error err = BKP_ERROR_INIT;
		int rc;

		assert_true(n < 200);
		backup.noise[n] ^= 1; /* so that there is always news */
		rc = back_up_through(
		    fixture, &fault, &backup, committed[1], &err);
		if (rc == 0) {
			/* Only taking the session away may have failed. */
			assert_true(n > 8);
			assert_int_equal(err.code, BKP_OK);
			break;
		}
		assert_int_equal(err.code, BKP_IO);
		assert_lists_whole_ones(&backup, committed[0]);
		backup.noise[n] ^= 1;
		assert_readable(&backup, committed[0]);
		assert_int_equal(bkp_store_list(fixture->memory, "",
				     remove_garbage, pair, NULL),
		    0);
		fixture_forget(fixture); /* it would look for them */
	}
	assert_lists_exactly(fixture, committed, 2);
	assert_readable(&backup, committed[1]);
	free(names);
	free(backup.noise);
}

static void
after_any_failed_call_the_repository_is_as_it_was(void **state)
{
	fail_at_every_call(*state, false);
}

static void
after_a_kill_at_any_call_the_repository_is_as_it_was(void **state)
{
	fail_at_every_call(*state, true);
}

/* Where the answer to the last put is lost, the snapshot is there although
 * the session failed; then it is whole. It is the last call that is tried. */
static void
a_lost_answer_leaves_whole_snapshots_only(void **state)
{
	struct backup backup = make_backup(*state);
	size_t count = 1;

	for (uint64_t n = 1; count == 1; n++) {
		struct bkp_store_fault fault = {
		    .fail_at = n, .is_effect_done = true};
		struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
		struct bkp_repository *admin;
		struct bkp_error err = BKP_ERROR_INIT;
		char name[65];

		assert_true(n < 200);
		(void)back_up_through(*state, &fault, &backup, name, NULL);
		assert_int_equal(fault.hits, 1);
		admin = fixture_open_admin(*state);
		(void)bkp_snapshot_list(admin, &list, &err);
		assert_string_equal(err.message, "");
		count = list.count;
		for (size_t i = 0; i < count; i++)
			assert_readable(&backup, list.items[i].name);
		bkp_snapshot_list_free(&list);
		bkp_repository_close(admin);
	}
	assert_int_equal(count, 2);
	free(backup.noise);
}

/* Reading: an error of the store is that, and never damage or wrong bytes. */
static void
a_failing_read_is_told_as_such(void **state)
{
	struct backup backup = make_backup(*state);
	struct bkp_keys keys = fixture_admin_keys(*state);

	for (uint64_t n = 1;; n++) {
		struct bkp_store_fault fault = {.fail_at = n};
		struct bkp_repository *admin = NULL;
		struct bkp_store *store = NULL;
		struct bkp_error err = BKP_ERROR_INIT;
		int rc;

		assert_true(n < 200);
		assert_int_equal(bkp_store_fault_new(fixture_store(*state),
				     &fault, &store, NULL),
		    0);
		rc = bkp_repository_open_store(store, &keys, &admin, &err);
		if (rc == 0)
			rc = fixture_compare(
			    admin, backup.name, backup.files, 3, &err);
		bkp_repository_close(admin);
		if (fault.hits == 0) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_IO);
	}
	free(backup.noise);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_flipped_bit_anywhere_is_noticed),
	    CASE(a_truncated_object_is_noticed),
	    CASE(an_object_under_the_name_of_another_is_noticed),
	    CASE(a_missing_pack_or_index_is_damage),
	    CASE(backups_go_on_over_a_damaged_index),
	    CASE(what_a_stranger_signed_is_refused),
	    CASE(after_any_failed_call_the_repository_is_as_it_was),
	    CASE(after_a_kill_at_any_call_the_repository_is_as_it_was),
	    CASE(a_lost_answer_leaves_whole_snapshots_only),
	    CASE(a_failing_read_is_told_as_such),
	};

	return cmocka_run_group_tests_name(
	    "repository damage", tests, NULL, NULL);
}
