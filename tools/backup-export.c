/* SPDX-License-Identifier: Apache-2.0 */
/* backup-export: all that a database and its buckets hold about one person or
 * organisation. */
#include "tools/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command command = {
    .name = "backup-export",
    .summary =
	"Export all data of one person or organisation. A map says what is "
	"theirs: every\nforeign key and every table is decided in it once, and "
	"nothing undecided is\nexported.",
    .usage = (const char *const[]){"plan --map FILE --table TABLE",
	"check --map FILE", "run --map FILE --subject ID OUTPUT",
	"explain --map FILE --subject ID TABLE ROW...",
	"forget --map FILE --subject ID", "audit", NULL},
    .operands = (const char *const[]){"plan     proposes a map from the "
				      "database, on standard output; what "
				      "FILE decides stays",
	"check    compares the map with the database; for CI",
	"run      writes the export to OUTPUT: a folder, FILE.zip, "
	"FILE.tar.zst (.age), - or s3://bucket/key",
	"explain  by which edges a row came in; ROW is its primary key",
	"forget   records in the repository that the subject was erased in "
	"the application",
	"audit    reads the audit file through: nobody changed it", NULL},
    .statuses = (const char *const[]){"0  complete; check: nothing is open",
	"1  failed; check: the map does not fit", "2  wrong usage",
	"3  partial: the manifest says what is missing", NULL},
    .examples = (const char *const[]){"backup-export plan --map user.yaml "
				      "--table public.users >new.yaml",
	"backup-export check --map user.yaml",
	"backup-export run --map user.yaml --subject 42 "
	"--export-passphrase-file "
	"pass.txt user-42.zip",
	"backup-export explain --map user.yaml --subject 42 public.orders 7",
	"backup-export forget --map user.yaml --subject 42", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS,
    .operands_min = 1,
    .operands_max = -1,
};

struct request {
	struct bkp_subject_source from;
	const char *table, *form, *passphrase_file, *split, *endpoint, *link,
	    *requester, *audit;
	struct cli_list subject, recipients;
	bool is_portability, has_csv, has_no_files, is_open, is_overwrite;
};

static json_t *
result(const char *action, const char *state)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "type", "result", "command",
	    command.name, "action", action, "state", state);
}

static enum cli_status
need_map(struct cli *cli, const struct request *request)
{
	if (request->from.map != NULL)
		return CLI_GO_ON;
	return cli_usage(cli,
	    "no map is named; give --map FILE (backup-export plan proposes "
	    "one)");
}

/* ---- plan ---- */

static enum cli_status
plan(struct cli *cli, const struct request *request)
{
	struct bkp_subject_plan_options options = BKP_SUBJECT_PLAN_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char *yaml = NULL, text[CLI_TEXT_SIZE];
	size_t undecided = 0;

	options.from = request->from;
	options.table = request->table;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_subject_plan(&options, &yaml, &undecided, &err) < 0)
		return cli_fail(cli, &err);
	cli_progress_clear(cli);
	if (cli->is_json) {
		cli_emit(cli,
		    cli_with(cli_with(result("plan", "complete"), "undecided",
				 json_integer((json_int_t)undecided)),
			"map", json_string(yaml)));
	} else {
		(void)fputs(yaml, stdout);
		if (!cli->is_quiet)
			cli_say(cli,
			    "%s decisions are left to make; then "
			    "backup-export check",
			    cli_count(undecided, text));
	}
	free(yaml);
	return CLI_COMPLETE;
}

/* ---- check ---- */

static void
emit_check(struct cli *cli, const struct bkp_subject_check_result *r)
{
	json_t *event = result("check", r->failing > 0 ? "failed" : "complete");

	for (size_t i = 0; i < r->finding_count; i++) {
		const struct bkp_subject_finding *f = &r->findings[i];

		cli_emit(cli,
		    json_pack("{s:s, s:s, s:s, s:o, s:o, s:I}", "type",
			"finding", "level", f->is_advice ? "advice" : "open",
			"kind", f->kind, "what", cli_json_text(f->what), "text",
			cli_json_text(f->message), "line",
			(json_int_t)f->line));
	}
	event = cli_with(event, "open", json_integer((json_int_t)r->failing));
	event = cli_with(event, "advice",
	    json_integer((json_int_t)(r->finding_count - r->failing)));
	event = cli_with(event, "tables", json_integer((json_int_t)r->tables));
	cli_emit(
	    cli, cli_with(event, "edges", json_integer((json_int_t)r->edges)));
}

