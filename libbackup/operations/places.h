/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_PLACES_H
#define LIBBACKUP_OPERATIONS_PLACES_H

/*
 * The repositories that one backup goes into. Those that are alike are a group:
 * the sources are read once for all of it. One that cannot be reached, or fails
 * on the way, is lost, which is told by name, and the others go on.
 */

#include "libbackup/base/config_impl.h"
#include "libbackup/base/run.h"
#include "libbackup/operations.h"
#include "libbackup/repository/repository_impl.h"

struct bkp_place {
	const char *name;                /* borrowed; as configured */
	const struct bkp_config *config; /* borrowed: as for this one */
	struct bkp_config *own_config;   /* owned; NULL: that of all serves */
	struct bkp_repository *repository; /* owned */
	struct bkp_session *session;       /* owned */
	struct bkp_error lost; /* why there is no new snapshot; BKP_OK: */
	bool is_told;          /* ...and somebody has heard of it */
	bool is_done;          /* its group had its turn */
	struct bkp_backup_repository result;
};

struct bkp_places {
	struct bkp_place items[BKP_BACKUP_REPOSITORIES];
	size_t count;
};

/* Borrowed from the places. The first one that is not lost is the one that
 * earlier snapshots are read from. */
struct bkp_group {
	struct bkp_place *items[BKP_BACKUP_REPOSITORIES];
	size_t count;
	bool is_alone; /* no other repository was asked for */
};

/* Which ones the options ask for. */
int bkp_places_init(struct bkp_places *places,
    const struct bkp_backup_options *options, struct bkp_error *err);

/* Opens them; -1 where none of them can be. Says where the sources will be read
 * more than once. */
int bkp_places_open(
    struct bkp_places *places, struct bkp_run *run, struct bkp_error *err);

/* The next ones that are alike; false: all had their turn. */
bool bkp_places_next(struct bkp_places *places, struct bkp_group *out);

void bkp_places_fini(struct bkp_places *places);

/* ---- a group ---- */

/* Begins a session in each, and joins them. */
int bkp_group_begin(
    struct bkp_group *group, struct bkp_run *run, struct bkp_error *err);

/* The session to write through, and the place whose earlier snapshots save
 * work. */
struct bkp_session *bkp_group_session(const struct bkp_group *group);
struct bkp_place *bkp_group_first(const struct bkp_group *group);

/* Reads the earlier snapshots of each, tells what is wrong with them, and hands
 * out those of the first. */
int bkp_group_list(struct bkp_group *group, struct bkp_run *run,
    struct bkp_snapshot_list *out, struct bkp_error *err);

/* Tells of those that were lost since. */
void bkp_group_tell(struct bkp_group *group, struct bkp_run *run);

/* Commits the snapshot in each. 0 where at least one has it. */
int bkp_group_commit(struct bkp_group *group, struct fmt_snapshot *snapshot,
    size_t omission_count, struct bkp_run *run, struct bkp_error *err);

/* Adds what to do where it is the disk of one of them that is full. */
void bkp_group_advise(const struct bkp_group *group, struct bkp_error *err);

/* Nothing of the group has a snapshot, for this reason. */
void bkp_group_fail(struct bkp_group *group, struct bkp_run *run,
    const struct bkp_error *problem);

/* Ends the sessions; before the next group begins. */
void bkp_group_end(struct bkp_group *group);

#endif
