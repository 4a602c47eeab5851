/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_HISTORY_H
#define LIBBACKUP_REPOSITORY_HISTORY_H

/*
 * Whether the snapshots that are there are the ones that should be there.
 *
 * Each snapshot names those that nothing came after when it was made (`seen`,
 * and `previous` of its own writer), so all but the newest are vouched for by
 * later ones. What was removed with good reason is in the newest checkpoint.
 * And each machine remembers the newest that it has seen, so that a store
 * which is put back to an earlier state is found out, too.
 */

#include "libbackup/repository/claims.h"
#include "libbackup/repository/repository_own.h"

/* ---- checkpoints ---- */

/*
 * checkpoints/<name>: a signed record, encrypted to the metadata recipient, by
 * a writer that may prune or by the administrators' key: "these snapshots are
 * there, and those have been removed". Writing it is what removes a snapshot;
 * deleting the object comes after. Those count that no other one replaces: one
 * as a rule. Where two were written at the same time, a snapshot is removed if
 * either says so, and kept names are joined. formats/checkpoint.md.
 */
struct bkp_checkpoint {
	uint64_t sequence;             /* 1, 2, 3... of the repository */
	int64_t time_us;               /* of the newest */
	char (*kept)[BKP_OBJECT_NAME]; /* owned, sorted */
	size_t kept_count, kept_cap;
	char (*removed)[BKP_OBJECT_NAME]; /* owned, sorted: all that were ever
		removed; a machine that was away for a year asks for them */
	size_t removed_count, removed_cap;
	char (*expired)[33]; /* owned, sorted: sessions that were given up; what
				they commit afterwards does not count */
	size_t expired_count, expired_cap;
	char (*replaced)[BKP_OBJECT_NAME]; /* owned, newest first: what the next
		one stands for */
	size_t replaced_count, replaced_cap;
	struct bkp_claims claims; /* of proofs of what is kept */
	int64_t loaded_us; /* when this was read; the time that the next one
			      gets, which knows what was there then */
	size_t damaged;    /* objects that were left out; the first one: */
	struct bkp_error damage;
	struct bkp_names unreadable; /* their names */
};

/* The newest state, joined. No checkpoint at all is sequence 0, and fine. */
int bkp_checkpoint_load(struct bkp_repository *repository,
    struct bkp_checkpoint *out, struct bkp_error *err);
void bkp_checkpoint_free(struct bkp_checkpoint *checkpoint);

/* What the next one shall say: a snapshot that is removed is not kept, and
 * one that was removed stays so. */
int bkp_checkpoint_keep(
    struct bkp_checkpoint *checkpoint, const char *name, struct bkp_error *err);
int bkp_checkpoint_remove(
    struct bkp_checkpoint *checkpoint, const char *name, struct bkp_error *err);
int bkp_checkpoint_expire(struct bkp_checkpoint *checkpoint,
    const char *session, struct bkp_error *err);

/* Writes the next one (sequence + 1), then deletes those that it replaces: a
 * crash between the two loses nothing. Signs as this host, which must be one
 * that may prune, or as administrator. `checkpoint` is then what was written
 * (and the next may follow from it). */
int bkp_checkpoint_put(struct bkp_repository *repository,
    struct bkp_checkpoint *checkpoint, struct bkp_error *err);

/* The next one stands for those that cannot be read, too: what they said is
 * given up, and putting it deletes them. */
int bkp_checkpoint_do_without(
    struct bkp_checkpoint *checkpoint, struct bkp_error *err);

bool bkp_checkpoint_has_kept(
    const struct bkp_checkpoint *checkpoint, const char *name);
bool bkp_checkpoint_has_removed(
    const struct bkp_checkpoint *checkpoint, const char *name);

bool bkp_checkpoint_has_expired(
    const struct bkp_checkpoint *checkpoint, const char *session);

/* True where a snapshot does not count: it has been removed, or its session
 * had been given up before it was committed. */
bool bkp_checkpoint_is_void(const struct bkp_checkpoint *checkpoint,
    const struct bkp_named_snapshot *snapshot);

/* ---- findings ---- */

