/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/config_fields.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_notifications.h"
#include "libbackup/base/fail.h"

#define GLOBAL(member) offsetof(struct bkp_config, member)
#define SOURCE(member) offsetof(struct bkp_source_config, member)
#define END                                                                    \
	{                                                                      \
		NULL, FIELD_TEXT, 0, false                                     \
	}

const struct config_field bkp_config_fields[] = {
    {"repository", FIELD_LOCATION, GLOBAL(repository), false},
    {"storage", FIELD_STORAGE, 0, false},
    {"key_file", FIELD_PATH, GLOBAL(key_file), false},
    {"identity_file", FIELD_PATH, GLOBAL(identity_file), false},
    {"passphrase", FIELD_SECRET, GLOBAL(passphrase), false},
    {"passphrase_file", FIELD_SECRET_FILE, GLOBAL(passphrase), false},
    {"workers", FIELD_COUNT, GLOBAL(workers), false},
    {"error_correction", FIELD_PERCENT, GLOBAL(error_correction), false},
    {"tags", FIELD_TEXTS, GLOBAL(tags), false},
    {"retention", FIELD_RETENTION, 0, false},
    {"verification", FIELD_LIMITS, 0, false},
    {"prune", FIELD_PRUNE, GLOBAL(job.prunes_after), false},
    {"hooks", FIELD_HOOKS, 0, false},
    {"time_limit", FIELD_SPAN, GLOBAL(job.time_limit_ms), false},
    {"window", FIELD_WINDOW, GLOBAL(job.window), false},
    {"limits", FIELD_RATES, 0, false},
    {"priority", FIELD_PRIORITY, GLOBAL(is_idle), false},
    {"repositories", FIELD_REPOSITORIES, 0, false},
    {"jobs", FIELD_JOBS, 0, false}, {"references", FIELD_REFERENCES, 0, false},
    {"assertions", FIELD_ASSERTIONS, 0, false},
    {"notifications", FIELD_TOLD, GLOBAL(notifications), false},
    {"metrics_file", FIELD_PATH, GLOBAL(metrics_file), false},
    {"sources", FIELD_SOURCES, 0, false}, END};

const struct config_field bkp_config_repository_fields[] = {
    {"location", FIELD_LOCATION, GLOBAL(repository), true},
    {"storage", FIELD_STORAGE, 0, false},
    {"key_file", FIELD_PATH, GLOBAL(key_file), false},
    {"identity_file", FIELD_PATH, GLOBAL(identity_file), false},
    {"passphrase", FIELD_SECRET, GLOBAL(passphrase), false},
    {"passphrase_file", FIELD_SECRET_FILE, GLOBAL(passphrase), false},
    {"error_correction", FIELD_PERCENT, GLOBAL(error_correction), false},
    {"retention", FIELD_RETENTION, 0, false}, END};

const struct config_field bkp_config_job_fields[] = {
    {"sources", FIELD_TEXTS, GLOBAL(job.sources), false},
    {"repositories", FIELD_TEXTS, GLOBAL(job.repositories), false},
    {"tags", FIELD_TEXTS, GLOBAL(tags), false},
    {"retention", FIELD_RETENTION, 0, false},
    {"verification", FIELD_LIMITS, 0, false},
    {"prune", FIELD_PRUNE, GLOBAL(job.prunes_after), false},
    {"hooks", FIELD_HOOKS, 0, false},
    {"time_limit", FIELD_SPAN, GLOBAL(job.time_limit_ms), false},
    {"window", FIELD_WINDOW, GLOBAL(job.window), false},
    {"notifications", FIELD_TOLD, GLOBAL(notifications), false}, END};

const struct config_field bkp_config_hooks_fields[] = {
    {"before", FIELD_HOOK_LIST, GLOBAL(job.before), false},
    {"after", FIELD_HOOK_LIST, GLOBAL(job.after), false},
    {"failure", FIELD_HOOK_LIST, GLOBAL(job.failure), false},
    {"always", FIELD_HOOK_LIST, GLOBAL(job.always), false}, END};

