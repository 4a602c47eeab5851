/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/jobs/state.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/base/place.h"

#define STATE_VERSION 1

/* ---- where ---- */

char *
bkp_job_config_file(const struct bkp_config *config, struct bkp_error *err)
{
	const char *path = bkp_config_path(config);
	char *folder, *full;

	if (path == NULL)
		return NULL;
	if (path[0] == '/')
		return bkp_strdup(path, err);
	if ((folder = getcwd(NULL, 0)) == NULL) {
		(void)bkp_fail_errno(err, errno, "looking for %s", path);
		return NULL;
	}
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	full = bkp_format(err, "%s/%s", folder, path);
	free(folder);
	return full;
}

char *
bkp_job_state_path(const char *config_file, const char *job,
    const char *elsewhere, const char *ending, struct bkp_error *err)
{
	const char *file = config_file != NULL ? config_file : "";
	char *folder = bkp_state_directory("jobs", err), *path;
	XXH64_hash_t digits = XXH64(file, strlen(file), 0);

	if (folder == NULL)
		return NULL;
	if (elsewhere != NULL)
		digits = XXH64(elsewhere, strlen(elsewhere), digits);
	path = bkp_format(err, "%s/%s.%08x%s", folder, job,
	    (unsigned)(digits & 0xffffffff), ending);
	free(folder);
	return path;
}

/* ---- writing ---- */

static json_t *
text_of(const char *text)
{
	json_t *value = text != NULL ? json_string(text) : json_null();

	/* What is no UTF-8 is told elsewhere. */
	return value != NULL ? value : json_string("?");
}

static json_t *
time_of(int64_t us)
{
	return us > 0 ? json_string(bkp_job_time(us).text) : json_null();
}

static const char *
state_of(enum bkp_job_state state)
{
	return bkp_job_state_name(state);
}

static json_t *
step_object(const struct bkp_job_step *step)
{
	return json_pack("{s:s, s:o, s:o, s:s, s:i, s:i, s:o, s:o, s:o}",
	    "name", step->name, "repository", text_of(step->repository), "what",
	    text_of(step->what), "state", state_of(step->state), "exit_status",
	    step->exit_status, "signal", step->signal_number, "error",
	    text_of(step->error), "began", time_of(step->began_us), "ended",
	    time_of(step->ended_us));
}

static json_t *
repository_object(const struct bkp_job_repository *it)
{
	return json_pack(
	    "{s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, "
	    "s:o, s:o, s:o}",
	    "name", it->name, "location", text_of(it->location), "state",
	    state_of(it->state), "snapshot", text_of(it->snapshot), "bytes",
	    (json_int_t)it->bytes, "stored_bytes", (json_int_t)it->stored_bytes,
	    "entries", (json_int_t)it->entries, "rows", (json_int_t)it->rows,
	    "objects", (json_int_t)it->objects, "files", (json_int_t)it->files,
	    "omissions", (json_int_t)it->omissions, "last_success",
	    time_of(it->last_success_us), "last_complete",
	    time_of(it->last_complete_us), "last_proof",
	    time_of(it->last_proof_us), "proven_snapshot",
	    text_of(it->proven_snapshot), "last_prune",
	    time_of(it->last_prune_us));
}

static json_t *
report_object(const char *config_file, const struct bkp_job *job)
{
	const struct bkp_job_report *report = &job->report;
	json_t *steps = json_array(), *repositories = json_array();

	for (size_t i = 0; i < report->step_count; i++)
		(void)json_array_append_new(
		    steps, step_object(&report->steps[i]));
	for (size_t i = 0; i < report->repository_count; i++)
		(void)json_array_append_new(
		    repositories, repository_object(&report->repositories[i]));
	for (size_t i = 0; i < job->kept_count; i++)
		(void)json_array_append_new(
		    repositories, repository_object(&job->kept[i]));
	return json_pack(
	    "{s:i, s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:o, "
	    "s:I, s:o, s:o}",
	    "version", STATE_VERSION, "job", report->job, "host",
	    text_of(report->host), "config", text_of(config_file), "state",
	    state_of(report->state), "previous", state_of(report->previous),
	    "previous_began", time_of(report->previous_began_us),
	    "previous_ended", time_of(report->previous_ended_us), "exit_status",
	    report->exit_status, "error", text_of(report->error), "failed_step",
	    text_of(report->failed_step), "began", time_of(report->began_us),
	    "ended", time_of(report->ended_us), "failures",
	    (json_int_t)report->failures, "steps", steps, "repositories",
	    repositories);
}

int
bkp_job_state_write(const char *path, const char *config_file,
    const struct bkp_job *job, struct bkp_error *err)
{
	json_t *object = report_object(config_file, job);
	char *text = object != NULL ? json_dumps(object, JSON_INDENT(1)) : NULL;
	int rc;

	json_decref(object);
	if (text == NULL)
		return bkp_fail_nomem(err, "writing what became of the job");
	rc = bkp_place_write(path, text, strlen(text), err);
	free(text);
	return rc;
}

/* ---- reading ---- */

static int64_t
time_in(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	int64_t us = 0;

	return text != NULL && bkp_instant_read(text, &us) ? us : 0;
}

static uint64_t
number_in(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}

