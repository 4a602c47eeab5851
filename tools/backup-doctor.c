/* SPDX-License-Identifier: Apache-2.0 */
/* backup-doctor: what is wrong, or will be, and what to do about it. */
#include "tools/cli.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct cli_command command = {
    .name = "backup-doctor",
    .summary =
	"Look at this machine, the configuration, the repository, every "
	"database and bucket:\nwhat would keep a backup or a restore from "
	"going well is named, with what to do.",
    .usage = (const char *const[]){"", NULL},
    .statuses = (const char *const[]){"0  nothing is wrong (notes at most)",
	"1  something is wrong, or not everything could be looked at",
	"2  wrong usage", "3  there are warnings", NULL},
    .examples = (const char *const[]){"backup-doctor",
	"backup-doctor --config backup.yaml --offline",
	"backup-doctor --all --write", "backup-doctor --json",
	"backup-doctor --bundle for-help.zip --log /var/log/backup.log", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY,
};

struct request {
	bool is_all, is_offline, may_write;
	const char *scratch_directory, *limit;
	const char *bundle, *log_file;
	bool is_show;
};

/* ---- what is told ---- */

struct teller {
	struct cli *cli;
	bool is_all;
	bool has_told;
	bool is_silent; /* standard output belongs to a bundle */
};

static bool
is_shown(const struct teller *teller, const struct bkp_symptom *symptom)
{
	if (teller->is_all)
		return true;
	if (symptom->health == BKP_HEALTH_NOTE)
		return !teller->cli->is_quiet;
	return symptom->health == BKP_HEALTH_WARNING ||
	       symptom->health == BKP_HEALTH_ERROR;
}

static void
emit(struct cli *cli, const struct bkp_symptom *symptom)
{
	cli_emit(cli,
	    json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "type", "finding", "id",
		symptom->id, "status", bkp_health_name(symptom->health),
		"subject", cli_json_text(symptom->subject), "seen",
		cli_json_text(symptom->seen), "advice",
		cli_json_text(symptom->advice)));
}

static void
tell(void *arg, const struct bkp_symptom *symptom)
{
	struct teller *teller = arg;

	if (teller->is_silent)
		return;
	if (teller->cli->is_json) {
		emit(teller->cli, symptom);
		return;
	}
	if (!is_shown(teller, symptom))
		return;
	(void)printf(
	    "%-8s %-22s ", bkp_health_name(symptom->health), symptom->id);
	cli_print_escaped(stdout, symptom->subject);
	(void)printf("\n         ");
	cli_print_escaped(stdout, symptom->seen);
	if (*symptom->advice != '\0') {
		(void)printf("\n         > ");
		cli_print_escaped(stdout, symptom->advice);
	}
	(void)putchar('\n');
	/* Some checks take long. */
	(void)fflush(stdout);
	teller->has_told = true;
}

static const char *
state(const struct bkp_doctor_result *r)
{
	if (r->errors > 0)
		return "failed";
	return r->warnings > 0 ? "degraded" : "complete";
}

static void
tell_sum(struct teller *teller, const struct bkp_doctor_result *r)
{
	char text[CLI_TEXT_SIZE];

	if (teller->cli->is_json) {
		cli_emit(teller->cli,
		    json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
			"type", "result", "command", command.name, "state",
			state(r), "errors", (json_int_t)r->errors, "warnings",
			(json_int_t)r->warnings, "notes", (json_int_t)r->notes,
			"skipped", (json_int_t)r->skipped, "ok",
			(json_int_t)r->ok, "duration_ms",
			(json_int_t)r->duration_ms));
		return;
	}
	if (teller->has_told)
		(void)putchar('\n');
	(void)printf("%llu found in order, %llu notes, %llu skipped, "
		     "%llu warnings, %llu errors, in %s\n",
	    (unsigned long long)r->ok, (unsigned long long)r->notes,
	    (unsigned long long)r->skipped, (unsigned long long)r->warnings,
	    (unsigned long long)r->errors, cli_duration(r->duration_ms, text));
	(void)puts(r->errors > 0     ? "SOMETHING IS WRONG"
		   : r->warnings > 0 ? "NOTHING IS BROKEN, but look at what is "
				       "named above"
				     : "HEALTHY");
}

/* ---- a bundle ---- */

struct output {
	const char *path; /* NULL: standard output */
	FILE *file;       /* owned; of the path */
	struct cli *cli;
};

/* Nothing comes before everything was looked through, so there is no file until
 * then. */
static int
write_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct output *output = arg;
	FILE *file = output->path != NULL ? output->file : stdout;

	if (file == NULL) {
		file = output->file = fopen(output->path, "wxe");
		if (file == NULL)
			return cli_error(err,
			    errno == EEXIST ? BKP_EXISTS : BKP_IO, errno,
			    "making %s", output->path);
	}
	if (fwrite(data, 1, len, file) == len)
		return 0;
	if (output->path == NULL)
		output->cli->output_errno = errno;
	return cli_error(err, BKP_IO, errno, "writing the bundle");
}

