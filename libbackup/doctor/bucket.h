/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_BUCKET_H
#define LIBBACKUP_DOCTOR_BUCKET_H

/* What is asked of a bucket, be it one that is backed up or one that a
 * repository is in. */

#include "libbackup/doctor/exam.h"
#include "libbackup/s3/s3.h"

struct bkp_exam_s3 {
	struct bkp_s3 *s3;                    /* owned */
	struct bkp_s3_connection *connection; /* owned */
	char *bucket;                         /* owned */
};

/* `bucket` may be followed by '/' and more. */
int bkp_exam_s3_open(struct bkp_exam_s3 *s3,
    const struct bkp_bucket_config *config, const char *bucket,
    const struct bkp_cancel *cancel, struct bkp_error *err);
void bkp_exam_s3_close(struct bkp_exam_s3 *s3); /* all zero is fine */

/* How far its clock is from ours. */
int bkp_exam_s3_clock(
    struct bkp_exam *exam, struct bkp_exam_s3 *s3, struct bkp_error *err);

#endif
