/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_lineage.h"

/* Keys for each thread that are read and not yet done with. */
#define UNDER_WAY 16

/* ---- whether ---- */

static uint64_t
told(const json_t *info, const char *name)
{
	json_int_t count = json_integer_value(json_object_get(info, name));

	return count > 0 ? (uint64_t)count : 0;
}

bool
bkp_bucket_lineage_is_told(const json_t *info)
{
	return told(info, "older_versions") > 0 ||
	       told(info, "delete_markers") > 0;
}

static bool
is_part(const struct bkp_supply *supply)
{
	return strcmp(bkp_supply_selection(supply),
		   bkp_supply_prefix(supply)) != 0;
}

int
bkp_bucket_lineage_choose(struct bkp_supply *supply,
    struct bkp_s3_connection *connection, const char *bucket, bool exists,
    bool is_every, enum bkp_bucket_lineage_mode *out, struct bkp_error *err)
{
	enum bkp_s3_versioning versioning = BKP_S3_VERSIONING_ON;
	const json_t *info = bkp_supply_info(supply);

	*out = BKP_BUCKET_LINEAGE_NONE;
	if (is_every && json_object_get(info, "versions") == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the snapshot has no versions but the current ones, for it "
		    "was made without 'versions: all' or the bucket kept none: "
		    "restore without --all-versions");
	if (!bkp_bucket_lineage_is_told(info) || (!is_every && is_part(supply)))
		return 0;
	if (exists &&
	    bkp_s3_get_versioning(connection, bucket, &versioning, err) < 0)
		return -1;
	*out = versioning == BKP_S3_VERSIONING_ON ? BKP_BUCKET_LINEAGE_ALL
						  : BKP_BUCKET_LINEAGE_REFUSED;
	return 0;
}

int
bkp_bucket_lineage_refuse(
    struct bkp_supply *supply, const char *bucket, struct bkp_error *err)
{
	const char *prefix = bkp_supply_prefix(supply);
	const json_t *info = bkp_supply_info(supply);

	if (is_part(supply))
		return bkp_run_omit(bkp_supply_run(supply), err,
		    bkp_supply_selection(supply),
		    "older versions and delete markers are not restored, for "
		    "bucket %s keeps no versions: switch them on and restore "
		    "again, or restore into a bucket that is not there yet; "
		    "without --all-versions the current ones alone are "
		    "restored",
		    bucket);
	return bkp_run_omit(bkp_supply_run(supply), err, prefix,
	    "%llu older versions and %llu delete markers are not restored, for "
	    "bucket %s keeps no versions: switch them on and restore again, or "
	    "restore into a bucket that is not there yet; '%s/' as PATH means "
	    "the current versions alone",
	    (unsigned long long)told(info, "older_versions"),
	    (unsigned long long)told(info, "delete_markers"), bucket, prefix);
}

/* ---- a check ---- */

static int
fail_clash(const struct bkp_bucket_lineage_place *place,
    const struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	return bkp_fail(err, BKP_EXISTS,
	    "s3://%s/%s has versions already that are not the oldest of the "
	    "snapshot's; restore into another bucket, or say that these may go "
	    "on top of them (--overwrite)",
	    place->bucket, lineage->key);
}

int
bkp_bucket_lineage_check(
    const struct bkp_bucket_lineage_place *place, struct bkp_error *err)
{
	struct bkp_bucket_lineages *lineages = NULL;
	struct bkp_bucket_lineage *lineage = NULL;
	int rc = bkp_bucket_lineages_open(
	    place->supply, place->own, place->bucket, false, &lineages, err);

	while (rc == 0) {
		rc = bkp_bucket_lineages_next(lineages, &lineage, err);
		if (rc < 0 || lineage == NULL)
			break;
		if (!bkp_bucket_lineages_go_on(lineages, 0, false))
			rc = fail_clash(place, lineage, err);
		bkp_bucket_lineage_free(lineage);
	}
	bkp_bucket_lineages_close(lineages);
	return rc;
}

/* ---- putting ---- */

struct restoring {
	const struct bkp_bucket_lineage_place *place; /* borrowed */
	struct bkp_run *run;
	struct bkp_bucket_lineages *lineages; /* owned */
	char **broken; /* keys that lack something, in order; owned */
	size_t broken_count, broken_cap;
};

