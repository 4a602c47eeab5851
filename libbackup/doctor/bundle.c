/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a bundle twice: once with canaries wherever something of the user
 * would stand, so that what the redactor does not take out is found out before
 * it is believed; then of what is there. Secrets are looked for in both, and
 * where one is found nothing is written.
 */
#include "libbackup/doctor/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"

#define CANARIES 30
#define PLAIN 24  /* from here on, words that look like those of every day */
#define CANARY 25 /* 24 letters and digits and a NUL */
#define PLAIN_LETTERS 14
#define LOG_MOST ((size_t)4 * 1024 * 1024)

/* ---- canaries ---- */

struct canaries {
	char text[CANARIES][CANARY];
	struct bkp_redactor *watch; /* owned: looks for all of them */
};

/* Where each is planted; the number is its place in the templates. */
static const char *const planted[CANARIES] = {"a passphrase", "an access key",
    "a secret key", "a session token", "a host", "a database", "a role",
    "a password", "an endpoint", "a bucket", "a prefix", "a path",
    "an argument of a command", "an unknown key", "credentials in a URL",
    "a ping", "a table", "an address of mail", "a bearer token",
    "a key in a log", "a location", "a tag", "a password in a log",
    "a quoted name", "the output of a hook", "a row that a server quotes",
    "a file's name behind a blank", "a file's name in a run",
    "the output of a command in a log", "a path with blanks in it"};

static const char config_template[] =
    "repository: s3://%20$s/x\n"
    "passphrase: %1$s\n"
    "storage: {access_key: %2$s, secret_key: %3$s, session_token: %4$s}\n"
    "tags: [%22$s]\n"
    "sources:\n"
    "  - postgres: app\n"
    "    conninfo: host=%5$s.example.com dbname=%6$s user=%7$s\n"
    "    password: %8$s\n"
    "  - bucket: up\n"
    "    endpoint: https://%9$s.example.com:9000\n"
    "    bucket_name: %10$s\n"
    "    prefix: %11$s/\n"
    "  - files: etc\n"
    "    paths: [/srv/%12$s, \"/srv/a %30$s b\"]\n"
    "  - command: redis\n"
    "    run: [redis-cli, -a, %13$s]\n"
    "    output: dump\n"
    "never_heard_of: %14$s\n"
    "notifications:\n"
    "  - webhook: https://someone:%15$s@example.com/x\n"
    "  - ping: https://hc.example.com/%16$s\n";

static const char seen_template[] =
    "connection to %5$s.example.com for \"%24$s\" of %18$s@example.com "
    "failed: password=%8$s, PGPASSWORD=%1$s; GET s3://%10$s/%11$s/x: "
    "Authorization: Bearer %19$s; /srv/%12$s: \x0e%17$s\x0f";

static const char path_template[] =
    "/srv/a %30$s b: \x11"
    "duplicate key (Key (name)=(%26$s, 7)) %26$s\x12; opening /srv/"
    "Mrs %27$s of %27$s: Permission denied";

static const char run_template[] =
    "sh: exit status 1: row (4711, %25$s, %25$s)\n%25$s";

static const char step_template[] =
    "backup-create: left out: files/etc/%28$s of Mrs %28$s: is a socket "
    "(Failing row contains (%26$s))";

static const char log_template[] =
    "%20$s is a line of somebody else\n"
    "Nov 21 03:00:00 %5$s backup-create[12]: backup-create: secret_key: "
    "%20$s, key=%20$s and https://a:%15$s@%9$s.example.com/%16$s\n"
    "backup-create: database \"%6$s\" of role '%7$s': password: %23$s "
    "postgres/app/%6$s/data/public.%17$s\n"
    "2026-11-21T03:00:00 %29$s backup-run[7]: before: sh: token %29$s of Mrs "
    "%29$s\n"
    "Nov 21 03:00:00 %29$s backup-%29$s: backup-run: %29$s\n"
    "backup-run: error: (DETAIL:  Key (a)=(%26$s)) /srv/x %27$s: %26$s\n"
    "{\"type\": \"output\", \"text\": \"%29$s\"}\n";

