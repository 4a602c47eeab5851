/* SPDX-License-Identifier: Apache-2.0 */
/* backup-import: what backup-export wrote, into an empty application. */
#include "tools/cli.h"

#include <string.h>

static const struct cli_command command = {
    .name = "backup-import",
    .summary =
	"Load the export of one person or organisation into an empty schema of "
	"the same\napplication, in one transaction.",
    .usage = (const char *const[]){"INPUT", NULL},
    .operands = (const char *const[]){"INPUT  what backup-export wrote: a "
				      "folder, a file or its parts, - or "
				      "s3://bucket/key",
	NULL},
    .statuses = (const char *const[]){"0  complete",
	"1  failed: nothing was loaded", "2  wrong usage",
	"3  all of the export was loaded, and it says itself that it lacks "
	"something,\n   or references could not be given new keys",
	NULL},
    .examples =
	(const char *const[]){
	    "backup-import --database new --export-passphrase-file pass.txt "
	    "acme.zip",
	    "backup-import --database new -i admin.txt --remap-keys "
	    "--files-to bucket/uploads acme.tar.zst.age",
	    NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY,
    .operands_min = 1,
    .operands_max = 1,
};

struct request {
	const char *source, *database, *passphrase_file;
	struct cli_list with, files_to, fill, leave_out;
	bool is_remapped, is_rehearsal, is_nulled, is_appended;
};

static void
tell(struct cli *cli, const struct request *request,
    const struct bkp_subject_import_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];

	if (cli->is_json) {
		cli_emit(cli,
		    json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, "
			      "s:I, s:I, s:I, s:I, s:I}",
			"type", "result", "command", command.name, "state",
			r->is_partial ? "partial" : "complete", "dry_run",
			(int)request->is_rehearsal, "rows", (json_int_t)r->rows,
			"existing", (json_int_t)r->existing, "rows_left",
			(json_int_t)r->rows_left, "remapped",
			(json_int_t)r->remapped, "nulled",
			(json_int_t)r->nulled, "unfollowed",
			(json_int_t)r->unfollowed, "tables", (json_int_t)r->tables,
			"files", (json_int_t)r->files, "files_left",
			(json_int_t)r->files_left, "duration_ms",
			(json_int_t)r->duration_ms));
		return;
	}
	if (cli->is_quiet && !r->is_partial)
		return;
	cli_say(cli, "%s: %s rows into %s tables in %s%s",
	    r->is_partial ? "PARTIAL" : "complete", cli_count(r->rows, a),
	    cli_count(r->tables, b), cli_duration(r->duration_ms, c),
	    request->is_rehearsal ? ", and rolled back" : "");
	if (r->existing > 0)
		cli_say(cli, "%s looked-up rows were there already",
		    cli_count(r->existing, a));
	if (r->remapped > 0)
		cli_say(
		    cli, "%s rows have new keys", cli_count(r->remapped, a));
	if (r->nulled > 0)
		cli_say(cli,
		    "%s references to rows that the export does not have "
		    "became NULL",
		    cli_count(r->nulled, a));
	if (r->unfollowed > 0)
		cli_say(cli,
		    "%s rows have references that could not be given new keys",
		    cli_count(r->unfollowed, a));
	if (r->rows_left > 0)
		cli_say(cli,
		    "%s rows were left out (--with shared and --with actor "
		    "load context)",
		    cli_count(r->rows_left, a));
	if (r->files > 0)
		cli_say(cli, "%s files were put back", cli_count(r->files, a));
	if (r->files_left > 0)
		cli_say(cli,
		    "%s files were left out (--files-to puts them "
		    "into a bucket)",
		    cli_count(r->files_left, a));
}

static enum cli_status
choose_with(struct cli *cli, const struct cli_list *with,
    struct bkp_subject_import_options *options)
{
	for (size_t i = 0; i < with->count; i++) {
		if (strcmp(with->items[i], "shared") == 0)
			options->has_shared = 1;
		else if (strcmp(with->items[i], "actor") == 0)
			options->has_actor = 1;
		else
			return cli_usage(cli,
			    "--with takes shared or actor, and not '%s'",
			    with->items[i]);
	}
	return CLI_GO_ON;
}

