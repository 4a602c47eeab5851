/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOBS_STATE_H
#define LIBBACKUP_JOBS_STATE_H

/* What this machine remembers of a job: a JSON file below the state directory,
 * which backup-run(1) describes. */

#include "libbackup/jobs/job_impl.h"

/* Where the file is, and with another ending (".lock") what belongs to it:
 * jobs/NAME.DIGITS.json, the digits being of the configuration's name, for each
 * file has its own jobs, and of `elsewhere`, where the run goes into a
 * repository that the file does not have; NULL. The caller frees. */
char *bkp_job_state_path(const char *config_file, const char *job,
    const char *elsewhere, const char *ending, struct bkp_error *err);

/* The configuration's file as an absolute name, links in it as they are (a
 * mounted ConfigMap is another file after each change of it); NULL without an
 * error where there is none. The caller frees. */
char *bkp_job_config_file(
    const struct bkp_config *config, struct bkp_error *err);

/* BKP_NOTFOUND: there is none; BKP_CORRUPT: it cannot be read. */
int bkp_job_state_read(
    const char *path, struct bkp_job **out, struct bkp_error *err);

int bkp_job_state_write(const char *path, const char *config_file,
    const struct bkp_job *job, struct bkp_error *err);

#endif
