/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOBS_JOB_IMPL_H
#define LIBBACKUP_JOBS_JOB_IMPL_H

/* A run of a job, for the files of this room. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/base/arena.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/job.h"

/* What is known of a run: the report and all that it points to. */
struct bkp_job {
	struct bkp_arena arena; /* every text */
	struct bkp_job_report report;
	struct bkp_job_step *steps; /* owned; the report's */
	size_t step_cap;
	struct bkp_job_repository *repositories; /* the same */
	size_t repository_cap;
	struct bkp_job_repository *kept; /* owned; of runs before, and not in
					    this one: for the state alone */
	size_t kept_count, kept_cap;
};

/* ---- job.c: memory ---- */

struct bkp_job *bkp_job_new(struct bkp_error *err);

/* A copy that lives as long as the job. NULL gives NULL without an error. */
const char *bkp_job_text(
    struct bkp_job *job, const char *text, struct bkp_error *err);

struct bkp_job_step *bkp_job_add_step(
    struct bkp_job *job, struct bkp_error *err);
struct bkp_job_repository *bkp_job_add_repository(
    struct bkp_job *job, const char *name, struct bkp_error *err);

/* NULL: there is none of that name. */
struct bkp_job_repository *bkp_job_find_repository(
    struct bkp_job *job, const char *name);

/* ---- the run ---- */

struct job_run {
	struct bkp_job *job;
	struct bkp_config *config;
	const struct bkp_job_options *options;
	const char *location;  /* of options->repository, where that is none of
				  the configured ones; NULL */
	const char *elsewhere; /* the same where the file has another one; such
				  a run has a state of its own; NULL */
	bool is_one;           /* of the repositories, whatever the job has */
	uint64_t if_missed_ms; /* 0: always */
	char *config_file;     /* owned; absolute; NULL: none */
	uint64_t until_ms;     /* of the clock that goes forward; 0: no limit */
	struct fmt_buf log;    /* the last lines that were told */
	unsigned untold;       /* notifications that did not go through */
	char run_id[37];       /* a UUID */
	char lock_text[200];   /* who runs */
	bool is_stopped;       /* somebody asked to stop */
	bool is_over;          /* the time limit is */
};

uint64_t bkp_job_clock_ms(void); /* only goes forward */
int64_t bkp_job_now_us(void);    /* since 1970 UTC */

/* A line for people: to the events and into the log. */
void bkp_job_tell(struct job_run *run, enum bkp_level level, const char *path,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same into the log alone. */
void bkp_job_keep(struct job_run *run, const char *path, const char *text);

/* What is left until the time limit; 0: there is none. At least 1. */
uint64_t bkp_job_time_left(const struct job_run *run);

/* The step that begins; `repository` and `what` may be NULL. */
struct bkp_job_step *bkp_job_step_begin(struct job_run *run, const char *name,
    const char *repository, const char *what, struct bkp_error *err);

/* It is over. `error` NULL: with nothing to say. What is not complete makes the
 * run what it is itself, at least. */
int bkp_job_step_end(struct job_run *run, struct bkp_job_step *step,
    enum bkp_job_state state, const char *error, struct bkp_error *err);

/* Makes the run no better than this. */
int bkp_job_worsen(struct job_run *run, enum bkp_job_state state,
    const char *step, const char *error, struct bkp_error *err);

/* "2026-11-21T22:54:12.345Z"; "" for 0. */
struct bkp_job_time {
	char text[40];
};

struct bkp_job_time bkp_job_time(int64_t us);

/* ---- before.c ---- */

/* The job and the host. */
int bkp_job_name_it(struct job_run *run, struct bkp_error *err);

/* The repositories of this run, each with where it is. */
int bkp_job_list_repositories(struct job_run *run, struct bkp_error *err);

/* What the run takes over from the state at `path` (NULL: none), and warnings
 * about that. `is_alone`: no other one can be running. -1: out of memory. */
int bkp_job_recall(struct job_run *run, const char *path, bool is_alone,
    struct bkp_error *err);

/* ---- gone.c ---- */

/* Whether a source of files has none of its paths, as where a disk is not
 * mounted; `why` says it. */
bool bkp_job_find_gone(const struct bkp_config *config, char *why, size_t size);

/* ---- hooks.c ---- */

/* Runs the hooks of one list. `name` is the list's. Whether all ended well; -1:
 * memory. A list of which one must not fail stops there. */
int bkp_job_hooks(struct job_run *run, const char *name,
    const struct bkp_hook_list *hooks, enum bkp_job_state worst, bool *all_well,
    struct bkp_error *err);

/* ---- steps.c ---- */

/* Each does it for the repository that is chosen in the configuration. -1: out
 * of memory; what went wrong otherwise is in the step. */
int bkp_job_backup(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_error *err);

/* The same for all of the job's, which have names in the configuration. */
int bkp_job_backup_all(struct job_run *run, struct bkp_error *err);

int bkp_job_prune(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_error *err);
int bkp_job_verify(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_error *err);

#endif
