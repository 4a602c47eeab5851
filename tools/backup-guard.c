/* SPDX-License-Identifier: Apache-2.0 */
/* backup-guard: a command with a way back. */
#include "tools/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_command command = {
    .name = "backup-guard",
    .summary = "Run a migration or an upgrade with a way back: take a "
	       "snapshot, run COMMAND,\ncheck that the application is well, "
	       "and put everything back where it is not.",
    .usage = (const char *const[]){"-- COMMAND [ARG...]", "--resume",
	"--forget", NULL},
    .operands = (const char *const[]){"COMMAND  the program to run, and what "
				      "it is given; no shell reads it",
	NULL},
    .statuses = (const char
	    *const[]){"0  COMMAND and the health check went well",
	"1  failed, and everything is as it was: put back, or never begun",
	"2  wrong usage: nothing was run",
	"4  NOT everything is as it was, or an earlier run is not finished: "
	"act now",
	NULL},
    .examples = (const char
	    *const[]){"backup-guard -i identity.txt -- ./manage.py migrate",
	"backup-guard -i identity.txt --stop 'docker compose stop app' \\",
	"      --start 'docker compose up -d app' \\",
	"      --health 'curl -fsS http://localhost:8000/health' -- ./upgrade",
	NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_LIMITS,
    .operands_max = -1,
    .stops_at_operand = true,
};

/* ---- what came of it ---- */

static const char *
state_of(enum bkp_guard_outcome outcome)
{
	switch (outcome) {
	case BKP_GUARD_KEPT:
		return "kept";
	case BKP_GUARD_UNTOUCHED:
		return "untouched";
	case BKP_GUARD_PUT_BACK:
		return "put-back";
	case BKP_GUARD_LEFT:
		return "left";
	case BKP_GUARD_BROKEN:
		break;
	}
	return "broken";
}

static enum cli_status
status_of(enum bkp_guard_outcome outcome)
{
	switch (outcome) {
	case BKP_GUARD_KEPT:
		return CLI_COMPLETE;
	case BKP_GUARD_UNTOUCHED:
	case BKP_GUARD_PUT_BACK:
		return CLI_FAILED;
	case BKP_GUARD_LEFT:
	case BKP_GUARD_BROKEN:
		break;
	}
	return CLI_ACT_NOW;
}

static json_t *
texts_of(const char *const *texts, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < count; i++)
		(void)json_array_append_new(array, cli_json_text(texts[i]));
	return array;
}

static json_t *
name_of(const char *snapshot)
{
	return snapshot[0] != '\0' ? json_string(snapshot) : json_null();
}

static json_t *
result_event(const struct bkp_guard_result *r)
{
	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I}",
	    "type", "result", "command", command.name, "state",
	    state_of(r->outcome), "snapshot", name_of(r->snapshot), "failed",
	    name_of(r->failed), "reason", cli_json_text(r->reason), "run",
	    texts_of(r->lines, r->line_count), "former",
	    texts_of(r->formers, r->former_count), "new_files",
	    r->is_new_unknown ? json_null()
			      : json_integer((json_int_t)r->new_files),
	    "refused", (json_int_t)r->refused, "lacks", (json_int_t)r->lacks,
	    "duration_ms", (json_int_t)r->duration_ms);
}

#define SENTENCE_SIZE 256

/* What is not as it was, though all that can be is put back. */
static const char *
sentence_of_changes(const struct bkp_guard_result *r, char text[SENTENCE_SIZE])
{
	char fresh[SENTENCE_SIZE / 4] = "", refused[SENTENCE_SIZE / 4] = "",
				   lacks[SENTENCE_SIZE / 4] = "";

	if (r->new_files == 0 && !r->is_new_unknown && r->refused == 0 &&
	    r->lacks == 0)
		return "put back: everything is as it was";
	if (r->lacks > 0)
		(void)snprintf(lacks, sizeof(lacks),
		    ", but for %llu things that the snapshot lacks",
		    (unsigned long long)r->lacks);
	if (r->refused > 0)
		(void)snprintf(refused, sizeof(refused),
		    "%s %llu things that the server refused",
		    r->lacks > 0 ? " and" : ", but for",
		    (unsigned long long)r->refused);
	if (r->new_files > 0 || r->is_new_unknown)
		(void)snprintf(fresh, sizeof(fresh),
		    "; %s%llu things created since are still there",
		    r->is_new_unknown ? "at least " : "",
		    (unsigned long long)r->new_files);
	(void)snprintf(text, SENTENCE_SIZE, "put back%s%s%s%s", lacks, refused,
	    lacks[0] != '\0' || refused[0] != '\0' ? ", named above" : "",
	    fresh);
	return text;
}

