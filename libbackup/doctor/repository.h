/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_REPOSITORY_H
#define LIBBACKUP_DOCTOR_REPOSITORY_H

/* What the checks of a repository share. */

#include "libbackup/doctor/bucket.h"
#include "libbackup/doctor/redact.h"
#include "libbackup/repository.h"
#include "libbackup/store/store.h"

struct bkp_exam_repository {
	struct bkp_store *store;           /* owned */
	struct bkp_repository *repository; /* owned; with a store of its own */
	struct bkp_snapshot_list list;     /* owned */
	bool has_list;
	struct bkp_exam_s3 s3; /* of one in a bucket, on demand */
};

/* Reads the snapshots, once. */
int bkp_exam_snapshots(struct bkp_exam *exam,
    const struct bkp_snapshot_list **out, struct bkp_error *err);

/* ---- repository_age.c ---- */

int bkp_exam_history(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_last_backup(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_omissions(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_last_proof(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_room(struct bkp_exam *exam, struct bkp_error *err);

/* ---- repository_keys.c ---- */

int bkp_exam_key_objects(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_host_key(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_administrators(struct bkp_exam *exam, struct bkp_error *err);

#endif
