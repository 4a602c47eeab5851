/* SPDX-License-Identifier: Apache-2.0 */
/* The course of a command: descriptors, signals, options, help, the end. */
#include "tools/cli.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS_MAX 48
#define SAME_REQUEST_MS 1000
#define WORKERS_MAX 64
#define FIRST_LONG 256 /* values of options without a letter */

/* ---- signals ---- */

static struct bkp_cancel *cancel_of_signal;
static char stopping[256], going_on[256]; /* "": the second signal ends us */
static uint32_t asked_ms; /* of the first signal; 0: there was none */

/* Never 0; it may begin anew. */
static uint32_t
clock_ms(void)
{
	struct timespec now = {.tv_sec = 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint32_t)now.tv_sec * 1000 +
		   (uint32_t)(now.tv_nsec / 1000000)) |
	       1;
}

/* The first signal asks to stop, so that scratch clusters and temporary files
 * go away; a later one ends the process as it would have without us. One that
 * follows at once is the first again: timeout(1) signals us and then our group,
 * a service manager us and whoever passes it on to us. Two threads may be
 * here at the same time. */
static void
on_stop(int sig)
{
	uint32_t first = 0, now = clock_ms();
	const char *text = NULL;
	int saved = errno;
	ssize_t n;

	if (__atomic_compare_exchange_n(&asked_ms, &first, now, false,
		__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		bkp_cancel_request(cancel_of_signal);
		text = stopping;
	} else if (*going_on != '\0') {
		text = going_on;
	} else if ((int32_t)(now - first) >= SAME_REQUEST_MS) {
		(void)signal(sig, SIG_DFL);
		(void)raise(sig);
	}
	if (text != NULL) {
		n = write(STDERR_FILENO, text, strlen(text));
		(void)n;
	}
	errno = saved;
}

static void
on_pipe(int sig)
{
	(void)sig;
}

static void catch (int sig, void (*handler)(int))
{
	struct sigaction action, before;

	/* What the parent had ignored (nohup, background jobs) stays so. */
	if (sigaction(sig, NULL, &before) < 0 || before.sa_handler == SIG_IGN)
		return;
	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = SA_RESTART;
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(sig, &action, NULL);
}

/* A file that the library opens must never become descriptor 1, or results
 * would be printed into it. Opened the wrong way round, so that writing to a
 * standard output that was closed still is an error. */
static void
fill_descriptors(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) < 0)
			_exit(CLI_FAILED);
	}
}

void
cli_start(struct cli *cli)
{
	const char *term = getenv("TERM");

	fill_descriptors();
	/* Only how wide characters are; numbers stay as they are. */
	(void)setlocale(LC_CTYPE, "");
	(void)setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	cli->events = stdout;
	cli->is_terminal =
	    isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
	(void)snprintf(stopping, sizeof(stopping),
	    "%s%s: stopping; once more to stop without cleaning up\n",
	    isatty(STDERR_FILENO) ? "\n" : "", cli->command->name);
	cancel_of_signal = &cli->cancel;
	catch (SIGINT, on_stop);
	catch (SIGTERM, on_stop);
	catch (SIGHUP, on_stop);
	/* A handler and not SIG_IGN: programs that are started (pg_dump, a
	 * command source) get the default back. */
	catch (SIGPIPE, on_pipe);
}

void
cli_stop_once(struct cli *cli, const char *first, const char *again)
{
	const char *line = isatty(STDERR_FILENO) ? "\n" : "";

	(void)snprintf(stopping, sizeof(stopping), "%s%s: %s\n", line,
	    cli->command->name, first);
	(void)snprintf(going_on, sizeof(going_on), "%s%s: %s\n", line,
	    cli->command->name, again);
}

/* True where standard output is a pipe that nobody reads any more. */
static bool
reader_is_gone(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
}

