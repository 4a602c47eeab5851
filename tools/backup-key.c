/* SPDX-License-Identifier: Apache-2.0 */
/* backup-key: who may open a repository, and who may write to it. */
#include "tools/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_command command = {
    .name = "backup-key",
    .summary =
	"Show and change who may open a repository (administrators: age "
	"recipients and\npassphrases) and who may write to it (hosts with a "
	"key file). What was backed up\nis never written again. Changes need "
	"an administrator's identity or passphrase.",
    .usage = (const char *const[]){"show",
	"add [AGE1... | --new-identity FILE | --new-passphrase-file FILE]",
	"remove WHO", "host NAME --key-file FILE [--may-prune]", "revoke HOST",
	"rotate", "sheet FILE | --check FILE [--to FILE]", NULL},
    .operands = (const char *const[]){"show    administrators, hosts, and "
				      "the number of the last change",
	"add     one more administrator; with nothing else it asks for a "
	"passphrase",
	"remove  an administrator: the label or the recipient, or the start "
	"of one",
	"host    makes the key file of a backup host",
	"revoke  lets a host "
	"in no longer; what it "
	"wrote stays",
	"rotate  new keys for what is written from now on",
	"sheet   a recovery sheet for paper into FILE (- for standard output)",
	NULL},
    .statuses =
	(const char *const[]){"0  done", "1  failed", "2  wrong usage", NULL},
    .examples = (const char *const[]){"backup-key show",
	"backup-key add age1... --label 'ops laptop' -i identity.txt",
	"backup-key host db2 --key-file db2.key -i identity.txt",
	"backup-key sheet - -i identity.txt | lpr", NULL},
    .takes = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_IDENTITY,
    .operands_min = 1,
    .operands_max = 2,
};

struct request {
	const char *label, *new_identity, *new_passphrase_file, *check, *to;
	bool may_prune;
};

/* A command of the command, and how many operands it has of its own. */
struct action {
	const char *name;
	int min, max;
	enum cli_status (*run)(struct cli *cli, const struct request *request);
};

static const char *
operand(const struct cli *cli)
{
	return cli->operand_count > 1 ? cli->operands[1] : NULL;
}

static json_t *
result(const char *action)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "type", "result", "command",
	    command.name, "action", action, "state", "complete");
}

/* ---- show ---- */

static void
emit_list(struct cli *cli, const struct bkp_key_list *list)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];
	json_t *event;

	for (size_t i = 0; i < list->admin_count; i++) {
		const struct bkp_key_admin *admin = &list->admins[i];

		cli_emit(cli,
		    json_pack("{s:s, s:o, s:s, s:b, s:s}", "type",
			"administrator", "label", cli_json_text(admin->label),
			"recipient", admin->recipient, "is_passphrase",
			admin->is_passphrase, "added",
			cli_time_utc(admin->added_us, a)));
	}
	for (size_t i = 0; i < list->host_count; i++) {
		const struct bkp_key_host *host = &list->hosts[i];

		cli_emit(cli,
		    json_pack("{s:s, s:o, s:s, s:b, s:s, s:s?, s:I}", "type",
			"host", "name", cli_json_text(host->name), "public_key",
			host->public_key, "may_prune", host->may_prune, "added",
			cli_time_utc(host->added_us, a), "revoked",
			host->revoked_us != 0
			    ? cli_time_utc(host->revoked_us, b)
			    : NULL,
			"believed", (json_int_t)host->believed));
	}
	event = cli_with(
	    result("show"), "roster", json_integer((json_int_t)list->roster));
	event = cli_with(
	    event, "generation", json_integer((json_int_t)list->generation));
	event = cli_with(
	    event, "changed", json_string(cli_time_utc(list->changed_us, a)));
	event = cli_with(event, "is_joined", json_boolean(list->is_joined));
	cli_emit(cli, cli_with(event, "damaged",
			  json_integer((json_int_t)list->damaged)));
}

