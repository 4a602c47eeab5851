/* SPDX-License-Identifier: Apache-2.0 */
/* backup-archive: a snapshot into a single portable file, and back. */
#include "tools/cli.h"

#include <string.h>
#include <unistd.h>

static const struct cli_command command = {
    .name = "backup-archive",
    .summary = "Write one snapshot, or a part of it, into a single encrypted "
	       "file that the other\ncommands read like a repository, and that "
	       "age, zstd and tar open.",
    .usage = (const char *const[]){"-o FILE SNAPSHOT [PATH]", NULL},
    .operands =
	(const char *const[]){"SNAPSHOT  \"latest\", or the start of a name "
			      "that backup-list shows",
	    "PATH      a source, a path, or the start of one that ends in "
	    "'/'; none: everything",
	    NULL},
    .statuses = (const char *const[]){"0  complete",
	"1  failed: there is no new archive", "2  wrong usage",
	"3  degraded: it is there, and what the snapshot lacks was named",
	NULL},
    .examples =
	(const char *const[]){
	    "backup-archive -i admin.txt -o shop.tar.zst.age latest",
	    "backup-archive -i admin.txt -R age1... -o - latest postgres/app "
	    "| ssh safe 'cat > app.age'",
	    "backup-restore -r shop.tar.zst.age -i admin.txt latest", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS,
    .operands_max = 2,
};

struct request {
	const char *output, *split, *endpoint, *passphrase_file;
	struct cli_list recipients;
	bool is_overwrite;
};

/* ---- out ---- */

static void
tell_archive(
    struct cli *cli, const char *output, const struct bkp_archive_result *r)
{
	const char *state = r->omission_count > 0 ? "degraded" : "complete";
	char a[CLI_TEXT_SIZE];
	FILE *to = cli->events;

	if (cli->is_json) {
		cli_emit(cli,
		    json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, "
			      "s:I, s:I}",
			"type", "result", "command", command.name, "state",
			state, "snapshot", r->snapshot, "archive",
			cli_json_path(output), "entries",
			(json_int_t)r->entries, "bytes", (json_int_t)r->bytes,
			"stored_bytes", (json_int_t)r->stored_bytes, "parts",
			(json_int_t)r->parts, "omissions",
			(json_int_t)r->omission_count, "duration_ms",
			(json_int_t)r->duration_ms));
		return;
	}
	(void)fprintf(to, "snapshot  %s\n", r->snapshot);
	(void)fprintf(to, "archive   ");
	cli_print_escaped(to, output);
	if (r->parts > 1)
		(void)fprintf(to, " (%s parts)", cli_count(r->parts, a));
	(void)fprintf(to, "\nentries   %s\n", cli_count(r->entries, a));
	(void)fprintf(to, "size      %s", cli_size(r->bytes, a));
	(void)fprintf(
	    to, ", %s in the archive\n", cli_size(r->stored_bytes, a));
	(void)fprintf(to, "time      %s\n", cli_duration(r->duration_ms, a));
	if (r->omission_count > 0)
		(void)fprintf(to,
		    "state     degraded: %s left out, named above\n",
		    cli_count(r->omission_count, a));
	else
		(void)fprintf(to, "state     complete\n");
}

static enum cli_status
archive(struct cli *cli, const struct request *request,
    struct bkp_archive_options *options)
{
	struct bkp_archive_result result = {.entries = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = cli_config(cli, CLI_NEEDS_CONTENT, &config);

	if (status != CLI_GO_ON)
		return status;
	options->config = config;
	options->snapshot = cli->operands[0];
	options->path = cli->operand_count > 1 ? cli->operands[1] : NULL;
	if (bkp_archive_write(options, &result, &err) < 0) {
		status = cli_fail(cli, &err);
	} else {
		cli_progress_clear(cli);
		tell_archive(cli, request->output, &result);
		status =
		    result.omission_count > 0 ? CLI_DEGRADED : CLI_COMPLETE;
	}
	bkp_config_free(config);
	return status;
}

/* ---- the command line ---- */

static enum cli_status
check_request(struct cli *cli, const struct request *request)
{
	if (request->output == NULL)
		return cli_usage(cli,
		    "where should the archive go? give --output FILE, or '-' "
		    "for standard output");
	if (cli->operand_count == 0)
		return cli_usage(cli,
		    "which snapshot? 'latest', or the start of a name that "
		    "backup-list shows");
	if (strchr(cli->operands[0], '/') != NULL)
		return cli_usage(cli,
		    "the snapshot comes before the path: %s latest %s",
		    command.name, cli->operands[0]);
	if (request->recipients.count > 0 && request->passphrase_file != NULL)
		return cli_usage(cli,
		    "an archive is for recipients or for a passphrase, not "
		    "for both");
	return CLI_GO_ON;
}

static enum cli_status
run(struct cli *cli, const struct request *request)
{
	struct bkp_archive_options options = BKP_ARCHIVE_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char secret[CLI_SECRET_SIZE] = "";
	enum cli_status status = check_request(cli, request);

	if (status != CLI_GO_ON)
		return status;
	if (request->split != NULL &&
	    !cli_size_read(request->split, &options.split))
		return cli_usage(cli, "--split takes a size, such as 4G");
	/* Standard output belongs to the archive. */
	if (strcmp(request->output, "-") == 0)
		cli->events = stderr;
	if (request->passphrase_file != NULL) {
		if (cli_secret_read(request->passphrase_file, secret, &err) < 0)
			return cli_fail(cli, &err);
		options.passphrase = secret;
	}
	options.output = request->output;
	options.recipients = request->recipients.items;
	options.recipient_count = request->recipients.count;
	options.endpoint = request->endpoint;
	options.is_overwrite = request->is_overwrite;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	status = archive(cli, request, &options);
	cli_secret_wipe(secret);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.output = NULL};
	const struct cli_option options[] = {
	    {"output", 'o', "FILE",
		"write FILE, '-' (standard output) or s3://BUCKET/KEY",
		CLI_TEXT, &request.output},
	    {"recipient", 'R', "AGE1...",
		"who can open it; repeat for more; none: whoever opens the "
		"repository",
		CLI_LIST, &request.recipients},
	    {"archive-passphrase-file", 0, "FILE",
		"encrypt it with the passphrase in FILE", CLI_TEXT,
		&request.passphrase_file},
	    {"split", 0, "SIZE",
		"files of SIZE at the most (700M, 4G): FILE.001, FILE.002...",
		CLI_TEXT, &request.split},
	    {"endpoint", 0, "URL", "the S3 server of the bucket", CLI_TEXT,
		&request.endpoint},
	    {"overwrite", 0, NULL, "replace what has that name", CLI_FLAG,
		&request.is_overwrite},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = run(&cli, &request);
	cli_list_free(&request.recipients);
	return cli_finish(&cli, status);
}
