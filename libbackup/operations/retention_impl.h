/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_RETENTION_IMPL_H
#define LIBBACKUP_OPERATIONS_RETENTION_IMPL_H

/* What the files of the retention share. */

#include "libbackup/operations/retention.h"

enum { BKP_RETENTION_RULES = 6 };

/* What became of a snapshot under one rule. */
enum bkp_retention_outcome {
	BKP_PLACE_NONE,   /* there is no such rule */
	BKP_PLACE_TAKEN,  /* it has place `number` */
	BKP_PLACE_BESIDE, /* it stands in for a good one, and takes no place */
	BKP_PLACE_HELD,   /* `holder` is kept for the same division */
	BKP_PLACE_FULL    /* all places are newer */
};

struct bkp_retention_place {
	enum bkp_retention_outcome outcome;
	unsigned number;
	const char *holder; /* borrowed: a name */
};

struct bkp_retention_member {
	const struct bkp_candidate *candidate; /* borrowed */
	size_t at;                             /* among the candidates */
	struct bkp_retention_place places[BKP_RETENTION_RULES];
	char *sources;  /* owned: for the decision */
	char **reasons; /* owned */
	size_t reason_count, reason_cap;
	bool is_kept;
};

/* The members of one group, newest first. */
struct bkp_retention_group {
	struct bkp_retention_member *members;
	size_t count;
};

struct bkp_retention_course {
	const struct bkp_retention *retention;
	const struct bkp_retention_scope *scope; /* may be NULL */
	int64_t now_us, within_us;               /* 0: no such rule */
	struct bkp_retention_member *members;    /* owned, sorted */
	size_t count;
};

/* ---- retention_rules.c ---- */

/* "daily", and the number that it keeps; 0: there is no such rule. */
const char *bkp_retention_rule_name(size_t rule);
unsigned bkp_retention_rule_limit(
    const struct bkp_retention *retention, size_t rule);

/* A division of a rule ("2026-11-18"), and a time to the minute, in UTC. "" for
 * the rule that does not divide. */
#define BKP_RETENTION_TEXT 40
const char *bkp_retention_division(
    size_t rule, int64_t us, char text[BKP_RETENTION_TEXT]);
const char *bkp_retention_minute(int64_t us, char text[BKP_RETENTION_TEXT]);

bool bkp_candidate_is_failed(const struct bkp_candidate *c);
bool bkp_candidate_is_good(const struct bkp_candidate *c);
bool bkp_candidate_is_proven(const struct bkp_candidate *c);

/* Lets every rule hand out its places in a group. */
void bkp_retention_hand_out(const struct bkp_retention *retention,
    const struct bkp_retention_group *group);

/* ---- retention_reasons.c ---- */

/* Keeps a member for a reason, which is taken. NULL: there was no memory for
 * it, and err is set. */
int bkp_retention_keep(
    struct bkp_retention_member *member, char *reason, struct bkp_error *err);

/* Keeps what the rules and what no rule may take; then says why the others
 * go. */
int bkp_retention_judge(const struct bkp_retention_course *course,
    const struct bkp_retention_group *group, struct bkp_error *err);

#endif