static void
print_admin(const struct bkp_key_admin *admin)
{
	char text[CLI_TEXT_SIZE];

	(void)printf("administrator  %s  %s", admin->recipient,
	    cli_time(admin->added_us, text));
	if (admin->is_passphrase)
		(void)printf("  by passphrase");
	if (*admin->label != '\0') {
		(void)printf("  ");
		cli_print_escaped(stdout, admin->label);
	}
	(void)printf("\n");
}

static void
print_host(const struct bkp_key_host *host)
{
	char text[CLI_TEXT_SIZE];

	(void)printf("host           ");
	cli_print_escaped(stdout, host->name);
	(void)printf("  key %.16s  %s", host->public_key,
	    cli_time(host->added_us, text));
	if (host->may_prune)
		(void)printf("  may prune");
	if (host->revoked_us != 0)
		(void)printf("  revoked %s, %llu snapshots stay",
		    cli_time(host->revoked_us, text),
		    (unsigned long long)host->believed);
	(void)printf("\n");
}

static void
print_list(struct cli *cli, const struct bkp_key_list *list)
{
	char text[CLI_TEXT_SIZE];

	for (size_t i = 0; i < list->admin_count; i++)
		print_admin(&list->admins[i]);
	for (size_t i = 0; i < list->host_count; i++)
		print_host(&list->hosts[i]);
	(void)printf("keys           generation %llu\n",
	    (unsigned long long)list->generation);
	(void)printf("last change    number %llu, %s\n",
	    (unsigned long long)list->roster, cli_time(list->changed_us, text));
	if (list->is_joined)
		cli_say(cli,
		    "two administrators changed the keys at the same time; "
		    "the next change joins what they did");
	if (list->damage != NULL)
		cli_say(cli,
		    "%zu rosters could not be used (backup-check tells more): "
		    "%s",
		    list->damaged, list->damage);
}

static enum cli_status
show(struct cli *cli, const struct request *request)
{
	struct bkp_key_list list = BKP_KEY_LIST_INIT;
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	enum cli_status status;

	(void)request;
	status = cli_open(cli, CLI_NEEDS_METADATA, &config, &repository);
	if (status == CLI_GO_ON) {
		if (bkp_key_list(repository, &list, &err) < 0) {
			status = cli_fail(cli, &err);
		} else {
			if (cli->is_json)
				emit_list(cli, &list);
			else
				print_list(cli, &list);
			status = CLI_COMPLETE;
		}
	}
	bkp_key_list_free(&list);
	bkp_repository_close(repository);
	bkp_config_free(config);
	return status;
}

/* ---- changes ---- */

/* What a change works on. */
struct place {
	struct bkp_config *config;
	struct bkp_repository *repository;
};

/* CLI_GO_ON, and end_change frees it; or nothing is left to free. */
static enum cli_status
open_place(struct cli *cli, struct place *place)
{
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status;

	*place = (struct place){NULL, NULL};
	status = cli_open(
	    cli, CLI_NEEDS_CONTENT, &place->config, &place->repository);
	if (status == CLI_GO_ON && bkp_config_keep_parity(place->config,
				       place->repository, &err) < 0) {
		status = cli_fail(cli, &err);
		bkp_repository_close(place->repository);
	}
	if (status != CLI_GO_ON)
		bkp_config_free(place->config);
	return status;
}

/* `event` (taken) or the line, where it went well. */
static enum cli_status
end_change(struct cli *cli, struct place *place, int rc,
    const struct bkp_error *err, json_t *event, const char *line)
{
	enum cli_status status = rc < 0 ? cli_fail(cli, err) : CLI_COMPLETE;

	if (rc == 0 && cli->is_json) {
		cli_emit(cli, event);
		event = NULL;
	} else if (rc == 0 && !cli->is_quiet) {
		(void)printf("%s\n", line);
	}
	json_decref(event);
	bkp_repository_close(place->repository);
	bkp_config_free(place->config);
	return status;
}

