/* SPDX-License-Identifier: Apache-2.0 */
/* backup-create: all sources, or those named, into one new snapshot. */
#include "tools/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_command command = {
    .name = "backup-create",
    .summary = "Back up the configured sources into one new snapshot, in each "
	       "of the configured\nrepositories.",
    .usage = (const char *const[]){"[SOURCE...]",
	"--plan --run NAME [--finish] [SOURCE...]", "--share I/N --run NAME",
	"--finish --run NAME", NULL},
    .operands =
	(const char *const[]){"SOURCE  a configured source, for example "
			      "postgres/app; none: all of them",
	    NULL},
    .statuses = (const char *const[]){"0  complete",
	"1  failed: there is no new snapshot", "2  wrong usage",
	"3  degraded: there is a snapshot; what it lacks, what is wrong with "
	"earlier ones, or which repository has no new one was named",
	NULL},
    .examples = (const char *const[]){"backup-create --tag nightly",
	"backup-create --config /etc/libbackup/backup.yaml postgres/app",
	"backup-create --run nightly --plan --finish   # one process leads,",
	"backup-create --run nightly --share 0/4       # four read: 0/4 to 3/4",
	"backup-create --archive /srv/nightly/$(date +%F).tar.zst.age -R "
	"age1...",
	NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_LIMITS | CLI_YIELDS,
    .operands_max = -1,
};

static size_t
count_missing(const struct bkp_backup_result *r)
{
	size_t count = 0;

	for (size_t i = 0; i < r->repository_count; i++)
		count += *r->repositories[i].snapshot == '\0';
	return count;
}

static size_t
count_problems(const struct bkp_backup_result *r)
{
	size_t count = r->repository_count == 0 ? r->problem_count : 0;

	for (size_t i = 0; i < r->repository_count; i++)
		count += r->repositories[i].problem_count;
	return count;
}

static size_t
count_omissions(const struct bkp_backup_result *r)
{
	size_t count = r->omission_count;

	for (size_t i = 0; i < r->repository_count; i++)
		if (r->repositories[i].omission_count > count)
			count = r->repositories[i].omission_count;
	return count;
}

static bool
is_degraded(const struct bkp_backup_result *r)
{
	return count_omissions(r) > 0 || count_problems(r) > 0 ||
	       count_missing(r) > 0;
}

static const char *
state_of(const struct bkp_backup_result *r)
{
	return is_degraded(r) ? "degraded" : "complete";
}

static json_t *
repository_value(const struct bkp_backup_repository *it)
{
	bool is_there = *it->snapshot != '\0';

	return json_pack("{s:o, s:s, s:s?, s:o, s:I, s:I, s:I, s:I, s:I}",
	    "name", cli_json_text(it->name), "state",
	    is_there ? "complete" : "failed", "snapshot",
	    is_there ? it->snapshot : NULL, "why",
	    cli_json_text(is_there ? NULL : it->why.message), "stored_bytes",
	    (json_int_t)it->stored_bytes, "new_chunks",
	    (json_int_t)it->new_chunks, "known_chunks",
	    (json_int_t)it->known_chunks, "omissions",
	    (json_int_t)it->omission_count, "problems",
	    (json_int_t)it->problem_count);
}

