/* SPDX-License-Identifier: Apache-2.0 */
/* backup-run: jobs of the configuration, one after the other. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"

#define ARGUMENTS_MAX 12

static const struct cli_command command = {
    .name = "backup-run",
    .summary = "Run jobs of the configuration: hooks, a backup into each "
	       "repository, prune and\nverification where they are due; tell "
	       "what became of it.",
    .usage = (const char *const[]){"[JOB...]", "--notify-test [JOB...]", NULL},
    .operands = (const char *const[]){"JOB  a job of the configuration; none: "
				      "all of them, or, where the",
	"     file has no `jobs`, all of the file as the job \"default\"",
	NULL},
    .statuses = (const char *const[]){"0  complete, or not due",
	"1  a backup or a proof failed, or the job was not begun: it runs "
	"already, or",
	"   it is not the time", "2  wrong usage",
	"3  degraded: there are backups; what is not right was named; or not "
	"all",
	"   notifications could be tested", NULL},
    .examples = (const char *const[]){"backup-run nightly",
	"backup-run --if-missed 24h", "backup-run --notify-test", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS,
    .operands_max = -1,
};

/* What the callbacks need. */
struct running {
	struct cli *cli;
	const char *job;
};

/* ---- JSON ---- */

static json_t *
time_json(int64_t us)
{
	char text[CLI_TEXT_SIZE];

	return us == 0 ? json_null() : json_string(cli_time_utc(us, text));
}

static json_t *
duration_json(int64_t began_us, int64_t ended_us)
{
	return json_integer(
	    ended_us > began_us ? (json_int_t)(ended_us - began_us) / 1000 : 0);
}

/* An event of a command, with the job and the step that it is of. */
static void
on_line(void *arg, const char *step, const char *repository, const char *line)
{
	struct running *running = arg;
	json_t *event = json_loads(line, 0, NULL);

	if (!json_is_object(event)) {
		json_decref(event);
		event = json_pack("{s:s, s:o}", "type", "output", "text",
		    cli_json_text(line));
	}
	event = cli_with(event, "job", cli_json_text(running->job));
	event = cli_with(event, "step", json_string(step));
	cli_emit(running->cli,
	    cli_with(event, "repository", cli_json_text(repository)));
}

static void
on_message(void *arg, enum bkp_level level, const char *path, const char *text)
{
	struct running *running = arg;
	struct bkp_events events = cli_events(running->cli);

	if (!running->cli->is_json) {
		events.message(events.arg, level, path, text);
		return;
	}
	if (running->cli->is_quiet && level == BKP_INFO)
		return;
	cli_emit(running->cli,
	    json_pack("{s:s, s:s, s:o, s:o, s:o}", "type", "message", "level",
		level == BKP_INFO ? "info" : "warning", "path",
		cli_json_text(path), "text", cli_json_text(text), "job",
		cli_json_text(running->job)));
}

static void
on_progress(void *arg, const struct bkp_progress *progress)
{
	struct running *running = arg;

	cli_progress_show(running->cli, progress);
}

static json_t *
step_json(const struct bkp_job_step *step)
{
	return json_pack("{s:s, s:o, s:o, s:s, s:i, s:i, s:o, s:o, s:o}",
	    "name", step->name, "repository", cli_json_text(step->repository),
	    "what", cli_json_text(step->what), "state",
	    bkp_job_state_name(step->state), "exit_status", step->exit_status,
	    "signal", step->signal_number, "error", cli_json_text(step->error),
	    "began", time_json(step->began_us), "duration_ms",
	    duration_json(step->began_us, step->ended_us));
}

static void
on_step(void *arg, const struct bkp_job_step *step)
{
	struct running *running = arg;
	json_t *event, *members;

	if (!running->cli->is_json)
		return;
	event = json_pack("{s:s}", "type", "step");
	members = step_json(step);
	if (json_object_update(event, members) != 0) {
		json_decref(event);
		event = NULL;
	}
	json_decref(members);
	cli_emit(
	    running->cli, cli_with(event, "job", cli_json_text(running->job)));
}

static json_t *
repository_json(const struct bkp_job_repository *it)
{
	return json_pack(
	    "{s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "name",
	    cli_json_text(it->name), "location", cli_json_text(it->location),
	    "state", bkp_job_state_name(it->state), "snapshot",
	    cli_json_text(it->snapshot), "bytes", (json_int_t)it->bytes,
	    "stored_bytes", (json_int_t)it->stored_bytes, "entries",
	    (json_int_t)it->entries, "omissions", (json_int_t)it->omissions,
	    "last_success", time_json(it->last_success_us), "last_proof",
	    time_json(it->last_proof_us), "last_prune",
	    time_json(it->last_prune_us));
}

