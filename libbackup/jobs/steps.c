/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that a job runs, and what their events say. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/jobs/job_impl.h"
#include "libbackup/jobs/program.h"

#define GRACE_MS 60000
#define ARGUMENTS_MAX 16

/* One command as it runs. */
struct command {
	struct job_run *run;
	const char *step;       /* "backup" */
	const char *program;    /* "backup-create" */
	const char *repository; /* its name */
	const char *label;      /* "offsite"; NULL where there is one alone */
	bool is_asking;         /* what it lists is for us */
	json_t *result;         /* owned; its last event, NULL: none */
	char error[700];        /* of its error event */
	char first_warning[400];
	void (*event)(struct command *command, const json_t *event);
	/* What backup-list tells of proofs. */
	int64_t proven_us;
	char proven[80];
};

static const char *
string_in(const json_t *event, const char *name)
{
	const char *text = json_string_value(json_object_get(event, name));

	return text != NULL ? text : "";
}

static uint64_t
number_in(const json_t *event, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(event, name));

	return n > 0 ? (uint64_t)n : 0;
}

/* ---- what it says ---- */

static void
on_message(struct command *command, const json_t *event, bool is_omission)
{
	const char *path = json_string_value(json_object_get(event, "path"));
	const char *text = string_in(event, "text");
	enum bkp_level level =
	    is_omission                                         ? BKP_OMISSION
	    : strcmp(string_in(event, "level"), "warning") == 0 ? BKP_WARNING
								: BKP_INFO;
	char whole[1500];
	bool has_path = path != NULL && strncmp(text, path, strlen(path)) != 0;

	if (level != BKP_INFO && command->first_warning[0] == '\0')
		(void)snprintf(command->first_warning,
		    sizeof(command->first_warning), "%s%s%s%s",
		    is_omission ? "left out: " : "", has_path ? path : "",
		    has_path ? ": " : "", text);
	if (command->is_asking && level == BKP_INFO)
		return;
	(void)snprintf(whole, sizeof(whole), "%s%s%s", has_path ? path : "",
	    has_path ? ": " : "", text);
	/* Whoever takes the lines themselves has it already. */
	if (command->run->options->line != NULL && !command->is_asking)
		bkp_job_keep(command->run, command->label, whole);
	else
		bkp_job_tell(command->run, level, command->label, "%s", whole);
}

static void
on_progress(struct command *command, const json_t *event)
{
	const struct bkp_events *events = &command->run->options->events;
	char phase[200];
	const struct bkp_progress progress = {.phase = phase,
	    .bytes_done = number_in(event, "bytes_done"),
	    .bytes_total = number_in(event, "bytes_total"),
	    .items_done = number_in(event, "items_done"),
	    .items_total = number_in(event, "items_total"),
	    .elapsed_ms = number_in(event, "elapsed_ms")};

	if (events->progress == NULL || command->is_asking ||
	    command->run->options->line != NULL)
		return;
	(void)snprintf(phase, sizeof(phase), "%s%s%s",
	    command->label != NULL ? command->label : "",
	    command->label != NULL ? ": " : "", string_in(event, "phase"));
	events->progress(events->arg, &progress);
}

static void
on_line(void *arg, const char *text)
{
	struct command *command = arg;
	const struct bkp_job_options *options = command->run->options;
	json_t *event = json_loads(text, 0, NULL);
	const char *type = string_in(event, "type");

	if (options->line != NULL && !command->is_asking)
		options->line(
		    options->arg, command->step, command->repository, text);
	if (strcmp(type, "message") == 0)
		on_message(command, event, false);
	else if (strcmp(type, "omission") == 0)
		on_message(command, event, true);
	else if (strcmp(type, "progress") == 0)
		on_progress(command, event);
	else if (strcmp(type, "error") == 0)
		(void)snprintf(command->error, sizeof(command->error), "%s",
		    string_in(event, "text"));
	else if (strcmp(type, "result") == 0) {
		json_decref(command->result);
		command->result = json_incref(event);
	} else if (command->event != NULL)
		command->event(command, event);
	json_decref(event);
}

/* ---- running it ---- */

static char *
find_program(const struct job_run *run, const char *name, struct bkp_error *err)
{
	if (run->options->programs == NULL)
		return bkp_strdup(name, err);
	return bkp_format(err, "%s/%s", run->options->programs, name);
}