static json_t *
repositories_value(const struct bkp_backup_result *r)
{
	json_t *array = json_array();

	for (size_t i = 0; i < r->repository_count; i++)
		if (json_array_append_new(
			array, repository_value(&r->repositories[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *
result_event(const struct bkp_backup_result *r)
{
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:I, s:I, s:I, s:o}",
	    "type", "result", "command", command.name, "state", state_of(r),
	    "snapshot", r->snapshot, "entries", (json_int_t)r->entries, "bytes",
	    (json_int_t)r->bytes, "stored_bytes", (json_int_t)r->stored_bytes,
	    "new_chunks", (json_int_t)r->new_chunks, "known_chunks",
	    (json_int_t)r->known_chunks, "rows", (json_int_t)r->rows, "objects",
	    (json_int_t)r->objects, "files", (json_int_t)r->files, "omissions",
	    (json_int_t)r->omission_count, "problems",
	    (json_int_t)r->problem_count, "duration_ms",
	    (json_int_t)r->duration_ms, "bytes_taken_over",
	    (json_int_t)r->reused_bytes, "repositories", repositories_value(r));
}

/* A line for each of several. */
static void
tell_repositories(FILE *out, const struct bkp_backup_result *r)
{
	char a[CLI_TEXT_SIZE];

	for (size_t i = 0; i < r->repository_count; i++) {
		const struct bkp_backup_repository *it = &r->repositories[i];

		(void)fputs(i == 0 ? "into      " : "          ", out);
		cli_print_escaped(out, it->name);
		if (*it->snapshot != '\0')
			(void)fprintf(out, ": snapshot %.12s, added %s\n",
			    it->snapshot, cli_size(it->stored_bytes, a));
		else
			(void)fprintf(
			    out, ": NO NEW SNAPSHOT, why was told above\n");
	}
}

static void
tell_state(FILE *out, const struct bkp_backup_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];
	size_t missing = count_missing(r), problems = count_problems(r);

	if (missing > 0)
		(void)fprintf(out,
		    "state     degraded: %s of %s repositories without a new "
		    "snapshot\n",
		    cli_count(missing, a), cli_count(r->repository_count, b));
	else if (count_omissions(r) > 0)
		(void)fprintf(out,
		    "state     degraded: %s left out, named above\n",
		    cli_count(count_omissions(r), a));
	else if (problems > 0)
		(void)fprintf(out,
		    "state     degraded: this snapshot is whole, but %s with "
		    "earlier ones, named above\n",
		    problems == 1 ? "something is wrong"
				  : "several things are wrong");
	else
		(void)fprintf(out, "state     complete\n");
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
	if (r->repository_count > 1)
		tell_repositories(out, r);
	tell_state(out, r);
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

/* ---- one of several processes ---- */

/* What was asked for. */
struct sharing {
	const char *run, *share, *wait, *time_limit;
	bool is_plan, is_finish;
	unsigned number, count; /* of --share */
};

static json_t *
share_event(const struct sharing *sharing, const struct bkp_share_result *r)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:I, s:I, s:I}",
	    "type", "result", "command", command.name, "state", "complete",
	    "run", sharing->run, "share", (int)sharing->number, "shares",
	    (int)sharing->count, "tasks", (json_int_t)r->tasks, "known_tasks",
	    (json_int_t)r->known_tasks, "left_pieces",
	    (json_int_t)r->left_pieces, "bytes", (json_int_t)r->bytes, "rows",
	    (json_int_t)r->rows, "objects", (json_int_t)r->objects,
	    "new_chunks", (json_int_t)r->new_chunks, "known_chunks",
	    (json_int_t)r->known_chunks, "stored_bytes",
	    (json_int_t)r->stored_bytes, "duration_ms",
	    (json_int_t)r->duration_ms);
}

static void
tell_share(
    FILE *out, const struct sharing *sharing, const struct bkp_share_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];

	(void)fprintf(out, "share     %u/%u of run %s: %s tasks\n",
	    sharing->number, sharing->count, sharing->run,
	    cli_count(r->tasks, a));
	if (r->known_tasks > 0)
		(void)fprintf(out,
		    "known     %s, done by an earlier run of it\n",
		    cli_count(r->known_tasks, a));
	(void)fprintf(out, "read      %s (%s rows, %s objects)\n",
	    cli_size(r->bytes, a), cli_count(r->rows, b),
	    cli_count(r->objects, c));
	(void)fprintf(out, "added     %s\n", cli_size(r->stored_bytes, a));
	(void)fprintf(out, "time      %s\n", cli_duration(r->duration_ms, a));
}

static int
run_share(struct cli *cli, const struct sharing *sharing,
    const struct bkp_share_options *options, struct bkp_error *err)
{
	struct bkp_share_result result = {.tasks = 0};

	if (bkp_backup_share(options, &result, err) < 0)
		return -1;
	cli_progress_clear(cli);
	if (cli->is_json)
		cli_emit(cli, share_event(sharing, &result));
	else
		tell_share(cli->events, sharing, &result);
	return CLI_COMPLETE;
}