static void
print_check(const struct cli *cli, const char *map,
    const struct bkp_subject_check_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];

	for (size_t i = 0; i < r->finding_count; i++) {
		const struct bkp_subject_finding *f = &r->findings[i];

		if (f->is_advice && cli->is_quiet)
			continue;
		(void)printf("%s  ", f->is_advice ? "ADVICE" : "OPEN  ");
		if (f->line > 0) {
			cli_print_escaped(stdout, map);
			(void)printf(":%u: ", f->line);
		}
		cli_print_escaped(stdout, f->what);
		(void)fputs(": ", stdout);
		cli_print_escaped(stdout, f->message);
		(void)printf(" [%s]\n", f->kind);
	}
	(void)printf("compared %s tables and %s foreign keys: ",
	    cli_count(r->tables, a), cli_count(r->edges, b));
	if (r->failing > 0)
		(void)printf("%s OPEN\n", cli_count(r->failing, a));
	else
		(void)puts("ALL DECIDED");
}

static enum cli_status
check(struct cli *cli, const struct request *request)
{
	struct bkp_subject_check_options options =
	    BKP_SUBJECT_CHECK_OPTIONS_INIT;
	struct bkp_subject_check_result r = {.finding_count = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status = need_map(cli, request);

	if (status != CLI_GO_ON)
		return status;
	options.from = request->from;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_subject_check(&options, &r, &err) < 0)
		return cli_fail(cli, &err);
	cli_progress_clear(cli);
	if (cli->is_json)
		emit_check(cli, &r);
	else
		print_check(cli, request->from.map, &r);
	status = r.failing > 0 ? CLI_FAILED : CLI_COMPLETE;
	bkp_subject_check_result_free(&r);
	return status;
}

/* ---- run ---- */

static bool
ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* By --format, or by how the output is called: a name without a known ending
 * is a folder. */
static enum cli_status
choose_form(struct cli *cli, const struct request *request, const char *output,
    enum bkp_subject_form *out)
{
	const char *form = request->form;

	if (form == NULL)
		form = ends_in(output, ".zip") || ends_in(output, ".zip.age")
			   ? "zip"
		       : ends_in(output, ".tar.zst") ||
			       ends_in(output, ".tar.zst.age")
			   ? "tar.zst"
		       : strcmp(output, "-") == 0 ||
			       strncmp(output, "s3://", 5) == 0
			   ? ""
			   : "folder";
	if (strcmp(form, "zip") == 0)
		*out = BKP_SUBJECT_ZIP;
	else if (strcmp(form, "tar.zst") == 0)
		*out = BKP_SUBJECT_TAR_ZST;
	else if (strcmp(form, "folder") == 0)
		*out = BKP_SUBJECT_FOLDER;
	else if (*form == '\0')
		return cli_usage(cli,
		    "%s does not say what is written to it; give --format zip "
		    "or --format tar.zst",
		    output);
	else
		return cli_usage(cli,
		    "--format takes folder, zip or tar.zst, and not '%s'",
		    form);
	return CLI_GO_ON;
}

static enum cli_status
fill_options(struct cli *cli, const struct request *request,
    char secret[CLI_SECRET_SIZE], struct bkp_subject_export_options *out)
{
	struct bkp_error err = BKP_ERROR_INIT;
	const char *output = cli->operands[1];
	enum cli_status status;

	/* Standard output belongs to the export. */
	if (strcmp(output, "-") == 0)
		cli->events = stderr;
	status = choose_form(cli, request, output, &out->form);
	if (status != CLI_GO_ON)
		return status;
	if (request->split != NULL &&
	    !cli_size_read(request->split, &out->split))
		return cli_usage(cli,
		    "--split takes a size, as in --split=700M, and not '%s'",
		    request->split);
	if (request->link != NULL) {
		unsigned long hours = strtoul(request->link, NULL, 10);

		if (request->link[strspn(request->link, "0123456789")] !=
			'\0' ||
		    hours < 1 || hours > 168 ||
		    strncmp(output, "s3://", 5) != 0 || out->split > 0)
			return cli_usage(cli,
			    "--link takes 1 to 168 hours, and goes with an "
			    "output in a bucket that is not split");
		out->link_seconds = (unsigned)hours * 3600;
	}
	if (request->passphrase_file != NULL) {
		if (request->recipients.count > 0)
			return cli_usage(cli,
			    "an export is encrypted to recipients or to a "
			    "passphrase, not to both");
		if (cli_secret_read(request->passphrase_file, secret, &err) < 0)
			return cli_fail(cli, &err);
		out->passphrase = secret;
	}
	if (out->form != BKP_SUBJECT_FOLDER && out->passphrase == NULL &&
	    request->recipients.count == 0 && !request->is_open)
		return cli_usage(cli,
		    "an export is encrypted; give --recipient, "
		    "--export-passphrase-file FILE, or --no-encryption");
	out->from = request->from;
	out->key = request->subject.items;
	out->key_count = request->subject.count;
	out->is_portability = request->is_portability;
	out->has_csv = request->has_csv;
	out->has_no_files = request->has_no_files;
	out->output = output;
	out->recipients = request->recipients.items;
	out->recipient_count = request->recipients.count;
	out->is_open = request->is_open;
	out->endpoint = request->endpoint;
	out->is_overwrite = request->is_overwrite;
	out->requester = request->requester;
	out->audit = request->audit;
	out->events = cli_events(cli);
	out->cancel = &cli->cancel;
	return CLI_GO_ON;
}

