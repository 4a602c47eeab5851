/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_source.h"

/* So many changes during a run are named, then they are only counted. */
#define NAMED_MAX 30

/* ---- two listings ---- */

static void
tell_change(void *arg, enum bkp_bucket_change change, const char *key)
{
	static const char *const words[] = {"appeared", "changed", "vanished"};
	struct bkp_bucket_source *source = arg;
	char *path;

	source->changes[change]++;
	if (source->changed++ >= NAMED_MAX)
		return;
	/* Without memory for its name it is counted all the same. */
	path = bkp_format(NULL, "%s/%s", source->base.prefix, key);
	if (path != NULL)
		bkp_run_message(bkp_sink_run(source->sink), BKP_WARNING, path,
		    "%s while the bucket was backed up", words[change]);
	free(path);
}

/* libs3 knows nothing to begin behind. */
static int
ask_in_pieces(struct bkp_bucket_source *source, struct bkp_s3_listing *listing,
    bkp_s3_bound_fn *cut, void *arg, struct bkp_error *err)
{
	bkp_s3_list_read_ahead(listing);
	if (source->config->is_v2)
		return 0;
	return bkp_s3_list_split(
	    listing, source->access.listers, BKP_BUCKET_LISTERS, cut, arg, err);
}

/* Whether anything came, changed or went while the objects were fetched. */
static int
look_again(struct bkp_bucket_source *source, struct bkp_error *err)
{
	struct bkp_s3_listing *now = NULL;
	int rc = bkp_s3_list_open(source->access.own, source->config->bucket,
	    source->config->prefix, &now, err);

	if (rc == 0)
		rc = ask_in_pieces(
		    source, now, bkp_bucket_cuts_next, &source->cuts, err);
	if (rc == 0)
		rc = bkp_bucket_listed_compare(
		    source->listed, now, tell_change, source, err);
	bkp_s3_list_close(now);
	source->is_stable = rc == 0 && source->changed == 0;
	if (rc == 0 && !source->is_stable)
		bkp_run_message(bkp_sink_run(source->sink), BKP_WARNING,
		    source->base.prefix,
		    "the bucket changed while it was backed up: %llu objects "
		    "appeared, %llu changed, %llu vanished%s; what came or "
		    "changed after its turn is in the next backup",
		    (unsigned long long)source->changes[BKP_BUCKET_APPEARED],
		    (unsigned long long)source->changes[BKP_BUCKET_CHANGED],
		    (unsigned long long)source->changes[BKP_BUCKET_VANISHED],
		    source->changed > NAMED_MAX ? " (the first are named)"
						: "");
	return rc;
}

/*
 * Whether the listing found what the last snapshot has: all of it, and nothing
 * else. Then no object was another when the listing began, and nothing was
 * fetched since: the snapshot is the bucket at that beginning, and there is
 * nothing that a second listing could cast doubt on. What came, changed or went
 * behind the first is of a later moment, as what does so behind the second.
 * (What was put after the last snapshot and deleted before its turn came is in
 * no listing, however many there are.)
 */
static int
is_as_before(
    struct bkp_bucket_source *source, bool *is_same, struct bkp_error *err)
{
	*is_same = source->previous != NULL && source->history == NULL &&
		   source->kept == source->objects && source->passed == 0 &&
		   source->candidate.path == NULL;
	if (*is_same && bkp_bucket_former_next(
			    source->previous, &source->candidate, err) < 0)
		return -1;
	*is_same = *is_same && source->candidate.path == NULL;
	return 0;
}

/* ---- source ---- */

