/* SPDX-License-Identifier: Apache-2.0 */
/* What a command that somebody is told to run later is given. */
#include "tools/cli.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
	char *text; /* owned; NULL: none so far */
};

static int
append(struct arguments *arguments, const char *text, size_t len)
{
	size_t old = arguments->text != NULL ? strlen(arguments->text) : 0;
	char *grown = realloc(arguments->text, old + len + 1);

	if (grown == NULL)
		return -1;
	memcpy(grown + old, text, len);
	grown[old + len] = '\0';
	arguments->text = grown;
	return 0;
}

/* As a shell takes it for one word, whatever is in it. */
static int
append_quoted(struct arguments *arguments, const char *text)
{
	int rc = append(arguments, "'", 1);

	for (; rc == 0 && *text != '\0'; text++)
		rc = *text == '\'' ? append(arguments, "'\\''", 4)
				   : append(arguments, text, 1);
	return rc == 0 ? append(arguments, "'", 1) : -1;
}

/* Files by their whole names: the line may be run elsewhere. */
static int
add_argument(struct arguments *arguments, const char *option, const char *value,
    bool is_file)
{
	char *whole;
	int rc = 0;

	if (value == NULL)
		return 0;
	whole = is_file ? realpath(value, NULL) : NULL;
	if (arguments->text != NULL)
		rc = append(arguments, " ", 1);
	if (rc == 0)
		rc = append(arguments, option, strlen(option));
	if (rc == 0)
		rc = append(arguments, " ", 1);
	if (rc == 0)
		rc = append_quoted(arguments, whole != NULL ? whole : value);
	free(whole);
	return rc;
}

/* Whoever runs the line later may not have that. */
static const char *
or_environment(const char *given, const char *name)
{
	const char *text = given != NULL ? given : getenv(name);

	return text != NULL && *text != '\0' ? text : NULL;
}

/* backup-create goes into all repositories, and a key file opens one. */
static const char *
choose_repository(const struct cli *cli, const struct bkp_config *config)
{
	const char *named =
	    or_environment(cli->repository, "BACKUP_REPOSITORY");

	if (named == NULL && cli->key_file != NULL &&
	    bkp_config_repository_name(config, 1) != NULL)
		return bkp_config_repository_name(config, 0);
	return named;
}

int
cli_arguments(const struct cli *cli, const struct bkp_config *config,
    char **out, struct bkp_error *err)
{
	/* Without one it may be a name in the configuration. */
	const char *repository = choose_repository(cli, config);
	bool has_slash = repository != NULL && strchr(repository, '/') != NULL;
	const struct {
		const char *option, *value;
		bool is_file;
	} given[] = {{"--config", bkp_config_path(config), true},
	    {"--job", or_environment(cli->job, "BACKUP_JOB"), false},
	    {"--repository", repository, has_slash},
	    {"--key-file", cli->key_file, true},
	    {"--identity-file", cli->identity_file, true},
	    {"--passphrase-file", cli->passphrase_file, true}};
	struct arguments arguments = {NULL};
	size_t i = 0;

	while (i < sizeof(given) / sizeof(given[0]) &&
	       add_argument(&arguments, given[i].option, given[i].value,
		   given[i].is_file) == 0)
		i++;
	if (i < sizeof(given) / sizeof(given[0])) {
		free(arguments.text);
		return cli_error(err, BKP_NOMEM, 0, "out of memory");
	}
	*out = arguments.text;
	return 0;
}
