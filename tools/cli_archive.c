/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that write an archive are told about it. */
#include "tools/cli.h"

#include <string.h>

enum cli_status
cli_archive(struct cli *cli, const struct cli_archive *given,
    char secret[CLI_SECRET_SIZE], struct bkp_archive_options *out)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (given->recipients.count > 0 && given->passphrase_file != NULL)
		return cli_usage(cli,
		    "an archive is for recipients or for a passphrase, not "
		    "for both");
	if (given->split != NULL && !cli_size_read(given->split, &out->split))
		return cli_usage(cli,
		    "--split takes a size such as 700M or 4G, not \"%s\"",
		    given->split);
	if (given->split != NULL && out->split < BKP_ARCHIVE_SPLIT_LEAST)
		return cli_usage(cli,
		    "--split %s is too small: parts have at least 64K each",
		    given->split);
	/* Standard output belongs to the archive. */
	if (given->output != NULL && strcmp(given->output, "-") == 0)
		cli->events = stderr;
	if (given->passphrase_file != NULL) {
		if (cli_secret_read(given->passphrase_file, secret, &err) < 0)
			return cli_fail(cli, &err);
		out->passphrase = secret;
	}
	out->output = given->output;
	out->recipients = given->recipients.items;
	out->recipient_count = given->recipients.count;
	out->endpoint = given->endpoint;
	out->is_overwrite = given->is_overwrite;
	out->scratch_directory = given->scratch_directory;
	out->events = cli_events(cli);
	out->cancel = &cli->cancel;
	return CLI_GO_ON;
}
