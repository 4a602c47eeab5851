/* SPDX-License-Identifier: Apache-2.0 */
/* backup-cat: the bytes of one entry on standard output. */
#include "tools/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command command = {
    .name = "backup-cat",
    .summary = "Write the bytes of one entry to standard output. Only after "
	       "status 0 are they all\nthere and proven by their digest.",
    .usage = (const char *const[]){"SNAPSHOT PATH", NULL},
    .operands =
	(const char *const[]){
	    "SNAPSHOT  \"latest\", a time, or the start of a name "
	    "that backup-list shows",
	    "PATH      the whole path of an entry", NULL},
    .statuses = (const char *const[]){"0  complete",
	"1  failed: what was written so far is only a part", "2  wrong usage",
	NULL},
    .examples =
	(const char *const[]){"backup-cat latest files/stack/etc/app/.env",
	    "backup-cat --version-id 3f2a-77b latest bucket/uploads/logo.png",
	    NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY |
	     CLI_TAKES_WORKERS | CLI_TAKES_SNAPSHOT | CLI_TAKES_TIME,
    .operands_min = 2,
    .operands_max = 2,
    .only_prints = true,
};

struct output {
	struct cli *cli;
	uint64_t bytes;
};

static int
write_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct output *output = arg;

	if (bkp_cancel_is_requested(&output->cli->cancel))
		return cli_error(
		    err, BKP_CANCELLED, 0, "stopped before the end");
	if (fwrite(data, 1, len, stdout) != len) {
		output->cli->output_errno = errno;
		return cli_error(err, BKP_IO, errno, "writing standard output");
	}
	output->bytes += len;
	return 0;
}

/* The entry at a path, or the version of the object there: *found, the
 * caller's. */
static int
find_path(struct bkp_repository *repository, const char *snapshot,
    const char *path, const char *version_id, char **found,
    struct bkp_error *err)
{
	if (version_id != NULL)
		return bkp_version_find(
		    repository, snapshot, path, version_id, found, err);
	*found = strdup(path);
	return *found != NULL ? 0
			      : cli_error(err, BKP_NOMEM, 0, "out of memory");
}

static enum cli_status
cat(struct cli *cli, const char *version_id)
{
	struct output output = {.cli = cli};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	struct bkp_repository *repository = NULL;
	char name[65], *path = NULL;
	enum cli_status status =
	    cli_open(cli, CLI_NEEDS_CONTENT, &config, &repository);

	if (status != CLI_GO_ON)
		goto out;
	if (bkp_snapshot_find(repository, cli->operands[0], name, &err) < 0 ||
	    find_path(repository, name, cli->operands[1], version_id, &path,
		&err) < 0 ||
	    bkp_entry_read(repository, name, path, write_bytes, &output, &err) <
		0) {
		/* What standard output refuses is told at the end. */
		status =
		    cli->output_errno != 0 ? CLI_FAILED : cli_fail(cli, &err);
		goto out;
	}
	if (cli->is_json)
		cli_emit(cli,
		    json_pack("{s:s, s:s, s:s, s:s, s:o, s:I}", "type",
			"result", "command", command.name, "state", "complete",
			"snapshot", name, "path", cli_json_path(path), "bytes",
			(json_int_t)output.bytes));
	status = CLI_COMPLETE;
out:
	free(path);
	bkp_repository_close(repository);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	const char *version_id = NULL;
	const struct cli_option options[] = {
	    {"version-id", 0, "ID",
		"the version of an object that its server called so", CLI_TEXT,
		&version_id},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	/* Standard output belongs to the bytes. */
	cli.events = stderr;
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = cat(&cli, version_id);
	return cli_finish(&cli, status);
}
