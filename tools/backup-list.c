/* SPDX-License-Identifier: Apache-2.0 */
/* backup-list: the snapshots of a repository, or the entries of one. */
#include "tools/cli.h"
#include "tools/list_recorded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct cli_command command = {
    .name = "backup-list",
    .summary = "List the snapshots of a repository, oldest first; or, with "
	       "SNAPSHOT, its entries.",
    .usage = (const char *const[]){"[SNAPSHOT [PREFIX]]", NULL},
    .operands =
	(const char *const[]){
	    "SNAPSHOT  \"latest\", a time, or the start of a name",
	    "PREFIX    only entries whose path begins with it", NULL},
    .statuses = (const char *const[]){"0  complete", "1  failed",
	"2  wrong usage",
	"3  degraded: snapshots are damaged or missing, and were named", NULL},
    .examples = (const char *const[]){"backup-list",
	"backup-list --long latest files/stack/etc/",
	"backup-list --null latest bucket/uploads/ | xargs -0 -n 1 echo", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_SNAPSHOT | CLI_TAKES_TIME,
    .operands_max = 2,
    .only_prints = true,
};

struct format {
	bool is_long, is_null;
};

static const char *
text_of(const json_t *attributes, const char *name)
{
	return json_string_value(json_object_get(attributes, name));
}

/* ---- snapshots ---- */

enum { COLUMNS = 9 };

struct row {
	char *cells[COLUMNS]; /* owned */
};

static uint64_t
bytes_of(const struct bkp_snapshot *s)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < s->source_count; i++)
		sum += s->sources[i].bytes;
	return sum;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* How many digits tell all names apart; at least 8. 0: out of memory. */
static size_t
short_length(const struct bkp_snapshot_list *list)
{
	const char **names = calloc(list->count + 1, sizeof(*names));
	size_t len = 8, i;

	if (names == NULL)
		return 0;
	for (i = 0; i < list->count; i++)
		names[i] = list->items[i].name;
	qsort(names, list->count, sizeof(*names), compare_names);
	for (i = 1; i < list->count; i++) {
		while (len < 64 && strncmp(names[i - 1], names[i], len) == 0)
			len++;
	}
	free(names);
	return len;
}

/* "a,b,c", fit to be printed, in new memory. */
static char *
join(const struct bkp_snapshot *s, bool is_tags)
{
	size_t count = is_tags ? s->tag_count : s->source_count, i, size = 0;
	FILE *file;
	char *text = NULL, *safe;

	file = open_memstream(&text, &size);
	if (file == NULL)
		return NULL;
	for (i = 0; i < count; i++)
		(void)fprintf(file, "%s%s", i == 0 ? "" : ",",
		    is_tags ? s->tags[i] : s->sources[i].prefix);
	if (fclose(file) == EOF) {
		free(text);
		return NULL;
	}
	safe = cli_escape(text);
	free(text);
	return safe;
}

/* "2 days ago": a proof grows old, which a date does not say. */
static const char *
ago(int64_t us, char text[CLI_TEXT_SIZE])
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}};
	int64_t seconds = (int64_t)time(NULL) - us / 1000000;
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		int64_t n = seconds / units[i].seconds;

		if (n < 1)
			continue;
		(void)snprintf(text, CLI_TEXT_SIZE, "%lld %s%s ago",
		    (long long)n, units[i].name, n == 1 ? "" : "s");
		return text;
	}
	return "just now";
}

/* When it was last proven, and how far; or that it was not. */
static const char *
proof_of(const struct bkp_snapshot *s, char text[CLI_TEXT_SIZE])
{
	bool is_partial =
	    s->proof != NULL && strcmp(s->proof->level, "restored") != 0;
	char when[CLI_TEXT_SIZE];

	if (s->failed_us != 0 && s->failed_us >= s->proven_us)
		(void)snprintf(
		    text, CLI_TEXT_SIZE, "failed %s", ago(s->failed_us, when));
	else if (s->proven_us != 0)
		(void)snprintf(text, CLI_TEXT_SIZE, "%s%s",
		    ago(s->proven_us, when), is_partial ? ", in part" : "");
	else
		(void)snprintf(text, CLI_TEXT_SIZE, "never");
	return text;
}