static void
emit_report(struct cli *cli, const struct bkp_job_report *r)
{
	json_t *steps = json_array(), *repositories = json_array();

	for (size_t i = 0; i < r->step_count; i++)
		(void)json_array_append_new(steps, step_json(&r->steps[i]));
	for (size_t i = 0; i < r->repository_count; i++)
		(void)json_array_append_new(
		    repositories, repository_json(&r->repositories[i]));
	cli_emit(cli,
	    json_pack(
		"{s:s, s:s, s:o, s:o, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, "
		"s:o}",
		"type", "result", "command", command.name, "job",
		cli_json_text(r->job), "host", cli_json_text(r->host), "state",
		bkp_job_state_name(r->state), "previous",
		bkp_job_state_name(r->previous), "exit_status", r->exit_status,
		"failed_step", cli_json_text(r->failed_step), "error",
		cli_json_text(r->error), "began", time_json(r->began_us),
		"duration_ms", duration_json(r->began_us, r->ended_us), "steps",
		steps, "repositories", repositories));
}

/* ---- lines for people ---- */

static void
print_step(FILE *out, const struct bkp_job_step *step,
    const struct bkp_job_report *report)
{
	char a[CLI_TEXT_SIZE];
	size_t i;

	(void)fprintf(out, "  %-8s ", step->name);
	if (step->repository != NULL || step->what != NULL)
		cli_print_escaped(out,
		    step->repository != NULL ? step->repository : step->what);
	(void)fprintf(out, "  %s in %s", bkp_job_state_name(step->state),
	    cli_duration(
		(uint64_t)(step->ended_us - step->began_us) / 1000, a));
	for (i = 0;
	     strcmp(step->name, "backup") == 0 && i < report->repository_count;
	     i++) {
		const struct bkp_job_repository *it = &report->repositories[i];

		if (it->snapshot != NULL &&
		    strcmp(it->name, step->repository) == 0)
			(void)fprintf(out, ": snapshot %.12s, %s stored",
			    it->snapshot, cli_size(it->stored_bytes, a));
	}
	(void)fputc('\n', out);
}

static void
print_report(struct cli *cli, const struct bkp_job_report *r)
{
	FILE *out = stdout;
	char a[CLI_TEXT_SIZE];

	cli_progress_clear(cli);
	if (cli->is_quiet && r->exit_status == 0)
		return;
	cli_print_escaped(out, r->job);
	(void)fprintf(out, ": %s", bkp_job_state_name(r->state));
	if (r->step_count > 0)
		(void)fprintf(out, " in %s",
		    cli_duration(
			(uint64_t)(r->ended_us - r->began_us) / 1000, a));
	if (r->error != NULL) {
		(void)fputs(": ", out);
		if (r->failed_step != NULL)
			(void)fprintf(out, "%s: ", r->failed_step);
		cli_print_escaped(out, r->error);
	}
	(void)fputc('\n', out);
	for (size_t i = 0; i < r->step_count; i++)
		print_step(out, &r->steps[i], r);
	(void)fflush(out);
}

/* The report is on standard output, where all lines weigh the same to the
 * journal. */
static void
tell_journal(struct cli *cli, const struct bkp_job_report *r)
{
	struct bkp_events events = cli_events(cli);
	char text[1000];

	if (r->exit_status == 0 || !cli_writes_journal())
		return;
	(void)snprintf(text, sizeof(text), "%s: %s%s%s%s%s", r->job,
	    bkp_job_state_name(r->state), r->failed_step != NULL ? ": " : "",
	    r->failed_step != NULL ? r->failed_step : "",
	    r->error != NULL ? ": " : "", r->error != NULL ? r->error : "");
	if (r->state == BKP_JOB_DEGRADED)
		events.message(events.arg, BKP_WARNING, NULL, text);
	else
		cli_complain(cli, text);
}

/* ---- running ---- */

/* The commands beside this one, as they were built or installed together. */
static const char *
find_programs(char folder[PATH_MAX + 20])
{
	ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;
	size_t end;

	if (len <= 0)
		return NULL;
	folder[len] = '\0';
	if ((slash = strrchr(folder, '/')) == NULL)
		return NULL;
	end = (size_t)(slash - folder);
	(void)snprintf(slash, PATH_MAX + 20 - end, "/backup-create");
	if (access(folder, X_OK) < 0)
		return NULL;
	folder[end] = '\0';
	return folder;
}

