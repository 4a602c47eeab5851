/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOBS_LOCK_H
#define LIBBACKUP_JOBS_LOCK_H

/* One run of a job at a time on this host. The kernel lets the lock go when its
 * holder ends, however it ends. */

#include <sys/types.h>

#include "libbackup/error.h"

/* 0: *fd holds it until it is closed; 1: another process does, and `who` has
 * what it wrote ("" where it wrote nothing); -1: it cannot be known. */
int bkp_job_lock(const char *path, int *fd, char *who, size_t who_size,
    struct bkp_error *err);

/* Writes who holds it. */
int bkp_job_lock_sign(int fd, const char *text, struct bkp_error *err);

#endif
