/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_PROOFS_H
#define LIBBACKUP_REPOSITORY_PROOFS_H

/*
 * What verifications found: proofs/<name>, a record that the administrators'
 * key signed, encrypted to the metadata recipient (formats/proof.md). Where the
 * repository takes no writes it is kept in the state folder of this machine
 * (base/place.h) in the same form, and found there by this machine only.
 *
 * Nothing depends on a proof but the advice that is taken from it: one that is
 * damaged is passed over.
 */

#include "formats/proof.h"
#include "libbackup/repository/repository_own.h"

struct bkp_proof {
	struct fmt_proof proof;
	char name[BKP_OBJECT_NAME];
	bool is_local; /* on this machine only */
};

struct bkp_proofs {
	struct bkp_proof *items; /* owned, in no order */
	size_t count, cap;
	size_t damaged; /* that were left out; the first one: */
	struct bkp_error damage;
};

#define BKP_PROOFS_INIT                                                        \
	{                                                                      \
		NULL, 0, 0, 0, BKP_ERROR_INIT                                  \
	}

int bkp_proofs_load(struct bkp_repository *repository, struct bkp_proofs *out,
    struct bkp_error *err);
void bkp_proofs_free(struct bkp_proofs *proofs);

/* When a snapshot was last proven, and when it last failed to be; 0: never. */
void bkp_proofs_of(const struct bkp_proofs *proofs, const char *snapshot,
    int64_t *proven_us, int64_t *failed_us);

/* The newest one that says something of the snapshot as a whole, or NULL. */
const struct fmt_proof *bkp_proofs_newest(
    const struct bkp_proofs *proofs, const char *snapshot);

/* Signs and stores one (`repository` and `signer` are filled in), and removes
 * older ones that said the same of the snapshot. *is_local: it is on this
 * machine only. BKP_AUTH: no administrator's key is at hand. */
int bkp_proof_put(struct bkp_repository *repository, struct fmt_proof *proof,
    bool *is_local, struct bkp_error *err);

/* Removes the proofs of snapshots that were removed. */
int bkp_proofs_remove(struct bkp_repository *repository,
    const char (*snapshots)[BKP_OBJECT_NAME], size_t count,
    struct bkp_error *err);

#endif
