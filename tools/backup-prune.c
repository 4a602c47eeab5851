/* SPDX-License-Identifier: Apache-2.0 */
/* backup-prune: removes snapshots that no rule keeps, and gives back what only
 * they used. */
#include "tools/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command command = {
    .name = "backup-prune",
    .summary = "Remove the snapshots that no rule keeps, and give back what "
	       "only they used.\nThe rules are in the configuration under "
	       "'retention'; an option replaces its rule.",
    .usage = (const char *const[]){"", NULL},
    .statuses = (const char *const[]){"0  done; what waits for its time was "
				      "told",
	"1  failed", "2  wrong usage",
	"3  degraded: done, but for object locks that were named", NULL},
    .examples = (const char *const[]){"backup-prune --dry-run",
	"backup-prune --keep-daily 7 --keep-weekly 4 --keep-monthly 12", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_LIMITS | CLI_YIELDS,
    .operands_max = 0,
};

#define KEEP_MAX 100000
#define NEEDS_TIME "--%s needs a time like 36h, 30d or 1y6m, not \"%s\""

/* The command line. */
struct wish {
	const char *last, *hourly, *daily, *weekly, *monthly, *yearly;
	const char *within, *grace;
	struct cli_list tags, hosts, sources;
	bool is_dry_run, has_no_repack, is_acknowledged;
};

/* ---- rules ---- */

/* Lays a number over a rule; false where it is none. */
static bool
lay_number(const char *text, unsigned *rule)
{
	unsigned long value;
	char *end;

	if (text == NULL)
		return true;
	if (!isdigit((unsigned char)text[0]))
		return false;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || value > KEEP_MAX)
		return false;
	*rule = (unsigned)value;
	return true;
}

static enum cli_status
lay_rules(
    struct cli *cli, const struct wish *wish, struct bkp_retention *retention)
{
	const struct {
		const char *name, *text;
		unsigned *rule;
	} numbers[] = {{"last", wish->last, &retention->keep_last},
	    {"hourly", wish->hourly, &retention->keep_hourly},
	    {"daily", wish->daily, &retention->keep_daily},
	    {"weekly", wish->weekly, &retention->keep_weekly},
	    {"monthly", wish->monthly, &retention->keep_monthly},
	    {"yearly", wish->yearly, &retention->keep_yearly}};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!lay_number(numbers[i].text, numbers[i].rule))
			return cli_usage(cli,
			    "--keep-%s needs a number from 0 to %d, not \"%s\"",
			    numbers[i].name, KEEP_MAX, numbers[i].text);
	if (wish->within != NULL && !bkp_is_duration(wish->within))
		return cli_usage(cli, NEEDS_TIME, "keep-within", wish->within);
	if (wish->grace != NULL && strcmp(wish->grace, "0") != 0 &&
	    !bkp_is_duration(wish->grace))
		return cli_usage(cli, NEEDS_TIME, "grace", wish->grace);
	if (wish->within != NULL)
		retention->keep_within = wish->within;
	if (wish->tags.count > 0) {
		retention->keep_tags = wish->tags.items;
		retention->keep_tag_count = wish->tags.count;
	}
	return CLI_GO_ON;
}

/* ---- what is told ---- */

static json_t *
decision_event(const struct bkp_decision *d)
{
	char time[CLI_TEXT_SIZE];
	json_t *reasons = json_array();

	for (size_t i = 0; i < d->reason_count; i++)
		(void)json_array_append_new(
		    reasons, cli_json_text(d->reasons[i]));
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:o}", "type",
	    "decision", "snapshot", d->snapshot, "time",
	    cli_time_utc(d->time_us, time), "host", cli_json_text(d->host),
	    "sources", cli_json_text(d->sources), "is_kept", d->is_kept,
	    "reasons", reasons);
}