static void
tell_export(struct cli *cli, const char *output,
    const struct bkp_subject_export_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];
	json_t *event;

	if (cli->is_json) {
		event = result(
		    "run", r->omission_count > 0 ? "partial" : "complete");
		event = cli_with(event, "output", cli_json_path(output));
		event = cli_with(event, "snapshot",
		    *r->snapshot != '\0' ? json_string(r->snapshot)
					 : json_null());
		event =
		    cli_with(event, "rows", json_integer((json_int_t)r->rows));
		event = cli_with(
		    event, "tables", json_integer((json_int_t)r->tables));
		event = cli_with(
		    event, "files", json_integer((json_int_t)r->files));
		event = cli_with(event, "stored_bytes",
		    json_integer((json_int_t)r->stored_bytes));
		event = cli_with(event, "sha256", json_string(r->sha256));
		if (r->link != NULL)
			event = cli_with(event, "link", json_string(r->link));
		event = cli_with(event, "omissions",
		    json_integer((json_int_t)r->omission_count));
		cli_emit(cli, cli_with(event, "duration_ms",
				  json_integer((json_int_t)r->duration_ms)));
		return;
	}
	if (r->link != NULL)
		(void)puts(r->link);
	if (cli->is_quiet && r->omission_count == 0)
		return;
	cli_say(cli, "%s: %s rows of %s tables in %s%s%.12s",
	    r->omission_count > 0 ? "PARTIAL" : "complete",
	    cli_count(r->rows, a), cli_count(r->tables, b),
	    cli_duration(r->duration_ms, c),
	    *r->snapshot != '\0' ? ", from snapshot " : "", r->snapshot);
	cli_say(cli, "%s bytes written, SHA-256 %s",
	    cli_count(r->stored_bytes, a), r->sha256);
	if (r->omission_count > 0)
		cli_say(cli,
		    "%s things could not be had; manifest.json names them",
		    cli_count(r->omission_count, a));
}

static enum cli_status
need_subject(struct cli *cli, const struct request *request)
{
	enum cli_status status = need_map(cli, request);

	if (status == CLI_GO_ON && request->subject.count == 0)
		return cli_usage(cli,
		    "no subject is named; give --subject ID, once for each "
		    "column of its key");
	return status;
}

