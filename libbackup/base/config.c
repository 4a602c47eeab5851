/* SPDX-License-Identifier: Apache-2.0 */
/* Where the configuration is found, and what a command line changes in it. */
#include "libbackup/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/config_choice.h"
#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_limits.h"
#include "libbackup/base/config_read.h"
#include "libbackup/base/config_references.h"
#include "libbackup/base/config_yaml.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"

#define WORKERS_MAX 64

/* ---- finding the file ---- */

static char *
user_file(struct bkp_error *err)
{
	const char *folder = getenv("XDG_CONFIG_HOME");

	if (folder != NULL && folder[0] == '/')
		return bkp_format(err, "%s/libbackup/backup.yaml", folder);
	folder = getenv("HOME");
	return bkp_format(err, "%s/.config/libbackup/backup.yaml",
	    folder != NULL ? folder : "");
}

/* The first of the usual places that there is. A file that BACKUP_CONFIG names
 * is meant: where it is missing, no other is taken in its place. */
static char *
find_file(struct bkp_error *err)
{
	static const char system_file[] = "/etc/libbackup/backup.yaml";
	const char *named = getenv("BACKUP_CONFIG");
	char *user;

	if (named != NULL && named[0] != '\0') {
		if (access(named, F_OK) == 0)
			return bkp_strdup(named, err);
		(void)bkp_fail(err, BKP_INVALID,
		    "BACKUP_CONFIG names %s, which is not there", named);
		return NULL;
	}
	if (access("backup.yaml", F_OK) == 0)
		return bkp_strdup("backup.yaml", err);
	if ((user = user_file(err)) == NULL)
		return NULL;
	if (access(user, F_OK) == 0)
		return user;
	if (access(system_file, F_OK) == 0) {
		free(user);
		return bkp_strdup(system_file, err);
	}
	(void)bkp_fail(err, BKP_NOTFOUND,
	    "there is no configuration: neither ./backup.yaml nor %s nor %s; "
	    "name one with --config or BACKUP_CONFIG",
	    user, system_file);
	free(user);
	return NULL;
}

/* ---- making one ---- */

static int
replace(char **slot, const char *text, struct bkp_error *err)
{
	char *copy = bkp_strdup(text, err);

	if (copy == NULL)
		return -1;
	free(*slot);
	*slot = copy;
	return 0;
}

static size_t
count_sources(const struct bkp_config *config)
{
	return config->all_sources > 0 ? config->all_sources
				       : config->source_count;
}

/* Sets the repository (also to what it is), and tells the sources that walk
 * folders about it: the repository is not backed up into itself. */
