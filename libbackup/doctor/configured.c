/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration against this machine: what it names is there, and secret
 * where it has to be. Asks no server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/child.h"
#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_yaml.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/exam.h"
#include "libbackup/doctor/near.h"
#include "libbackup/doctor/redact.h"
#include "libbackup/store/store.h"

#define PATH_SIZE 4096

static const char *
file_of(const struct bkp_exam *exam)
{
	if (exam->config != NULL && exam->config->path != NULL)
		return exam->config->path;
	return exam->options->config_file;
}

static int
check_loaded(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_error *why = exam->options->config_error;
	const char *file = file_of(exam);

	if (exam->config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "backup.yaml(5) describes every key", err, "%s",
		    why != NULL ? why->message : "there is no configuration");
	if (file == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "name one with --config, or write "
		    "/etc/libbackup/backup.yaml",
		    err, "there is no configuration file");
	if (exam->config->repository == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "write `repository:` into it, or set BACKUP_REPOSITORY",
		    err, "%s names no repository", file);
	if (exam->config->source_count == 0)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "write `sources:` into it, or nothing is backed up", err,
		    "%s names no source", file);
	return bkp_exam_ok(exam, err, "%s was understood: %zu %s", file,
	    exam->config->source_count,
	    exam->config->source_count == 1 ? "source" : "sources");
}

/* Whoever can change it can have any command run. */
static int
check_mode(struct bkp_exam *exam, struct bkp_error *err)
{
	const char *file = file_of(exam);
	struct stat st;

	if (file == NULL || stat(file, &st) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "there is no file to look at");
	if ((st.st_mode & S_IWOTH) != 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "chmod go-w it: what it names as a command is run", err,
		    "everybody may change %s (mode %04o)", file,
		    (unsigned)st.st_mode & 07777);
	if ((st.st_mode & S_IWGRP) != 0)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "chmod g-w it, or be sure who is in the group", err,
		    "its group may change %s (mode %04o)", file,
		    (unsigned)st.st_mode & 07777);
	return bkp_exam_ok(
	    exam, err, "%s has mode %04o", file, (unsigned)st.st_mode & 07777);
}

/* ---- secret files ---- */

/* One that must be there and nobody's but ours. `is_key`: nothing is done with
 * one that others can read. */
static int
look_at_secret(struct bkp_exam *exam, const char *key, const char *path,
    bool is_key, struct bkp_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    errno == ENOENT ? "put it there, or correct the path"
				    : "let the user who runs this read it",
		    err, "%s names " BKP_NAMED ": %s", key, path,
		    strerror(errno));
	if (access(path, R_OK) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "let the user who runs backups read it, and nobody else",
		    err, "%s names " BKP_NAMED ", which this user may not read",
		    key, path);
	if (st.st_size == 0 && S_ISREG(st.st_mode))
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "write the secret into it", err,
		    "%s names " BKP_NAMED ", which is empty", key, path);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return bkp_exam_tell(exam,
		    is_key && (st.st_mode & (S_IRGRP | S_IROTH)) != 0
			? BKP_HEALTH_ERROR
			: BKP_HEALTH_WARNING,
		    NULL, "chmod 600 it", err,
		    "%s names " BKP_NAMED ", which others may use (mode %04o)",
		    key, path, (unsigned)st.st_mode & 07777);
	return bkp_exam_ok(exam, err, "%s: " BKP_NAMED " has mode %04o", key,
	    path, (unsigned)st.st_mode & 07777);
}

/* "password_file", "headers_file", and whatever comes: the others are few. */
static bool
is_secret_file(const char *key)
{
	static const char *const others[] = {
	    "key_file", "identity_file", "ca_file", "metrics_file", NULL};
	size_t len = strlen(key);

	for (size_t i = 0; others[i] != NULL; i++)
		if (strcmp(others[i], key) == 0)
			return false;
	return len > 5 && strcmp(key + len - 5, "_file") == 0;
}

static int
look_at_pair(struct bkp_exam *exam, const struct config_file *file,
    const char *key, const yaml_node_t *value, struct bkp_error *err)
{
	struct bkp_error reason = BKP_ERROR_INIT;
	char *text = NULL, *path = NULL;
	int rc;

	if (bkp_config_expand(file, value, key, &text, NULL, &reason) < 0 ||
	    (path = bkp_config_absolute(file, text, &reason)) == NULL)
		rc = bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL, NULL, err,
		    "%s", reason.message);
	else
		rc = look_at_secret(exam, key, path, false, err);
	free(text);
	free(path);
	return rc;
}

