/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the operator around a run, with the run's facts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/job_impl.h"
#include "libbackup/jobs/program.h"

#define GRACE_MS 10000
#define FACTS_MAX 20

/* The environment that a hook has beside ours. */
struct facts {
	char *items[FACTS_MAX]; /* owned */
	size_t count;
};

static int
add(struct facts *facts, struct bkp_error *err, const char *name,
    const char *value)
{
	char *text = bkp_format(err, "%s=%s", name, value != NULL ? value : "");

	if (text == NULL || facts->count + 1 >= FACTS_MAX) {
		free(text);
		return text == NULL ? -1 : 0;
	}
	facts->items[facts->count++] = text;
	return 0;
}

/* A hook does not have it. */
static int
take_away(struct facts *facts, struct bkp_error *err, const char *name)
{
	char *text = bkp_strdup(name, err);

	if (text == NULL)
		return -1;
	facts->items[facts->count++] = text;
	return 0;
}

static int
add_number(
    struct facts *facts, struct bkp_error *err, const char *name, uint64_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return add(facts, err, name, text);
}

/* The repository that a hook is told of: of those of this run the first that
 * has a snapshot, or else the first. */
static const struct bkp_job_repository *
main_repository(const struct job_run *run)
{
	const struct bkp_job_report *report = &run->job->report;

	for (size_t i = 0; i < report->repository_count; i++)
		if (report->repositories[i].snapshot != NULL)
			return &report->repositories[i];
	return report->repository_count > 0 ? &report->repositories[0] : NULL;
}

/* The name of a configured repository, or where it is: what --repository
 * takes. */
static const char *
place_of(const struct job_run *run, const struct bkp_job_repository *it)
{
	return run->config->repository_count > 0 && run->location == NULL
		   ? it->name
		   : it->location;
}

static int
add_repository(
    struct facts *facts, const struct job_run *run, struct bkp_error *err)
{
	const struct bkp_job_repository *it = main_repository(run);

	if (it == NULL)
		return 0;
	if (add(facts, err, "BACKUP_REPOSITORY", place_of(run, it)) < 0 ||
	    add(facts, err, "BACKUP_SNAPSHOT", it->snapshot) < 0 ||
	    add_number(facts, err, "BACKUP_BYTES", it->bytes) < 0)
		return -1;
	return add_number(facts, err, "BACKUP_BYTES_STORED", it->stored_bytes);
}

static int
exit_status_of(enum bkp_job_state state)
{
	if (state == BKP_JOB_FAILED)
		return 1;
	return state == BKP_JOB_DEGRADED ? 3 : 0;
}

static int
collect(struct facts *facts, const struct job_run *run, const char *name,
    struct bkp_error *err)
{
	const struct bkp_job_report *report = &run->job->report;
	bool is_before = strcmp(name, "before") == 0;
	enum bkp_job_state state = report->state;

	if (!is_before && state == BKP_JOB_RUNNING)
		state = BKP_JOB_COMPLETE;
	/* A hook is no part of the backup, and writes what it likes. */
	if (take_away(facts, err, "BACKUP_PASSPHRASE") < 0 ||
	    add(facts, err, "BACKUP_JOB", report->job) < 0 ||
	    add(facts, err, "BACKUP_HOOK", name) < 0 ||
	    add(facts, err, "BACKUP_STATE", bkp_job_state_name(state)) < 0 ||
	    add(facts, err, "BACKUP_STEP", report->failed_step) < 0 ||
	    add(facts, err, "BACKUP_ERROR", report->error) < 0 ||
	    add(facts, err, "BACKUP_STARTED",
		bkp_job_time(report->began_us).text) < 0 ||
	    add_number(facts, err, "BACKUP_DURATION_MS",
		(uint64_t)(bkp_job_now_us() - report->began_us) / 1000) < 0)
		return -1;
	if (run->config_file != NULL &&
	    add(facts, err, "BACKUP_CONFIG", run->config_file) < 0)
		return -1;
	if (!is_before && add_number(facts, err, "BACKUP_STATUS",
			      (uint64_t)exit_status_of(state)) < 0)
		return -1;
	return add_repository(facts, run, err);
}

/* ---- one hook ---- */

struct hook_lines {
	struct job_run *run;
	char path[80]; /* "before: docker" */
};