int
bkp_config_set_location(
    struct bkp_config *config, const char *location, struct bkp_error *err)
{
	if (config->repository != location &&
	    replace(&config->repository, location, err) < 0)
		return -1;
	for (size_t i = 0; i < count_sources(config); i++) {
		struct bkp_source_config *source = &config->sources[i];

		if (source->kind == BKP_KIND_FILES &&
		    replace(
			&source->files.repository, config->repository, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_config_apply_passphrase(struct bkp_config *config, struct bkp_error *err)
{
	char *passphrase = NULL;

	if (config->trouble != NULL)
		return 0;
	if (bkp_secret_load("passphrase", NULL, NULL, "BACKUP_PASSPHRASE",
		&passphrase, err) < 0)
		return -1;
	if (passphrase != NULL) {
		bkp_secret_free(config->passphrase);
		config->passphrase = passphrase;
	}
	return 0;
}

int
bkp_config_apply_environment(struct bkp_config *config, struct bkp_error *err)
{
	const char *location = getenv("BACKUP_REPOSITORY");

	if (config->trouble != NULL)
		return 0;
	if (location != NULL && location[0] != '\0') {
		if (bkp_config_choose_repository(config, location, err) < 0)
			return bkp_fail_in(err, "BACKUP_REPOSITORY");
	} else if (config->repository != NULL &&
		   bkp_config_set_location(config, config->repository, err) < 0)
		return -1;
	return bkp_config_apply_passphrase(config, err);
}

int
bkp_config_new(struct bkp_config **out, struct bkp_error *err)
{
	struct bkp_config *config = bkp_alloc(sizeof(*config), err);

	if (config == NULL)
		return -1;
	if (bkp_config_limits_begin(config, err) < 0 ||
	    bkp_config_apply_environment(config, err) < 0) {
		bkp_config_free(config);
		return -1;
	}
	*out = config;
	return 0;
}

static int
load_file(const char *path, struct bkp_config *config, struct bkp_error *err)
{
	struct config_file file;
	int rc;

	if (bkp_config_file_load(path, &file, err) < 0)
		return -1;
	file.is_lenient = config->trouble != NULL;
	rc = bkp_config_read(&file, config, err);
	bkp_config_file_close(&file);
	if (rc < 0)
		return -1;
	return replace(&config->path, path, err);
}

/* The environment or a command may name another one then. */
static int
note_repository(struct bkp_config *config, struct bkp_error *err)
{
	if (config->repository == NULL)
		return 0;
	config->own_repository = bkp_strdup(config->repository, err);
	return config->own_repository != NULL ? 0 : -1;
}

/* `trouble`: to tell of it; NULL: all of it. */
static int
load(const char *path, const char *trouble, struct bkp_config **out,
    struct bkp_error *err)
{
	struct bkp_config *config = NULL;
	char *found = NULL;
	int rc = -1;

	if (path == NULL && (found = find_file(err)) == NULL)
		return -1;
	if ((config = bkp_alloc(sizeof(*config), err)) == NULL)
		goto out;
	if (trouble != NULL && replace(&config->trouble, trouble, err) < 0)
		goto out;
	if (load_file(path != NULL ? path : found, config, err) < 0 ||
	    note_repository(config, err) < 0 ||
	    bkp_config_limits_begin(config, err) < 0 ||
	    bkp_config_choice_begin(config, err) < 0 ||
	    bkp_config_apply_environment(config, err) < 0)
		goto out;
	*out = config;
	config = NULL;
	rc = 0;
out:
	bkp_config_free(config);
	free(found);
	return rc;
}

int
bkp_config_load(
    const char *path, struct bkp_config **out, struct bkp_error *err)
{
	return load(path, NULL, out, err);
}

int
bkp_config_load_to_tell(const char *path, const struct bkp_error *why,
    struct bkp_config **out, struct bkp_error *err)
{
	return load(path, why->message, out, err);
}

void
bkp_config_free(struct bkp_config *config)
{
	if (config == NULL)
		return;
	bkp_config_choice_free(config);
	bkp_config_limits_free(config);
	for (size_t i = 0; i < config->source_count; i++)
		bkp_source_config_free(&config->sources[i]);
	free(config->sources);
	bkp_config_references_free(config);
	bkp_config_assertions_free(config);
	bkp_config_fields_free(bkp_config_fields, config);
	bkp_config_fields_free(bkp_config_job_fields, config);
	free(config->path);
	free(config->trouble);
	free(config->own_repository);
	free(config);
}

/* ---- reading and changing it ---- */

const char *
bkp_config_path(const struct bkp_config *config)
{
	return config->path;
}

const char *
bkp_config_repository(const struct bkp_config *config)
{
	return config->repository;
}

int
bkp_config_set_repository(
    struct bkp_config *config, const char *location, struct bkp_error *err)
{
	return bkp_config_choose_repository(config, location, err);
}

int
bkp_config_set_key_file(
    struct bkp_config *config, const char *path, struct bkp_error *err)
{
	return replace(&config->key_file, path, err);
}

int
bkp_config_set_identity_file(
    struct bkp_config *config, const char *path, struct bkp_error *err)
{
	return replace(&config->identity_file, path, err);
}

int
bkp_config_set_passphrase(
    struct bkp_config *config, const char *passphrase, struct bkp_error *err)
{
	char *copy = bkp_strdup(passphrase, err);

	if (copy == NULL)
		return -1;
	bkp_secret_free(config->passphrase);
	config->passphrase = copy;
	return 0;
}

int
bkp_config_set_workers(
    struct bkp_config *config, unsigned workers, struct bkp_error *err)
{
	if (workers < 1 || workers > WORKERS_MAX)
		return bkp_fail(err, BKP_INVALID,
		    "the number of workers is 1 to %d, not %u", WORKERS_MAX,
		    workers);
	config->workers = workers;
	return 0;
}

void
bkp_config_keys(const struct bkp_config *config, struct bkp_keys *out)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.key_file = config->key_file;
	keys.identity_file = config->identity_file;
	keys.passphrase = config->passphrase;
	keys.storage = &config->storage;
	*out = keys;
}

void
bkp_config_set_cancel(
    struct bkp_config *config, const struct bkp_cancel *cancel)
{
	config->storage.cancel = cancel;
}

int
bkp_config_set_as_of(
    struct bkp_config *config, const char *time, struct bkp_error *err)
{
	int64_t us;

	if (!bkp_instant_read(time, &us) || us <= 0)
		return bkp_fail(err, BKP_INVALID,
		    "\"%s\" is no time to read a repository as of: write "
		    "2026-11-20 or 2026-11-20T12:00:05Z",
		    time);
	config->storage.as_of_us = us;
	return 0;
}

const struct bkp_storage_config *
bkp_config_storage(const struct bkp_config *config)
{
	return &config->storage;
}

const char *
bkp_config_source(const struct bkp_config *config, size_t n)
{
	return n < config->source_count ? config->sources[n].prefix : NULL;
}
