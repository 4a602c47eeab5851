/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects on their way from a snapshot into a bucket: each is compared with
 * what is there, put where it is another, and what the server does not take is
 * named.
 */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/source/bucket_put.h"
#include "libbackup/source/bucket_target.h"

/* So many refusals without a single object that is taken are no chance. */
#define REFUSED_MAX 50

/* Entries for each connection that are read and not yet done with. */
#define UNDER_WAY 16

/* An entry on its way into the bucket. */
struct item {
	struct fmt_entry entry;
	const char *key;   /* borrowed; NULL: as its path says */
	bool has_object;   /* the bucket has one of this key */
	bool is_alike;     /* of the same bytes, by the listing */
	bool may_be_alike; /* of the same size, and the ETag tells nothing */
	bool is_there;     /* and in all else: nothing had to be sent */
	bool is_left_out;  /* and that was noted */
	bool is_refused;   /* by the server */
};

/* ---- objects ---- */

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct bkp_bucket_target *target = arg;
	struct item *item = bkp_alloc(sizeof(*item), err);
	const struct bkp_s3_object *object = NULL;
	int rc;

	*out = NULL;
	if (item == NULL)
		return -1;
	do
		rc = bkp_bucket_walk_next(
		    &target->walk, &item->entry, &object, err);
	while (rc == 1 && item->entry.path == NULL);
	if (rc <= 0) {
		free(item);
		return rc;
	}
	item->has_object = object != NULL;
	item->is_alike =
	    object != NULL && bkp_bucket_is_alike(&item->entry, object);
	item->may_be_alike =
	    object != NULL && bkp_bucket_may_be_alike(&item->entry, object);
	*out = item;
	return 0;
}

static void
discard(void *arg, void *item_pointer)
{
	struct item *item = item_pointer;

	(void)arg;
	fmt_entry_free(&item->entry);
	free(item);
}

static bool
is_refused(const struct bkp_bucket_target *target,
    struct bkp_s3_connection *connection, const struct bkp_error *why)
{
	return bkp_bucket_is_refused(
	    connection, target->bucket, target->config->prefix, why);
}

/* Whether the bucket has it already, as an earlier run left it: by the bytes
 * where the ETag of the original, which was encrypted, tells nothing of them.
 * What cannot be asked is not known to be. */
static int
look_there(struct bkp_bucket_target *target,
    struct bkp_s3_connection *connection, struct item *item,
    struct bkp_error *err)
{
	const struct fmt_entry *entry = &item->entry;
	const char *key = bkp_bucket_key_of(target->supply, entry);
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = 0;

	if (!item->is_alike && item->may_be_alike)
		rc = bkp_bucket_has_bytes(connection, target->bucket, key, NULL,
		    entry, &item->is_alike, &why);
	if (rc == 0 && item->is_alike)
		rc = bkp_bucket_is_same(connection, target->bucket, key, NULL,
		    entry->attrs, false, &item->is_there, &why);
	if (rc == 0 || why.code == BKP_NOTFOUND ||
	    is_refused(target, connection, &why))
		return 0;
	if (err != NULL)
		*err = why;
	return -1;
}

/* A lock that was asked for and that the bucket has not is named. */
static int
note_lock(struct bkp_bucket_target *target, const struct fmt_entry *entry,
    struct bkp_error *err)
{
	struct bkp_s3_lock lock;

	if (!target->options.is_locking || target->can_lock ||
	    !bkp_bucket_attrs_lock(entry->attrs, &lock))
		return 0;
	return bkp_run_omit(bkp_supply_run(target->supply), err, entry->path,
	    "its retention or legal hold is not set, all else of it is back: "
	    "bucket %s has no object lock",
	    target->bucket);
}