static void
on_line(void *arg, const char *text)
{
	struct hook_lines *lines = arg;

	bkp_job_tell(lines->run, BKP_INFO, lines->path, "%s", text);
}

/* Why it did not end well; "" where it did. */
static void
judge(const struct job_ending *ending, const char *program, uint64_t timeout_ms,
    const struct bkp_error *problem, char *out, size_t size)
{
	const char *colon = ending->errors[0] != '\0' ? ": " : "";

	out[0] = '\0';
	if (problem->code != BKP_OK)
		(void)snprintf(out, size, "%s", problem->message);
	else if (ending->is_overdue)
		(void)snprintf(out, size,
		    "%s has not ended within %s, and was %s%s%s", program,
		    bkp_span(timeout_ms).text,
		    ending->is_killed ? "killed" : "stopped", colon,
		    ending->errors);
	else if (ending->is_cancelled)
		(void)snprintf(out, size, "%s: stopped on request", program);
	else if (ending->signal_number != 0)
		(void)snprintf(out, size, "%s was ended by signal %d (%s)%s%s",
		    program, ending->signal_number,
		    sigdescr_np(ending->signal_number), colon, ending->errors);
	else if (ending->exit_status != 0)
		(void)snprintf(out, size, "%s: exit status %d%s%s", program,
		    ending->exit_status, colon, ending->errors);
}

/* The last words of a hook that went well are told, too. */
static void
tell_errors(struct hook_lines *lines, char *errors)
{
	char *rest = NULL;

	for (char *line = strtok_r(errors, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest))
		on_line(lines, line);
}

static int
run_hook(struct job_run *run, const char *name,
    const struct bkp_hook_config *hook, enum bkp_job_state worst, bool *is_well,
    struct bkp_error *err)
{
	struct hook_lines lines = {.run = run};
	struct job_ending ending = {.exit_status = -1};
	struct bkp_error problem = BKP_ERROR_INIT;
	struct facts facts = {.count = 0};
	bool is_before = strcmp(name, "before") == 0;
	uint64_t left = bkp_job_time_left(run);
	struct job_program program = {.limit_ms = hook->timeout_ms,
	    .grace_ms = GRACE_MS,
	    .arg = &lines,
	    .line = on_line,
	    /* What puts things back is not kept from it. */
	    .cancel = is_before ? run->options->cancel : NULL};
	struct bkp_job_step *step;
	const char **argv;
	char why[1400];
	int rc = -1;

	(void)snprintf(lines.path, sizeof(lines.path), "%s: %.60s", name,
	    hook->run.items[0]);
	if (is_before && left > 0 && left < program.limit_ms)
		program.limit_ms = left;
	argv = bkp_alloc_array(hook->run.count + 1, sizeof(*argv), err);
	step = bkp_job_step_begin(run, name, NULL, hook->run.items[0], err);
	if (argv == NULL || step == NULL || collect(&facts, run, name, err) < 0)
		goto out;
	memcpy(argv, hook->run.items, hook->run.count * sizeof(*argv));
	program.argv = argv;
	program.env = (const char *const *)facts.items;
	(void)bkp_job_program_run(&program, &ending, &problem);
	judge(&ending, hook->run.items[0], program.limit_ms, &problem, why,
	    sizeof(why));
	*is_well = why[0] == '\0';
	if (*is_well)
		tell_errors(&lines, ending.errors);
	else
		bkp_job_tell(run, BKP_WARNING, name, "%s", why);
	step->exit_status = ending.exit_status;
	step->signal_number = ending.signal_number;
	run->is_stopped |= ending.is_cancelled;
	rc = bkp_job_step_end(run, step, *is_well ? BKP_JOB_COMPLETE : worst,
	    *is_well ? NULL : why, err);
out:
	for (size_t i = 0; i < facts.count; i++)
		free(facts.items[i]);
	free(argv);
	return rc;
}

int
bkp_job_hooks(struct job_run *run, const char *name,
    const struct bkp_hook_list *hooks, enum bkp_job_state worst, bool *all_well,
    struct bkp_error *err)
{
	bool stops = strcmp(name, "before") == 0;

	*all_well = true;
	for (size_t i = 0; i < hooks->count; i++) {
		bool is_well = false;

		if (run_hook(
			run, name, &hooks->items[i], worst, &is_well, err) < 0)
			return -1;
		*all_well = *all_well && is_well;
		if (!is_well && stops)
			return 0;
	}
	return 0;
}
