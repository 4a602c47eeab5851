/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a bundle. All that is not written here in so many words goes
 * through the redactor, or is a number or a word of a list. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/doctor/bundle.h"
#include "libbackup/doctor/phrases.h"
#include "libbackup/version.h"

#define LOG_LINES 400
#define LINE_MOST 2000
#define DEPTH_MOST 8

static const char about[] =
    "This is what backup-doctor --bundle of libbackup " BKP_VERSION " told.\n"
    "\n"
    "findings.json       what was looked at, and what was found\n"
    "configuration.json  which keys the configuration has\n"
    "runs.json           how the last runs of backup-run ended\n"
    "system.json         the machine\n"
    "log.txt             the end of a log that was named, if one was\n"
    "\n"
    "There are no secrets in here, and no content of any row, object or file.\n"
    "Of errors and of the log, phrases of a list are told, and nothing else: "
    "what\n"
    "hooks, commands and servers write may be anything.\n"
    "Names of hosts, databases, buckets, roles, tables and paths are "
    "replaced:\n"
    "host-1 is the same one wherever it stands. Secrets that the "
    "configuration\n"
    "knows, and made-up ones that were put beside them, were looked for in\n"
    "every file before this was written, and none was found. Read it all the\n"
    "same before you send it.\n";

static int
write_about(
    struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	(void)bundle;
	if (fmt_buf_append_text(out, about) != FMT_OK)
		return bkp_fail_nomem(err, "writing a bundle");
	return 0;
}

/* Takes the reference. */
static int
put_json(json_t *value, struct fmt_buf *out, struct bkp_error *err)
{
	char *text = value != NULL
			 ? json_dumps(value, JSON_INDENT(1) | JSON_ENCODE_ANY)
			 : NULL;
	int rc = text != NULL && fmt_buf_append_text(out, text) == FMT_OK &&
			 fmt_buf_append_text(out, "\n") == FMT_OK
		     ? 0
		     : bkp_fail_nomem(err, "writing a bundle");

	free(text);
	json_decref(value);
	return rc;
}

static json_t *
redacted(struct bkp_bundle *bundle, const char *text)
{
	struct fmt_buf out = FMT_BUF_INIT;
	json_t *value = NULL;
	const char *safe;

	if (bkp_redactor_text(bundle->redactor, text, &out, NULL) == 0 &&
	    (safe = fmt_buf_text(&out)) != NULL)
		value = json_string(safe);
	fmt_buf_free(&out);
	return value != NULL ? value : json_string("(not readable)");
}

/* Of what hooks, commands and servers may have written into. */
static json_t *
shape_of(struct bkp_bundle *bundle, const char *text)
{
	struct fmt_buf out = FMT_BUF_INIT;
	json_t *value = NULL;
	const char *safe;

	if (bkp_phrases(bundle->redactor, text, &out, NULL) == 0 &&
	    (safe = fmt_buf_text(&out)) != NULL)
		value = json_string(*safe != '\0' ? safe : "(something else)");
	fmt_buf_free(&out);
	return value != NULL ? value : json_string("(not readable)");
}

/* ---- findings ---- */

static int
write_findings(
    struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < bundle->symptom_count; i++) {
		const struct bkp_symptom *s = &bundle->symptoms[i];

		(void)json_array_append_new(
		    list, json_pack("{s:s, s:s, s:o, s:o, s:o}", "id", s->id,
			      "status", bkp_health_name(s->health), "subject",
			      redacted(bundle, s->subject), "seen",
			      redacted(bundle, s->seen), "advice",
			      redacted(bundle, s->advice)));
	}
	return put_json(list, out, err);
}

static int
write_shape(
    struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	return put_json(json_incref(bundle->shape), out, err);
}

/* ---- runs ---- */

enum run_field { RUN_NUMBER, RUN_WORD, RUN_TIME, RUN_TEXT, RUN_NAME };

static const struct {
	const char *name;
	enum run_field field;
} run_fields[] = {
    {"version", RUN_NUMBER},
    {"exit_status", RUN_NUMBER},
    {"signal", RUN_NUMBER},
    {"failures", RUN_NUMBER},
    {"bytes", RUN_NUMBER},
    {"stored_bytes", RUN_NUMBER},
    {"entries", RUN_NUMBER},
    {"rows", RUN_NUMBER},
    {"objects", RUN_NUMBER},
    {"files", RUN_NUMBER},
    {"omissions", RUN_NUMBER},
    {"state", RUN_WORD},
    {"previous", RUN_WORD},
    {"failed_step", RUN_WORD},
    {"began", RUN_TIME},
    {"ended", RUN_TIME},
    {"previous_began", RUN_TIME},
    {"previous_ended", RUN_TIME},
    {"last_success", RUN_TIME},
    {"last_complete", RUN_TIME},
    {"last_proof", RUN_TIME},
    {"last_prune", RUN_TIME},
    {"error", RUN_TEXT},
    {"job", RUN_NAME},
    {"name", RUN_NAME},
    {"repository", RUN_NAME},
};

