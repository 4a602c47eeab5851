/* SPDX-License-Identifier: Apache-2.0 */
/* backup-verify: proves that a snapshot can be restored, or does not. */
#include <string.h>

#include "tools/cli.h"
#include "tools/verify_reports.h"

static const struct cli_command command = {
    .name = "backup-verify",
    .summary = "Prove a snapshot: restore it into scratch places, compare "
	       "every row, object and\nfile with what was recorded, and give "
	       "a verdict. Nothing compared is not proven.",
    .usage = (const char *const[]){"[SNAPSHOT [PATH]]", NULL},
    .operands =
	(const char *const[]){"SNAPSHOT  \"latest\" (also where none is "
			      "given), a time, or the start of a name",
	    "PATH      a source (postgres/app) or a path below one; "
	    "none: everything",
	    NULL},
    .statuses = (const char *const[]){"0  proven",
	"1  not proven, or failed before there was a verdict", "2  wrong usage",
	"3  what the snapshot holds is proven, but the backup was degraded",
	NULL},
    .examples = (const char *const[]){"backup-verify",
	"backup-verify --live latest postgres/app",
	"backup-verify --junit verify.xml --html verify.html", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_SNAPSHOT | CLI_TAKES_TIME |
	     CLI_TAKES_LIMITS | CLI_YIELDS,
    .operands_max = 2,
};

static const char *
status_name(enum bkp_check_status status)
{
	return status == BKP_CHECK_PASS   ? "pass"
	       : status == BKP_CHECK_SKIP ? "skip"
					  : "fail";
}

/* The library's word, and no less than this. */
static bool
is_proven(const struct bkp_verify_result *r)
{
	return r->is_proven && r->passed > 0 && r->failed == 0;
}

static const char *
level_name(const struct bkp_verify_result *r)
{
	return r->level == BKP_LEVEL_QUICK    ? "quick"
	       : r->level == BKP_LEVEL_SAMPLE ? "sample"
					      : "full";
}

static const char *
state(const struct bkp_verify_result *r)
{
	if (!is_proven(r))
		return "failed";
	return r->omission_count > 0 ? "degraded" : "complete";
}

/* What was not checked, or not all of it; what was told twice in a row is
 * named once. */
static const char *
exception(const struct bkp_verify_result *r, size_t *next)
{
	while (*next < r->check_count) {
		size_t n = (*next)++, before = n;

		if (r->checks[n].status != BKP_CHECK_SKIP)
			continue;
		while (before > 0 &&
		       r->checks[before - 1].status != BKP_CHECK_SKIP)
			before--;
		if (before == 0 ||
		    strcmp(r->checks[before - 1].name, r->checks[n].name) != 0)
			return r->checks[n].name;
	}
	return NULL;
}

static json_t *
exceptions(const struct bkp_verify_result *r)
{
	json_t *names = json_array();
	const char *name;
	size_t next = 0;

	while ((name = exception(r, &next)) != NULL)
		(void)json_array_append_new(names, cli_json_path(name));
	return names;
}

static void
emit_result(struct cli *cli, const struct bkp_verify_result *r)
{
	char time[CLI_TEXT_SIZE];
	size_t i;

	for (i = 0; i < r->check_count; i++)
		cli_emit(
		    cli, json_pack("{s:s, s:s, s:o, s:o, s:I}", "type", "check",
			     "status", status_name(r->checks[i].status), "name",
			     cli_json_path(r->checks[i].name), "what",
			     cli_json_text(r->checks[i].what), "count",
			     (json_int_t)r->checks[i].count));
	cli_emit(cli,
	    json_pack(
		"{s:s, s:s, s:s, s:b, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:{s:I, s:I}, s:I, s:s, s:I, s:I, s:s, s:b}",
		"type", "result", "command", command.name, "state", state(r),
		"is_proven", is_proven(r), "except", exceptions(r), "snapshot",
		r->snapshot, "passed", (json_int_t)r->passed, "failed",
		(json_int_t)r->failed, "skipped", (json_int_t)r->skipped,
		"rows", (json_int_t)r->rows, "objects", (json_int_t)r->objects,
		"files", (json_int_t)r->files, "erasures", "recorded",
		(json_int_t)r->erasures, "subjects",
		(json_int_t)r->erased_subjects, "duration_ms",
		(json_int_t)r->duration_ms, "snapshot_time",
		cli_time_utc(r->snapshot_time_us, time), "age_ms",
		(json_int_t)r->age_ms, "recovery_ms",
		(json_int_t)r->recovery_ms, "level", level_name(r), "is_whole",
		r->is_whole));
}

static void
print_check(FILE *out, const struct bkp_check *check)
{
	(void)fprintf(out, "%s  ",
	    check->status == BKP_CHECK_PASS   ? "PASS"
	    : check->status == BKP_CHECK_SKIP ? "SKIP"
					      : "FAIL");
	cli_print_escaped(out, check->name);
	if (check->what != NULL && *check->what != '\0') {
		(void)fputs(": ", out);
		cli_print_escaped(out, check->what);
	}
	(void)fputc('\n', out);
}

#define EXCEPTIONS_SHOWN 3

/* What the verdict is about: it is no proof of a backup that a part of it came
 * back, or that a place in use is as it was. */
static void
print_subject(FILE *out, const struct bkp_report *report)
{
	const char *path = report->path;
	bool is_live = report->mode == BKP_VERIFY_LIVE;

	(void)fputs(": ", out);
	if (path != NULL && *path != '\0') {
		cli_print_escaped(out, path);
		(void)fputs(is_live ? " in use, against " : " of ", out);
	} else if (is_live) {
		(void)fputs("what is in use, against ", out);
	}
	(void)fprintf(out, "snapshot %s: ", report->result->snapshot);
}

/* What is proven is never said without what is not. */
static void
print_verdict(FILE *out, const struct bkp_report *report)
{
	const struct bkp_verify_result *r = report->result;
	char text[CLI_TEXT_SIZE];
	const char *name;
	size_t next = 0, count = 0;

	(void)fputs(is_proven(r) ? "PROVEN" : "NOT PROVEN", out);
	if (is_proven(r) && r->is_partial)
		(void)fputs(" IN PART", out);
	while (is_proven(r) && (name = exception(r, &next)) != NULL) {
		if (count++ >= EXCEPTIONS_SHOWN)
			continue;
		(void)fputs(count == 1 ? " except " : ", ", out);
		cli_print_escaped(out, name);
	}
	if (count > EXCEPTIONS_SHOWN)
		(void)fprintf(out, " and %s more, named above",
		    cli_count(count - EXCEPTIONS_SHOWN, text));
	print_subject(out, report);
}

static void
tell_people(const struct cli *cli, FILE *out, const struct bkp_report *report)
{
	const struct bkp_verify_result *r = report->result;
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];
	size_t i;

	for (i = 0; i < r->check_count; i++) {
		if (!cli->is_quiet || r->checks[i].status != BKP_CHECK_PASS)
			print_check(out, &r->checks[i]);
	}
	(void)fprintf(out, "compared %s row%s, %s object%s, %s file%s",
	    cli_count(r->rows, a), r->rows == 1 ? "" : "s",
	    cli_count(r->objects, b), r->objects == 1 ? "" : "s",
	    cli_count(r->files, c), r->files == 1 ? "" : "s");
	(void)fprintf(out, " in %s\n", cli_duration(r->duration_ms, a));
	print_verdict(out, report);
	(void)fprintf(out, "%s passed, %s failed, ", cli_count(r->passed, a),
	    cli_count(r->failed, b));
	(void)fprintf(out, "%s skipped\n", cli_count(r->skipped, a));
	if (r->omission_count > 0)
		(void)fprintf(out,
		    "degraded: %s left out when the backup was made, "
		    "named above\n",
		    cli_count(r->omission_count, a));
}