/* What the last verification found: a line below its snapshot. */
static void
print_proof(const struct bkp_snapshot_proof *proof)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];

	if (proof == NULL)
		return;
	(void)printf("    %s %s on ", proof->is_proven ? "proven" : "failed",
	    cli_time(proof->time_us, a));
	cli_print_escaped(stdout, proof->host);
	if (*proof->path != '\0') {
		(void)printf(", ");
		cli_print_escaped(stdout, proof->path);
	}
	(void)printf(": %s, ", proof->level);
	(void)printf("%s passed, %s failed, %s skipped",
	    cli_count(proof->passed, a), cli_count(proof->failed, b),
	    cli_count(proof->skipped, c));
	(void)printf(", in %s", cli_duration(proof->duration_ms, a));
	if (proof->recovery_ms > 0)
		(void)printf(
		    ", restored in %s", cli_duration(proof->recovery_ms, a));
	(void)putchar('\n');
}

static bool
fill_row(struct row *row, const struct bkp_snapshot *s, size_t name_len)
{
	char text[CLI_TEXT_SIZE];
	size_t i;

	row->cells[0] = strndup(s->name, name_len);
	row->cells[1] = strdup(cli_time(s->time_us, text));
	row->cells[2] = cli_escape(s->host);
	row->cells[3] = join(s, false);
	row->cells[4] = strdup(cli_size(bytes_of(s), text));
	row->cells[5] = strdup(cli_size(s->stored_bytes, text));
	row->cells[6] = strdup(s->omission_count > 0 ? "degraded" : "complete");
	row->cells[7] = strdup(proof_of(s, text));
	row->cells[8] = join(s, true);
	for (i = 0; i < COLUMNS; i++) {
		if (row->cells[i] == NULL)
			return false;
	}
	return true;
}

/* The first row is the titles; `told` NULL, or what follows of each: what its
 * sources recorded, and its proof. */
static void
print_rows(
    const struct row *rows, size_t count, const struct bkp_snapshot *told)
{
	size_t widths[COLUMNS] = {0}, len, i, c;

	for (i = 0; i < count; i++) {
		for (c = 0; c < COLUMNS; c++) {
			len = strlen(rows[i].cells[c]);
			widths[c] = len > widths[c] ? len : widths[c];
		}
	}
	for (i = 0; i < count; i++) {
		for (c = 0; c < COLUMNS; c++) {
			len = widths[c] - strlen(rows[i].cells[c]);
			if (c == 4 || c == 5) /* numbers end together */
				(void)printf("%*s", (int)len, "");
			(void)fputs(rows[i].cells[c], stdout);
			if (c + 1 == COLUMNS || *rows[i].cells[c + 1] == '\0')
				break;
			(void)printf(
			    "%*s", c == 4 || c == 5 ? 2 : (int)len + 2, "");
		}
		(void)fputc('\n', stdout);
		if (told != NULL && i > 0) {
			list_recorded_print(&told[i - 1]);
			print_proof(told[i - 1].proof);
		}
	}
}

static void
free_rows(struct row *rows, size_t count)
{
	size_t i, c;

	for (i = 0; rows != NULL && i < count; i++) {
		for (c = 0; c < COLUMNS; c++)
			free(rows[i].cells[c]);
	}
	free(rows);
}

static int
print_snapshots(const struct bkp_snapshot_list *list,
    const struct format *format, struct bkp_error *err)
{
	static const char *const titles[COLUMNS] = {"NAME", "TIME", "HOST",
	    "SOURCES", "SIZE", "ADDED", "STATE", "PROVEN", "TAGS"};
	struct row *rows = calloc(list->count + 1, sizeof(*rows));
	size_t len = format->is_long ? 64 : short_length(list), i, c;
	bool is_whole = rows != NULL && len > 0;

	for (c = 0; is_whole && c < COLUMNS; c++) {
		rows[0].cells[c] = strdup(titles[c]);
		is_whole = rows[0].cells[c] != NULL;
	}
	for (i = 0; is_whole && i < list->count; i++)
		is_whole = fill_row(&rows[i + 1], &list->items[i], len);
	if (is_whole)
		print_rows(rows, list->count + 1,
		    format->is_long ? list->items : NULL);
	free_rows(rows, list->count + 1);
	if (!is_whole)
		return cli_error(
		    err, BKP_NOMEM, ENOMEM, "listing the snapshots");
	return 0;
}

static json_t *
proof_time(int64_t us)
{
	char text[CLI_TEXT_SIZE];

	return us == 0 ? json_null() : json_string(cli_time_utc(us, text));
}

