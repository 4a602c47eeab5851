/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_PAST_H
#define LIBBACKUP_OPERATIONS_PAST_H

/* A database and its buckets as a snapshot has them. */

#include "libbackup/operations/opened.h"
#include "libbackup/operations/replay.h"
#include "libbackup/operations/scratch.h"
#include "libbackup/subject.h"
#include "libbackup/subject/objects.h"
#include "libbackup/subject/walk.h"

struct bkp_past {
	struct bkp_opened opened;
	struct bkp_chosen chosen; /* the database, by a selection */
	char *selection;          /* owned: "postgres/app/shop" */
	const char *database;     /* borrowed from the snapshot; so below */
	const char *lsn;          /* of the server that the backup is of */
	char *time;               /* owned: of this database, RFC 3339, UTC */
	struct bkp_events events; /* where messages of the restore go */
	struct bkp_run *run;      /* of the restore: what it left out */
	struct bkp_scratch_folder folder; /* the cluster is below it */
	struct bkp_scratch *scratch;
	struct bkp_replay *replay; /* NULL: an archive has no ledger */
	struct bkp_erased erased;  /* who was erased since, once more */
};

/*
 * Restores the one database that is meant into a scratch cluster, and, where
 * its rows are asked for, erases from it whoever was erased since. Nothing but
 * the repository is asked, and the configuration need not know any source.
 */
int bkp_past_open(const struct bkp_subject_source *from,
    const struct bkp_events *events, const struct bkp_cancel *cancel,
    bool is_for_rows, struct bkp_past **out, struct bkp_error *err);
/* The cluster is gone then. NULL is fine. */
void bkp_past_close(struct bkp_past *past);

const struct bkp_postgres_config *bkp_past_place(const struct bkp_past *past);

/* Notes in `run` what the database lacks, when it was backed up or restored.
 * What is of tables that the walk has nothing to do with is only told. `walk`
 * NULL: it has to do with all. */
int bkp_past_note(const struct bkp_past *past, const struct bkp_walk *walk,
    struct bkp_run *run, struct bkp_error *err);

/* True where the database that was restored may lack something. */
bool bkp_past_is_damaged(const struct bkp_past *past);

/* The day on which the subject was erased, in `text`; NULL where it was not, or
 * nobody can tell. */
const char *bkp_past_when_erased(const struct bkp_past *past,
    struct bkp_walk *walk, const struct bkp_map *map, const char *const *key,
    size_t key_count, char text[32]);

/* The buckets of the snapshot, without what belonged to who was erased. Borrows
 * both until closed. (past_objects.c) */
int bkp_past_objects(struct bkp_past *past, struct bkp_run *run,
    struct bkp_objects **out, struct bkp_error *err);

#endif
