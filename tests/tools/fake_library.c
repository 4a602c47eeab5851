/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that does as $FAKE says, so that every way in which an operation
 * can end is seen through a command: statuses, lines, events, signals. Linked
 * into programs of the tests only; the real library has tests of its own.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libbackup/libbackup.h>

#define NAME "3f2a9c0100000000000000000000000000000000000000000000000000000000"

struct bkp_config {
	const char *repository, *key_file, *identity_file;
	char passphrase[64];
	unsigned workers;
};

struct bkp_entries {
	size_t at;
};

static bool
is_fake(const char *what)
{
	const char *text = getenv("FAKE");

	return text != NULL && strstr(text, what) != NULL;
}

static int
fail(struct bkp_error *err, int code, const char *text)
{
	err->code = code;
	err->sys = 0;
	(void)snprintf(err->message, sizeof(err->message), "%s", text);
	return -1;
}

/* ---- configuration ---- */

int
bkp_config_new(struct bkp_config **out, struct bkp_error *err)
{
	(void)err;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		abort();
	(*out)->repository = getenv("BACKUP_REPOSITORY");
	return 0;
}

int
bkp_config_load(
    const char *path, struct bkp_config **out, struct bkp_error *err)
{
	if (path == NULL && is_fake("no-file"))
		return fail(err, BKP_NOTFOUND, "there is no configuration");
	if (path != NULL && access(path, R_OK) < 0)
		return fail(err, BKP_NOTFOUND, "the file is not there");
	if (bkp_config_new(out, err) < 0)
		return -1;
	if ((*out)->repository == NULL && !is_fake("no-place"))
		(*out)->repository = "/fake";
	(*out)->key_file = "/fake/host.key";
	return 0;
}

/* Nobody is told of anything here. */
int
bkp_config_load_to_tell(const char *path, const struct bkp_error *why,
    struct bkp_config **out, struct bkp_error *err)
{
	(void)path;
	(void)out;
	return fail(err, why->code, "nothing can be read of it");
}

void
bkp_config_free(struct bkp_config *config)
{
	free(config);
}

const char *
bkp_config_repository(const struct bkp_config *config)
{
	return config->repository;
}

const char *
bkp_config_repository_name(const struct bkp_config *config, size_t n)
{
	(void)config;
	return n == 0 ? "default" : NULL;
}

int
bkp_config_set_repository(
    struct bkp_config *config, const char *location, struct bkp_error *err)
{
	(void)err;
	config->repository = location;
	return 0;
}

const char *
bkp_config_path(const struct bkp_config *config)
{
	(void)config;
	return "fake.yaml";
}

int
bkp_config_use_job(
    struct bkp_config *config, const char *name, struct bkp_error *err)
{
	(void)config;
	return strcmp(name, "nightly") == 0
		   ? 0
		   : fail(err, BKP_INVALID, "there is no such job");
}

int
bkp_config_set_key_file(
    struct bkp_config *config, const char *path, struct bkp_error *err)
{
	(void)err;
	config->key_file = path;
	return 0;
}

int
bkp_config_set_identity_file(
    struct bkp_config *config, const char *path, struct bkp_error *err)
{
	(void)err;
	config->identity_file = path;
	return 0;
}

int
bkp_config_set_passphrase(
    struct bkp_config *config, const char *text, struct bkp_error *err)
{
	(void)err;
	(void)snprintf(
	    config->passphrase, sizeof(config->passphrase), "%s", text);
	return 0;
}

int
bkp_config_set_limits(struct bkp_config *config, const char *upload,
    const char *download, struct bkp_error *err)
{
	(void)config;
	(void)upload;
	(void)download;
	(void)err;
	return 0;
}

int
bkp_config_is_idle(const struct bkp_config *config)
{
	(void)config;
	return 0;
}

int
bkp_config_set_workers(
    struct bkp_config *config, unsigned workers, struct bkp_error *err)
{
	(void)err;
	config->workers = workers;
	return 0;
}

