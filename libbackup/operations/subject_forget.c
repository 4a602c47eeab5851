/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording an erasure:
 *
 *   open the walk and review: the map must fit, for it is what erases again
 *   ask the database: the subject must be gone, and how its key is written
 *   append to the ledger of the repository, and tell the audit file
 */
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/subject_impl.h"
#include "libbackup/repository/erasures.h"
#include "libbackup/repository/remembered.h"
#include "libbackup/subject/audit.h"
#include "libbackup/subject/known.h"

/* All that an entry is made of. */
struct forgetting {
	struct bkp_subject_opened opened;
	struct bkp_known known;
	struct fmt_buf map;
	char *database;     /* owned: as the server calls it */
	const char *source; /* borrowed */
};

#define FORGETTING_INIT                                                        \
	{                                                                      \
		BKP_SUBJECT_OPENED_INIT, BKP_KNOWN_INIT, FMT_BUF_INIT, NULL,   \
		    NULL                                                       \
	}

static void
free_forgetting(struct forgetting *forgetting)
{
	bkp_known_free(&forgetting->known);
	fmt_buf_free(&forgetting->map);
	free(forgetting->database);
	bkp_subject_close(&forgetting->opened);
}

/* ---- what is to be recorded ---- */

/* The prefix of the source that is meant. */
static int
find_source(struct forgetting *forgetting,
    const struct bkp_subject_source *from, struct bkp_error *err)
{
	const struct bkp_postgres_config *postgres;
	const char *database;

	if (bkp_subject_database(from, &postgres, &database, err) < 0)
		return -1;
	for (size_t i = 0; i < from->config->source_count; i++)
		if (&from->config->sources[i].postgres == postgres)
			forgetting->source = from->config->sources[i].prefix;
	return 0;
}

/* The bytes that were read as the map, and no later ones. */
static int
read_map(struct forgetting *forgetting, struct bkp_error *err)
{
	const struct bkp_map *map = &forgetting->opened.map;
	unsigned char digest[32];
	char hex[65];

	if (bkp_map_text(map->path, &forgetting->map, err) < 0)
		return -1;
	if (fmt_sha256(forgetting->map.data, forgetting->map.len, digest) !=
	    FMT_OK)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot make a digest");
	fmt_hex(digest, sizeof(digest), hex);
	if (strcmp(hex, map->sha256) != 0)
		return bkp_fail(err, BKP_RETRY,
		    "the map %s was changed meanwhile; run it again",
		    map->path);
	return 0;
}

static int
look(struct forgetting *forgetting,
    const struct bkp_subject_forget_options *options, struct bkp_error *err)
{
	struct bkp_subject_opened *opened = &forgetting->opened;

	if (find_source(forgetting, &options->from, err) < 0 ||
	    bkp_subject_open(opened, &options->from, options->key_count, false,
		&options->events, options->cancel, err) < 0 ||
	    read_map(forgetting, err) < 0)
		return -1;
	bkp_run_phase(opened->run, 0, 0, "looking for the subject");
	forgetting->database = bkp_pg_text(bkp_walk_session(opened->walk),
	    "SELECT pg_catalog.current_database()", err);
	if (forgetting->database == NULL ||
	    bkp_known_find(opened->walk, options->key, options->key_count,
		&forgetting->known, err) < 0)
		return -1;
	if (forgetting->known.is_there)
		return bkp_fail(err, BKP_EXISTS,
		    "the subject is still in %s: nothing is recorded, and "
		    "this command erases nothing; erase it in the application, "
		    "then record that it is gone",
		    opened->map.table);
	return 0;
}

/* ---- the repository ---- */

static int
open_repository(const struct bkp_subject_forget_options *options,
    struct bkp_repository **out, struct bkp_error *err)
{
	const struct bkp_config *config = options->from.config;
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (options->from.snapshot != NULL)
		return bkp_fail(err, BKP_INVALID,
		    "whether a subject was erased is asked of the live "
		    "database, and not of a snapshot");
	if (config->repository == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no repository is named; give 'repository:' in the "
		    "configuration or --repository");
	bkp_config_keys(config, &keys);
	if (keys.key_file == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "an erasure is signed by the host that records it, and no "
		    "key file is named; give 'key_file:' in the configuration "
		    "or --key-file (backup-init made it)");
	keys.identity_file = NULL;
	keys.passphrase = NULL;
	if (bkp_repository_open(config->repository, &keys, out, err) < 0)
		return -1;
	return bkp_repository_keep_parity(*out, config->error_correction, err);
}