/* "--repository" takes the name of a configured one, or its place where it was
 * given; a file with one alone needs neither. */
static const char *
repository_argument(const struct command *command)
{
	const struct job_run *run = command->run;

	if (run->location != NULL)
		return run->location;
	return run->config->repository_count > 0 ? command->repository : NULL;
}

/* `argv` has room for all of it; what `extra` says comes last. */
static void
make_arguments(const struct command *command, const char *program,
    const char *const *extra, const char **argv)
{
	const struct job_run *run = command->run;
	const char *repository = repository_argument(command);
	size_t n = 0;

	argv[n++] = program;
	argv[n++] = "--json";
	if (run->config_file != NULL) {
		argv[n++] = "--config";
		argv[n++] = run->config_file;
		if (run->config->job_count > 0) {
			argv[n++] = "--job";
			argv[n++] = run->job->report.job;
		}
	}
	if (repository != NULL) {
		argv[n++] = "--repository";
		argv[n++] = repository;
	}
	for (; extra != NULL && *extra != NULL; extra++)
		argv[n++] = *extra;
	argv[n] = NULL;
}

static size_t
count(const char *const *texts)
{
	size_t n = 0;

	while (texts != NULL && texts[n] != NULL)
		n++;
	return n;
}

/* The options of all commands and the operands of this one. */
static int
run_command(struct command *command, const char *const *operands,
    struct job_ending *ending, struct bkp_error *err)
{
	const struct job_run *run = command->run;
	const struct bkp_job_options *options = run->options;
	size_t given = count(options->arguments), own = count(operands);
	const char **argv =
	    bkp_alloc_array(given + own + ARGUMENTS_MAX, sizeof(*argv), err);
	char *program = find_program(run, command->program, err);
	const char **at;
	struct job_program it = {.argv = argv,
	    /* What is said here is in the file or among the arguments. */
	    .env = (const char *const[]){"BACKUP_JOB", NULL},
	    .limit_ms = bkp_job_time_left(run),
	    .grace_ms = options->grace_ms > 0 ? options->grace_ms : GRACE_MS,
	    .errors_fd = options->errors_fd,
	    .cancel = options->cancel,
	    .arg = command,
	    .line = on_line};
	int rc = -1;

	if (argv != NULL && program != NULL) {
		make_arguments(command, program, options->arguments, argv);
		for (at = argv; *at != NULL;)
			at++;
		for (; own > 0; own--)
			*at++ = *operands++;
		rc = bkp_job_program_run(&it, ending, err);
	}
	free(program);
	free(argv);
	return rc;
}

/* Why a command did not do what it should; "" where it did. */
static void
judge(const struct command *command, const struct job_ending *ending,
    const struct bkp_error *problem, char *out, size_t size)
{
	const struct job_run *run = command->run;
	const char *name = command->program;

	out[0] = '\0';
	if (problem->code != BKP_OK)
		(void)snprintf(out, size, "%s: %s", name, problem->message);
	else if (ending->is_overdue)
		(void)snprintf(out, size,
		    "the time limit of %s is over: %s was %s",
		    bkp_span(run->config->job.time_limit_ms).text, name,
		    ending->is_killed ? "killed, for it did not end when it "
					"was asked to"
				      : "ended");
	else if (ending->is_cancelled)
		(void)snprintf(out, size, "%s: stopped on request%s", name,
		    ending->is_killed ? ", and killed" : "");
	else if (ending->signal_number != 0)
		(void)snprintf(out, size, "%s was ended by signal %d (%s)%s",
		    name, ending->signal_number,
		    sigdescr_np(ending->signal_number),
		    ending->signal_number == 9
			? "; where nobody sent it, the machine was out of "
			  "memory, and its log says so"
			: "");
	else if (ending->exit_status != 0 && ending->exit_status != 3)
		(void)snprintf(out, size, "%s",
		    command->error[0] != '\0' ? command->error : "");
	else if (command->result == NULL)
		(void)snprintf(out, size,
		    "%s ended with exit status %d and told no result", name,
		    ending->exit_status);
	else
		return;
	if (out[0] == '\0')
		(void)snprintf(
		    out, size, "%s: exit status %d", name, ending->exit_status);
}

