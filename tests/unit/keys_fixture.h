/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_KEYS_FIXTURE_H
#define TESTS_UNIT_KEYS_FIXTURE_H

/* People, passphrases and hosts of a fixture's repository. What must work and
 * does not fails the test. */

#include "libbackup/repository/key_check.h"
#include "tests/unit/repository_fixture.h"

/* What every backup holds. */
extern const struct fixture_file keys_files[2];

extern struct bkp_error keys_trouble;

#define MUST(call)                                                             \
	do {                                                                   \
		int must_rc;                                                   \
		keys_trouble = (struct bkp_error)BKP_ERROR_INIT;               \
		must_rc = (call);                                              \
		assert_string_equal(keys_trouble.message, "");                 \
		assert_int_equal(must_rc, 0);                                  \
	} while (0)

/* A file in the fixture's folder; one of the last eight. */
char *keys_path(struct fixture *fixture, const char *name);

struct bkp_keys keys_of_host(struct fixture *fixture, const char *name);
struct bkp_keys keys_of_phrase(const char *passphrase);

/* One more administrator's identity, and its recipient. */
struct bkp_keys keys_new_identity(
    struct fixture *fixture, const char *name, char recipient[63]);

/* Whether the keys open the repository, 0 or -1. */
int keys_try(struct fixture *fixture, const struct bkp_keys *keys,
    struct bkp_error *err);
struct bkp_repository *keys_open(
    struct fixture *fixture, const struct bkp_keys *keys);

void keys_back_up(
    struct fixture *fixture, const struct bkp_keys *keys, char name[65]);
void keys_assert_reads(
    struct fixture *fixture, const struct bkp_keys *keys, const char *snapshot);

int keys_add_recipient(struct bkp_repository *repository, const char *recipient,
    const char *label, struct bkp_error *err);
int keys_add_phrase(struct bkp_repository *repository, const char *passphrase,
    struct bkp_error *err);

/* For bkp_repository_check_keys: fails the test at more than a note. */
int keys_no_damage(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err);

/* For bkp_store_list over the first of two stores: copies to the second. */
int keys_copy_object(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err);

#endif