static int
count_entries(struct bkp_repository *repository,
    struct bkp_subject_forget_result *result, struct bkp_error *err)
{
	struct bkp_snapshots snapshots = BKP_SNAPSHOTS_INIT;
	struct bkp_erasures erasures = BKP_ERASURES_INIT;
	int rc = bkp_erasures_load(repository, &erasures, err);

	if (rc == 0)
		rc = bkp_snapshots_read(repository, &snapshots, err);
	result->entries = erasures.count;
	result->snapshots = snapshots.count;
	bkp_erasures_free(&erasures);
	bkp_snapshots_free(&snapshots);
	return rc;
}

/* No later snapshot may know of the entry yet, and then it is this machine that
 * misses it where it goes. */
static void
remember(struct forgetting *forgetting, const char *repository_id,
    const struct bkp_subject_forget_result *result)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_remembered_erasures(repository_id, result->entries, &problem) <
	    0)
		bkp_run_message(forgetting->opened.run, BKP_WARNING, NULL,
		    "that the erasure was recorded is not remembered on this "
		    "machine, so it is missed only by snapshots that are made "
		    "after it: %s",
		    problem.message);
}

static int
append(struct forgetting *forgetting, struct bkp_repository *repository,
    struct bkp_subject_forget_result *result, struct bkp_error *err)
{
	const struct bkp_known *known = &forgetting->known;
	const struct bkp_erasure_entry entry = {
	    .source = forgetting->source,
	    .database = forgetting->database,
	    .table = forgetting->opened.map.table,
	    .values = (const char *const *)known->values.items,
	    .value_count = known->values.count,
	    .map = (const char *)forgetting->map.data,
	    .map_len = forgetting->map.len,
	};

	bkp_run_phase(forgetting->opened.run, 0, 0, "recording the erasure");
	if (bkp_erasure_append(repository, &entry, result->entry, err) < 0)
		return -1;
	if (count_entries(repository, result, err) < 0)
		return bkp_fail_in(err, "the erasure was recorded, and");
	remember(forgetting, repository->config.id, result);
	return 0;
}

/* What could not be looked up later is not recorded. */
static int
record(struct forgetting *forgetting,
    const struct bkp_subject_forget_options *options,
    struct bkp_repository *repository, struct bkp_audit *audit,
    struct bkp_subject_forget_result *result, struct bkp_error *err)
{
	struct bkp_audit_entry line = {
	    .event = "forget-begun",
	    .who = options->requester,
	    .table = forgetting->opened.map.table,
	    .key = options->key,
	    .key_count = options->key_count,
	    .map_sha256 = forgetting->opened.map.sha256,
	};
	int rc;

	if (bkp_audit_append(audit, &line, err) < 0)
		return -1;
	rc = append(forgetting, repository, result, err);
	line.event = "forget-ended";
	line.state = rc < 0 ? "failed" : "complete";
	line.sha256 = rc == 0 ? result->entry : NULL;
	if (bkp_audit_append(audit, &line, rc == 0 ? err : NULL) < 0 && rc == 0)
		rc = bkp_fail_in(err, "the erasure was recorded, and");
	return rc;
}

int
bkp_subject_forget(const struct bkp_subject_forget_options *options,
    struct bkp_subject_forget_result *result, struct bkp_error *err)
{
	struct forgetting forgetting = FORGETTING_INIT;
	struct bkp_subject_forget_result made = {.entries = 0};
	struct bkp_repository *repository = NULL;
	struct bkp_audit *audit = NULL;
	int rc = -1;

	if (open_repository(options, &repository, err) == 0 &&
	    look(&forgetting, options, err) == 0 &&
	    bkp_audit_open(options->audit, &audit, err) == 0)
		rc =
		    record(&forgetting, options, repository, audit, &made, err);
	bkp_audit_close(audit);
	bkp_repository_close(repository);
	free_forgetting(&forgetting);
	if (rc == 0)
		*result = made;
	return rc;
}
