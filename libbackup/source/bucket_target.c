/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_put.h"

struct bucket_target {
	struct bkp_target base;
	const struct bkp_bucket_config *config; /* borrowed */
	struct bkp_target_options options;      /* strings borrowed */
	const char *bucket; /* borrowed: where the objects go */
	struct bkp_bucket_access access;
	bool exists; /* the bucket was there at check */

	/* while it runs */
	struct bkp_supply *supply;
	struct bkp_entry_stream *entries;
	char **left_out; /* paths of what was not put, in order; owned */
	size_t left_count, left_cap;
	bool is_version_told;
};

/* An entry on its way into the bucket. */
struct item {
	struct fmt_entry entry;
	bool is_left_out; /* refused, or lost; and that was noted */
};

/* The key of an entry, or NULL for what is not an object of this supply. */
static const char *
key_of(struct bkp_supply *supply, const struct fmt_entry *entry)
{
	const char *prefix = bkp_supply_prefix(supply);
	size_t len = strlen(prefix);

	if (strcmp(entry->kind, BKP_BUCKET_OBJECT) != 0 ||
	    strncmp(entry->path, prefix, len) != 0 || entry->path[len] != '/' ||
	    entry->path[len + 1] == '\0')
		return NULL;
	return entry->path + len + 1;
}

/* What all selected keys begin with; NULL: nothing in common. */
static const char *
common_prefix(struct bkp_supply *supply)
{
	const char *selection = bkp_supply_selection(supply);
	size_t len = strlen(bkp_supply_prefix(supply));

	if (strlen(selection) <= len + 1)
		return NULL;
	return selection + len + 1;
}

/* The selected entries, and what the bucket has among them, side by side. */
static int
open_both(struct bucket_target *target, struct bkp_supply *supply,
    struct bkp_s3_listing **listing, struct bkp_entry_stream **entries,
    struct bkp_error *err)
{
	if (bkp_s3_list_open(target->access.own, target->bucket,
		common_prefix(supply), listing, err) < 0)
		return -1;
	return bkp_supply_entries(
	    supply, bkp_supply_selection(supply), entries, err);
}

/* The next entry to restore: 1, or 0 at the end. */
static int
next_entry(struct bkp_supply *supply, struct bkp_entry_stream *entries,
    struct fmt_entry *entry, struct bkp_error *err)
{
	int rc;

	while ((rc = bkp_entry_stream_next(entries, entry, err)) == 1) {
		if (key_of(supply, entry) != NULL &&
		    bkp_supply_is_selected(supply, entry->path))
			return 1;
		fmt_entry_free(entry);
	}
	return rc;
}

/* ---- check ---- */

/* Walks the bucket and the entries side by side, both in order of the keys. */
static int
find_clash(struct bucket_target *target, struct bkp_supply *supply,
    struct bkp_s3_listing *listing, struct bkp_entry_stream *entries,
    struct bkp_error *err)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_s3_object object;
	int have_object = bkp_s3_list_next(listing, &object, err);
	int have_entry =
	    have_object == 1 ? next_entry(supply, entries, &entry, err) : 0;
	int rc = have_object < 0 || have_entry < 0 ? -1 : 0;

	while (rc == 0 && have_object == 1 && have_entry == 1) {
		int order = strcmp(object.key, key_of(supply, &entry));

		if (order == 0) {
			rc = bkp_fail(err, BKP_EXISTS,
			    "s3://%s/%s exists already; restore into another "
			    "bucket, or say that what exists may be replaced "
			    "(--overwrite)",
			    target->bucket, object.key);
		} else if (order < 0) {
			have_object = bkp_s3_list_next(listing, &object, err);
		} else {
			fmt_entry_free(&entry);
			have_entry = next_entry(supply, entries, &entry, err);
		}
		if (have_object < 0 || have_entry < 0)
			rc = -1;
	}
	fmt_entry_free(&entry);
	return rc;
}

