/* SPDX-License-Identifier: Apache-2.0 */
/* backup-init: makes a repository and the keys to it. */
#include "tools/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_command command = {
    .name = "backup-init",
    .summary = "Make a new repository, the host key that backs up into it, and "
	       "say who can\nopen it: age recipients, a new identity, or a "
	       "passphrase. On a terminal, and\nwith none of them given, it "
	       "asks for a passphrase.",
    .usage = (const char *const[]){"", NULL},
    .statuses = (const char *const[]){"0  the repository was made",
	"1  failed: nothing that was there has changed", "2  wrong usage",
	NULL},
    .examples = (const char *const[]){"backup-init --repository /srv/backup "
				      "--key-file /etc/libbackup/host.key \\",
	"    --new-identity ~/backup-identity.txt", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG,
    .operands_max = 0,
};

struct request {
	struct cli_list recipients;
	const char *new_identity;
	const char *like, *like_key_file; /* NULL: it is like no other */
	const char *location, *key_file;
	char passphrase[CLI_SECRET_SIZE]; /* empty: none */
	char recipient[63];               /* of the new identity; or empty */
};

/* A passphrase with a typing error would lock everybody out for ever. */
static int
ask_twice(char passphrase[CLI_SECRET_SIZE], struct bkp_error *err)
{
	char again[CLI_SECRET_SIZE];
	int rc = -1;

	if (cli_secret_ask(
		"New passphrase of the repository: ", passphrase, err) < 0)
		return -1;
	if (*passphrase == '\0')
		return cli_error(err, BKP_INVALID, 0,
		    "an empty passphrase protects nothing; nothing was made");
	if (cli_secret_ask("The same again: ", again, err) == 0) {
		rc = strcmp(passphrase, again) == 0 ? 0 : -1;
		if (rc < 0)
			(void)cli_error(err, BKP_INVALID, 0,
			    "the two passphrases differ; nothing was made");
	}
	cli_secret_wipe(again);
	return rc;
}

/* The passphrase of the environment or the configuration, where no other way
 * to open the repository was asked for. */
static bool
take_configured(const struct bkp_config *config, struct request *request)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	bkp_config_keys(config, &keys);
	if (keys.passphrase == NULL || *keys.passphrase == '\0' ||
	    strlen(keys.passphrase) >= CLI_SECRET_SIZE)
		return false;
	memcpy(
	    request->passphrase, keys.passphrase, strlen(keys.passphrase) + 1);
	return true;
}

static enum cli_status
choose_openers(
    struct cli *cli, const struct bkp_config *config, struct request *request)
{
	struct bkp_error err = BKP_ERROR_INIT;
	bool is_chosen =
	    request->recipients.count > 0 || request->new_identity != NULL;

	if (cli->passphrase_file != NULL) {
		if (cli_secret_read(
			cli->passphrase_file, request->passphrase, &err) < 0)
			return cli_fail(cli, &err);
		return CLI_GO_ON;
	}
	if (is_chosen || take_configured(config, request))
		return CLI_GO_ON;
	if (!cli_secret_can_ask())
		return cli_usage(cli,
		    "say who can open the repository: --recipient, "
		    "--new-identity or --passphrase-file");
	if (ask_twice(request->passphrase, &err) < 0)
		return cli_fail(cli, &err);
	return CLI_GO_ON;
}

/* That there is no configuration yet: the first repository may be made before
 * its file, also one that the environment names, where nothing is needed of
 * it. */
static bool
has_no_file(const struct cli *cli, const struct request *request,
    const struct bkp_error *problem)
{
	const char *named = getenv("BACKUP_CONFIG");

	if (cli->config_file != NULL)
		return false;
	/* With an errno it is a file that the configuration names. */
	if (named == NULL || *named == '\0')
		return problem->code == BKP_NOTFOUND && problem->sys == 0;
	return access(named, F_OK) < 0 && errno == ENOENT &&
	       cli->repository != NULL && cli->key_file != NULL &&
	       (request->like == NULL || request->like_key_file != NULL);
}

/* Where the repository and the host key go: options, or the configuration
 * that will use them. Where there is one it is read whatever is given, for what
 * is given may be a name in it. */
static enum cli_status
find_places(
    struct cli *cli, struct bkp_config **config, struct request *request)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_keys keys = BKP_KEYS_INIT;
	int rc = bkp_config_load(cli->config_file, config, &err);

	if (rc < 0 && has_no_file(cli, request, &err))
		rc = bkp_config_new(config, &err);
	if (rc < 0 || cli_config_choose(cli, *config, &err) < 0)
		return cli_fail(cli, &err);
	bkp_config_set_cancel(*config, &cli->cancel);
	bkp_config_keys(*config, &keys);
	request->location = bkp_config_repository(*config);
	request->key_file =
	    cli->key_file != NULL ? cli->key_file : keys.key_file;
	if (request->location == NULL)
		return cli_usage(cli, "--repository is missing: where to make "
				      "the repository");
	if (request->key_file == NULL)
		return cli_usage(cli, "--key-file is missing: where to write "
				      "the host key");
	return CLI_GO_ON;
}

/* The other repository. Where there is a configuration it may be one of that,
 * with keys and storage of its own. */