/* Runs it as a step. *state is what became of it; `why` has room for that. */
static int
run_step(struct command *command, const char *const *operands,
    struct bkp_job_step *step, enum bkp_job_state *state, char *why,
    size_t size, struct bkp_error *err)
{
	struct job_ending ending = {.exit_status = -1};
	struct bkp_error problem = BKP_ERROR_INIT;
	struct job_run *run = command->run;

	if (run_command(command, operands, &ending, &problem) < 0 &&
	    problem.code == BKP_NOMEM) {
		*err = problem;
		return -1;
	}
	judge(command, &ending, &problem, why, size);
	step->exit_status = ending.exit_status;
	step->signal_number = ending.signal_number;
	run->is_stopped |= ending.is_cancelled;
	run->is_over |= ending.is_overdue;
	*state = BKP_JOB_COMPLETE;
	if (why[0] != '\0') {
		*state = BKP_JOB_FAILED;
		bkp_job_tell(run, BKP_WARNING, command->label, "%s", why);
	} else if (ending.exit_status == 3) {
		*state = BKP_JOB_DEGRADED;
		(void)snprintf(why, size, "%s: %s", command->program,
		    command->first_warning[0] != '\0'
			? command->first_warning
			: "degraded; what is missing was named");
	}
	return 0;
}

static struct command
make_command(struct job_run *run, const char *step, const char *program,
    const struct bkp_job_repository *repository)
{
	return (struct command){.run = run,
	    .step = step,
	    .program = program,
	    .repository = repository->name,
	    .label =
		run->config->repository_count > 0 ? repository->name : NULL};
}

/* ---- the backup ---- */

static int
take_result(struct job_run *run, struct bkp_job_repository *it,
    const json_t *result, struct bkp_error *err)
{
	const char *snapshot = string_in(result, "snapshot");

	it->bytes = number_in(result, "bytes");
	it->stored_bytes = number_in(result, "stored_bytes");
	it->entries = number_in(result, "entries");
	it->rows = number_in(result, "rows");
	it->objects = number_in(result, "objects");
	it->files = number_in(result, "files");
	it->omissions = number_in(result, "omissions");
	if (*snapshot == '\0')
		return 0;
	it->snapshot = bkp_job_text(run->job, snapshot, err);
	return it->snapshot != NULL ? 0 : -1;
}

/* A snapshot without anything of a source would keep --if-missed from trying
 * again, and a monitor quiet. */
static bool
lacks_source(const struct command *command, enum bkp_job_state *state,
    char *why, size_t size)
{
	if (*state == BKP_JOB_FAILED ||
	    !bkp_job_find_gone(command->run->config, why, size))
		return false;
	*state = BKP_JOB_FAILED;
	return true;
}

int
bkp_job_backup(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_error *err)
{
	struct command command =
	    make_command(run, "backup", "backup-create", repository);
	struct bkp_job_step *step =
	    bkp_job_step_begin(run, "backup", repository->name, NULL, err);
	enum bkp_job_state state = BKP_JOB_FAILED;
	char why[1200];
	int rc = -1;

	if (step == NULL ||
	    run_step(&command, NULL, step, &state, why, sizeof(why), err) < 0)
		goto out;
	if (lacks_source(&command, &state, why, sizeof(why)))
		bkp_job_tell(run, BKP_WARNING, command.label, "%s", why);
	repository->state = state;
	if (state != BKP_JOB_FAILED) {
		if (take_result(run, repository, command.result, err) < 0)
			goto out;
		repository->last_success_us = bkp_job_now_us();
		if (state == BKP_JOB_COMPLETE)
			repository->last_complete_us =
			    repository->last_success_us;
	}
	rc = bkp_job_step_end(
	    run, step, state, why[0] != '\0' ? why : NULL, err);
out:
	json_decref(command.result);
	return rc;
}

/* What the one command says of this repository; NULL: nothing. */
static const json_t *
find_part(const struct command *command, const char *name)
{
	const json_t *parts = json_object_get(command->result, "repositories");

	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *part = json_array_get(parts, i);

		if (strcmp(string_in(part, "name"), name) == 0)
			return part;
	}
	return NULL;
}