/* What an earlier run put without its lock gets it now. */
static int
lock_there(struct bkp_bucket_target *target,
    struct bkp_s3_connection *connection, const char *key,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_s3_lock lock;

	if (!target->can_lock || !bkp_bucket_attrs_lock(entry->attrs, &lock))
		return note_lock(target, entry, err);
	if (bkp_bucket_lock_again(
		connection, target->bucket, key, &lock, &why) == 0)
		return 0;
	if (why.code == BKP_CORRUPT || is_refused(target, connection, &why))
		return bkp_run_omit(bkp_supply_run(target->supply), err,
		    entry->path,
		    "its retention or legal hold is not set, all else of it "
		    "is there: %s",
		    why.message);
	if (err != NULL)
		*err = why;
	return -1;
}

/* What the target cannot hold or will not take is reported by name; the rest
 * goes on. */
static int
put(struct bkp_bucket_target *target, struct bkp_s3_connection *connection,
    struct item *item, struct bkp_error *err)
{
	const struct fmt_entry *entry = &item->entry;
	struct bkp_run *run = bkp_supply_run(target->supply);
	struct bkp_bucket_fault fault = {false, false, false, false};
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_bucket_put(connection, target->bucket,
		item->key != NULL ? item->key
				  : bkp_bucket_key_of(target->supply, entry),
		entry, target->can_lock, target->supply, &target->access.slots,
		&fault, &why) == 0) {
		if (fault.lacks_tags &&
		    bkp_run_omit(run, err, entry->path,
			"it is there without its tags: this server cannot "
			"hold any") < 0)
			return -1;
		return note_lock(target, entry, err);
	}
	if (fault.is_lost) {
		item->is_left_out = true;
		return bkp_supply_lose(
		    target->supply, err, &why, entry->path, "not restored");
	}
	if (!fault.is_ours &&
	    (why.code == BKP_UNSUPPORTED || fault.is_altered ||
		is_refused(target, connection, &why))) {
		item->is_left_out = item->is_refused = true;
		return bkp_run_omit(run, err, entry->path, "%s", why.message);
	}
	if (err != NULL)
		*err = why;
	return -1;
}

static int
work(void *arg, unsigned worker, void *item_pointer, struct bkp_error *err)
{
	struct bkp_bucket_target *target = arg;
	struct bkp_s3_connection *connection =
	    target->access.connections[worker];
	struct bkp_run *run = bkp_supply_run(target->supply);
	struct item *item = item_pointer;
	int rc = look_there(target, connection, item, err);

	if (rc == 0 && !item->is_there && item->has_object &&
	    !target->options.is_overwrite) {
		item->is_left_out = true;
		rc = bkp_run_omit(run, err, item->entry.path,
		    "exists already, with other %s; --overwrite replaces it",
		    item->is_alike ? "headers, metadata or tags" : "bytes");
	} else if (rc == 0 && !item->is_there) {
		rc = put(target, connection, item, err);
	} else if (rc == 0 && target->options.is_locking) {
		rc = lock_there(target, connection,
		    bkp_bucket_key_of(target->supply, &item->entry),
		    &item->entry, err);
	}
	if (rc == 0)
		bkp_run_count(run, item->entry.size, 1);
	return rc;
}

/* Keeps the path of what is not in the bucket, which moves. */
static int
leave_out(struct bkp_bucket_target *target, char **path, struct bkp_error *err)
{
	if (bkp_grow(&target->left_out, target->left_count, &target->left_cap,
		sizeof(*target->left_out), err) < 0)
		return -1;
	target->left_out[target->left_count++] = *path;
	*path = NULL;
	return 0;
}

static int
check_refused(const struct bkp_bucket_target *target, struct bkp_error *err)
{
	if (target->refused < REFUSED_MAX || target->put + target->there > 0)
		return 0;
	return bkp_fail(err, BKP_AUTH,
	    "s3://%s took none of the first %zu objects; each is named above "
	    "with the reason",
	    target->bucket, (size_t)target->refused);
}

static int
done(void *arg, void *item_pointer, struct bkp_error *err)
{
	struct bkp_bucket_target *target = arg;
	struct item *item = item_pointer;
	int rc = 0;

	if (item->is_left_out) {
		target->refused += item->is_refused;
		rc = leave_out(target, &item->entry.path, err);
		if (rc == 0)
			rc = check_refused(target, err);
	} else {
		target->put += !item->is_there;
		target->there += item->is_there;
		bkp_supply_restored(target->supply, 1);
	}
	discard(arg, item);
	return rc;
}

