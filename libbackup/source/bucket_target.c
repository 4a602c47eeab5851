/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_delete.h"
#include "libbackup/source/bucket_lineage.h"
#include "libbackup/source/bucket_put.h"
#include "libbackup/source/bucket_remove.h"
#include "libbackup/source/bucket_walk.h"

/* So many refusals without a single object that is taken are no chance. */
#define REFUSED_MAX 50

/* Entries for each connection that are read and not yet done with. */
#define UNDER_WAY 16

struct bucket_target {
	struct bkp_target base;
	const struct bkp_bucket_config *config; /* borrowed */
	struct bkp_target_options options;      /* strings borrowed */
	const char *bucket; /* borrowed: where the objects go */
	struct bkp_bucket_access access;
	bool exists;   /* the bucket was there at check */
	bool can_lock; /* and has object lock, which was asked for */
	enum bkp_bucket_lineage_mode lineage; /* what becomes of versions */

	/* while it runs */
	struct bkp_supply *supply;
	struct bkp_bucket_walk walk;
	char **left_out; /* paths of what was not put, in order; owned */
	size_t left_count, left_cap;
	uint64_t put, there, refused; /* objects; there: already */
	uint64_t hidden;              /* that were put and are not listed */
	bool is_version_told;
};

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

/* ---- check ---- */

/* What an earlier run has put back is not in the way of this one. */
static int
find_clash(struct bucket_target *target, struct bkp_bucket_walk *walk,
    struct bkp_error *err)
{
	const struct bkp_s3_object *object;
	struct fmt_entry entry;
	int rc;

	while ((rc = bkp_bucket_walk_next(walk, &entry, &object, err)) == 1) {
		if (entry.path != NULL && object != NULL &&
		    !bkp_bucket_is_alike(&entry, object) &&
		    !bkp_bucket_may_be_alike(&entry, object))
			rc = bkp_fail(err, BKP_EXISTS,
			    "s3://%s/%s exists already; restore into another "
			    "bucket, or say that what exists may be replaced "
			    "(--overwrite)",
			    target->bucket, object->key);
		fmt_entry_free(&entry);
		if (rc < 0)
			return -1;
		if (bkp_bucket_walk_is_past_objects(walk))
			return 0;
	}
	return rc;
}

static int
check_free(struct bucket_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	struct bkp_bucket_walk walk = BKP_BUCKET_WALK_INIT;
	int rc;

	if (target->lineage == BKP_BUCKET_LINEAGE_ALL) {
		const struct bkp_bucket_lineage_place place = {.supply = supply,
		    .own = target->access.own,
		    .bucket = target->bucket};

		return bkp_bucket_lineage_check(&place, err);
	}
	rc = bkp_bucket_walk_open(
	    &walk, target->access.own, target->bucket, supply, err);
	bkp_bucket_walk_read_ahead(&walk);
	if (rc == 0)
		rc = find_clash(target, &walk, err);
	bkp_bucket_walk_close(&walk);
	return rc;
}

/* An upload that is begun and aborted leaves nothing, and tells whether these
 * credentials may write. */
static int
check_writable(struct bucket_target *target, struct bkp_error *err)
{
	const char *prefix = target->config->prefix;
	char *key = bkp_format(
	    err, "%slibbackup-write-check", prefix != NULL ? prefix : "");
	struct bkp_s3_upload *upload = NULL;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc;

	if (key == NULL)
		return -1;
	rc = bkp_s3_upload_begin(
	    target->access.own, target->bucket, key, NULL, &upload, &why);
	bkp_s3_upload_end(upload);
	free(key);
	if (rc == 0 || why.code == BKP_UNSUPPORTED)
		return 0;
	if (err != NULL)
		*err = why;
	return -1;
}

static int
check(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct bucket_target *target = (struct bucket_target *)base;
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_bucket_access_open(&target->access, target->config,
		bkp_supply_run(supply), err) < 0)
		return -1;
	target->exists = bkp_bucket_is_there(target->access.own, target->bucket,
			     target->config->prefix, &why) == 0;
	if (!target->exists && why.code != BKP_NOTFOUND) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	if (bkp_bucket_lineage_choose(supply, target->access.own,
		target->bucket, target->exists,
		target->options.is_every_version, &target->lineage, err) < 0)
		return -1;
	if (!target->exists || target->options.is_scratch)
		return 0;
	if (check_writable(target, err) < 0 ||
	    (!target->options.is_overwrite &&
		check_free(target, supply, err) < 0))
		return -1;
	return 0;
}

