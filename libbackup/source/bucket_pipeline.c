/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of a bucket on their way from its listing to the snapshot: each
 * is compared with what the last one has of it, fetched where it is another,
 * and handed over.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/source/bucket_source.h"

/* Objects for each connection that are listed and not yet handed over: one that
 * is large holds up those that come behind it. */
#define UNDER_WAY 16

/* ---- the last snapshot ---- */

/* Moves on in the last snapshot to the first path that is not before `path`. */
static int
seek_previous(
    struct bkp_bucket_source *source, const char *path, struct bkp_error *err)
{
	while (source->has_previous &&
	       (source->candidate.path == NULL ||
		   fmt_entry_compare(source->candidate.path, path) < 0)) {
		int rc;

		if (source->candidate.path != NULL)
			source->passed++;
		fmt_entry_free(&source->candidate);
		rc = bkp_bucket_former_next(
		    source->previous, &source->candidate, err);
		if (rc < 0)
			return -1;
		source->has_previous = rc == 1;
	}
	return 0;
}

/* True where the object is still what the last snapshot holds. */
bool
bkp_bucket_source_is_unchanged(struct bkp_bucket_source *source,
    const struct bkp_bucket_item *item, const char *tags)
{
	const struct fmt_entry *before = &source->candidate;

	return before->path != NULL &&
	       strcmp(before->path, item->entry.path) == 0 &&
	       bkp_bucket_item_is(item, tags, before, source->sink);
}

/* ---- listed ---- */

int
bkp_bucket_source_item(struct bkp_bucket_source *source,
    const struct bkp_s3_object *object, const char *version_id,
    struct bkp_bucket_item **out, struct bkp_error *err)
{
	char *path = bkp_format(err, "%s/%s", source->base.prefix, object->key);
	struct bkp_bucket_item *item = NULL;
	int rc = -1;

	if (path != NULL)
		rc = bkp_bucket_item_new(
		    path, BKP_BUCKET_OBJECT, object, version_id, &item, err);
	if (rc == 0 && (rc = seek_previous(source, path, err)) < 0)
		bkp_bucket_item_free(item);
	free(path);
	if (rc == 0)
		*out = item;
	return rc;
}

/* Of the keys of a range, where it is one. A server may not know how to begin
 * behind a key. */
static int
next_listed(struct bkp_bucket_source *source, struct bkp_s3_object *object,
    struct bkp_error *err)
{
	int rc;

	do
		rc = bkp_s3_list_next(source->listing, object, err);
	while (rc == 1 && source->behind != NULL &&
	       strcmp(object->key, source->behind) <= 0);
	if (rc < 0)
		source->unlisted++;
	return rc;
}

/* The next object: of the listing, or that was current at the moment. */
static int
next_object(struct bkp_bucket_source *source, struct bkp_s3_object *object,
    const char **version_id, struct bkp_error *err)
{
	struct bkp_s3_version version;
	int rc;

	*version_id = NULL;
	if (source->past == NULL)
		return next_listed(source, object, err);
	if ((rc = bkp_bucket_past_next(source->past, &version, err)) != 1)
		return rc;
	*object = (struct bkp_s3_object){.key = version.key,
	    .size = version.size,
	    .etag = version.etag,
	    .last_modified = version.last_modified,
	    .storage_class = version.storage_class,
	    .tags = version.tags};
	*version_id = version.version_id;
	return 1;
}

/* Keeps the entry of a share, or of the last snapshot, where it is of the same
 * object. */
static int
look_before(struct bkp_bucket_source *source, struct bkp_bucket_item *item,
    const char *tags, struct bkp_error *err)
{
	if (source->shared != NULL) {
		int rc =
		    bkp_bucket_shared_find(source->shared, item, tags, err);

		if (rc < 0 || item->is_kept)
			return rc;
	}
	if (bkp_bucket_source_is_unchanged(source, item, tags))
		return bkp_bucket_item_keep(item, &source->candidate, err);
	if (source->history == NULL)
		return 0;
	return bkp_bucket_history_find(source->history, item, tags, err);
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct bkp_bucket_source *source = arg;
	struct bkp_bucket_item *item;
	struct bkp_s3_object object;
	const char *version_id;
	int rc = next_object(source, &object, &version_id, err);

	*out = NULL;
	if (rc <= 0)
		return rc;
	source->objects++;
	if ((source->listed != NULL &&
		(bkp_bucket_listed_add(source->listed, &object, err) < 0 ||
		    bkp_bucket_cuts_see(&source->cuts, object.key, err) < 0)) ||
	    bkp_bucket_source_item(source, &object, version_id, &item, err) < 0)
		return -1;
	if (look_before(source, item, object.tags, err) < 0) {
		bkp_bucket_item_free(item);
		return -1;
	}
	*out = item;
	return 0;
}