static enum cli_status
run(struct cli *cli, const struct request *request)
{
	struct bkp_subject_export_options options =
	    BKP_SUBJECT_EXPORT_OPTIONS_INIT;
	struct bkp_subject_export_result r = {.rows = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	char secret[CLI_SECRET_SIZE] = "";
	enum cli_status status = need_subject(cli, request);

	if (status == CLI_GO_ON && cli->operand_count != 2)
		status = cli_usage(cli, "run takes one output");
	if (status == CLI_GO_ON)
		status = fill_options(cli, request, secret, &options);
	if (status == CLI_GO_ON && bkp_subject_export(&options, &r, &err) < 0)
		status = cli_fail(cli, &err);
	cli_secret_wipe(secret);
	if (status != CLI_GO_ON)
		return status;
	cli_progress_clear(cli);
	tell_export(cli, options.output, &r);
	status = r.omission_count > 0 ? CLI_DEGRADED : CLI_COMPLETE;
	bkp_subject_export_result_free(&r);
	return status;
}

/* ---- explain ---- */

static void
tell_steps(struct cli *cli, const struct bkp_subject_explain_result *r)
{
	for (size_t i = 0; i < r->step_count; i++) {
		const struct bkp_subject_step *step = &r->steps[i];

		if (cli->is_json) {
			cli_emit(cli,
			    json_pack("{s:s, s:o, s:o, s:o, s:s}", "type",
				"step", "table", cli_json_text(step->table),
				"row", cli_json_text(step->row), "edge",
				cli_json_text(step->edge), "decision",
				step->decision));
			continue;
		}
		(void)printf("%*s", (int)(2 * i), "");
		cli_print_escaped(stdout, step->table);
		(void)fputs(" ", stdout);
		cli_print_escaped(stdout, step->row);
		(void)printf("  %s", step->decision);
		if (step->edge != NULL) {
			(void)fputs(" by ", stdout);
			cli_print_escaped(stdout, step->edge);
		}
		(void)fputc('\n', stdout);
	}
	if (cli->is_json)
		cli_emit(cli, result("explain", "complete"));
}

static enum cli_status
explain(struct cli *cli, const struct request *request)
{
	struct bkp_subject_explain_options options =
	    BKP_SUBJECT_EXPLAIN_OPTIONS_INIT;
	struct bkp_subject_explain_result r = {.step_count = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status = need_subject(cli, request);

	if (status == CLI_GO_ON && cli->operand_count < 3)
		status = cli_usage(cli,
		    "explain takes a table and the primary key of a row, as "
		    "in: explain ... public.orders 7");
	if (status != CLI_GO_ON)
		return status;
	options.from = request->from;
	options.key = request->subject.items;
	options.key_count = request->subject.count;
	options.table = cli->operands[1];
	options.row = cli->operands + 2;
	options.row_count = (size_t)cli->operand_count - 2;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_subject_explain(&options, &r, &err) < 0)
		return cli_fail(cli, &err);
	cli_progress_clear(cli);
	tell_steps(cli, &r);
	bkp_subject_explain_result_free(&r);
	return CLI_COMPLETE;
}

/* ---- forget ---- */

static void
tell_erasure(struct cli *cli, const struct bkp_subject_forget_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];

	if (cli->is_json) {
		cli_emit(cli,
		    cli_with(
			cli_with(cli_with(result("forget", "complete"), "entry",
				     json_string(r->entry)),
			    "entries", json_integer((json_int_t)r->entries)),
			"snapshots", json_integer((json_int_t)r->snapshots)));
		return;
	}
	if (cli->is_quiet)
		return;
	cli_say(cli, "recorded as %.12s, one of %s erasures of the repository",
	    r->entry, cli_count(r->entries, a));
	cli_say(cli,
	    "%s snapshots are from before it; a restore of one erases the "
	    "subject once more",
	    cli_count(r->snapshots, b));
}

static enum cli_status
forget(struct cli *cli, const struct request *request)
{
	struct bkp_subject_forget_options options =
	    BKP_SUBJECT_FORGET_OPTIONS_INIT;
	struct bkp_subject_forget_result r = {.entries = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status = need_subject(cli, request);

	if (status == CLI_GO_ON && cli->operand_count != 1)
		status = cli_usage(cli, "forget takes no operands");
	if (status == CLI_GO_ON && request->from.snapshot != NULL)
		status = cli_usage(cli,
		    "forget asks the live database, and takes no --snapshot");
	if (status != CLI_GO_ON)
		return status;
	options.from = request->from;
	options.key = request->subject.items;
	options.key_count = request->subject.count;
	options.requester = request->requester;
	options.audit = request->audit;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_subject_forget(&options, &r, &err) < 0)
		return cli_fail(cli, &err);
	cli_progress_clear(cli);
	tell_erasure(cli, &r);
	return CLI_COMPLETE;
}

/* ---- audit ---- */

