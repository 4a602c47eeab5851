/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of the buckets that a snapshot holds. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/past.h"
#include "libbackup/operations/sink.h"
#include "libbackup/source/bucket_impl.h"

struct stored {
	struct bkp_objects base;
	struct bkp_past *past; /* borrowed; so is the run */
	struct bkp_run *run;
	char *prefix;              /* owned: "bucket/uploads" */
	struct bkp_supply *supply; /* owned; NULL: there is no such bucket */
};

static void
turn_away(struct stored *stored)
{
	bkp_supply_free(stored->supply);
	free(stored->prefix);
	stored->supply = NULL;
	stored->prefix = NULL;
}

/* A bucket that the snapshot does not hold is one without objects: each that is
 * asked for is told. */
static int
turn_to(struct bkp_objects *base, const char *name, struct bkp_error *err)
{
	struct stored *stored = (struct stored *)base;
	const struct bkp_opened *opened = &stored->past->opened;
	char *prefix = bkp_format(err, "bucket/%s", name);

	if (prefix == NULL)
		return -1;
	if (stored->prefix != NULL && strcmp(stored->prefix, prefix) == 0) {
		free(prefix);
		return 0;
	}
	turn_away(stored);
	stored->prefix = prefix;
	for (size_t i = 0; i < opened->chosen_count; i++)
		if (opened->chosen[i].kind->kind == BKP_KIND_BUCKET &&
		    strcmp(opened->chosen[i].source->prefix, prefix) == 0)
			return bkp_supply_new(stored->run, opened->repository,
			    opened->chosen[i].source, NULL, &stored->supply,
			    err);
	return 0;
}

/* Answers 1 where the repository has lost it, and -1 for all else. */
static int
judge(const struct bkp_error *failure, struct bkp_error *problem,
    struct bkp_error *err)
{
	if (failure->code == BKP_CORRUPT) {
		*problem = *failure;
		return 1;
	}
	if (err != NULL)
		*err = *failure;
	return -1;
}

static int
no_bucket(const struct stored *stored, struct bkp_error *problem)
{
	(void)bkp_fail(problem, BKP_NOTFOUND, "snapshot %.12s does not hold %s",
	    stored->past->opened.name, stored->prefix);
	return 1;
}

/* ---- an object ---- */

/* Why the snapshot does not have it, where it was left out of the backup. */
static int
not_there(const struct stored *stored, const char *path,
    struct bkp_error *problem, struct bkp_error *err)
{
	const struct bkp_opened *opened = &stored->past->opened;
	const struct bkp_omitted *omitted;
	size_t count;

	if (bkp_opened_left_out(opened, path, &omitted, &count, err) < 0)
		return -1;
	if (count > 0)
		(void)bkp_fail(problem, BKP_NOTFOUND,
		    "it was left out of snapshot %.12s: %s", opened->name,
		    omitted[0].reason);
	else
		(void)bkp_fail(problem, BKP_NOTFOUND,
		    "snapshot %.12s does not have it", opened->name);
	return 1;
}

/* 1, 0 (there is none) or -1. */
static int
find(struct stored *stored, const char *path, struct fmt_entry *entry,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	int found;

	if (bkp_supply_entries(stored->supply, path, &stream, err) < 0)
		return -1;
	found = bkp_entry_stream_next(stream, entry, err);
	bkp_entry_stream_close(stream);
	if (found == 1 && strcmp(entry->path, path) != 0) {
		fmt_entry_free(entry);
		found = 0;
	}
	return found;
}

/* "2026-11-21T07:00:00.123Z" to the second, as a bucket's own answer is. */
static const char *
read_time(const struct fmt_entry *entry, char text[32])
{
	const char *its = bkp_bucket_attrs_get(entry->attrs, "last_modified");
	size_t len = its != NULL ? strlen(its) : 0;

	if (len < 20 || len >= 32 || its[len - 1] != 'Z')
		return its;
	memcpy(text, its, 19);
	memcpy(text + 19, "Z", 2);
	return text;
}

static int
read_entry(struct stored *stored, const struct fmt_entry *entry,
    const struct bkp_objects_taker *taker, struct bkp_error *err)
{
	char text[32];

	if (taker->begin(taker->arg,
		bkp_bucket_attrs_get(entry->attrs, "content_type"),
		read_time(entry, text), err) < 0)
		return -1;
	return bkp_chunk_reader_entry(bkp_supply_reader(stored->supply, 0),
	    entry, taker->write, taker->arg, err);
}

