/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CHECK_PATIENT_H
#define TESTS_UNIT_CHECK_PATIENT_H

/* A repository in a folder that is damaged, checked and repaired. */

#include "libbackup/check.h"
#include "tests/unit/repository_fixture.h"

#define SNAPSHOTS 3
#define FILES 6
#define DIFFERENCES 4
#define OBJECTS_MAX 192
#define SECOND_PREFIX "files/zoo"
#define FIRST_OF_SECOND 3 /* of the files, where there are two sources */

/* A repository as it was and as it is. */
struct patient {
	struct fixture *fixture;
	char folder[40]; /* of what follows */
	char good[64], sick[64];
	char names[SNAPSHOTS][65];
	struct fixture_file files[SNAPSHOTS][FILES];
	unsigned char *noise[SNAPSHOTS];
	char *rows[SNAPSHOTS][2];
	char objects[OBJECTS_MAX][160];
	char copy[160]; /* that TWICE made, of what was damaged last; or "" */
	size_t sizes[OBJECTS_MAX];
	size_t object_count;
	uint64_t differences;
	bool is_rich;
};

struct readable {
	bool files[SNAPSHOTS][FILES];
};

enum how { LOOK, REPAIR, ACCEPT };

enum damage {
	FLIP_START,
	FLIP_MIDDLE,
	FLIP_END,
	CUT,
	EMPTY,
	GONE,
	SWAP,
	TWICE,
	ZERO,
	DAMAGES
};

extern struct patient patient;

/* As cmocka set-up and tear-down; a repository with three snapshots. */
int patient_set_up(void **state);

/* The same with everything that a repository can hold: two hosts, two sources,
 * keys of two generations, a passphrase, proofs, sessions and error
 * correction, where the build has that. */
int patient_set_up_rich(void **state);
int patient_tear_down(void **state);

/* The sick one, and what this machine knows, as the good one is. */
void patient_begin_anew(void);

/* The same, damaged. False where there is nothing to be done that way. */
bool patient_damage(const char *object, enum damage damage);

/* Sessions that are damaged so have had no sign of life for a day. */
bool patient_is_old(enum damage damage);

void patient_shell(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Opens with all keys and without a cache. */
struct bkp_repository *patient_open(const char *location);

/* What can be read of the sick one; other bytes fail the test. */
struct readable patient_read_all(void);
bool patient_is_all_readable(const struct readable *readable);
void patient_assert_no_worse(const struct readable *before,
    const struct readable *after, const char *story);

/* Chunks of the sick one that are stored as differences. */
uint64_t patient_differences(void);

/* A check with all data read, with all keys, or as the host. */
void patient_check(
    enum how how, struct bkp_check_result *result, const char *story);
void patient_check_as_host(
    enum how how, struct bkp_check_result *result, const char *story);
void patient_print(const struct bkp_check_result *result);

/* Exactly what cannot be read is said to be hurt. */
void patient_assert_true_story(const struct bkp_check_result *result,
    const struct readable *readable, const char *story);
bool patient_is_named(
    const struct bkp_check_result *result, const char *object);

#endif
