/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_RETENTION_H
#define LIBBACKUP_OPERATIONS_RETENTION_H

/*
 * Which snapshots stay and which go, from descriptions alone: no store, no
 * clock, no key.
 *
 * A group is a host and the set of sources that it backed up together. In each
 * group a rule divides the snapshots by time and keeps the newest good one of
 * each of the last N divisions that have one:
 *
 *   last      each is a division of its own
 *   hourly    hours, days, ISO weeks (from Monday), months and years of the
 *   daily...  Gregorian calendar in UTC. UTC, for every machine then decides
 *             the same, and no hour is there twice or not at all.
 *   within    every one that is not older than that before the newest
 *   tags      every one with such a tag
 *
 * Divisions without a snapshot count for nothing: where backups stop, nothing
 * goes. A good snapshot is one where nothing was left out and whose last
 * verification did not fail. Another one takes no place of a good one: it
 * stands in for a division that has no good one, beside the N, as long as the
 * division is not older than those N, and at most N of them.
 *
 * Whatever the rules say, each group keeps its newest one, its last good one
 * and the last one that was proven; what has the tag of a guard stays for seven
 * days; and one from the future stays and counts for nothing, for somebody's
 * clock is wrong.
 *
 * So a larger number, or one more rule, never keeps less.
 */

#include <stdbool.h>

#include "libbackup/operations.h"

/* One of these is not yet from the future: clocks differ. */
#define BKP_RETENTION_SKEW_US ((int64_t)3600 * 1000000)

/* How long the way back of a guard stays whatever the rules say. */
#define BKP_RETENTION_GUARD_US ((int64_t)7 * 24 * 3600 * 1000000)

/* A snapshot. Everything is borrowed. */
struct bkp_candidate {
	const char *name;
	const char *host;
	int64_t time_us, finished_us;
	const char *const *sources; /* prefixes, sorted */
	size_t source_count;
	const char *const *tags;
	size_t tag_count;
	size_t omission_count;
	int64_t proven_us; /* the last verification that went well; 0: none */
	int64_t failed_us; /* the last one that did not; 0: none */
};

/* What is asked about; the others stay. Borrowed; count 0: all. */
struct bkp_retention_scope {
	const char *const *hosts;
	size_t host_count;
	const char *const *sources; /* groups that hold nothing but these */
	size_t source_count;
};

struct bkp_decisions {
	struct bkp_decision *items; /* as the candidates are ordered */
	size_t count;
	void *memory;
};

#define BKP_DECISIONS_INIT                                                     \
	{                                                                      \
		NULL, 0, NULL                                                  \
	}

/* False where no rule would keep anything: tags alone are no policy. */
bool bkp_retention_has_rule(const struct bkp_retention *retention);

/* BKP_INVALID: there is no rule, or a bad one. */
int bkp_retention_check(
    const struct bkp_retention *retention, struct bkp_error *err);

/* `scope` may be NULL. BKP_INVALID: there is no rule, or a bad one. Names and
 * hosts in the decisions are borrowed from the candidates. */
int bkp_retention_decide(const struct bkp_retention *retention,
    const struct bkp_retention_scope *scope,
    const struct bkp_candidate *candidates, size_t count, int64_t now_us,
    struct bkp_decisions *out, struct bkp_error *err);
void bkp_decisions_free(struct bkp_decisions *decisions);

#endif
