/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_KEY_CHECK_H
#define LIBBACKUP_REPOSITORY_KEY_CHECK_H

/*
 * Whether everything is there without which nobody opens the repository:
 * config, keys/, roster/, and the copies of them; and of what else is stored
 * twice, checkpoints/ and erasures/. What a key change that was
 * killed may leave is a note, never more.
 */

#include "libbackup/check.h"
#include "libbackup/repository/repository_own.h"

/* Borrowed for the call. */
struct bkp_key_finding {
	enum bkp_finding_level level;
	const char *kind;   /* a literal: "key-damaged", "roster-missing" */
	const char *object; /* "keys/<name>", "copies/config", or "" */
	const char *text;   /* a sentence: what is wrong, and what to do */
};

/* Answers 0, or -1 (with err set) to stop. */
typedef int bkp_key_finding_fn(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err);

/* Any key will do. -1 only where the store, memory or `fn` fails. */
int bkp_repository_check_keys(struct bkp_repository *repository,
    bkp_key_finding_fn *fn, void *arg, struct bkp_error *err);

/* Makes every missing or damaged one of two from the other, where that is
 * good. Any key will do. *repaired (may be NULL): how many. */
int bkp_repository_repair_keys(
    struct bkp_repository *repository, size_t *repaired, struct bkp_error *err);

#endif