const struct config_field bkp_config_rates_fields[] = {
    {"upload", FIELD_RATE, GLOBAL(limits_wanted.upload), false},
    {"download", FIELD_RATE, GLOBAL(limits_wanted.download), false}, END};

const struct config_field bkp_config_hook_fields[] = {
    {"run", FIELD_TEXTS, offsetof(struct bkp_hook_config, run), true},
    {"timeout", FIELD_SPAN, offsetof(struct bkp_hook_config, timeout_ms),
	false},
    END};

#define STORAGE(member) GLOBAL(storage.bucket.member)

const struct config_field bkp_config_storage_fields[] = {
    {"endpoint", FIELD_TEXT, STORAGE(endpoint), false},
    {"region", FIELD_TEXT, STORAGE(region), false},
    {"access_key", FIELD_SECRET, STORAGE(access_key), false},
    {"access_key_file", FIELD_SECRET_FILE, STORAGE(access_key), false},
    {"secret_key", FIELD_SECRET, STORAGE(secret_key), false},
    {"secret_key_file", FIELD_SECRET_FILE, STORAGE(secret_key), false},
    {"session_token", FIELD_SECRET, STORAGE(session_token), false},
    {"session_token_file", FIELD_SECRET_FILE, STORAGE(session_token), false},
    {"profile", FIELD_TEXT, STORAGE(profile), false},
    {"ca_file", FIELD_PATH, STORAGE(ca_file), false},
    {"virtual_host", FIELD_BOOL, STORAGE(is_virtual_host), false},
    {"object_lock", FIELD_OBJECT_LOCK, 0, false}, END};

const struct config_field bkp_config_object_lock_fields[] = {
    {"mode", FIELD_LOCK_MODE, GLOBAL(storage.is_compliance), true},
    {"days", FIELD_DAYS, GLOBAL(storage.lock_days), true}, END};

const struct config_field bkp_config_retention_fields[] = {
    {"keep_last", FIELD_NUMBER, GLOBAL(retention.keep_last), false},
    {"keep_hourly", FIELD_NUMBER, GLOBAL(retention.keep_hourly), false},
    {"keep_daily", FIELD_NUMBER, GLOBAL(retention.keep_daily), false},
    {"keep_weekly", FIELD_NUMBER, GLOBAL(retention.keep_weekly), false},
    {"keep_monthly", FIELD_NUMBER, GLOBAL(retention.keep_monthly), false},
    {"keep_yearly", FIELD_NUMBER, GLOBAL(retention.keep_yearly), false},
    {"keep_within", FIELD_DURATION, GLOBAL(retention.keep_within), false},
    {"keep_tags", FIELD_TEXTS, GLOBAL(retention.keep_tags), false}, END};

static const struct config_field postgres_fields[] = {
    {"postgres", FIELD_NAME, SOURCE(name), true},
    {"conninfo", FIELD_CONNINFO, SOURCE(postgres.conninfo), false},
    {"password", FIELD_SECRET, SOURCE(postgres.password), false},
    {"password_file", FIELD_SECRET_FILE, SOURCE(postgres.password), false},
    {"databases", FIELD_DATABASES, SOURCE(postgres.databases), false},
    {"bindir", FIELD_PATH, SOURCE(postgres.bindir), false},
    {"incremental", FIELD_BOOL, SOURCE(postgres.is_incremental), false},
    {"copy", FIELD_COPY, SOURCE(postgres.copy), false}, END};

/* A second `bucket` is the name of the bucket itself where that differs;
 * bucket_name says the same for those whose tools refuse a key twice. */