static enum cli_status
audit(struct cli *cli, const struct request *request)
{
	struct bkp_subject_audit_result r = {.lines = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	char text[CLI_TEXT_SIZE];

	if (bkp_subject_audit(request->audit, &r, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->is_json) {
		cli_emit(cli,
		    cli_with(cli_with(cli_with(result("audit", "complete"),
					  "file", cli_json_path(r.path)),
				 "lines", json_integer((json_int_t)r.lines)),
			"head", json_string(r.head)));
	} else {
		cli_print_escaped(stdout, r.path);
		(void)printf(": %s lines, each follows the one before it; the "
			     "last has SHA-256 %s\n",
		    cli_count(r.lines, text), r.head);
	}
	bkp_subject_audit_result_free(&r);
	return CLI_COMPLETE;
}

/* ---- the command ---- */

static enum cli_status
act(struct cli *cli, struct request *request)
{
	static const struct {
		const char *name;
		enum cli_status (*run)(
		    struct cli *cli, const struct request *request);
		unsigned needs;
	} actions[] = {{"plan", plan, CLI_NEEDS_NO_REPOSITORY},
	    {"check", check, CLI_NEEDS_NO_REPOSITORY},
	    {"run", run, CLI_NEEDS_NO_REPOSITORY},
	    {"explain", explain, CLI_NEEDS_NO_REPOSITORY},
	    {"forget", forget, 0}};
	struct bkp_config *config = NULL;
	enum cli_status status;

	if (strcmp(cli->operands[0], "audit") == 0)
		return audit(cli, request);
	if (request->from.snapshot == NULL &&
	    (request->from.scratch_directory != NULL ||
		request->from.erasure_map != NULL))
		return cli_usage(cli,
		    "--scratch-directory and --erasure-map go with "
		    "--snapshot");

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (strcmp(cli->operands[0], actions[i].name) != 0)
			continue;
		status = cli_config(cli,
		    request->from.snapshot != NULL
			? CLI_NEEDS_CONTENT
			: CLI_NEEDS_SOURCES | actions[i].needs,
		    &config);
		if (status == CLI_GO_ON) {
			request->from.config = config;
			status = actions[i].run(cli, request);
		}
		bkp_config_free(config);
		return status;
	}
	return cli_usage(cli,
	    "'%s' is none of plan, check, run, explain, forget and audit",
	    cli->operands[0]);
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.table = NULL};
	const struct cli_option own[] = {
	    {"map", 'm', "FILE", "the map of decisions", CLI_TEXT,
		&request.from.map},
	    {"source", 0, "SOURCE", "the database source (postgres/app)",
		CLI_TEXT, &request.from.source},
	    {"database", 0, "NAME", "the database of it", CLI_TEXT,
		&request.from.database},
	    {"snapshot", 0, "SNAPSHOT",
		"not as it is now: \"latest\", a time, or the start of a "
		"name",
		CLI_TEXT, &request.from.snapshot},
	    {"scratch-directory", 0, "DIR",
		"with --snapshot: restore it in DIR, not in $TMPDIR", CLI_TEXT,
		&request.from.scratch_directory},
	    {"erasure-map", 0, "FILE",
		"with --snapshot: erase by this map who was erased since",
		CLI_TEXT, &request.from.erasure_map},
	    {"table", 0, "TABLE", "plan: the table of subjects", CLI_TEXT,
		&request.table},
	    {"subject", 's', "ID",
		"whose data; once for each column of the key", CLI_LIST,
		&request.subject},
	    {"format", 0, "FORM",
		"folder, zip or tar.zst; by the output's "
		"name where it is not given",
		CLI_TEXT, &request.form},
	    {"portability", 0, NULL,
		"what was provided and observed, nothing derived", CLI_FLAG,
		&request.is_portability},
	    {"csv", 0, NULL, "CSV beside the JSON", CLI_FLAG, &request.has_csv},
	    {"no-files", 0, NULL, "without objects of buckets", CLI_FLAG,
		&request.has_no_files},
	    {"recipient", 'R', "AGE1...", "encrypt to it; may be repeated",
		CLI_LIST, &request.recipients},
	    {"export-passphrase-file", 0, "FILE",
		"the passphrase of the export is in FILE", CLI_TEXT,
		&request.passphrase_file},
	    {"no-encryption", 0, NULL, "on purpose", CLI_FLAG,
		&request.is_open},
	    {"split", 0, "SIZE", "files of so many bytes (700M)", CLI_TEXT,
		&request.split},
	    {"endpoint", 0, "URL", "of the bucket that OUTPUT names", CLI_TEXT,
		&request.endpoint},
	    {"link", 0, "HOURS",
		"an address that opens the object for so long (24)", CLI_TEXT,
		&request.link},
	    {"audit", 0, "FILE",
		"the audit file (exports.log in the state "
		"directory)",
		CLI_TEXT, &request.audit},
	    {"for", 0, "WHO", "who asks, for the audit file", CLI_TEXT,
		&request.requester},
	    {"overwrite", 0, NULL, "may replace an export of that name",
		CLI_FLAG, &request.is_overwrite},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, own, argc, argv);
	if (status == CLI_GO_ON)
		status = act(&cli, &request);
	cli_list_free(&request.subject);
	cli_list_free(&request.recipients);
	return cli_finish(&cli, status);
}