static enum cli_status
import(struct cli *cli, const struct request *request,
    const struct bkp_config *config, const char *passphrase)
{
	struct bkp_subject_import_options options =
	    BKP_SUBJECT_IMPORT_OPTIONS_INIT;
	struct bkp_subject_import_result r = {.rows = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status = choose_with(cli, &request->with, &options);

	if (status != CLI_GO_ON)
		return status;
	options.config = config;
	options.source = request->source;
	options.database = request->database;
	options.input = cli->operands[0];
	options.passphrase = passphrase;
	options.is_remapped = request->is_remapped;
	options.is_rehearsal = request->is_rehearsal;
	options.is_nulled = request->is_nulled;
	options.is_appended = request->is_appended;
	options.fill = request->fill.items;
	options.fill_count = request->fill.count;
	options.leave_out = request->leave_out.items;
	options.leave_out_count = request->leave_out.count;
	options.files_to = request->files_to.items;
	options.files_to_count = request->files_to.count;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_subject_import(&options, &r, &err) < 0)
		return cli_fail(cli, &err);
	cli_progress_clear(cli);
	tell(cli, request, &r);
	return r.is_partial ? CLI_DEGRADED : CLI_COMPLETE;
}

static enum cli_status
act(struct cli *cli, const struct request *request)
{
	char secret[CLI_SECRET_SIZE] = "";
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status;

	if (request->passphrase_file != NULL &&
	    cli_secret_read(request->passphrase_file, secret, &err) < 0)
		return cli_fail(cli, &err);
	status = cli_config(
	    cli, CLI_NEEDS_SOURCES | CLI_NEEDS_NO_REPOSITORY, &config);
	if (status == CLI_GO_ON)
		status = import(cli, request, config,
		    request->passphrase_file != NULL ? secret : NULL);
	cli_secret_wipe(secret);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.source = NULL};
	const struct cli_option own[] = {
	    {"source", 0, "SOURCE", "the database source (postgres/app)",
		CLI_TEXT, &request.source},
	    {"database", 0, "NAME", "the database of it", CLI_TEXT,
		&request.database},
	    {"with", 0, "WHAT",
		"shared or actor: those rows, too; may be "
		"repeated",
		CLI_LIST, &request.with},
	    {"remap-keys", 0, NULL,
		"new keys, and references to them rewritten", CLI_FLAG,
		&request.is_remapped},
	    {"null-missing", 0, NULL,
		"references to rows that the export does not have become NULL",
		CLI_FLAG, &request.is_nulled},
	    {"fill", 0, "COLUMN=SQL",
		"a value for a column that the export does not have "
		"(public.users.hash='!')",
		CLI_LIST, &request.fill},
	    {"leave-out", 0, "TABLE", "do not load the rows of this table",
		CLI_LIST, &request.leave_out},
	    {"append", 0, NULL, "load beside rows that tables have", CLI_FLAG,
		&request.is_appended},
	    {"files-to", 0, "SOURCE",
		"put files into this bucket (bucket/uploads); NAME=SOURCE: "
		"those of the bucket NAME",
		CLI_LIST, &request.files_to},
	    {"export-passphrase-file", 0, "FILE",
		"the passphrase of the export is in FILE", CLI_TEXT,
		&request.passphrase_file},
	    {"dry-run", 'n', NULL, "do everything and roll it back", CLI_FLAG,
		&request.is_rehearsal},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, own, argc, argv);
	if (status == CLI_GO_ON)
		status = act(&cli, &request);
	cli_list_free(&request.with);
	cli_list_free(&request.files_to);
	cli_list_free(&request.fill);
	cli_list_free(&request.leave_out);
	return cli_finish(&cli, status);
}
