/* SPDX-License-Identifier: Apache-2.0 */
/* What is known before a run begins: its name, its repositories, and what
 * became of the run before. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/config_choice.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/job_impl.h"
#include "libbackup/jobs/state.h"

static int
add_repository(struct job_run *run, const char *name, struct bkp_error *err)
{
	struct bkp_job_repository *it;

	if (run->location == NULL &&
	    bkp_config_use_repository(run->config, name, err) < 0)
		return -1;
	if ((it = bkp_job_add_repository(run->job, name, err)) == NULL)
		return -1;
	it->location =
	    bkp_job_text(run->job, bkp_config_repository(run->config), err);
	return it->location != NULL ? 0 : -1;
}

/* The repositories of this run, each with where it is. */
static int
list_repositories(struct job_run *run, struct bkp_error *err)
{
	const char *name;

	if (run->is_one)
		return add_repository(run,
		    run->elsewhere != NULL
			? run->elsewhere
			: bkp_config_repository_used(run->config),
		    err);

	for (size_t i = 0;
	     (name = bkp_config_repository_name(run->config, i)) != NULL; i++)
		if (add_repository(run, name, err) < 0)
			return -1;
	if (run->job->report.repository_count > 0)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "the job '%s' has no repository: write `repository:` or "
	    "`repositories:` into the configuration, or name one with "
	    "--repository",
	    run->job->report.job);
}

static bool
named_outside(void)
{
	const char *text = getenv("BACKUP_REPOSITORY");

	return text != NULL && text[0] != '\0';
}

/* Whether the command line names a repository that the file does not have: its
 * runs must not pass for those of the one that it has. */
static bool
is_elsewhere(const struct job_run *run)
{
	const struct bkp_config *config = run->config;

	if (run->options->repository == NULL)
		return false;
	if (config->is_elsewhere)
		return true;
	return config->repository_count == 0 && config->repository != NULL &&
	       config->own_repository != NULL &&
	       strcmp(config->repository, config->own_repository) != 0;
}

/* The repository, where one is given. */
static int
choose(struct job_run *run, struct bkp_error *err)
{
	const struct bkp_job_options *options = run->options;
	struct bkp_config *config = run->config;

	if (config->source_count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s lists no sources to back up: write `sources:`",
		    bkp_config_path(config) != NULL ? bkp_config_path(config)
						    : "the configuration");
	if (options->repository != NULL &&
	    bkp_config_set_repository(config, options->repository, err) < 0)
		return -1;
	run->is_one = options->repository != NULL || named_outside();
	if (is_elsewhere(run))
		run->elsewhere = bkp_config_repository(config);
	if (config->is_elsewhere ||
	    (options->repository != NULL && config->repository_count == 0))
		run->location = bkp_config_repository(config);
	return 0;
}

/* Of what cannot be loaded as a whole nothing is run. The repositories are then
 * those that the run before had. */
static int
choose_in_trouble(struct job_run *run, struct bkp_error *err)
{
	const char *wanted = run->options->repository;

	if (wanted != NULL) {
		if (bkp_config_set_repository(run->config, wanted, err) < 0)
			return -1;
		run->is_one = true;
		if (is_elsewhere(run))
			run->elsewhere = bkp_config_repository(run->config);
	}
	return bkp_fail(err, BKP_INVALID, "%s", run->config->trouble);
}

int
bkp_job_name_it(struct job_run *run, struct bkp_error *err)
{
	struct bkp_job_report *report = &run->job->report;
	const char *job = run->options->job;
	char host[256] = "localhost";

	if (job == NULL && run->config->job_count == 0)
		job = "default";
	if (bkp_config_use_job(run->config, job, err) < 0)
		return -1;
	job = bkp_config_job_used(run->config);
	(void)gethostname(host, sizeof(host) - 1);
	report->job =
	    bkp_job_text(run->job, job != NULL ? job : "default", err);
	report->host = bkp_job_text(run->job, host, err);
	report->state = BKP_JOB_RUNNING;
	report->began_us = bkp_job_now_us();
	return report->job != NULL && report->host != NULL ? 0 : -1;
}

int
bkp_job_list_repositories(struct job_run *run, struct bkp_error *err)
{
	if (run->config->trouble != NULL)
		return choose_in_trouble(run, err);
	return choose(run, err) < 0 ? -1 : list_repositories(run, err);
}

