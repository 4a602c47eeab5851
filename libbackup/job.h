/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOB_H
#define LIBBACKUP_JOB_H

/*
 * What became of one run of a job: what backup-run(1) writes down, and what
 * notifications and metrics are made of.
 */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bkp_job_state {
	BKP_JOB_NONE,       /* never, or not known */
	BKP_JOB_RUNNING,    /* begun and not ended */
	BKP_JOB_COMPLETE,   /* all that was to be done is done */
	BKP_JOB_DEGRADED,   /* there is a backup; what it lacks was named */
	BKP_JOB_FAILED,     /* something that was to be done is not */
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

#ifdef __cplusplus
}
#endif

#endif