static int
run_finish(struct cli *cli, const struct bkp_share_options *options,
    struct bkp_error *err)
{
	struct bkp_backup_result result = {.entries = 0};
	char a[CLI_TEXT_SIZE];

	if (bkp_backup_finish(options, &result, err) < 0)
		return -1;
	cli_progress_clear(cli);
	if (cli->is_json) {
		cli_emit(cli, result_event(&result));
	} else {
		(void)fprintf(cli->events, "snapshot  %s\n", result.snapshot);
		(void)fprintf(cli->events, "entries   %s\n",
		    cli_count(result.entries, a));
		(void)fprintf(
		    cli->events, "size      %s\n", cli_size(result.bytes, a));
		(void)fprintf(cli->events, "state     %s\n", state_of(&result));
	}
	return is_degraded(&result) ? CLI_DEGRADED : CLI_COMPLETE;
}

static enum cli_status
take_part(struct cli *cli, const struct sharing *sharing)
{
	struct bkp_share_options options = BKP_SHARE_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status;
	int ended;

	if ((status = cli_config(
		 cli, sharing->is_finish ? 0 : CLI_NEEDS_SOURCES, &config)) !=
	    CLI_GO_ON)
		return status;
	options.config = config;
	options.run = sharing->run;
	options.share = sharing->number;
	options.shares = sharing->count;
	options.wait = sharing->wait;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	ended = sharing->is_finish ? run_finish(cli, &options, &err)
				   : run_share(cli, sharing, &options, &err);
	status = ended < 0 ? cli_fail(cli, &err) : (enum cli_status)ended;
	bkp_config_free(config);
	return status;
}

/* "3/8", and nothing else. */
static enum cli_status
read_share(struct cli *cli, struct sharing *sharing)
{
	static const char digits[] = "0123456789";
	const char *text = sharing->share;
	size_t first = strspn(text, digits);

	if (first == 0 || first > 4 || text[first] != '/' ||
	    strspn(text + first + 1, digits) != strlen(text + first + 1) ||
	    strlen(text + first + 1) == 0 || strlen(text + first + 1) > 4 ||
	    sscanf(text, "%u/%u", &sharing->number, &sharing->count) != 2)
		return cli_usage(
		    cli, "--share takes I/N, as in 0/4, not '%s'", text);
	if (sharing->count == 0 || sharing->number >= sharing->count)
		return cli_usage(cli,
		    "there is no share %s: they are counted from 0, so that "
		    "the last of %u is %u/%u",
		    text, sharing->count,
		    sharing->count > 0 ? sharing->count - 1 : 0,
		    sharing->count);
	return CLI_GO_ON;
}

static enum cli_status
check_span(struct cli *cli, const char *option, const char *text)
{
	if (text == NULL || bkp_is_span(text))
		return CLI_GO_ON;
	return cli_usage(cli,
	    "--%s takes a time, as in 90s, 30m or 1h30m, not '%s'", option,
	    text);
}