static const struct config_field bucket_fields[] = {
    {"bucket", FIELD_NAME, SOURCE(name), true},
    {"bucket", FIELD_TEXT, SOURCE(bucket.bucket), false},
    {"bucket_name", FIELD_TEXT, SOURCE(bucket.bucket), false},
    {"endpoint", FIELD_TEXT, SOURCE(bucket.endpoint), false},
    {"region", FIELD_TEXT, SOURCE(bucket.region), false},
    {"prefix", FIELD_TEXT, SOURCE(bucket.prefix), false},
    {"access_key", FIELD_SECRET, SOURCE(bucket.access_key), false},
    {"access_key_file", FIELD_SECRET_FILE, SOURCE(bucket.access_key), false},
    {"secret_key", FIELD_SECRET, SOURCE(bucket.secret_key), false},
    {"secret_key_file", FIELD_SECRET_FILE, SOURCE(bucket.secret_key), false},
    {"session_token", FIELD_SECRET, SOURCE(bucket.session_token), false},
    {"session_token_file", FIELD_SECRET_FILE, SOURCE(bucket.session_token),
	false},
    {"profile", FIELD_TEXT, SOURCE(bucket.profile), false},
    {"ca_file", FIELD_PATH, SOURCE(bucket.ca_file), false},
    {"virtual_host", FIELD_BOOL, SOURCE(bucket.is_virtual_host), false},
    {"signature", FIELD_SIGNATURE, SOURCE(bucket.is_v2), false},
    {"accept_unverified_tls", FIELD_BOOL, SOURCE(bucket.accepts_unverified_tls),
	false},
    {"scratch_bucket", FIELD_BOOL, SOURCE(bucket.has_scratch_bucket), false},
    {"abort_uploads", FIELD_DURATION, SOURCE(bucket.abort_uploads), false},
    {"versions", FIELD_VERSIONS, SOURCE(bucket.has_all_versions), false},
    {"ask_each", FIELD_BOOL, SOURCE(bucket.asks_each), false}, END};

static const struct config_field files_fields[] = {
    {"files", FIELD_NAME, SOURCE(name), true},
    {"paths", FIELD_PATHS, SOURCE(files.paths), true},
    {"exclude", FIELD_TEXTS, SOURCE(files.exclude), false},
    {"one_file_system", FIELD_BOOL, SOURCE(files.one_file_system), false},
    {"root", FIELD_PATH, SOURCE(files.root), false}, END};

static const struct config_field command_fields[] = {
    {"command", FIELD_NAME, SOURCE(name), true},
    {"run", FIELD_TEXTS, SOURCE(command.run), true},
    {"restore", FIELD_TEXTS, SOURCE(command.restore), false},
    {"output", FIELD_FILE_NAME, SOURCE(command.output), true}, END};

const struct config_kind bkp_config_kinds[] = {
    {"postgres", BKP_KIND_POSTGRES, postgres_fields},
    {"bucket", BKP_KIND_BUCKET, bucket_fields},
    {"files", BKP_KIND_FILES, files_fields},
    {"command", BKP_KIND_COMMAND, command_fields},
    {NULL, BKP_KIND_POSTGRES, NULL}};

void *
bkp_config_slot(void *base, const struct config_field *field)
{
	return (char *)base + field->offset;
}

void
bkp_strings_free(struct bkp_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	strings->items = NULL;
	strings->count = 0;
}

static void
free_hooks(struct bkp_hook_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		bkp_strings_free(&list->items[i].run);
	free(list->items);
	list->items = NULL;
	list->count = 0;
}

/* The table of a map whose fields lie in the same struct; NULL: it is none. */
static const struct config_field *
part_of(enum field_type type)
{
	switch ((int)type) {
	case FIELD_RETENTION:
		return bkp_config_retention_fields;
	case FIELD_LIMITS:
		return bkp_config_verification_fields;
	case FIELD_STORAGE:
		return bkp_config_storage_fields;
	case FIELD_OBJECT_LOCK:
		return bkp_config_object_lock_fields;
	case FIELD_HOOKS:
		return bkp_config_hooks_fields;
	case FIELD_RATES:
		return bkp_config_rates_fields;
	}
	return NULL;
}