static const char *
sentence_of(const struct bkp_guard_result *r, char text[SENTENCE_SIZE])
{
	switch (r->outcome) {
	case BKP_GUARD_KEPT:
		return "the new one is kept";
	case BKP_GUARD_UNTOUCHED:
		return "as it was: the command had not been run";
	case BKP_GUARD_PUT_BACK:
		return sentence_of_changes(r, text);
	case BKP_GUARD_LEFT:
		return "FAILED, and left so, as asked";
	case BKP_GUARD_BROKEN:
		break;
	}
	return "FAILED, and NOT everything is put back";
}

static void
tell_people(FILE *out, const struct bkp_guard_result *r)
{
	char text[CLI_TEXT_SIZE], sentence[SENTENCE_SIZE];

	if (r->snapshot[0] != '\0')
		(void)fprintf(out, "snapshot  %s\n", r->snapshot);
	if (r->reason != NULL)
		(void)fprintf(out, "reason    %s\n", r->reason);
	for (size_t i = 0; i < r->former_count; i++)
		(void)fprintf(out, "kept      %s\n", r->formers[i]);
	if (r->failed[0] != '\0')
		(void)fprintf(out,
		    "kept      files and objects of the failed state, in "
		    "snapshot %s\n",
		    r->failed);
	(void)fprintf(
	    out, "time      %s\n", cli_duration(r->duration_ms, text));
	(void)fprintf(out, "state     %s\n", sentence_of(r, sentence));
	if (r->line_count > 0)
		(void)fprintf(out, "\n%s:\n",
		    r->outcome == BKP_GUARD_KEPT
			? "To go back later, run this in this order"
		    : r->outcome == BKP_GUARD_LEFT
			? "To put everything back, run this"
			: "When what was told above is mended, run this");
	for (size_t i = 0; i < r->line_count; i++)
		(void)fprintf(out, "    %s\n", r->lines[i]);
}

/* ---- the work ---- */

struct request {
	struct bkp_guard_options options;
	struct cli_list sources;
	bool is_resume, is_forget, is_leaving, may_lack, is_deleting_new,
	    is_without_copy, is_unowned, is_ungranted, is_skipping;
};

/* What was begun is as it was left, if anything was: nobody may take that for
 * an end. */
static enum cli_status
not_resumed(struct cli *cli)
{
	struct bkp_events events = cli_events(cli);

	events.message(events.arg, BKP_WARNING, NULL,
	    "what an earlier run began is not finished, and nothing was put "
	    "back now: mend what was told above, then run this again");
	return CLI_ACT_NOW;
}

static enum cli_status
fail(
    struct cli *cli, const struct request *request, const struct bkp_error *err)
{
	enum cli_status status = cli_fail(cli, err);

	if (request->is_resume)
		return err->code == BKP_NOTFOUND && err->sys == 0
			   ? status
			   : not_resumed(cli);
	return err->code == BKP_EXISTS ? CLI_ACT_NOW : status;
}

static enum cli_status
run(struct cli *cli, const struct request *request, struct bkp_error *err)
{
	struct bkp_guard_result result = {.line_count = 0};
	enum cli_status status;
	int rc;

	if (request->is_forget) {
		if (bkp_guard_forget(&request->options, err) < 0)
			return cli_fail(cli, err);
		if (cli->is_json)
			cli_emit(cli,
			    json_pack("{s:s, s:s, s:s}", "type", "result",
				"command", command.name, "state", "forgotten"));
		return CLI_COMPLETE;
	}
	rc = request->is_resume
		 ? bkp_guard_resume(&request->options, &result, err)
		 : bkp_guard(&request->options, &result, err);
	if (rc < 0)
		return fail(cli, request, err);
	cli_progress_clear(cli);
	if (cli->is_json)
		cli_emit(cli, result_event(&result));
	else
		tell_people(cli->events, &result);
	status = status_of(result.outcome);
	bkp_guard_result_free(&result);
	return status;
}

