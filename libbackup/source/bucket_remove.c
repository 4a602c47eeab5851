/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_remove.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_walk.h"

#define BATCH 1000

/* ---- for good ---- */

struct removing {
	struct bkp_s3_connection *connection;
	const char *bucket;
	struct bkp_s3_doomed doomed[BATCH]; /* their texts are owned */
	char *texts[2 * BATCH];
	size_t count;
};

static int
remove_batch(struct removing *removing, struct bkp_error *err)
{
	int rc = 0;

	if (removing->count > 0)
		rc = bkp_s3_delete_versions(removing->connection,
		    removing->bucket, removing->doomed, removing->count, NULL,
		    NULL, err);
	for (size_t i = 0; i < 2 * removing->count; i++)
		free(removing->texts[i]);
	removing->count = 0;
	return rc;
}

static int
remove_version(struct removing *removing, const struct bkp_s3_version *version,
    struct bkp_error *err)
{
	char *key = bkp_strdup(version->key, err);
	char *id = bkp_strdup(version->version_id, err);
	size_t n = removing->count;

	if (key == NULL || id == NULL) {
		free(key);
		free(id);
		return -1;
	}
	removing->texts[2 * n] = key;
	removing->texts[2 * n + 1] = id;
	removing->doomed[n].key = key;
	removing->doomed[n].version_id = id;
	removing->count++;
	return removing->count == BATCH ? remove_batch(removing, err) : 0;
}

int
bkp_bucket_remove_versions(struct bkp_s3_connection *connection,
    const char *bucket, const char *name, bool is_prefix, uint64_t *removed,
    struct bkp_error *err)
{
	struct removing *removing = bkp_alloc(sizeof(*removing), err);
	struct bkp_s3_versions *versions = NULL;
	struct bkp_s3_version version;
	int rc = -1;

	if (removing == NULL)
		return -1;
	removing->connection = connection;
	removing->bucket = bucket;
	if (bkp_s3_versions_open(connection, bucket, name, &versions, err) < 0)
		goto out;
	while ((rc = bkp_s3_versions_next(versions, &version, err)) == 1) {
		/* Those that begin with it come behind. */
		if (!is_prefix && strcmp(version.key, name) != 0) {
			rc = 0;
			break;
		}
		*removed += version.is_latest;
		if (remove_version(removing, &version, err) < 0) {
			rc = -1;
			break;
		}
	}
	if (rc == 0)
		rc = remove_batch(removing, err);
out:
	for (size_t i = 0; i < 2 * removing->count; i++)
		free(removing->texts[i]);
	bkp_s3_versions_close(versions);
	free(removing);
	return rc;
}

/* ---- what a restore has put ---- */

/* A bucket that keeps versions keeps what is deleted. */
static int
tell_versions(const struct bkp_bucket_removal *removal, struct bkp_error *err)
{
	enum bkp_s3_versioning versioning = BKP_S3_VERSIONING_UNKNOWN;
	struct bkp_supply *supply = removal->supply;

	if (*removal->is_version_told)
		return 0;
	*removal->is_version_told = true;
	if (bkp_s3_get_versioning(
		removal->connection, removal->bucket, &versioning, err) < 0)
		return -1;
	if (versioning != BKP_S3_VERSIONING_ON)
		return 0;
	return bkp_run_omit(bkp_supply_run(supply), err,
	    bkp_supply_prefix(supply),
	    "bucket %s keeps versions, and so those of objects that were "
	    "deleted again: remove their versions, or restore into a bucket "
	    "that keeps none",
	    removal->bucket);
}

/* Deletes the objects of those entries that were chosen. */
static int
remove_chosen(const struct bkp_bucket_removal *removal, const char *path,
    bool is_prefix, uint64_t *removed, struct bkp_error *err)
{
	struct bkp_supply *supply = removal->supply;
	struct bkp_entry_stream *entries = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	bool is_done = false;
	int rc = 0;

	if (bkp_supply_entries(supply, path, &entries, err) < 0)
		return -1;
	while (!is_done &&
	       (rc = bkp_entry_stream_next(entries, &entry, err)) == 1) {
		const char *key = bkp_bucket_key_of(supply, &entry);
		bool is_meant = key != NULL &&
				bkp_supply_is_selected(supply, entry.path) &&
				(is_prefix || strcmp(entry.path, path) == 0);

		rc = 0;
		if (is_meant)
			rc = bkp_s3_delete(
			    removal->connection, removal->bucket, key, err);
		fmt_entry_free(&entry);
		if (rc < 0)
			break;
		*removed += is_meant;
		is_done = is_meant && !is_prefix;
	}
	bkp_entry_stream_close(entries);
	return rc;
}

int
bkp_bucket_remove(const struct bkp_bucket_removal *removal, const char *name,
    bool is_prefix, uint64_t *removed, struct bkp_error *err)
{
	char *path;
	int rc;

	if (removal->has_versions)
		return bkp_bucket_remove_versions(removal->connection,
		    removal->bucket, name, is_prefix, removed, err);
	path =
	    bkp_format(err, "%s/%s", bkp_supply_prefix(removal->supply), name);
	if (path == NULL)
		return -1;
	rc = remove_chosen(removal, path, is_prefix, removed, err);
	if (rc == 0 && *removed > 0)
		rc = tell_versions(removal, err);
	free(path);
	return rc;
}