static bool
consists_of(const char *text, const char *letters, size_t most)
{
	size_t len = strlen(text);

	return len <= most && strspn(text, letters) == len;
}

static json_t *
tell_text(struct bkp_bundle *bundle, enum run_field field, const char *key,
    const char *text)
{
	static const char *const steps[] = {"create", "prune", "verify",
	    "check", "hook", "backup", "before", "after", "failure", "always",
	    NULL};
	const char *alias;

	if (field == RUN_WORD &&
	    consists_of(text, "abcdefghijklmnopqrstuvwxyz-", 12))
		return json_string(text);
	if (field == RUN_TIME && consists_of(text, "0123456789TZ:.+-", 32))
		return json_string(text);
	if (field == RUN_TEXT)
		return shape_of(bundle, text);
	if (field != RUN_NAME)
		return NULL;
	for (size_t i = 0; steps[i] != NULL; i++)
		if (strcmp(text, steps[i]) == 0)
			return json_string(text);
	alias = bkp_redactor_alias(bundle->redactor,
	    strcmp(key, "job") == 0 ? "job" : "name", text, NULL);
	return alias != NULL ? json_string(alias) : NULL;
}

static json_t *tell_run(
    struct bkp_bundle *bundle, const json_t *value, int depth);

static void
tell_member(struct bkp_bundle *bundle, const char *key, const json_t *value,
    json_t *into)
{
	for (size_t i = 0; i < sizeof(run_fields) / sizeof(run_fields[0]);
	     i++) {
		enum run_field field = run_fields[i].field;
		json_t *told = NULL;

		if (strcmp(run_fields[i].name, key) != 0)
			continue;
		if (field == RUN_NUMBER && json_is_integer(value))
			told = json_integer(json_integer_value(value));
		else if (json_is_string(value))
			told = tell_text(
			    bundle, field, key, json_string_value(value));
		if (told != NULL)
			(void)json_object_set_new(
			    into, run_fields[i].name, told);
	}
}

static json_t *
tell_run(struct bkp_bundle *bundle, const json_t *value, int depth)
{
	json_t *object = json_object();
	void *at = json_object_iter((json_t *)(uintptr_t)value);

	for (; at != NULL && depth < DEPTH_MOST;
	     at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
		const char *key = json_object_iter_key(at);
		const json_t *member = json_object_iter_value(at);
		bool is_list = strcmp(key, "steps") == 0 ||
			       strcmp(key, "repositories") == 0;
		json_t *list;

		if (!is_list) {
			tell_member(bundle, key, member, object);
			continue;
		}
		list = json_array();
		for (size_t i = 0; i < json_array_size(member); i++)
			(void)json_array_append_new(
			    list, tell_run(bundle, json_array_get(member, i),
				      depth + 1));
		(void)json_object_set_new(
		    object, key[0] == 's' ? "steps" : "repositories", list);
	}
	return object;
}

static int
write_runs(
    struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(bundle->runs); i++)
		(void)json_array_append_new(
		    list, tell_run(bundle, json_array_get(bundle->runs, i), 0));
	return put_json(list, out, err);
}

/* ---- the machine ---- */

/* "Debian GNU/Linux 12 (bookworm)" of PRETTY_NAME="..." */
static void
read_system(char text[LINE_MOST])
{
	FILE *file = fopen("/etc/os-release", "re");
	char line[LINE_MOST];

	(void)snprintf(text, LINE_MOST, "unknown");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "PRETTY_NAME=\"", 13) == 0) {
			line[strcspn(line + 13, "\"\n") + 13] = '\0';
			(void)snprintf(text, LINE_MOST, "%s", line + 13);
		}
	if (file != NULL)
		(void)fclose(file);
}

