/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_PRUNE_H
#define LIBBACKUP_REPOSITORY_PRUNE_H

/*
 * Giving back what no snapshot needs, while backups go on. prune.md is the
 * protocol and why it is safe, prune.pml its model. Whoever prunes calls, in
 * this order:
 *
 *   bkp_prune_begin     announces it
 *   bkp_history_read    and decides what stays (history.h)
 *   bkp_prune_remove    removes the other snapshots
 *   bkp_prune_collect   gives back what only they used
 *   bkp_presence_end
 *
 * The metadata identity is enough for all of it; it signs, so it needs the
 * host key of a writer that may prune. Each call may be killed at any point
 * and is finished by the next run.
 */

#include <libbackup/cancel.h>

#include "libbackup/repository/presence.h"

/* Announces a prune. BKP_RETRY: another one is at work; the message says on
 * which host and since when. BKP_AUTH: this host may not prune. */
int bkp_prune_begin(struct bkp_repository *repository,
    struct bkp_presence **out, struct bkp_error *err);

/* Whether that would be so now: for a dry run, which announces nothing. */
int bkp_prune_would_go_on(
    struct bkp_repository *repository, struct bkp_error *err);

/*
 * Removes snapshots: states it in a checkpoint, then deletes their objects, and
 * those that an earlier run stated and did not come to delete. Also for names
 * of snapshots that are damaged or gone: from then on nobody misses them. With
 * no names it finishes what was left, and states what there is.
 */
int bkp_prune_remove(struct bkp_repository *repository,
    struct bkp_presence *presence, const char (*names)[BKP_OBJECT_NAME],
    size_t count, struct bkp_error *err);

struct bkp_prune_limits {
	uint64_t grace_s; /* between condemning and deleting; 0 is safe, too */
	bool is_dry_run;  /* writes nothing; presence may be NULL */
	bool may_repack;  /* packs that are hardly used are written anew: those
			     of entry lists, and those of content where the
			     data identity is at hand */
	unsigned repack_below; /* percent of its bytes in use; 0: 50 */
	/* Problems of the history and of single chunks that are missing have
	 * been told to somebody who wants to go on all the same. What cannot
	 * be known to be garbage stays. */
	bool is_acknowledged;
	/* A dry run: the snapshots that would be removed. Borrowed. */
	const char (*without)[BKP_OBJECT_NAME];
	size_t without_count;
	/* As fault of struct bkp_store_tending. */
	void (*lock_fault)(void *arg, const char *name, bool is_needed,
	    const struct bkp_error *why);
	void *lock_fault_arg;
};

struct bkp_prune_amount {
	uint64_t packs, bytes;
};

struct bkp_prune_report {
	uint64_t snapshots;                /* that were kept and read */
	struct bkp_prune_amount stored;    /* at the beginning */
	struct bkp_prune_amount condemned; /* now; dry run: would be */
	struct bkp_prune_amount orphans;   /* of these: that no index names */
	struct bkp_prune_amount deleted;
	struct bkp_prune_amount waiting;  /* condemned, and not deleted yet */
	struct bkp_prune_amount rescued;  /* condemned, and needed again */
	struct bkp_prune_amount repacked; /* of condemned: written anew; dry
					     run: would be */
	uint64_t repacked_to; /* bytes of the packs that they became */
	/* Packs that are used in part: what they hold and nobody needs. */
	struct bkp_prune_amount held;
	uint64_t missing; /* chunks that are needed and nowhere */
	uint64_t indexes_before, indexes_after; /* index objects */
	struct bkp_store_tended locks;          /* of what is stored */
	/* Why something waits. */
	uint64_t grace_left_s; /* of the list that is next; 0: none waits so */
	size_t sessions;       /* that are waited for */
	size_t expired;        /* that were given up */
	size_t newer;          /* that would be, of a newer version */
	char session_what[16], session_host[BKP_WRITER_NAME]; /* the oldest */
	int64_t session_since_us; /* of it, server's clock */
};

/*
 * Condemns what nothing refers to, and deletes what was condemned long enough
 * ago and no session can be building upon. BKP_CORRUPT: something that is
 * needed is missing or damaged, so that it cannot be known what is garbage;
 * nothing was deleted.
 */
int bkp_prune_collect(struct bkp_repository *repository,
    struct bkp_presence *presence, const struct bkp_prune_limits *limits,
    struct bkp_prune_report *report, const struct bkp_cancel *cancel,
    struct bkp_error *err);

/* Where a prune cannot go on, locks do: makes those of all that is there longer
 * that are less than half, and takes nothing away. keeps_removed: also of what
 * was removed, for nobody knows by whom. Nothing where objects are not
 * locked. */
int bkp_prune_keep_locks(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, bool keeps_removed,
    struct bkp_store_tended *out, const struct bkp_cancel *cancel,
    struct bkp_error *err);

#endif
