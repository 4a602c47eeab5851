/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, omissions and errors: lines for people or events in JSON. */
#include "tools/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
code_name(int code)
{
	switch (code) {
	case BKP_NOMEM:
		return "no-memory";
	case BKP_IO:
		return "io";
	case BKP_NOTFOUND:
		return "not-found";
	case BKP_EXISTS:
		return "exists";
	case BKP_CORRUPT:
		return "corrupt";
	case BKP_AUTH:
		return "auth";
	case BKP_RETRY:
		return "retry";
	case BKP_CANCELLED:
		return "cancelled";
	case BKP_UNSUPPORTED:
		return "unsupported";
	case BKP_INVALID:
		return "invalid";
	default:
		return "unknown";
	}
}

void
cli_emit(struct cli *cli, json_t *event)
{
	if (event == NULL || json_dumpf(event, cli->events, JSON_COMPACT) < 0 ||
	    fputc('\n', cli->events) == EOF || fflush(cli->events) == EOF)
		cli->is_unwritten = true;
	json_decref(event);
}

/* Whether standard error leads to the journal, as systemd.exec(5) has it: a
 * command of ours whose lines are a program's has another one. */
bool
cli_writes_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat here;

	return stream != NULL &&
	       sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &here) == 0 &&
	       (unsigned long long)here.st_dev == device &&
	       (unsigned long long)here.st_ino == inode;
}

void
cli_begin_line(struct cli *cli, enum cli_priority priority)
{
	if (cli_writes_journal())
		(void)fprintf(stderr, "<%d>", (int)priority);
	(void)fprintf(stderr, "%s: ", cli->command->name);
}

static void
say_line(struct cli *cli, enum cli_priority priority, const char *label,
    const char *path, const char *text)
{
	cli_progress_clear(cli);
	(void)fflush(stdout);
	cli_begin_line(cli, priority);
	(void)fputs(label, stderr);
	/* A text often begins with the thing it speaks of. */
	if (path != NULL && strncmp(text, path, strlen(path)) != 0) {
		cli_print_escaped(stderr, path);
		(void)fputs(": ", stderr);
	}
	cli_print_escaped(stderr, text);
	(void)fputc('\n', stderr);
}

void
cli_say(struct cli *cli, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	say_line(cli, CLI_PRIORITY_NOTICE, "", NULL, text);
}

void
cli_complain(struct cli *cli, const char *text)
{
	say_line(cli, CLI_PRIORITY_ERROR, "", NULL, text);
}

int
cli_error(struct bkp_error *err, enum bkp_error_code code, int sys,
    const char *format, ...)
{
	va_list ap;
	size_t len;

	err->code = (int)code;
	err->sys = sys;
	va_start(ap, format);
	(void)vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	len = strlen(err->message);
	if (sys != 0)
		(void)snprintf(err->message + len, sizeof(err->message) - len,
		    ": %s", strerror(sys));
	return -1;
}

enum cli_status
cli_fail(struct cli *cli, const struct bkp_error *err)
{
	const char *text = err->message;

	if (*text == '\0')
		text = "failed for a reason that was not told";
	cli->failure = *err;
	if (cli->is_json)
		cli_emit(cli, json_pack("{s:s, s:s, s:o, s:i}", "type", "error",
				  "code", code_name(err->code), "text",
				  cli_json_text(text), "sys", err->sys));
	if (!cli->is_json || cli->events != stderr)
		cli_complain(cli, text);
	return CLI_FAILED;
}

static json_t *
message_event(enum bkp_level level, const char *path, const char *text)
{
	if (level == BKP_OMISSION)
		return json_pack("{s:s, s:o, s:o}", "type", "omission", "path",
		    cli_json_path(path), "text", cli_json_text(text));
	return json_pack("{s:s, s:s, s:o, s:o}", "type", "message", "level",
	    level == BKP_INFO ? "info" : "warning", "path", cli_json_path(path),
	    "text", cli_json_text(text));
}

static void
on_message(void *arg, enum bkp_level level, const char *path, const char *text)
{
	struct cli *cli = arg;

	if (cli->is_quiet && level == BKP_INFO)
		return;
	if (cli->is_json) {
		cli_emit(cli, message_event(level, path, text));
		return;
	}
	say_line(cli,
	    level == BKP_INFO ? CLI_PRIORITY_INFO : CLI_PRIORITY_WARNING,
	    level == BKP_INFO      ? ""
	    : level == BKP_WARNING ? "warning: "
				   : "left out: ",
	    path, text);
}

static void
on_progress(void *arg, const struct bkp_progress *progress)
{
	cli_progress_show(arg, progress);
}

struct bkp_events
cli_events(struct cli *cli)
{
	struct bkp_events events = BKP_EVENTS_INIT;

	events.arg = cli;
	events.message = on_message;
	events.progress = on_progress;
	return events;
}

json_t *
cli_with(json_t *event, const char *name, json_t *value)
{
	if (event == NULL || json_object_set_new(event, name, value) != 0) {
		json_decref(event);
		return NULL;
	}
	return event;
}
