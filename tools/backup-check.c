/* SPDX-License-Identifier: Apache-2.0 */
/* backup-check: whether a repository still holds what its snapshots need. */
#include "tools/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command command = {
    .name = "backup-check",
    .summary =
	"Check a repository: every object that snapshots need is there and "
	"is what was\nstored. What is damaged is named, with the snapshots "
	"and entries that it hurts.",
    .usage = (const char *const[]){"", NULL},
    .statuses = (const char *const[]){"0  clean", "1  damaged, or not checked",
	"2  wrong usage", "3  not damaged, but somebody should look", NULL},
    .examples =
	(const char *const[]){"backup-check", "backup-check --read-data=10%",
	    "backup-check --max-age=30d --budget=100G",
	    "backup-check --read-data --identity-file identity.txt", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_LIMITS | CLI_YIELDS,
};

#define SHOWN 10 /* entries that are named to people, of one finding */

/* ---- numbers with units ---- */

/* "10%", "100", and nothing for all of it. */
static bool
read_percent(const char *text, double *out)
{
	char *end;

	if (*text == '\0') {
		*out = 100;
		return true;
	}
	errno = 0;
	*out = strtod(text, &end);
	if (errno != 0 || end == text || !isdigit((unsigned char)*text))
		return false;
	if (*end == '%')
		end++;
	return *end == '\0' && *out > 0 && *out <= 100;
}

/* A number and one of the letters, each worth the factor in its place. */
static bool
read_unit(const char *text, const char *letters, const uint64_t *factors,
    uint64_t *out)
{
	unsigned long long number;
	const char *letter;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || end == text || !isdigit((unsigned char)*text) ||
	    number == 0)
		return false;
	letter = *end != '\0' ? strchr(letters, *end) : NULL;
	if (letter == NULL || end[1] != '\0' ||
	    number > UINT64_MAX / factors[letter - letters])
		return false;
	*out = number * factors[letter - letters];
	return true;
}

static bool
read_age(const char *text, uint64_t *out)
{
	static const uint64_t factors[] = {
	    1, 60, 3600, 86400, 7 * 86400, 365 * 86400};

	return read_unit(text, "smhdwy", factors, out);
}

static bool
read_size(const char *text, uint64_t *out)
{
	static const uint64_t factors[] = {UINT64_C(1) << 10, UINT64_C(1) << 20,
	    UINT64_C(1) << 30, UINT64_C(1) << 40};

	return read_unit(text, "KMGT", factors, out);
}

/* ---- what was found ---- */

static const char *
level_name(enum bkp_finding_level level)
{
	return level == BKP_FINDING_NOTE      ? "note"
	       : level == BKP_FINDING_WARNING ? "warning"
					      : "damage";
}

static const char *
state(const struct bkp_check_result *r)
{
	if (!r->is_clean || r->damage > 0)
		return "failed";
	return r->warnings > 0 ? "degraded" : "complete";
}

/* {"snapshot": ..., "paths": [...]} for each snapshot that is hurt. */
static json_t *
hurt_json(const struct bkp_finding *finding)
{
	json_t *all = json_array(), *paths = NULL;
	size_t i;

	for (i = 0; i < finding->hurt_count; i++) {
		const struct bkp_hurt *hurt = &finding->hurt[i];

		if (i == 0 || strcmp(hurt->snapshot,
				  finding->hurt[i - 1].snapshot) != 0) {
			paths = json_array();
			if (json_array_append_new(
				all, json_pack("{s:s, s:o}", "snapshot",
					 hurt->snapshot, "paths", paths)) < 0)
				goto fail;
		}
		if (json_array_append_new(paths, cli_json_path(hurt->path)) < 0)
			goto fail;
	}
	return all;
fail:
	json_decref(all);
	return NULL;
}

static const char *
step_name(enum bkp_repair_state state)
{
	return state == BKP_REPAIR_PLANNED ? "planned"
	       : state == BKP_REPAIR_DONE  ? "done"
					   : "needs";
}

