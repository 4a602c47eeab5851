/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_BACKUP_IMPL_H
#define LIBBACKUP_OPERATIONS_BACKUP_IMPL_H

/* What the steps of a backup share. */

#include "libbackup/operations.h"
#include "libbackup/operations/backup_references.h"
#include "libbackup/operations/places.h"
#include "libbackup/operations/sink.h"
#include "libbackup/source/source.h"

/* One source of the run. */
struct backup_part {
	const struct bkp_source_config *config;
	const struct bkp_kind *kind;
	struct bkp_source *source;
	struct bkp_sink *sink;
	struct fmt_snapshot earlier; /* owned: what `previous` points into */
	struct bkp_previous previous;
	char earlier_name[65];
	struct bkp_place *earlier_place; /* borrowed: where that one is */
	struct bkp_error unread;         /* why it is not there; BKP_OK: */
	bool is_led;                     /* others read it, too */
};

struct backup {
	const struct bkp_config *config;
	struct bkp_run *run;
	struct bkp_group *group;     /* borrowed: where it goes */
	struct bkp_session *session; /* borrowed: of all of them */
	struct bkp_contents *contents;
	struct bkp_lead *lead;     /* owned; NULL: nobody else reads */
	struct backup_part *parts; /* in the order of prefixes */
	size_t part_count;
	struct bkp_references references;
	struct fmt_snapshot snapshot;
};

/* ---- backup_parts.c ---- */

/* Whether the configuration has those sources that are asked for, and any. */
int bkp_backup_check_sources(
    const struct bkp_backup_options *options, struct bkp_error *err);

/* Which of its sources take part. */
int bkp_backup_choose_parts(struct backup *backup,
    const struct bkp_backup_options *options, struct bkp_error *err);

/* Finds the newest earlier snapshot of each, and opens its sink and source. */
int bkp_backup_open_parts(struct backup *backup, struct bkp_error *err);

/* What is wrong with the earlier snapshot is a problem of the repository that
 * it is in, and of no other. */
void bkp_backup_tell_earlier(struct backup *backup, struct backup_part *part);

/* With what the parts hold open. */
void bkp_backup_parts_free(struct backup *backup);

#endif