void
bkp_config_keys(const struct bkp_config *config, struct bkp_keys *out)
{
	out->key_file = config->key_file;
	out->identity_file = config->identity_file;
	out->passphrase =
	    *config->passphrase == '\0' ? NULL : config->passphrase;
}

void
bkp_config_set_cancel(
    struct bkp_config *config, const struct bkp_cancel *cancel)
{
	(void)config;
	(void)cancel;
}

int
bkp_config_set_as_of(
    struct bkp_config *config, const char *time, struct bkp_error *err)
{
	(void)config;
	(void)time;
	(void)err;
	return 0;
}

const struct bkp_storage_config *
bkp_config_storage(const struct bkp_config *config)
{
	(void)config;
	return NULL;
}

/* ---- repository ---- */

int
bkp_identity_create(const char *path, char recipient[63], struct bkp_error *err)
{
	FILE *file = fopen(path, "wx");

	if (file == NULL)
		return fail(err, BKP_EXISTS, "the identity file exists");
	(void)fclose(file);
	(void)snprintf(recipient, 63, "age1fake");
	return 0;
}

int
bkp_repository_init(const char *location,
    const struct bkp_init_options *options, struct bkp_error *err)
{
	(void)location;
	if (is_fake("fail"))
		return fail(err, BKP_EXISTS, "there is a repository already");
	if (options->recipient_count == 0 && options->passphrase == NULL)
		return fail(err, BKP_INVALID, "nobody could open it");
	return 0;
}

int
bkp_repository_open(const char *location, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err)
{
	(void)location;
	if (is_fake("passphrase") &&
	    (keys->passphrase == NULL ||
		strcmp(keys->passphrase, "right words") != 0))
		return fail(err, BKP_AUTH, "the passphrase is wrong");
	*out = NULL;
	return 0;
}

int
bkp_repository_archive_signer(
    const struct bkp_repository *repository, char key[65])
{
	(void)repository;
	key[0] = '\0';
	return 0;
}

void
bkp_repository_close(struct bkp_repository *repository)
{
	(void)repository;
}

int
bkp_snapshot_find(struct bkp_repository *repository, const char *text,
    char name[65], struct bkp_error *err)
{
	(void)repository;
	if (strcmp(text, "latest") != 0 && strncmp(NAME, text, 4) != 0)
		return fail(err, BKP_NOTFOUND, "there is no such snapshot");
	(void)snprintf(name, 65, "%s", NAME);
	return 0;
}

int
bkp_snapshot_list(struct bkp_repository *repository,
    struct bkp_snapshot_list *out, struct bkp_error *err)
{
	static const char *const tags[] = {"nightly"};
	static const struct bkp_snapshot_source source = {
	    .prefix = "files/stack", .kind = "files", .bytes = 2048};
	static const struct bkp_snapshot_proof proof = {
	    .time_us = 1764504000000000,
	    .is_proven = 1,
	    .host = "ci\033",
	    .path = "",
	    .level = "partly restored",
	    .passed = 1234,
	    .skipped = 1,
	    .duration_ms = 62000,
	    .recovery_ms = 61000,
	    .program = ""};
	static struct bkp_snapshot items[2] = {
	    {.name = NAME,
		.host = "web\033[2J1",
		.time_us = 1764547199123456,
		.finished_us = 1764547200000000,
		.tags = tags,
		.tag_count = 1,
		.omission_count = 1,
		.proven_us = 1764547199123456,
		.failed_us = 1764547199123456,
		.stored_bytes = 1023,
		.sources = &source,
		.source_count = 1},
	    {.name = "3f2a9c01"
		     "ff000000000000000000000000000000000000000000000000000000",
		.host = "web1",
		.proven_us = 1764504000000000,
		.proof = &proof,
		.sources = &source,
		.source_count = 1}};

	(void)repository;
	if (is_fake("fail"))
		return fail(err, BKP_CORRUPT, "a snapshot is damaged");
	out->items = items;
	out->count = is_fake("empty") ? 0 : 2;
	return 0;
}