static void
free_field(const struct config_field *field, void *slot)
{
	char **text = slot;

	switch (field->type) {
	case FIELD_NAME:
	case FIELD_TEXT:
	case FIELD_PATH:
	case FIELD_LOCATION:
	case FIELD_FILE_NAME:
	case FIELD_CONNINFO:
	case FIELD_DURATION:
		free(*text);
		*text = NULL;
		break;
	case FIELD_SECRET:
	case FIELD_SECRET_FILE:
		bkp_secret_free(*text);
		*text = NULL;
		break;
	case FIELD_TEXTS:
	case FIELD_PATHS:
	case FIELD_DATABASES:
		bkp_strings_free(slot);
		break;
	case FIELD_RETENTION:
	case FIELD_STORAGE:
	case FIELD_LIMITS:
	case FIELD_HOOKS:
		bkp_config_fields_free(part_of(field->type), slot);
		break;
	case FIELD_HOOK_LIST:
		free_hooks(slot);
		break;
	case FIELD_TOLD:
		bkp_config_notifications_free(slot);
		break;
	case FIELD_BOOL:
	case FIELD_COPY:
	case FIELD_SIGNATURE:
	case FIELD_VERSIONS:
	case FIELD_OBJECT_LOCK:
	case FIELD_LOCK_MODE:
	case FIELD_PRUNE:
	case FIELD_WINDOW:
	case FIELD_REPOSITORIES:
	case FIELD_JOBS:
	case FIELD_DAYS:
	case FIELD_COUNT:
	case FIELD_NUMBER:
	case FIELD_PERCENT:
	case FIELD_SPAN:
	case FIELD_DROP:
	case FIELD_LEVEL:
	case FIELD_PRIORITY:
	case FIELD_RATE:
	case FIELD_RATES:
	case FIELD_REFERENCES:
	case FIELD_ASSERTIONS:
	case FIELD_SOURCES:
		break;
	}
}

void
bkp_config_fields_free(const struct config_field *fields, void *base)
{
	for (; fields != NULL && fields->name != NULL; fields++)
		free_field(fields, bkp_config_slot(base, fields));
}

static const struct config_field *
fields_of(enum bkp_source_kind kind)
{
	const struct config_kind *k = bkp_config_kinds;

	while (k->kind != kind)
		k++;
	return k->fields;
}

void
bkp_source_config_free(struct bkp_source_config *source)
{
	if (source == NULL)
		return;
	bkp_config_fields_free(fields_of(source->kind), source);
	if (source->kind == BKP_KIND_FILES) {
		free(source->files.repository);
		source->files.repository = NULL;
	}
	free(source->prefix);
	source->prefix = NULL;
}

static int
copy_strings(const struct bkp_strings *from, struct bkp_strings *to,
    struct bkp_error *err)
{
	if (from->count == 0)
		return 0;
	to->items = bkp_alloc_array(from->count, sizeof(*to->items), err);
	if (to->items == NULL)
		return -1;
	for (; to->count < from->count; to->count++) {
		to->items[to->count] = bkp_strdup(from->items[to->count], err);
		if (to->items[to->count] == NULL)
			return -1;
	}
	return 0;
}

static int
copy_hooks(const struct bkp_hook_list *from, struct bkp_hook_list *to,
    struct bkp_error *err)
{
	if (from->count == 0)
		return 0;
	to->items = bkp_alloc_array(from->count, sizeof(*to->items), err);
	if (to->items == NULL)
		return -1;
	for (; to->count < from->count; to->count++) {
		const struct bkp_hook_config *hook = &from->items[to->count];

		to->items[to->count].timeout_ms = hook->timeout_ms;
		to->items[to->count].line = hook->line;
		if (copy_strings(&hook->run, &to->items[to->count].run, err) <
		    0) {
			bkp_strings_free(&to->items[to->count].run);
			return -1;
		}
	}
	return 0;
}

/* A slot that two keys name (password, password_file) is copied once. */
static int
copy_field(const struct config_field *field, const void *from, void *to,
    struct bkp_error *err)
{
	char *const *text = from;
	char **copy = to;