static int
check_free(struct bucket_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_entry_stream *entries = NULL;
	int rc = -1;

	if (open_both(target, supply, &listing, &entries, err) < 0)
		goto out;
	rc = find_clash(target, supply, listing, entries, err);
out:
	bkp_s3_list_close(listing);
	if (entries != NULL)
		bkp_entry_stream_close(entries);
	return rc;
}

/* An upload that is begun and aborted leaves nothing, and tells whether these
 * credentials may write. */
static int
check_writable(struct bucket_target *target, struct bkp_error *err)
{
	struct bkp_s3_upload *upload = NULL;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_s3_upload_begin(target->access.own, target->bucket,
	    "libbackup-write-check", NULL, &upload, &why);

	bkp_s3_upload_end(upload);
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
	target->exists =
	    bkp_s3_head_bucket(target->access.own, target->bucket, &why) == 0;
	if (!target->exists && why.code != BKP_NOTFOUND) {
		if (err != NULL)
			*err = why;
		return -1;
	}
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
	int rc;

	*out = NULL;
	if (item == NULL)
		return -1;
	item->entry = (struct fmt_entry)FMT_ENTRY_INIT;
	rc = next_entry(target->supply, target->entries, &item->entry, err);
	if (rc == 1)
		*out = item;
	else
		free(item);
	return rc < 0 ? -1 : 0;
}

static void
discard(void *arg, void *item_pointer)
{
	struct item *item = item_pointer;

	(void)arg;
	fmt_entry_free(&item->entry);
	free(item);
}

/* What the target cannot hold is reported by name; the rest goes on. */
static int
work(void *arg, unsigned worker, void *item_pointer, struct bkp_error *err)
{
	struct bucket_target *target = arg;
	struct item *item = item_pointer;
	const struct fmt_entry *entry = &item->entry;
	struct bkp_run *run = bkp_supply_run(target->supply);
	struct bkp_error why = BKP_ERROR_INIT;
	bool is_lost = false;
	int rc = bkp_bucket_put(target->access.connections[worker],
	    target->bucket, key_of(target->supply, entry), entry,
	    bkp_supply_reader(target->supply, worker), &is_lost, &why);

	item->is_left_out = rc < 0 && (is_lost || why.code == BKP_UNSUPPORTED);
	if (is_lost)
		rc = bkp_supply_lose(
		    target->supply, err, &why, entry->path, "not restored");
	else if (item->is_left_out)
		rc = bkp_run_omit(run, err, entry->path, "%s", why.message);
	else if (rc < 0 && err != NULL)
		*err = why;
	if (rc == 0)
		bkp_run_count(run, entry->size, 1);
	return rc;
}

