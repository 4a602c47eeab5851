/* SPDX-License-Identifier: Apache-2.0 */
/* backup-archive: a snapshot into a single portable file, and back. */
#include "tools/cli.h"

#include <string.h>

static const struct cli_command command = {
    .name = "backup-archive",
    .summary = "Write one snapshot, or a part of it, into a single encrypted "
	       "file that the other\ncommands read like a repository, and that "
	       "age, zstd and tar open. With --import,\ntake such a file "
	       "into a repository.",
    .usage =
	(const char *const[]){"-o FILE SNAPSHOT [PATH]", "--import FILE", NULL},
    .operands =
	(const char *const[]){
	    "SNAPSHOT  \"latest\", a time, or the start of a name "
	    "that backup-list shows",
	    "PATH      a source, a path, or the start of one that ends in "
	    "'/'; none: everything",
	    NULL},
    .statuses = (const char *const[]){"0  complete",
	"1  failed: there is no new archive, or no new snapshot",
	"2  wrong usage",
	"3  degraded: it is there, and what the snapshot lacks was named",
	NULL},
    .examples =
	(const char *const[]){
	    "backup-archive -i admin.txt -o shop.tar.zst.age latest",
	    "backup-archive -i admin.txt -R age1... -o - latest postgres/app "
	    "| ssh safe 'cat > app.age'",
	    "backup-restore -r shop.tar.zst.age -i admin.txt latest", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_LIMITS | CLI_YIELDS,
    .operands_max = 2,
};

struct request {
	struct cli_archive archive;
	const char *import;
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
		tell_archive(cli, request->archive.output, &result);
		status =
		    result.omission_count > 0 ? CLI_DEGRADED : CLI_COMPLETE;
	}
	bkp_config_free(config);
	return status;
}

/* ---- and back ---- */

static void
tell_snapshot(struct cli *cli, const struct bkp_backup_result *r)
{
	const char *state = r->omission_count > 0 ? "degraded" : "complete";
	char a[CLI_TEXT_SIZE];

	if (cli->is_json) {
		cli_emit(cli,
		    json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, "
			      "s:I, s:I, s:I}",
			"type", "result", "command", command.name, "state",
			state, "snapshot", r->snapshot, "is_known", r->is_known,
			"entries", (json_int_t)r->entries, "bytes",
			(json_int_t)r->bytes, "stored_bytes",
			(json_int_t)r->stored_bytes, "new_chunks",
			(json_int_t)r->new_chunks, "known_chunks",
			(json_int_t)r->known_chunks, "omissions",
			(json_int_t)r->omission_count, "duration_ms",
			(json_int_t)r->duration_ms));
		return;
	}
	if (r->is_known)
		(void)printf(
		    "already there as snapshot %s; nothing was added\n",
		    r->snapshot);
	else
		(void)printf("snapshot  %s\n", r->snapshot);
	(void)printf("entries   %s\n", cli_count(r->entries, a));
	(void)printf("size      %s\n", cli_size(r->bytes, a));
	(void)printf("added     %s\n", cli_size(r->stored_bytes, a));
	(void)printf("time      %s\n", cli_duration(r->duration_ms, a));
	(void)printf("state     %s\n", state);
}

static enum cli_status
import(struct cli *cli, const struct request *request, const char *passphrase)
{
	struct bkp_import_options options = BKP_IMPORT_OPTIONS_INIT;
	struct bkp_backup_result result = {.entries = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = cli_config(
	    cli, passphrase == NULL ? CLI_NEEDS_CONTENT : 0, &config);

	if (status != CLI_GO_ON)
		return status;
	options.config = config;
	options.archive = request->import;
	options.passphrase = passphrase;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_archive_import(&options, &result, &err) < 0) {
		status = cli_fail(cli, &err);
	} else {
		cli_progress_clear(cli);
		tell_snapshot(cli, &result);
		status =
		    result.omission_count > 0 ? CLI_DEGRADED : CLI_COMPLETE;
	}
	bkp_config_free(config);
	return status;
}

/* ---- the command line ---- */

static enum cli_status
check_import(struct cli *cli, const struct request *request)
{
	if (cli->operand_count > 0)
		return cli_usage(cli,
		    "--import takes all that the archive holds; \"%s\" is too "
		    "much",
		    cli->operands[0]);
	if (request->archive.output != NULL || request->archive.split != NULL ||
	    request->archive.recipients.count > 0)
		return cli_usage(cli,
		    "--import reads an archive: it goes with no --output, "
		    "--split or --recipient");
	return CLI_GO_ON;
}

static enum cli_status
check_request(struct cli *cli, const struct request *request)
{
	if (request->import != NULL)
		return check_import(cli, request);
	if (request->archive.output == NULL)
		return cli_usage(cli,
		    "where should the archive go? give --output FILE, or '-' "
		    "for standard output");
	if (cli->operand_count == 0)
		return cli_usage(cli, "which snapshot? 'latest', a time, or "
				      "the start of a name that "
				      "backup-list shows");
	if (strchr(cli->operands[0], '/') != NULL)
		return cli_usage(cli,
		    "the snapshot comes before the path: %s latest %s",
		    command.name, cli->operands[0]);
	return CLI_GO_ON;
}

static enum cli_status
run(struct cli *cli, const struct request *request)
{
	struct bkp_archive_options options = BKP_ARCHIVE_OPTIONS_INIT;
	char secret[CLI_SECRET_SIZE] = "";
	enum cli_status status = check_request(cli, request);

	if (status == CLI_GO_ON)
		status = cli_archive(cli, &request->archive, secret, &options);
	if (status == CLI_GO_ON)
		status = request->import != NULL
			     ? import(cli, request, options.passphrase)
			     : archive(cli, request, &options);
	cli_secret_wipe(secret);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.import = NULL};
	const struct cli_option options[] = {
	    {"output", 'o', "FILE",
		"write FILE, '-' (standard output) or s3://BUCKET/KEY",
		CLI_TEXT, &request.archive.output},
	    {"import", 0, "FILE",
		"take the archive FILE, '-' or s3://BUCKET/KEY into the "
		"repository",
		CLI_TEXT, &request.import},
	    {"recipient", 'R', "AGE1...",
		"who can open it; repeat for more; none: whoever opens the "
		"repository",
		CLI_LIST, &request.archive.recipients},
	    {"archive-passphrase-file", 0, "FILE",
		"the passphrase of the archive is in FILE", CLI_TEXT,
		&request.archive.passphrase_file},
	    {"split", 0, "SIZE",
		"files of SIZE at the most (700M, 4G): FILE.001, FILE.002...",
		CLI_TEXT, &request.archive.split},
	    {"endpoint", 0, "URL", "the S3 server of the bucket", CLI_TEXT,
		&request.archive.endpoint},
	    {"overwrite", 0, NULL, "replace what has that name", CLI_FLAG,
		&request.archive.is_overwrite},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = run(&cli, &request);
	cli_list_free(&request.archive.recipients);
	return cli_finish(&cli, status);
}
