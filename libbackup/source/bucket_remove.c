/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_remove.h"

#include <stdlib.h>
#include <string.h>

#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_walk.h"

#define BATCH 1000

/* ---- for good ---- */

struct removing {
	struct bkp_s3_connection *connection;
	const char *bucket;
	bkp_s3_kept_fn *kept;
	void *arg;                          /* of kept */
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
		    removing->bucket, removing->doomed, removing->count,
		    removing->kept, removing->arg, err);
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
    const char *bucket, const char *name, bool is_prefix, bkp_s3_kept_fn *kept,
    void *arg, uint64_t *removed, struct bkp_error *err)
{
	struct removing *removing = bkp_alloc(sizeof(*removing), err);
	struct bkp_s3_versions *versions = NULL;
	struct bkp_s3_version version;
	int rc = -1;

	if (removing == NULL)
		return -1;
	removing->connection = connection;
	removing->bucket = bucket;
	removing->kept = kept;
	removing->arg = arg;
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

/* ---- every version of it ---- */

struct kept {
	size_t count;
	struct bkp_error why; /* of the first */
};

static int
keep(void *arg, const char *key, const char *version_id,
    const struct bkp_error *why, struct bkp_error *err)
{
	struct kept *kept = arg;

	(void)key;
	(void)version_id;
	(void)err;
	if (kept->count++ == 0)
		kept->why = *why;
	return 0;
}

/* What the server keeps is hidden at least, and named. */
static int
hide(const struct bkp_bucket_removal *removal, const char *key,
    const struct kept *kept, struct bkp_error *err)
{
	struct bkp_supply *supply = removal->supply;
	char *path;
	int rc;

	if (bkp_s3_delete(removal->connection, removal->bucket, key, err) < 0)
		return -1;
	path = bkp_format(err, "%s/%s", bkp_supply_prefix(supply), key);
	if (path == NULL)
		return -1;
	rc = bkp_run_omit(bkp_supply_run(supply), err, path,
	    "belongs to somebody who was erased; the server keeps %zu of its "
	    "versions, beneath a delete marker: remove them once it lets you "
	    "(%s)",
	    kept->count, kept->why.message);
	free(path);
	return rc;
}

static int
remove_key(const struct bkp_bucket_removal *removal, const char *key,
    uint64_t *removed, struct bkp_error *err)
{
	struct kept kept = {.count = 0, .why = BKP_ERROR_INIT};

	if (bkp_bucket_remove_versions(removal->connection, removal->bucket,
		key, false, keep, &kept, removed, err) < 0)
		return -1;
	return kept.count > 0 ? hide(removal, key, &kept, err) : 0;
}

/* The key of a current or an older version, the caller's. *out NULL: it has
 * none. */
static int
key_of(const struct bkp_supply *supply, const struct fmt_entry *entry,
    char **out, struct bkp_error *err)
{
	const char *key = bkp_bucket_key_of(supply, entry);
	struct fmt_buf buf = FMT_BUF_INIT;
	enum fmt_status status;

	*out = NULL;
	if (key != NULL)
		return (*out = bkp_strdup(key, err)) != NULL ? 0 : -1;
	status = fmt_version_key(bkp_supply_prefix(supply), entry->path, &buf);
	if (status == FMT_OK && (key = fmt_buf_text(&buf)) != NULL)
		*out = bkp_strdup(key, err);
	else if (status != FMT_MALFORMED)
		(void)bkp_fail_nomem(err, "deleting versions");
	fmt_buf_free(&buf);
	return *out != NULL || status == FMT_MALFORMED ? 0 : -1;
}

static int
look_for_current(struct bkp_supply *supply, const char *key, bool *is_there,
    struct bkp_error *err)
{
	char *path = bkp_format(err, "%s/%s", bkp_supply_prefix(supply), key);
	struct bkp_entry_stream *entries = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int rc = -1;

	*is_there = false;
	if (path != NULL &&
	    bkp_supply_entries(supply, path, &entries, err) == 0 &&
	    (rc = bkp_entry_stream_next(entries, &entry, err)) == 1) {
		/* Those that begin with it come behind. */
		*is_there = strcmp(entry.path, path) == 0 &&
			    bkp_bucket_key_of(supply, &entry) != NULL;
		fmt_entry_free(&entry);
		rc = 0;
	}
	if (entries != NULL)
		bkp_entry_stream_close(entries);
	free(path);
	return rc;
}

/* Older versions go with the current one, and alone where there is none. */
static int
remove_older(const struct bkp_bucket_removal *removal, const char *key,
    uint64_t *removed, struct bkp_error *err)
{
	bool is_there = false;

	if (look_for_current(removal->supply, key, &is_there, err) < 0)
		return -1;
	return is_there ? 0 : remove_key(removal, key, removed, err);
}

/* Of the keys that entries below `path` have. What the bucket has beside them
 * is none of the snapshot's. */
static int
remove_listed(const struct bkp_bucket_removal *removal, const char *path,
    const char *name, bool is_prefix, bool is_older, uint64_t *removed,
    struct bkp_error *err)
{
	struct bkp_supply *supply = removal->supply;
	struct bkp_entry_stream *entries = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	char *last = NULL, *key = NULL;
	bool is_done = false;
	int rc = 0;

	if (bkp_supply_entries(supply, path, &entries, err) < 0)
		return -1;
	while (!is_done &&
	       (rc = bkp_entry_stream_next(entries, &entry, err)) == 1) {
		rc = key_of(supply, &entry, &key, err);
		fmt_entry_free(&entry);
		if (rc < 0)
			break;
		if (key == NULL || (!is_prefix && strcmp(key, name) != 0) ||
		    (last != NULL && strcmp(key, last) == 0)) {
			free(key);
			continue;
		}
		free(last);
		last = key;
		rc = is_older ? remove_older(removal, key, removed, err)
			      : remove_key(removal, key, removed, err);
		if (rc < 0)
			break;
		is_done = !is_prefix;
	}
	free(last);
	bkp_entry_stream_close(entries);
	return rc;
}

/* Of current ones, and of keys that had been deleted. */
static int
remove_all(const struct bkp_bucket_removal *removal, const char *path,
    const char *name, bool is_prefix, uint64_t *removed, struct bkp_error *err)
{
	struct fmt_buf group = FMT_BUF_INIT;
	int rc = -1;

	if (fmt_version_group(
		bkp_supply_prefix(removal->supply), name, &group) != FMT_OK ||
	    fmt_buf_text(&group) == NULL) {
		(void)bkp_fail_nomem(err, "deleting versions");
		goto out;
	}
	/* The two characters that end a key are not in keys that go on. */
	if (is_prefix)
		group.data[group.len - 2] = '\0';
	rc = remove_listed(removal, path, name, is_prefix, false, removed, err);
	if (rc == 0)
		rc = remove_listed(removal, (const char *)group.data, name,
		    is_prefix, true, removed, err);
out:
	fmt_buf_free(&group);
	return rc;
}

int
bkp_bucket_remove(const struct bkp_bucket_removal *removal, const char *name,
    bool is_prefix, uint64_t *removed, struct bkp_error *err)
{
	char *path;
	int rc;

	path =
	    bkp_format(err, "%s/%s", bkp_supply_prefix(removal->supply), name);
	if (path == NULL)
		return -1;
	if (removal->has_versions)
		rc = remove_all(removal, path, name, is_prefix, removed, err);
	else
		rc = remove_chosen(removal, path, is_prefix, removed, err);
	if (rc == 0 && *removed > 0 && !removal->has_versions)
		rc = tell_versions(removal, err);
	free(path);
	return rc;
}