static int
get(struct bkp_objects *base, const char *key,
    const struct bkp_objects_taker *taker, struct bkp_error *problem,
    struct bkp_error *err)
{
	struct stored *stored = (struct stored *)base;
	struct bkp_error failure = BKP_ERROR_INIT;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	char *path;
	int found, rc = -1;

	if (bkp_run_check(stored->run, err) < 0)
		return -1;
	if (stored->supply == NULL)
		return no_bucket(stored, problem);
	if ((path = bkp_format(err, "%s/%s", stored->prefix, key)) == NULL)
		return -1;
	found = find(stored, path, &entry, &failure);
	if (found == 0)
		rc = not_there(stored, path, problem, err);
	else if (found < 0 || read_entry(stored, &entry, taker, &failure) < 0)
		rc = judge(&failure, problem, err);
	else
		rc = 0;
	fmt_entry_free(&entry);
	free(path);
	return rc;
}

/* ---- a listing ---- */

/* Who was erased since had it, and nobody else. */
static bool
is_erased(const struct stored *stored, const char *key)
{
	const struct bkp_erased *erased = &stored->past->erased;
	const char *bucket = strchr(stored->prefix, '/') + 1;

	for (size_t i = 0; i < erased->object_count; i++) {
		const struct bkp_erased_object *object = &erased->objects[i];

		if (!object->is_kept && strcmp(object->bucket, bucket) == 0 &&
		    (object->is_prefix
			    ? strncmp(key, object->key, strlen(object->key))
			    : strcmp(key, object->key)) == 0)
			return true;
	}
	return false;
}

/* Those that the backup left out are keys, too: each is told when it is asked
 * for. */
static int
list_left_out(struct stored *stored, const char *path, bkp_objects_key_fn *each,
    void *arg, struct bkp_error *err)
{
	size_t skipped = strlen(stored->prefix) + 1, len = strlen(path);
	const struct bkp_omitted *omitted;
	size_t count;
	int rc = 0;

	omitted = bkp_opened_omissions(&stored->past->opened, &count);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const char *recorded = omitted[i].path;
		struct fmt_buf raw = FMT_BUF_INIT;
		const char *text = NULL;

		if (fmt_path_unescape(recorded, strlen(recorded), &raw) ==
		    FMT_OK)
			text = fmt_buf_text(&raw);
		if (text == NULL)
			rc = bkp_fail_nomem(err, "listing objects");
		else if (strncmp(text, path, len) == 0 &&
			 !is_erased(stored, text + skipped))
			rc = each(arg, text + skipped, err);
		fmt_buf_free(&raw);
	}
	return rc;
}

static int
list_entries(struct stored *stored, const char *path, bkp_objects_key_fn *each,
    void *arg, struct bkp_error *failure)
{
	size_t skipped = strlen(stored->prefix) + 1;
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int got, rc = 0;

	if (bkp_supply_entries(stored->supply, path, &stream, failure) < 0)
		return -1;
	while (rc == 0 &&
	       (got = bkp_entry_stream_next(stream, &entry, failure)) != 0) {
		if (got < 0)
			rc = -1;
		else if (!is_erased(stored, entry.path + skipped))
			rc = each(arg, entry.path + skipped, failure);
		fmt_entry_free(&entry);
	}
	bkp_entry_stream_close(stream);
	return rc;
}

static int
list(struct bkp_objects *base, const char *prefix, bkp_objects_key_fn *each,
    void *arg, struct bkp_error *problem, struct bkp_error *err)
{
	struct stored *stored = (struct stored *)base;
	struct bkp_error failure = BKP_ERROR_INIT;
	char *path;
	int rc;

	if (stored->supply == NULL)
		return no_bucket(stored, problem);
	if ((path = bkp_format(err, "%s/%s", stored->prefix, prefix)) == NULL)
		return -1;
	rc = list_entries(stored, path, each, arg, &failure);
	if (rc < 0)
		rc = judge(&failure, problem, err);
	if (rc >= 0 && list_left_out(stored, path, each, arg, err) < 0)
		rc = -1;
	free(path);
	return rc;
}

static void
close_stored(struct bkp_objects *base)
{
	struct stored *stored = (struct stored *)base;

	turn_away(stored);
	free(stored);
}

static const struct bkp_objects_ops stored_ops = {
    .turn_to = turn_to, .get = get, .list = list, .close = close_stored};

int
bkp_past_objects(struct bkp_past *past, struct bkp_run *run,
    struct bkp_objects **out, struct bkp_error *err)
{
	struct stored *stored = bkp_alloc(sizeof(*stored), err);

	if (stored == NULL)
		return -1;
	stored->base.ops = &stored_ops;
	stored->past = past;
	stored->run = run;
	*out = &stored->base;
	return 0;
}