const struct bkp_snapshot_problem *
bkp_snapshot_list_problem(const struct bkp_snapshot_list *list, size_t n)
{
	static const struct bkp_snapshot_problem problems[] = {
	    {"snapshot-missing", NAME, "snapshots/" NAME " is missing", 0},
	    {"snapshot-returned", NAME, "snapshots/" NAME " is there again",
		1}};

	(void)list;
	return is_fake("problem") && n < 2 ? &problems[n] : NULL;
}

void
bkp_snapshot_list_free(struct bkp_snapshot_list *list)
{
	list->count = 0;
}

int
bkp_entries_open(struct bkp_repository *repository, const char *snapshot,
    const char *prefix, struct bkp_entries **out, struct bkp_error *err)
{
	(void)repository;
	(void)snapshot;
	(void)err;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		abort();
	if (prefix != NULL && *prefix == 'x')
		(*out)->at = 2;
	return 0;
}

int
bkp_entries_next(
    struct bkp_entries *entries, struct bkp_entry *entry, struct bkp_error *err)
{
	static const struct bkp_entry list[] = {
	    {"files/stack/a\nb%\377", "files.file", 1, 12, NAME,
		"{\"mode\":\"0644\",\"user\":\"app\",\"gid\":7,"
		"\"mtime\":\"1764547199.5\"}"},
	    {"files/stack/d", "files.symlink", 0, 0, NULL,
		"{\"target\":\"a\"}"}};

	if (entries->at == 1 && is_fake("fail"))
		return fail(err, BKP_CORRUPT, "the entry list is damaged");
	if (entries->at >= 2)
		return 0;
	*entry = list[entries->at++];
	return 1;
}

void
bkp_entries_close(struct bkp_entries *entries)
{
	free(entries);
}

int
bkp_entry_read(struct bkp_repository *repository, const char *snapshot,
    const char *path, bkp_bytes_fn *fn, void *arg, struct bkp_error *err)
{
	(void)repository;
	(void)snapshot;
	if (strcmp(path, "files/stack/none") == 0)
		return fail(err, BKP_NOTFOUND, "there is no such entry");
	if (fn(arg, "zero\0one\n", 9, err) < 0)
		return -1;
	if (is_fake("fail"))
		return fail(err, BKP_CORRUPT, "the digest differs");
	return 0;
}

int
bkp_version_find(struct bkp_repository *repository, const char *snapshot,
    const char *path, const char *version_id, char **entry_path,
    struct bkp_error *err)
{
	(void)repository;
	(void)snapshot;
	if (strcmp(version_id, "v1") != 0)
		return fail(err, BKP_NOTFOUND, "there is no such version");
	*entry_path = strdup(path);
	return *entry_path != NULL ? 0 : fail(err, BKP_NOMEM, "no memory");
}

/* ---- operations ---- */

static void
tell_progress(const struct bkp_events *events, uint64_t done)
{
	struct bkp_progress progress = {.phase = "backing up postgres/app",
	    .bytes_done = done << 20,
	    .bytes_total = 100 << 20,
	    .items_done = done,
	    .elapsed_ms = done * 100};

	events->progress(events->arg, &progress);
}

static int
play(const struct bkp_events *events, const struct bkp_cancel *cancel,
    size_t *omissions, struct bkp_error *err)
{
	uint64_t done;

	events->message(
	    events->arg, BKP_INFO, "postgres/app", "postgres/app: 12 tables");
	events->message(events->arg, BKP_WARNING, "bucket/up",
	    "listing was slow\nand \033]0;evil\a");
	for (done = 0; done <= 100; done += 20)
		tell_progress(events, done);
	if (is_fake("deaf")) {
		(void)kill(getppid(), SIGUSR1);
		for (done = 0; done < 60; done++)
			(void)sleep(1);
	}
	if (is_fake("wait")) {
		(void)kill(getppid(), SIGUSR1);
		while (!bkp_cancel_is_requested(cancel))
			tell_progress(events, 50);
		return fail(err, BKP_CANCELLED, "stopped as asked");
	}
	if (is_fake("degraded")) {
		events->message(events->arg, BKP_OMISSION, "files/stack/x\xff",
		    "permission denied");
		*omissions = 1;
	}
	if (is_fake("fail"))
		return fail(err, BKP_IO, "the server went away");
	return 0;
}

