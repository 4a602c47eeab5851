/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RETENTION_FIXTURE_H
#define TESTS_UNIT_RETENTION_FIXTURE_H

/* Snapshots that were never written, and what retention decides about them.
 * What must work and does not fails the test. */

#include <stddef.h>
#include <stdint.h>

#include "libbackup/operations/retention.h"

#define SECOND ((int64_t)1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

/* What a snapshot holds unless a case says otherwise. */
extern const char *const stack[2];

/* A repository of up to 64 snapshots, and what was decided about it. */
struct story {
	struct bkp_candidate items[64];
	char names[64][65];
	size_t count;
	int64_t now_us; /* 0: a minute after the newest */
	struct bkp_retention retention;
	struct bkp_retention_scope scope;
	struct bkp_decisions decisions;
};

/* "2026-11-18 02:00" in microseconds. */
int64_t at(const char *text);

struct story begin(void);

/* Returns the snapshot, to be changed. */
struct bkp_candidate *add(
    struct story *story, const char *host, const char *time);

void decide(struct story *story);

/* Fails the test unless that was decided, for that reason among others. */
void expect(struct story *story, size_t n, int is_kept, const char *reason);

/* Decides and gives a letter each: k or g. */
const char *outcome(struct story *story, char text[65]);

void end(struct story *story);

#endif