static int
close_output(struct output *output, int rc, struct bkp_error *err)
{
	if (output->file == NULL)
		return rc;
	if (fclose(output->file) != 0 && rc == 0)
		rc = cli_error(err, BKP_IO, errno, "writing %s", output->path);
	if (rc < 0)
		(void)unlink(output->path);
	return rc;
}

static enum cli_status
put_bundle(struct cli *cli, const struct request *request,
    const struct bkp_doctor_options *looked,
    const struct bkp_doctor_result *result)
{
	struct bkp_bundle_options options = BKP_BUNDLE_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct output output = {.cli = cli};
	mode_t mask;
	int rc;

	if (request->bundle != NULL && strcmp(request->bundle, "-") != 0)
		output.path = request->bundle;
	options.config = looked->config;
	options.config_file = looked->config_file;
	options.result = result;
	options.log_file = request->log_file;
	options.is_text = request->is_show;
	options.fn = write_bytes;
	options.arg = &output;
	/* It is for whoever made it to give away. */
	mask = umask(077);
	rc = bkp_doctor_bundle(&options, &err);
	(void)umask(mask);
	rc = close_output(&output, rc, &err);
	if (rc < 0)
		return cli_fail(cli, &err);
	if (output.path != NULL && !cli->is_quiet)
		cli_say(cli,
		    "wrote %s; look at it with --show, or unpack it, before "
		    "you send it",
		    output.path);
	return CLI_COMPLETE;
}

static bool
wants_bundle(const struct request *request)
{
	return request->bundle != NULL || request->is_show;
}

/* ---- its work ---- */

static enum cli_status
examine(struct cli *cli, const struct request *request,
    struct bkp_doctor_options *options)
{
	struct teller teller = {.cli = cli,
	    .is_all = request->is_all,
	    .is_silent =
		request->is_show ||
		(request->bundle != NULL && strcmp(request->bundle, "-") == 0)};
	struct bkp_doctor_result result = {.memory = NULL};
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status = CLI_COMPLETE;

	options->tell = tell;
	options->arg = &teller;
	if (bkp_doctor(options, &result, &err) < 0)
		return err.code == BKP_INVALID
			   ? cli_usage(cli, "--time-limit: %s", err.message)
			   : cli_fail(cli, &err);
	if (!teller.is_silent)
		tell_sum(&teller, &result);
	if (wants_bundle(request))
		status = put_bundle(cli, request, options, &result);
	else if (result.errors > 0)
		status = CLI_FAILED;
	else if (result.warnings > 0)
		status = CLI_DEGRADED;
	bkp_doctor_result_free(&result);
	return status;
}

/* A configuration that cannot be read is the first thing to find. */
static enum cli_status
run(struct cli *cli, const struct request *request)
{
	struct bkp_doctor_options options = BKP_DOCTOR_OPTIONS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status;

	if (cli_config_read(cli, 0, &config, &why) < 0)
		options.config_error = &why;
	options.config = config;
	options.config_file = cli->config_file;
	options.is_offline = request->is_offline;
	options.may_write = request->may_write;
	options.scratch_directory = request->scratch_directory;
	options.limit = request->limit;
	options.cancel = &cli->cancel;
	status = examine(cli, request, &options);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.is_all = false};
	const struct cli_option own[] = {
	    {"all", 'a', NULL, "tell also what is in order", CLI_FLAG,
		&request.is_all},
	    {"offline", 0, NULL,
		"ask no server: this machine and the configuration", CLI_FLAG,
		&request.is_offline},
	    {"write", 0, NULL, "put a trifle into the repository and remove it",
		CLI_FLAG, &request.may_write},
	    {"scratch-directory", 0, "DIR",
		"where verifications restore to, for its room", CLI_TEXT,
		&request.scratch_directory},
	    {"time-limit", 0, "TIME", "of each check (30s)", CLI_TEXT,
		&request.limit},
	    {"bundle", 0, "FILE",
		"write a zip for whoever helps, without secrets (-)", CLI_TEXT,
		&request.bundle},
	    {"show", 0, NULL, "print what would be in it", CLI_FLAG,
		&request.is_show},
	    {"log", 0, "FILE", "put the end of this log into it", CLI_TEXT,
		&request.log_file},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, own, argc, argv);
	if (status == CLI_GO_ON && request.bundle != NULL && request.is_show)
		status = cli_usage(
		    &cli, "--show prints what --bundle would write; give one");
	if (status == CLI_GO_ON && request.log_file != NULL &&
	    !wants_bundle(&request))
		status =
		    cli_usage(&cli, "--log goes with --bundle or --show only");
	if (status == CLI_GO_ON && cli.is_json && wants_bundle(&request) &&
	    (request.is_show || strcmp(request.bundle, "-") == 0))
		status = cli_usage(&cli, "events and a bundle cannot both go "
					 "to standard output");
	if (status == CLI_GO_ON)
		status = run(&cli, &request);
	return cli_finish(&cli, status);
}
