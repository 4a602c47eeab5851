/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor is told, in Prometheus' text format. Moments are absolute, so
 * that the server computes ages and silence shows; labels are the job and the
 * repository as they are configured, and nothing that changes each night. The
 * job is not `job`, which Prometheus sets itself to what it asked for metrics.
 */
#include "libbackup/jobs/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/report_text.h"

#define VALUE 32

enum metric {
	JOB_INFO,
	JOB_START,
	JOB_END,
	JOB_SUCCESS,
	JOB_STATUS,
	JOB_DURATION,
	JOB_FAILURES,
	JOB_UNTOLD,
	BACKUP_TIME,
	BACKUP_COMPLETE,
	BACKUP_DURATION,
	PROVEN_TIME,
	PRUNED_TIME,
	SNAPSHOT_BYTES,
	SNAPSHOT_STORED,
	SNAPSHOT_ENTRIES,
	SNAPSHOT_OMISSIONS,
	METRICS
};

static const struct {
	const char *name, *help;
	const char *never; /* of a job that never ran; NULL: no line */
	bool is_of_repository;
} families[METRICS] = {
    [JOB_INFO] = {"libbackup_job_info",
	"1 for each configured job; config is the file that it is in.", "1",
	false},
    [JOB_START] = {"libbackup_job_last_start_timestamp_seconds",
	"When the job last began; 0: never.", "0", false},
    [JOB_END] = {"libbackup_job_last_end_timestamp_seconds",
	"When the job last ended, however it did; 0: never.", "0", false},
    [JOB_SUCCESS] = {"libbackup_job_last_success_timestamp_seconds",
	"When the job last ended complete; 0: never.", "0", false},
    [JOB_STATUS] = {"libbackup_job_last_exit_status",
	"How the last run ended: 0 complete, 3 degraded, else failed.", NULL,
	false},
    [JOB_DURATION] = {"libbackup_job_duration_seconds",
	"How long the last run took.", NULL, false},
    [JOB_FAILURES] = {"libbackup_job_failures",
	"Runs in a row that failed, with the last one.", NULL, false},
    [JOB_UNTOLD] = {"libbackup_job_untold_notifications",
	"Notifications of the last run that did not go through.", NULL, false},
    [BACKUP_TIME] = {"libbackup_backup_last_success_timestamp_seconds",
	"When the job last ended a backup, complete or degraded; 0: never.",
	"0", true},
    [BACKUP_COMPLETE] = {"libbackup_backup_last_complete_timestamp_seconds",
	"When the job last ended a backup that lacks nothing; 0: never.", "0",
	true},
    [BACKUP_DURATION] = {"libbackup_backup_duration_seconds",
	"How long it took to make the newest snapshot.", NULL, true},
    [PROVEN_TIME] = {"libbackup_proof_last_success_timestamp_seconds",
	"When a snapshot was last proven; 0: never.", "0", true},
    [PRUNED_TIME] = {"libbackup_prune_last_success_timestamp_seconds",
	"When the repository was last pruned.", NULL, true},
    [SNAPSHOT_BYTES] = {"libbackup_snapshot_bytes",
	"What the job's newest snapshot holds.", NULL, true},
    [SNAPSHOT_STORED] = {"libbackup_snapshot_stored_bytes",
	"What the job's newest snapshot added to its repository.", NULL, true},
    [SNAPSHOT_ENTRIES] = {"libbackup_snapshot_entries",
	"Entries of the job's newest snapshot.", NULL, true},
    [SNAPSHOT_OMISSIONS] = {"libbackup_snapshot_omissions",
	"What was left out of the job's newest snapshot.", NULL, true}};

/* ---- what the notice tells ---- */

static bool
put_number(char value[VALUE], uint64_t number)
{
	(void)snprintf(value, VALUE, "%" PRIu64, number);
	return true;
}