/* 0 is: not recorded. */
static json_t *
known_number(uint64_t n)
{
	return n > 0 ? json_integer((json_int_t)n) : json_null();
}

static json_t *
proof_member(const struct bkp_snapshot_proof *proof)
{
	char time[CLI_TEXT_SIZE];

	if (proof == NULL)
		return json_null();
	return json_pack(
	    "{s:s, s:b, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
	    "s:o, s:o}",
	    "time", cli_time_utc(proof->time_us, time), "is_proven",
	    proof->is_proven, "host", cli_json_text(proof->host), "path",
	    cli_json_path(proof->path), "how", proof->level, "passed",
	    (json_int_t)proof->passed, "failed", (json_int_t)proof->failed,
	    "skipped", (json_int_t)proof->skipped, "rows",
	    (json_int_t)proof->rows, "objects", (json_int_t)proof->objects,
	    "files", (json_int_t)proof->files, "duration_ms",
	    (json_int_t)proof->duration_ms, "recovery_ms",
	    known_number(proof->recovery_ms), "bytes",
	    known_number(proof->bytes), "program",
	    *proof->program == '\0' ? json_null()
				    : cli_json_text(proof->program));
}

/* An array of what the snapshot is of. */
static json_t *
source_members(const struct bkp_snapshot *s)
{
	json_t *json = s->json != NULL ? json_loads(s->json, 0, NULL) : NULL;
	json_t *sources = json_array();
	size_t i;

	for (i = 0; i < s->source_count; i++) {
		json_t *source = json_pack("{s:o, s:o, s:I, s:I, s:I}",
		    "prefix", cli_json_path(s->sources[i].prefix), "kind",
		    cli_json_text(s->sources[i].kind), "entries",
		    (json_int_t)s->sources[i].entries, "bytes",
		    (json_int_t)s->sources[i].bytes, "bytes_taken_over",
		    (json_int_t)s->sources[i].reused_bytes);

		list_recorded_add(json, s->sources[i].prefix, source);
		(void)json_array_append_new(sources, source);
	}
	json_decref(json);
	return sources;
}

static json_t *
snapshot_event(const struct bkp_snapshot *s)
{
	char time[CLI_TEXT_SIZE], finished[CLI_TEXT_SIZE];
	json_t *sources = source_members(s), *tags = json_array();
	size_t i;

	for (i = 0; i < s->tag_count; i++)
		(void)json_array_append_new(tags, cli_json_text(s->tags[i]));
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:I, "
	    "s:I, s:o, s:o, s:o}",
	    "type", "snapshot", "name", s->name, "time",
	    cli_time_utc(s->time_us, time), "finished",
	    cli_time_utc(s->finished_us, finished), "host",
	    cli_json_text(s->host), "state",
	    s->omission_count > 0 ? "degraded" : "complete", "tags", tags,
	    "sources", sources, "bytes", (json_int_t)bytes_of(s),
	    "stored_bytes", (json_int_t)s->stored_bytes, "new_chunks",
	    (json_int_t)s->new_chunks, "known_chunks",
	    (json_int_t)s->known_chunks, "omissions",
	    (json_int_t)s->omission_count, "proven", proof_time(s->proven_us),
	    "proof_failed", proof_time(s->failed_us), "proof",
	    proof_member(s->proof));
}

static void
emit_count(struct cli *cli, const char *what, size_t count, size_t problems,
    const char *signer)
{
	json_t *event =
	    json_pack("{s:s, s:s, s:s, s:I, s:I}", "type", "result", "command",
		command.name, "state", problems > 0 ? "degraded" : "complete",
		what, (json_int_t)count, "problems", (json_int_t)problems);

	if (*signer != '\0')
		(void)json_object_set_new(event, "signer", json_string(signer));
	cli_emit(cli, event);
}

static json_t *
problem_event(const struct bkp_snapshot_problem *problem)
{
	char object[80] = "";

	if (*problem->name != '\0')
		(void)snprintf(
		    object, sizeof(object), "snapshots/%s", problem->name);
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "type", "finding",
	    "level", problem->is_note ? "note" : "damage", "kind",
	    problem->kind, "object", object, "text",
	    cli_json_text(problem->text));
}

/* Tells what is wrong with others than those that are listed. How many
 * problems, notes not counted. */