int
cli_finish(struct cli *cli, enum cli_status status)
{
	int sys = 0;

	cli_progress_clear(cli);
	if (ferror(stdout))
		sys = cli->output_errno != 0 ? cli->output_errno
		      : reader_is_gone()     ? EPIPE
					     : EIO;
	if (fclose(stdout) == EOF && sys == 0)
		sys = errno;
	if (sys == 0 && !cli->is_unwritten)
		return status;
	if (sys == EPIPE && cli->command->only_prints)
		return CLI_FAILED;
	(void)fprintf(stderr, "%s: writing standard output: %s\n",
	    cli->command->name,
	    sys == 0 ? "not everything was written" : strerror(sys));
	return CLI_FAILED;
}

/* ---- options ---- */

struct table {
	struct cli_option options[OPTIONS_MAX];
	size_t count;
};

static void
add(struct table *table, const char *name, int letter, const char *argument,
    const char *help, enum cli_kind kind, void *to)
{
	struct cli_option option = {name, letter, argument, help, kind, to};

	if (table->count < OPTIONS_MAX)
		table->options[table->count++] = option;
}

static void
make_table(struct cli *cli, const struct cli_option *own, struct table *table)
{
	unsigned takes = cli->command->takes;

	table->count = 0;
	for (; own != NULL && own->name != NULL; own++)
		add(table, own->name, own->letter, own->argument, own->help,
		    own->kind, own->to);
	if (takes & CLI_TAKES_CONFIG) {
		add(table, "config", 'c', "FILE", "read this configuration",
		    CLI_TEXT, &cli->config_file);
		add(table, "job", 0, "NAME",
		    "one of the configured jobs, not all sources", CLI_TEXT,
		    &cli->job);
		add(table, "repository", 'r', "DIR",
		    "the repository: a place, or the name of a configured one",
		    CLI_TEXT, &cli->repository);
		add(table, "key-file", 'k', "FILE",
		    "the host key, which opens metadata", CLI_TEXT,
		    &cli->key_file);
	}
	if (takes & CLI_TAKES_IDENTITY)
		add(table, "identity-file", 'i', "FILE",
		    "age identities, which open everything", CLI_TEXT,
		    &cli->identity_file);
	if (takes & CLI_TAKES_TIME)
		add(table, "as-of", 0, "TIME",
		    "read a bucket with versions as it was then", CLI_TEXT,
		    &cli->as_of);
	if (takes & CLI_TAKES_CONFIG)
		add(table, "passphrase-file", 0, "FILE",
		    "read the passphrase from FILE", CLI_TEXT,
		    &cli->passphrase_file);
	if (takes & CLI_TAKES_WORKERS)
		add(table, "workers", 'j', "N", "work on N things at a time",
		    CLI_NUMBER, &cli->workers);
	if (takes & CLI_TAKES_LIMITS) {
		add(table, "limit-upload", 0, "RATE",
		    "write and send RATE bytes a second at the most (10MiB)",
		    CLI_TEXT, &cli->limit_upload);
		add(table, "limit-download", 0, "RATE",
		    "read and get RATE bytes a second at the most", CLI_TEXT,
		    &cli->limit_download);
	}
	if (takes & CLI_TAKES_JSON)
		add(table, "json", 0, NULL, "write events as lines of JSON",
		    CLI_FLAG, &cli->is_json);
	add(table, "quiet", 'q', NULL, "no progress, only results and troubles",
	    CLI_FLAG, &cli->is_quiet);
	add(table, "help", 'h', NULL, "print this help", CLI_FLAG,
	    &cli->is_help);
	add(table, "version", 'V', NULL, "print the version", CLI_FLAG,
	    &cli->is_version);
}

/* What getopt_long wants of the table. */
static void
make_getopt(const struct cli *cli, const struct table *table,
    struct option *longs, char *letters)
{
	const struct cli_option *o;
	size_t i;

	if (cli->command->stops_at_operand)
		*letters++ = '+';
	*letters++ = ':'; /* tell a missing value from an unknown option */
	for (i = 0; i < table->count; i++) {
		o = &table->options[i];
		longs[i].name = o->name;
		longs[i].has_arg = o->argument == NULL    ? no_argument
				   : o->kind == CLI_MAYBE ? optional_argument
							  : required_argument;
		longs[i].flag = NULL;
		longs[i].val = FIRST_LONG + (int)i;
		if (o->letter == 0)
			continue;
		*letters++ = (char)o->letter;
		if (o->argument != NULL)
			*letters++ = ':';
	}
	memset(&longs[table->count], 0, sizeof(longs[0]));
	*letters = '\0';
}