/* Whoever may not list versions has a fuzzy snapshot, and is told. */
static int
look_at_clock(struct bkp_bucket_source *source, struct bkp_run *run,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (source->versioning != BKP_S3_VERSIONING_ON)
		return 0;
	if (bkp_bucket_clock_look(source->access.own, source->config->bucket,
		source->config->prefix, run, &source->clock, &why) == 0) {
		source->is_exact = true;
		return 0;
	}
	if (why.code == BKP_UNSUPPORTED || why.code == BKP_AUTH) {
		bkp_run_message(run, BKP_WARNING, source->base.prefix,
		    "the bucket keeps versions, but these cannot be listed and "
		    "read, so that its snapshot is of no single moment "
		    "(credentials need s3:ListBucketVersions and "
		    "s3:GetObjectVersion): %s",
		    why.message);
		return 0;
	}
	if (err != NULL)
		*err = why;
	return -1;
}

static int
prepare(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_bucket_source *source = (struct bkp_bucket_source *)base;
	struct bkp_run *run = bkp_sink_run(sink);

	if (bkp_bucket_access_open(&source->access, source->config, run, err) <
		0 ||
	    bkp_bucket_is_there(source->access.own, source->config->bucket,
		source->config->prefix, err) < 0 ||
	    bkp_s3_get_versioning(source->access.own, source->config->bucket,
		&source->versioning, err) < 0)
		return -1;
	return bkp_sink_is_digest_only(sink) ? 0
					     : look_at_clock(source, run, err);
}

static int
open_history(struct bkp_bucket_source *source, struct bkp_error *err)
{
	const struct bkp_bucket_place place = {.connection = source->access.own,
	    .bucket = source->config->bucket,
	    .prefix = source->config->prefix,
	    .versioning = source->versioning,
	    .is_refused = source->versioning == BKP_S3_VERSIONING_ON &&
			  !source->is_exact};

	return bkp_bucket_history_open(source->sink, source->base.prefix,
	    &place, source->config->has_all_versions, &source->history, err);
}

/* "2026-11-21T12:00:00.123456Z" of the server's time. */
static void
write_time(int64_t us, char text[64])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, 64 - len, ".%06dZ", (int)(us % 1000000));
}

/* Which versions were current; of all, where no moment is known. */
static int
open_past(struct bkp_bucket_source *source, struct bkp_error *err)
{
	if (bkp_bucket_past_open(source->access.own, source->config->bucket,
		source->config->prefix, &source->window, &source->past,
		err) < 0)
		return -1;
	if (source->history != NULL)
		bkp_bucket_past_tell_older(
		    source->past, bkp_bucket_source_set_aside, source);
	return 0;
}

static int
open_moment(struct bkp_bucket_source *source, struct bkp_error *err)
{
	struct bkp_run *run = bkp_sink_run(source->sink);
	char from[64], to[64];

	source->window = bkp_bucket_window_of(&source->clock, run);
	write_time(source->window.from, from);
	write_time(source->window.to, to);
	bkp_run_message(run, BKP_INFO, source->base.prefix,
	    "as the bucket was between %s and %s by the server's clock", from,
	    to);
	return open_past(source, err);
}

static int
open_listing(struct bkp_bucket_source *source, struct bkp_error *err)
{
	if (!bkp_sink_is_digest_only(source->sink) &&
	    bkp_bucket_listed_new(&source->listed, err) < 0)
		return -1;
	if (source->history != NULL) {
		source->window = bkp_bucket_window_now();
		return open_past(source, err);
	}
	if (bkp_s3_list_open(source->access.own, source->config->bucket,
		source->config->prefix, &source->listing, err) < 0)
		return -1;
	bkp_s3_list_read_ahead(source->listing);
	return 0;
}

/* Current ones alone: the older ones are the history's. */
int
bkp_bucket_source_previous(
    struct bkp_bucket_source *source, struct bkp_error *err)
{
	char *below = bkp_format(err, "%s/", source->base.prefix);
	struct bkp_entry_stream *stream = NULL;
	int rc = -1;

	if (below != NULL)
		rc = bkp_sink_previous_below(source->sink, below, &stream, err);
	if (rc == 0 && stream != NULL)
		rc = bkp_bucket_former_new(
		    stream, strlen(below), &source->previous, err);
	source->has_previous = source->previous != NULL;
	free(below);
	return rc;
}