/* The verdict as it is told; the reports have it, too. */
static enum cli_status
tell(struct cli *cli, const struct bkp_verify_result *result,
    struct verify_reports *reports)
{
	cli_progress_clear(cli);
	if (cli->is_json)
		emit_result(cli, result);
	else
		tell_people(cli,
		    verify_reports_print(reports) ? stderr : stdout,
		    &reports->report);
	if (!is_proven(result))
		return CLI_FAILED;
	return result->omission_count > 0 ? CLI_DEGRADED : CLI_COMPLETE;
}

static enum cli_status
verify(struct cli *cli, struct bkp_verify_options *options,
    const struct bkp_config *config, struct verify_reports *reports,
    struct bkp_verify_result *result)
{
	struct bkp_error err = BKP_ERROR_INIT;

	options->config = config;
	options->events = cli_events(cli);
	options->cancel = &cli->cancel;
	options->has_history = verify_reports_any(reports);
	reports->report.repository = bkp_config_repository(config);
	if (bkp_verify(options, result, &err) < 0)
		return cli_fail(cli, &err);
	reports->report.result = result;
	return tell(cli, result, reports);
}

/* Whatever keeps it from a verdict, the reports say it. */
static enum cli_status
run(struct cli *cli, struct bkp_verify_options *options,
    struct verify_reports *reports)
{
	struct bkp_verify_result result = {.is_proven = 0};
	bool is_live = options->mode == BKP_VERIFY_LIVE;
	struct bkp_config *config = NULL;
	enum cli_status status;