static int
write_system(
    struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	char system[LINE_MOST];
	struct utsname name;

	(void)bundle;
	read_system(system);
	if (uname(&name) < 0)
		(void)memset(&name, 0, sizeof(name));
	return put_json(
	    json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "libbackup",
		bkp_version(), "system", system, "kernel", name.release,
		"machine", name.machine, "processors",
		(json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_mib",
		(json_int_t)(sysconf(_SC_PHYS_PAGES) / 256 *
			     (sysconf(_SC_PAGESIZE) / 4096)),
		"is_superuser", geteuid() == 0),
	    out, err);
}

/* ---- a log ---- */

/* Where a line begins to be one of our commands': "backup-create: ...", with
 * "[123]" between where the journal wrote it. NULL: it is none. */
static const char *
own_line(const char *line)
{
	const char *at = line;

	while ((at = strstr(at, "backup-")) != NULL) {
		const char *end = at + strlen("backup-");

		while (islower((unsigned char)*end))
			end++;
		if (*end == '[')
			end += strspn(end + 1, "0123456789]") + 1;
		if ((at == line || isspace((unsigned char)at[-1])) &&
		    strncmp(end, ": ", 2) == 0)
			return at;
		at = end;
	}
	return NULL;
}

/* How much of a line is the time that it begins with, "Nov 21 03:00:00" or
 * "2026-11-21T03:00:00". */
static int
time_before(const char *line)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char *const shapes[] = {
	    "0000-00-00T00:00:00", "0000-00-00 00:00:00", "Aaa 00 00:00:00"};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const char *shape = shapes[i], *at = line;
		char month[4] = {line[0], line[0] != '\0' ? line[1] : '\0'};

		if (strncmp(shape, "Aaa", 3) == 0) {
			month[2] = strlen(line) > 3 ? line[2] : '\0';
			if (month[2] == '\0' || strstr(months, month) == NULL)
				continue;
			shape += 3;
			at += 3;
		}
		while (*shape != '\0' &&
		       (*shape == '0'
			       ? isdigit((unsigned char)*at) ||
				     (at > line && *at == ' ' && at[-1] == ' ')
			       : *at == *shape)) {
			shape++;
			at++;
		}
		if (*shape == '\0')
			return (int)(at - line);
	}
	return 0;
}

static const char *
last_lines(const char *log)
{
	const char *at = log + strlen(log);
	int lines = 0;

	while (at > log && lines <= LOG_LINES)
		if (*--at == '\n')
			lines++;
	return at > log ? at + 1 : at;
}

/* One of ours, which may quote whatever hooks, commands and servers say. */
static int
write_line(struct bkp_bundle *bundle, const char *line, const char *own,
    unsigned long *others, struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_buf told = FMT_BUF_INIT;
	int stamp = own > line ? time_before(line) : 0;
	int rc = bkp_phrases(bundle->redactor, own, &told, err);

	if (rc == 0 && told.len == 0)
		(*others)++;
	else if (rc == 0 &&
		 (fmt_buf_printf(out, "%.*s%s", stamp, line,
		      stamp > 0 ? " " : "") != FMT_OK ||
		     fmt_buf_append(out, told.data, told.len) != FMT_OK ||
		     fmt_buf_append_byte(out, '\n') != FMT_OK))
		rc = bkp_fail_nomem(err, "writing a bundle");
	fmt_buf_free(&told);
	return rc;
}

static int
write_log(struct bkp_bundle *bundle, struct fmt_buf *out, struct bkp_error *err)
{
	const char *at = bundle->log != NULL ? last_lines(bundle->log) : "";
	unsigned long others = 0;
	enum fmt_status status = FMT_OK;
	int rc = 0;

	while (rc == 0 && status == FMT_OK && *at != '\0') {
		size_t len = strcspn(at, "\n");
		char *line = bkp_format(
		    err, "%.*s", len < LINE_MOST ? (int)len : LINE_MOST, at);
		const char *own = line != NULL ? own_line(line) : NULL;

		if (line == NULL)
			return -1;
		if (own == NULL && len > 0)
			others++;
		if (own != NULL)
			rc = write_line(bundle, line, own, &others, out, err);
		free(line);
		at += len;
		at += *at == '\n';
	}
	if (others > 0 && status == FMT_OK)
		status = fmt_buf_printf(out,
		    "(%lu lines of other programs are left out)\n", others);
	if (status != FMT_OK)
		return bkp_fail_nomem(err, "writing a bundle");
	return rc;
}

const struct bkp_bundle_part bkp_bundle_parts[] = {
    {"README.txt", write_about},
    {"findings.json", write_findings},
    {"configuration.json", write_shape},
    {"runs.json", write_runs},
    {"system.json", write_system},
    {"log.txt", write_log},
    {NULL, NULL},
};