static void
emit_result(
    struct cli *cli, const struct wish *wish, const struct bkp_prune_result *r)
{
	for (size_t i = 0; i < r->decision_count && !cli->is_unwritten; i++)
		cli_emit(cli, decision_event(&r->decisions[i]));
	cli_emit(cli,
	    json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		      "s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
		"type", "result", "command", command.name, "state",
		r->failed_locks > 0 ? "degraded" : "complete", "is_dry_run",
		wish->is_dry_run, "kept", (json_int_t)r->kept, "removed",
		(json_int_t)r->removed, "given_up", (json_int_t)r->given_up,
		"freed_packs", (json_int_t)r->freed_packs, "freed_bytes",
		(json_int_t)r->freed_bytes, "waiting_packs",
		(json_int_t)r->waiting_packs, "waiting_bytes",
		(json_int_t)r->waiting_bytes, "held_bytes",
		(json_int_t)r->held_bytes, "stored_bytes",
		(json_int_t)r->stored_bytes, "waiting_for",
		cli_json_text(r->waiting_for), "renewed_objects",
		(json_int_t)r->renewed_objects, "purged_objects",
		(json_int_t)r->purged_objects, "locked_objects",
		(json_int_t)r->locked_objects, "locked_bytes",
		(json_int_t)r->locked_bytes, "failed_locks",
		(json_int_t)r->failed_locks, "duration_ms",
		(json_int_t)r->duration_ms));
}

static void
print_decision(const struct bkp_decision *d)
{
	char time[CLI_TEXT_SIZE];

	(void)printf("%s  %.12s  %s  ", d->is_kept ? "stays" : "goes ",
	    d->snapshot, cli_time(d->time_us, time));
	cli_print_escaped(stdout, d->host);
	(void)fputs("  ", stdout);
	cli_print_escaped(stdout, d->sources);
	(void)fputc('\n', stdout);
	for (size_t i = 0; i < d->reason_count; i++) {
		(void)fputs(d->is_kept ? "       kept: " : "       ", stdout);
		cli_print_escaped(stdout, d->reasons[i]);
		(void)fputc('\n', stdout);
	}
}

static const char *
packs(uint64_t count)
{
	return count == 1 ? "pack" : "packs";
}

/* What a real run condemns now is deleted by one after the grace. */
static void
tell_future(const struct wish *wish, const struct bkp_prune_result *r)
{
	const char *grace = wish->grace != NULL ? wish->grace : "24h";
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];

	(void)printf("would free %s in %s %s, ", cli_size(r->freed_bytes, a),
	    cli_count(r->freed_packs, b), packs(r->freed_packs));
	if (strcmp(grace, "0") == 0)
		(void)printf("where nobody is at work\n");
	else
		(void)printf("in a prune after the grace of %s\n", grace);
	if (r->waiting_packs > 0)
		(void)printf("waiting    %s in %s %s of these, since an "
			     "earlier prune\n",
		    cli_size(r->waiting_bytes, a),
		    cli_count(r->waiting_packs, b), packs(r->waiting_packs));
}

/* A dry run explains every snapshot, a real one those that went. */
static void
tell_people(const struct cli *cli, const struct wish *wish,
    const struct bkp_prune_result *r)
{
	const char *would =
	    wish->is_dry_run ? " (dry run: nothing was done)" : "";
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];

	for (size_t i = 0; i < r->decision_count && !cli->is_quiet; i++)
		if (wish->is_dry_run || !r->decisions[i].is_kept)
			print_decision(&r->decisions[i]);
	(void)printf("snapshots  %s kept, %s removed%s\n",
	    cli_count(r->kept, a), cli_count(r->removed, b), would);
	if (r->given_up > 0)
		(void)printf("given up   %s missing or damaged ones, of those "
			     "removed\n",
		    cli_count(r->given_up, a));
	if (wish->is_dry_run)
		tell_future(wish, r);
	else
		(void)printf("freed      %s in %s %s\n",
		    cli_size(r->freed_bytes, a), cli_count(r->freed_packs, b),
		    packs(r->freed_packs));
	if (r->waiting_for != NULL) {
		(void)printf("waiting    %s in %s %s, for ",
		    cli_size(r->waiting_bytes, a),
		    cli_count(r->waiting_packs, b), packs(r->waiting_packs));
		cli_print_escaped(stdout, r->waiting_for);
		(void)fputc('\n', stdout);
	}
	if (r->held_bytes > 0)
		(void)printf("held       %s of nobody's, in packs that are "
			     "needed in part\n",
		    cli_size(r->held_bytes, a));
	if (r->locked_objects > 0)
		(void)printf("locked     %s in %s %s removed, until their "
			     "object lock is over\n",
		    cli_size(r->locked_bytes, a),
		    cli_count(r->locked_objects, b),
		    r->locked_objects == 1 ? "object that was"
					   : "objects that were");
	if (r->failed_locks > 0)
		(void)printf("state      degraded: %s with object locks, named "
			     "above\n",
		    r->failed_locks == 1 ? "a problem" : "problems");
	(void)printf("time       %s\n", cli_duration(r->duration_ms, a));
}

