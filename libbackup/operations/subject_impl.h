/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_SUBJECT_IMPL_H
#define LIBBACKUP_OPERATIONS_SUBJECT_IMPL_H

/* What planning, checking, exporting and explaining begin with. */

#include "libbackup/base/run.h"
#include "libbackup/operations/past.h"
#include "libbackup/subject.h"
#include "libbackup/subject/map.h"
#include "libbackup/subject/review.h"
#include "libbackup/subject/walk.h"

/* The database that is meant: the only one where none is named. *database may
 * become NULL, the one of the connection. Borrowed from the configuration. */
int bkp_subject_database(const struct bkp_subject_source *from,
    const struct bkp_postgres_config **config, const char **database,
    struct bkp_error *err);

/* The same, to be connected to: where a snapshot is asked for, that database of
 * it in a scratch cluster, which is *past then and is the caller's. */
int bkp_subject_place(const struct bkp_subject_source *from,
    const struct bkp_events *events, const struct bkp_cancel *cancel,
    bool is_for_rows, struct bkp_past **past,
    const struct bkp_postgres_config **config, const char **database,
    struct bkp_error *err);

/* A run with events and cancel, with one worker. */
int bkp_subject_run(const struct bkp_events *events,
    const struct bkp_cancel *cancel, struct bkp_run **out,
    struct bkp_error *err);

/* A map, a walk that is open, and the map found to fit: what it does not
 * decide is told by events, and refused. */
struct bkp_subject_opened {
	struct bkp_run *run;
	struct bkp_map map;
	struct bkp_past *past; /* NULL: the database as it is */
	struct bkp_walk *walk;
	bool is_portability; /* set before it is opened: the map has to say of
				every table where its rows are from, too */
};

#define BKP_SUBJECT_OPENED_INIT                                                \
	{                                                                      \
		NULL, BKP_MAP_INIT, NULL, NULL, false                          \
	}

/* is_reading: rows are read, and not explained (bkp_walk_open_reading); what
 * the role may not read is left out then, and refused else. */
int bkp_subject_open(struct bkp_subject_opened *opened,
    const struct bkp_subject_source *from, size_t key_count, bool is_reading,
    const struct bkp_events *events, const struct bkp_cancel *cancel,
    struct bkp_error *err);
void bkp_subject_close(struct bkp_subject_opened *opened);

#endif
