/* SPDX-License-Identifier: Apache-2.0 */
/* backup-restore: a snapshot, a source or a path of it, goes back. */
#include "tools/cli.h"

#include <stdlib.h>

static const struct cli_command command = {
    .name = "backup-restore",
    .summary = "Restore a snapshot: everything, one source, or what is below "
	       "one path; to\nwhere it came from or to another place.",
    .usage = (const char *const[]){"SNAPSHOT [PATH]", "--former SOURCE",
	"--put-back NAME PATH", "--drop-former NAME SOURCE", NULL},
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
	"backup-restore --swap latest postgres/app/shop",
	"backup-restore --to /tmp/look 3f2a9c01 files/stack", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_TIME | CLI_TAKES_LIMITS,
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
	    !is_without && !r->has_no_ledger, "recorded",
	    (json_int_t)r->erasures, "subjects", (json_int_t)r->erased_subjects,
	    "rows", (json_int_t)r->erased_rows, "references",
	    (json_int_t)r->cleared_references, "objects",
	    (json_int_t)r->erased_objects);
}

/* The line that gives one back that is left, for a shell. The paths of sources
 * are plain words. */
static int
print_line(FILE *out, const struct bkp_restore_result *r, size_t n,
    const char *arguments)
{
	return fprintf(out, "backup-restore %s%s%.12s %s",
	    arguments != NULL ? arguments : "", arguments != NULL ? " " : "",
	    r->snapshot, r->left[n].source);
}

static json_t *
line_of(const struct bkp_restore_result *r, size_t n, const char *arguments)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *line = NULL;
	bool is_whole;

	if (out == NULL)
		return NULL;
	is_whole = print_line(out, r, n, arguments) >= 0;
	if (fclose(out) == 0 && is_whole)
		line = cli_json_text(text);
	free(text);
	return line;
}

static json_t *
lines_of(const struct bkp_restore_result *r, const char *arguments)
{
	json_t *lines = json_array();

	for (size_t i = 0; lines != NULL && i < r->left_count; i++)
		if (json_array_append_new(lines, line_of(r, i, arguments)) <
		    0) {
			json_decref(lines);
			lines = NULL;
		}
	return lines;
}

static json_t *
result_event(
    const struct bkp_restore_result *r, bool is_without, const char *arguments)
{
	json_t *ready = r->ready_ms > 0 ? json_integer((json_int_t)r->ready_ms)
					: json_null();

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:I,"
			 " s:o, s:o}",
	    "type", "result", "command", command.name, "state", state_of(r),
	    "snapshot", r->snapshot, "entries", (json_int_t)r->entries, "bytes",
	    (json_int_t)r->bytes, "omissions", (json_int_t)r->omission_count,
	    "lost", (json_int_t)r->lost_count, "erasures",
	    erasures_of(r, is_without), "duration_ms",
	    (json_int_t)r->duration_ms, "ready_ms", ready, "run",
	    lines_of(r, arguments));
}

/* Last, where it is read. */
static void
tell_left(const struct bkp_restore_result *r, const char *arguments)
{
	if (r->left_count == 0)
		return;
	(void)printf("\nNot restored: what is given to commands. Yours to run, "
		     "where you want it, when the\nrest is back:\n");
	for (size_t i = 0; i < r->left_count; i++) {
		const struct bkp_restore_left *left = &r->left[i];

		(void)printf("    ");
		(void)print_line(stdout, r, i, arguments);
		(void)printf("\n        # gives ");
		cli_print_escaped(stdout, left->output);
		(void)printf(" to '");
		cli_print_escaped(stdout, left->program);
		(void)printf("'%s\n",
		    left->has_failed ? ", which failed: see above" : "");
	}
}

static void
tell_people(const struct bkp_restore_result *r, const char *arguments)
{
	char text[CLI_TEXT_SIZE], lost[CLI_TEXT_SIZE];

	(void)printf("snapshot  %s\n", r->snapshot);
	(void)printf("entries   %s\n", cli_count(r->entries, text));
	(void)printf("size      %s\n", cli_size(r->bytes, text));
	(void)printf("time      %s\n", cli_duration(r->duration_ms, text));
	if (r->ready_ms > 0)
		(void)printf("in use    after %s: the databases answered\n",
		    cli_duration(r->ready_ms, text));
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
	tell_left(r, arguments);
}