/* Every map of the file, wherever it stands: the file need not be one that
 * could be loaded. */
static int
check_secrets(struct bkp_exam *exam, struct bkp_error *err)
{
	struct config_file file = {.path = NULL};
	const char *name = file_of(exam);
	yaml_node_t *node;
	size_t count = 0;
	int rc = 0;

	if (name == NULL || bkp_config_file_load(name, &file, NULL) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "there is no file to look at");
	for (node = file.document.nodes.start;
	     rc == 0 && node < file.document.nodes.top; node++) {
		yaml_node_pair_t *pair;

		if (node->type != YAML_MAPPING_NODE)
			continue;
		for (pair = node->data.mapping.pairs.start;
		     rc == 0 && pair < node->data.mapping.pairs.top; pair++) {
			const yaml_node_t *value =
			    yaml_document_get_node(&file.document, pair->value);
			const char *key = bkp_config_scalar(
			    yaml_document_get_node(&file.document, pair->key));

			if (key == NULL || !is_secret_file(key) ||
			    bkp_config_scalar(value) == NULL)
				continue;
			rc = look_at_pair(exam, &file, key, value, err);
			count++;
		}
	}
	if (rc == 0 && count == 0)
		rc = bkp_exam_ok(exam, err, "no secret is in a file");
	bkp_config_file_close(&file);
	return rc;
}

static int
check_key_file(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;

	if (config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "the configuration could not be read");
	if (config->key_file == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "a host that backs up needs key_file; backup-key host "
		    "makes one",
		    err, "no key file is named");
	return look_at_secret(exam, "key_file", config->key_file, true, err);
}

static int
check_identity_file(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;

	if (config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "the configuration could not be read");
	if (config->identity_file == NULL && config->passphrase == NULL)
		return bkp_exam_ok(
		    exam, err, "no key here opens the contents of backups");
	if (config->identity_file != NULL &&
	    look_at_secret(
		exam, "identity_file", config->identity_file, true, err) < 0)
		return -1;
	return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
	    "where this host is one that only makes backups, keep the "
	    "administrator's key away from it: whoever takes the host over "
	    "could read all of the past",
	    err, "the configuration has an administrator's key");
}

/* ---- programs and paths ---- */

static int
look_at_program(struct bkp_exam *exam, const char *subject, const char *what,
    const struct bkp_strings *argv, size_t *count, struct bkp_error *err)
{
	char *path;

	if (argv->count == 0)
		return 0;
	(*count)++;
	path = bkp_child_find(argv->items[0], NULL);
	if (path != NULL && access(path, X_OK) == 0) {
		free(path);
		return 0;
	}
	free(path);
	return bkp_exam_tell(exam, BKP_HEALTH_ERROR, subject,
	    "install it, or write its whole path: services have a short PATH",
	    err, "%s runs " BKP_NAMED ", which is not there or no program",
	    what, argv->items[0]);
}

static int
look_at_hooks(struct bkp_exam *exam, const char *subject, const char *what,
    const struct bkp_hook_list *hooks, size_t *count, struct bkp_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < hooks->count; i++)
		rc = look_at_program(
		    exam, subject, what, &hooks->items[i].run, count, err);
	return rc;
}

static int
look_at_job(struct bkp_exam *exam, const char *name,
    const struct bkp_job_config *job, size_t *count, struct bkp_error *err)
{
	char *subject = bkp_format(err, "job/%s", name);
	int rc = -1;

	if (subject != NULL &&
	    look_at_hooks(exam, subject, "a hook `before`", &job->before, count,
		err) == 0 &&
	    look_at_hooks(exam, subject, "a hook `after`", &job->after, count,
		err) == 0 &&
	    look_at_hooks(exam, subject, "a hook `failure`", &job->failure,
		count, err) == 0)
		rc = look_at_hooks(
		    exam, subject, "a hook `always`", &job->always, count, err);
	free(subject);
	return rc;
}

/* What no job has is backed up by none of them. */
static int
check_jobs(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	int rc = 0;

	if (config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "the configuration could not be read");
	if (config->job_count == 0 || config->chosen_job != NULL)
		return bkp_exam_ok(exam, err, "%s",
		    config->chosen_job != NULL ? config->chosen_job->name
					       : "there is one for everything");
	for (size_t i = 0; rc == 0 && i < config->source_count; i++) {
		const char *prefix = config->sources[i].prefix;
		bool is_there = false;

		for (size_t k = 0; !is_there && k < config->job_count; k++) {
			const struct bkp_strings *names =
			    &config->jobs[k].values->job.sources;

			is_there = names->count == 0;
			for (size_t n = 0; !is_there && n < names->count; n++)
				is_there = strcmp(names->items[n], prefix) == 0;
		}
		if (!is_there) {
			exam->has_found = true;
			rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, prefix,
			    "add it to the `sources:` of a job", err,
			    "no job backs it up");
		}
	}
	if (rc == 0 && !exam->has_found)
		rc = bkp_exam_ok(exam, err, "%zu jobs back up every source",
		    config->job_count);
	return rc;
}

