/* SPDX-License-Identifier: Apache-2.0 */
/* backup-create: all sources, or those named, into one new snapshot. */
#include "tools/cli.h"

static const struct cli_command command = {
    .name = "backup-create",
    .summary = "Back up the configured sources into one new snapshot.",
    .usage = (const char *const[]){"[SOURCE...]", NULL},
    .operands =
	(const char *const[]){"SOURCE  a configured source, for example "
			      "postgres/app; none: all of them",
	    NULL},
    .statuses = (const char *const[]){"0  complete",
	"1  failed: there is no new snapshot", "2  wrong usage",
	"3  degraded: there is a snapshot; what it lacks, or what is wrong "
	"with earlier ones, was named",
	NULL},
    .examples = (const char *const[]){"backup-create --tag nightly",
	"backup-create --config /etc/libbackup/backup.yaml postgres/app",
	"backup-create --archive /srv/nightly/$(date +%F).tar.zst.age -R "
	"age1...",
	NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS,
    .operands_max = -1,
};

static bool
is_degraded(const struct bkp_backup_result *r)
{
	return r->omission_count > 0 || r->problem_count > 0;
}

static const char *
state_of(const struct bkp_backup_result *r)
{
	return is_degraded(r) ? "degraded" : "complete";
}

static json_t *
result_event(const struct bkp_backup_result *r)
{
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:I, s:I, s:I}",
	    "type", "result", "command", command.name, "state", state_of(r),
	    "snapshot", r->snapshot, "entries", (json_int_t)r->entries, "bytes",
	    (json_int_t)r->bytes, "stored_bytes", (json_int_t)r->stored_bytes,
	    "new_chunks", (json_int_t)r->new_chunks, "known_chunks",
	    (json_int_t)r->known_chunks, "rows", (json_int_t)r->rows, "objects",
	    (json_int_t)r->objects, "files", (json_int_t)r->files, "omissions",
	    (json_int_t)r->omission_count, "problems",
	    (json_int_t)r->problem_count, "duration_ms",
	    (json_int_t)r->duration_ms, "bytes_taken_over",
	    (json_int_t)r->reused_bytes);
}

static void
tell_people(FILE *out, const struct bkp_backup_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];

	(void)fprintf(out, "snapshot  %s\n", r->snapshot);
	(void)fprintf(out, "entries   %s", cli_count(r->entries, a));
	(void)fprintf(out, " (%s rows, %s objects, %s files)\n",
	    cli_count(r->rows, a), cli_count(r->objects, b),
	    cli_count(r->files, c));
	(void)fprintf(out, "size      %s", cli_size(r->bytes, a));
	if (r->reused_bytes > 0)
		(void)fprintf(out, " (%s taken over, not read again)",
		    cli_size(r->reused_bytes, a));
	(void)fprintf(out, "\n");
	(void)fprintf(out, "added     %s (%s new chunks, %s known)\n",
	    cli_size(r->stored_bytes, a), cli_count(r->new_chunks, b),
	    cli_count(r->known_chunks, c));
	(void)fprintf(out, "time      %s\n", cli_duration(r->duration_ms, a));
	if (r->omission_count > 0)
		(void)fprintf(out,
		    "state     degraded: %s left out, named above\n",
		    cli_count(r->omission_count, a));
	else if (r->problem_count > 0)
		(void)fprintf(out,
		    "state     degraded: this snapshot is whole, but %s with "
		    "earlier ones, named above\n",
		    r->problem_count == 1 ? "something is wrong"
					  : "several things are wrong");
	else
		(void)fprintf(out, "state     complete\n");
}

/* The repository, or an archive in its place. */
static int
run(struct cli *cli, const struct bkp_backup_options *options,
    const struct bkp_archive_options *archive, struct bkp_error *err)
{
	struct bkp_archive_result archived = {.parts = 0};
	struct bkp_backup_result result = {.entries = 0};

	if (archive->output == NULL) {
		if (bkp_backup(options, &result, err) < 0)
			return -1;
	} else {
		if (bkp_backup_archive(
			options, archive, &result, &archived, err) < 0)
			return -1;
		result.stored_bytes = archived.stored_bytes;
	}
	cli_progress_clear(cli);
	if (cli->is_json)
		cli_emit(cli, result_event(&result));
	else
		tell_people(cli->events, &result);
	return is_degraded(&result) ? CLI_DEGRADED : CLI_COMPLETE;
}

static enum cli_status
create(struct cli *cli, const struct cli_list *tags,
    const struct bkp_archive_options *archive)
{
	struct bkp_backup_options options = BKP_BACKUP_OPTIONS_INIT;
	unsigned needs = CLI_NEEDS_SOURCES;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status;
	int ended;

	if (archive->output != NULL)
		needs |= CLI_NEEDS_NO_REPOSITORY;
	if ((status = cli_config(cli, needs, &config)) != CLI_GO_ON)
		return status;
	options.config = config;
	options.sources = cli->operands;
	options.source_count = (size_t)cli->operand_count;
	options.tags = tags->items;
	options.tag_count = tags->count;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	ended = run(cli, &options, archive, &err);
	status = ended < 0 ? cli_fail(cli, &err) : (enum cli_status)ended;
	bkp_config_free(config);
	return status;
}

static enum cli_status
check_request(struct cli *cli, const struct cli_archive *archive)
{
	if (archive->output != NULL)
		return CLI_GO_ON;
	if (archive->split != NULL || archive->endpoint != NULL ||
	    archive->passphrase_file != NULL || archive->is_overwrite ||
	    archive->scratch_directory != NULL || archive->recipients.count > 0)
		return cli_usage(cli,
		    "--recipient, --archive-passphrase-file, --split, "
		    "--endpoint, --overwrite and --scratch-directory are "
		    "about an archive; give --archive FILE, too");
	return CLI_GO_ON;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct cli_list tags = {.count = 0};
	struct cli_archive archive = {.output = NULL};
	struct bkp_archive_options written = BKP_ARCHIVE_OPTIONS_INIT;
	char secret[CLI_SECRET_SIZE] = "";
	const struct cli_option options[] = {
	    {"tag", 't', "TAG", "put TAG on the snapshot; repeat for more",
		CLI_LIST, &tags},
	    {"archive", 0, "FILE",
		"no repository: write the archive FILE, '-' (standard output) "
		"or s3://BUCKET/KEY",
		CLI_TEXT, &archive.output},
	    {"recipient", 'R', "AGE1...",
		"who can open the archive; repeat for more", CLI_LIST,
		&archive.recipients},
	    {"archive-passphrase-file", 0, "FILE",
		"the passphrase of the archive is in FILE", CLI_TEXT,
		&archive.passphrase_file},
	    {"split", 0, "SIZE",
		"files of SIZE at the most (700M, 4G): FILE.001, FILE.002...",
		CLI_TEXT, &archive.split},
	    {"endpoint", 0, "URL", "the S3 server of the archive's bucket",
		CLI_TEXT, &archive.endpoint},
	    {"overwrite", 0, NULL, "replace an archive of that name", CLI_FLAG,
		&archive.is_overwrite},
	    {"scratch-directory", 0, "DIR",
		"make it in DIR, which takes as much room again", CLI_TEXT,
		&archive.scratch_directory},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = check_request(&cli, &archive);
	if (status == CLI_GO_ON)
		status = cli_archive(&cli, &archive, secret, &written);
	if (status == CLI_GO_ON)
		status = create(&cli, &tags, &written);
	cli_secret_wipe(secret);
	cli_list_free(&archive.recipients);
	cli_list_free(&tags);
	return cli_finish(&cli, status);
}
