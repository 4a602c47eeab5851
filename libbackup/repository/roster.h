/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_ROSTER_H
#define LIBBACKUP_REPOSITORY_ROSTER_H

/*
 * The roster: who may open and who may write a repository, signed by the
 * administrators' key. roster/<name> is a signed record (formats/record.md,
 * not encrypted: it holds no secret) and replaces the one before it, whose
 * number is one lower; old ones stay.
 *
 * Where two administrators changed it at the same time there are two with the
 * same number: both count, and a revocation in either does. The next change
 * writes one that joins them.
 *
 * A roster that was removed or damaged leaves the one before it, so a
 * revocation could be undone by whoever holds the store; that is why
 * snapshots and the state of each machine remember the number (history.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/repository/key_ring.h"
#include "libbackup/repository/object.h"

/* A way in: one object of keys/. */
struct bkp_roster_key {
	char name[BKP_OBJECT_NAME];             /* of the object keys/<name> */
	char label[BKP_WRITER_NAME];            /* "ops laptop", "passphrase" */
	char recipient[FMT_AGE_RECIPIENT_TEXT]; /* "" for a passphrase */
	int64_t added_us;
};

/* A host that signs. */
struct bkp_roster_writer {
	unsigned char public_key[32];
	char name[BKP_WRITER_NAME];
	char recipient[FMT_AGE_RECIPIENT_TEXT]; /* of the host's own identity,
		derived from its signing seed: new generations of the
		repository's keys reach the host through it */
	bool may_prune; /* its checkpoints and condemned lists count */
	int64_t added_us;
	int64_t revoked_us; /* 0: it is let in */
	/* Owned, sorted: what it had written when it was revoked and goes on
	 * being believed. Anything else that it signed is not. */
	char (*snapshots)[BKP_OBJECT_NAME];
	char (*indexes)[BKP_OBJECT_NAME];
	size_t snapshot_count, index_count;
};

struct bkp_roster {
	uint64_t number; /* 1, 2, 3... */
	int64_t time_us;
	uint64_t generation; /* of the repository's keys, from 1 */
	char data_recipient[FMT_AGE_RECIPIENT_TEXT];
	char metadata_recipient[FMT_AGE_RECIPIENT_TEXT];
	struct bkp_roster_key *keys; /* owned */
	size_t key_count;
	struct bkp_roster_writer *writers; /* owned */
	size_t writer_count;
	/* One damaged object must not lock everybody out. What is wrong is
	 * told when it is missed, and by backup-check. */
	size_t damaged;
	struct bkp_error damage; /* of the first one that was left out */
};

/* Reads every roster that the administrators signed and joins the newest.
 * BKP_NOTFOUND: there is none that can be used. */
int bkp_roster_load(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_roster *out, struct bkp_error *err);
void bkp_roster_free(struct bkp_roster *roster);

/* Writes the next one (number + 1, signed; ring has_admin). */
int bkp_roster_put(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_roster *roster, char name[BKP_OBJECT_NAME],
    struct bkp_error *err);

/* What is asked of it. `name` is of the object in question. */
bool bkp_roster_may_write(
    const struct bkp_roster *roster, const unsigned char key[32]);
bool bkp_roster_may_prune(
    const struct bkp_roster *roster, const unsigned char key[32]);
bool bkp_roster_believes_snapshot(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name);
bool bkp_roster_believes_index(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name);

/* The host of a key ("db1"), or NULL; borrowed from the roster. */
const char *bkp_roster_writer_name(
    const struct bkp_roster *roster, const unsigned char key[32]);

#endif