static enum bkp_job_state
state_in(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	for (int i = BKP_JOB_NONE; i <= BKP_JOB_NOT_DUE; i++)
		if (text != NULL &&
		    strcmp(text, bkp_job_state_name((enum bkp_job_state)i)) ==
			0)
			return (enum bkp_job_state)i;
	return BKP_JOB_NONE;
}

/* A text or null, into the job's memory. */
static int
text_in(struct bkp_job *job, const json_t *object, const char *name,
    const char **out, struct bkp_error *err)
{
	const char *text = json_string_value(json_object_get(object, name));

	*out = bkp_job_text(job, text, err);
	return text == NULL || *out != NULL ? 0 : -1;
}

static int
read_step(struct bkp_job *job, const json_t *object, struct bkp_error *err)
{
	struct bkp_job_step *step = bkp_job_add_step(job, err);

	if (step == NULL ||
	    text_in(job, object, "name", &step->name, err) < 0 ||
	    text_in(job, object, "repository", &step->repository, err) < 0 ||
	    text_in(job, object, "what", &step->what, err) < 0 ||
	    text_in(job, object, "error", &step->error, err) < 0)
		return -1;
	if (step->name == NULL)
		step->name = "";
	step->state = state_in(object, "state");
	step->exit_status =
	    (int)json_integer_value(json_object_get(object, "exit_status"));
	step->signal_number = (int)number_in(object, "signal");
	step->began_us = time_in(object, "began");
	step->ended_us = time_in(object, "ended");
	return 0;
}

static int
read_repository(
    struct bkp_job *job, const json_t *object, struct bkp_error *err)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	struct bkp_job_repository *it;

	if (name == NULL)
		return bkp_fail(err, BKP_CORRUPT, "a repository has no name");
	it = bkp_job_add_repository(job, name, err);
	if (it == NULL ||
	    text_in(job, object, "location", &it->location, err) < 0 ||
	    text_in(job, object, "snapshot", &it->snapshot, err) < 0 ||
	    text_in(job, object, "proven_snapshot", &it->proven_snapshot, err) <
		0)
		return -1;
	it->state = state_in(object, "state");
	it->bytes = number_in(object, "bytes");
	it->stored_bytes = number_in(object, "stored_bytes");
	it->entries = number_in(object, "entries");
	it->rows = number_in(object, "rows");
	it->objects = number_in(object, "objects");
	it->files = number_in(object, "files");
	it->omissions = number_in(object, "omissions");
	it->last_success_us = time_in(object, "last_success");
	it->last_complete_us = time_in(object, "last_complete");
	it->last_proof_us = time_in(object, "last_proof");
	it->last_prune_us = time_in(object, "last_prune");
	return 0;
}

static int
read_report(struct bkp_job *job, const json_t *object, struct bkp_error *err)
{
	struct bkp_job_report *report = &job->report;
	const json_t *item;
	size_t i;

	if (json_integer_value(json_object_get(object, "version")) !=
	    STATE_VERSION)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "it is of a version that is not known here");
	if (text_in(job, object, "job", &report->job, err) < 0 ||
	    text_in(job, object, "host", &report->host, err) < 0 ||
	    text_in(job, object, "error", &report->error, err) < 0 ||
	    text_in(job, object, "failed_step", &report->failed_step, err) < 0)
		return -1;
	report->state = state_in(object, "state");
	report->previous = state_in(object, "previous");
	report->previous_began_us = time_in(object, "previous_began");
	report->previous_ended_us = time_in(object, "previous_ended");
	report->exit_status =
	    (int)json_integer_value(json_object_get(object, "exit_status"));
	report->began_us = time_in(object, "began");
	report->ended_us = time_in(object, "ended");
	report->failures = number_in(object, "failures");
	json_array_foreach(json_object_get(object, "steps"), i,
	    item) if (read_step(job, item, err) < 0) return -1;
	json_array_foreach(json_object_get(object, "repositories"), i,
	    item) if (read_repository(job, item, err) < 0) return -1;
	return 0;
}

int
bkp_job_state_read(
    const char *path, struct bkp_job **out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_job *job = NULL;
	json_t *object = NULL;
	int rc = -1;

	if (bkp_place_read(path, &text, err) < 0)
		goto out;
	object =
	    json_loadb((const char *)text.data, text.len, JSON_ALLOW_NUL, NULL);
	if (object == NULL) {
		(void)bkp_fail(err, BKP_CORRUPT, "%s is no JSON", path);
		goto out;
	}
	if ((job = bkp_job_new(err)) == NULL)
		goto out;
	if (read_report(job, object, err) < 0) {
		(void)bkp_fail_in(err, "%s", path);
		goto out;
	}
	*out = job;
	job = NULL;
	rc = 0;
out:
	bkp_job_free(job);
	json_decref(object);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_job_last(const struct bkp_config *config, const char *name,
    struct bkp_job **out, struct bkp_error *err)
{
	char *file = NULL, *path = NULL;
	int rc = -1;

	if (bkp_config_path(config) != NULL &&
	    (file = bkp_job_config_file(config, err)) == NULL)
		return -1;
	path = bkp_job_state_path(
	    file, name != NULL ? name : "default", NULL, ".json", err);
	if (path != NULL)
		rc = bkp_job_state_read(path, out, err);
	free(path);
	free(file);
	return rc;
}
