/* SPDX-License-Identifier: Apache-2.0 */
/* Making and opening a repository, and who may do what with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/age.h"
#include "libbackup/base/fail.h"
#include "libbackup/key.h"
#include "libbackup/repository/repository_own.h"
#include "tests/unit/repository_fixture.h"

static int
init(struct fixture *fixture, struct bkp_init_options *options,
    struct bkp_error *err)
{
	return bkp_repository_init_store(fixture_store(fixture), options, err);
}

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

static void
assert_names(struct fixture *fixture, const char *prefix, const char *wanted)
{
	char *names = fixture_names(fixture, prefix);

	assert_string_equal(names, wanted);
	free(names);
}

static size_t
count_names(struct fixture *fixture, const char *prefix)
{
	char *names = fixture_names(fixture, prefix);
	size_t count = 0;

	for (const char *c = names; *c != '\0'; c++)
		count += *c == '\n';
	free(names);
	return count;
}

/* ---- making one ---- */

/* Only what names chunks is shared: with it, the keys of the one open nothing
 * of the other. */
static void
one_like_another_shares_the_names_of_chunks_alone(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	struct bkp_repository *first = fixture_open_host(fixture), *second;
	struct bkp_store *store = NULL, *share = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_keys keys = BKP_KEYS_INIT;
	char key_file[80];

	(void)snprintf(
	    key_file, sizeof(key_file), "%s/second.key", fixture->folder);
	options.key_file = key_file;
	options.like = first;
	assert_int_equal(bkp_store_memory_new(&store, &err), 0);
	assert_int_equal(bkp_store_memory_share(store, &share, &err), 0);
	assert_int_equal(bkp_repository_init_store(share, &options, &err), 0);

	keys.key_file = key_file;
	assert_int_equal(bkp_store_memory_share(store, &share, &err), 0);
	assert_int_equal(
	    bkp_repository_open_store(share, &keys, &second, &err), 0);
	assert_int_equal(bkp_repository_is_like(first, second), 1);
	assert_memory_equal(first->keys.id_key, second->keys.id_key, 32);
	assert_string_not_equal(
	    bkp_repository_id(first), bkp_repository_id(second));
	assert_memory_not_equal(
	    &first->keys.metadata[0], &second->keys.metadata[0], 32);
	assert_memory_not_equal(&first->keys.data_recipient,
	    &second->keys.data_recipient, sizeof(struct fmt_age_recipient));
	assert_memory_not_equal(
	    first->keys.signing_seed, second->keys.signing_seed, 32);
	assert_memory_not_equal(
	    first->keys.admin_public, second->keys.admin_public, 32);
	bkp_repository_close(second);

	keys.key_file = fixture->key_file;
	assert_int_equal(bkp_store_memory_share(store, &share, &err), 0);
	second = NULL;
	assert_int_equal(
	    bkp_repository_open_store(share, &keys, &second, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	bkp_repository_close(first);
	bkp_store_close(store);
}

static void
a_new_repository_has_keys_a_roster_and_config(void **state)
{
	struct fixture *fixture = *state;
	struct stat st;

	assert_int_equal(count_names(fixture, "keys/"), 1);
	assert_int_equal(count_names(fixture, "roster/"), 1);
	assert_names(fixture, "config", "config\n");
	assert_int_equal(count_names(fixture, "copies/"), 3);
	assert_int_equal(count_names(fixture, ""), 6);
	assert_int_equal(stat(fixture->key_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
the_host_opens_metadata_and_the_administrator_all(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);

	assert_int_equal(bkp_repository_can_read(host), 0);
	assert_int_equal(bkp_repository_can_read(admin), 1);
	assert_int_equal(strlen(bkp_repository_id(host)), 32);
	assert_string_equal(bkp_repository_id(host), bkp_repository_id(admin));
	bkp_repository_close(host);
	bkp_repository_close(admin);
}

static void
a_passphrase_opens_it_as_well(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	options.passphrase = FIXTURE_PASSPHRASE;
	assert_int_equal(init(fixture, &options, NULL), 0);
	assert_int_equal(count_names(fixture, "keys/"), 2);
	keys.passphrase = FIXTURE_PASSPHRASE;
	assert_int_equal(open_keys(fixture, &keys, &err), 0);
	keys.passphrase = "wrong";
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	keys = fixture_admin_keys(fixture);
	assert_int_equal(open_keys(fixture, &keys, NULL), 0);
	keys.key_file = fixture->key_file;
	assert_int_equal(open_keys(fixture, &keys, NULL), 0);
}

static void
a_passphrase_alone_is_enough(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_init_options options = fixture_options(fixture, NULL);
	struct bkp_keys keys = BKP_KEYS_INIT;

	options.recipient_count = 0;
	options.passphrase = FIXTURE_PASSPHRASE;
	assert_int_equal(init(fixture, &options, NULL), 0);
	keys.passphrase = FIXTURE_PASSPHRASE;
	assert_int_equal(open_keys(fixture, &keys, NULL), 0);
}

static void
what_is_there_already_is_left_alone(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	char *before = fixture_names(fixture, "");
	struct bkp_error err = BKP_ERROR_INIT;
	char other[96];

	/* The key file is there. */
	assert_int_equal(init(fixture, &options, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_non_null(strstr(err.message, fixture->key_file));
	/* The repository is there. */
	(void)snprintf(other, sizeof(other), "%s/other", fixture->folder);
	options.key_file = other;
	assert_int_equal(init(fixture, &options, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_int_equal(access(other, F_OK), -1);
	assert_names(fixture, "", before);
	/* No repository, but something else. */
	assert_int_equal(bkp_store_remove(fixture->memory, "config", NULL), 0);
	assert_int_equal(init(fixture, &options, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_non_null(strstr(err.message, "copies/"));
	assert_int_equal(access(other, F_OK), -1);
	free(before);
}

static void
what_makes_no_sense_is_refused_before_anything_is_made(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {"age1nonsense"};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	struct bkp_error err = BKP_ERROR_INIT;
	char place[64];

	assert_int_equal(init(fixture, &options, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, "age1nonsense"));
	options.recipient_count = 0;
	assert_int_equal(init(fixture, &options, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	options.passphrase = "";
	assert_int_equal(init(fixture, &options, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	options.passphrase = "x";
	options.work_factor = 23;
	assert_int_equal(init(fixture, &options, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	options.work_factor = 2;
	options.key_file = NULL;
	(void)snprintf(place, sizeof(place), "%s/place", fixture->folder);
	assert_int_equal(bkp_repository_init(place, &options, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_int_equal(access(place, F_OK), -1);
	assert_names(fixture, "", "");
	assert_int_equal(access(fixture->key_file, F_OK), -1);
}

static void
a_failed_init_takes_back_what_it_made(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	bool has_failed = true;

	options.passphrase = FIXTURE_PASSPHRASE;
	for (uint64_t n = 1; has_failed; n++) {
		struct bkp_store_fault fault = {.fail_at = n};
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_store *store;
		int rc;

		assert_int_equal(bkp_store_fault_new(fixture_store(fixture),
				     &fault, &store, NULL),
		    0);
		rc = bkp_repository_init_store(store, &options, &err);
		has_failed = fault.hits > 0;
		assert_int_equal(rc, has_failed ? -1 : 0);
		if (!has_failed) {
			assert_true(n > 5);
			break;
		}
		assert_int_equal(err.code, BKP_IO);
		assert_names(fixture, "", "");
		assert_int_equal(access(fixture->key_file, F_OK), -1);
	}
	assert_names(fixture, "config", "config\n");
}

/* With a key file that cannot be written, which is found out late. */
static void
a_failed_init_leaves_no_folder_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {"age1nonsense"};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	struct bkp_error err = BKP_ERROR_INIT;
	char place[64], inside[80], key_file[80];

	(void)snprintf(place, sizeof(place), "%s/place", fixture->folder);
	(void)snprintf(inside, sizeof(inside), "%s/keys", place);
	(void)snprintf(key_file, sizeof(key_file), "%s/no/key", place);
	assert_int_equal(bkp_repository_init(place, &options, &err), -1);
	assert_non_null(strstr(err.message, "age1nonsense"));
	assert_int_equal(access(place, F_OK), -1);
	recipients[0] = fixture->recipient;
	options.key_file = key_file;
	assert_int_equal(bkp_repository_init(place, &options, &err), -1);
	assert_int_equal(access(place, F_OK), -1);
	/* What was there before stays, and nothing is added to it. */
	assert_int_equal(mkdir(place, 0700), 0);
	assert_int_equal(bkp_repository_init(place, &options, &err), -1);
	assert_int_equal(access(inside, F_OK), -1);
	assert_int_equal(rmdir(place), 0);
}

/* Where an answer is lost, a repository that came to be keeps its keys. */
static void
no_repository_is_ever_without_keys(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);

	for (uint64_t n = 1;; n++) {
		struct bkp_store_fault fault = {
		    .fail_at = n, .is_effect_done = true};
		struct bkp_keys host = fixture_host_keys(fixture);
		struct bkp_keys admin = fixture_admin_keys(fixture);
		struct bkp_store_object object;
		struct bkp_store *store;

		assert_int_equal(bkp_store_fault_new(fixture_store(fixture),
				     &fault, &store, NULL),
		    0);
		(void)bkp_repository_init_store(store, &options, NULL);
		if (bkp_store_stat(fixture->memory, "config", &object, NULL) ==
		    0) {
			assert_int_equal(open_keys(fixture, &host, NULL), 0);
			assert_int_equal(open_keys(fixture, &admin, NULL), 0);
			break;
		}
		assert_true(fault.hits > 0);
		assert_names(fixture, "", "");
		assert_int_equal(access(fixture->key_file, F_OK), -1);
	}
}

/* ---- opening one ---- */

static void
a_place_without_a_repository_says_so(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys keys = fixture_admin_keys(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, "backup-init"));
}

static void
no_key_and_wrong_keys_are_told_apart(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[96], recipient[63];

	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "no key was given"));
	(void)snprintf(path, sizeof(path), "%s/other", fixture->folder);
	assert_int_equal(bkp_identity_create(path, recipient, NULL), 0);
	keys.identity_file = path;
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, path));
	assert_non_null(strstr(err.message, "or give its passphrase"));
	keys.passphrase = "wrong";
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "nor does the passphrase"));
	keys.identity_file = NULL;
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "the passphrase does not open"));
	assert_non_null(strstr(err.message, "--passphrase-file"));
	keys.passphrase = NULL;
	keys.identity_file = "/nonexistent/identity";
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, "/nonexistent/identity"));
	keys = fixture_host_keys(fixture);
	keys.key_file = fixture->identity_file;
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, fixture->identity_file));
}

static void
a_key_file_that_others_may_read_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(chmod(fixture->key_file, 0640), 0);
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "chmod 600"));
	assert_int_equal(chmod(fixture->key_file, 0400), 0);
	assert_int_equal(open_keys(fixture, &keys, NULL), 0);
}

