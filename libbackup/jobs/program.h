/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOBS_PROGRAM_H
#define LIBBACKUP_JOBS_PROGRAM_H

/* A program that a job runs: its lines are handed on, its end is believed, and
 * one that hangs is ended. */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/cancel.h"
#include "libbackup/error.h"

/* All is borrowed; what is zero is not there. */
struct job_program {
	const char *const *argv, *const *env; /* as in child.h */
	uint64_t limit_ms;
	uint64_t grace_ms; /* between SIGTERM and SIGKILL */
	int errors_fd;     /* 0: the last lines of stderr are in `errors` */
	const struct bkp_cancel *cancel;
	void *arg;
	void (*line)(void *arg, const char *text); /* of standard output */
};

struct job_ending {
	int exit_status;   /* -1: it was not started, or did not end so */
	int signal_number; /* 0: none ended it */
	bool is_overdue;   /* the limit was over */
	bool is_cancelled;
	bool is_killed; /* it did not end when it was asked to */
	char errors[1024];
};

/* 0: it has run, whatever its end; -1: it could not be started or watched. */
int bkp_job_program_run(const struct job_program *program,
    struct job_ending *out, struct bkp_error *err);

#endif