int
bkp_bucket_source_set_aside(
    void *arg, const struct bkp_s3_version *version, struct bkp_error *err)
{
	static const struct fmt_entry none = FMT_ENTRY_INIT;
	struct bkp_bucket_source *source = arg;
	char *path =
	    bkp_format(err, "%s/%s", source->base.prefix, version->key);
	bool is_its;
	int rc = -1;

	if (path == NULL || seek_previous(source, path, err) < 0)
		goto out;
	is_its = source->candidate.path != NULL &&
		 strcmp(source->candidate.path, path) == 0;
	rc = bkp_bucket_history_add(
	    source->history, version, is_its ? &source->candidate : &none, err);
out:
	free(path);
	return rc;
}

static int
next_older(void *arg, void **out, struct bkp_error *err)
{
	struct bkp_bucket_source *source = arg;
	struct bkp_bucket_item *item = NULL;

	*out = NULL;
	if (bkp_bucket_history_next(source->history, &item, err) < 0)
		return -1;
	*out = item;
	return 0;
}

/* ---- fetched, or kept ---- */

/* Tags can change without a trace in the listing. What cannot be asked is
 * fetched, and says why it cannot. */
static int
ask_again(struct bkp_bucket_source *source, unsigned worker,
    struct bkp_bucket_item *item, struct bkp_error *err)
{
	struct fmt_entry fresh = FMT_ENTRY_INIT;
	bool is_same = false;

	if (bkp_bucket_is_same(source->access.connections[worker],
		source->config->bucket, item->key, item->version_id,
		item->entry.attrs, true, &is_same, NULL) == 0 &&
	    is_same)
		return 0;
	if (fmt_entry_init(&fresh, item->entry.path, item->entry.kind) !=
	    FMT_OK)
		return bkp_fail_nomem(err, "listing a bucket");
	fmt_entry_free(&item->entry);
	item->entry = fresh;
	item->is_kept = false;
	return 0;
}

static bool
needs_work(void *arg, const void *item_pointer)
{
	const struct bkp_bucket_source *source = arg;
	const struct bkp_bucket_item *item = item_pointer;

	return !item->is_kept || (source->config->asks_each &&
				     !item->is_marker && !item->is_shared);
}

static int
work(void *arg, unsigned worker, void *item_pointer, struct bkp_error *err)
{
	struct bkp_bucket_source *source = arg;
	struct bkp_bucket_item *item = item_pointer;
	struct bkp_run *run = bkp_sink_run(source->sink);
	int rc = 0;

	if (item->is_kept)
		rc = ask_again(source, worker, item, err);
	if (rc == 0 && item->is_kept)
		bkp_run_count(run, item->size, 0);
	else if (rc == 0)
		rc = bkp_bucket_fetch(source->access.connections[worker],
		    &source->origin, item, err);
	if (rc == 0)
		bkp_run_count(run, 0, 1);
	return rc;
}

/* What is not whole the leader reads, and says so; what the last snapshot has
 * he knows as well. */
static bool
is_for_leader(
    struct bkp_bucket_source *source, const struct bkp_bucket_item *item)
{
	return !item->is_gone && needs_work(source, item) &&
	       bkp_bucket_attrs_get(item->entry.attrs, "last_modified") != NULL;
}

static int
done(void *arg, void *item_pointer, struct bkp_error *err)
{
	struct bkp_bucket_source *source = arg;
	struct bkp_bucket_item *item = item_pointer;
	int rc = 0;

	if (!needs_work(source, item))
		bkp_run_count(bkp_sink_run(source->sink), item->size, 1);
	if (item->is_refused && !item->is_older)
		source->refused++;
	if (item->is_kept && !item->is_shared && !item->is_older)
		source->kept++;
	if (source->is_share ? is_for_leader(source, item) : !item->is_gone)
		rc = bkp_sink_entry(source->sink, &item->entry, err);
	bkp_bucket_item_free(item);
	return rc;
}

static void
discard(void *arg, void *item)
{
	(void)arg;
	bkp_bucket_item_free(item);
}

static void
tick(void *arg)
{
	struct bkp_bucket_source *source = arg;

	bkp_run_tick(bkp_sink_run(source->sink));
}

static const struct bkp_pipeline_ops pipeline = {.next = next,
    .work = work,
    .needs_work = needs_work,
    .done = done,
    .discard = discard,
    .tick = tick};

static const struct bkp_pipeline_ops older_pipeline = {.next = next_older,
    .work = work,
    .needs_work = needs_work,
    .done = done,
    .discard = discard,
    .tick = tick};

static int
run_through(struct bkp_bucket_source *source,
    const struct bkp_pipeline_ops *ops, struct bkp_error *err)
{
	unsigned count = source->access.count;

	return bkp_pipeline_run(count, count * UNDER_WAY, ops, source,
	    bkp_run_cancel(bkp_sink_run(source->sink)), err);
}

int
bkp_bucket_source_fetch(struct bkp_bucket_source *source, struct bkp_error *err)
{
	return run_through(source, &pipeline, err);
}

int
bkp_bucket_source_fetch_older(
    struct bkp_bucket_source *source, struct bkp_error *err)
{
	return run_through(source, &older_pipeline, err);
}