/* What the command line says of keys, for each command. */
static void
make_arguments(const struct cli *cli, char workers[16],
    const char *arguments[ARGUMENTS_MAX])
{
	size_t n = 0;

	if (cli->key_file != NULL) {
		arguments[n++] = "--key-file";
		arguments[n++] = cli->key_file;
	}
	if (cli->identity_file != NULL) {
		arguments[n++] = "--identity-file";
		arguments[n++] = cli->identity_file;
	}
	if (cli->passphrase_file != NULL) {
		arguments[n++] = "--passphrase-file";
		arguments[n++] = cli->passphrase_file;
	}
	if (cli->workers > 0) {
		(void)snprintf(workers, 16, "%u", cli->workers);
		arguments[n++] = "--workers";
		arguments[n++] = workers;
	}
	arguments[n] = NULL;
}

static enum cli_status
run_job(struct cli *cli, struct bkp_config *config,
    struct bkp_job_options *options, const char *name)
{
	struct running running = {.cli = cli, .job = name};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_job *job = NULL;
	int status;

	options->job = name;
	options->arg = &running;
	options->events.arg = &running;
	if (bkp_job_run(config, options, &job, &err) < 0)
		return cli_fail(cli, &err);
	status = bkp_job_report(job)->exit_status;
	if (cli->is_json)
		emit_report(cli, bkp_job_report(job));
	else
		print_report(cli, bkp_job_report(job));
	if (!cli->is_json)
		tell_journal(cli, bkp_job_report(job));
	bkp_job_free(job);
	return (enum cli_status)status;
}

static enum cli_status
worse(enum cli_status a, enum cli_status b)
{
	if (a == CLI_FAILED || b == CLI_FAILED)
		return CLI_FAILED;
	return a == CLI_DEGRADED ? a : b;
}

/* All are tried, unless somebody asks to stop: then the others are named. */
static enum cli_status
run_next(struct cli *cli, struct bkp_config *config,
    struct bkp_job_options *options, const char *name)
{
	struct running running = {.cli = cli, .job = name};
	char text[300];

	if (!bkp_cancel_is_requested(&cli->cancel))
		return run_job(cli, config, options, name);
	(void)snprintf(text, sizeof(text),
	    "the job '%s' was not begun: stopped on request", name);
	on_message(&running, BKP_WARNING, NULL, text);
	return CLI_FAILED;
}

static enum cli_status
run_jobs(
    struct cli *cli, struct bkp_config *config, struct bkp_job_options *options)
{
	const char *chosen = bkp_config_job_used(config), *name;
	enum cli_status status = CLI_COMPLETE;
	int i;

	for (i = 0; i < cli->operand_count; i++)
		status = worse(
		    status, run_next(cli, config, options, cli->operands[i]));
	if (cli->operand_count > 0)
		return status;
	if (chosen != NULL)
		return run_job(cli, config, options, chosen);
	for (i = 0; (name = bkp_config_job(config, (size_t)i)) != NULL; i++)
		status = worse(status, run_next(cli, config, options, name));
	return status;
}

/* A name that is wrong is told before the first one runs. */
static int
check_jobs(struct cli *cli, struct bkp_config *config, struct bkp_error *err)
{
	for (int i = 0; i < cli->operand_count; i++)
		if (bkp_config_use_job(config, cli->operands[i], err) < 0)
			return -1;
	return 0;
}

/* ---- whether anybody would be told ---- */

struct testing {
	struct cli *cli;
	size_t counts[3]; /* by enum bkp_tried_state */
};

static const char *
tried_name(enum bkp_tried_state state)
{
	switch (state) {
	case BKP_TRIED_TAKEN:
		return "taken";
	case BKP_TRIED_NOT:
		return "untested";
	case BKP_TRIED_FAILED:
		break;
	}
	return "failed";
}

static void
on_tried(void *arg, const struct bkp_notify_tried *tried)
{
	struct testing *testing = arg;
	const char *state = tried_name(tried->state);

	testing->counts[tried->state]++;
	if (testing->cli->is_json) {
		cli_emit(testing->cli,
		    json_pack("{s:s, s:s, s:i, s:s, s:o}", "type",
			"notification", "kind", tried->kind, "line",
			(int)tried->line, "state", state, "error",
			cli_json_text(
			    tried->why[0] != '\0' ? tried->why : NULL)));
		return;
	}
	(void)printf("%-8s  %s of line %u", state, tried->kind, tried->line);
	if (tried->why[0] != '\0')
		(void)printf(": ");
	cli_print_escaped(stdout, tried->why);
	(void)printf("\n");
}