static void
emit_steps(struct cli *cli, const struct bkp_check_result *r)
{
	size_t i;

	for (i = 0; i < r->step_count; i++)
		cli_emit(cli, json_pack("{s:s, s:s, s:s, s:o}", "type", "step",
				  "state", step_name(r->steps[i].state),
				  "object", r->steps[i].object, "text",
				  cli_json_text(r->steps[i].text)));
}

static void
emit_result(struct cli *cli, const struct bkp_check_result *r)
{
	size_t i;

	emit_steps(cli, r);
	for (i = 0; i < r->finding_count; i++) {
		const struct bkp_finding *f = &r->findings[i];

		cli_emit(
		    cli, json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:o}",
			     "type", "finding", "level", level_name(f->level),
			     "kind", f->kind, "object", f->object, "text",
			     cli_json_text(f->text), "hurt_total",
			     (json_int_t)f->hurt_total, "hurt", hurt_json(f)));
	}
	cli_emit(
	    cli, json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, "
			   "s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		     "type", "result", "command", command.name, "state",
		     state(r), "is_clean", r->is_clean && r->damage == 0,
		     "damage", (json_int_t)r->damage, "warnings",
		     (json_int_t)r->warnings, "notes", (json_int_t)r->notes,
		     "snapshots", (json_int_t)r->snapshots, "hurt_snapshots",
		     (json_int_t)r->hurt_snapshots, "entries",
		     (json_int_t)r->entries, "indexes", (json_int_t)r->indexes,
		     "packs", (json_int_t)r->packs, "pack_bytes",
		     (json_int_t)r->pack_bytes, "packs_read",
		     (json_int_t)r->packs_read, "bytes_read",
		     (json_int_t)r->bytes_read, "chunks_read",
		     (json_int_t)r->chunks_read, "duration_ms",
		     (json_int_t)r->duration_ms));
}

static void
print_hurt(const struct bkp_finding *finding)
{
	size_t i;

	for (i = 0; i < finding->hurt_count && i < SHOWN; i++) {
		const struct bkp_hurt *hurt = &finding->hurt[i];

		(void)printf("        hurts snapshot %.12s: ", hurt->snapshot);
		if (*hurt->path == '\0')
			(void)fputs("all of it", stdout);
		else
			cli_print_escaped(stdout, hurt->path);
		(void)fputc('\n', stdout);
	}
	if (finding->hurt_total > i)
		(void)printf("        and %llu more; --json names them\n",
		    (unsigned long long)(finding->hurt_total - i));
}

static void
print_finding(const struct bkp_finding *finding)
{
	(void)printf("%s  ", finding->level == BKP_FINDING_NOTE ? "NOTE  "
			     : finding->level == BKP_FINDING_WARNING
				 ? "LOOK  "
				 : "DAMAGE");
	cli_print_escaped(stdout, finding->text);
	(void)fputc('\n', stdout);
	print_hurt(finding);
}

static void
print_steps(const struct bkp_check_result *r)
{
	size_t i;

	for (i = 0; i < r->step_count; i++) {
		const struct bkp_repair_step *step = &r->steps[i];

		(void)printf(
		    "%s  ", step->state == BKP_REPAIR_PLANNED ? "REPAIR"
			    : step->state == BKP_REPAIR_DONE  ? "DONE  "
							      : "NEEDS ");
		cli_print_escaped(stdout, step->object);
		(void)fputs(": ", stdout);
		cli_print_escaped(stdout, step->text);
		(void)fputc('\n', stdout);
	}
	if (r->step_count > 0 && r->steps[0].state == BKP_REPAIR_PLANNED)
		(void)puts("backup-check --repair does what is named REPAIR");
}