static int
take_part(struct job_run *run, struct bkp_job_repository *it,
    const struct command *command, const json_t *part, struct bkp_error *err)
{
	if (take_result(run, it, command->result, err) < 0)
		return -1;
	it->stored_bytes = number_in(part, "stored_bytes");
	it->omissions = number_in(part, "omissions");
	it->snapshot = bkp_job_text(run->job, string_in(part, "snapshot"), err);
	if (it->snapshot == NULL)
		return -1;
	it->last_success_us = bkp_job_now_us();
	if (it->state == BKP_JOB_COMPLETE)
		it->last_complete_us = it->last_success_us;
	return 0;
}

/* Ends the step of one repository. `why`: of the whole command; `is_gone`: it
 * is that a source is gone. */
static int
end_part(struct job_run *run, struct bkp_job_repository *it,
    const struct command *command, struct bkp_job_step *step, bool is_gone,
    const char *why, struct bkp_error *err)
{
	const json_t *part = find_part(command, it->name);
	bool is_there =
	    part != NULL && *string_in(part, "snapshot") != '\0' && !is_gone;
	uint64_t flaws =
	    number_in(part, "omissions") + number_in(part, "problems");

	if (is_there) {
		it->state = flaws > 0 ? BKP_JOB_DEGRADED : BKP_JOB_COMPLETE;
		step->exit_status = flaws > 0 ? 3 : 0;
		step->signal_number = 0;
		if (take_part(run, it, command, part, err) < 0)
			return -1;
		return bkp_job_step_end(
		    run, step, it->state, flaws > 0 ? why : NULL, err);
	}
	it->state = BKP_JOB_FAILED;
	if (part != NULL && !is_gone) {
		step->exit_status = 1;
		why = string_in(part, "why");
	}
	return bkp_job_step_end(run, step, it->state, why, err);
}

/* One command, so that what can be read once is; a step for each. */
int
bkp_job_backup_all(struct job_run *run, struct bkp_error *err)
{
	struct command command = {
	    .run = run, .step = "backup", .program = "backup-create"};
	struct bkp_job *job = run->job;
	struct bkp_job_step *step = bkp_job_step_begin(
	    run, "backup", job->repositories[0].name, NULL, err);
	enum bkp_job_state state = BKP_JOB_FAILED;
	struct bkp_job_step first;
	bool is_gone;
	char why[1200];
	int rc = -1;

	if (step == NULL ||
	    run_step(&command, NULL, step, &state, why, sizeof(why), err) < 0)
		goto out;
	first = *step;
	is_gone = lacks_source(&command, &state, why, sizeof(why));
	if (is_gone)
		bkp_job_tell(run, BKP_WARNING, NULL, "%s", why);
	rc = end_part(
	    run, &job->repositories[0], &command, step, is_gone, why, err);
	for (size_t i = 1; rc == 0 && i < job->report.repository_count; i++) {
		struct bkp_job_repository *it = &job->repositories[i];

		step = bkp_job_step_begin(run, "backup", it->name, NULL, err);
		if (step == NULL) {
			rc = -1;
			break;
		}
		step->began_us = first.began_us;
		step->exit_status = first.exit_status;
		step->signal_number = first.signal_number;
		rc = end_part(run, it, &command, step, is_gone, why, err);
	}
out:
	json_decref(command.result);
	return rc;
}

/* ---- the prune ---- */

/* The backup is there whatever becomes of the prune. */
int
bkp_job_prune(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_error *err)
{
	struct command command =
	    make_command(run, "prune", "backup-prune", repository);
	struct bkp_job_step *step =
	    bkp_job_step_begin(run, "prune", repository->name, NULL, err);
	enum bkp_job_state state = BKP_JOB_FAILED;
	char why[1200];
	int rc = -1;

	if (step != NULL && run_step(&command, NULL, step, &state, why,
				sizeof(why), err) == 0) {
		if (state == BKP_JOB_COMPLETE)
			repository->last_prune_us = bkp_job_now_us();
		if (state == BKP_JOB_FAILED && !run->is_stopped &&
		    !run->is_over)
			state = BKP_JOB_DEGRADED;
		rc = bkp_job_step_end(
		    run, step, state, why[0] != '\0' ? why : NULL, err);
	}
	json_decref(command.result);
	return rc;
}

/* ---- the proof ---- */

/* Whether the snapshot is of all that the job has; another job's may not be. */
static bool
has_all_sources(const struct bkp_config *config, const json_t *event)
{
	const json_t *sources = json_object_get(event, "sources");
	const json_t *source;
	size_t i, k;

	for (i = 0; i < config->source_count; i++) {
		bool is_there = false;

		json_array_foreach(sources, k,
		    source) if (strcmp(string_in(source, "prefix"),
				    config->sources[i].prefix) == 0) is_there =
		    true;
		if (!is_there)
			return false;
	}
	return true;
}

