/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

/*
 * What the commands share: options and their help, configuration and keys,
 * messages, progress, JSON events, signals, exit statuses. A command is
 *
 *     cli_start         descriptors and signals
 *     cli_parse         its own options and the common ones
 *     (its work)
 *     cli_finish        proves that standard output took everything
 *
 * Public headers of the library only.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <libbackup/libbackup.h>

/* Exit statuses. What is not known to be whole has failed. */
enum cli_status {
	CLI_GO_ON = -1, /* not a status: there is work to do */
	CLI_COMPLETE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_DEGRADED = 3,
	CLI_ACT_NOW = 4 /* backup-guard: not everything is as it was */
};

struct cli_list {
	const char **items; /* owns the array, borrows the texts from argv */
	size_t count;
};

enum cli_kind {
	CLI_FLAG,  /* bool */
	CLI_TEXT,  /* const char *; the last one given wins */
	CLI_MAYBE, /* the same; "" where no value is given */
	CLI_LIST,  /* struct cli_list; every one given counts */
	CLI_NUMBER /* unsigned, 1 to 64 */
};

struct cli_option {
	const char *name;     /* without dashes; NULL ends a table */
	int letter;           /* 0: long form only */
	const char *argument; /* what the help calls it; NULL for a flag */
	const char *help;
	enum cli_kind kind;
	void *to; /* borrowed: where the value goes */
};

/* Which of the common options a command takes, beside -q, -h and -V. */
enum {
	CLI_TAKES_JSON = 1,
	CLI_TAKES_CONFIG = 2,    /* -c --job -r -k --passphrase-file */
	CLI_TAKES_IDENTITY = 4,  /* -i */
	CLI_TAKES_WORKERS = 8,   /* -j */
	CLI_TAKES_SNAPSHOT = 16, /* as its first operand */
	CLI_TAKES_TIME = 32,     /* --as-of */
	CLI_TAKES_LIMITS = 64,   /* --limit-upload --limit-download */
	CLI_YIELDS = 128         /* no option: `priority: idle` is about it */
};

struct cli_command {
	const char *name;
	const char *summary;         /* a sentence */
	const char *const *usage;    /* forms, without the name; NULL ended */
	const char *const *operands; /* lines about them, or NULL */
	const char *const *statuses; /* lines "0  complete"; NULL ended */
	const char *const *examples; /* lines; NULL ended */
	unsigned takes;
	int operands_min, operands_max; /* max -1: any number */
	bool only_prints; /* a reader that has enough (head) is no trouble */
	bool stops_at_operand; /* what comes behind the first operand is its */
};

/* State of the progress line. */
struct cli_progress {
	char phase[200];
	bool is_shown;      /* a bar stands on the terminal */
	uint64_t told_ms;   /* when the last plain line or event went out */
	uint64_t sample_ms; /* the last sample, for the rate */
	uint64_t sample_done;
	double rate; /* per second, smoothed */
};

struct cli {
	const struct cli_command *command;
	const char *const *operands; /* borrowed from argv */
	int operand_count;

	const char *config_file, *job, *repository, *key_file, *identity_file,
	    *passphrase_file, *as_of, *limit_upload, *limit_download;
	unsigned workers;
	bool is_json, is_quiet, is_help, is_version;

	FILE *events;             /* where JSON events go */
	bool is_terminal;         /* standard error shows a bar */
	int output_errno;         /* why standard output failed, where known */
	bool is_unwritten;        /* an event could not be made or written */
	struct bkp_error failure; /* the last one told, wrong uses, too */
	struct bkp_cancel cancel;
	struct cli_progress progress;
};

#define CLI_INIT(cmd)                                                          \
	{                                                                      \
		.command = (cmd)                                               \
	}

/* ---- cli.c: the course of a command ---- */

void cli_start(struct cli *cli);

/* After cli_start: no signal ends the command, however often it comes. The
 * first asks to stop and writes `first`, others write `again`. */
void cli_stop_once(struct cli *cli, const char *first, const char *again);

/* Reads the command line. CLI_GO_ON, or the status to exit with: help and
 * version were printed, or the mistake was told. */
enum cli_status cli_parse(
    struct cli *cli, const struct cli_option *own, int argc, char **argv);

/* Tells the mistake where the first operand is a path: what CLI_TAKES_SNAPSHOT
 * does for commands whose first operand is always a snapshot. */
enum cli_status cli_snapshot_first(struct cli *cli);

/* Closes standard output and turns `status` into CLI_FAILED where not all of
 * it was written. */
int cli_finish(struct cli *cli, enum cli_status status);