static enum cli_status
restore(struct cli *cli, struct bkp_restore_options options)
{
	struct bkp_restore_result result = {.entries = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	char *arguments = NULL;
	enum cli_status status = cli_snapshot_first(cli);

	if (status == CLI_GO_ON)
		status = cli_config(cli, CLI_NEEDS_CONTENT, &config);
	if (status != CLI_GO_ON)
		return status;
	options.config = config;
	options.snapshot = cli->operands[0];
	options.path = cli->operand_count > 1 ? cli->operands[1] : NULL;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (cli_arguments(cli, config, &arguments, &err) < 0 ||
	    bkp_restore(&options, &result, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	cli_progress_clear(cli);
	if (cli->is_json)
		cli_emit(cli, result_event(&result,
				  options.is_without_erasures != 0, arguments));
	else
		tell_people(&result, arguments);
	status = result.omission_count > 0 ? CLI_DEGRADED : CLI_COMPLETE;
out:
	bkp_restore_result_free(&result);
	free(arguments);
	bkp_config_free(config);
	return status;
}

/* ---- what earlier restores left beside ---- */

/* One of these instead of a restore. */
struct beside {
	bool is_list;
	const char *put, *drop;
};

static const char *
word_of(enum bkp_former_state state)
{
	switch (state) {
	case BKP_FORMER_KEPT:
		return "former";
	case BKP_FORMER_READY:
		return "ready";
	case BKP_FORMER_INCOMPLETE:
		return "incomplete";
	case BKP_FORMER_UNFINISHED:
		break;
	}
	return "unfinished";
}

static void
tell_former(struct cli *cli, const struct bkp_former *former)
{
	char text[CLI_TEXT_SIZE];

	if (cli->is_json)
		cli_emit(cli,
		    json_pack("{s:s, s:s, s:s, s:I, s:I}", "type", "former",
			"name", former->name, "state", word_of(former->state),
			"bytes", (json_int_t)former->bytes, "connections",
			(json_int_t)former->connections));
	else
		(void)printf("%-10s  %10s  %s\n", word_of(former->state),
		    cli_size(former->bytes, text), former->name);
}

static int
list_beside(struct cli *cli, const struct bkp_former_options *options,
    struct bkp_error *err)
{
	struct bkp_former_result result = {.former_count = 0};

	if (bkp_former_list(options, &result, err) < 0)
		return -1;
	for (size_t i = 0; i < result.former_count; i++)
		tell_former(cli, &result.formers[i]);
	bkp_former_result_free(&result);
	return 0;
}

static enum cli_status
work_beside(struct cli *cli, const struct beside *beside)
{
	struct bkp_former_options options = BKP_FORMER_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status;
	int rc;

	if (cli->operand_count != 1)
		return cli_usage(cli, "these take one source or path alone");
	status = cli_config(
	    cli, CLI_NEEDS_SOURCES | CLI_NEEDS_NO_REPOSITORY, &config);
	if (status != CLI_GO_ON)
		return status;
	options.config = config;
	options.path = cli->operands[0];
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (beside->put != NULL)
		rc = bkp_former_put(&options, beside->put, &err);
	else if (beside->drop != NULL)
		rc = bkp_former_drop(&options, beside->drop, &err);
	else
		rc = list_beside(cli, &options, &err);
	status = rc < 0 ? cli_fail(cli, &err) : CLI_COMPLETE;
	bkp_config_free(config);
	if (rc == 0 && cli->is_json)
		cli_emit(
		    cli, json_pack("{s:s, s:s, s:s}", "type", "result",
			     "command", command.name, "state", "complete"));
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct bkp_restore_options restoring = BKP_RESTORE_OPTIONS_INIT;
	bool is_overwrite = false, is_without = false, is_swap = false;
	bool is_schema_only = false, is_delete = false, is_locking = false;
	bool is_versions = false;
	bool is_unowned = false, is_ungranted = false, is_skipping = false;
	struct beside beside = {.is_list = false};
	struct cli_list only = {.count = 0};
	const struct cli_option options[] = {
	    {"to", 0, "NAME",
		"into another database, bucket or folder (one source)",
		CLI_TEXT, &restoring.to},
	    {"overwrite", 0, NULL, "replace what exists in that place",
		CLI_FLAG, &is_overwrite},
	    {"delete", 0, NULL,
		"delete objects that the snapshot has not (buckets)", CLI_FLAG,
		&is_delete},
	    {"all-versions", 0, NULL, "every version, also of a part (buckets)",
		CLI_FLAG, &is_versions},
	    {"locks", 0, NULL,
		"give objects their retention and legal hold (buckets)",
		CLI_FLAG, &is_locking},
	    {"swap", 0, NULL,
		"take the place of the database there, and keep that", CLI_FLAG,
		&is_swap},
	    {"only", 0, "NAME",
		"of a database this schema or SCHEMA.TABLE; repeat for more",
		CLI_LIST, &only},
	    {"schema-only", 0, NULL, "databases without their rows", CLI_FLAG,
		&is_schema_only},
	    {"role", 0, "ROLE", "let this role own everything in databases",
		CLI_TEXT, &restoring.role},
	    {"no-owner", 0, NULL, "let whoever restores own everything",
		CLI_FLAG, &is_unowned},
	    {"no-privileges", 0, NULL, "grant nothing in databases", CLI_FLAG,
		&is_ungranted},
	    {"skip-refused", 0, NULL,
		"go without what a server lets only superusers make", CLI_FLAG,
		&is_skipping},
	    {"former", 0, NULL,
		"tell which databases restores left beside others", CLI_FLAG,
		&beside.is_list},
	    {"put-back", 0, "NAME", "put one of those into the place PATH",
		CLI_TEXT, &beside.put},
	    {"drop-former", 0, "NAME", "drop one of those", CLI_TEXT,
		&beside.drop},
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
	restoring.is_delete = is_delete;
	restoring.is_locking = is_locking;
	restoring.is_every_version = is_versions;
	restoring.is_swap = is_swap;
	restoring.only = only.items;
	restoring.only_count = only.count;
	restoring.is_schema_only = is_schema_only;
	restoring.is_without_owners = is_unowned;
	restoring.is_without_privileges = is_ungranted;
	restoring.is_skipping = is_skipping;
	if (status == CLI_GO_ON &&
	    beside.is_list + (beside.put != NULL) + (beside.drop != NULL) > 1)
		status = cli_usage(&cli,
		    "--former, --put-back and --drop-former go one by one");
	if (status == CLI_GO_ON)
		status =
		    beside.is_list || beside.put != NULL || beside.drop != NULL
			? work_beside(&cli, &beside)
			: restore(&cli, restoring);
	cli_list_free(&only);
	return cli_finish(&cli, status);
}