enum bkp_history_kind {
	BKP_HISTORY_DAMAGED,     /* it is there and cannot be read */
	BKP_HISTORY_FORGED,      /* signed by nobody who may */
	BKP_HISTORY_MISSING,     /* another one names it */
	BKP_HISTORY_ROLLED_BACK, /* this machine has seen it, or newer records
				  */
	BKP_HISTORY_REORDERED,   /* its number does not follow the one before */
	BKP_HISTORY_HELD_BACK,   /* older than the checkpoint that lacks it */
	BKP_HISTORY_RECORD,      /* a checkpoint or roster is damaged */
	BKP_HISTORY_PROOF,       /* a proof that others knew is missing */
	BKP_HISTORY_ERASURES,    /* entries of the ledger are missing */
	BKP_HISTORY_NONE,        /* there is none, and there is an index */
	BKP_HISTORY_RETURNED,    /* removed, and there (again): a note */
	BKP_HISTORY_COPY,        /* another one under a wrong name: a note */
	BKP_HISTORY_VOID,        /* of a session that was given up: a note */
	BKP_HISTORY_MACHINE      /* what was seen cannot be read: a note */
};

/* "snapshot-damaged", "rolled-back"... for programs. */
const char *bkp_history_kind_name(enum bkp_history_kind kind);

/* What to say where there is no snapshot at all, and index objects or none. */
const char *bkp_history_none(bool has_index);

struct bkp_history_finding {
	enum bkp_history_kind kind;
	enum bkp_error_code code;   /* what an error because of it would have */
	bool is_note;               /* nothing is wrong with the repository */
	bool may_be_newest;         /* nothing proves that others are newer */
	char name[BKP_OBJECT_NAME]; /* of the object, or "" */
	char *text;                 /* owned: a sentence, and what to do */
};

struct bkp_history {
	struct bkp_snapshots snapshots; /* those that count, and damaged ones */
	struct bkp_checkpoint checkpoint; /* its number: the highest that
		anybody knew, so that the next one ends that alarm */
	uint64_t roster;                  /* number of the newest */
	uint64_t erasures; /* of the ledger: as many as anybody knew of */
	struct bkp_claims claims; /* of proofs of these, by whoever knew any */
	struct bkp_history_finding *findings; /* owned */
	size_t count, cap;
};

#define BKP_HISTORY_INIT                                                       \
	{                                                                      \
		.findings = NULL                                               \
	}

/* Reads everything and compares. -1 only where the store or memory fails.
 * What others do meanwhile gives no finding: names are asked for before they
 * are called missing, and everything is read again where a checkpoint was
 * written. */
int bkp_history_read(struct bkp_repository *repository, struct bkp_history *out,
    struct bkp_error *err);
void bkp_history_free(struct bkp_history *history);

/* Joins the claims with the proofs that are there. Not a part of reading: most
 * who ask for snapshots ask for no proof. */
int bkp_history_claim_proofs(struct bkp_history *history,
    const struct bkp_proofs *proofs, struct bkp_error *err);

/* Finds those that others knew and that are not there, then does that. */
int bkp_history_miss_proofs(struct bkp_history *history,
    const struct bkp_proofs *proofs, struct bkp_error *err);

/* Findings that are no notes. */
size_t bkp_history_problems(const struct bkp_history *history);

/* Takes what is there for what should be there: a checkpoint says so, and
 * stands for all that cannot be read or is missing. */
int bkp_history_accept(struct bkp_repository *repository,
    struct bkp_history *history, struct bkp_error *err);

/* Names of the snapshots that nothing came after; for the next one's `seen`.
 * *out is the caller's (free()). */
int bkp_history_tips(const struct bkp_snapshots *snapshots, char (**out)[65],
    size_t *count, struct bkp_error *err);

/* Remembers on this machine what has been seen (tips, and numbers of checkpoint
 * and roster). Never forgets a tip that is missing; a place that takes no
 * writes is told as a message and is no failure. `err` tells why. */
int bkp_history_remember(struct bkp_repository *repository,
    const struct bkp_history *history, struct bkp_error *err);

/* All of that, for whoever shows it: reads, finds the proofs that are missing,
 * and remembers what was seen; a machine that has no place for it is told as a
 * note. */
int bkp_history_look(struct bkp_repository *repository, struct bkp_history *out,
    struct bkp_proofs *proofs, struct bkp_error *err);

#endif
