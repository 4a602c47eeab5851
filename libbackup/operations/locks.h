/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_LOCKS_H
#define LIBBACKUP_OPERATIONS_LOCKS_H

/* Object locks of a repository in a bucket: what is told of them. Prunes
 * lengthen them (repository/prune.h). */

#include "libbackup/base/run.h"
#include "libbackup/store/store.h"

struct bkp_config;
struct bkp_repository;
struct bkp_prune_limits;

/* ---- what cannot be locked ---- */

struct bkp_lock_faults {
	struct bkp_run *run; /* borrowed */
	uint64_t count;
};

/* The fault of prune limits; arg: a struct bkp_lock_faults. The first are
 * noted by name. */
void bkp_lock_faults_note(
    void *arg, const char *name, bool is_needed, const struct bkp_error *why);

/* Notes how many more there were. 0 or -1. */
int bkp_lock_faults_end(
    const struct bkp_lock_faults *faults, struct bkp_error *err);

/* For a prune that cannot go on, for that reason: what there is stays locked
 * all the same, and is told. */
void bkp_locks_keep(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, struct bkp_run *run,
    const struct bkp_error *reason);

/* ---- how long they last ---- */

struct bkp_lock_outlook {
	int64_t
	    pruned_us;   /* server's clock: the last prune, or the beginning */
	int64_t ends_us; /* from when on locks may be over */
	bool is_due;     /* a quarter of the time went by without a prune */
	bool is_over;    /* half of it, so that some may be over now */
};

/* days: of each lock. Two questions, however much is stored. */
int bkp_lock_outlook_read(struct bkp_store *store, unsigned days,
    int64_t now_us, struct bkp_lock_outlook *out, struct bkp_error *err);

/* Says in a backup that a prune is due. Answers how many problems that is. */
size_t bkp_locks_remind(struct bkp_repository *repository,
    const struct bkp_config *config, struct bkp_run *run);

#endif
