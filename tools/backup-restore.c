/* SPDX-License-Identifier: Apache-2.0 */
/* backup-restore: a snapshot, a source or a path of it, goes back. */
#include "tools/cli.h"

static const struct cli_command command = {
    .name = "backup-restore",
    .summary = "Restore a snapshot: everything, one source, or what is below "
	       "one path; to\nwhere it came from or to another place.",
    .usage = (const char *const[]){"SNAPSHOT [PATH]", NULL},
    .operands =
	(const char *const[]){
	    "SNAPSHOT  \"latest\", a time, or the start of a name "
	    "that backup-list shows",
	    "PATH      a source (postgres/app) or a path below one; "
	    "none: everything",
	    NULL},
    .statuses = (const char *const[]){"0  complete", "1  failed",
	"2  wrong usage", "3  degraded: what is not back was named", NULL},
    .examples = (const char *const[]){"backup-restore latest",
	"backup-restore --to shop_copy latest postgres/app/shop",
	"backup-restore --to /tmp/look 3f2a9c01 files/stack", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_SNAPSHOT,
    .operands_min = 1,
    .operands_max = 2,
};

static const char *
state_of(const struct bkp_restore_result *r)
{
	return r->omission_count > 0 ? "degraded" : "complete";
}

static json_t *
erasures_of(const struct bkp_restore_result *r, bool is_without)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "replayed",
	    !is_without, "recorded", (json_int_t)r->erasures, "subjects",
	    (json_int_t)r->erased_subjects, "rows", (json_int_t)r->erased_rows,
	    "references", (json_int_t)r->cleared_references, "objects",
	    (json_int_t)r->erased_objects);
}

static json_t *
result_event(const struct bkp_restore_result *r, bool is_without)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:I}",
	    "type", "result", "command", command.name, "state", state_of(r),
	    "snapshot", r->snapshot, "entries", (json_int_t)r->entries, "bytes",
	    (json_int_t)r->bytes, "omissions", (json_int_t)r->omission_count,
	    "lost", (json_int_t)r->lost_count, "erasures",
	    erasures_of(r, is_without), "duration_ms",
	    (json_int_t)r->duration_ms);
}

static void
tell_people(const struct bkp_restore_result *r)
{
	char text[CLI_TEXT_SIZE], lost[CLI_TEXT_SIZE];

	(void)printf("snapshot  %s\n", r->snapshot);
	(void)printf("entries   %s\n", cli_count(r->entries, text));
	(void)printf("size      %s\n", cli_size(r->bytes, text));
	(void)printf("time      %s\n", cli_duration(r->duration_ms, text));
	if (r->erasures > 0)
		(void)printf("erasures  %llu recorded since, %llu subjects "
			     "erased once more: %llu rows, %llu objects\n",
		    (unsigned long long)r->erasures,
		    (unsigned long long)r->erased_subjects,
		    (unsigned long long)r->erased_rows,
		    (unsigned long long)r->erased_objects);
	if (r->lost_count > 0)
		(void)printf("state     degraded: %s not restored, %s of them "
			     "lost in the repository, named above\n",
		    cli_count(r->omission_count, text),
		    cli_count(r->lost_count, lost));
	else if (r->omission_count > 0)
		(void)printf("state     degraded: %s not restored, named "
			     "above\n",
		    cli_count(r->omission_count, text));
	else
		(void)printf("state     complete\n");
}

static enum cli_status
restore(struct cli *cli, struct bkp_restore_options options)
{
	struct bkp_restore_result result = {.entries = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = cli_config(cli, CLI_NEEDS_CONTENT, &config);

	if (status != CLI_GO_ON)
		return status;
	options.config = config;
	options.snapshot = cli->operands[0];
	options.path = cli->operand_count > 1 ? cli->operands[1] : NULL;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_restore(&options, &result, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	cli_progress_clear(cli);
	if (cli->is_json)
		cli_emit(cli,
		    result_event(&result, options.is_without_erasures != 0));
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
	struct bkp_restore_options restoring = BKP_RESTORE_OPTIONS_INIT;
	bool is_overwrite = false, is_without = false;
	const struct cli_option options[] = {
	    {"to", 0, "NAME",
		"into another database, bucket or folder (one source)",
		CLI_TEXT, &restoring.to},
	    {"overwrite", 0, NULL, "replace what exists in that place",
		CLI_FLAG, &is_overwrite},
	    {"map", 0, "FILE",
		"erase by this map who was erased since the snapshot", CLI_TEXT,
		&restoring.map},
	    {"without-erasures", 0, NULL,
		"bring back who was erased since the snapshot", CLI_FLAG,
		&is_without},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	restoring.is_overwrite = is_overwrite;
	restoring.is_without_erasures = is_without;
	if (status == CLI_GO_ON)
		status = restore(&cli, restoring);
	return cli_finish(&cli, status);
}