/* ---- the course ---- */

static enum cli_status
prune(struct cli *cli, const struct wish *wish)
{
	struct bkp_prune_options options = BKP_PRUNE_OPTIONS_INIT;
	struct bkp_retention retention = BKP_RETENTION_INIT;
	struct bkp_prune_result result = {.kept = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = cli_config(cli, CLI_NEEDS_METADATA, &config);

	if (status != CLI_GO_ON)
		return status;
	bkp_config_retention(config, &retention);
	status = lay_rules(cli, wish, &retention);
	if (status != CLI_GO_ON)
		goto out;
	options.config = config;
	options.retention = &retention;
	options.hosts = wish->hosts.items;
	options.host_count = wish->hosts.count;
	options.sources = wish->sources.items;
	options.source_count = wish->sources.count;
	options.grace = wish->grace;
	options.is_dry_run = wish->is_dry_run;
	options.has_no_repack = wish->has_no_repack;
	options.is_acknowledged = wish->is_acknowledged;
	options.events = cli_events(cli);
	options.cancel = &cli->cancel;
	if (bkp_prune(&options, &result, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	cli_progress_clear(cli);
	if (cli->is_json)
		emit_result(cli, wish, &result);
	else
		tell_people(cli, wish, &result);
	status = result.failed_locks > 0 ? CLI_DEGRADED : CLI_COMPLETE;
out:
	bkp_prune_result_free(&result);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct wish w = {.last = NULL};
	const struct cli_option options[] = {
	    {"dry-run", 'n', NULL, "say what would be done and why, only",
		CLI_FLAG, &w.is_dry_run},
	    {"keep-last", 0, "N", "keep the last N", CLI_TEXT, &w.last},
	    {"keep-hourly", 0, "N", "keep the newest of each of N hours",
		CLI_TEXT, &w.hourly},
	    {"keep-daily", 0, "N", "of N days (UTC)", CLI_TEXT, &w.daily},
	    {"keep-weekly", 0, "N", "of N weeks (from Monday)", CLI_TEXT,
		&w.weekly},
	    {"keep-monthly", 0, "N", "of N months", CLI_TEXT, &w.monthly},
	    {"keep-yearly", 0, "N", "of N years", CLI_TEXT, &w.yearly},
	    {"keep-within", 0, "TIME",
		"all within 36h, 30d, 1y6m of the newest", CLI_TEXT, &w.within},
	    {"keep-tag", 0, "TAG", "all with TAG; repeat for more", CLI_LIST,
		&w.tags},
	    {"host", 0, "HOST", "only snapshots of HOST; repeat for more",
		CLI_LIST, &w.hosts},
	    {"source", 0, "SOURCE",
		"only those that hold nothing but SOURCE; repeat for more",
		CLI_LIST, &w.sources},
	    {"grace", 0, "TIME",
		"delete what nobody needed for TIME (default 24h)", CLI_TEXT,
		&w.grace},
	    {"no-repack", 0, NULL, "leave packs that are hardly used", CLI_FLAG,
		&w.has_no_repack},
	    {"acknowledge", 0, NULL, "give up missing and damaged snapshots",
		CLI_FLAG, &w.is_acknowledged},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = prune(&cli, &w);
	cli_list_free(&w.tags);
	cli_list_free(&w.hosts);
	cli_list_free(&w.sources);
	return cli_finish(&cli, status);
}
