/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_REMEMBERED_H
#define LIBBACKUP_REPOSITORY_REMEMBERED_H

/*
 * What this machine has seen of a repository, in a file of its own: the one
 * thing that a store cannot put back. <state>/<repository id>/seen, one object
 * of JSON (base/place.h says where the state is):
 *
 *     {"type":"libbackup seen","version":1,"checkpoint":7,"roster":2,
 *      "erasures":3,
 *      "tips":[{"name":"<64 hex digits>","host":"db1","finished_us":...,
 *               "is_behind":false},...],
 *      "proofs":[["<64 hex digits>",<proven>,<failed>],...]}
 *
 * It holds no secret. Whoever deletes it loses only that a repository which
 * is put back as a whole is found out.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/repository/claims.h"

struct bkp_remembered_tip {
	char name[BKP_OBJECT_NAME];
	char host[128]; /* cut where it is longer */
	int64_t finished_us;
	bool is_behind; /* no tip: another one came after it */
};

struct bkp_remembered {
	uint64_t checkpoint, roster;     /* the highest numbers */
	uint64_t erasures;               /* entries of the ledger, at most */
	struct bkp_remembered_tip *tips; /* owned; and what is behind them, so
		that all that is lost can be named */
	size_t count, cap;
	struct bkp_claims claims; /* of proofs that were seen */
};

#define BKP_REMEMBERED_INIT                                                    \
	{                                                                      \
		.tips = NULL                                                   \
	}

/* Nothing where there is no file. -1 also where it cannot be read: err tells
 * the place. */
int bkp_remembered_load(const char *repository_id, struct bkp_remembered *out,
    struct bkp_error *err);
void bkp_remembered_free(struct bkp_remembered *remembered);

int bkp_remembered_add(struct bkp_remembered *remembered, const char *name,
    const char *host, int64_t finished_us, bool is_behind,
    struct bkp_error *err);

/* Remembers that a snapshot was proven, or failed to be. */
int bkp_remembered_claim(const char *repository_id,
    const struct fmt_claim *claim, struct bkp_error *err);

/* Remembers how many entries the ledger of erasures had. */
int bkp_remembered_erasures(
    const char *repository_id, uint64_t count, struct bkp_error *err);

/* Changes it while no other process does: `change` gets what is there and
 * answers 0 to have it written (whole or not at all), -1 to leave it. A file
 * that cannot be understood counts as none. */
typedef int bkp_remembered_fn(
    void *arg, struct bkp_remembered *remembered, struct bkp_error *err);
int bkp_remembered_change(const char *repository_id, bkp_remembered_fn *change,
    void *arg, struct bkp_error *err);

#endif