static void
tell_people(const struct cli *cli, const struct bkp_check_result *r)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE], c[CLI_TEXT_SIZE];
	bool is_done =
	    r->step_count > 0 && r->steps[0].state == BKP_REPAIR_DONE;
	size_t i;

	if (is_done)
		print_steps(r);
	for (i = 0; i < r->finding_count; i++) {
		if (!cli->is_quiet || r->findings[i].level != BKP_FINDING_NOTE)
			print_finding(&r->findings[i]);
	}
	if (!is_done)
		print_steps(r);
	(void)printf("checked %s %s, %s index %s, %s %s",
	    cli_count(r->snapshots, a),
	    r->snapshots == 1 ? "snapshot" : "snapshots",
	    cli_count(r->indexes, b), r->indexes == 1 ? "object" : "objects",
	    cli_count(r->packs, c), r->packs == 1 ? "pack" : "packs");
	(void)printf(" (%s) in %s\n", cli_size(r->pack_bytes, a),
	    cli_duration(r->duration_ms, b));
	if (r->packs_read > 0)
		(void)printf("read %s %s (%s), proved %s %s\n",
		    cli_count(r->packs_read, a),
		    r->packs_read == 1 ? "pack" : "packs",
		    cli_size(r->bytes_read, b), cli_count(r->chunks_read, c),
		    r->chunks_read == 1 ? "chunk" : "chunks");
	if (!r->is_clean || r->damage > 0)
		(void)printf("DAMAGED: %s %s, %s %s hurt\n",
		    cli_count(r->damage, a),
		    r->damage == 1 ? "finding" : "findings",
		    cli_count(r->hurt_snapshots, b),
		    r->hurt_snapshots == 1 ? "snapshot" : "snapshots");
	else
		(void)puts(r->warnings > 0 ? "NOT DAMAGED, but look at what is "
					     "named above"
					   : "CLEAN");
}

static enum cli_status
check(struct cli *cli, struct bkp_check_options *options)
{
	struct bkp_check_result result = {.is_clean = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = cli_config(cli, CLI_NEEDS_METADATA, &config);

	if (status != CLI_GO_ON)
		return status;
	options->config = config;
	options->events = cli_events(cli);
	options->cancel = &cli->cancel;
	if (bkp_check(options, &result, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	cli_progress_clear(cli);
	if (cli->is_json)
		emit_result(cli, &result);
	else
		tell_people(cli, &result);
	status = CLI_FAILED;
	if (result.is_clean && result.damage == 0)
		status = result.warnings > 0 ? CLI_DEGRADED : CLI_COMPLETE;
out:
	bkp_check_result_free(&result);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct bkp_check_options options = BKP_CHECK_OPTIONS_INIT;
	struct cli cli = CLI_INIT(&command);
	const char *percent = NULL, *age = NULL, *budget = NULL;
	bool is_repair = false, accepts_loss = false;
	const struct cli_option own[] = {
	    {"read-data", 0, "PERCENT",
		"read the packs, or so much of them (10%)", CLI_MAYBE,
		&percent},
	    {"max-age", 0, "AGE", "read packs not read for so long (30d)",
		CLI_TEXT, &age},
	    {"budget", 0, "SIZE", "read at most so much (100G)", CLI_TEXT,
		&budget},
	    {"repair", 0, NULL,
		"repair what can be; without it, say what "
		"would be done",
		CLI_FLAG, &is_repair},
	    {"accept-loss", 0, NULL,
		"repair: damaged or missing snapshots "
		"are given up",
		CLI_FLAG, &accepts_loss},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, own, argc, argv);
	if (status == CLI_GO_ON && percent != NULL &&
	    !read_percent(percent, &options.read_percent))
		status = cli_usage(&cli,
		    "--read-data takes a percentage above 0 and up to 100, as "
		    "in --read-data=10%%");
	if (status == CLI_GO_ON && age != NULL &&
	    !read_age(age, &options.max_age_s))
		status = cli_usage(&cli,
		    "--max-age takes a number and a unit (s, m, h, d, w, y), "
		    "as in --max-age=30d");
	if (status == CLI_GO_ON && budget != NULL &&
	    !read_size(budget, &options.budget))
		status = cli_usage(&cli,
		    "--budget takes a number and a unit (K, M, G, T), as in "
		    "--budget=100G");
	if (status == CLI_GO_ON && budget != NULL && percent == NULL &&
	    age == NULL)
		status = cli_usage(&cli,
		    "--budget limits what --read-data or --max-age reads; "
		    "give one of them");
	if (status == CLI_GO_ON && accepts_loss && !is_repair)
		status =
		    cli_usage(&cli, "--accept-loss goes with --repair only");
	options.is_repair = is_repair;
	options.accepts_loss = accepts_loss;
	if (status == CLI_GO_ON)
		status = check(&cli, &options);
	return cli_finish(&cli, status);
}