/* ---- what is remembered ---- */

static bool
is_configured(const struct bkp_config *config, const char *name)
{
	if (config->repository_count == 0)
		return strcmp(name, "default") == 0;
	return bkp_config_find_named(config->repositories,
		   config->repository_count, name) != NULL;
}

/* What a repository was before, into what it is now. */
static int
take_times(struct job_run *run, const struct bkp_job_repository *from,
    struct bkp_job_repository *to, struct bkp_error *err)
{
	to->last_success_us = from->last_success_us;
	to->last_complete_us = from->last_complete_us;
	to->last_proof_us = from->last_proof_us;
	to->last_prune_us = from->last_prune_us;
	to->proven_snapshot =
	    bkp_job_text(run->job, from->proven_snapshot, err);
	return from->proven_snapshot == NULL || to->proven_snapshot != NULL
		   ? 0
		   : -1;
}

/* One that this run does not touch, for the next that does. */
static int
keep(struct job_run *run, const struct bkp_job_repository *from,
    struct bkp_error *err)
{
	struct bkp_job *job = run->job;
	struct bkp_job_repository it = {
	    .name = bkp_job_text(job, from->name, err),
	    .location = bkp_job_text(job, from->location, err)};

	if (it.name == NULL ||
	    (it.location == NULL && from->location != NULL) ||
	    take_times(run, from, &it, err) < 0 ||
	    bkp_grow(&job->kept, job->kept_count, &job->kept_cap,
		sizeof(*job->kept), err) < 0)
		return -1;
	job->kept[job->kept_count++] = it;
	return 0;
}

static int
take_unlisted(struct job_run *run, const struct bkp_job_repository *from,
    struct bkp_error *err)
{
	struct bkp_job_repository *to =
	    bkp_job_add_repository(run->job, from->name, err);

	if (to == NULL)
		return -1;
	to->location = bkp_job_text(run->job, from->location, err);
	if (to->location == NULL && from->location != NULL)
		return -1;
	return take_times(run, from, to, err);
}

static int
take_repository(struct job_run *run, const struct bkp_job_repository *from,
    struct bkp_error *err)
{
	struct bkp_job_repository *to =
	    bkp_job_find_repository(run->job, from->name);

	if (to == NULL && run->config->trouble != NULL)
		return take_unlisted(run, from, err);
	if (to == NULL)
		return is_configured(run->config, from->name)
			   ? keep(run, from, err)
			   : 0;
	if (from->location == NULL || to->location == NULL ||
	    strcmp(from->location, to->location) != 0)
		return 0;
	return take_times(run, from, to, err);
}

/* Who has the lock knows that the run before is over. */
static void
take_state(struct job_run *run, const struct bkp_job_report *old, bool is_alone)
{
	struct bkp_job_report *report = &run->job->report;
	const struct bkp_job_time began = bkp_job_time(old->began_us);

	report->previous = old->state;
	report->previous_began_us = old->began_us;
	report->previous_ended_us = old->ended_us;
	report->failures = old->failures;
	if (old->state != BKP_JOB_RUNNING)
		return;
	if (!is_alone) {
		bkp_job_tell(run, BKP_WARNING, NULL,
		    "the run that began at %s never said how it ended, and may "
		    "still run",
		    began.text);
		return;
	}
	report->previous = BKP_JOB_FAILED;
	report->failures++;
	bkp_job_tell(run, BKP_WARNING, NULL,
	    "the run that began at %s never said how it ended: it was killed, "
	    "or the machine went down",
	    began.text);
}

int
bkp_job_recall(
    struct job_run *run, const char *path, bool is_alone, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_job *before = NULL;
	int rc = 0;

	if (path == NULL)
		return 0;
	if (bkp_job_state_read(path, &before, &problem) < 0) {
		if (problem.code != BKP_NOTFOUND)
			bkp_job_tell(run, BKP_WARNING, NULL,
			    "what is remembered of this job is not used: %s",
			    problem.message);
		return 0;
	}
	take_state(run, &before->report, is_alone);
	for (size_t i = 0; rc == 0 && i < before->report.repository_count; i++)
		rc = take_repository(run, &before->repositories[i], err);
	bkp_job_free(before);
	return rc;
}