	options->snapshot =
	    cli->operand_count > 0 ? cli->operands[0] : "latest";
	options->path = cli->operand_count > 1 ? cli->operands[1] : NULL;
	reports->report.snapshot = options->snapshot;
	reports->report.path = options->path;
	reports->report.mode = options->mode;
	status = verify_reports_begin(cli, reports);
	if (status == CLI_GO_ON)
		status = cli_config(cli,
		    CLI_NEEDS_CONTENT | (is_live ? CLI_NEEDS_SOURCES : 0),
		    &config);
	if (status == CLI_GO_ON)
		status = verify(cli, options, config, reports, &result);
	status = verify_reports_end(cli, reports, status);
	bkp_verify_result_free(&result);
	bkp_config_free(config);
	return status;
}

static bool
read_objects(const char *text, enum bkp_verify_objects *out)
{
	*out = BKP_OBJECTS_AS_CONFIGURED;
	if (text == NULL)
		return true;
	if (strcmp(text, "bucket") == 0)
		*out = BKP_OBJECTS_BUCKET;
	else if (strcmp(text, "folder") == 0)
		*out = BKP_OBJECTS_FOLDER;
	else if (strcmp(text, "digest") == 0)
		*out = BKP_OBJECTS_DIGEST;
	return *out != BKP_OBJECTS_AS_CONFIGURED;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct bkp_verify_options verifying = BKP_VERIFY_OPTIONS_INIT;
	struct verify_reports reports = VERIFY_REPORTS_INIT;
	bool is_live = false, is_without = false, may_be_source = false;
	const char *objects = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	const struct cli_option options[] = {
	    {"live", 0, NULL, "compare the configured places as they are now",
		CLI_FLAG, &is_live},
	    {"scratch-directory", 0, "DIR",
		"make scratch places in DIR, not in $TMPDIR", CLI_TEXT,
		&verifying.scratch_directory},
	    {"map", 0, "FILE",
		"erase by this map who was erased since the snapshot", CLI_TEXT,
		&verifying.map},
	    {"without-erasures", 0, NULL,
		"do not try whether they can be erased", CLI_FLAG, &is_without},
	    {"level", 0, "LEVEL", "quick, sample or full (where none is given)",
		CLI_TEXT, &verifying.level},
	    {"budget", 0, "TIME", "do what fits into that time (30m)", CLI_TEXT,
		&verifying.budget},
	    {"max-age", 0, "TIME", "an older snapshot is not proven (26h, 2d)",
		CLI_TEXT, &verifying.max_age},
	    {"max-drop", 0, "PERCENT",
		"what has lost more than before is not proven (20%)", CLI_TEXT,
		&verifying.max_drop},
	    {"max-recovery", 0, "TIME",
		"one that takes longer to restore is not proven (2h)", CLI_TEXT,
		&verifying.max_recovery},
	    {"junit", 0, "FILE", "write the verdict as JUnit's XML", CLI_TEXT,
		&reports.junit},
	    {"json-report", 0, "FILE", "write it as one JSON object", CLI_TEXT,
		&reports.json},
	    {"html", 0, "FILE", "write it as a page, with history", CLI_TEXT,
		&reports.html},
	    {"prometheus", 0, "FILE", "write it as metrics, for a monitor",
		CLI_TEXT, &reports.prometheus},
	    {"server", 0, "CONNINFO",
		"databases onto this server, under names of their own",
		CLI_TEXT, &verifying.server},
	    {"allow-source-server", 0, NULL,
		"also where that is the one that was backed up", CLI_FLAG,
		&may_be_source},
	    {"objects", 0, "WHERE",
		"objects into a scratch 'bucket', a 'folder', or by 'digest'",
		CLI_TEXT, &objects},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = verify_reports_check(&cli, &reports);
	if (status == CLI_GO_ON && is_live &&
	    verifying.scratch_directory != NULL)
		status =
		    cli_usage(&cli, "--live compares in place and takes no "
				    "--scratch-directory");
	if (status == CLI_GO_ON && is_live &&
	    (verifying.level != NULL || verifying.budget != NULL))
		status =
		    cli_usage(&cli, "--live compares all that is there and "
				    "takes no --level or --budget");
	if (status == CLI_GO_ON && bkp_verify_check(&verifying, &err) < 0)
		status = cli_usage(&cli, "%s", err.message);
	if (status == CLI_GO_ON && is_live &&
	    (verifying.server != NULL || objects != NULL))
		status = cli_usage(&cli, "--live compares in place and takes "
					 "no --server and no --objects");
	if (status == CLI_GO_ON && !read_objects(objects, &verifying.objects))
		status =
		    cli_usage(&cli, "--objects needs bucket, folder or digest");
	verifying.may_be_source = may_be_source;
	verifying.is_without_erasures = is_without;
	verifying.mode = is_live ? BKP_VERIFY_LIVE : BKP_VERIFY_SCRATCH;
	if (status == CLI_GO_ON)
		status = run(&cli, &verifying, &reports);
	else if (status == CLI_USAGE)
		status = verify_reports_end(&cli, &reports, status);
	return cli_finish(&cli, status);
}