/* Where to go on: behind those that an earlier run has put. What was there
 * before it was allowed to go on top stays beneath. */
static int
plan(const struct restoring *restoring, struct bkp_bucket_lineage *lineage,
    struct bkp_error *err)
{
	struct bkp_bucket_lineages *lineages = restoring->lineages;
	size_t skipped = 0;

	if (restoring->place->is_overwrite) {
		/* What may be another is put again, on top. */
		while (!bkp_bucket_lineages_go_on(lineages, skipped, true))
			skipped++;
	} else if (!bkp_bucket_lineages_go_on(lineages, 0, false)) {
		lineage->is_clash = true;
		return 0;
	} else if (bkp_bucket_lineages_doubt(lineages, lineage, err) < 0) {
		return -1;
	}
	lineage->there = lineage->existing - skipped;
	return 0;
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct restoring *restoring = arg;
	struct bkp_bucket_lineage *lineage = NULL;

	*out = NULL;
	if (bkp_bucket_lineages_next(restoring->lineages, &lineage, err) < 0)
		return -1;
	if (lineage != NULL && plan(restoring, lineage, err) < 0) {
		bkp_bucket_lineage_free(lineage);
		return -1;
	}
	*out = lineage;
	return 0;
}

static void
discard(void *arg, void *item)
{
	(void)arg;
	bkp_bucket_lineage_free(item);
}

/* Puts a marker on top. */
static int
put_marker(const struct restoring *restoring, unsigned thread,
    struct bkp_bucket_lineage *lineage, const struct fmt_entry *entry,
    struct bkp_error *err)
{
	const struct bkp_bucket_lineage_place *place = restoring->place;
	struct bkp_s3_connection *connection = place->connections[thread];
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_s3_delete(connection, place->bucket, lineage->key, &why) == 0) {
		lineage->put++;
		return 0;
	}
	if (!bkp_bucket_is_refused(
		connection, place->bucket, place->prefix, &why)) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	lineage->left_out++;
	lineage->refused++;
	return bkp_run_omit(
	    restoring->run, err, entry->path, "%s", why.message);
}

static int
put_version(const struct restoring *restoring, unsigned thread,
    struct bkp_bucket_lineage *lineage, const struct fmt_entry *entry,
    struct bkp_error *err)
{
	const struct bkp_bucket_lineage_place *place = restoring->place;
	bool is_left_out = false, is_refused = false;

	if (bkp_bucket_is_marker(entry))
		return put_marker(restoring, thread, lineage, entry, err);
	if (place->put(place->arg, thread, lineage->key, entry, &is_left_out,
		&is_refused, err) < 0)
		return -1;
	lineage->put += !is_left_out;
	lineage->left_out += is_left_out;
	lineage->refused += is_refused;
	return 0;
}

/* What cannot be asked is not known to be there. */
static int
pass_refused(const struct restoring *restoring, unsigned thread,
    const struct bkp_error *why, struct bkp_error *err)
{
	const struct bkp_bucket_lineage_place *place = restoring->place;

	if (why->code == BKP_NOTFOUND ||
	    bkp_bucket_is_refused(
		place->connections[thread], place->bucket, place->prefix, why))
		return 0;
	if (err != NULL)
		*err = *why;
	return -1;
}

/* Whether what is there in its place, the oldest being 0, has the bytes of an
 * entry whose ETag tells nothing of them. */
static int
look_at_bytes(const struct restoring *restoring, unsigned thread,
    const struct bkp_bucket_lineage *lineage, size_t at,
    const struct fmt_entry *entry, bool *has, struct bkp_error *err)
{
	const struct bkp_bucket_lineage_place *place = restoring->place;
	const char *id =
	    lineage->doubtful != NULL ? lineage->doubtful[at] : NULL;
	struct bkp_error why = BKP_ERROR_INIT;

	*has = id == NULL;
	if (*has || !entry->has_sha256)
		return 0;
	if (bkp_bucket_has_bytes(place->connections[thread], place->bucket,
		lineage->key, id, entry, has, &why) == 0)
		return 0;
	*has = false;
	return pass_refused(restoring, thread, &why, err);
}