/* Tells a wrong use and where the help is. Returns CLI_USAGE. */
enum cli_status cli_usage(struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void cli_list_free(struct cli_list *list);

/* ---- cli_config.c: what the options say about places and keys ---- */

enum {
	CLI_NEEDS_SOURCES = 1,  /* a configuration file must be there */
	CLI_NEEDS_METADATA = 2, /* a key that opens it, asked for if missing */
	CLI_NEEDS_CONTENT = 4,  /* the same for contents */
	CLI_NEEDS_NO_REPOSITORY = 8 /* none has to be named */
};

/* The configuration with the options laid over it. Asks for a passphrase where
 * none of the keys named can do and a person is there. CLI_GO_ON and *out (the
 * caller's), or the status to exit with. */
enum cli_status cli_config(
    struct cli *cli, unsigned needs, struct bkp_config **out);

/* The same without telling what is wrong, and without asking: -1. */
int cli_config_read(struct cli *cli, unsigned needs, struct bkp_config **out,
    struct bkp_error *err);

/* The job and the repository of the options alone. */
int cli_config_choose(
    struct cli *cli, struct bkp_config *config, struct bkp_error *err);

/* cli_config, and the repository opened. Both are the caller's. */
enum cli_status cli_open(struct cli *cli, unsigned needs,
    struct bkp_config **config, struct bkp_repository **repository);

/* ---- cli_priority.c ---- */

/* From now on this process and those that it starts leave processor and disks
 * to whoever wants them. What the system refuses is told. */
void cli_yield(struct cli *cli);

/* ---- cli_secret.c ---- */

#define CLI_SECRET_SIZE 1024

/* Reads the first line of a file; empty is an error. */
int cli_secret_read(
    const char *path, char secret[CLI_SECRET_SIZE], struct bkp_error *err);

/* True where somebody can be asked. */
bool cli_secret_can_ask(void);

/* Asks on the terminal, without echo. An empty answer is fine. */
int cli_secret_ask(
    const char *prompt, char secret[CLI_SECRET_SIZE], struct bkp_error *err);

void cli_secret_wipe(char secret[CLI_SECRET_SIZE]);

/* ---- cli_arguments.c ---- */

/* The options by which this command found its configuration, repository and
 * keys, for another one that somebody runs in a shell, maybe elsewhere:
 * "--config '/etc/b.yaml'". NULL: none are needed. The caller's. */
int cli_arguments(const struct cli *cli, const struct bkp_config *config,
    char **out, struct bkp_error *err);

/* ---- cli_archive.c: archives to write ---- */

struct cli_archive {
	const char *output, *split, *endpoint, *passphrase_file,
	    *scratch_directory;
	struct cli_list recipients;
	bool is_overwrite;
};

/* Fills the options but for what is archived; `secret` takes the passphrase
 * and is wiped by the caller after use. CLI_GO_ON, or the status to exit
 * with. */
enum cli_status cli_archive(struct cli *cli, const struct cli_archive *given,
    char secret[CLI_SECRET_SIZE], struct bkp_archive_options *out);

/* ---- cli_report.c: what is told ---- */

/* The callbacks to hand to an operation. */
struct bkp_events cli_events(struct cli *cli);

/* Tells the error. Returns CLI_FAILED. */
enum cli_status cli_fail(struct cli *cli, const struct bkp_error *err);

/* A line on standard error, "backup-create: ...", quiet or not. */
void cli_say(struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, for what makes the command fail: an error for the journal. */
void cli_complain(struct cli *cli, const char *text);

/* Whether standard error is the journal. */
bool cli_writes_journal(void);

/* How much a line matters, in the numbers of syslog(3). */
enum cli_priority {
	CLI_PRIORITY_ERROR = 3,
	CLI_PRIORITY_WARNING,
	CLI_PRIORITY_NOTICE,
	CLI_PRIORITY_INFO
};

/* Begins a line on standard error: the name of the command, and before it the
 * priority where it is the journal that reads. */
void cli_begin_line(struct cli *cli, enum cli_priority priority);

/* Fills `err` for what went wrong in a command itself. Returns -1. */
int cli_error(struct bkp_error *err, enum bkp_error_code code, int sys,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Writes one event and its newline; takes the reference. NULL (out of memory
 * while it was made) makes the command fail at its end. */
void cli_emit(struct cli *cli, json_t *event);

/* The event with one more member; takes both references. NULL where either is
 * NULL or memory is short, which cli_emit takes. */
json_t *cli_with(json_t *event, const char *name, json_t *value);

/* ---- cli_progress.c ---- */

void cli_progress_show(struct cli *cli, const struct bkp_progress *progress);
void cli_progress_clear(struct cli *cli);

/* ---- cli_text.c: numbers, times, paths ---- */

#define CLI_TEXT_SIZE 64

/* Each writes into `text` and returns it. */
const char *cli_size(uint64_t bytes, char text[CLI_TEXT_SIZE]); /* "1.2 GiB" */
/* "700M" or "4GiB" to bytes (1024 each); plain digits are bytes. False where
 * it is no size above 0. */
bool cli_size_read(const char *text, uint64_t *out);
const char *cli_count(uint64_t n, char text[CLI_TEXT_SIZE]);     /* "1,234" */
const char *cli_duration(uint64_t ms, char text[CLI_TEXT_SIZE]); /* "1:02" */
const char *cli_time(int64_t us, char text[CLI_TEXT_SIZE]);      /* local */
const char *cli_time_utc(int64_t us, char text[CLI_TEXT_SIZE]);  /* for JSON */

/* Monotonic. */
uint64_t cli_now_ms(void);

/* Text for people in new memory: control bytes and what is not UTF-8 as %XX.
 * NULL: out of memory. */
char *cli_escape(const char *text);

/* Prints it. */
void cli_print_escaped(FILE *file, const char *text);

/* A path for JSON: control bytes, '%' and what is not UTF-8 as %XX, so that
 * every path can be had back. NULL gives null. New reference, or NULL. */
json_t *cli_json_path(const char *path);

/* Free text for JSON: only what is not UTF-8 becomes %XX. NULL gives null. */
json_t *cli_json_text(const char *text);

#endif
