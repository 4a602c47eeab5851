/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_PRUNE_FIXTURE_H
#define TESTS_UNIT_PRUNE_FIXTURE_H

/*
 * Backups in a fixture's repository, prunes of them, and what must hold after
 * each. What must work and does not fails the test.
 */

#include "libbackup/repository/prune.h"
#include "tests/unit/repository_fixture.h"

#define UNIT ((size_t)64 << 10) /* what a backup adds */
#define PIECE ((size_t)16 << 10)

void must(int rc, const struct bkp_error *err);

/* Each has a file of its own and one that all share. */
struct backups {
	struct fixture *fixture;
	unsigned char *noise; /* owned; the test frees it */
	size_t count;
	char names[32][BKP_OBJECT_NAME];
};

struct backups make_backups(struct fixture *fixture);
void back_up(struct backups *backups, struct bkp_repository *host);
void back_up_times(struct backups *backups, size_t times);

void assert_readable(const struct backups *backups, size_t n);
size_t count_objects(struct fixture *fixture, const char *prefix);
/* Nothing is missing, and so many snapshots are there. */
void assert_no_problems(struct fixture *fixture, size_t snapshots);

/* As an administrator and this host together, who may read what is stored. */
struct bkp_repository *open_both(struct fixture *fixture);

/* A whole one, which removes the snapshots named. */
int prune(struct bkp_repository *host, const char (*names)[BKP_OBJECT_NAME],
    size_t count, const struct bkp_prune_limits *limits,
    struct bkp_prune_report *report, struct bkp_error *err);

extern const struct bkp_prune_limits prune_at_once; /* without a grace */

/* By the host, at once, and it works. */
struct bkp_prune_report prune_now(
    struct backups *backups, size_t first, size_t count);

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

#endif
