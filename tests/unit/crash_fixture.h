/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CRASH_FIXTURE_H
#define TESTS_UNIT_CRASH_FIXTURE_H

/*
 * A process that dies at a call of its store, before the call has its effect
 * or after: for every call there is. Whatever it left behind, the repository
 * checks clean, every snapshot that was reported is there and whole, and the
 * next process goes on.
 */

#include <stdbool.h>

#include "tests/unit/repository_fixture.h"

#define CRASH_PIECE 20000

enum { CRASH_FILES = 3, CRASH_NIGHTS = 4 };

/* Each night one file is another one. */
struct crash_night {
	struct fixture_file files[CRASH_FILES];
};

struct crash {
	struct fixture *fixture;
	char folder[64];              /* of what follows */
	char template[96], place[96]; /* repositories */
	unsigned char *bytes[CRASH_FILES + CRASH_NIGHTS];
	struct crash_night nights[CRASH_NIGHTS];
	char names[CRASH_NIGHTS][65]; /* of snapshots in the template */
	size_t count;
	unsigned parity; /* percentage of error correction that is kept; 0 */
};

/* What a process does; the name that it reports, or "". */
typedef int crash_job_fn(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err);

/* As cmocka set-up and tear-down: *state becomes a struct crash. */
int crash_set_up(void **state);
int crash_tear_down(void **state);

/* Runs a shell's command, which must go well. */
void crash_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct bkp_repository *crash_open_repository(
    struct crash *crash, const char *folder, struct bkp_keys keys);

/* A night's backup into the template. */
void crash_add_night(struct crash *crash);

/* A copy of the template, and a machine that has seen nothing else. */
void crash_begin_again(struct crash *crash);

/* Runs a job in a process that dies at its n-th call. Answers false where it
 * came to its end; `name` is what it reported. */
bool crash_kill_at(struct crash *crash, crash_job_fn *job, struct bkp_keys keys,
    uint64_t call, bool is_effect_done, char name[65]);

/* All data are read, and nothing is wrong with any of it. */
void crash_check_clean(struct crash *crash);

/* A repair makes what the dead left out of error correction, and then nothing
 * is wrong with that either. */
void crash_complete_parity(struct crash *crash);

/* Every snapshot that is listed is whole, and those of `must` are listed.
 * Answers how many are. */
size_t crash_check_snapshots(
    struct crash *crash, const char (*must)[65], size_t count);

/* A job: the backup of the night after those of the template. */
int crash_back_up_tonight(struct crash *crash,
    struct bkp_repository *repository, char name[65], struct bkp_error *err);

/* The same by somebody else, after all that. */
void crash_go_on(struct crash *crash, char name[65]);

#endif