static void
tick(void *arg)
{
	struct bkp_bucket_target *target = arg;

	bkp_run_tick(bkp_supply_run(target->supply));
}

static const struct bkp_pipeline_ops pipeline = {
    .next = next, .work = work, .done = done, .discard = discard, .tick = tick};

int
bkp_bucket_target_put(
    struct bkp_bucket_target *target, bool existed, struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(target->supply);
	unsigned count = target->access.count;

	if (target->lineage == BKP_BUCKET_LINEAGE_REFUSED &&
	    bkp_bucket_lineage_refuse(target->supply, target->bucket, err) < 0)
		return -1;
	if (bkp_bucket_walk_open(&target->walk,
		existed ? target->access.own : NULL, target->bucket,
		target->supply, err) < 0)
		return -1;
	target->walk.is_telling = true;
	return bkp_pipeline_run(count, count * UNDER_WAY, &pipeline, target,
	    bkp_run_cancel(run), err);
}

/* ---- every version ---- */

static int
put_version(void *arg, unsigned thread, const char *key,
    const struct fmt_entry *entry, bool *is_left_out, bool *is_refused,
    struct bkp_error *err)
{
	struct bkp_bucket_target *target = arg;
	struct item item = {.entry = *entry, .key = key};
	int rc = put(target, target->access.connections[thread], &item, err);

	*is_left_out = item.is_left_out;
	*is_refused = item.is_refused;
	return rc;
}

/* Only the current version of a key is looked at. */
static int
lock_version(void *arg, unsigned thread, const char *key,
    const struct fmt_entry *entry, bool is_newest, struct bkp_error *err)
{
	struct bkp_bucket_target *target = arg;
	struct bkp_s3_lock lock;

	if (!target->options.is_locking)
		return 0;
	if (is_newest || !target->can_lock)
		return lock_there(target, target->access.connections[thread],
		    key, entry, err);
	if (!bkp_bucket_attrs_lock(entry->attrs, &lock))
		return 0;
	return bkp_run_omit(bkp_supply_run(target->supply), err, entry->path,
	    "it was there already, beneath others, and whether it has its "
	    "retention or legal hold was not looked at: restore into a bucket "
	    "that is not there yet, or set it");
}

static int
versions_done(
    void *arg, const struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	struct bkp_bucket_target *target = arg;
	char *path;
	int rc;

	target->put += lineage->put;
	target->there += lineage->there;
	target->refused += lineage->refused;
	bkp_supply_restored(target->supply, lineage->put + lineage->there);
	if (lineage->left_out == 0)
		return 0;
	path = bkp_format(
	    err, "%s/%s", bkp_supply_prefix(target->supply), lineage->key);
	if (path == NULL)
		return -1;
	rc = leave_out(target, &path, err);
	free(path);
	return rc == 0 ? check_refused(target, err) : -1;
}

static struct bkp_bucket_lineage_place
place_of(struct bkp_bucket_target *target, struct bkp_supply *supply)
{
	return (struct bkp_bucket_lineage_place){.supply = supply,
	    .own = target->access.own,
	    .connections = target->access.connections,
	    .threads = target->access.count,
	    .bucket = target->bucket,
	    .prefix = target->config->prefix,
	    .exists = target->exists,
	    .is_overwrite = target->options.is_overwrite,
	    .put = put_version,
	    .lock = lock_version,
	    .done = versions_done,
	    .arg = target};
}

int
bkp_bucket_target_put_versions(
    struct bkp_bucket_target *target, bool existed, struct bkp_error *err)
{
	struct bkp_bucket_lineage_place place =
	    place_of(target, target->supply);

	place.exists = existed;
	if (!existed && bkp_s3_set_versioning(target->access.own,
			    target->bucket, BKP_S3_VERSIONING_ON, err) < 0)
		return -1;
	return bkp_bucket_lineage_restore(&place, err);
}