int
bkp_backup(const struct bkp_backup_options *options,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(result->snapshot, sizeof(result->snapshot), NAME);
	result->rows = 1000000;
	result->entries = options->tag_count * 10 + options->source_count;
	result->bytes = 3ULL << 30;
	result->stored_bytes = 1 << 20;
	result->duration_ms = 62000;
	result->omission_count = omissions;
	result->problem_count = is_fake("problem") ? 1 : 0;
	return 0;
}

int
bkp_backup_share(const struct bkp_share_options *options,
    struct bkp_share_result *result, struct bkp_error *err)
{
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	result->tasks = options->share * 10 + options->shares;
	result->known_tasks = 2;
	result->rows = 1000;
	result->bytes = 3ULL << 30;
	result->stored_bytes = 1 << 20;
	result->duration_ms = 62000;
	return 0;
}

int
bkp_backup_finish(const struct bkp_share_options *options,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(result->snapshot, sizeof(result->snapshot), NAME);
	result->entries = 7;
	result->omission_count = omissions;
	return 0;
}

int
bkp_backup_archive(const struct bkp_backup_options *backup,
    const struct bkp_archive_options *archive, struct bkp_backup_result *result,
    struct bkp_archive_result *archived, struct bkp_error *err)
{
	if (bkp_backup(backup, result, err) < 0)
		return -1;
	archived->stored_bytes = archive->split;
	return 0;
}

int
bkp_archive_write(const struct bkp_archive_options *options,
    struct bkp_archive_result *result, struct bkp_error *err)
{
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(result->snapshot, sizeof(result->snapshot), NAME);
	/* What was asked for, to be seen in what is told. */
	result->entries = options->recipient_count;
	result->bytes = options->split;
	result->parts = options->is_overwrite ? 2 : 1;
	result->stored_bytes =
	    options->passphrase != NULL ? strlen(options->passphrase) : 0;
	result->omission_count = omissions;
	return 0;
}

int
bkp_archive_import(const struct bkp_import_options *options,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(result->snapshot, sizeof(result->snapshot), NAME);
	result->entries = strlen(options->archive);
	result->omission_count = omissions;
	return 0;
}

int
bkp_subject_import(const struct bkp_subject_import_options *options,
    struct bkp_subject_import_result *result, struct bkp_error *err)
{
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	/* What was asked for, to be seen in what is told. */
	result->rows = strlen(options->input);
	result->tables =
	    options->passphrase != NULL ? strlen(options->passphrase) : 0;
	result->existing = options->has_shared != 0;
	result->rows_left = options->has_actor != 0;
	result->remapped = options->is_remapped != 0;
	result->nulled =
	    (options->is_nulled ? 1u : 0u) + 2 * options->fill_count +
	    4 * options->leave_out_count + (options->is_appended ? 8u : 0u);
	result->files = options->files_to_count;
	result->is_partial = omissions > 0;
	return 0;
}

int
bkp_restore(const struct bkp_restore_options *options,
    struct bkp_restore_result *result, struct bkp_error *err)
{
	static const struct bkp_restore_left left[] = {
	    {"command/redis", "command/redis/dump.rdb", "sh", 0},
	    {"command/search", "command/search/rebuild.sh", "re\033build", 1}};
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(result->snapshot, sizeof(result->snapshot), NAME);
	result->omission_count = omissions;
	result->left = left;
	result->left_count = options->path != NULL ? 2 : 0;
	return 0;
}

