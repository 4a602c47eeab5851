/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_delete.h"
#include "libbackup/source/bucket_remove.h"
#include "libbackup/source/bucket_target.h"

/* ---- check ---- */

/* What an earlier run has put back is not in the way of this one. */
static int
find_clash(struct bkp_bucket_target *target, struct bkp_bucket_walk *walk,
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
check_free(struct bkp_bucket_target *target, struct bkp_supply *supply,
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
check_writable(struct bkp_bucket_target *target, struct bkp_error *err)
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
	struct bkp_bucket_target *target = (struct bkp_bucket_target *)base;
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

/* ---- what is there afterwards ---- */

static bool
is_left_out(struct bkp_bucket_target *target, size_t *at, const char *path)
{
	while (*at < target->left_count &&
	       fmt_entry_compare(target->left_out[*at], path) < 0)
		(*at)++;
	return *at < target->left_count &&
	       strcmp(target->left_out[*at], path) == 0;
}

/* Compares an entry with the object of its key. */
static int
compare_listed(struct bkp_bucket_target *target, const struct fmt_entry *entry,
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
walk_both(struct bkp_bucket_target *target, struct bkp_bucket_walk *walk,
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
compare_all(struct bkp_bucket_target *target, struct bkp_error *err)
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
look_at_lock(struct bkp_bucket_target *target, struct bkp_error *err)
{
	struct bkp_s3_lock_rule rule = {.is_enabled = false};

	if (bkp_s3_get_lock_rule(
		target->access.own, target->bucket, &rule, err) < 0)
		return -1;
	target->can_lock = rule.is_enabled;
	return 0;
}

static int
put_all(struct bkp_bucket_target *target, struct bkp_error *err)
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
		    ? bkp_bucket_target_put_versions(target, existed, err)
		    : bkp_bucket_target_put(target, existed, err)) < 0)
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
delete_others(struct bkp_bucket_target *target, struct bkp_error *err)
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
	struct bkp_bucket_target *target = (struct bkp_bucket_target *)base;
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
	struct bkp_bucket_target *target = (struct bkp_bucket_target *)base;
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
	struct bkp_bucket_target *target = (struct bkp_bucket_target *)base;

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
	struct bkp_bucket_target *target;

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
