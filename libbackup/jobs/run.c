/* SPDX-License-Identifier: Apache-2.0 */
/* The story of a run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/config_choice.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/job_impl.h"
#include "libbackup/jobs/lock.h"
#include "libbackup/jobs/state.h"
#include "libbackup/notify.h"

#define DAY_MIN (24 * 60)

struct places {
	char *state, *lock; /* owned; NULL: this machine keeps nothing */
	int lock_fd;
};

/* ---- telling others ---- */

/* A UUID of chance. Without one, a run is told without a name. */
static void
make_run_id(char id[37])
{
	unsigned char b[16];

	id[0] = '\0';
	if (getrandom(b, sizeof(b), GRND_NONBLOCK) != sizeof(b))
		return;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	(void)snprintf(id, 37,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
}

static struct bkp_notice
notice_of(struct job_run *run)
{
	struct bkp_notice notice = BKP_NOTICE_INIT;

	notice.report = &run->job->report;
	notice.run_id = run->run_id[0] != '\0' ? run->run_id : NULL;
	notice.log = run->log.len > 0 ? fmt_buf_text(&run->log) : NULL;
	notice.untold = run->untold;
	return notice;
}

static void
save_metrics(struct job_run *run)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_notice notice = notice_of(run);

	/* Of what is done elsewhere, a monitor knows nothing. */
	if (bkp_metrics_save(run->config,
		run->elsewhere == NULL ? &notice : NULL, &problem) < 0)
		bkp_job_tell(run, BKP_WARNING, NULL,
		    "the metrics are not written: %s", problem.message);
}

/* Whoever asked us to stop wants others to know all the same. */
static void
notify(struct job_run *run, const struct bkp_cancel *cancel)
{
	struct bkp_notice notice = notice_of(run);

	run->untold += (unsigned)bkp_notify(
	    run->config, &notice, &run->options->events, cancel);
}

static void
tell_begin(struct job_run *run)
{
	notify(run, run->options->cancel);
	save_metrics(run);
}

static void
tell_end(struct job_run *run)
{
	unsigned before = run->untold;

	save_metrics(run);
	notify(run, NULL);
	if (run->untold != before)
		save_metrics(run);
}

/* ---- whether to begin ---- */

static bool
is_in_window(const struct bkp_window_config *window)
{
	time_t now = time(NULL);
	unsigned minute;
	struct tm tm;

	if (!window->is_given || localtime_r(&now, &tm) == NULL)
		return true;
	minute = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
	return (minute >= window->from_min && minute < window->to_min) ||
	       (minute + DAY_MIN >= window->from_min &&
		   minute + DAY_MIN < window->to_min);
}

/* Whether every repository has a good backup that is young enough. */
static bool
is_young(const struct job_run *run)
{
	const struct bkp_job_report *report = &run->job->report;
	int64_t most = (int64_t)run->if_missed_ms * 1000;

	if (most == 0)
		return false;
	for (size_t i = 0; i < report->repository_count; i++) {
		int64_t age =
		    report->began_us - report->repositories[i].last_success_us;

		/* One from the future is of a clock that was wrong. */
		if (report->repositories[i].last_success_us == 0 ||
		    age >= most || age < -most)
			return false;
	}
	return true;
}

static int
decline(struct job_run *run, enum bkp_job_state state, int exit_status,
    const char *why, struct bkp_error *err)
{
	struct bkp_job_report *report = &run->job->report;

	report->state = state;
	report->exit_status = exit_status;
	report->ended_us = bkp_job_now_us();
	report->error = bkp_job_text(run->job, why, err);
	return report->error != NULL ? 0 : -1;
}

static int
decline_overlap(struct job_run *run, const char *who, struct bkp_error *err)
{
	char why[400];

	(void)snprintf(why, sizeof(why),
	    "the run before has not ended%s%s; this one was not begun, and "
	    "harmed it in no way",
	    who[0] != '\0' ? ": " : "", who);
	if (decline(run, BKP_JOB_OVERLAPPED, 1, why, err) < 0)
		return -1;
	notify(run, run->options->cancel);
	return 0;
}

static int
decline_window(struct job_run *run, struct bkp_error *err)
{
	const struct bkp_window_config *window = &run->config->job.window;
	char why[200];

	(void)snprintf(why, sizeof(why),
	    "it is not the time: the job begins between %02u:%02u and "
	    "%02u:%02u; nothing was backed up",
	    window->from_min / 60, window->from_min % 60,
	    window->to_min / 60 % 24, window->to_min % 60);
	return decline(run, BKP_JOB_OUTSIDE, 1, why, err);
}

/* ---- places ---- */