void
bkp_restore_result_free(struct bkp_restore_result *result)
{
	result->left_count = 0;
}

int
bkp_former_list(const struct bkp_former_options *options,
    struct bkp_former_result *result, struct bkp_error *err)
{
	static const struct bkp_former formers[] = {
	    {"shop.before-20261121T100203Z", BKP_FORMER_KEPT, 8000000, 0},
	    {"shop.restoring-1a2b3c4d", BKP_FORMER_UNFINISHED, 7000000, 2}};
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	result->formers = formers;
	result->former_count = 2;
	return 0;
}

void
bkp_former_result_free(struct bkp_former_result *result)
{
	result->former_count = 0;
}

int
bkp_former_put(const struct bkp_former_options *options, const char *name,
    struct bkp_error *err)
{
	size_t omissions = 0;

	(void)name;
	return play(&options->events, options->cancel, &omissions, err);
}

int
bkp_former_drop(const struct bkp_former_options *options, const char *name,
    struct bkp_error *err)
{
	size_t omissions = 0;

	(void)name;
	return play(&options->events, options->cancel, &omissions, err);
}

int
bkp_guard(const struct bkp_guard_options *options,
    struct bkp_guard_result *result, struct bkp_error *err)
{
	static const char *const lines[] = {
	    "backup-restore --swap latest postgres/app"};
	const char *fake = getenv("FAKE");
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(result->snapshot, sizeof(result->snapshot), NAME);
	result->outcome = BKP_GUARD_KEPT;
	if (fake != NULL && strcmp(fake, "bad") == 0)
		result->outcome = BKP_GUARD_PUT_BACK;
	if (fake != NULL && strcmp(fake, "worse") == 0)
		result->outcome = BKP_GUARD_BROKEN;
	if (result->outcome != BKP_GUARD_KEPT)
		result->reason = options->command[0];
	result->refused = options->is_without_owners && options->is_skipping &&
				  options->is_without_privileges &&
				  options->role != NULL
			      ? 4
			      : 0;
	result->lines = lines;
	result->line_count = 1;
	return 0;
}

int
bkp_guard_resume(const struct bkp_guard_options *options,
    struct bkp_guard_result *result, struct bkp_error *err)
{
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	result->outcome = BKP_GUARD_UNTOUCHED;
	return 0;
}

int
bkp_guard_forget(const struct bkp_guard_options *options, struct bkp_error *err)
{
	size_t omissions = 0;

	return play(&options->events, options->cancel, &omissions, err);
}

void
bkp_guard_result_free(struct bkp_guard_result *result)
{
	result->line_count = 0;
}

int
bkp_verify(const struct bkp_verify_options *options,
    struct bkp_verify_result *result, struct bkp_error *err)
{
	static const struct bkp_check checks[] = {
	    {BKP_CHECK_PASS, "postgres/app/shop/data/public.users",
		"1000 rows, hash equal", 1, 0},
	    {BKP_CHECK_SKIP, "command/redis", "digest only", 1, 0},
	    {BKP_CHECK_FAIL, "bucket/up/a", "content differs", 1, 0}};
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(result->snapshot, sizeof(result->snapshot), NAME);
	result->checks = checks;
	result->check_count = is_fake("bad") ? 3 : 2;
	result->passed = is_fake("nothing") ? 0 : 1;
	result->failed = is_fake("bad") ? 1 : 0;
	result->skipped = 1;
	result->is_partial =
	    options->level != NULL && strcmp(options->level, "quick") == 0;
	result->is_whole =
	    options->level == NULL || strcmp(options->level, "full") == 0;
	result->level = result->is_whole ? BKP_LEVEL_FULL : BKP_LEVEL_QUICK;
	/* A library that errs about its own counts is not believed. */
	result->is_proven = 1;
	return 0;
}

