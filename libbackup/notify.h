/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_NOTIFY_H
#define LIBBACKUP_NOTIFY_H

/*
 * Telling of a run: pings, webhooks and mail as `notifications` of the
 * configuration has them, and the file that a monitor reads, `metrics_file`.
 * libbackup-monitoring(7) says what each of them says.
 *
 *     bkp_notify(config, &notice, ...)     when the run begins
 *     bkp_metrics_save(config, &notice, err)
 *     ... the run ...
 *     bkp_metrics_save(config, &notice, err)
 *     bkp_notify(config, &notice, ...)     when it is over
 *
 * Whether anybody could be told changes nothing about the run: what went wrong
 * is a warning.
 */

#include <stddef.h>

#include <libbackup/cancel.h>
#include <libbackup/config.h>
#include <libbackup/error.h>
#include <libbackup/events.h>
#include <libbackup/export.h>
#include <libbackup/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A run as it is told. All is borrowed; nothing in it is secret. */
struct bkp_notice {
	size_t size;
	const struct bkp_job_report *report;
	const char *run_id; /* a UUID, the same from start to end; or NULL */
	const char *log;    /* lines, of which the last are told; or NULL */
	unsigned untold;    /* of this run; for the metrics */
};

#define BKP_NOTICE_INIT                                                        \
	{                                                                      \
		.size = sizeof(struct bkp_notice)                              \
	}

/*
 * Sends what the configuration asks for at this moment, one after the other:
 * at most three tries of ten seconds each (`timeout`), a minute for mail. At
 * the start (BKP_JOB_RUNNING) it also looks whether mail could be sent later.
 * Of a run that was not begun because it was not the time, nobody is told. What
 * did not go through is told as a warning, without the address: that is a
 * secret. Returns how many those are. `events` and `cancel` may be NULL; a run
 * that was cancelled is told of with another cancel than its own.
 */
BKP_API size_t bkp_notify(const struct bkp_config *config,
    const struct bkp_notice *notice, const struct bkp_events *events,
    const struct bkp_cancel *cancel);

enum bkp_tried_state {
	BKP_TRIED_TAKEN,  /* a server or the mailer has it */
	BKP_TRIED_FAILED, /* nobody was told */
	BKP_TRIED_NOT     /* not sent: it would have been taken for a run */
};

/* What became of one notification. */
struct bkp_notify_tried {
	const char *kind; /* "ping", "webhook", "mail" */
	unsigned line;    /* of the configuration */
	enum bkp_tried_state state;
	const char *why; /* "" where it was taken */
};

struct bkp_notify_test_options {
	size_t size;
	const char *const *jobs; /* those of these; none: of the chosen one, or
				    of all */
	size_t job_count;
	void *arg;
	void (*tried)(void *arg, const struct bkp_notify_tried *tried);
	const struct bkp_cancel *cancel;
};

#define BKP_NOTIFY_TEST_OPTIONS_INIT                                           \
	{                                                                      \
		.size = sizeof(struct bkp_notify_test_options)                 \
	}

/*
 * Sends each notification once, whatever its `on` says, with words that say
 * that it is a test: of a ping that is ADDRESS/log. Nothing is run, and nothing
 * of it is in metrics or kept. 0: all were looked at, and `tried` was told.
 * BKP_NOTFOUND: there is none. Chooses jobs in `config`.
 */
BKP_API int bkp_notify_test(struct bkp_config *config,
    const struct bkp_notify_test_options *options, struct bkp_error *err);

/*
 * Writes `metrics_file`, where the configuration names one: what the notice
 * tells, what was known of this job before, what other jobs wrote there, and
 * every configured job that never ran. By a rename, mode 0644. `notice` NULL:
 * nothing ran. BKP_INVALID: the file holds something else.
 */
BKP_API int bkp_metrics_save(const struct bkp_config *config,
    const struct bkp_notice *notice, struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