int
bkp_bucket_source_ask(struct bkp_bucket_source *source, struct bkp_error *err)
{
	if (source->previous == NULL && source->shared == NULL)
		return 0;
	bkp_s3_list_ask_metadata(source->listing);
	if (source->previous == NULL)
		return 0;
	return ask_in_pieces(source, source->listing, bkp_bucket_former_cut,
	    source->previous, err);
}

/* For what is compared with it. */
static int
ask_metadata(struct bkp_bucket_source *source, struct bkp_error *err)
{
	if (source->past == NULL)
		return bkp_bucket_source_ask(source, err);
	if (source->previous != NULL || source->shared != NULL)
		bkp_bucket_past_ask_metadata(source->past);
	return 0;
}

static int
read_bucket(struct bkp_bucket_source *source, struct bkp_error *err)
{
	source->listed_at = time(NULL);
	if (open_history(source, err) < 0 ||
	    bkp_bucket_source_previous(source, err) < 0 ||
	    bkp_bucket_shared_open(
		source->sink, source->base.prefix, &source->shared, err) < 0 ||
	    (source->is_exact ? open_moment(source, err)
			      : open_listing(source, err)) < 0)
		return -1;
	if (ask_metadata(source, err) < 0 ||
	    bkp_bucket_source_fetch(source, err) < 0)
		return -1;
	return source->history != NULL
		   ? bkp_bucket_source_fetch_older(source, err)
		   : 0;
}

/* One object may be refused; all of them are a wrong permission, and a backup
 * of nothing is none. */
static int
check_refused(const struct bkp_bucket_source *source, struct bkp_error *err)
{
	if (source->refused == 0 || source->refused < source->objects)
		return 0;
	return bkp_fail(err, BKP_AUTH,
	    "s3://%s lists its objects, but refuses every one of the %llu; "
	    "these credentials need s3:GetObject",
	    source->config->bucket, (unsigned long long)source->refused);
}

/* While versions were suspended, what was overwritten was not kept. */
static int
look_at_versioning(struct bkp_bucket_source *source, struct bkp_error *err)
{
	enum bkp_s3_versioning now = BKP_S3_VERSIONING_UNKNOWN;

	if (bkp_s3_get_versioning(
		source->access.own, source->config->bucket, &now, err) < 0)
		return -1;
	source->is_stable = now == BKP_S3_VERSIONING_ON;
	if (!source->is_stable)
		bkp_run_message(bkp_sink_run(source->sink), BKP_WARNING,
		    source->base.prefix,
		    "the bucket kept versions when the backup began, and does "
		    "not any more: what changed since may be missing, or not "
		    "be of that moment");
	return 0;
}

/* Nobody takes such a backup for whole. */
static int
note_signature(struct bkp_bucket_source *source, struct bkp_error *err)
{
	if (!source->config->is_v2 || source->objects == 0)
		return 0;
	return bkp_run_omit(bkp_sink_run(source->sink), err,
	    source->base.prefix,
	    "the objects' tags, and their headers but Content-Type and "
	    "metadata: signature version 2 does not tell them");
}

/* What there is to say once the objects are through. */
static int
look_back(struct bkp_bucket_source *source, struct bkp_error *err)
{
	if (note_signature(source, err) < 0)
		return -1;
	if (source->is_exact)
		return look_at_versioning(source, err);
	if (is_as_before(source, &source->is_stable, err) < 0)
		return -1;
	return source->is_stable ? 0 : look_again(source, err);
}

void
bkp_bucket_source_begin(struct bkp_bucket_source *source, struct bkp_sink *sink)
{
	source->sink = sink;
	source->origin.config = source->config;
	source->origin.prefix = source->base.prefix;
	source->origin.sink = sink;
	source->origin.slots = &source->access.slots;
}