/* What it takes is tried with the library itself. */
int
bkp_verify_check(
    const struct bkp_verify_options *options, struct bkp_error *err)
{
	if (options->max_age == NULL || strcmp(options->max_age, "soon") != 0)
		return 0;
	err->code = BKP_INVALID;
	(void)snprintf(
	    err->message, sizeof(err->message), "max_age: 'soon' is no time");
	return -1;
}

/* A file that only says how it ended; what is in a report has tests of its
 * own. */
int
bkp_report_put(const struct bkp_report *report, enum bkp_report_format format,
    bkp_bytes_fn *fn, void *arg, struct bkp_error *err)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "report %d: %s%s\n", (int)format,
	    report->result != NULL  ? "verdict"
	    : report->error == NULL ? "none yet"
				    : "error: ",
	    report->result == NULL && report->error != NULL
		? report->error->message
		: "");
	return fn(arg, text, strlen(text), err);
}

static int
write_report(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	const char *const *name = arg;
	FILE *file = fopen(*name, "w");

	if (file == NULL)
		return fail(err, BKP_IO, "the report cannot be written");
	(void)fwrite(data, 1, len, file);
	(void)fclose(file);
	return 0;
}

int
bkp_report_save(const struct bkp_report *report, enum bkp_report_format format,
    const char *file, struct bkp_error *err)
{
	return bkp_report_put(report, format, write_report, &file, err);
}

void
bkp_verify_result_free(struct bkp_verify_result *result)
{
	result->checks = NULL;
}

int
bkp_check(const struct bkp_check_options *options,
    struct bkp_check_result *result, struct bkp_error *err)
{
	static const struct bkp_hurt hurt[] = {
	    {NAME, "bucket/up/a\033"}, {NAME, "bucket/up/b"}};
	static const struct bkp_finding findings[] = {
	    {BKP_FINDING_DAMAGE, "pack-missing", "packs/3f/" NAME,
		"packs/3f/" NAME ": it is not there", hurt, 2, 5},
	    {BKP_FINDING_WARNING, "no-snapshot", "snapshots/",
		"there is no snapshot", NULL, 0, 0},
	    {BKP_FINDING_NOTE, "orphans", "packs/", "3 packs", NULL, 0, 0}};
	static const struct bkp_repair_step steps[] = {
	    {BKP_REPAIR_PLANNED, "packs/3f", "taken out\n"},
	    {BKP_REPAIR_DONE, "packs/3f", "taken out\n"}};
	size_t omissions = 0, first = is_fake("bad")    ? 0
				      : is_fake("look") ? 1
							: 2;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	result->findings = findings + first;
	result->finding_count = 3 - first;
	result->steps = &steps[options->is_repair];
	result->step_count = first == 0;
	result->damage = first == 0;
	result->warnings = first <= 1;
	result->notes = 1;
	/* What was asked for, to be seen in what is told. */
	result->packs_read = (uint64_t)(options->read_percent * 10);
	result->bytes_read = options->budget;
	result->chunks_read = options->max_age_s;
	/* A library that errs about its own counts is not believed. */
	result->is_clean = 1;
	return 0;
}

void
bkp_check_result_free(struct bkp_check_result *result)
{
	result->findings = NULL;
}

const char *
bkp_health_name(enum bkp_health health)
{
	static const char *const names[] = {
	    "ok", "note", "skipped", "warning", "error"};

	return names[health];
}

int
bkp_doctor(const struct bkp_doctor_options *options,
    struct bkp_doctor_result *result, struct bkp_error *err)
{
	static const struct bkp_symptom symptoms[] = {
	    {"versions", BKP_HEALTH_OK, "this machine", "some", ""},
	    {"schedule", BKP_HEALTH_NOTE, "this machine", "nothing", "a timer"},
	    {"last-backup", BKP_HEALTH_WARNING, "files/a\033", "3 d old",
		"look why"},
	    {"lock-table", BKP_HEALTH_ERROR, "postgres/app", "too small", ""}};
	size_t count = is_fake("bad") ? 4 : is_fake("look") ? 3 : 2;

