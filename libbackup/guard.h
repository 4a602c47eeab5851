/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_GUARD_H
#define LIBBACKUP_GUARD_H

/*
 * A command that may go wrong, with the way back made before it: a snapshot,
 * the command, a health check; and where one of these fails, databases, buckets
 * and files as they were. backup-guard(1) tells all of it.
 *
 * What was begun is in a journal, a file on this machine that is written before
 * the command starts: where the process or the machine dies, bkp_guard_resume
 * goes on from there.
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

struct bkp_guard_options {
	size_t size;
	/* With the key file of this host and a key that opens contents. */
	struct bkp_config *config;
	const char *const *sources; /* prefixes; none: all of them */
	size_t source_count;
	const char *const *command; /* NULL ended; borrowed; not a shell's */
	int output_fd; /* where what it prints goes, and what the next four
			  print; 0: nowhere. Errors go to standard error */
	/* For /bin/sh; each may be NULL. */
	const char *health;          /* 0: the application is well */
	const char *stop;            /* before anything is put back */
	const char *start;           /* after all of it was */
	const char *timeout;         /* of the command: "10m"; NULL: none */
	const char *health_timeout;  /* of one try; NULL: "30s" */
	const char *health_interval; /* between tries; NULL: "3s" */
	unsigned health_tries;       /* 0: 10 */
	int is_leaving;      /* after a failure tells, and puts nothing back */
	int may_lack;        /* goes on with a snapshot that lacks something */
	int is_deleting_new; /* files that were created since are deleted, when
				they are in the snapshot of the failed state */
	int is_without_copy; /* replaces files and objects also where those that
				are there are in no snapshot */
	/* Databases come back as bkp_restore has these, for a role that is no
	 * superuser. */
	const char *role;
	int is_without_owners, is_without_privileges, is_skipping;
	const char *journal; /* a file; NULL: in the state folder of this
				machine, one for each configuration */
	const char *arguments; /* that the commands to go back with are given:
				  "--config '/etc/b.yaml'"; NULL: none */
	struct bkp_events events;
	const struct bkp_cancel *cancel; /* while the command runs: it has
				failed. While something is put back: nothing */
};

#define BKP_GUARD_OPTIONS_INIT                                                 \
	{                                                                      \
		.size = sizeof(struct bkp_guard_options)                       \
	}

enum bkp_guard_outcome {
	BKP_GUARD_KEPT,      /* all went well: the new state stays */
	BKP_GUARD_UNTOUCHED, /* resumed, and the command had not been run */
	BKP_GUARD_PUT_BACK,  /* it failed, and all is as it was, but for
				lacks, new_files and refused */
	BKP_GUARD_LEFT,      /* it failed, and nothing was put back, as asked */
	BKP_GUARD_BROKEN     /* it failed, and not all is as it was */
};

struct bkp_guard_result {
	enum bkp_guard_outcome outcome;
	char snapshot[65]; /* the way back */
	char failed[65];   /* files and buckets as the failed command left them;
			      "": there is none */
	const char *reason; /* what failed first; NULL: nothing did */
	/* What to run, in a shell, in this order. KEPT: to go back later; LEFT
	 * and BROKEN: to go back now; PUT_BACK: nothing need be run. */
	const char *const *lines;
	size_t line_count;
	/* Databases that were in use when the command had failed, under their
	 * other names: "postgres/app shop.before-20261121T100203Z". */
	const char *const *formers;
	size_t former_count;
	uint64_t refused;   /* of what is put back, left out by is_skipping */
	uint64_t new_files; /* created since, and still there; objects, too, in
			       a bucket that the snapshot lacks something of */
	int is_new_unknown; /* there may be more of them: nobody could look */
	uint64_t duration_ms;
	void *memory;
	uint64_t lacks; /* of the way back, as may_lack allows */
};

/*
 * 0: the command was run, and the outcome says what came of it. -1: it was not,
 * or could not be started, and nothing was changed. BKP_EXISTS: an earlier one has not been finished;
 * BKP_RETRY: another one is at work; BKP_AUTH: no key opens contents.
 */
BKP_API int bkp_guard(const struct bkp_guard_options *options,
    struct bkp_guard_result *result, struct bkp_error *err);

/*
 * Finishes what the journal tells of, or begins what is_leaving left to be
 * done. The command, the sources and how to look after the application are as
 * they were; of the options config, output_fd, is_without_copy, journal,
 * arguments, events and cancel are looked at. BKP_NOTFOUND: there is nothing to be finished.
 */
BKP_API int bkp_guard_resume(const struct bkp_guard_options *options,
    struct bkp_guard_result *result, struct bkp_error *err);

/* Forgets it: somebody has seen to it otherwise. Changes nothing else. */
BKP_API int bkp_guard_forget(
    const struct bkp_guard_options *options, struct bkp_error *err);

BKP_API void bkp_guard_result_free(struct bkp_guard_result *result);

#ifdef __cplusplus
}
#endif

#endif
