/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/keys_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "libbackup/key.h"

const struct fixture_file keys_files[2] = {
    {"a", "what was backed up", 18}, {"b", "", 0}};

int
keys_try(
    struct fixture *fixture, const struct bkp_keys *keys, struct bkp_error *err)
{
	struct bkp_repository *repository = NULL;
	int rc = bkp_repository_open_store(
	    fixture_store(fixture), keys, &repository, err);

	bkp_repository_close(repository);
	return rc;
}

/* A file in the fixture's folder. */
char *
keys_path(struct fixture *fixture, const char *name)
{
	static char paths[8][96];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, 96, "%s/%s", fixture->folder, name);
	return path;
}

struct bkp_keys
keys_of_host(struct fixture *fixture, const char *name)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.key_file = keys_path(fixture, name);
	return keys;
}

struct bkp_keys
keys_of_phrase(const char *passphrase)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.passphrase = passphrase;
	return keys;
}

/* A second administrator's identity, and its recipient. */
struct bkp_keys
keys_new_identity(struct fixture *fixture, const char *name, char recipient[63])
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.identity_file = keys_path(fixture, name);
	assert_int_equal(
	    bkp_identity_create(keys.identity_file, recipient, NULL), 0);
	return keys;
}

struct bkp_repository *
keys_open(struct fixture *fixture, const struct bkp_keys *keys)
{
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_repository_open_store(
	    fixture_store(fixture), keys, &repository, &err);
	assert_string_equal(err.message, "");
	return repository;
}

void
keys_back_up(
    struct fixture *fixture, const struct bkp_keys *keys, char name[65])
{
	struct bkp_repository *host = keys_open(fixture, keys);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)fixture_back_up(host, keys_files, 2, 100, name, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(host);
}

void
keys_assert_reads(
    struct fixture *fixture, const struct bkp_keys *keys, const char *snapshot)
{
	struct bkp_repository *admin = keys_open(fixture, keys);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)fixture_compare(admin, snapshot, keys_files, 2, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(admin);
}

int
keys_add_recipient(struct bkp_repository *repository, const char *recipient,
    const char *label, struct bkp_error *err)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;

	options.recipient = recipient;
	options.label = label;
	return bkp_key_add(repository, &options, err);
}

int
keys_add_phrase(struct bkp_repository *repository, const char *passphrase,
    struct bkp_error *err)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;

	options.passphrase = passphrase;
	options.work_factor = 2;
	return bkp_key_add(repository, &options, err);
}

struct bkp_error keys_trouble;

int
keys_no_damage(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err)
{
	(void)arg;
	(void)err;
	if (finding->level != BKP_FINDING_NOTE)
		fail_msg(
		    "%s %s: %s", finding->kind, finding->object, finding->text);
	return 0;
}

/* Copies all objects of one store into another, where they are missing. */
int
keys_copy_object(
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