/* Others of the same size are another history; nothing goes on top of it. */
static int
leave_rest(const struct restoring *restoring,
    struct bkp_bucket_lineage *lineage, size_t at,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	lineage->left_out += lineage->wanted - at;
	lineage->there = at;
	lineage->is_clash = true;
	return bkp_run_omit(restoring->run, err, entry->path,
	    "exists already, with other bytes of the same size, and none that "
	    "followed it is restored; --overwrite puts all on top of them");
}

/* The newest that is there may have been put by a run that was stopped before
 * its tags were. */
static int
look_there(const struct restoring *restoring, unsigned thread,
    struct bkp_bucket_lineage *lineage, const struct fmt_entry *entry,
    struct bkp_error *err)
{
	const struct bkp_bucket_lineage_place *place = restoring->place;
	struct bkp_error why = BKP_ERROR_INIT;
	bool is_same = false;

	if (bkp_bucket_is_same(place->connections[thread], place->bucket,
		lineage->key, NULL, entry->attrs, false, &is_same, &why) < 0 &&
	    pass_refused(restoring, thread, &why, err) < 0)
		return -1;
	if (is_same)
		return place->lock(
		    place->arg, thread, lineage->key, entry, true, err);
	lineage->there--;
	if (place->is_overwrite)
		return put_version(restoring, thread, lineage, entry, err);
	lineage->left_out++;
	return bkp_run_omit(restoring->run, err, entry->path,
	    "exists already, with other headers, metadata or tags; --overwrite "
	    "puts it again");
}

/* One that is there, the oldest being 0. Those beneath others are not asked for
 * their headers. */
static int
look(const struct restoring *restoring, unsigned thread,
    struct bkp_bucket_lineage *lineage, size_t at,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	const struct bkp_bucket_lineage_place *place = restoring->place;
	bool has_bytes = true;

	if (bkp_bucket_is_marker(entry))
		return 0;
	if (look_at_bytes(
		restoring, thread, lineage, at, entry, &has_bytes, err) < 0)
		return -1;
	if (!has_bytes)
		return leave_rest(restoring, lineage, at, entry, err);
	if (at + 1 == lineage->there)
		return look_there(restoring, thread, lineage, entry, err);
	return place->lock(place->arg, thread, lineage->key, entry, false, err);
}

static int
put_all(const struct restoring *restoring, unsigned thread,
    struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	const size_t there = lineage->there;
	struct fmt_entry entry;
	size_t at = 0;
	int rc = 0;

	while (!lineage->is_clash &&
	       (rc = bkp_bucket_lineage_next(lineage, &entry, err)) == 1) {
		uint64_t size = entry.size;

		rc = bkp_run_check(restoring->run, err);
		if (rc == 0)
			rc = at < there ? look(restoring, thread, lineage, at,
					      &entry, err)
					: put_version(restoring, thread,
					      lineage, &entry, err);
		fmt_entry_free(&entry);
		if (rc < 0)
			return -1;
		bkp_run_count(restoring->run, size, 1);
		at++;
	}
	return rc;
}

static int
work(void *arg, unsigned thread, void *item, struct bkp_error *err)
{
	const struct restoring *restoring = arg;
	struct bkp_bucket_lineage *lineage = item;
	const char *prefix = bkp_supply_prefix(restoring->place->supply);
	char *path;
	int rc;

	if (!lineage->is_clash)
		return put_all(restoring, thread, lineage, err);
	lineage->left_out = lineage->wanted;
	if ((path = bkp_format(err, "%s/%s", prefix, lineage->key)) == NULL)
		return -1;
	rc = bkp_run_omit(restoring->run, err, path,
	    "none of its %zu versions is restored, for it has %zu already that "
	    "are not the oldest of these; --overwrite puts all on top of them",
	    lineage->wanted, lineage->existing);
	free(path);
	return rc;
}