static size_t
tell_problems(struct cli *cli, const struct bkp_snapshot_list *list)
{
	const struct bkp_snapshot_problem *problem;
	size_t count = 0, i;

	for (i = 0; (problem = bkp_snapshot_list_problem(list, i)) != NULL;
	     i++) {
		count += problem->is_note ? 0 : 1;
		if (cli->is_json)
			cli_emit(cli, problem_event(problem));
		else if (!problem->is_note)
			cli_say(cli, "%s", problem->text);
		else if (!cli->is_quiet)
			cli_say(cli, "note: %s", problem->text);
	}
	return count;
}

/* *problems: how many there are. */
static int
list_snapshots(struct cli *cli, const struct format *format,
    struct bkp_repository *repository, size_t *problems, struct bkp_error *err)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	char signer[65];
	size_t i;
	int rc = 0;

	if (bkp_snapshot_list(repository, &list, err) < 0)
		return -1;
	if (cli->is_json) {
		for (i = 0; i < list.count && !cli->is_unwritten; i++)
			cli_emit(cli, snapshot_event(&list.items[i]));
	} else if (format->is_null) {
		for (i = 0; i < list.count; i++)
			(void)printf("%s%c", list.items[i].name, 0);
	} else if (list.count == 0) {
		if (!cli->is_quiet &&
		    bkp_snapshot_list_problem(&list, 0) == NULL)
			cli_say(cli, "the repository has no snapshot yet");
	} else {
		rc = print_snapshots(&list, format, err);
	}
	*problems = tell_problems(cli, &list);
	(void)bkp_repository_archive_signer(repository, signer);
	if (cli->is_json)
		emit_count(cli, "snapshots", list.count, *problems, signer);
	else if (*signer != '\0' && !cli->is_quiet)
		cli_say(cli,
		    "the archive is signed with the key %s; backup-key show "
		    "tells whose it is",
		    signer);
	bkp_snapshot_list_free(&list);
	return rc;
}

/* ---- entries ---- */

static json_t *
entry_event(const struct bkp_entry *e)
{
	json_t *attributes = json_loads(e->attributes, 0, NULL);

	return json_pack("{s:s, s:o, s:o, s:b, s:o, s:o, s:o}", "type", "entry",
	    "path", cli_json_path(e->path), "kind", cli_json_text(e->kind),
	    "has_content", e->has_content, "size",
	    e->has_content ? json_integer((json_int_t)e->size) : json_null(),
	    "sha256", cli_json_text(e->sha256), "attributes",
	    attributes == NULL ? json_null() : attributes);
}

/* A name, or the number where there was no name for it. */
static void
describe_owner(const json_t *attributes, const char *name, const char *id,
    char text[CLI_TEXT_SIZE])
{
	const char *known = text_of(attributes, name);

	if (known != NULL)
		(void)snprintf(text, CLI_TEXT_SIZE, "%s", known);
	else
		(void)snprintf(text, CLI_TEXT_SIZE, "%lld",
		    (long long)json_integer_value(
			json_object_get(attributes, id)));
}

/* What else people look for: mode and owner of a file, rows of a table, type
 * of an object. */
static void
describe(const json_t *attributes, char *text, size_t size)
{
	const json_t *rows = json_object_get(attributes, "rows");
	const char *mode = text_of(attributes, "mode");
	const char *type = text_of(attributes, "content_type");
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];

	(void)snprintf(text, size, "%s", type == NULL ? "-" : type);
	if (json_is_integer(rows))
		(void)snprintf(text, size, "%s rows",
		    cli_count((uint64_t)json_integer_value(rows), a));
	if (mode == NULL)
		return;
	describe_owner(attributes, "user", "uid", a);
	describe_owner(attributes, "group", "gid", b);
	(void)snprintf(text, size, "%s %s:%s", mode, a, b);
}

/* When it changed last: seconds for files, ISO 8601 for objects. */
static const char *
describe_time(const json_t *attributes, char text[CLI_TEXT_SIZE])
{
	const char *mtime = text_of(attributes, "mtime");
	const char *modified = text_of(attributes, "last_modified");
	struct tm tm = {.tm_year = 0};

	if (mtime != NULL)
		return cli_time(strtoll(mtime, NULL, 10) * 1000000, text);
	if (modified != NULL &&
	    strptime(modified, "%Y-%m-%dT%H:%M:%S", &tm) != NULL)
		return cli_time((int64_t)timegm(&tm) * 1000000, text);
	return "-";
}