/* ---- run ---- */

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct bucket_target *target = arg;
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
is_refused(const struct bucket_target *target,
    struct bkp_s3_connection *connection, const struct bkp_error *why)
{
	return bkp_bucket_is_refused(
	    connection, target->bucket, target->config->prefix, why);
}

/* Whether the bucket has it already, as an earlier run left it: by the bytes
 * where the ETag of the original, which was encrypted, tells nothing of them.
 * What cannot be asked is not known to be. */
static int
look_there(struct bucket_target *target, struct bkp_s3_connection *connection,
    struct item *item, struct bkp_error *err)
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
note_lock(struct bucket_target *target, const struct fmt_entry *entry,
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
lock_there(struct bucket_target *target, struct bkp_s3_connection *connection,
    const char *key, const struct fmt_entry *entry, struct bkp_error *err)
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
put(struct bucket_target *target, struct bkp_s3_connection *connection,
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
	struct bucket_target *target = arg;
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
leave_out(struct bucket_target *target, char **path, struct bkp_error *err)
{
	if (bkp_grow(&target->left_out, target->left_count, &target->left_cap,
		sizeof(*target->left_out), err) < 0)
		return -1;
	target->left_out[target->left_count++] = *path;
	*path = NULL;
	return 0;
}

static int
check_refused(const struct bucket_target *target, struct bkp_error *err)
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
	struct bucket_target *target = arg;
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
	struct bucket_target *target = arg;

	bkp_run_tick(bkp_supply_run(target->supply));
}

static const struct bkp_pipeline_ops pipeline = {
    .next = next, .work = work, .done = done, .discard = discard, .tick = tick};

/* ---- every version ---- */

static int
put_version(void *arg, unsigned thread, const char *key,
    const struct fmt_entry *entry, bool *is_left_out, bool *is_refused,
    struct bkp_error *err)
{
	struct bucket_target *target = arg;
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
	struct bucket_target *target = arg;
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
	struct bucket_target *target = arg;
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
place_of(struct bucket_target *target, struct bkp_supply *supply)
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

/* ---- what is there afterwards ---- */

static bool
is_left_out(struct bucket_target *target, size_t *at, const char *path)
{
	while (*at < target->left_count &&
	       fmt_entry_compare(target->left_out[*at], path) < 0)
		(*at)++;
	return *at < target->left_count &&
	       strcmp(target->left_out[*at], path) == 0;
}

/* Compares an entry with the object of its key. */
static int
compare_listed(struct bucket_target *target, const struct fmt_entry *entry,
    const struct bkp_s3_object *object, struct bkp_error *err)
{
	const char *key = bkp_bucket_key_of(target->supply, entry);

	target->hidden += object == NULL;
	if (object == NULL)
		return bkp_run_omit(bkp_supply_run(target->supply), err,
		    entry->path,
		    "the server took it but does not list it, so nobody will "
		    "find it: its name clashes with another object's on this "
		    "server");
	if (object->size != entry->size)
		return bkp_fail(err, BKP_CORRUPT,
		    "s3://%s/%s has %llu bytes on the server instead of %llu",
		    target->bucket, key, (unsigned long long)object->size,
		    (unsigned long long)entry->size);
	return 0;
}

static int
walk_both(struct bucket_target *target, struct bkp_bucket_walk *walk,
    struct bkp_error *err)
{
	const struct bkp_s3_object *object;
	struct fmt_entry entry;
	size_t at = 0;
	int rc;

	while ((rc = bkp_bucket_walk_next(walk, &entry, &object, err)) == 1) {
		rc = 0;
		if (entry.path != NULL && !is_left_out(target, &at, entry.path))
			rc = compare_listed(target, &entry, object, err);
		fmt_entry_free(&entry);
		if (rc < 0)
			return -1;
	}
	return rc;
}

/* MinIO takes "a/b" beside "a" and then hides it: only a listing tells. */
static int
compare_all(struct bucket_target *target, struct bkp_error *err)
{
	struct bkp_bucket_walk walk = BKP_BUCKET_WALK_INIT;
	int rc = bkp_bucket_walk_open(
	    &walk, target->access.own, target->bucket, target->supply, err);

	bkp_bucket_walk_read_ahead(&walk);
	if (rc == 0)
		rc = walk_both(target, &walk, err);
	bkp_bucket_walk_close(&walk);
	return rc;
}

static int
look_at_lock(struct bucket_target *target, struct bkp_error *err)
{
	struct bkp_s3_lock_rule rule = {.is_enabled = false};

	if (bkp_s3_get_lock_rule(
		target->access.own, target->bucket, &rule, err) < 0)
		return -1;
	target->can_lock = rule.is_enabled;
	return 0;
}

static int
put_objects(struct bucket_target *target, bool existed, struct bkp_error *err)
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

static int
put_versions(struct bucket_target *target, bool existed, struct bkp_error *err)
{
	struct bkp_bucket_lineage_place place =
	    place_of(target, target->supply);

	place.exists = existed;
	if (!existed && bkp_s3_set_versioning(target->access.own,
			    target->bucket, BKP_S3_VERSIONING_ON, err) < 0)
		return -1;
	return bkp_bucket_lineage_restore(&place, err);
}

static int
put_all(struct bucket_target *target, struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(target->supply);
	bool existed = target->exists;

	if (!existed &&
	    bkp_s3_create_bucket(target->access.own, target->bucket, err) < 0)
		return -1;
	target->exists = true;
	if (target->options.is_locking && look_at_lock(target, err) < 0)
		return -1;
	if ((target->lineage == BKP_BUCKET_LINEAGE_ALL
		    ? put_versions(target, existed, err)
		    : put_objects(target, existed, err)) < 0)
		return -1;
	if (target->there > 0)
		bkp_run_message(run, BKP_INFO,
		    bkp_supply_prefix(target->supply),
		    "%llu of %llu objects were there already, as they were",
		    (unsigned long long)target->there,
		    (unsigned long long)(target->there + target->put +
					 target->left_count));
	return 0;
}

/* What there is now may be the only copy of what did not come back. */
static int
delete_others(struct bucket_target *target, struct bkp_error *err)
{
	struct bkp_supply *supply = target->supply;

	if (target->left_count == 0 && target->hidden == 0 &&
	    bkp_supply_lost(supply) == 0)
		return bkp_bucket_delete_others(
		    target->access.own, target->bucket, supply, err);
	return bkp_run_omit(bkp_supply_run(supply), err,
	    bkp_supply_prefix(supply),
	    "nothing was deleted from s3://%s: not everything that the "
	    "snapshot has is back; what is not is named above",
	    target->bucket);
}

static int
run_target(
    struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct bucket_target *target = (struct bucket_target *)base;
	int rc;

	target->supply = supply;
	rc = put_all(target, err);
	if (rc == 0)
		rc = compare_all(target, err);
	if (rc == 0 && target->options.is_delete)
		rc = delete_others(target, err);
	bkp_bucket_tell_clock(
	    &target->access, bkp_supply_run(supply), bkp_supply_prefix(supply));
	return rc;
}

/* ---- taking back ---- */

static int
remove_objects(struct bkp_target *base, struct bkp_supply *supply,
    const char *name, bool is_prefix, uint64_t *removed, struct bkp_error *err)
{
	struct bucket_target *target = (struct bucket_target *)base;
	const struct bkp_bucket_removal removal = {
	    .connection = target->access.own,
	    .bucket = target->bucket,
	    .supply = supply,
	    .has_versions = target->lineage == BKP_BUCKET_LINEAGE_ALL,
	    .is_version_told = &target->is_version_told};

	return bkp_bucket_remove(&removal, name, is_prefix, removed, err);
}

static void
close_target(struct bkp_target *base)
{
	struct bucket_target *target = (struct bucket_target *)base;

	bkp_bucket_walk_close(&target->walk);
	for (size_t i = 0; i < target->left_count; i++)
		free(target->left_out[i]);
	free(target->left_out);
	bkp_bucket_access_close(&target->access);
	free(target);
}

static const struct bkp_target_ops target_ops = {
    .kind = "bucket",
    .check = check,
    .run = run_target,
    .remove = remove_objects,
    .close = close_target,
};

int
bkp_bucket_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err)
{
	const char *bucket =
	    options->to != NULL ? options->to : config->bucket.bucket;
	struct bucket_target *target;

	if (bucket == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s: the configuration names no bucket to restore into",
		    config->prefix);
	if ((target = bkp_alloc(sizeof(*target), err)) == NULL)
		return -1;
	target->base.ops = &target_ops;
	target->config = &config->bucket;
	target->options = *options;
	target->bucket = bucket;
	target->walk = (struct bkp_bucket_walk)BKP_BUCKET_WALK_INIT;
	*out = &target->base;
	return 0;
}