static void
the_key_file_of_another_repository_is_named(void **state)
{
	struct fixture *fixture = *state, *other;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *repository;
	void *other_state = NULL;
	struct bkp_keys keys;

	assert_int_equal(fixture_new_initialised(&other_state), 0);
	other = other_state;
	keys = fixture_host_keys(other);
	repository = fixture_open_host(other);
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, other->key_file));
	assert_non_null(strstr(err.message, bkp_repository_id(repository)));
	bkp_repository_close(repository);
	(void)fixture_free(&other_state);
}

/* Puts `with` in place of the first `what` in config. */
static void
edit_config(struct fixture *fixture, const char *what, const char *with)
{
	struct fmt_buf config = FMT_BUF_INIT, edited = FMT_BUF_INIT;
	const char *text;
	const char *at;

	assert_int_equal(bkp_store_get(fixture->memory, "config", 0,
			     BKP_STORE_WHOLE, &config, NULL),
	    0);
	text = fmt_buf_text(&config);
	assert_non_null(at = strstr(text, what));
	assert_int_equal(fmt_buf_printf(&edited, "%.*s%s%s", (int)(at - text),
			     text, with, at + strlen(what)),
	    FMT_OK);
	assert_int_equal(bkp_store_put(fixture->memory, "config", edited.data,
			     edited.len, NULL),
	    0);
	fmt_buf_free(&config);
	fmt_buf_free(&edited);
}