static int
done(void *arg, void *item_pointer, struct bkp_error *err)
{
	struct bucket_target *target = arg;
	struct item *item = item_pointer;
	int rc = 0;

	if (!item->is_left_out) {
		bkp_supply_restored(target->supply, 1);
	} else {
		rc = bkp_grow(&target->left_out, target->left_count,
		    &target->left_cap, sizeof(*target->left_out), err);
		if (rc == 0) {
			target->left_out[target->left_count++] =
			    item->entry.path;
			item->entry.path = NULL;
		}
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

/* Compares an entry with the object at the listing's place, which is the
 * first that is not before it. */
static int
compare_listed(struct bucket_target *target, const struct fmt_entry *entry,
    const struct bkp_s3_object *object, struct bkp_error *err)
{
	const char *key = key_of(target->supply, entry);

	if (object == NULL || strcmp(object->key, key) != 0)
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
walk_both(struct bucket_target *target, struct bkp_s3_listing *listing,
    struct bkp_entry_stream *entries, struct bkp_error *err)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_s3_object object;
	size_t at = 0;
	int listed = bkp_s3_list_next(listing, &object, err), rc = 0;

	while (listed >= 0 &&
	       (rc = next_entry(target->supply, entries, &entry, err)) == 1) {
		const char *key = key_of(target->supply, &entry);

		while (listed == 1 && strcmp(object.key, key) < 0)
			listed = bkp_s3_list_next(listing, &object, err);
		rc = listed < 0 ? -1 : 0;
		if (rc == 0 && !is_left_out(target, &at, entry.path))
			rc = compare_listed(
			    target, &entry, listed == 1 ? &object : NULL, err);
		fmt_entry_free(&entry);
		if (rc < 0)
			return -1;
	}
	return listed < 0 ? -1 : rc;
}

/* MinIO takes "a/b" beside "a" and then hides it: only a listing tells. */
static int
compare_all(struct bucket_target *target, struct bkp_error *err)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_entry_stream *entries = NULL;
	int rc = open_both(target, target->supply, &listing, &entries, err);

	if (rc == 0)
		rc = walk_both(target, listing, entries, err);
	bkp_s3_list_close(listing);
	if (entries != NULL)
		bkp_entry_stream_close(entries);
	return rc;
}

static int
run_target(
    struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct bucket_target *target = (struct bucket_target *)base;
	struct bkp_run *run = bkp_supply_run(supply);
	unsigned workers = bkp_run_workers(run);
	int rc = -1;

	target->supply = supply;
	if (!target->exists &&
	    bkp_s3_create_bucket(target->access.own, target->bucket, err) < 0)
		goto out;
	target->exists = true;
	if (bkp_supply_entries(supply, bkp_supply_selection(supply),
		&target->entries, err) < 0)
		goto out;
	rc = bkp_pipeline_run(
	    workers, workers * 16, &pipeline, target, bkp_run_cancel(run), err);
	if (rc == 0)
		rc = compare_all(target, err);
out:
	bkp_bucket_tell_clock(&target->access, run, bkp_supply_prefix(supply));
	return rc;
}

/* ---- taking back ---- */

/* A bucket that keeps versions keeps what is deleted. */
static int
tell_versions(struct bucket_target *target, struct bkp_run *run,
    const char *prefix, struct bkp_error *err)
{
	enum bkp_s3_versioning versioning = BKP_S3_VERSIONING_UNKNOWN;

	if (target->is_version_told)
		return 0;
	target->is_version_told = true;
	if (bkp_s3_get_versioning(
		target->access.own, target->bucket, &versioning, err) < 0)
		return -1;
	if (versioning != BKP_S3_VERSIONING_ON)
		return 0;
	return bkp_run_omit(run, err, prefix,
	    "bucket %s keeps versions, and so those of objects that were "
	    "deleted again: remove their versions, or restore into a bucket "
	    "that keeps none",
	    target->bucket);
}

static int
remove_objects(struct bkp_target *base, struct bkp_supply *supply,
    const char *name, bool is_prefix, uint64_t *removed, struct bkp_error *err)
{
	struct bucket_target *target = (struct bucket_target *)base;
	struct bkp_run *run = bkp_supply_run(supply);
	const char *prefix = bkp_supply_prefix(supply);
	char *path = bkp_format(err, "%s/%s", prefix, name);
	struct bkp_entry_stream *entries = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int rc = -1;

	if (path == NULL || bkp_supply_entries(supply, path, &entries, err) < 0)
		goto out;
	while ((rc = next_entry(supply, entries, &entry, err)) == 1) {
		bool is_meant = is_prefix || strcmp(entry.path, path) == 0;

		if (is_meant)
			rc = bkp_s3_delete(target->access.own, target->bucket,
			    key_of(supply, &entry), err);
		fmt_entry_free(&entry);
		if (rc < 0)
			goto out;
		*removed += is_meant;
		if (!is_prefix) {
			rc = 0;
			break;
		}
	}
	if (rc == 0 && *removed > 0)
		rc = tell_versions(target, run, prefix, err);
out:
	if (entries != NULL)
		bkp_entry_stream_close(entries);
	free(path);
	return rc;
}

static void
close_target(struct bkp_target *base)
{
	struct bucket_target *target = (struct bucket_target *)base;

	if (target->entries != NULL)
		bkp_entry_stream_close(target->entries);
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
	*out = &target->base;
	return 0;
}