static int
check_programs(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	size_t count = 0;
	int rc = 0;

	if (config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "the configuration could not be read");
	for (size_t i = 0; rc == 0 && i < config->source_count; i++) {
		const struct bkp_source_config *source = &config->sources[i];

		if (source->kind != BKP_KIND_COMMAND)
			continue;
		rc = look_at_program(exam, source->prefix, "run",
		    &source->command.run, &count, err);
		if (rc == 0)
			rc = look_at_program(exam, source->prefix, "restore",
			    &source->command.restore, &count, err);
	}
	for (size_t i = 0; rc == 0 && i < config->assertion_count; i++)
		rc = look_at_program(exam, NULL, config->assertions[i].name,
		    &config->assertions[i].run, &count, err);
	if (rc == 0)
		rc = look_at_job(exam, "default", &config->job, &count, err);
	for (size_t i = 0; rc == 0 && i < config->job_count; i++)
		rc = look_at_job(exam, config->jobs[i].name,
		    &config->jobs[i].values->job, &count, err);
	if (rc == 0 && !exam->has_failed)
		rc = bkp_exam_ok(exam, err, "%zu %s found", count,
		    count == 1 ? "program was" : "programs were");
	return rc;
}

static int
look_at_path(struct bkp_exam *exam, const char *subject, const char *root,
    const char *path, struct bkp_error *err)
{
	char whole[PATH_SIZE];
	struct stat st;
	int need = R_OK;

	(void)snprintf(
	    whole, sizeof(whole), "%s%s", root != NULL ? root : "", path);
	if (lstat(whole, &st) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, subject,
		    "correct the path, or take it out", err, BKP_NAMED ": %s",
		    whole, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, subject,
		    "name what it points at where that is meant", err,
		    BKP_NAMED
		    " is a symbolic link: the link is backed up, and not "
		    "what it points at",
		    whole);
	if (S_ISDIR(st.st_mode))
		need |= X_OK;
	if (access(whole, need) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, subject,
		    "let the user who runs backups read it", err,
		    BKP_NAMED ": this user may not read it", whole);
	return 0;
}

static int
look_at_ca(struct bkp_exam *exam, const char *subject, const char *ca_file,
    struct bkp_error *err)
{
	if (ca_file == NULL || access(ca_file, R_OK) == 0)
		return 0;
	return bkp_exam_tell(exam, BKP_HEALTH_ERROR, subject,
	    "put the certificates there, or correct the path", err,
	    "ca_file " BKP_NAMED ": %s", ca_file, strerror(errno));
}

static int
look_at_source(struct bkp_exam *exam, const struct bkp_source_config *source,
    struct bkp_error *err)
{
	int rc = 0;

	switch (source->kind) {
	case BKP_KIND_FILES:
		for (size_t i = 0; rc == 0 && i < source->files.paths.count;
		     i++)
			rc = look_at_path(exam, source->prefix,
			    source->files.root, source->files.paths.items[i],
			    err);
		return rc;
	case BKP_KIND_BUCKET:
		return look_at_ca(
		    exam, source->prefix, source->bucket.ca_file, err);
	case BKP_KIND_POSTGRES:
		if (source->postgres.bindir != NULL &&
		    access(source->postgres.bindir, X_OK) < 0)
			return bkp_exam_tell(exam, BKP_HEALTH_WARNING,
			    source->prefix, "correct the path, or take it out",
			    err, "bindir " BKP_NAMED ": %s",
			    source->postgres.bindir, strerror(errno));
		return 0;
	case BKP_KIND_COMMAND:
		break;
	}
	return 0;
}

static int
check_paths(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	int rc = 0;

	if (config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "the configuration could not be read");
	rc = look_at_ca(exam, NULL, config->storage.bucket.ca_file, err);
	for (size_t i = 0; rc == 0 && i < config->source_count; i++)
		rc = look_at_source(exam, &config->sources[i], err);
	if (rc == 0)
		rc = bkp_exam_metrics(exam, err);
	if (rc == 0 && !exam->has_failed && !exam->has_found)
		rc = bkp_exam_ok(exam, err, "what it names is there");
	return rc;
}

