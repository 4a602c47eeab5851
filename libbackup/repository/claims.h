/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_CLAIMS_H
#define LIBBACKUP_REPOSITORY_CLAIMS_H

/*
 * What others remember of proofs: snapshots and checkpoints that were written
 * after a verification, and the machines that saw its proof. A proof is named
 * by no other object, so without this nobody would miss one that the store has
 * taken away, and the snapshot that it proved would be removed like any other.
 *
 * A claim is no proof: it was not signed by the administrators. It tells that
 * one is missing, and makes a prune keep more, never less.
 */

#include "formats/claims.h"
#include "libbackup/repository/proofs.h"

struct bkp_claims {
	struct fmt_claim *items; /* owned, sorted, none twice */
	size_t count, cap;
};

#define BKP_CLAIMS_INIT                                                        \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

void bkp_claims_free(struct bkp_claims *claims);

/* Joins claims with others: of each snapshot the newest times count. */
int bkp_claims_join(struct bkp_claims *claims, const struct fmt_claim *others,
    size_t count, struct bkp_error *err);

/* What a proof lets others remember; false: a part that is proven proves no
 * whole. */
bool bkp_claim_of(const struct fmt_proof *proof, struct fmt_claim *out);

/* Joins them with the proofs that are there, but for those on this machine
 * only, which others could not find. */
int bkp_claims_join_proofs(struct bkp_claims *claims,
    const struct bkp_proofs *proofs, struct bkp_error *err);

/* The claim about a snapshot, or NULL; borrowed. */
const struct fmt_claim *bkp_claims_find(
    const struct bkp_claims *claims, const char *snapshot);

/* Whether a proof is missing: the newest that is there of its snapshot is
 * older than the claim. */
bool bkp_claim_is_missed(
    const struct fmt_claim *claim, const struct bkp_proofs *proofs);

/* Forgets those that `is_gone` is true of. */
void bkp_claims_drop(struct bkp_claims *claims,
    bool (*is_gone)(const void *arg, const char *snapshot), const void *arg);

#endif