static const struct cli_option *
find_option(const struct table *table, int value)
{
	size_t i;

	if (value >= FIRST_LONG && (size_t)(value - FIRST_LONG) < table->count)
		return &table->options[value - FIRST_LONG];
	for (i = 0; i < table->count; i++) {
		if (value != 0 && table->options[i].letter == value)
			return &table->options[i];
	}
	return NULL;
}

static enum cli_status
set_number(struct cli *cli, const struct cli_option *option, const char *text)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n < 1 ||
	    n > WORKERS_MAX)
		return cli_usage(cli,
		    "--%s takes a number from 1 to %d, not \"%s\"",
		    option->name, WORKERS_MAX, text);
	*(unsigned *)option->to = (unsigned)n;
	return CLI_GO_ON;
}

static enum cli_status
set_list(struct cli *cli, struct cli_list *list, const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;
	const char **items;

	items = realloc(list->items, (list->count + 1) * sizeof(*items));
	if (items == NULL) {
		(void)cli_error(
		    &err, BKP_NOMEM, ENOMEM, "reading the command line");
		return cli_fail(cli, &err);
	}
	items[list->count] = text;
	list->items = items;
	list->count++;
	return CLI_GO_ON;
}

static enum cli_status
set_option(struct cli *cli, const struct cli_option *option, const char *text)
{
	assert(option != NULL); /* getopt_long knows the same table */
	if (option->argument == NULL) {
		*(bool *)option->to = true;
		return CLI_GO_ON;
	}
	if (option->kind == CLI_MAYBE && text == NULL) {
		*(const char **)option->to = "";
		return CLI_GO_ON;
	}
	/* Most often a variable of a script that was never set. */
	if (*text == '\0')
		return cli_usage(
		    cli, "--%s was given an empty value", option->name);
	if (option->kind == CLI_NUMBER)
		return set_number(cli, option, text);
	if (option->kind == CLI_LIST)
		return set_list(cli, option->to, text);
	*(const char **)option->to = text;
	return CLI_GO_ON;
}

/* The mistake that getopt_long found in the argument before optind. */
static enum cli_status
option_mistake(struct cli *cli, const struct table *table, int c, char **argv)
{
	const struct cli_option *option = find_option(table, optopt);
	const char *given = argv[optind - 1];

	if (c == ':')
		return cli_usage(cli, "--%s needs a value (%s)",
		    option == NULL ? given : option->name,
		    option == NULL ? "VALUE" : option->argument);
	if (option != NULL)
		return cli_usage(cli, "--%s takes no value", option->name);
	if (optopt != 0)
		return cli_usage(cli, "there is no option -%c", optopt);
	return cli_usage(
	    cli, "there is no option %s, or it is not unique", given);
}

/* ---- help ---- */

static void
print_lines(const char *title, const char *const *lines, const char *before)
{
	if (lines == NULL)
		return;
	(void)printf("\n%s:\n", title);
	for (; *lines != NULL; lines++)
		(void)printf("  %s%s\n", before, *lines);
}

static void
print_option(const struct cli_option *o)
{
	const char *before = " ", *after = "";
	char left[64];

	if (o->argument == NULL)
		before = "";
	else if (o->kind == CLI_MAYBE) {
		before = "[=";
		after = "]";
	}
	(void)snprintf(left, sizeof(left), "%c%c%c --%s%s%s%s",
	    o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
	    o->letter ? ',' : ' ', o->name, before,
	    o->argument == NULL ? "" : o->argument, after);
	(void)printf("  %-30s %s\n", left, o->help);
}

