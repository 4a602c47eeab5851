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
	"3  degraded: there is a snapshot, and what it lacks was named", NULL},
    .examples = (const char *const[]){"backup-create --tag nightly",
	"backup-create --config /etc/libbackup/backup.yaml postgres/app", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS,
    .operands_max = -1,
};

static const char *
state_of(const struct bkp_backup_result *r)
{
	return r->omission_count > 0 ? "degraded" : "complete";
}

static json_t *
result_event(const struct bkp_backup_result *r)
{
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:I}",
	    "type", "result", "command", command.name, "state", state_of(r),
	    "snapshot", r->snapshot, "entries", (json_int_t)r->entries, "bytes",
	    (json_int_t)r->bytes, "stored_bytes", (json_int_t)r->stored_bytes,
	    "new_chunks", (json_int_t)r->new_chunks, "known_chunks",
	    (json_int_t)r->known_chunks, "rows", (json_int_t)r->rows, "objects",
	    (json_int_t)r->objects, "files", (json_int_t)r->files, "omissions",
	    (json_int_t)r->omission_count, "duration_ms",
	    (json_int_t)r->duration_ms);
}

static void
tell_people(const struct bkp_backup_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];

	(void)printf("snapshot  %s\n", r->snapshot);
	(void)printf("entries   %s", cli_count(r->entries, a));
	(void)printf(" (%s rows, %s objects, %s files)\n",
	    cli_count(r->rows, a), cli_count(r->objects, b),
	    cli_count(r->files, c));
	(void)printf("size      %s\n", cli_size(r->bytes, a));
	(void)printf("added     %s (%s new chunks, %s known)\n",
	    cli_size(r->stored_bytes, a), cli_count(r->new_chunks, b),
	    cli_count(r->known_chunks, c));
	(void)printf("time      %s\n", cli_duration(r->duration_ms, a));
	if (r->omission_count > 0)
		(void)printf("state     degraded: %s left out, named above\n",
		    cli_count(r->omission_count, a));
	else
		(void)printf("state     complete\n");
}

static enum cli_status
create(struct cli *cli, const struct cli_list *tags)
{
	struct bkp_backup_options options = BKP_BACKUP_OPTIONS_INIT;
	struct bkp_backup_result result = {.entries = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = cli_config(cli, CLI_NEEDS_SOURCES, &config);

	if (status != CLI_GO_ON)
		return status;
	options.config = config;
	options.sources = cli->operands;
	options.source_count = (size_t)cli->operand_count;
	options.tags = tags->items;
	options.tag_count = tags->count;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_backup(&options, &result, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	cli_progress_clear(cli);
	if (cli->is_json)
		cli_emit(cli, result_event(&result));
	else
		tell_people(&result);
	status = result.omission_count > 0 ? CLI_DEGRADED : CLI_COMPLETE;
out:
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct cli_list tags = {.count = 0};
	const struct cli_option options[] = {
	    {"tag", 't', "TAG", "put TAG on the snapshot; repeat for more",
		CLI_LIST, &tags},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = create(&cli, &tags);
	cli_list_free(&tags);
	return cli_finish(&cli, status);
}