static enum cli_status
guard(struct cli *cli, struct request *request)
{
	char *arguments = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = cli_config(cli,
	    CLI_NEEDS_SOURCES | (request->is_forget ? 0 : CLI_NEEDS_CONTENT),
	    &config);

	if (status != CLI_GO_ON)
		return request->is_resume && status == CLI_FAILED
			   ? not_resumed(cli)
			   : status;
	if (cli_arguments(cli, config, &arguments, &err) < 0) {
		status = fail(cli, request, &err);
		goto out;
	}
	request->options.config = config;
	request->options.arguments = arguments;
	request->options.sources = request->sources.items;
	request->options.source_count = request->sources.count;
	request->options.command = cli->operands;
	request->options.output_fd =
	    cli->is_json ? STDERR_FILENO : STDOUT_FILENO;
	request->options.is_leaving = request->is_leaving;
	request->options.may_lack = request->may_lack;
	request->options.is_deleting_new = request->is_deleting_new;
	request->options.is_without_copy = request->is_without_copy;
	request->options.is_without_owners = request->is_unowned;
	request->options.is_without_privileges = request->is_ungranted;
	request->options.is_skipping = request->is_skipping;
	request->options.events = cli_events(cli);
	request->options.cancel = &cli->cancel;
	status = run(cli, request, &err);
out:
	free(arguments);
	bkp_config_free(config);
	return status;
}

static enum cli_status
check_request(struct cli *cli, const struct request *request)
{
	if (request->is_resume && request->is_forget)
		return cli_usage(cli, "--resume and --forget go one by one");
	if ((request->is_resume || request->is_forget) &&
	    cli->operand_count > 0)
		return cli_usage(cli,
		    "--resume and --forget take no command: they are about "
		    "the one that was begun");
	if (!request->is_resume && !request->is_forget &&
	    cli->operand_count == 0)
		return cli_usage(cli, "no command is given: %s -- COMMAND",
		    cli->command->name);
	return CLI_GO_ON;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.options = BKP_GUARD_OPTIONS_INIT};
	struct bkp_guard_options *o = &request.options;
	const struct cli_option options[] = {
	    {"source", 0, "SOURCE",
		"guard this source; repeat for more; none: all of them",
		CLI_LIST, &request.sources},
	    {"timeout", 0, "TIME", "end COMMAND after TIME (90s, 10m)",
		CLI_TEXT, &o->timeout},
	    {"health", 0, "CMD", "status 0 of this says that all is well",
		CLI_TEXT, &o->health},
	    {"health-timeout", 0, "TIME", "for one try (30s)", CLI_TEXT,
		&o->health_timeout},
	    {"health-retries", 0, "N", "tries until it has failed (10)",
		CLI_NUMBER, &o->health_tries},
	    {"health-interval", 0, "TIME", "between tries (3s)", CLI_TEXT,
		&o->health_interval},
	    {"stop", 0, "CMD", "run this before anything is put back", CLI_TEXT,
		&o->stop},
	    {"start", 0, "CMD", "run this when everything is back", CLI_TEXT,
		&o->start},
	    {"delete-new", 0, NULL,
		"delete files that were created since, putting back", CLI_FLAG,
		&request.is_deleting_new},
	    {"without-copy", 0, NULL,
		"replace files and objects also without a copy of them",
		CLI_FLAG, &request.is_without_copy},
	    {"no-restore", 0, NULL,
		"put nothing back after a failure, and tell how", CLI_FLAG,
		&request.is_leaving},
	    {"role", 0, "ROLE",
		"putting databases back, let this role own everything",
		CLI_TEXT, &o->role},
	    {"no-owner", 0, NULL,
		"putting databases back, own everything oneself", CLI_FLAG,
		&request.is_unowned},
	    {"no-privileges", 0, NULL, "putting databases back, grant nothing",
		CLI_FLAG, &request.is_ungranted},
	    {"skip-refused", 0, NULL,
		"go without what a server lets only superusers make", CLI_FLAG,
		&request.is_skipping},
	    {"allow-omissions", 0, NULL,
		"go on with a snapshot that lacks something", CLI_FLAG,
		&request.may_lack},
	    {"journal", 0, "FILE", "keep in FILE what was begun", CLI_TEXT,
		&o->journal},
	    {"resume", 0, NULL, "finish what an earlier run left", CLI_FLAG,
		&request.is_resume},
	    {"forget", 0, NULL, "take that for finished", CLI_FLAG,
		&request.is_forget},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	cli_stop_once(&cli,
	    "stopping: what was run counts as failed and is put back",
	    "putting back goes on; to end it all the same: SIGKILL, and later "
	    "backup-guard --resume");
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = check_request(&cli, &request);
	if (status == CLI_GO_ON)
		status = guard(&cli, &request);
	cli_list_free(&request.sources);
	return cli_finish(&cli, status);
}
