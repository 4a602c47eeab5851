/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOBS_METRICS_H
#define LIBBACKUP_JOBS_METRICS_H

/*
 * The file for a monitor. Several jobs, also of several configurations, write
 * into one: each takes over what is there of the others, under a lock.
 */

#include <stdbool.h>

#include "formats/buf.h"
#include "libbackup/notify.h"

/* A line of the file: NAME{backup_job="...",repository="...",config="..."} VALUE.
 * Owns its texts; what is not there is NULL. */
struct bkp_metric {
	char *name, *job, *repository, *config, *value;
};

struct bkp_metrics {
	struct bkp_metric *items; /* owned */
	size_t count, cap;
};

void bkp_metrics_free(struct bkp_metrics *metrics);

/* Reads text as metrics.c writes it. BKP_INVALID: there is something else in
 * it. On failure *out holds a part. */
int bkp_metrics_parse(
    const char *text, struct bkp_metrics *out, struct bkp_error *err);

/* What is configured. */
struct bkp_metrics_job {
	const char *name;
	const char *const *repositories;
	size_t repository_count;
};

struct bkp_metrics_jobs {
	const char *config; /* the file that they are of */
	const struct bkp_metrics_job *items;
	size_t count;
};

/* The text of the file: what the notice tells (may be NULL), else what `old`
 * says, else that a configured job never ran. *out is the caller's. */
int bkp_metrics_text(const struct bkp_metrics_jobs *jobs,
    const struct bkp_notice *notice, const struct bkp_metrics *old,
    struct fmt_buf *out, struct bkp_error *err);

/* Reads the file, makes the text and replaces it, under a lock. */
int bkp_metrics_replace(const char *file, const struct bkp_metrics_jobs *jobs,
    const struct bkp_notice *notice, struct bkp_error *err);

#endif