bool
bkp_exam_is_said(const struct config_field *fields,
    const struct bkp_named_config *named, const char *key)
{
	for (size_t i = 0; fields[i].name != NULL; i++)
		if (strcmp(fields[i].name, key) == 0)
			return (named->given & ((uint32_t)1 << i)) != 0;
	return false;
}

/* Whoever is in a compose network of one's own is known. */
static int
tell_plain(struct bkp_exam *exam, const char *subject, const char *authority,
    struct bkp_error *err)
{
	enum bkp_nearness nearness = bkp_exam_nearness(authority);

	if (nearness == BKP_NEARNESS_HERE)
		return 0;
	exam->has_found = true;
	if (nearness == BKP_NEARNESS_PRIVATE)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, subject,
		    "use https where that network has others in it", err,
		    "its endpoint is http, to a private network by its name: "
		    "whoever is in there can read and change it");
	return bkp_exam_tell(exam, BKP_HEALTH_WARNING, subject,
	    "use https, or be sure of everybody on the network in between", err,
	    "its endpoint is http, which whoever is on the way can read and "
	    "change");
}

/* What goes over a network where anybody can read it, or be the one whom it is
 * meant for. */
static int
look_at_tls(struct bkp_exam *exam, const char *subject,
    const struct bkp_bucket_config *bucket, struct bkp_error *err)
{
	static const char plain[] = "http://";
	const char *endpoint = bucket->endpoint;

	if (endpoint != NULL &&
	    strncasecmp(endpoint, plain, strlen(plain)) == 0)
		return tell_plain(exam, subject, endpoint + strlen(plain), err);
	if (!bucket->accepts_unverified_tls)
		return 0;
	exam->has_found = true;
	return bkp_exam_tell(exam, BKP_HEALTH_WARNING, subject,
	    "use signature v4, which verifies, where the server can", err,
	    "whom https is spoken with is not verified");
}

/* One of `repositories:` (NULL: there is no such list). */
static int
look_at_repository(struct bkp_exam *exam, const struct bkp_named_config *named,
    const struct bkp_config *values, struct bkp_error *err)
{
	const struct bkp_bucket_config *bucket = &values->storage.bucket;
	char *subject;
	int rc;

	if (values->repository == NULL ||
	    !bkp_store_is_bucket(values->repository))
		return 0;
	if (named == NULL)
		return look_at_tls(exam, "repository", bucket, err);
	if (exam->config->defaults != NULL &&
	    !bkp_exam_is_said(bkp_config_repository_fields, named, "storage"))
		bucket = &exam->config->defaults->storage.bucket;
	subject = bkp_format(err, "repository/%s", named->name);
	rc = subject != NULL ? look_at_tls(exam, subject, bucket, err) : -1;
	free(subject);
	return rc;
}

static int
check_tls(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	int rc = 0;

	if (config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "the configuration could not be read");
	if (config->repository_count == 0 || config->is_elsewhere)
		rc = look_at_repository(exam, NULL, config, err);
	else
		for (size_t i = 0; rc == 0 && i < config->repository_count; i++)
			rc = look_at_repository(exam, &config->repositories[i],
			    config->repositories[i].values, err);
	for (size_t i = 0; rc == 0 && i < config->source_count; i++)
		if (config->sources[i].kind == BKP_KIND_BUCKET)
			rc = look_at_tls(exam, config->sources[i].prefix,
			    &config->sources[i].bucket, err);
	if (rc == 0 && !exam->has_found)
		rc = bkp_exam_ok(exam, err,
		    "https is verified, and http goes to this machine alone");
	return rc;
}

static const struct bkp_exam_check checks[] = {
    {"configuration", check_loaded, BKP_EXAM_NONE},
    {"configuration-mode", check_mode, BKP_EXAM_NONE},
    {"secret-files", check_secrets, BKP_EXAM_NONE},
    {"key-file", check_key_file, BKP_EXAM_NONE},
    {"administrator-key", check_identity_file, BKP_EXAM_NONE},
    {"programs", check_programs, BKP_EXAM_NONE},
    {"jobs", check_jobs, BKP_EXAM_NONE},
    {"paths", check_paths, BKP_EXAM_NONE},
    {"tls", check_tls, BKP_EXAM_NONE},
    {"notifications", bkp_exam_notifications, BKP_EXAM_NONE},
    {NULL, NULL, BKP_EXAM_NONE},
};

const struct bkp_exam_kind bkp_exam_configured = {checks, 0, NULL};