static enum cli_status
check_sharing(struct cli *cli, struct sharing *sharing, bool is_archive)
{
	bool is_any =
	    sharing->is_plan || sharing->is_finish || sharing->share != NULL;
	enum cli_status status;

	if (!is_any && (sharing->run != NULL || sharing->wait != NULL ||
			   sharing->time_limit != NULL))
		return cli_usage(cli,
		    "--run, --wait and --time-limit are about a backup that "
		    "several processes make; give --plan, --share I/N or "
		    "--finish, too");
	if (is_any && sharing->run == NULL)
		return cli_usage(cli,
		    "the processes of a run find each other by its name: give "
		    "--run NAME, the same to all of them");
	if (is_any && !bkp_is_run_name(sharing->run))
		return cli_usage(cli,
		    "--run takes the name of a run, letters, digits, '.', '_' "
		    "and '-', the first a letter or a digit, not '%s'",
		    sharing->run);
	if (is_any && is_archive)
		return cli_usage(cli,
		    "an archive is written by one process; --plan, --share and "
		    "--finish need a repository");
	if (sharing->share != NULL && (sharing->is_plan || sharing->is_finish))
		return cli_usage(cli,
		    "--share is a process of its own, beside that of --plan "
		    "and that of --finish");
	if (is_any && !sharing->is_plan && cli->operand_count > 0)
		return cli_usage(cli,
		    "which sources is said to --plan alone, not to --share or "
		    "--finish");
	if (sharing->time_limit != NULL && !sharing->is_plan)
		return cli_usage(cli, "--time-limit is for --plan");
	if (sharing->wait != NULL && sharing->is_plan)
		return cli_usage(cli,
		    "--wait is for --share and --finish; --plan waits until "
		    "--time-limit is over");
	status = sharing->share != NULL ? read_share(cli, sharing) : CLI_GO_ON;
	if (status == CLI_GO_ON)
		status = check_span(cli, "wait", sharing->wait);
	if (status == CLI_GO_ON)
		status = check_span(cli, "time-limit", sharing->time_limit);
	return status;
}

/* All that are configured, but where one is named. */
static enum cli_status
choose_repositories(struct cli *cli, const struct bkp_config *config,
    struct bkp_backup_options *options)
{
	const char *named = getenv("BACKUP_REPOSITORY");

	options->is_everywhere =
	    cli->repository == NULL && (named == NULL || *named == '\0');
	if (options->is_everywhere && cli->key_file != NULL &&
	    bkp_config_repository_name(config, 1) != NULL)
		return cli_usage(cli,
		    "--key-file is of one repository, and the backup goes into "
		    "several; choose one by --repository NAME");
	return CLI_GO_ON;
}

static enum cli_status
create(struct cli *cli, const struct cli_list *tags,
    const struct bkp_archive_options *archive, const struct sharing *sharing)
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
	if (sharing->is_plan) {
		options.run = sharing->run;
		options.is_finishing = sharing->is_finish;
		options.time_limit = sharing->time_limit;
	} else if (archive->output == NULL) {
		status = choose_repositories(cli, config, &options);
	}
	if (status == CLI_GO_ON) {
		ended = run(cli, &options, archive, &err);
		status =
		    ended < 0 ? cli_fail(cli, &err) : (enum cli_status)ended;
	}
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
	struct sharing sharing = {.run = NULL};
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
	    {"run", 0, "NAME",
		"of a backup that several processes make: the same for all",
		CLI_TEXT, &sharing.run},
	    {"plan", 0, NULL,
		"lead it: hold the moment until all is read, then commit",
		CLI_FLAG, &sharing.is_plan},
	    {"share", 0, "I/N",
		"read share I of N, counted from 0 (0/4 to 3/4)", CLI_TEXT,
		&sharing.share},
	    {"finish", 0, NULL,
		"have the leader commit when all shares are there; with "
		"--plan, it does so by itself",
		CLI_FLAG, &sharing.is_finish},
	    {"wait", 0, "TIME",
		"so long for the plan and (--finish) for shares; usually 10m",
		CLI_TEXT, &sharing.wait},
	    {"time-limit", 0, "TIME",
		"with --plan: fail when it takes longer (6h)", CLI_TEXT,
		&sharing.time_limit},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = check_request(&cli, &archive);
	if (status == CLI_GO_ON)
		status = check_sharing(&cli, &sharing, archive.output != NULL);
	if (status == CLI_GO_ON)
		status = cli_archive(&cli, &archive, secret, &written);
	if (status == CLI_GO_ON && sharing.run != NULL && !sharing.is_plan)
		status = take_part(&cli, &sharing);
	else if (status == CLI_GO_ON)
		status = create(&cli, &tags, &written, &sharing);
	cli_secret_wipe(secret);
	cli_list_free(&archive.recipients);
	cli_list_free(&tags);
	return cli_finish(&cli, status);
}