static void
on_snapshot(struct command *command, const json_t *event)
{
	int64_t us = 0;

	if (strcmp(string_in(event, "type"), "snapshot") != 0 ||
	    !bkp_instant_read(string_in(event, "proven"), &us) ||
	    us <= command->proven_us ||
	    !has_all_sources(command->run->config, event))
		return;
	command->proven_us = us;
	(void)snprintf(command->proven, sizeof(command->proven), "%s",
	    string_in(event, "name"));
}

/* Asks the repository for its last proof. Where it does not answer, what this
 * machine remembers stands. */
static int
ask_proofs(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_error *err)
{
	struct command command =
	    make_command(run, "verify", "backup-list", repository);
	struct job_ending ending = {.exit_status = -1};
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = 0;

	command.is_asking = true;
	command.event = on_snapshot;
	(void)run_command(&command, NULL, &ending, &problem);
	if (problem.code == BKP_NOMEM) {
		*err = problem;
		rc = -1;
	} else if (command.result != NULL) {
		repository->last_proof_us = command.proven_us;
		repository->is_unproven = command.proven_us == 0;
		repository->proven_snapshot = NULL;
		if (command.proven_us > 0)
			repository->proven_snapshot =
			    bkp_job_text(run->job, command.proven, err);
	}
	json_decref(command.result);
	return rc;
}

static bool
is_due(const struct job_run *run, const struct bkp_job_repository *it)
{
	int64_t every_us = (int64_t)run->config->verification.every_ms * 1000;
	int64_t now = bkp_job_now_us();

	/* A proof from the future is of a clock that was wrong. */
	return it->last_proof_us <= 0 || it->last_proof_us > now + every_us ||
	       now - it->last_proof_us >= every_us;
}

static bool
has_content_key(const struct job_run *run)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	bkp_config_keys(run->config, &keys);
	return run->options->has_content_key || keys.identity_file != NULL ||
	       keys.passphrase != NULL;
}

static int
prove(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_job_step *step, struct bkp_error *err)
{
	struct command command =
	    make_command(run, "verify", "backup-verify", repository);
	const char *operands[] = {repository->snapshot, NULL};
	enum bkp_job_state state = BKP_JOB_FAILED;
	char why[1200];
	int rc =
	    run_step(&command, operands, step, &state, why, sizeof(why), err);

	if (rc == 0 && state != BKP_JOB_FAILED &&
	    json_is_true(json_object_get(command.result, "is_proven"))) {
		repository->last_proof_us = bkp_job_now_us();
		repository->is_unproven = 0;
		repository->proven_snapshot = repository->snapshot;
	}
	/* A verdict is not an error event: it says why in its own way. */
	if (rc == 0 && state == BKP_JOB_FAILED && command.result != NULL &&
	    command.error[0] == '\0' && !run->is_over && !run->is_stopped)
		(void)snprintf(why, sizeof(why),
		    "the snapshot is not proven: %llu checks failed",
		    (unsigned long long)number_in(command.result, "failed"));
	if (rc == 0)
		rc = bkp_job_step_end(
		    run, step, state, why[0] != '\0' ? why : NULL, err);
	json_decref(command.result);
	return rc;
}

int
bkp_job_verify(struct job_run *run, struct bkp_job_repository *repository,
    struct bkp_error *err)
{
	static const char no_key[] =
	    "a verification is due, and nothing here opens contents: give "
	    "backup-run an --identity-file, or verify on another host and take "
	    "`every` out of 'verification'";
	struct bkp_job_step *step;

	if (ask_proofs(run, repository, err) < 0)
		return -1;
	if (!is_due(run, repository))
		return 0;
	step = bkp_job_step_begin(run, "verify", repository->name, NULL, err);
	if (step == NULL)
		return -1;
	if (has_content_key(run))
		return prove(run, repository, step, err);
	bkp_job_tell(run, BKP_WARNING,
	    run->config->repository_count > 0 ? repository->name : NULL, "%s",
	    no_key);
	return bkp_job_step_end(run, step, BKP_JOB_DEGRADED, no_key, err);
}
