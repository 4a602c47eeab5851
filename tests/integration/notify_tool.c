/* SPDX-License-Identifier: Apache-2.0 */
/* Tells of a run that is described in JSON:
 *
 *     notify_tool notify|metrics CONFIG <report.json
 *
 * Warnings go to standard error; notify prints how many were not told. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/notify.h"

#define MOST 16

static const char *
text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int64_t
number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static enum bkp_job_state
state(const json_t *object, const char *key)
{
	const char *name = text(object, key);
	enum bkp_job_state s = BKP_JOB_NONE;

	while (name != NULL && strcmp(bkp_job_state_name(s), name) != 0)
		s++;
	return s;
}

static struct bkp_job_step
read_step(const json_t *from)
{
	return (struct bkp_job_step){.name = text(from, "name"),
	    .repository = text(from, "repository"),
	    .what = text(from, "what"),
	    .error = text(from, "error"),
	    .state = state(from, "state"),
	    .exit_status = (int)number(from, "exit_status"),
	    .signal_number = (int)number(from, "signal"),
	    .began_us = number(from, "began_us"),
	    .ended_us = number(from, "ended_us")};
}

static struct bkp_job_repository
read_repository(const json_t *from)
{
	return (struct bkp_job_repository){.name = text(from, "name"),
	    .location = text(from, "location"),
	    .state = state(from, "state"),
	    .snapshot = text(from, "snapshot"),
	    .bytes = (uint64_t)number(from, "bytes"),
	    .stored_bytes = (uint64_t)number(from, "stored_bytes"),
	    .entries = (uint64_t)number(from, "entries"),
	    .omissions = (uint64_t)number(from, "omissions"),
	    .last_success_us = number(from, "last_success_us"),
	    .last_complete_us = number(from, "last_complete_us"),
	    .last_proof_us = number(from, "last_proof_us"),
	    .is_unproven = (int)number(from, "is_unproven"),
	    .last_prune_us = number(from, "last_prune_us")};
}

static struct bkp_job_report
read_report(const json_t *from)
{
	struct bkp_job_report report = BKP_JOB_REPORT_INIT;

	report.job = text(from, "job");
	report.host = text(from, "host");
	report.state = state(from, "state");
	report.previous = state(from, "previous");
	report.exit_status = (int)number(from, "exit_status");
	report.began_us = number(from, "began_us");
	report.ended_us = number(from, "ended_us");
	report.error = text(from, "error");
	report.failures = (uint64_t)number(from, "failures");
	return report;
}

static void
on_message(void *arg, enum bkp_level level, const char *path, const char *line)
{
	(void)arg;
	(void)level;
	(void)path;
	(void)fprintf(stderr, "warning: %s\n", line);
}

static int
tell(const struct bkp_config *config, const char *what, const json_t *from)
{
	struct bkp_job_report report = read_report(from);
	struct bkp_job_step steps[MOST];
	struct bkp_job_repository repositories[MOST];
	struct bkp_notice notice = BKP_NOTICE_INIT;
	struct bkp_events events = BKP_EVENTS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	const json_t *list = json_object_get(from, "steps"), *item;
	size_t i;

	for (i = 0; i < MOST && (item = json_array_get(list, i)) != NULL; i++)
		steps[i] = read_step(item);
	report.steps = steps;
	report.step_count = i;
	list = json_object_get(from, "repositories");
	for (i = 0; i < MOST && (item = json_array_get(list, i)) != NULL; i++)
		repositories[i] = read_repository(item);
	report.repositories = repositories;
	report.repository_count = i;
	notice.report = &report;
	notice.run_id = text(from, "run_id");
	notice.log = text(from, "log");
	notice.untold = (unsigned)number(from, "untold");
	events.message = on_message;
	if (strcmp(what, "notify") == 0) {
		(void)printf(
		    "%zu\n", bkp_notify(config, &notice, &events, NULL));
		return 0;
	}
	if (bkp_metrics_save(
		config, json_object_size(from) > 0 ? &notice : NULL, &err) == 0)
		return 0;
	(void)fprintf(stderr, "%s\n", err.message);
	return 1;
}

int
main(int argc, char **argv)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	json_t *report = json_loadf(stdin, 0, NULL);
	int status = 1;

	if (argc != 3 || report == NULL) {
		(void)fputs("notify_tool notify|metrics CONFIG\n", stderr);
		return 2;
	}
	if (bkp_config_load(argv[2], &config, &err) < 0)
		(void)fprintf(stderr, "%s\n", err.message);
	else
		status = tell(config, argv[1], report);
	bkp_config_free(config);
	json_decref(report);
	return status;
}