/* Whole milliseconds, without the rounding of a double. */
static bool
put_ms(char value[VALUE], uint64_t ms)
{
	(void)snprintf(
	    value, VALUE, "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000);
	return true;
}

static bool
put_time(char value[VALUE], int64_t us)
{
	return us > 0 && put_ms(value, (uint64_t)us / 1000);
}

/* Whether it is of a run that has begun. */
static bool
has_begun(const struct bkp_job_report *report)
{
	return report->state == BKP_JOB_RUNNING ||
	       report->state == BKP_JOB_COMPLETE ||
	       report->state == BKP_JOB_DEGRADED ||
	       report->state == BKP_JOB_FAILED;
}

/* What failed does not look complete, whatever it ends with. */
static uint64_t
status_of(const struct bkp_job_report *report)
{
	if (report->state == BKP_JOB_COMPLETE)
		return 0;
	if (report->state == BKP_JOB_DEGRADED)
		return 3;
	return report->exit_status > 0 && report->exit_status != 3
		   ? (uint64_t)report->exit_status
		   : 1;
}

static uint64_t
lasted_ms(int64_t began_us, int64_t ended_us)
{
	return ended_us > began_us ? (uint64_t)(ended_us - began_us) / 1000 : 0;
}

static bool
told_of_job(
    const struct bkp_notice *notice, enum metric metric, char value[VALUE])
{
	const struct bkp_job_report *report = notice->report;

	if (metric == JOB_START)
		return put_time(value, report->began_us);
	if (report->state == BKP_JOB_RUNNING)
		return false;
	switch (metric) {
	case JOB_END:
		return put_time(value, report->ended_us);
	case JOB_SUCCESS:
		return report->state == BKP_JOB_COMPLETE &&
		       put_time(value, report->ended_us);
	case JOB_STATUS:
		return put_number(value, status_of(report));
	case JOB_DURATION:
		return put_ms(
		    value, lasted_ms(report->began_us, report->ended_us));
	case JOB_FAILURES:
		return put_number(value, report->failures);
	case JOB_UNTOLD:
		return put_number(value, notice->untold);
	default:
		return false;
	}
}

/* How long it took is known where it was a step of its own. */
static bool
put_duration(const struct bkp_job_report *report, const char *repository,
    char value[VALUE])
{
	for (size_t i = 0; i < report->step_count; i++) {
		const struct bkp_job_step *step = &report->steps[i];

		if (strcmp(step->name, "backup") == 0 &&
		    step->repository != NULL &&
		    strcmp(step->repository, repository) == 0)
			return put_ms(
			    value, lasted_ms(step->began_us, step->ended_us));
	}
	return false;
}

static bool
told_of_repository(const struct bkp_job_report *report,
    const struct bkp_job_repository *it, enum metric metric, char value[VALUE])
{
	switch (metric) {
	case BACKUP_TIME:
		return put_time(value, it->last_success_us);
	case BACKUP_COMPLETE:
		return put_time(value, it->last_complete_us);
	case PROVEN_TIME:
		if (it->is_unproven)
			return put_number(value, 0);
		return put_time(value, it->last_proof_us);
	case PRUNED_TIME:
		return put_time(value, it->last_prune_us);
	default:
		break;
	}
	if (it->snapshot == NULL)
		return false;
	switch (metric) {
	case SNAPSHOT_BYTES:
		return put_number(value, it->bytes);
	case SNAPSHOT_STORED:
		return put_number(value, it->stored_bytes);
	case SNAPSHOT_ENTRIES:
		return put_number(value, it->entries);
	case SNAPSHOT_OMISSIONS:
		return put_number(value, it->omissions);
	case BACKUP_DURATION:
		return put_duration(report, it->name, value);
	default:
		return false;
	}
}

static bool
is_told(const struct bkp_notice *notice, enum metric metric, const char *job,
    const char *repository, char value[VALUE])
{
	const struct bkp_job_report *report;

	if (notice == NULL || strcmp(notice->report->job, job) != 0 ||
	    !has_begun(notice->report))
		return false;
	if (repository == NULL)
		return told_of_job(notice, metric, value);
	report = notice->report;
	for (size_t i = 0; i < report->repository_count; i++)
		if (strcmp(report->repositories[i].name, repository) == 0)
			return told_of_repository(
			    report, &report->repositories[i], metric, value);
	return false;
}

/* ---- what is there ---- */

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const char *
find_old(const struct bkp_metrics *old, enum metric metric, const char *job,
    const char *repository)
{
	for (size_t i = 0; i < old->count; i++)
		if (strcmp(old->items[i].name, families[metric].name) == 0 &&
		    strcmp(old->items[i].job, job) == 0 &&
		    is_same(old->items[i].repository, repository))
			return old->items[i].value;
	return NULL;
}

static bool
is_configured(const struct bkp_metrics_jobs *jobs, const char *job,
    const char *repository)
{
	for (size_t i = 0; i < jobs->count; i++) {
		const struct bkp_metrics_job *it = &jobs->items[i];

		if (strcmp(it->name, job) != 0)
			continue;
		if (repository == NULL)
			return true;
		for (size_t k = 0; k < it->repository_count; k++)
			if (strcmp(it->repositories[k], repository) == 0)
				return true;
	}
	return false;
}

/* Whether a line is of another configuration's job: one of ours is written
 * anew, and one that was ours and is configured no more goes. */
static bool
is_kept(const struct bkp_metrics_jobs *jobs, const struct bkp_metrics *old,
    const struct bkp_metric *line)
{
	if (is_configured(jobs, line->job, NULL))
		return false;
	for (size_t i = 0; i < old->count; i++)
		if (old->items[i].config != NULL &&
		    strcmp(old->items[i].job, line->job) == 0)
			return strcmp(old->items[i].config, jobs->config) != 0;
	return true;
}

/* ---- lines ---- */

static void
add_line(struct bkp_report_text *out, const char *name, const char *job,
    const char *repository, const char *config, const char *value)
{
	bkp_report_addf(out, "%s{backup_job=\"", name);
	bkp_report_label(out, job);
	if (repository != NULL) {
		bkp_report_add(out, "\",repository=\"");
		bkp_report_label(out, repository);
	}
	if (config != NULL) {
		bkp_report_add(out, "\",config=\"");
		bkp_report_label(out, config);
	}
	bkp_report_addf(out, "\"} %s\n", value);
}

static void
add_one(struct bkp_report_text *out, const struct bkp_notice *notice,
    const struct bkp_metrics *old, enum metric metric, const char *config,
    const char *job, const char *repository)
{
	const char *name = families[metric].name, *known;
	char value[VALUE];

	if (is_told(notice, metric, job, repository, value))
		known = value;
	else if ((known = find_old(old, metric, job, repository)) == NULL)
		known = families[metric].never;
	if (known != NULL)
		add_line(out, name, job, repository, config, known);
}

static void
add_job(struct bkp_report_text *out, const struct bkp_metrics_jobs *jobs,
    const struct bkp_metrics_job *job, const struct bkp_notice *notice,
    const struct bkp_metrics *old, enum metric metric)
{
	if (!families[metric].is_of_repository)
		add_one(out, notice, old, metric,
		    metric == JOB_INFO ? jobs->config : NULL, job->name, NULL);
	else
		for (size_t i = 0; i < job->repository_count; i++)
			add_one(out, notice, old, metric, NULL, job->name,
			    job->repositories[i]);
}

int
bkp_metrics_text(const struct bkp_metrics_jobs *jobs,
    const struct bkp_notice *notice, const struct bkp_metrics *old,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_report_text text = BKP_REPORT_TEXT_INIT;

	for (enum metric m = 0; m < METRICS; m++) {
		bkp_report_addf(&text, "# HELP %s %s\n# TYPE %s gauge\n",
		    families[m].name, families[m].help, families[m].name);
		for (size_t i = 0; i < jobs->count; i++)
			add_job(&text, jobs, &jobs->items[i], notice, old, m);
		for (size_t i = 0; i < old->count; i++) {
			const struct bkp_metric *line = &old->items[i];

			if (strcmp(line->name, families[m].name) == 0 &&
			    is_kept(jobs, old, line))
				add_line(&text, line->name, line->job,
				    line->repository, line->config,
				    line->value);
		}
	}
	if (text.status != FMT_OK || fmt_buf_text(&text.buf) == NULL) {
		fmt_buf_free(&text.buf);
		return bkp_fail_nomem(err, "writing metrics");
	}
	*out = text.buf;
	return 0;
}
