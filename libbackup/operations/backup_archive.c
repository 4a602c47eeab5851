/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup that ends in an archive, without a repository. What the sources
 * give comes in any order and in sizes that nobody knows before, and a tar
 * wants order and sizes: so it goes through a repository that is made for the
 * run and removed with it. That one is encrypted with keys that nobody else
 * ever has, and takes about as much room as the archive.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/base/temporary.h"
#include "libbackup/operations.h"
#include "libbackup/operations/archive_options.h"
#include "libbackup/source/source.h"

/* A passphrase of random bits needs no stretching. */
#define WORK_FACTOR 4

struct passing {
	const struct bkp_backup_options *backup;
	const struct bkp_archive_options *archive;
	char *directory, *repository, *key_file; /* owned */
	char passphrase[65];                     /* secret */
	struct bkp_config config; /* as given, but for the repository */
	struct bkp_source_config *sources; /* owned array of borrowed texts */
};

/* ---- the throwaway repository ---- */

/* Beside the archive, where there must be room for as much anyway; else where
 * temporary things are. */
static char *
place_for(const struct bkp_archive_options *options, struct bkp_error *err)
{
	const char *output = options->output;
	const char *slash = strrchr(output, '/');

	if (options->scratch_directory != NULL)
		return bkp_format(err, "%s/.libbackup-scratch-XXXXXX",
		    options->scratch_directory);
	if (strcmp(output, "-") == 0 || strncmp(output, "s3://", 5) == 0)
		return bkp_format(err, "%s/libbackup-scratch-XXXXXX",
		    bkp_temporary_directory());
	return bkp_format(err, "%.*s.libbackup-scratch-XXXXXX",
	    slash != NULL ? (int)(slash - output) + 1 : 0, output);
}

static int
make_directory(struct passing *passing, struct bkp_error *err)
{
	char *directory = place_for(passing->archive, err);
	char *whole;

	if (directory == NULL)
		return -1;
	if (mkdtemp(directory) == NULL) {
		(void)bkp_fail_errno(
		    err, errno, "making the folder %s", directory);
		free(directory);
		return -1;
	}
	passing->directory = directory;
	/* Sources compare folders by where they really are. */
	if ((whole = realpath(directory, NULL)) != NULL) {
		free(passing->directory);
		passing->directory = whole;
	}
	passing->repository =
	    bkp_format(err, "%s/repository", passing->directory);
	passing->key_file = bkp_format(err, "%s/key", passing->directory);
	return passing->repository == NULL || passing->key_file == NULL ? -1
									: 0;
}

static int
make_repository(struct passing *passing, struct bkp_error *err)
{
	struct bkp_init_options options = BKP_INIT_OPTIONS_INIT;
	unsigned char random[32];
	enum fmt_status status = fmt_random(random, sizeof(random));

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "making a key");
	fmt_hex(random, sizeof(random), passing->passphrase);
	OPENSSL_cleanse(random, sizeof(random));
	options.passphrase = passing->passphrase;
	options.key_file = passing->key_file;
	options.work_factor = WORK_FACTOR;
	return bkp_repository_init(passing->repository, &options, err);
}

/* The configuration with another repository. The folder of this run is not
 * backed up into itself. */
static int
make_config(struct passing *passing, struct bkp_error *err)
{
	const struct bkp_config *given = passing->backup->config;
	struct bkp_config *config = &passing->config;

	passing->sources = bkp_alloc_array(
	    given->source_count, sizeof(*passing->sources), err);
	if (passing->sources == NULL)
		return -1;
	*config = *given;
	config->repository = passing->repository;
	config->key_file = passing->key_file;
	config->passphrase = passing->passphrase;
	config->sources = passing->sources;
	for (size_t i = 0; i < given->source_count; i++) {
		config->sources[i] = given->sources[i];
		if (config->sources[i].kind == BKP_KIND_FILES)
			config->sources[i].files.repository =
			    passing->directory;
	}
	return 0;
}

