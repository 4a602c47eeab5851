/* SPDX-License-Identifier: Apache-2.0 */
/* Places and keys, from the options, the environment and the file. */
#include "tools/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A repository named outside of any file. */
static bool
has_repository(const struct cli *cli)
{
	const char *text = getenv("BACKUP_REPOSITORY");

	return cli->repository != NULL || (text != NULL && *text != '\0');
}

/*
 * The file, or none: on an empty machine a repository and a key must be
 * enough. A file that was named must be there, and one that is there must be
 * right.
 */
static int
load(struct cli *cli, unsigned needs, struct bkp_config **out,
    struct bkp_error *err)
{
	const char *named = getenv("BACKUP_CONFIG");
	bool is_named =
	    cli->config_file != NULL || (named != NULL && *named != '\0');

	if (bkp_config_load(cli->config_file, out, err) == 0)
		return 0;
	/* With an errno it is a file that the configuration names. */
	if (err->code != BKP_NOTFOUND || err->sys != 0 || is_named ||
	    (needs & CLI_NEEDS_SOURCES) || !has_repository(cli))
		return -1;
	return bkp_config_new(out, err);
}

/* With an identity besides, a key file of the configuration may be lost. One
 * that is named here and now is meant. */
static int
set_key_file(struct cli *cli, struct bkp_config *config, struct bkp_error *err)
{
	if (access(cli->key_file, F_OK) < 0)
		return cli_error(err, errno == ENOENT ? BKP_NOTFOUND : BKP_IO,
		    errno, "looking for the key file %s", cli->key_file);
	return bkp_config_set_key_file(config, cli->key_file, err);
}

/* The job that is named, or the one whose hook we are. Without a file there is
 * none. */
static int
use_job(struct cli *cli, struct bkp_config *config, struct bkp_error *err)
{
	const char *name = getenv("BACKUP_JOB");

	if (cli->job != NULL)
		return bkp_config_use_job(config, cli->job, err);
	if (name == NULL || *name == '\0' || bkp_config_path(config) == NULL)
		return 0;
	return bkp_config_use_job(config, name, err);
}

int
cli_config_choose(
    struct cli *cli, struct bkp_config *config, struct bkp_error *err)
{
	if (use_job(cli, config, err) < 0)
		return -1;
	if (cli->repository == NULL)
		return 0;
	return bkp_config_set_repository(config, cli->repository, err);
}

static int
override(struct cli *cli, struct bkp_config *config, struct bkp_error *err)
{
	char secret[CLI_SECRET_SIZE];
	int rc = cli_config_choose(cli, config, err);

	if (rc == 0 && cli->key_file != NULL)
		rc = set_key_file(cli, config, err);
	if (rc == 0 && cli->identity_file != NULL)
		rc = bkp_config_set_identity_file(
		    config, cli->identity_file, err);
	if (rc == 0 && cli->as_of != NULL)
		rc = bkp_config_set_as_of(config, cli->as_of, err);
	if (rc == 0 && cli->workers != 0)
		rc = bkp_config_set_workers(config, cli->workers, err);
	if (rc == 0)
		rc = bkp_config_set_limits(
		    config, cli->limit_upload, cli->limit_download, err);
	if (rc == 0 && cli->passphrase_file != NULL) {
		rc = cli_secret_read(cli->passphrase_file, secret, err);
		if (rc == 0)
			rc = bkp_config_set_passphrase(config, secret, err);
		cli_secret_wipe(secret);
	}
	return rc;
}

/* Asks where no key that is named can open what is needed. */
static int
complete_keys(unsigned needs, struct bkp_config *config, struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	char secret[CLI_SECRET_SIZE];
	int rc;

	bkp_config_keys(config, &keys);
	if (keys.identity_file != NULL || keys.passphrase != NULL)
		return 0;
	if (keys.key_file != NULL && !(needs & CLI_NEEDS_CONTENT))
		return 0;
	if (!(needs & (CLI_NEEDS_METADATA | CLI_NEEDS_CONTENT)) ||
	    !cli_secret_can_ask())
		return 0;
	rc = cli_secret_ask(
	    "Passphrase of the repository (empty for none): ", secret, err);
	if (rc == 0 && *secret != '\0')
		rc = bkp_config_set_passphrase(config, secret, err);
	cli_secret_wipe(secret);
	return rc;
}

int
cli_config_read(struct cli *cli, unsigned needs, struct bkp_config **out,
    struct bkp_error *err)
{
	struct bkp_config *config = NULL;

	if (load(cli, needs, &config, err) < 0 ||
	    override(cli, config, err) < 0) {
		bkp_config_free(config);
		return -1;
	}
	if ((cli->command->takes & CLI_YIELDS) && bkp_config_is_idle(config))
		cli_yield(cli);
	bkp_config_set_cancel(config, &cli->cancel);
	*out = config;
	return 0;
}

enum cli_status
cli_config(struct cli *cli, unsigned needs, struct bkp_config **out)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = CLI_GO_ON;

	if (cli_config_read(cli, needs, &config, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	if (bkp_config_repository(config) == NULL &&
	    !(needs & CLI_NEEDS_NO_REPOSITORY)) {
		status = cli_usage(cli,
		    "no repository is named: give --repository, set "
		    "BACKUP_REPOSITORY, or write `repository:` into the "
		    "configuration");
		goto out;
	}
	if (complete_keys(needs, config, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	*out = config;
	config = NULL;
out:
	bkp_config_free(config);
	return status;
}

enum cli_status
cli_open(struct cli *cli, unsigned needs, struct bkp_config **config,
    struct bkp_repository **repository)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_keys keys = BKP_KEYS_INIT;
	enum cli_status status = cli_config(cli, needs, config);

	if (status != CLI_GO_ON)
		return status;
	bkp_config_keys(*config, &keys);
	if (bkp_repository_open(
		bkp_config_repository(*config), &keys, repository, &err) < 0)
		return cli_fail(cli, &err);
	return CLI_GO_ON;
}