/* A passphrase with a typing error would help nobody. */
static int
ask_twice(char passphrase[CLI_SECRET_SIZE], struct bkp_error *err)
{
	char again[CLI_SECRET_SIZE];
	int rc = -1;

	if (!cli_secret_can_ask())
		return cli_error(err, BKP_INVALID, 0,
		    "say who is to be added: a recipient (age1...), "
		    "--new-identity or --new-passphrase-file");
	if (cli_secret_ask("Passphrase to add: ", passphrase, err) < 0)
		return -1;
	if (cli_secret_ask("The same again: ", again, err) == 0) {
		rc = strcmp(passphrase, again) == 0 ? 0 : -1;
		if (rc < 0)
			(void)cli_error(err, BKP_INVALID, 0,
			    "the two passphrases differ; nothing was changed");
	}
	cli_secret_wipe(again);
	return rc;
}

/* Fills in whom to add; `recipient` has room for a new identity's. */
static int
choose(struct cli *cli, const struct request *request,
    struct bkp_key_add_options *options, char passphrase[CLI_SECRET_SIZE],
    char recipient[63], struct bkp_error *err)
{
	options->label = request->label;
	options->recipient = operand(cli);
	if (options->recipient != NULL)
		return 0;
	if (request->new_identity != NULL) {
		options->recipient = recipient;
		return bkp_identity_create(
		    request->new_identity, recipient, err);
	}
	options->passphrase = passphrase;
	if (request->new_passphrase_file != NULL)
		return cli_secret_read(
		    request->new_passphrase_file, passphrase, err);
	return ask_twice(passphrase, err);
}

static enum cli_status
add(struct cli *cli, const struct request *request)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;
	char passphrase[CLI_SECRET_SIZE] = "", recipient[63] = "";
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status;
	struct place place;
	json_t *event;
	int rc;

	if ((operand(cli) != NULL) + (request->new_identity != NULL) +
		(request->new_passphrase_file != NULL) >
	    1)
		return cli_usage(cli, "add one at a time: a recipient, a new "
				      "identity or a passphrase");
	if ((status = open_place(cli, &place)) != CLI_GO_ON)
		return status;
	rc = choose(cli, request, &options, passphrase, recipient, &err);
	if (rc == 0) {
		rc = bkp_key_add(place.repository, &options, &err);
		/* Certain that it opens nothing. */
		if (rc < 0 && *recipient != '\0' &&
		    (err.code == BKP_EXISTS || err.code == BKP_INVALID ||
			err.code == BKP_RETRY || err.code == BKP_AUTH))
			(void)unlink(request->new_identity);
	}
	cli_secret_wipe(passphrase);
	event = cli_with(result("add"), "recipient",
	    cli_json_text(options.recipient)); /* null: a passphrase */
	return end_change(cli, &place, rc, &err, event,
	    options.passphrase != NULL
		? "The passphrase opens the repository now. Keep it where you "
		  "find it without this host."
		: "The recipient's identity opens the repository now. Try it "
		  "before it is needed.");
}

static enum cli_status
take_away(struct cli *cli, const struct request *request)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char recipient[63] = "";
	enum cli_status status;
	struct place place;
	int rc;

	(void)request;
	if ((status = open_place(cli, &place)) != CLI_GO_ON)
		return status;
	rc = bkp_key_remove(place.repository, operand(cli), recipient, &err);
	return end_change(cli, &place, rc, &err,
	    cli_with(result("remove"), "recipient", json_string(recipient)),
	    "Removed. Whoever that was still knows the present keys and can "
	    "read what is\nwritten with them: run backup-key rotate, and "
	    "take access to the store away.");
}

static enum cli_status
add_host(struct cli *cli, const struct request *request)
{
	const char *key_file = cli->key_file;
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status;
	struct place place;
	json_t *event;
	int rc;

	if (key_file == NULL)
		return cli_usage(
		    cli, "--key-file is missing: where to write the key");
	/* It is the new one here, and not what opens the repository. */
	cli->key_file = NULL;
	if ((status = open_place(cli, &place)) != CLI_GO_ON)
		return status;
	rc = bkp_key_host_add(
	    place.repository, operand(cli), key_file, request->may_prune, &err);
	event = cli_with(result("host"), "name", cli_json_text(operand(cli)));
	event = cli_with(event, "key_file", cli_json_path(key_file));
	return end_change(cli, &place, rc, &err, event,
	    "The key file backs up, lists and checks; it cannot read what was "
	    "backed up.\nBring it to the host (mode 0600) and keep no copy "
	    "here.");
}