static int
run_source(
    struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_bucket_source *source = (struct bkp_bucket_source *)base;
	int rc;

	bkp_bucket_source_begin(source, sink);
	rc = read_bucket(source, err);
	if (rc == 0)
		rc = check_refused(source, err);
	if (rc == 0 && !bkp_sink_is_digest_only(sink))
		rc = look_back(source, err);
	if (rc == 0 && !bkp_sink_is_digest_only(sink))
		bkp_bucket_look_for_leftovers(source->access.own,
		    source->config, bkp_sink_run(sink), base->prefix);
	bkp_bucket_tell_clock(
	    &source->access, bkp_sink_run(sink), base->prefix);
	return rc;
}

static int
source_info(struct bkp_source *base, json_t **info, struct bkp_error *err)
{
	static const char *const words[] = {
	    "off", "on", "suspended", "unknown"};
	struct bkp_bucket_source *source = (struct bkp_bucket_source *)base;
	char listed_at[32];
	struct tm tm;

	gmtime_r(&source->listed_at, &tm);
	if (strftime(listed_at, sizeof(listed_at), "%Y-%m-%dT%H:%M:%SZ", &tm) ==
	    0)
		listed_at[0] = '\0';
	*info = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:s, s:I}",
	    "endpoint", bkp_s3_endpoint(source->access.s3), "bucket",
	    source->config->bucket, "versioning", words[source->versioning],
	    "fuzzy", !source->is_exact, "stable", source->is_stable ? 1 : 0,
	    "changed_during_run", (json_int_t)source->changed, "listed_at",
	    listed_at, "objects", (json_int_t)source->objects);
	if (*info == NULL)
		return bkp_fail_nomem(err, "describing a bucket");
	if (source->history != NULL &&
	    bkp_bucket_history_describe(source->history, *info, err) < 0)
		return -1;
	if (source->is_exact) {
		char from[64], to[64];

		write_time(source->window.from, from);
		write_time(source->window.to, to);
		if (json_object_set_new(*info, "moment",
			json_pack("{s:s, s:s}", "from", from, "to", to)) < 0)
			return bkp_fail_nomem(err, "describing a bucket");
	}
	return bkp_bucket_attrs_set(*info, "prefix",
	    source->config->prefix != NULL ? source->config->prefix : "", err);
}

void
bkp_bucket_source_free(struct bkp_bucket_source *source)
{
	bkp_s3_list_close(source->listing);
	bkp_bucket_past_close(source->past);
	bkp_bucket_history_free(source->history);
	bkp_bucket_shared_close(source->shared);
	bkp_bucket_former_free(source->previous);
	bkp_bucket_cuts_free(&source->cuts);
	fmt_entry_free(&source->candidate);
	bkp_bucket_listed_free(source->listed);
	bkp_bucket_access_close(&source->access);
}

static void
close_source(struct bkp_source *base)
{
	bkp_bucket_source_free((struct bkp_bucket_source *)base);
	free(base);
}

static const struct bkp_source_ops source_ops = {
    .kind = "bucket",
    .prepare = prepare,
    .run = run_source,
    .info = source_info,
    .close = close_source,
    .plan = bkp_bucket_source_plan,
};

int
bkp_bucket_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err)
{
	struct bkp_bucket_source *source;

	if (config->bucket.bucket == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s: the configuration names no bucket", config->prefix);
	if (config->bucket.has_all_versions && config->bucket.is_v2)
		return bkp_fail(err, BKP_INVALID,
		    "%s: 'versions: all' cannot be had with signature version "
		    "2, which knows no versions",
		    config->prefix);
	if ((source = bkp_alloc(sizeof(*source), err)) == NULL)
		return -1;
	source->base.ops = &source_ops;
	source->base.prefix = config->prefix;
	source->config = &config->bucket;
	*out = &source->base;
	return 0;
}