static void
print_help(const struct cli_command *command, const struct table *table)
{
	const char *const *usage;
	const char *label = "Usage:";
	size_t i;

	for (usage = command->usage; *usage != NULL; usage++) {
		(void)printf("%s %s [OPTION...]%s%s\n", label, command->name,
		    **usage == '\0' ? "" : " ", *usage);
		label = "      ";
	}
	(void)printf("\n%s\n", command->summary);
	print_lines("Operands", command->operands, "");
	(void)printf("\nOptions:\n");
	for (i = 0; i < table->count; i++)
		print_option(&table->options[i]);
	print_lines("Exit status", command->statuses, "");
	print_lines("Examples", command->examples, "");
	(void)printf("\nThe manual page %s(1) says more.\n", command->name);
}

/* ---- parsing ---- */

enum cli_status
cli_snapshot_first(struct cli *cli)
{
	if (cli->operand_count > 0 && strchr(cli->operands[0], '/') != NULL)
		return cli_usage(cli,
		    "the snapshot comes before the path: %s latest %s",
		    cli->command->name, cli->operands[0]);
	return CLI_GO_ON;
}

static enum cli_status
check_operands(struct cli *cli)
{
	const struct cli_command *command = cli->command;
	int i;

	if (cli->operand_count < command->operands_min)
		return cli_usage(cli, "%s is missing",
		    command->operands_min > 1 && cli->operand_count > 0
			? "an operand"
			: "the first operand");
	if (command->operands_max >= 0 &&
	    cli->operand_count > command->operands_max)
		return cli_usage(cli, "too many operands: \"%s\"",
		    cli->operands[command->operands_max]);
	for (i = 0; i < cli->operand_count; i++) {
		if (*cli->operands[i] == '\0')
			return cli_usage(cli, "operand %d is empty", i + 1);
	}
	return command->takes & CLI_TAKES_SNAPSHOT ? cli_snapshot_first(cli)
						   : CLI_GO_ON;
}

/* Whether --json stands anywhere: a mistake before it is an event, too. */
static void
look_for_json(struct cli *cli, const struct table *table, int argc, char **argv,
    const char *letters, const struct option *longs)
{
	int c;

	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct cli_option *option =
		    c == ':' || c == '?' ? NULL : find_option(table, c);

		if (option != NULL && option->to == &cli->is_json)
			cli->is_json = true;
	}
	optind = 0; /* from the start again */
}

enum cli_status
cli_parse(struct cli *cli, const struct cli_option *own, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1];
	char letters[OPTIONS_MAX * 2 + 3];
	enum cli_status status = CLI_GO_ON;
	struct table table;
	int c;

	make_table(cli, own, &table);
	make_getopt(cli, &table, longs, letters);
	opterr = 0;
	look_for_json(cli, &table, argc, argv, letters, longs);
	while (status == CLI_GO_ON &&
	       (c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == ':' || c == '?')
			status = option_mistake(cli, &table, c, argv);
		else
			status =
			    set_option(cli, find_option(&table, c), optarg);
	}
	if (status != CLI_GO_ON)
		return status;
	if (cli->is_help) {
		print_help(cli->command, &table);
		return CLI_COMPLETE;
	}
	if (cli->is_version) {
		(void)printf(
		    "%s (libbackup) %s\n", cli->command->name, bkp_version());
		return CLI_COMPLETE;
	}
	cli->operands = (const char *const *)(argv + optind);
	cli->operand_count = argc - optind;
	return check_operands(cli);
}

enum cli_status
cli_usage(struct cli *cli, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)cli_error(&cli->failure, BKP_INVALID, 0, "%s", text);
	if (cli->is_json)
		cli_emit(
		    cli, json_pack("{s:s, s:s, s:o}", "type", "error", "code",
			     "usage", "text", cli_json_text(text)));
	if (cli->is_json && cli->events == stderr)
		return CLI_USAGE;
	cli_complain(cli, text);
	(void)fprintf(stderr, "Try '%s --help'.\n", cli->command->name);
	return CLI_USAGE;
}

void
cli_list_free(struct cli_list *list)
{
	free(list->items);
	list->items = NULL;
	list->count = 0;
}