/* What this machine remembers of a repository, it need not of this one. */
static void
forget(const char *repository)
{
	char *state = bkp_state_directory(repository, NULL);
	char *cache = bkp_cache_directory(repository, NULL);

	bkp_temporary_remove(state);
	bkp_temporary_remove(cache);
	free(state);
	free(cache);
}

static void
end(struct passing *passing, const char *id)
{
	if (id[0] != '\0')
		forget(id);
	bkp_temporary_remove(passing->directory);
	OPENSSL_cleanse(passing->passphrase, sizeof(passing->passphrase));
	free(passing->sources);
	free(passing->directory);
	free(passing->repository);
	free(passing->key_file);
}

/* Its id, for what is to be forgotten. */
static int
read_id(struct passing *passing, char id[64], struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_repository *repository = NULL;

	keys.key_file = passing->key_file;
	if (bkp_repository_open(passing->repository, &keys, &repository, err) <
	    0)
		return -1;
	(void)snprintf(id, 64, "%s", bkp_repository_id(repository));
	bkp_repository_close(repository);
	return 0;
}

/* ---- the story ---- */

/* What could keep the archive from being written is known before an hour of
 * work. */
static int
check(const struct bkp_archive_options *archive, struct bkp_error *err)
{
	struct bkp_archive_recipients recipients = BKP_ARCHIVE_RECIPIENTS_INIT;
	struct bkp_archive_output *output = NULL;
	int rc;

	if (archive->output == NULL)
		return bkp_fail(
		    err, BKP_INVALID, "no name was given for the archive");
	rc = bkp_archive_recipients_init(&recipients, archive, err);
	if (rc == 0)
		rc = bkp_archive_options_open(archive, 0, &output, err);
	bkp_archive_output_close(output);
	bkp_archive_recipients_fini(&recipients);
	return rc;
}

/* What was left out has been told when it was: not again. */
static void
tell(void *arg, enum bkp_level level, const char *path, const char *text)
{
	const struct bkp_events *events = arg;

	if (level != BKP_OMISSION && events->message != NULL)
		events->message(events->arg, level, path, text);
}

static void
show(void *arg, const struct bkp_progress *progress)
{
	const struct bkp_events *events = arg;

	if (events->progress != NULL)
		events->progress(events->arg, progress);
}

static int
write_archive(struct passing *passing, const char *snapshot,
    struct bkp_archive_result *archived, struct bkp_error *err)
{
	struct bkp_archive_options options = *passing->archive;
	struct bkp_events events = options.events;

	options.config = &passing->config;
	options.snapshot = snapshot;
	options.path = NULL;
	options.events = (struct bkp_events){
	    .arg = &events, .message = tell, .progress = show};
	return bkp_archive_write(&options, archived, err);
}

int
bkp_backup_archive(const struct bkp_backup_options *backup,
    const struct bkp_archive_options *archive, struct bkp_backup_result *result,
    struct bkp_archive_result *archived, struct bkp_error *err)
{
	struct bkp_archive_options out = *archive;
	struct passing passing = {.backup = backup, .archive = &out};
	struct bkp_backup_options in = *backup;
	struct bkp_backup_result made;
	char id[64] = "";
	int rc = -1;

	out.config = backup->config;
	/* The passphrase of the throwaway repository takes its place there. */
	if (out.passphrase == NULL && out.recipient_count == 0 &&
	    out.config->identity_file == NULL)
		out.passphrase = out.config->passphrase;
	if (check(&out, err) < 0 || make_directory(&passing, err) < 0 ||
	    make_repository(&passing, err) < 0 ||
	    make_config(&passing, err) < 0 || read_id(&passing, id, err) < 0)
		goto out;
	in.config = &passing.config;
	if (bkp_backup(&in, &made, err) < 0 ||
	    write_archive(&passing, made.snapshot, archived, err) < 0)
		goto out;
	*result = made;
	rc = 0;
out:
	end(&passing, id);
	return rc;
}
