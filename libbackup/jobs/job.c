/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a run, and who owns it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/jobs/job_impl.h"

#define LOG_BYTES ((size_t)64 * 1024)

struct bkp_job *
bkp_job_new(struct bkp_error *err)
{
	struct bkp_job *job = bkp_alloc(sizeof(*job), err);
	struct bkp_job_report report = BKP_JOB_REPORT_INIT;

	if (job != NULL)
		job->report = report;
	return job;
}

void
bkp_job_free(struct bkp_job *job)
{
	if (job == NULL)
		return;
	bkp_arena_free(&job->arena);
	free(job->steps);
	free(job->repositories);
	free(job->kept);
	free(job);
}

const struct bkp_job_report *
bkp_job_report(const struct bkp_job *job)
{
	return &job->report;
}

const char *
bkp_job_text(struct bkp_job *job, const char *text, struct bkp_error *err)
{
	if (text == NULL)
		return NULL;
	return bkp_arena_text(&job->arena, text, strlen(text), err);
}

struct bkp_job_step *
bkp_job_add_step(struct bkp_job *job, struct bkp_error *err)
{
	struct bkp_job_step *step;

	if (bkp_grow(&job->steps, job->report.step_count, &job->step_cap,
		sizeof(*job->steps), err) < 0)
		return NULL;
	job->report.steps = job->steps;
	step = &job->steps[job->report.step_count++];
	memset(step, 0, sizeof(*step));
	step->exit_status = -1;
	return step;
}

struct bkp_job_repository *
bkp_job_add_repository(
    struct bkp_job *job, const char *name, struct bkp_error *err)
{
	struct bkp_job_repository *repository;
	const char *copy = bkp_job_text(job, name, err);

	if (copy == NULL ||
	    bkp_grow(&job->repositories, job->report.repository_count,
		&job->repository_cap, sizeof(*job->repositories), err) < 0)
		return NULL;
	job->report.repositories = job->repositories;
	repository = &job->repositories[job->report.repository_count++];
	memset(repository, 0, sizeof(*repository));
	repository->name = copy;
	return repository;
}

struct bkp_job_repository *
bkp_job_find_repository(struct bkp_job *job, const char *name)
{
	for (size_t i = 0; i < job->report.repository_count; i++)
		if (strcmp(job->repositories[i].name, name) == 0)
			return &job->repositories[i];
	return NULL;
}

/* ---- time ---- */

uint64_t
bkp_job_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t
bkp_job_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct bkp_job_time
bkp_job_time(int64_t us)
{
	struct bkp_job_time out = {.text = ""};
	time_t seconds = (time_t)(us / 1000000);
	char date[24];
	struct tm tm;

	if (us <= 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return out;
	(void)snprintf(out.text, sizeof(out.text), "%s.%03dZ", date,
	    (int)(us / 1000 % 1000));
	return out;
}

uint64_t
bkp_job_time_left(const struct job_run *run)
{
	uint64_t now = bkp_job_clock_ms();

	if (run->until_ms == 0)
		return 0;
	return run->until_ms > now ? run->until_ms - now : 1;
}

/* ---- telling ---- */

/* One that finds no memory is missing there. */
void
bkp_job_keep(struct job_run *run, const char *path, const char *text)
{
	struct fmt_buf *log = &run->log;

	if (log->len > LOG_BYTES) {
		size_t half = log->len / 2;

		memmove(log->data, log->data + half, log->len - half);
		log->len -= half;
	}
	(void)fmt_buf_printf(log, "%s%s%s\n", path != NULL ? path : "",
	    path != NULL ? ": " : "", text);
}

void
bkp_job_tell(struct job_run *run, enum bkp_level level, const char *path,
    const char *format, ...)
{
	const struct bkp_events *events = &run->options->events;
	char text[1500];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	bkp_job_keep(run, path, text);
	if (events->message != NULL)
		events->message(events->arg, level, path, text);
}

/* ---- steps ---- */

struct bkp_job_step *
bkp_job_step_begin(struct job_run *run, const char *name,
    const char *repository, const char *what, struct bkp_error *err)
{
	struct bkp_job_step *step = bkp_job_add_step(run->job, err);

	if (step == NULL)
		return NULL;
	step->name = name;
	step->state = BKP_JOB_RUNNING;
	step->began_us = bkp_job_now_us();
	if (repository != NULL && (step->repository = bkp_job_text(
				       run->job, repository, err)) == NULL)
		return NULL;
	if (what != NULL &&
	    (step->what = bkp_job_text(run->job, what, err)) == NULL)
		return NULL;
	return step;
}

static int
badness(enum bkp_job_state state)
{
	if (state == BKP_JOB_FAILED)
		return 2;
	return state == BKP_JOB_DEGRADED;
}

int
bkp_job_worsen(struct job_run *run, enum bkp_job_state state, const char *step,
    const char *error, struct bkp_error *err)
{
	struct bkp_job_report *report = &run->job->report;

	if (badness(state) <= badness(report->state))
		return 0;
	report->state = state;
	report->failed_step = step;
	report->error = NULL;
	if (error == NULL)
		return 0;
	report->error = bkp_job_text(run->job, error, err);
	return report->error != NULL ? 0 : -1;
}

int
bkp_job_step_end(struct job_run *run, struct bkp_job_step *step,
    enum bkp_job_state state, const char *error, struct bkp_error *err)
{
	step->state = state;
	step->ended_us = bkp_job_now_us();
	if (error != NULL &&
	    (step->error = bkp_job_text(run->job, error, err)) == NULL)
		return -1;
	if (bkp_job_worsen(run, state, step->name, error, err) < 0)
		return -1;
	if (run->options->step != NULL)
		run->options->step(run->options->arg, step);
	return 0;
}