static enum cli_status
revoke_host(struct cli *cli, const struct request *request)
{
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status;
	uint64_t believed = 0;
	struct place place;
	json_t *event;
	int rc;

	(void)request;
	if ((status = open_place(cli, &place)) != CLI_GO_ON)
		return status;
	rc = bkp_key_host_revoke(
	    place.repository, operand(cli), &believed, &err);
	event = cli_with(result("revoke"), "name", cli_json_text(operand(cli)));
	event = cli_with(event, "believed", json_integer((json_int_t)believed));
	return end_change(cli, &place, rc, &err, event,
	    "Revoked. What the host had written stays as it is; nothing that "
	    "its key signs\nfrom now on is believed. Whoever has the key "
	    "still reads names and sizes of what\nis there: run backup-key "
	    "rotate where that matters.");
}

static enum cli_status
rotate(struct cli *cli, const struct request *request)
{
	struct bkp_error err = BKP_ERROR_INIT;
	enum cli_status status;
	struct place place;
	int rc;

	(void)request;
	if ((status = open_place(cli, &place)) != CLI_GO_ON)
		return status;
	rc = bkp_key_rotate(place.repository, &err);
	return end_change(cli, &place, rc, &err, result("rotate"),
	    "What is written from now on is for new keys. Administrators and "
	    "hosts go on as\nthey are; who was removed or revoked does not get "
	    "the new keys.");
}

/* ---- sheets ---- */

static int
write_all(int fd, const char *data, size_t len, const char *path,
    struct bkp_error *err)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cli_error(
			    err, BKP_IO, errno, "writing %s", path);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A file that nobody else reads and that was not there, or standard output
 * where that is no screen. */
static int
take_sheet(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	const char *path = arg;
	int fd = STDOUT_FILENO, rc;

	if (strcmp(path, "-") == 0)
		return write_all(fd, data, len, "standard output", err);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return cli_error(err, errno == EEXIST ? BKP_EXISTS : BKP_IO,
		    errno, "making the file %s", path);
	rc = write_all(fd, data, len, path, err);
	if (rc == 0 && fsync(fd) < 0)
		rc = cli_error(err, BKP_IO, errno, "writing %s", path);
	if (close(fd) < 0 && rc == 0)
		rc = cli_error(err, BKP_IO, errno, "writing %s", path);
	if (rc < 0)
		(void)unlink(path);
	return rc;
}

static enum cli_status
write_sheet(struct cli *cli)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_keys keys = BKP_KEYS_INIT;
	const char *path = operand(cli);
	enum cli_status status;
	struct place place;
	char *name = strdup(path);
	int rc;

	if (name == NULL)
		(void)cli_error(&err, BKP_NOMEM, ENOMEM, "writing a sheet");
	if (strcmp(path, "-") == 0 && (isatty(STDOUT_FILENO) || cli->is_json))
		(void)cli_error(&err, BKP_INVALID, 0,
		    "the sheet is a secret and not for a screen or a log: "
		    "name a file, or lead standard output to a printer");
	if (err.code != 0) {
		free(name);
		return cli_fail(cli, &err);
	}
	if ((status = open_place(cli, &place)) != CLI_GO_ON) {
		free(name);
		return status;
	}
	bkp_config_keys(place.config, &keys);
	rc = bkp_key_sheet(place.repository, &keys, take_sheet, name, &err);
	free(name);
	if (strcmp(path, "-") == 0)
		cli->is_quiet = true;
	return end_change(cli, &place, rc, &err,
	    cli_with(result("sheet"), "file", cli_json_path(path)),
	    "Print the file, remove it, and try what is on paper: backup-key "
	    "sheet --check.");
}

/* A file of a few kilobytes, or standard input with "-". */
static int
read_text(const char *path, char *text, size_t size, size_t *len,
    struct bkp_error *err)
{
	bool is_input = strcmp(path, "-") == 0;
	FILE *file = is_input ? stdin : fopen(path, "re");
	bool has_failed, is_long;