static void
print_columns(const struct bkp_entry *e, const json_t *attributes)
{
	char size[CLI_TEXT_SIZE], time[CLI_TEXT_SIZE];
	char text[CLI_TEXT_SIZE * 3];
	char *safe;

	describe(attributes, text, sizeof(text));
	safe = cli_escape(text);
	(void)printf("%-18s %10s  %-18s %-25s  ", e->kind,
	    e->has_content ? cli_size(e->size, size) : "-",
	    safe == NULL ? "-" : safe, describe_time(attributes, time));
	free(safe);
}

static void
print_entry(const struct bkp_entry *e, const struct format *format)
{
	json_t *attributes;
	const char *target;

	if (format->is_null) {
		(void)printf("%s%c", e->path, 0);
		return;
	}
	attributes = json_loads(e->attributes, 0, NULL);
	print_columns(e, attributes);
	cli_print_escaped(stdout, e->path);
	target = text_of(attributes, "target");
	if (target != NULL) {
		(void)fputs(" -> ", stdout);
		cli_print_escaped(stdout, target);
	}
	if (format->is_long) {
		(void)printf(
		    "\n    sha256 %s  ", e->sha256 == NULL ? "-" : e->sha256);
		cli_print_escaped(stdout, e->attributes);
	}
	(void)fputc('\n', stdout);
	json_decref(attributes);
}

static bool
should_stop(const struct cli *cli)
{
	return bkp_cancel_is_requested(&cli->cancel) || cli->is_unwritten ||
	       ferror(stdout);
}

static int
list_entries(struct cli *cli, const struct format *format,
    struct bkp_repository *repository, struct bkp_error *err)
{
	const char *prefix = cli->operand_count > 1 ? cli->operands[1] : "";
	struct bkp_entries *entries = NULL;
	struct bkp_entry entry;
	size_t count = 0;
	char name[65];
	int rc;

	if (bkp_snapshot_find(repository, cli->operands[0], name, err) < 0 ||
	    bkp_entries_open(repository, name, prefix, &entries, err) < 0)
		return -1;
	while ((rc = bkp_entries_next(entries, &entry, err)) > 0 &&
	       !should_stop(cli)) {
		count++;
		if (cli->is_json)
			cli_emit(cli, entry_event(&entry));
		else
			print_entry(&entry, format);
	}
	bkp_entries_close(entries);
	if (rc > 0 && bkp_cancel_is_requested(&cli->cancel))
		rc = cli_error(err, BKP_CANCELLED, 0, "stopped before the end");
	if (rc < 0)
		return -1;
	/* A prefix that nothing begins with is most often a typing error. */
	if (count == 0 && *prefix != '\0')
		return cli_error(err, BKP_NOTFOUND, 0,
		    "no entry of snapshot %.12s begins with \"%s\"; "
		    "backup-list %.12s shows them all",
		    name, prefix, name);
	if (cli->is_json)
		emit_count(cli, "entries", count, 0, "");
	return 0;
}

static enum cli_status
list(struct cli *cli, const struct format *format)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	struct bkp_repository *repository = NULL;
	enum cli_status status =
	    cli_open(cli, CLI_NEEDS_METADATA, &config, &repository);
	size_t problems = 0;
	int rc;

	if (status != CLI_GO_ON)
		goto out;
	rc = cli->operand_count == 0
		 ? list_snapshots(cli, format, repository, &problems, &err)
		 : list_entries(cli, format, repository, &err);
	status = rc < 0         ? cli_fail(cli, &err)
		 : problems > 0 ? CLI_DEGRADED
				: CLI_COMPLETE;
out:
	bkp_repository_close(repository);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct format format = {.is_long = false};
	const struct cli_option options[] = {
	    {"long", 'l', NULL,
		"whole names, moments of databases; digests and "
		"attributes of entries",
		CLI_FLAG, &format.is_long},
	    {"null", '0', NULL,
		"only names or paths, as they are, each ended by a NUL",
		CLI_FLAG, &format.is_null},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON && format.is_null &&
	    (format.is_long || cli.is_json))
		status = cli_usage(
		    &cli, "--null goes with neither --long nor --json");
	if (status == CLI_GO_ON)
		status = list(&cli, &format);
	return cli_finish(&cli, status);
}