/* A machine that can keep nothing still makes backups, and says what it lacks:
 * two runs at once are then not kept apart. */
static void
find_places(struct job_run *run, struct places *places)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	const char *job = run->job->report.job;

	places->state = bkp_job_state_path(
	    run->config_file, job, run->elsewhere, ".json", &problem);
	if (places->state != NULL)
		places->lock = bkp_job_state_path(
		    run->config_file, job, NULL, ".lock", &problem);
	if (places->state != NULL && places->lock != NULL)
		return;
	free(places->state);
	places->state = NULL;
	bkp_job_tell(run, BKP_WARNING, NULL,
	    "nothing can be remembered of this job, and runs are not kept "
	    "apart: %s; name a folder with BACKUP_STATE_DIR",
	    problem.message);
}

/* 0: it is ours, or cannot be had, which is told; 1: another run has it, `who`
 * tells. */
static int
lock(struct job_run *run, struct places *places, char *who, size_t size)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	if (places->lock == NULL)
		return 0;
	rc = bkp_job_lock(places->lock, &places->lock_fd, who, size, &problem);
	if (rc > 0)
		return 1;
	if (rc < 0) {
		bkp_job_tell(run, BKP_WARNING, NULL,
		    "runs of this job are not kept apart: %s", problem.message);
		return 0;
	}
	(void)snprintf(run->lock_text, sizeof(run->lock_text),
	    "process %ld, since %s\n", (long)getpid(),
	    bkp_job_time(run->job->report.began_us).text);
	if (bkp_job_lock_sign(places->lock_fd, run->lock_text, &problem) < 0)
		bkp_job_tell(run, BKP_WARNING, NULL, "%s: %s", places->lock,
		    problem.message);
	return 0;
}

static void
save(struct job_run *run, const struct places *places)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (places->state != NULL &&
	    bkp_job_state_write(
		places->state, run->config_file, run->job, &problem) < 0)
		bkp_job_tell(run, BKP_WARNING, NULL,
		    "what became of this run is not remembered: %s",
		    problem.message);
}

/* ---- the work ---- */

static bool
goes_on(const struct job_run *run)
{
	return !run->is_stopped && !run->is_over &&
	       !bkp_cancel_is_requested(run->options->cancel);
}

static int
use(struct job_run *run, const struct bkp_job_repository *it,
    struct bkp_error *err)
{
	if (run->location != NULL)
		return 0;
	return bkp_config_use_repository(run->config, it->name, err);
}

/* A key file on the command line is of one repository. */
static bool
is_for_all(const struct job_run *run)
{
	const char *const *at = run->options->arguments;

	for (; at != NULL && *at != NULL; at++)
		if (strcmp(*at, "--key-file") == 0)
			return false;
	return !run->is_one && run->job->report.repository_count > 1;
}

/* Into each repository, also where another one failed. */
static int
back_up(struct job_run *run, bool *all_made, struct bkp_error *err)
{
	struct bkp_job *job = run->job;
	bool is_one_command = is_for_all(run);

	*all_made = true;
	if (is_one_command && goes_on(run) && bkp_job_backup_all(run, err) < 0)
		return -1;
	for (size_t i = 0; i < job->report.repository_count; i++) {
		struct bkp_job_repository *it = &job->repositories[i];

		if (!is_one_command && goes_on(run) &&
		    (use(run, it, err) < 0 || bkp_job_backup(run, it, err) < 0))
			return -1;
		if (it->state != BKP_JOB_COMPLETE &&
		    it->state != BKP_JOB_DEGRADED)
			*all_made = false;
	}
	return 0;
}

/* What is to be done with each repository that has a new backup. */
static int
look_after(struct job_run *run, struct bkp_error *err)
{
	struct bkp_job *job = run->job;

	for (size_t i = 0; i < job->report.repository_count; i++) {
		struct bkp_job_repository *it = &job->repositories[i];

		if (it->snapshot == NULL || use(run, it, err) < 0)
			continue;
		if (goes_on(run) && run->config->job.prunes_after &&
		    it->state == BKP_JOB_COMPLETE &&
		    bkp_job_prune(run, it, err) < 0)
			return -1;
		if (goes_on(run) && run->config->verification.every_ms > 0 &&
		    bkp_job_verify(run, it, err) < 0)
			return -1;
	}
	return 0;
}