static void
a_newer_version_is_not_touched(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	edit_config(fixture, "\"version\":1", "\"version\":2");
	assert_int_equal(open_keys(fixture, &keys, &err), -1);
	assert_int_equal(err.code, BKP_UNSUPPORTED);
	assert_non_null(strstr(err.message, "newer libbackup"));
}

static void
a_damaged_config_is_told_as_such(void **state)
{
	static const char *const texts[] = {
	    "", "{", "[]", "{}", "{\"type\":\"libbackup repository\"}"};
	struct fixture *fixture = *state;
	struct bkp_keys keys = fixture_host_keys(fixture);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct bkp_error err = BKP_ERROR_INIT;

		assert_int_equal(bkp_store_put(fixture->memory, "config",
				     texts[i], strlen(texts[i]), NULL),
		    0);
		if (i == 0)
			assert_int_equal(open_keys(fixture, &keys, NULL), 0);
		assert_int_equal(bkp_store_put(fixture->memory, "copies/config",
				     texts[i], strlen(texts[i]), NULL),
		    0);
		assert_int_equal(open_keys(fixture, &keys, &err), -1);
		assert_int_equal(err.code, BKP_CORRUPT);
		assert_non_null(strstr(err.message, "config"));
	}
}

/* Flips a bit in the first object below a prefix. */
static void
damage_first(struct fixture *fixture, const char *prefix)
{
	struct fmt_buf bytes = FMT_BUF_INIT;
	char *name = fixture_names(fixture, prefix);

	name[strcspn(name, "\n")] = '\0';
	assert_int_equal(bkp_store_get(fixture->memory, name, 0,
			     BKP_STORE_WHOLE, &bytes, NULL),
	    0);
	bytes.data[bytes.len / 2] ^= 1;
	assert_int_equal(
	    bkp_store_put(fixture->memory, name, bytes.data, bytes.len, NULL),
	    0);
	fmt_buf_free(&bytes);
	free(name);
}

