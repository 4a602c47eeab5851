/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_HISTORY_FIXTURE_H
#define TESTS_UNIT_HISTORY_FIXTURE_H

/*
 * Snapshots of any kind in a fixture's repository, with the test as the one who
 * has the store, and what is found by who looks at them. What must work and
 * does not fails the test.
 */

#include "libbackup/repository/history.h"
#include "tests/unit/repository_fixture.h"

#define HOUR ((int64_t)3600 * 1000000)
#define DAY (24 * HOUR)

/* The host of a snapshot that names none. */
extern char db1[4];

struct made {
	char name[65];
};

/* A host as the snapshots show it. */
struct maker {
	struct bkp_repository *repository; /* borrowed */
	uint64_t sequence;
	int64_t clock_us;
	char previous[65];
};

void seal(struct bkp_repository *repository,
    const struct fmt_snapshot *snapshot, const unsigned char seed[32],
    char name[65]);

/* An empty snapshot after those in `seen` (NULL ends them). */
struct made make_with(
    struct maker *maker, struct fmt_snapshot with, const char **seen);
struct made make(struct maker *maker);
struct maker maker_of(struct bkp_repository *repository);

struct bkp_history look_at(struct bkp_repository *repository);
void remember(struct bkp_repository *repository);

/* Exactly these findings, in any order: "missing <12 digits>". */
void expect_findings(
    struct bkp_repository *repository, const char *const *expected);

#define expect(repository, ...)                                                \
	expect_findings(repository, (const char *const[]){__VA_ARGS__, NULL})
#define expect_none(repository)                                                \
	expect_findings(repository, (const char *const[]){NULL})

/* "missing 0123456789ab", in one of a few buffers. */
const char *is(const char *what, struct made made);

void path_of(struct made made, char path[128]);
void delete (struct fixture *fixture, struct made made);
struct fmt_buf take(struct fixture *fixture, struct made made);
void put_bytes(
    struct fixture *fixture, struct made made, const void *data, size_t len);

struct bkp_checkpoint load(struct bkp_repository *repository);
void put(struct bkp_repository *repository, struct bkp_checkpoint *checkpoint);
void strike(struct bkp_checkpoint *checkpoint, struct made made);

/* What a prune does: keeps all that count but one. */
void prune(struct bkp_repository *repository, struct made removed);

#endif