/* backup-run(1) says when each list of hooks is run, and why then. */
static int
work(struct job_run *run, struct bkp_error *err)
{
	const struct bkp_job_config *job = &run->config->job;
	bool is_well = false, all_made = false, any;

	if (bkp_job_hooks(
		run, "before", &job->before, BKP_JOB_FAILED, &is_well, err) < 0)
		return -1;
	if (is_well && back_up(run, &all_made, err) < 0)
		return -1;
	if (is_well && all_made &&
	    bkp_job_hooks(
		run, "after", &job->after, BKP_JOB_DEGRADED, &any, err) < 0)
		return -1;
	if (bkp_job_hooks(
		run, "always", &job->always, BKP_JOB_DEGRADED, &any, err) < 0)
		return -1;
	if (is_well && look_after(run, err) < 0)
		return -1;
	if (!goes_on(run) && bkp_job_worsen(run, BKP_JOB_FAILED, NULL,
				 "stopped on request", err) < 0)
		return -1;
	if (run->job->report.state != BKP_JOB_FAILED)
		return 0;
	return bkp_job_hooks(
	    run, "failure", &job->failure, BKP_JOB_FAILED, &any, err);
}

static void
conclude(struct bkp_job_report *report)
{
	if (report->state == BKP_JOB_RUNNING)
		report->state = BKP_JOB_COMPLETE;
	report->exit_status = report->state == BKP_JOB_FAILED     ? 1
			      : report->state == BKP_JOB_DEGRADED ? 3
								  : 0;
	report->failures =
	    report->state == BKP_JOB_FAILED ? report->failures + 1 : 0;
	report->ended_us = bkp_job_now_us();
}

static int
run_now(struct job_run *run, const struct places *places, struct bkp_error *err)
{
	uint64_t limit = run->config->job.time_limit_ms;
	int rc;

	if (limit > 0)
		run->until_ms = bkp_job_clock_ms() + limit;
	save(run, places);
	tell_begin(run);
	if ((rc = work(run, err)) < 0 && err != NULL)
		(void)bkp_job_worsen(
		    run, BKP_JOB_FAILED, NULL, err->message, NULL);
	conclude(&run->job->report);
	save(run, places);
	tell_end(run);
	return rc;
}

/* A run that cannot be begun has failed: it is remembered, and told. */
static int
give_up(struct job_run *run, const struct places *places,
    const struct bkp_error *problem)
{
	bool any;

	(void)bkp_job_worsen(run, BKP_JOB_FAILED, NULL, problem->message, NULL);
	(void)bkp_job_hooks(run, "failure", &run->config->job.failure,
	    BKP_JOB_FAILED, &any, NULL);
	conclude(&run->job->report);
	save(run, places);
	tell_end(run);
	return 0;
}

static int
begin(struct job_run *run, struct places *places, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT, other = BKP_ERROR_INIT;
	bool is_ready;
	char who[200] = "";

	if (bkp_job_name_it(run, err) < 0)
		return -1;
	is_ready = bkp_job_list_repositories(run, &problem) == 0;
	/* Who named another repository than there is sits before it: that is no
	 * run of the job. */
	if (!is_ready && run->options->repository != NULL && !run->is_one) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	find_places(run, places);
	if (lock(run, places, who, sizeof(who)) > 0)
		return decline_overlap(run, who, err);
	if (bkp_job_recall(run, places->state, places->lock_fd >= 0, &other) <
	    0)
		return give_up(run, places, is_ready ? &other : &problem);
	if (!is_ready)
		return give_up(run, places, &problem);
	if (is_young(run))
		return decline(run, BKP_JOB_NOT_DUE, 0,
		    "the last good backup is young enough", err);
	if (!run->options->is_forced && !is_in_window(&run->config->job.window))
		return decline_window(run, err);
	return run_now(run, places, err);
}

int
bkp_job_check(const struct bkp_job_options *options, struct bkp_error *err)
{
	uint64_t ms;

	return options->if_missed == NULL
		   ? 0
		   : bkp_span_read(options->if_missed, &ms, err);
}

int
bkp_job_run(struct bkp_config *config, const struct bkp_job_options *options,
    struct bkp_job **out, struct bkp_error *err)
{
	struct places places = {.lock_fd = -1};
	struct job_run run = {.config = config, .options = options};
	int rc = -1;

	if (options->if_missed != NULL &&
	    bkp_span_read(options->if_missed, &run.if_missed_ms, err) < 0)
		return -1;
	run.config_file = bkp_job_config_file(config, err);
	if (run.config_file == NULL && bkp_config_path(config) != NULL)
		goto out;
	if ((run.job = bkp_job_new(err)) == NULL)
		goto out;
	make_run_id(run.run_id);
	if ((rc = begin(&run, &places, err)) == 0) {
		*out = run.job;
		run.job = NULL;
	}
out:
	if (places.lock_fd >= 0)
		(void)close(places.lock_fd);
	bkp_job_free(run.job);
	fmt_buf_free(&run.log);
	free(run.config_file);
	free(places.state);
	free(places.lock);
	return rc;
}