static enum cli_status
test_notifications(struct cli *cli, struct bkp_config *config)
{
	struct bkp_notify_test_options options = BKP_NOTIFY_TEST_OPTIONS_INIT;
	struct testing testing = {.cli = cli};
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status = CLI_COMPLETE;

	options.jobs = cli->operands;
	options.job_count = (size_t)cli->operand_count;
	options.arg = &testing;
	options.tried = on_tried;
	options.cancel = &cli->cancel;
	if (bkp_notify_test(config, &options, &err) < 0)
		return cli_fail(cli, &err);
	if (testing.counts[BKP_TRIED_FAILED] > 0)
		status = CLI_FAILED;
	else if (testing.counts[BKP_TRIED_NOT] > 0)
		status = CLI_DEGRADED;
	if (cli->is_json)
		cli_emit(cli,
		    json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "type",
			"result", "command", command.name, "state",
			status == CLI_COMPLETE ? "complete"
			: status == CLI_FAILED ? "failed"
					       : "degraded",
			"taken", (json_int_t)testing.counts[BKP_TRIED_TAKEN],
			"failed", (json_int_t)testing.counts[BKP_TRIED_FAILED],
			"untested", (json_int_t)testing.counts[BKP_TRIED_NOT]));
	return status;
}

/* What keeps every job from beginning is told of each of them, as far as the
 * file can be read. Who named another job or repository than there is sits
 * before it: that is no run. */
static enum cli_status
fail_jobs(struct cli *cli, struct bkp_job_options *options,
    const struct bkp_error *why)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	(void)cli_fail(cli, why);
	if (why->code == BKP_NOMEM ||
	    bkp_config_load_to_tell(cli->config_file, why, &config, &err) < 0)
		return CLI_FAILED;
	if (cli_config_choose(cli, config, &err) == 0 &&
	    check_jobs(cli, config, &err) == 0)
		(void)run_jobs(cli, config, options);
	bkp_config_free(config);
	return CLI_FAILED;
}

static enum cli_status
run(struct cli *cli, struct bkp_job_options *options, bool is_test)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char folder[PATH_MAX + 20], workers[16];
	const char *arguments[ARGUMENTS_MAX];
	struct bkp_config *config = NULL;
	enum cli_status status;

	make_arguments(cli, workers, arguments);
	options->arguments = arguments;
	options->repository = cli->repository;
	options->programs = find_programs(folder);
	options->has_content_key =
	    cli->identity_file != NULL || cli->passphrase_file != NULL;
	options->cancel = &cli->cancel;
	options->events.message = on_message;
	options->events.progress = on_progress;
	options->step = on_step;
	if (cli->is_json) {
		options->line = on_line;
		options->errors_fd = STDERR_FILENO;
	}
	if (cli_config_read(cli, CLI_NEEDS_SOURCES, &config, &err) < 0)
		return is_test ? cli_fail(cli, &err)
			       : fail_jobs(cli, options, &err);
	if (check_jobs(cli, config, &err) < 0)
		status = cli_usage(cli, "%s", err.message);
	else
		status = is_test ? test_notifications(cli, config)
				 : run_jobs(cli, config, options);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct bkp_job_options running = BKP_JOB_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	bool is_forced = false, is_test = false;
	const struct cli_option options[] = {
	    {"if-missed", 0, "TIME",
		"only where the last good backup is older (24h)", CLI_TEXT,
		&running.if_missed},
	    {"now", 0, NULL, "also outside the job's window", CLI_FLAG,
		&is_forced},
	    {"notify-test", 0, NULL,
		"run nothing: send each notification once, as a test", CLI_FLAG,
		&is_test},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON && bkp_job_check(&running, &err) < 0)
		status = cli_usage(&cli, "--if-missed: %s", err.message);
	running.is_forced = is_forced;
	if (status == CLI_GO_ON && is_test &&
	    (is_forced || running.if_missed != NULL))
		status = cli_usage(&cli,
		    "--notify-test runs nothing: it goes with JOBs alone");
	if (status == CLI_GO_ON)
		status = run(&cli, &running, is_test);
	return cli_finish(&cli, status);
}
