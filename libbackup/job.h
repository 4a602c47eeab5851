/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOB_H
#define LIBBACKUP_JOB_H

/*
 * What became of one run of a job: what backup-run(1) writes down, and what
 * notifications and metrics are made of.
 */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/cancel.h>
#include <libbackup/config.h>
#include <libbackup/error.h>
#include <libbackup/events.h>
#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bkp_job_state {
	BKP_JOB_NONE,       /* never, or not known */
	BKP_JOB_RUNNING,    /* begun and not ended */
	BKP_JOB_COMPLETE,   /* all that was to be done is done */
	BKP_JOB_DEGRADED,   /* there is a backup; what is not right was named */
	BKP_JOB_FAILED,     /* a backup is not made, or not proven */
	BKP_JOB_OVERLAPPED, /* not begun: the run before has not ended */
	BKP_JOB_OUTSIDE,    /* not begun: not in its hours */
	BKP_JOB_NOT_DUE     /* not begun: the last good one is young enough */
};

/* "complete", "degraded", "failed", "overlapped", ... */
BKP_API const char *bkp_job_state_name(enum bkp_job_state state);

/* One thing that was done: a hook, or a command for one repository. All texts
 * are borrowed. */
struct bkp_job_step {
	const char *name; /* "before", "backup", "prune", "verify", "after",
			     "failure", "always" */
	const char *repository; /* its name; NULL: a hook's */
	const char *what;       /* a hook's program; NULL */
	const char *error;      /* why not; NULL */
	enum bkp_job_state state;
	int exit_status;            /* -1: it did not get that far */
	int signal_number;          /* that ended it; 0: none */
	int64_t began_us, ended_us; /* microseconds since 1970 UTC */
};

/* One repository of the job. Times of 0: never, or not known. */
struct bkp_job_repository {
	const char *name;         /* "offsite"; "default" where it has none */
	const char *location;     /* never holds a secret */
	enum bkp_job_state state; /* of this run's backup; NONE: there was none
				   */
	const char *snapshot;     /* that this run made; NULL: none */
	uint64_t bytes;           /* in the snapshot */
	uint64_t stored_bytes;    /* that were added to the repository */
	uint64_t entries, rows, objects, files, omissions;
	int64_t last_success_us; /* when the last backup ended that is complete
				    or degraded; of any run */
	int64_t last_complete_us;
	int64_t last_proof_us;       /* when a snapshot was last proven */
	const char *proven_snapshot; /* that one; NULL */
	int64_t last_prune_us;
	int is_unproven; /* it was asked in this run, and no snapshot in it is
			    proven */
};

/* Everything is borrowed by whoever is given it. */
struct bkp_job_report {
	size_t size;
	const char *job;  /* "nightly"; "default" where there are none */
	const char *host; /* what this machine is called */
	enum bkp_job_state state;
	enum bkp_job_state previous; /* of the run before; NONE: the first */
	int64_t previous_began_us, previous_ended_us;
	int exit_status;            /* what the run ends with */
	int64_t began_us, ended_us; /* ended 0: it is running */
	const char *error;          /* the first thing that went wrong; NULL */
	const char *failed_step; /* whose that was: "before", "backup"; NULL */
	const struct bkp_job_step *steps; /* in the order they were done */
	size_t step_count;
	const struct bkp_job_repository *repositories;
	size_t repository_count;
	uint64_t failures; /* runs in a row that failed, with this one */
};

#define BKP_JOB_REPORT_INIT                                                    \
	{                                                                      \
		.size = sizeof(struct bkp_job_report)                          \
	}

/*
 * Running a job: its hooks, a backup into each of its repositories, and what
 * is to be done with them then. The commands are child processes, so that one
 * that crashes or hangs is told of.
 *
 *     bkp_job_run      does it, and says what became of it
 *     bkp_job_report   that
 *     bkp_job_free
 */

struct bkp_job;

/* All is borrowed while the job runs. */
struct bkp_job_options {
	size_t size;
	const char *job;        /* NULL: "default" */
	const char *repository; /* this one alone, a name or a location; NULL:
				   those of the job */
	const char *programs;   /* the folder of the commands; NULL: PATH */
	const char *const *arguments; /* more for each command; NULL ended, or
					 NULL */
	int has_content_key;          /* what opens contents is among them */
	int is_forced;                /* also out of its hours */
	const char *if_missed; /* "24h": only where the last good backup is
				  older; NULL: always */
	uint64_t grace_ms;     /* for a command that is to end; 0: a minute */
	int errors_fd; /* where the commands write their standard error; 0:
			  their last lines are told where they fail */
	struct bkp_events events; /* what is told beside `line` */
	const struct bkp_cancel *cancel;
	void *arg; /* of the next two, which may be NULL */
	/* A line that a command wrote, JSON. */
	void (*line)(void *arg, const char *step, const char *repository,
	    const char *line);
	/* A step that is over. */
	void (*step)(void *arg, const struct bkp_job_step *step);
};

#define BKP_JOB_OPTIONS_INIT                                                   \
	{                                                                      \
		.size = sizeof(struct bkp_job_options)                         \
	}

/*
 * Runs it. 0: it is known what became of it, which may be that it failed; -1:
 * it was not begun. Chooses the job in `config`. While it runs no other process
 * of this host runs the same job of the same file: then it is
 * BKP_JOB_OVERLAPPED. What became of it is kept below the state directory:
 * backup-run(1). Calls bkp_notify and bkp_metrics_save. The caller owns *out.
 */
BKP_API int bkp_job_run(struct bkp_config *config,
    const struct bkp_job_options *options, struct bkp_job **out,
    struct bkp_error *err);

/* Whether the texts in them can be understood. BKP_INVALID. */
BKP_API int bkp_job_check(
    const struct bkp_job_options *options, struct bkp_error *err);

/* What is known of the last run, or of the one that runs. BKP_NOTFOUND: there
 * was none on this host. The caller owns *out. */
BKP_API int bkp_job_last(const struct bkp_config *config, const char *job,
    struct bkp_job **out, struct bkp_error *err);

/* Borrowed until free. */
BKP_API const struct bkp_job_report *bkp_job_report(const struct bkp_job *job);

BKP_API void bkp_job_free(struct bkp_job *job); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