static void
damage_all(struct fixture *fixture, const char *prefix)
{
	char *names = fixture_names(fixture, prefix);

	for (char *name = names; *name != '\0'; name += strlen(name) + 1) {
		name[strcspn(name, "\n")] = '\0';
		assert_int_equal(
		    bkp_store_put(fixture->memory, name, "x", 1, NULL), 0);
	}
	free(names);
}

static void
one_damaged_key_object_locks_nobody_out(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	struct bkp_keys phrase = BKP_KEYS_INIT;
	struct bkp_keys admin = fixture_admin_keys(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	options.passphrase = FIXTURE_PASSPHRASE;
	phrase.passphrase = FIXTURE_PASSPHRASE;
	assert_int_equal(init(fixture, &options, NULL), 0);
	damage_first(fixture, "keys/");
	assert_int_equal(open_keys(fixture, &phrase, NULL), 0);
	assert_int_equal(open_keys(fixture, &admin, NULL), 0);
	damage_all(fixture, "keys/");
	assert_int_equal(open_keys(fixture, &phrase, NULL), 0);
	damage_all(fixture, "copies/keys/");
	assert_int_equal(open_keys(fixture, &admin, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, "keys/"));
}

static void
one_damaged_roster_stops_nobody_and_two_stop_backups(void **state)
{
	struct fixture *fixture = *state;
	const struct fixture_file file = {"a", "x", 1};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *repository;
	char name[65];

	damage_first(fixture, "roster/");
	repository = fixture_open_host(fixture);
	assert_int_equal(repository->roster.number, 1);
	assert_int_equal(
	    fixture_back_up(repository, &file, 1, 100, name, NULL), 0);
	bkp_repository_close(repository);
	damage_all(fixture, "roster/");
	damage_all(fixture, "copies/roster/");
	repository = fixture_open_host(fixture);
	assert_int_equal(
	    fixture_back_up(repository, &file, 1, 100, name, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, "roster/"));
	bkp_repository_close(repository);
}

static void
an_administrator_alone_does_not_write(void **state)
{
	const struct fixture_file file = {"a", "x", 1};
	struct bkp_repository *repository = fixture_open_admin(*state);
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	assert_int_equal(
	    fixture_back_up(repository, &file, 1, 100, name, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	bkp_repository_close(repository);
}

/* ---- identities ---- */

static void
an_identity_file_is_what_age_expects(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_error err = BKP_ERROR_INIT;
	char line[256], recipient[63];
	struct stat st;
	FILE *file = fopen(fixture->identity_file, "r");

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	assert_int_equal(strncmp(line, "# created: 20", 13), 0);
	assert_non_null(fgets(line, sizeof(line), file));
	assert_non_null(strstr(line, fixture->recipient));
	assert_non_null(fgets(line, sizeof(line), file));
	assert_int_equal(strncmp(line, "AGE-SECRET-KEY-1", 16), 0);
	assert_null(fgets(line, sizeof(line), file));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(stat(fixture->identity_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(
	    bkp_identity_create(fixture->identity_file, recipient, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
}

static void
a_repository_in_a_folder_works_by_its_path(void **state)
{
	struct fixture *fixture = *state;
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_keys keys = fixture_admin_keys(fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	char place[64], name[65];

	(void)snprintf(place, sizeof(place), "%s/place", fixture->folder);
	keys.key_file = fixture->key_file;
	assert_int_equal(bkp_repository_init(place, &options, &err), 0);
	assert_int_equal(bkp_repository_init(place, &options, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_int_equal(
	    bkp_repository_open(place, &keys, &repository, NULL), 0);
	assert_int_equal(
	    fixture_back_up(repository, &file, 1, 100, name, NULL), 0);
	assert_int_equal(fixture_compare(repository, name, &file, 1, NULL), 0);
	bkp_repository_close(repository);
}

/* ---- two who make a repository in the same place ---- */

/* Somebody else makes one between the look and the first object. */
struct racing {
	struct bkp_store base;
	struct bkp_store *inner; /* owned */
	struct fixture *fixture;
	char *names; /* owned: of the other's objects */
};

static int
racing_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct racing *racing = (struct racing *)store;
	const char *recipients[1] = {racing->fixture->recipient};
	struct bkp_init_options options =
	    fixture_options(racing->fixture, recipients);

	if (racing->names == NULL) {
		assert_int_equal(init(racing->fixture, &options, NULL), 0);
		racing->names = fixture_names(racing->fixture, "");
	}
	return bkp_store_put(racing->inner, name, data, len, err);
}

static int
racing_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	return bkp_store_put_new(
	    ((struct racing *)store)->inner, name, data, len, err);
}

static int
racing_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	return bkp_store_get(
	    ((struct racing *)store)->inner, name, offset, len, out, err);
}

static int
racing_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	return bkp_store_stat(((struct racing *)store)->inner, name, out, err);
}

static int
racing_list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	return bkp_store_list(
	    ((struct racing *)store)->inner, prefix, fn, arg, err);
}

static int
racing_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	return bkp_store_remove(((struct racing *)store)->inner, name, err);
}

static void
racing_close(struct bkp_store *store)
{
	bkp_store_close(((struct racing *)store)->inner);
}

static void
who_is_slower_takes_nothing_of_who_was_faster(void **state)
{
	static const struct bkp_store_ops ops = {
	    .driver = "racing",
	    .put = racing_put,
	    .put_new = racing_put_new,
	    .get = racing_get,
	    .stat = racing_stat,
	    .list = racing_list,
	    .remove = racing_remove,
	    .close = racing_close,
	};
	struct fixture *fixture = *state;
	char here[] = "here";
	struct racing racing = {.base = {.ops = &ops, .location = here},
	    .inner = fixture_store(fixture),
	    .fixture = fixture};
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	struct bkp_keys keys = fixture_admin_keys(fixture);
	struct fmt_buf config = FMT_BUF_INIT, copy = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char other[96];

	(void)snprintf(other, sizeof(other), "%s/other", fixture->folder);
	options.key_file = other;
	assert_int_equal(
	    bkp_repository_init_store(&racing.base, &options, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_names(fixture, "", racing.names);
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(open_keys(fixture, &keys, NULL), 0);
	assert_int_equal(bkp_store_get(fixture->memory, "config", 0,
			     BKP_STORE_WHOLE, &config, NULL),
	    0);
	assert_int_equal(bkp_store_get(fixture->memory, "copies/config", 0,
			     BKP_STORE_WHOLE, &copy, NULL),
	    0);
	assert_int_equal(copy.len, config.len);
	assert_memory_equal(copy.data, config.data, copy.len);
	fmt_buf_free(&config);
	fmt_buf_free(&copy);
	free(racing.names);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_new, fixture_free)
#define CASE_INITIALISED(f)                                                    \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE_INITIALISED(a_new_repository_has_keys_a_roster_and_config),
	    CASE_INITIALISED(the_host_opens_metadata_and_the_administrator_all),
	    CASE_INITIALISED(one_like_another_shares_the_names_of_chunks_alone),
	    CASE(a_passphrase_opens_it_as_well),
	    CASE(a_passphrase_alone_is_enough),
	    CASE_INITIALISED(what_is_there_already_is_left_alone),
	    CASE(what_makes_no_sense_is_refused_before_anything_is_made),
	    CASE(a_failed_init_takes_back_what_it_made),
	    CASE(a_failed_init_leaves_no_folder_of_its_own),
	    CASE(who_is_slower_takes_nothing_of_who_was_faster),
	    CASE(no_repository_is_ever_without_keys),
	    CASE(a_place_without_a_repository_says_so),
	    CASE_INITIALISED(no_key_and_wrong_keys_are_told_apart),
	    CASE_INITIALISED(a_key_file_that_others_may_read_is_refused),
	    CASE_INITIALISED(the_key_file_of_another_repository_is_named),
	    CASE_INITIALISED(a_newer_version_is_not_touched),
	    CASE_INITIALISED(a_damaged_config_is_told_as_such),
	    CASE(one_damaged_key_object_locks_nobody_out),
	    CASE_INITIALISED(
		one_damaged_roster_stops_nobody_and_two_stop_backups),
	    CASE_INITIALISED(an_administrator_alone_does_not_write),
	    CASE(an_identity_file_is_what_age_expects),
	    CASE(a_repository_in_a_folder_works_by_its_path),
	};

	return cmocka_run_group_tests_name("repository", tests, NULL, NULL);
}