static int
open_like(const struct request *request, const struct bkp_config *config,
    struct bkp_config **other, struct bkp_repository **out,
    struct bkp_error *err)
{
	const char *file = bkp_config_path(config);
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (request->like == NULL)
		return 0;
	if ((file != NULL ? bkp_config_load(file, other, err)
			  : bkp_config_new(other, err)) < 0 ||
	    bkp_config_set_repository(*other, request->like, err) < 0)
		return -1;
	bkp_config_keys(*other, &keys);
	if (request->like_key_file != NULL)
		keys.key_file = request->like_key_file;
	return bkp_repository_open(
	    bkp_config_repository(*other), &keys, out, err);
}

static int
make(struct request *request, const struct bkp_config *config,
    struct bkp_error *err)
{
	struct bkp_init_options options = BKP_INIT_OPTIONS_INIT;
	struct cli_list *list = &request->recipients;
	const char **all = calloc(list->count + 1, sizeof(*all));
	struct bkp_repository *like = NULL;
	struct bkp_config *other = NULL;
	int rc = -1;

	if (all == NULL)
		return cli_error(
		    err, BKP_NOMEM, ENOMEM, "making the repository");
	if (list->count > 0)
		memcpy(all, list->items, list->count * sizeof(*all));
	if (open_like(request, config, &other, &like, err) < 0)
		goto out;
	options.like = like;
	options.recipients = all;
	options.recipient_count = list->count;
	if (request->new_identity != NULL) {
		if (bkp_identity_create(
			request->new_identity, request->recipient, err) < 0)
			goto out;
		all[options.recipient_count++] = request->recipient;
	}
	if (*request->passphrase != '\0')
		options.passphrase = request->passphrase;
	options.key_file = request->key_file;
	options.storage = bkp_config_storage(config);
	rc = bkp_repository_init(request->location, &options, err);
	/* Certain that nothing was made, so the identity opens nothing. */
	if (rc < 0 && *request->recipient != '\0' &&
	    (err->code == BKP_EXISTS || err->code == BKP_INVALID))
		(void)unlink(request->new_identity);
out:
	bkp_repository_close(like);
	bkp_config_free(other);
	free(all);
	return rc;
}

static void
tell_people(const struct request *request)
{
	const struct cli_list *list = &request->recipients;
	size_t i;

	(void)printf("repository  ");
	cli_print_escaped(stdout, request->location);
	(void)printf("\nhost key    ");
	cli_print_escaped(stdout, request->key_file);
	(void)printf("\n");
	if (request->like != NULL) {
		(void)printf("like        ");
		cli_print_escaped(stdout, request->like);
		(void)printf("\n");
	}
	for (i = 0; i < list->count; i++)
		(void)printf("recipient   %s\n", list->items[i]);
	if (*request->recipient != '\0')
		(void)printf("recipient   %s\n", request->recipient);
	(void)printf(
	    "\nKeep now:\n"
	    "- The host key stays on this host. It backs up, lists and "
	    "checks; it cannot\n  read what was backed up.\n");
	if (*request->recipient != '\0') {
		(void)printf("- The identity in ");
		cli_print_escaped(stdout, request->new_identity);
		(void)printf(" reads everything. Move it to a\n  place that "
			     "survives this host, and keep a second copy.\n");
	}
	if (list->count > 0)
		(void)printf("- The identities of the recipients read "
			     "everything. Try one before you need it.\n");
	if (*request->passphrase != '\0')
		(void)printf("- The passphrase reads everything. Keep it where "
			     "you find it without this host.\n");
	(void)printf("Without one of these nobody can restore: there is no "
		     "other way in.\n");
}

static json_t *
result_event(const struct request *request)
{
	json_t *names = json_array();
	size_t i;

	for (i = 0; i < request->recipients.count; i++)
		(void)json_array_append_new(
		    names, cli_json_text(request->recipients.items[i]));
	if (*request->recipient != '\0')
		(void)json_array_append_new(
		    names, cli_json_text(request->recipient));
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b}",
	    "type", "result", "command", command.name, "state", "complete",
	    "repository", cli_json_path(request->location), "key_file",
	    cli_json_path(request->key_file), "like",
	    cli_json_path(request->like), "identity_file",
	    cli_json_path(request->new_identity), "recipients", names,
	    "has_passphrase", *request->passphrase != '\0');
}

static enum cli_status
init(struct cli *cli, struct request *request)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status = find_places(cli, &config, request);

	if (status == CLI_GO_ON)
		status = choose_openers(cli, config, request);
	if (status != CLI_GO_ON)
		goto out;
	if (make(request, config, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	if (cli->is_json)
		cli_emit(cli, result_event(request));
	else
		tell_people(request);
	status = CLI_COMPLETE;
out:
	cli_secret_wipe(request->passphrase);
	bkp_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.new_identity = NULL};
	const struct cli_option options[] = {
	    {"recipient", 'R', "AGE1...",
		"who may open it; repeat for more people", CLI_LIST,
		&request.recipients},
	    {"new-identity", 0, "FILE",
		"make an identity in FILE that may open it", CLI_TEXT,
		&request.new_identity},
	    {"like", 0, "DIR",
		"share chunk names with the repository DIR: a backup into both "
		"reads once",
		CLI_TEXT, &request.like},
	    {"like-key-file", 0, "FILE", "the host key of that one", CLI_TEXT,
		&request.like_key_file},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON && request.like == NULL &&
	    request.like_key_file != NULL)
		status = cli_usage(&cli,
		    "--like-key-file is about another repository; give --like "
		    "DIR, too");
	if (status == CLI_GO_ON)
		status = init(&cli, &request);
	cli_list_free(&request.recipients);
	return cli_finish(&cli, status);
}