	if (is_fake("fail"))
		return fail(err, BKP_IO, "no more processes");
	for (size_t i = 0; i < count; i++)
		options->tell(options->arg, &symptoms[i]);
	result->symptoms = symptoms;
	result->symptom_count = count;
	result->ok = result->notes = 1;
	result->warnings = count > 2;
	result->errors = count > 3;
	return 0;
}

int
bkp_doctor_bundle(
    const struct bkp_bundle_options *options, struct bkp_error *err)
{
	const char *text = options->is_text ? "as text" : "as a zip";

	if (is_fake("leak"))
		return fail(err, BKP_AUTH, "password is in findings.json");
	return options->fn(options->arg, text, strlen(text), err);
}

void
bkp_doctor_result_free(struct bkp_doctor_result *result)
{
	result->symptoms = NULL;
}

/* What these take is tried with the library itself. */
int
bkp_is_span(const char *text)
{
	return strchr("0123456789", *text) != NULL &&
	       strchr("smhdw", text[strlen(text) - 1]) != NULL;
}

int
bkp_is_run_name(const char *text)
{
	return strchr(text, '/') == NULL;
}

int
bkp_is_duration(const char *text)
{
	return strchr("0123456789", *text) != NULL &&
	       strchr("hdwmy", text[strlen(text) - 1]) != NULL;
}

int
bkp_config_keep_parity(const struct bkp_config *config,
    struct bkp_repository *repository, struct bkp_error *err)
{
	(void)config;
	(void)repository;
	(void)err;
	return 0;
}

void
bkp_config_retention(const struct bkp_config *config, struct bkp_retention *out)
{
	static const char *const tags[] = {"of-the-file"};

	(void)config;
	*out = (struct bkp_retention){.size = sizeof(*out),
	    .keep_daily = 7,
	    .keep_within = "1d",
	    .keep_tags = tags,
	    .keep_tag_count = 1};
}

/* Tells the rules that it was given as the reason of its first decision. */
int
bkp_prune(const struct bkp_prune_options *options,
    struct bkp_prune_result *result, struct bkp_error *err)
{
	static char rules[200];
	static const char *const reasons[] = {rules, "the newest of web\033"};
	static const struct bkp_decision decisions[] = {
	    {NAME, "web", "files/etc", 1764547199123456, 0, reasons, 1},
	    {NAME, "web\033", "files/etc", 1764547199123456, 1, reasons + 1,
		1}};
	const struct bkp_retention *r = options->retention;
	size_t omissions = 0;

	if (play(&options->events, options->cancel, &omissions, err) < 0)
		return -1;
	(void)snprintf(rules, sizeof(rules),
	    "last %u hourly %u daily %u weekly %u monthly %u yearly %u "
	    "within %s tags %zu %s hosts %zu sources %zu grace %s %d%d%d",
	    r->keep_last, r->keep_hourly, r->keep_daily, r->keep_weekly,
	    r->keep_monthly, r->keep_yearly, r->keep_within, r->keep_tag_count,
	    r->keep_tags[0], options->host_count, options->source_count,
	    options->grace != NULL ? options->grace : "-", options->is_dry_run,
	    options->has_no_repack, options->is_acknowledged);
	*result = (struct bkp_prune_result){.decisions = decisions,
	    .decision_count = 2,
	    .kept = 1,
	    .removed = 1,
	    .freed_packs = 2,
	    .freed_bytes = 2048,
	    .waiting_packs = is_fake("later") ? 3 : 0,
	    .waiting_for = is_fake("later") ? "the grace" : NULL};
	return 0;
}

void
bkp_prune_result_free(struct bkp_prune_result *result)
{
	result->decisions = NULL;
}

/* ---- jobs ---- */

const char *
bkp_config_job(const struct bkp_config *config, size_t n)
{
	(void)config;
	return n == 0 ? "nightly" : NULL;
}

const char *
bkp_config_job_used(const struct bkp_config *config)
{
	(void)config;
	return NULL;
}

