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

	if (bkp_s3_list_open(
		target->access.own, target->bucket, NULL, &listing, err) < 0 ||
	    bkp_supply_entries(supply, NULL, &entries, err) < 0)
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
		goto fail;
	target->exists =
	    bkp_s3_head_bucket(target->access.own, target->bucket, &why) == 0;
	if (!target->exists && why.code != BKP_NOTFOUND) {
		if (err != NULL)
			*err = why;
		goto fail;
	}
	if (!target->exists || target->options.is_scratch)
		return 0;
	if (check_writable(target, err) < 0 ||
	    (!target->options.is_overwrite &&
		check_free(target, supply, err) < 0))
		goto fail;
	return 0;
fail:
	return bkp_fail_in(err, "%s", bkp_supply_prefix(supply));
}

/* ---- run ---- */

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct bucket_target *target = arg;
	struct fmt_entry *entry = bkp_alloc(sizeof(*entry), err);
	int rc;

	*out = NULL;
	if (entry == NULL)
		return -1;
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	rc = next_entry(target->supply, target->entries, entry, err);
	if (rc == 1)
		*out = entry;
	else
		free(entry);
	return rc < 0 ? -1 : 0;
}

static void
discard(void *arg, void *entry)
{
	(void)arg;
	fmt_entry_free(entry);
	free(entry);
}

/* What the target cannot hold is reported by name; the rest goes on. */
static int
work(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct bucket_target *target = arg;
	const struct fmt_entry *entry = item;
	struct bkp_run *run = bkp_supply_run(target->supply);
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_bucket_put(target->access.connections[worker],
	    target->bucket, key_of(target->supply, entry), entry,
	    bkp_supply_reader(target->supply, worker), &why);

	if (rc < 0 && why.code == BKP_UNSUPPORTED)
		rc = bkp_run_omit(run, err, entry->path, "%s", why.message);
	else if (rc < 0 && err != NULL)
		*err = why;
	if (rc == 0)
		bkp_run_count(run, entry->size, 1);
	return rc;
}

static void
tick(void *arg)
{
	struct bucket_target *target = arg;

	bkp_run_tick(bkp_supply_run(target->supply));
}

static const struct bkp_pipeline_ops pipeline = {
    .next = next, .work = work, .discard = discard, .tick = tick};

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
	if (bkp_supply_entries(supply, NULL, &target->entries, err) < 0)
		goto out;
	rc = bkp_pipeline_run(
	    workers, workers * 16, &pipeline, target, bkp_run_cancel(run), err);
out:
	bkp_bucket_tell_clock(&target->access, run, bkp_supply_prefix(supply));
	if (rc < 0)
		(void)bkp_fail_in(err, "%s", bkp_supply_prefix(supply));
	return rc;
}

static void
close_target(struct bkp_target *base)
{
	struct bucket_target *target = (struct bucket_target *)base;

	if (target->entries != NULL)
		bkp_entry_stream_close(target->entries);
	bkp_bucket_access_close(&target->access);
	free(target);
}

static const struct bkp_target_ops target_ops = {
    .kind = "bucket",
    .check = check,
    .run = run_target,
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
