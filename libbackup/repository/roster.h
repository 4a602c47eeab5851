/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_ROSTER_H
#define LIBBACKUP_REPOSITORY_ROSTER_H

/*
 * The roster: who may open and who may write a repository, signed by the
 * administrators' key. roster/<name> is a signed record (formats/record.md,
 * not encrypted: it holds no secret) and replaces the one before it, whose
 * number is one lower; old ones stay. roster.md.
 *
 * Each is stored twice (copies.h), so that one damaged object loses nothing.
 * Where two administrators changed it at the same time there are two with the
 * same number: both count, and what either took away or revoked is gone. The
 * next change writes one that joins them.
 *
 * A roster that was removed or damaged leaves the one before it, so a
 * revocation could be undone by whoever holds the store; that is why
 * snapshots and the state of each machine remember the number (history.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/repository/key_ring.h"
#include "libbackup/repository/object.h"

/* A way in: an age recipient that the administrators' object is sealed to. */
struct bkp_roster_key {
	char label[BKP_WRITER_NAME];            /* "ops laptop", or "" */
	char recipient[FMT_AGE_RECIPIENT_TEXT]; /* of a person, or of the
		identity that a passphrase opens */
	struct bkp_names passphrase; /* owned; for a passphrase: the objects
		keys/<name> that hold that identity, encrypted by it */
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
	struct bkp_names snapshots, indexes, checkpoints, erasures;
};

struct bkp_roster {
	uint64_t number; /* 1, 2, 3...; 0 where there is none */
	int64_t time_us;
	uint64_t generation; /* of the repository's keys, from 1 */
	char data_recipient[FMT_AGE_RECIPIENT_TEXT];
	char metadata_recipient[FMT_AGE_RECIPIENT_TEXT];
	struct bkp_names admin_objects; /* owned, sorted: keys/<name>, sealed to
					   all of `keys` */
	struct bkp_names host_objects;  /* owned, sorted: keys/<name>, sealed to
					  the hosts when the keys were rotated */
	struct bkp_roster_key *keys;    /* owned */
	size_t key_count, key_cap;
	struct bkp_roster_writer *writers; /* owned */
	size_t writer_count, writer_cap;
	bool is_joined; /* of several that were written at the same time */
	/* One damaged object must not lock everybody out. What is wrong is
	 * told when it is missed, and by backup-check. */
	size_t damaged;
	struct bkp_error damage; /* of the first one that was left out */
};

#define BKP_ROSTER_INIT                                                        \
	{                                                                      \
		.number = 0                                                    \
	}

/* Reads every roster that the administrators signed and joins the newest. Where
 * there is none that can be used the number is 0, and `damage` tells why.
 * BKP_UNSUPPORTED: one of them was written by a newer build. */
int bkp_roster_load(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_roster *out, struct bkp_error *err);
void bkp_roster_free(struct bkp_roster *roster);

/* Writes the next one: sets number (one more) and time, signs (ring
 * has_admin). Where it fails it may count all the same: read it again. */
int bkp_roster_put(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_roster *roster, char name[BKP_OBJECT_NAME],
    struct bkp_error *err);

/* All objects of keys/ that it names. */
int bkp_roster_keys(const struct bkp_roster *roster, struct bkp_names *out,
    struct bkp_error *err);

/* The objects of keys/ that some roster named and the newest does not. */
int bkp_roster_forgotten(struct bkp_store *store,
    const struct bkp_key_ring *ring, struct bkp_names *out,
    struct bkp_error *err);

/* A new element at the end, zeroed; NULL on failure. */
struct bkp_roster_key *bkp_roster_add_key(
    struct bkp_roster *roster, struct bkp_error *err);
struct bkp_roster_writer *bkp_roster_add_writer(
    struct bkp_roster *roster, struct bkp_error *err);
void bkp_roster_remove_key(struct bkp_roster *roster, size_t n);

/* ---- what is asked of it; `name` is of the object in question ---- */

bool bkp_roster_may_write(
    const struct bkp_roster *roster, const unsigned char key[32]);
bool bkp_roster_may_prune(
    const struct bkp_roster *roster, const unsigned char key[32]);
bool bkp_roster_believes_snapshot(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name);
bool bkp_roster_believes_index(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name);

/* For who may, or might, prune. */
bool bkp_roster_believes_checkpoint(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name);

bool bkp_roster_believes_erasure(const struct bkp_roster *roster,
    const unsigned char key[32], const char *name);

/* The entry of a key, or NULL; borrowed from the roster. */
const struct bkp_roster_writer *bkp_roster_writer(
    const struct bkp_roster *roster, const unsigned char key[32]);

/* The host of a key ("db1"), or NULL; borrowed from the roster. */
const char *bkp_roster_writer_name(
    const struct bkp_roster *roster, const unsigned char key[32]);

/* Why something that this key signed is not believed: it is no writer's, it
 * was revoked, or a roster is damaged. Always -1. */
int bkp_roster_refuse(const struct bkp_roster *roster,
    const unsigned char key[32], struct bkp_error *err);

/* ---- the record (roster_record.c) ---- */

int bkp_roster_encode(const struct bkp_roster *roster,
    const struct bkp_key_ring *ring, struct fmt_buf *out,
    struct bkp_error *err);

/* BKP_AUTH: another key than the administrators' signed it. */
int bkp_roster_decode(const void *data, size_t len,
    const struct bkp_key_ring *ring, struct bkp_roster *out,
    struct bkp_error *err);

#endif