struct bkp_job {
	struct bkp_job_report report;
	struct bkp_job_step steps[2];
	struct bkp_job_repository repository;
};

const char *
bkp_job_state_name(enum bkp_job_state state)
{
	return state == BKP_JOB_COMPLETE     ? "complete"
	       : state == BKP_JOB_DEGRADED   ? "degraded"
	       : state == BKP_JOB_FAILED     ? "failed"
	       : state == BKP_JOB_OVERLAPPED ? "overlapped"
					     : "none";
}

int
bkp_job_check(const struct bkp_job_options *options, struct bkp_error *err)
{
	if (options->if_missed != NULL &&
	    strcmp(options->if_missed, "24h") != 0)
		return fail(err, BKP_INVALID, "that is no time");
	return 0;
}

static void
fill_job(struct bkp_job *job, const char *name)
{
	struct bkp_job_report report = BKP_JOB_REPORT_INIT;

	job->repository.name = "offsite";
	job->repository.location = "/srv/backup";
	job->repository.state = BKP_JOB_COMPLETE;
	job->repository.snapshot = NAME;
	job->repository.stored_bytes = 2048;
	job->steps[0].name = "before";
	job->steps[0].what = "sync";
	job->steps[0].state = BKP_JOB_COMPLETE;
	job->steps[1].name = "backup";
	job->steps[1].repository = "offsite";
	job->steps[1].state = BKP_JOB_COMPLETE;
	job->report = report;
	job->report.job = name;
	job->report.host = "host";
	job->report.state = BKP_JOB_COMPLETE;
	job->report.steps = job->steps;
	job->report.step_count = 2;
	job->report.repositories = &job->repository;
	job->report.repository_count = 1;
}

static void
worsen(struct bkp_job_report *report, enum bkp_job_state state, int status)
{
	report->state = state;
	report->exit_status = status;
	report->failed_step = "backup";
	report->error = "left out: files/etc/shadow";
}

int
bkp_notify_test(struct bkp_config *config,
    const struct bkp_notify_test_options *options, struct bkp_error *err)
{
	static const struct bkp_notify_tried tried[] = {
	    {"mail", 7, BKP_TRIED_TAKEN, ""},
	    {"webhook", 8, BKP_TRIED_FAILED, "it answers with status 500"},
	    {"ping", 9, BKP_TRIED_NOT, "it tells\033 of good runs"}};

	(void)config;
	if (is_fake("fail"))
		return fail(err, BKP_NOTFOUND, "there are no notifications");
	for (size_t i = 0; i < 3; i++)
		if (is_fake("bad") || tried[i].state != BKP_TRIED_FAILED)
			options->tried(options->arg, &tried[i]);
	return 0;
}

int
bkp_job_run(struct bkp_config *config, const struct bkp_job_options *options,
    struct bkp_job **out, struct bkp_error *err)
{
	struct bkp_job *job;

	(void)config;
	if (is_fake("fail"))
		return fail(err, BKP_INVALID, "there is no such job");
	if ((job = calloc(1, sizeof(*job))) == NULL)
		abort();
	fill_job(job, options->job);
	if (options->line != NULL) {
		options->line(options->arg, "backup", "offsite",
		    "{\"type\":\"omission\",\"path\":\"a\",\"text\":\"b\"}");
		options->line(options->arg, "backup", "offsite", "no JSON");
	}
	options->events.message(
	    options->events.arg, BKP_WARNING, "before: sync", "a hook's line");
	options->step(options->arg, &job->steps[1]);
	if (is_fake("degraded"))
		worsen(&job->report, BKP_JOB_DEGRADED, 3);
	if (is_fake("bad"))
		worsen(&job->report, BKP_JOB_FAILED, 1);
	*out = job;
	return 0;
}

const struct bkp_job_report *
bkp_job_report(const struct bkp_job *job)
{
	return &job->report;
}

void
bkp_job_free(struct bkp_job *job)
{
	free(job);
}