static char *
fill(const char *template, const struct canaries *c, struct bkp_error *err)
{
	struct fmt_buf out = FMT_BUF_SECRET_INIT;
	enum fmt_status status = FMT_OK;
	char *text = NULL;

	while (status == FMT_OK && *template != '\0') {
		char *end;
		unsigned long number;

		if (*template != '%') {
			status = fmt_buf_append_byte(
			    &out, (unsigned char)*template ++);
			continue;
		}
		number = strtoul(template + 1, &end, 10);
		status =
		    fmt_buf_append_text(&out, c->text[(number - 1) % CANARIES]);
		template = end + strlen("$s");
	}
	if (status == FMT_OK && fmt_buf_text(&out) != NULL)
		text = bkp_strdup((const char *)out.data, err);
	else
		(void)bkp_fail_nomem(err, "planting canaries");
	fmt_buf_free(&out);
	return text;
}

/* Words like any other, which nothing gives away but that they are known. */
static int
make_canaries(struct canaries *c, struct bkp_error *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEF";
	unsigned char random[CANARIES][CANARY - 1];

	if (RAND_bytes(&random[0][0], sizeof(random)) != 1)
		return bkp_fail(err, BKP_IO, "making random canaries failed");
	for (size_t i = 0; i < CANARIES; i++) {
		char where[80];

		for (size_t k = 0; k + 1 < CANARY; k++)
			c->text[i][k] = letters[random[i][k] % 32];
		/* Keys and such look like it. */
		c->text[i][7] = c->text[i][11] = c->text[i][13] = '7';
		for (size_t k = 0; i >= PLAIN && k < PLAIN_LETTERS; k++)
			c->text[i][k] = letters[random[i][k] % 26];
		if (i >= PLAIN)
			c->text[i][PLAIN_LETTERS] = '\0';
		(void)snprintf(where, sizeof(where),
		    "the canary that was planted as %s", planted[i]);
		if (bkp_redactor_secret(c->watch, where, c->text[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the parts ---- */

void
bkp_bundle_files_free(struct bkp_bundle_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fmt_buf_free(&files[i].data);
}

static int
write_parts(struct bkp_bundle *bundle, const struct bkp_bundle_part *parts,
    struct bkp_bundle_file *files, size_t *count, struct bkp_error *err)
{
	for (*count = 0; parts[*count].name != NULL; (*count)++) {
		struct bkp_bundle_file *file = &files[*count];

		*file = (struct bkp_bundle_file){
		    parts[*count].name, FMT_BUF_SECRET_INIT};
		if (*count >= BKP_BUNDLE_FILES ||
		    parts[*count].write(bundle, &file->data, err) < 0) {
			(*count)++;
			return -1;
		}
	}
	return 0;
}

static int
scan(const struct bkp_redactor *redactor, const struct bkp_bundle_file *files,
    size_t count, struct bkp_error *err)
{
	for (size_t i = 0; i < count; i++)
		if (bkp_redactor_scan(redactor, files[i].name,
			files[i].data.data != NULL ? files[i].data.data
						   : (const void *)"",
			files[i].data.len, err) < 0)
			return bkp_fail_in(err,
			    "nothing was written, as the bundle would not be "
			    "clean");
	return 0;
}

/* NULL: out of memory. */
static json_t *
runs_of_canaries(
    const char *seen, const struct canaries *c, struct bkp_error *err)
{
	char *hook = fill(run_template, c, err);
	char *step = fill(step_template, c, err);
	json_t *runs = NULL;

	if (seen != NULL && hook != NULL && step != NULL)
		runs = json_pack(
		    "[{s:s, s:s, s:s, s:[{s:s, s:s, s:s}, {s:s, s:s}]}]",
		    "state", "failed", "error", hook, "job", c->text[21],
		    "steps", "name", "before", "error", hook, "what",
		    c->text[24], "name", "backup", "error", step);
	if (runs != NULL)
		(void)json_array_append_new(runs,
		    json_pack("{s:s, s:s}", "state", "failed", "error", seen));
	bkp_secret_free(hook);
	bkp_secret_free(step);
	return runs;
}

/* A bundle of canaries alone. */
static int
make_of_canaries(const struct canaries *c, const struct bkp_bundle_part *parts,
    struct bkp_bundle_file *files, size_t *count, struct bkp_error *err)
{
	char *yaml = fill(config_template, c, err);
	char *seen = fill(seen_template, c, err);
	char *log = fill(log_template, c, err);
	char *path = fill(path_template, c, err);
	const struct bkp_symptom symptoms[] = {
	    {"canary", BKP_HEALTH_NOTE, "postgres/app", seen, seen},
	    {"canary", BKP_HEALTH_NOTE, "files/etc", path, path}};
	struct bkp_bundle bundle = {
	    .symptoms = symptoms, .symptom_count = 2, .log = log};
	int rc = -1;

	bundle.runs = runs_of_canaries(seen, c, err);
	if (yaml != NULL && seen != NULL && log != NULL && path != NULL &&
	    bundle.runs != NULL &&
	    bkp_config_file_parse(&bundle.file, yaml, strlen(yaml), err) == 0 &&
	    bkp_redactor_new(&bundle.redactor, err) == 0) {
		bundle.has_file = true;
		bundle.file.path = bkp_strdup("canaries", err);
		bundle.file.folder = bkp_strdup("/nowhere", err);
		if (bkp_bundle_learn(&bundle, err) == 0)
			rc = write_parts(&bundle, parts, files, count, err);
	}
	json_decref(bundle.shape);
	json_decref(bundle.runs);
	bkp_config_file_close(&bundle.file);
	bkp_redactor_free(bundle.redactor);
	bkp_secret_free(yaml);
	bkp_secret_free(seen);
	bkp_secret_free(log);
	bkp_secret_free(path);
	return rc;
}

/* What stands in a bundle of nobody are words of ours. */
static int
try_canaries(struct bkp_bundle *bundle, struct canaries *c,
    const struct bkp_bundle_part *parts, struct bkp_error *err)
{
	struct bkp_bundle_file files[BKP_BUNDLE_FILES + 1];
	size_t count = 0;
	int rc;

	rc = make_of_canaries(c, parts, files, &count, err);
	if (rc == 0)
		rc = scan(c->watch, files, count, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (files[i].data.len > 0)
			rc = bkp_redactor_pardon(bundle->redactor,
			    files[i].data.data, files[i].data.len, err);
	bkp_bundle_files_free(files, count);
	return rc;
}

int
bkp_bundle_make(struct bkp_bundle *bundle, const struct bkp_bundle_part *parts,
    struct bkp_bundle_file files[BKP_BUNDLE_FILES], size_t *count,
    struct bkp_error *err)
{
	struct bkp_bundle_file own[BKP_BUNDLE_FILES + 1];
	struct canaries *c = bkp_alloc(sizeof(*c), err);
	size_t made = 0;
	int rc = -1;

	if (c == NULL)
		return -1;
	if (bkp_redactor_new(&bundle->redactor, err) == 0 &&
	    bkp_redactor_new(&c->watch, err) == 0 &&
	    make_canaries(c, err) == 0 && bkp_bundle_learn(bundle, err) == 0 &&
	    try_canaries(bundle, c, parts, err) == 0 &&
	    write_parts(bundle, parts, own, &made, err) == 0 &&
	    scan(c->watch, own, made, err) == 0)
		rc = scan(bundle->redactor, own, made, err);
	if (rc == 0) {
		memcpy(files, own, made * sizeof(own[0]));
		*count = made;
	} else {
		bkp_bundle_files_free(own, made);
	}
	bkp_redactor_free(c->watch);
	free(c);
	return rc;
}

/* ---- what it is made of ---- */

static json_t *
read_runs(void)
{
	char *folder = bkp_state_directory("jobs", NULL);
	DIR *dir = folder != NULL ? opendir(folder) : NULL;
	json_t *list = json_array();
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);
		char *path;
		json_t *run;

		if (len < 5 || strcmp(entry->d_name + len - 5, ".json") != 0)
			continue;
		path = bkp_format(NULL, "%s/%s", folder, entry->d_name);
		run = path != NULL ? json_load_file(path, 0, NULL) : NULL;
		if (run != NULL)
			(void)json_array_append_new(list, run);
		free(path);
	}
	if (dir != NULL)
		(void)closedir(dir);
	free(folder);
	return list;
}

/* The end of it. */
static char *
read_log(const char *path, struct bkp_error *err)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t len;

	if (file == NULL) {
		(void)bkp_fail_errno(err, errno, "reading the log %s", path);
		return NULL;
	}
	if (fseek(file, 0, SEEK_END) == 0 && ftell(file) > (long)LOG_MOST)
		(void)fseek(file, -(long)LOG_MOST, SEEK_END);
	else
		(void)fseek(file, 0, SEEK_SET);
	if ((text = bkp_alloc(LOG_MOST + 1, err)) != NULL) {
		len = fread(text, 1, LOG_MOST, file);
		for (size_t i = 0; i < len; i++)
			if (text[i] == '\0' || (unsigned char)text[i] >= 0x80)
				text[i] = '?';
	}
	(void)fclose(file);
	return text;
}

/* ---- giving it away ---- */

static int
put_text(const struct bkp_bundle_file *files, size_t count,
    const struct bkp_bundle_options *options, struct bkp_error *err)
{
	for (size_t i = 0; i < count; i++) {
		char *head = bkp_format(
		    err, "%s==> %s <==\n", i > 0 ? "\n" : "", files[i].name);
		int rc = head != NULL ? options->fn(options->arg, head,
					    strlen(head), err)
				      : -1;

		free(head);
		if (rc == 0 && files[i].data.len > 0)
			rc = options->fn(options->arg, files[i].data.data,
			    files[i].data.len, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

struct zip {
	const struct bkp_bundle_options *options;
	struct bkp_error *err;
	struct archive *archive;
};

static la_ssize_t
take(struct archive *archive, void *arg, const void *data, size_t len)
{
	struct zip *zip = arg;

	if (zip->options->fn(zip->options->arg, data, len, zip->err) == 0)
		return (la_ssize_t)len;
	archive_set_error(archive, EIO, "the output does not take it");
	return -1;
}

static bool
add(struct zip *zip, const struct bkp_bundle_file *file)
{
	struct archive_entry *entry = archive_entry_new();
	bool is_fine = entry != NULL;

	if (is_fine) {
		archive_entry_copy_pathname(entry, file->name);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, 0600);
		archive_entry_set_size(entry, (la_int64_t)file->data.len);
		archive_entry_set_mtime(entry, time(NULL), 0);
		is_fine =
		    archive_write_header(zip->archive, entry) == ARCHIVE_OK &&
		    (file->data.len == 0 ||
			archive_write_data(zip->archive, file->data.data,
			    file->data.len) == (la_ssize_t)file->data.len) &&
		    archive_write_finish_entry(zip->archive) == ARCHIVE_OK;
	}
	archive_entry_free(entry);
	return is_fine;
}

static int
put_zip(const struct bkp_bundle_file *files, size_t count,
    const struct bkp_bundle_options *options, struct bkp_error *err)
{
	struct bkp_error cause = BKP_ERROR_INIT;
	struct zip zip = {options, &cause, archive_write_new()};
	bool is_fine;

	if (zip.archive == NULL)
		return bkp_fail_nomem(err, "writing a bundle");
	is_fine = archive_write_set_format_zip(zip.archive) == ARCHIVE_OK &&
		  archive_write_add_filter_none(zip.archive) == ARCHIVE_OK &&
		  archive_write_set_bytes_in_last_block(zip.archive, 1) ==
		      ARCHIVE_OK &&
		  archive_write_open(zip.archive, &zip, NULL, take, NULL) ==
		      ARCHIVE_OK;
	for (size_t i = 0; is_fine && i < count; i++)
		is_fine = add(&zip, &files[i]);
	is_fine = archive_write_close(zip.archive) == ARCHIVE_OK && is_fine;
	(void)archive_write_free(zip.archive);
	if (is_fine)
		return 0;
	if (err != NULL && cause.code != BKP_OK)
		*err = cause;
	else
		(void)bkp_fail(err, BKP_IO, "writing a bundle failed");
	return -1;
}

int
bkp_doctor_bundle(
    const struct bkp_bundle_options *options, struct bkp_error *err)
{
	struct bkp_bundle_file files[BKP_BUNDLE_FILES];
	struct bkp_bundle bundle = {.config = options->config,
	    .symptoms = bkp_doctor_marked(options->result),
	    .symptom_count = options->result->symptom_count};
	const char *path = options->config_file;
	char *log = NULL;
	size_t count = 0;
	int rc = -1;

	if (path == NULL && options->config != NULL)
		path = bkp_config_path(options->config);
	if (options->log_file != NULL &&
	    (log = read_log(options->log_file, err)) == NULL)
		return -1;
	bundle.log = log;
	bundle.config_name = path;
	bundle.has_file =
	    path != NULL && bkp_config_file_load(path, &bundle.file, NULL) == 0;
	bundle.runs = read_runs();
	if (bkp_bundle_make(&bundle, bkp_bundle_parts, files, &count, err) == 0)
		rc = options->is_text ? put_text(files, count, options, err)
				      : put_zip(files, count, options, err);
	bkp_bundle_files_free(files, count);
	json_decref(bundle.shape);
	json_decref(bundle.runs);
	if (bundle.has_file)
		bkp_config_file_close(&bundle.file);
	bkp_redactor_free(bundle.redactor);
	bkp_secret_free(log);
	return rc;
}
