/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_CHECKPOINT_H
#define FORMATS_CHECKPOINT_H

/*
 * A checkpoint: which snapshots of a repository are there, and which were
 * removed. A signed record. formats/checkpoint.md.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/claims.h"
#include "formats/status.h"

struct fmt_checkpoint {
	char repository[33]; /* hex id of the repository it belongs to */
	uint64_t sequence;   /* 1, 2, 3... of the repository */
	int64_t time_us;     /* when its writer looked, microseconds UTC */
	/* Owned. Each list is sorted and names nothing twice. */
	char (*kept)[65], (*removed)[65]; /* snapshots */
	char (*expired)[33];              /* sessions */
	size_t kept_count, removed_count, expired_count;
	/* Owned, in no order: checkpoints that this one stands for. */
	char (*replaced)[65];
	size_t replaced_count;
	struct fmt_claim *claims; /* owned, sorted: proofs that were known */
	size_t claim_count;
	unsigned char signer[32]; /* Ed25519 public key; set by decode */
};

#define FMT_CHECKPOINT_INIT                                                    \
	{                                                                      \
		.kept = NULL                                                   \
	}

void fmt_checkpoint_free(struct fmt_checkpoint *checkpoint);

/* Appends both lines, signed with an Ed25519 seed. */
enum fmt_status fmt_checkpoint_encode(const struct fmt_checkpoint *checkpoint,
    const unsigned char seed[32], struct fmt_buf *out);

/* Reads it and checks the signature against the key that it names; whether
 * that key may say such a thing is the caller's question. FMT_UNSUPPORTED: a
 * newer version. */
enum fmt_status fmt_checkpoint_decode(
    const void *data, size_t len, struct fmt_checkpoint *out);

#endif
