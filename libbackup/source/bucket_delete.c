/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_delete.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_walk.h"

#define BATCH 1000

struct deletion {
	struct bkp_s3_connection *connection;
	const char *bucket, *prefix;
	struct bkp_supply *supply;
	char **keys; /* BATCH of them; those that are there are owned */
	size_t count;
	uint64_t deleted;
};

/* "" where the whole bucket was backed up; NULL: older snapshots do not tell,
 * and what the configuration says today need not have been so then. */
static const char *
prefix_of(const struct bkp_supply *supply)
{
	return json_string_value(
	    json_object_get(bkp_supply_info(supply), "prefix"));
}

/* A key that the snapshot would have if it had been there. */
static int
is_meant(const struct deletion *deletion, const char *key, bool *out,
    struct bkp_error *err)
{
	char *path;

	*out = false;
	if (strncmp(key, deletion->prefix, strlen(deletion->prefix)) != 0)
		return 0;
	path =
	    bkp_format(err, "%s/%s", bkp_supply_prefix(deletion->supply), key);
	if (path == NULL)
		return -1;
	*out = bkp_supply_is_selected(deletion->supply, path);
	free(path);
	return 0;
}

static void
drop_batch(struct deletion *deletion)
{
	while (deletion->count > 0)
		free(deletion->keys[--deletion->count]);
}

/* One that the server keeps does not keep the others. */
static int
delete_one(struct deletion *deletion, const char *key, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	char *path;
	int rc;

	if (bkp_s3_delete(deletion->connection, deletion->bucket, key, &why) ==
	    0) {
		deletion->deleted++;
		return 0;
	}
	if (!bkp_bucket_is_refused(deletion->connection, deletion->bucket,
		deletion->prefix, &why)) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	path =
	    bkp_format(err, "%s/%s", bkp_supply_prefix(deletion->supply), key);
	if (path == NULL)
		return -1;
	rc = bkp_run_omit(bkp_supply_run(deletion->supply), err, path,
	    "not deleted: %s", why.message);
	free(path);
	return rc;
}

/* The list is looked at once more, for objects stand in the place of those
 * parts of it that cannot be read any more. */
static int
delete_batch(struct deletion *deletion, struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(deletion->supply);
	int rc = bkp_run_check(run, err);

	if (!bkp_supply_has_whole_list(deletion->supply))
		drop_batch(deletion);
	if (rc == 0 && deletion->count > 0 &&
	    bkp_s3_delete_many(deletion->connection, deletion->bucket,
		deletion->keys, deletion->count, NULL) == 0) {
		deletion->deleted += deletion->count;
		drop_batch(deletion);
	}
	for (size_t i = 0; rc == 0 && i < deletion->count; i++)
		rc = delete_one(deletion, deletion->keys[i], err);
	drop_batch(deletion);
	bkp_run_tick(run);
	return rc;
}

static int
take(struct deletion *deletion, const char *key, struct bkp_error *err)
{
	bool is_other;

	if (is_meant(deletion, key, &is_other, err) < 0)
		return -1;
	if (!is_other)
		return 0;
	if ((deletion->keys[deletion->count] = bkp_strdup(key, err)) == NULL)
		return -1;
	if (++deletion->count < BATCH)
		return 0;
	return delete_batch(deletion, err);
}

static int
walk(struct deletion *deletion, struct bkp_error *err)
{
	struct bkp_bucket_walk walk = BKP_BUCKET_WALK_INIT;
	const struct bkp_s3_object *object;
	struct fmt_entry entry;
	int rc = bkp_bucket_walk_open(&walk, deletion->connection,
	    deletion->bucket, deletion->supply, err);

	while (rc == 0 &&
	       (rc = bkp_bucket_walk_next(&walk, &entry, &object, err)) == 1) {
		rc = 0;
		if (entry.path == NULL && object != NULL)
			rc = take(deletion, object->key, err);
		fmt_entry_free(&entry);
		if (rc == 0 && bkp_bucket_walk_is_past_objects(&walk))
			break;
	}
	bkp_bucket_walk_close(&walk);
	return rc == 0 ? delete_batch(deletion, err) : -1;
}

/* Whether the snapshot has any object among those that were chosen. */
static int
has_any(struct bkp_supply *supply, bool *out, struct bkp_error *err)
{
	struct bkp_bucket_walk walk = BKP_BUCKET_WALK_INIT;
	const struct bkp_s3_object *object;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int rc = bkp_bucket_walk_open(&walk, NULL, NULL, supply, err);

	if (rc == 0)
		rc = bkp_bucket_walk_next(&walk, &entry, &object, err);
	*out = rc == 1;
	fmt_entry_free(&entry);
	bkp_bucket_walk_close(&walk);
	return rc < 0 ? -1 : 0;
}

/* Why nothing can be deleted, or NULL. */
static const char *
reason_of(const struct deletion *deletion, bool has_objects)
{
	if (!has_objects)
		return "has no object there, and an empty list is no reason to "
		       "delete everything";
	if (!bkp_supply_has_whole_list(deletion->supply))
		return "does not tell all objects any more";
	if (deletion->prefix == NULL)
		return "does not tell whether the whole bucket was backed up "
		       "or a prefix of it";
	return NULL;
}

int
bkp_bucket_delete_others(struct bkp_s3_connection *connection,
    const char *bucket, struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(supply);
	struct deletion deletion = {.connection = connection,
	    .bucket = bucket,
	    .prefix = prefix_of(supply),
	    .supply = supply};
	const char *reason;
	bool has_objects;
	int rc;

	if (has_any(supply, &has_objects, err) < 0)
		return -1;
	if ((reason = reason_of(&deletion, has_objects)) != NULL)
		return bkp_run_omit(run, err, bkp_supply_prefix(supply),
		    "nothing was deleted from s3://%s: the snapshot %s", bucket,
		    reason);
	deletion.keys = bkp_alloc_array(BATCH, sizeof(*deletion.keys), err);
	if (deletion.keys == NULL)
		return -1;
	rc = walk(&deletion, err);
	drop_batch(&deletion);
	free(deletion.keys);
	if (rc == 0)
		bkp_run_message(run, BKP_INFO, bkp_supply_prefix(supply),
		    "%llu objects that the snapshot has not were deleted",
		    (unsigned long long)deletion.deleted);
	return rc;
}