	if (file == NULL)
		return cli_error(err, errno == ENOENT ? BKP_NOTFOUND : BKP_IO,
		    errno, "reading %s", path);
	(void)setvbuf(file, NULL, _IONBF, 0); /* keeps no copy */
	*len = fread(text, 1, size, file);
	has_failed = ferror(file) != 0;
	is_long = *len == size;
	if (!is_input)
		(void)fclose(file);
	if (has_failed)
		return cli_error(err, BKP_IO, errno, "reading %s", path);
	if (is_long)
		return cli_error(
		    err, BKP_INVALID, 0, "%s is too long for a sheet", path);
	return 0;
}

static enum cli_status
check_sheet(struct cli *cli, const struct request *request)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_key_sheet sheet;
	char text[32768];
	json_t *event;
	size_t len = 0;
	int rc;

	rc = read_text(request->check, text, sizeof(text), &len, &err);
	if (rc == 0)
		rc = bkp_key_sheet_read(text, len, request->to, &sheet, &err);
	explicit_bzero(text, sizeof(text));
	if (rc < 0)
		return cli_fail(cli, &err);
	if (cli->is_json) {
		event = cli_with(result("sheet"), "repository",
		    json_string(sheet.repository));
		event =
		    cli_with(event, "recipient", json_string(sheet.recipient));
		cli_emit(cli, cli_with(event, "identity_file",
				  cli_json_path(request->to)));
		return CLI_COMPLETE;
	}
	(void)printf("every line is right\nrepository  %s\nrecipient   %s\n",
	    sheet.repository, sheet.recipient);
	if (request->to != NULL) {
		(void)printf("identity    ");
		cli_print_escaped(stdout, request->to);
		(void)printf("\n");
	}
	return CLI_COMPLETE;
}

static enum cli_status
sheet(struct cli *cli, const struct request *request)
{
	if ((operand(cli) == NULL) == (request->check == NULL))
		return cli_usage(cli, "name the file that the sheet goes to, "
				      "or --check one that was typed in");
	if (request->to != NULL && request->check == NULL)
		return cli_usage(cli, "--to goes with --check");
	return request->check != NULL ? check_sheet(cli, request)
				      : write_sheet(cli);
}

/* ---- the command ---- */

static const struct action actions[] = {
    {"show", 0, 0, show},
    {"add", 0, 1, add},
    {"remove", 1, 1, take_away},
    {"host", 1, 1, add_host},
    {"revoke", 1, 1, revoke_host},
    {"rotate", 0, 0, rotate},
    {"sheet", 0, 1, sheet},
};

static enum cli_status
run(struct cli *cli, const struct request *request)
{
	int given = cli->operand_count - 1;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		const struct action *action = &actions[i];

		if (strcmp(action->name, cli->operands[0]) != 0)
			continue;
		if (given < action->min)
			return cli_usage(
			    cli, "%s: something is missing", action->name);
		if (given > action->max)
			return cli_usage(cli, "%s: '%s' is too much",
			    action->name, operand(cli));
		return action->run(cli, request);
	}
	return cli_usage(cli, "there is no '%s'", cli->operands[0]);
}

int
main(int argc, char **argv)
{
	struct cli cli = CLI_INIT(&command);
	struct request request = {.label = NULL};
	const struct cli_option options[] = {
	    {"label", 0, "TEXT", "what people call the one who is added",
		CLI_TEXT, &request.label},
	    {"new-identity", 0, "FILE", "make an identity in FILE and add it",
		CLI_TEXT, &request.new_identity},
	    {"new-passphrase-file", 0, "FILE",
		"add the passphrase in the first line of FILE", CLI_TEXT,
		&request.new_passphrase_file},
	    {"may-prune", 0, NULL, "the host may remove snapshots, too",
		CLI_FLAG, &request.may_prune},
	    {"check", 0, "FILE", "read a recovery sheet that was typed in",
		CLI_TEXT, &request.check},
	    {"to", 0, "FILE", "with --check: write its identity to FILE",
		CLI_TEXT, &request.to},
	    {.name = NULL}};
	enum cli_status status;

	cli_start(&cli);
	status = cli_parse(&cli, options, argc, argv);
	if (status == CLI_GO_ON)
		status = run(&cli, &request);
	return cli_finish(&cli, status);
}
