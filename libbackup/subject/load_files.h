/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_LOAD_FILES_H
#define LIBBACKUP_SUBJECT_LOAD_FILES_H

/* The files of an export, back into buckets under the keys that they had. */

#include "libbackup/subject/unpack.h"

struct bkp_load_files;

/* A bucket to put files into. */
struct bkp_load_bucket {
	char *name; /* owned by the caller: what the export calls it; NULL:
		       any other */
	const struct bkp_bucket_config *config;
};

/* Reads the files' spool of `unpack`. No object is replaced: all keys are
 * looked at before the first is put. After a failure nothing is left. */
int bkp_load_files_run(struct bkp_unpack *unpack,
    const struct bkp_load_bucket *buckets, size_t count, struct bkp_run *run,
    struct bkp_load_files **out, struct bkp_error *err);

uint64_t bkp_load_files_count(const struct bkp_load_files *files);

/* They stay; without it they are removed again at the end. */
void bkp_load_files_keep(struct bkp_load_files *files);
void bkp_load_files_free(struct bkp_load_files *files); /* NULL is fine */

#endif