	switch (field->type) {
	case FIELD_NAME:
	case FIELD_TEXT:
	case FIELD_PATH:
	case FIELD_LOCATION:
	case FIELD_FILE_NAME:
	case FIELD_CONNINFO:
	case FIELD_DURATION:
	case FIELD_SECRET:
	case FIELD_SECRET_FILE:
		if (*text == NULL || *copy != NULL)
			return 0;
		return (*copy = bkp_strdup(*text, err)) != NULL ? 0 : -1;
	case FIELD_TEXTS:
	case FIELD_PATHS:
	case FIELD_DATABASES:
		return copy_strings(from, to, err);
	case FIELD_BOOL:
	case FIELD_SIGNATURE:
	case FIELD_VERSIONS:
	case FIELD_LOCK_MODE:
	case FIELD_PRUNE:
	case FIELD_PRIORITY:
		*(bool *)to = *(const bool *)from;
		return 0;
	case FIELD_COPY:
	case FIELD_COUNT:
	case FIELD_NUMBER:
	case FIELD_PERCENT:
	case FIELD_DROP:
	case FIELD_LEVEL:
	case FIELD_DAYS:
		*(unsigned *)to = *(const unsigned *)from;
		return 0;
	case FIELD_SPAN:
	case FIELD_RATE:
		*(uint64_t *)to = *(const uint64_t *)from;
		return 0;
	case FIELD_WINDOW:
		*(struct bkp_window_config *)to =
		    *(const struct bkp_window_config *)from;
		return 0;
	case FIELD_HOOK_LIST:
		return copy_hooks(from, to, err);
	case FIELD_TOLD:
		return bkp_config_notifications_copy(from, to, err);
	case FIELD_LIMITS:
	case FIELD_RETENTION:
	case FIELD_STORAGE:
	case FIELD_OBJECT_LOCK:
	case FIELD_HOOKS:
	case FIELD_RATES:
		return bkp_config_fields_copy(
		    part_of(field->type), UINT32_MAX, from, to, err);
	case FIELD_REPOSITORIES:
	case FIELD_JOBS:
	case FIELD_REFERENCES:
	case FIELD_ASSERTIONS:
	case FIELD_SOURCES:
		break;
	}
	return 0;
}

int
bkp_config_fields_copy(const struct config_field *fields, uint32_t given,
    const void *from, void *to, struct bkp_error *err)
{
	size_t i;

	if (fields == NULL)
		return 0;
	for (i = 0; fields[i].name != NULL; i++)
		if (given >> i & 1)
			free_field(&fields[i], bkp_config_slot(to, &fields[i]));
	for (i = 0; fields[i].name != NULL; i++)
		if ((given >> i & 1) &&
		    copy_field(&fields[i],
			(const char *)from + fields[i].offset,
			bkp_config_slot(to, &fields[i]), err) < 0)
			return -1;
	return 0;
}

int
bkp_source_config_copy(const struct bkp_source_config *from,
    struct bkp_source_config *to, struct bkp_error *err)
{
	const struct config_field *field = fields_of(from->kind);
	struct bkp_source_config copy;

	memset(&copy, 0, sizeof(copy));
	copy.kind = from->kind;
	copy.line = from->line;
	if (from->kind == BKP_KIND_POSTGRES)
		copy.postgres.all_databases = from->postgres.all_databases;
	if (from->kind == BKP_KIND_BUCKET)
		copy.bucket.limits = from->bucket.limits;
	if (from->kind == BKP_KIND_FILES)
		copy.files.repositories = from->files.repositories;
	if (from->kind == BKP_KIND_FILES && from->files.repository != NULL &&
	    (copy.files.repository = bkp_strdup(from->files.repository, err)) ==
		NULL)
		goto fail;
	if (from->prefix != NULL &&
	    (copy.prefix = bkp_strdup(from->prefix, err)) == NULL)
		goto fail;
	for (; field->name != NULL; field++)
		if (copy_field(field, (const char *)from + field->offset,
			bkp_config_slot(&copy, field), err) < 0)
			goto fail;
	*to = copy;
	return 0;
fail:
	bkp_source_config_free(&copy);
	return -1;
}