static int
done(void *arg, void *item, struct bkp_error *err)
{
	struct restoring *restoring = arg;
	struct bkp_bucket_lineage *lineage = item;
	int rc = restoring->place->done(restoring->place->arg, lineage, err);

	if (rc == 0 && lineage->left_out > 0)
		rc = bkp_grow(&restoring->broken, restoring->broken_count,
		    &restoring->broken_cap, sizeof(*restoring->broken), err);
	if (rc == 0 && lineage->left_out > 0) {
		restoring->broken[restoring->broken_count++] = lineage->key;
		lineage->key = NULL;
	}
	bkp_bucket_lineage_free(lineage);
	return rc;
}

static void
tick(void *arg)
{
	const struct restoring *restoring = arg;

	bkp_run_tick(restoring->run);
}

static const struct bkp_pipeline_ops pipeline = {
    .next = next, .work = work, .done = done, .discard = discard, .tick = tick};

/* ---- what is there afterwards ---- */

static bool
is_broken(const struct restoring *restoring, size_t *at, const char *key)
{
	while (*at < restoring->broken_count &&
	       strcmp(restoring->broken[*at], key) < 0)
		(*at)++;
	return *at < restoring->broken_count &&
	       strcmp(restoring->broken[*at], key) == 0;
}

/* A bucket that encrypts has ETags of its own; each version was compared when
 * it was put. */
static bool
is_encrypted(const struct bkp_bucket_lineage_place *place, const char *key)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	bool is_it =
	    bkp_s3_head(place->own, place->bucket, key, 0, &headers, NULL) <
		0 || /* it is deleted */
	    bkp_s3_fields_get(&headers, "x-amz-server-side-encryption") != NULL;

	bkp_s3_fields_free(&headers);
	return is_it;
}

static bool
is_right(const struct bkp_bucket_lineage_place *place,
    const struct bkp_bucket_lineages *lineages,
    const struct bkp_bucket_lineage *lineage)
{
	if (!place->is_overwrite && lineage->existing != lineage->wanted)
		return false;
	return bkp_bucket_lineages_are_there(lineages, false) ||
	       (bkp_bucket_lineages_are_there(lineages, true) &&
		   is_encrypted(place, lineage->key));
}

static int
tell_other(const struct restoring *restoring,
    const struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	const char *prefix = bkp_supply_prefix(restoring->place->supply);
	char *path = bkp_format(err, "%s/%s", prefix, lineage->key);
	int rc;

	if (path == NULL)
		return -1;
	rc = bkp_run_omit(restoring->run, err, path,
	    "the server lists %zu versions and delete markers of it, and they "
	    "are not the %zu that were put: look at them",
	    lineage->existing, lineage->wanted);
	free(path);
	return rc;
}

/* Only a listing tells what a server made of what it took. */
static int
compare(struct restoring *restoring, struct bkp_error *err)
{
	const struct bkp_bucket_lineage_place *place = restoring->place;
	struct bkp_bucket_lineages *lineages = NULL;
	struct bkp_bucket_lineage *lineage = NULL;
	size_t at = 0;
	int rc = bkp_bucket_lineages_open(
	    place->supply, place->own, place->bucket, false, &lineages, err);

	while (rc == 0) {
		rc = bkp_bucket_lineages_next(lineages, &lineage, err);
		if (rc < 0 || lineage == NULL)
			break;
		if (!is_broken(restoring, &at, lineage->key) &&
		    !is_right(place, lineages, lineage))
			rc = tell_other(restoring, lineage, err);
		bkp_bucket_lineage_free(lineage);
	}
	bkp_bucket_lineages_close(lineages);
	return rc;
}

int
bkp_bucket_lineage_restore(
    const struct bkp_bucket_lineage_place *place, struct bkp_error *err)
{
	struct restoring restoring = {
	    .place = place, .run = bkp_supply_run(place->supply)};
	int rc = bkp_bucket_lineages_open(place->supply,
	    place->exists ? place->own : NULL, place->bucket, true,
	    &restoring.lineages, err);

	if (rc == 0)
		rc = bkp_pipeline_run(place->threads,
		    place->threads * UNDER_WAY, &pipeline, &restoring,
		    bkp_run_cancel(restoring.run), err);
	if (rc == 0)
		rc = compare(&restoring, err);
	bkp_bucket_lineages_close(restoring.lineages);
	for (size_t i = 0; i < restoring.broken_count; i++)
		free(restoring.broken[i]);
	free(restoring.broken);
	return rc;
}
