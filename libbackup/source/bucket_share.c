/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket that several processes read: a share reads its ranges, and the
 * leader finds what came of them.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/pages.h"
#include "libbackup/source/bucket_source.h"

/* ---- a share ---- */

static int
find_bucket(const struct bkp_bucket_source *source,
    const struct fmt_share_plan *plan, uint32_t *out, struct bkp_error *err)
{
	const struct bkp_bucket_config *config = source->config;
	const char *prefix = config->prefix != NULL ? config->prefix : "";
	uint32_t i = 0;

	while (i < plan->bucket_count &&
	       strcmp(plan->buckets[i].source, source->base.prefix) != 0)
		i++;
	if (i == plan->bucket_count)
		return bkp_fail(err, BKP_INVALID,
		    "run %s has no ranges of it, although it has tasks",
		    plan->run);
	if (strcmp(plan->buckets[i].name, config->bucket) != 0 ||
	    strcmp(plan->buckets[i].prefix, prefix) != 0)
		return bkp_fail(err, BKP_INVALID,
		    "it is bucket '%s', prefix '%s', here, and bucket '%s', "
		    "prefix '%s', where the leader of run %s is: all processes "
		    "of a run need the same sources",
		    config->bucket, prefix, plan->buckets[i].name,
		    plan->buckets[i].prefix, plan->run);
	*out = i;
	return 0;
}

static int
leave_range(struct fmt_share_done *done, size_t n, struct bkp_error *err)
{
	done->pieces = bkp_alloc(sizeof(*done->pieces), err);
	if (done->pieces == NULL)
		return -1;
	done->task = (uint32_t)n;
	done->piece_count = 1;
	done->pieces[0].is_left = true;
	return 0;
}

static int
fetch_range(
    struct bkp_bucket_source *source, const char *last, struct bkp_error *err)
{
	const char *behind = source->behind[0] != '\0' ? source->behind : NULL;
	int rc;

	if (bkp_s3_list_open(source->access.own, source->config->bucket,
		source->config->prefix, &source->listing, err) < 0)
		return -1;
	rc = bkp_s3_list_limit(source->listing, behind, last, err);
	if (rc == 0 && source->previous != NULL)
		bkp_s3_list_ask_metadata(source->listing);
	if (rc == 0)
		bkp_s3_list_read_ahead(source->listing);
	if (rc == 0)
		rc = bkp_bucket_source_fetch(source, err);
	bkp_s3_list_close(source->listing);
	source->listing = NULL;
	return rc;
}

/* What a range is refused, all of the bucket may not be, which the leader
 * lists: true then, and it is said, once. What else fails is no matter of the
 * listing. */
static bool
is_unlisted(const struct bkp_bucket_source *source, uint64_t before,
    const struct bkp_error *why)
{
	if (source->unlisted == before ||
	    !bkp_s3_is_worth_asking_plainly((enum bkp_error_code)why->code))
		return false;
	if (before == 0)
		bkp_run_message(bkp_sink_run(source->sink), BKP_WARNING,
		    source->base.prefix,
		    "the keys of a range cannot be listed here: it, and others "
		    "like it, the leader reads: %s",
		    why->message);
	return true;
}

/* Where nobody may read tags the leader finds that out, and says it: what was
 * read here would tell of none. */
static int
share_range(struct bkp_bucket_source *source, size_t n, const char *last,
    struct fmt_share_done *done, struct bkp_error *err)
{
	atomic_bool *is_forbidden = &source->origin.tagging.is_forbidden;
	struct fmt_share_done read = {.pieces = NULL};
	struct bkp_error why = BKP_ERROR_INIT;
	uint64_t unlisted = source->unlisted;
	int rc;

	if (atomic_load(is_forbidden))
		return leave_range(done, n, err);
	rc = fetch_range(source, last, &why);
	if (rc < 0 && !is_unlisted(source, unlisted, &why)) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	/* The entries of the next range are not to come behind these. */
	if (bkp_sink_hand_in(source->sink, &read, (uint32_t)n, err) < 0)
		return -1;
	if (rc == 0 && !atomic_load(is_forbidden)) {
		*done = read;
		return 0;
	}
	free(read.pieces[0].refs);
	free(read.pieces);
	return leave_range(done, n, err);
}

static int
share_ranges(struct bkp_bucket_source *source,
    const struct bkp_share_work *work, struct bkp_error *err)
{
	const struct fmt_share_plan *plan = work->plan;
	size_t count = fmt_share_plan_count(plan);
	uint32_t bucket = 0;

	if (find_bucket(source, plan, &bucket, err) < 0)
		return -1;
	for (size_t n = plan->task_count; n < count; n++) {
		const struct fmt_share_range *range =
		    fmt_share_plan_range(plan, n, &source->behind);

		if (!work->is_chosen[n] || range->bucket != bucket)
			continue;
		if (share_range(source, n, range->last, &work->done[n], err) <
		    0)
			return -1;
	}
	return 0;
}

int
bkp_bucket_share(const struct bkp_source_config *config,
    const struct bkp_share_work *work, struct bkp_sink *sink,
    struct bkp_error *err)
{
	struct bkp_bucket_source source = {.base = {.prefix = config->prefix},
	    .config = &config->bucket,
	    .is_share = true};
	struct bkp_run *run = bkp_sink_run(sink);
	int rc;

	bkp_run_phase(run, 0, 0, "%s", config->prefix);
	rc = bkp_bucket_access_open(&source.access, &config->bucket, run, err);
	if (rc == 0) {
		bkp_bucket_source_begin(&source, sink);
		rc = bkp_bucket_source_previous(&source, err);
	}
	if (rc == 0)
		rc = share_ranges(&source, work, err);
	bkp_bucket_source_free(&source);
	return rc;
}

/* ---- what came of it ---- */

struct bkp_bucket_shared {
	struct bkp_sink *sink;
	size_t next, end;                /* ranges, by number */
	struct bkp_entry_stream *stream; /* NULL: between two of them */
	struct fmt_entry candidate;      /* path NULL: none */
};

int
bkp_bucket_shared_open(struct bkp_sink *sink, const char *prefix,
    struct bkp_bucket_shared **out, struct bkp_error *err)
{
	const struct bkp_shared *given = bkp_sink_shared(sink);
	struct bkp_bucket_shared *shared;
	size_t count, n;

	*out = NULL;
	if (given == NULL)
		return 0;
	count = fmt_share_plan_count(given->plan);
	n = given->plan->task_count;
	while (n < count &&
	       strcmp(fmt_share_plan_source(given->plan, n), prefix) != 0)
		n++;
	if (n == count)
		return 0;
	if ((shared = bkp_alloc(sizeof(*shared), err)) == NULL)
		return -1;
	shared->sink = sink;
	shared->next = n;
	while (n < count &&
	       strcmp(fmt_share_plan_source(given->plan, n), prefix) == 0)
		n++;
	shared->end = n;
	shared->candidate = (struct fmt_entry)FMT_ENTRY_INIT;
	*out = shared;
	return 0;
}

/* The next entry of any range; its path is NULL where there is none. */
static int
next_entry(struct bkp_bucket_shared *shared, struct bkp_error *err)
{
	fmt_entry_free(&shared->candidate);
	while (shared->stream != NULL || shared->next < shared->end) {
		int rc;

		if (shared->stream == NULL &&
		    bkp_sink_shared_entries(
			shared->sink, shared->next++, &shared->stream, err) < 0)
			return -1;
		if (shared->stream == NULL)
			continue;
		rc = bkp_entry_stream_next(
		    shared->stream, &shared->candidate, err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		bkp_entry_stream_close(shared->stream);
		shared->stream = NULL;
	}
	return 0;
}

int
bkp_bucket_shared_find(struct bkp_bucket_shared *shared,
    struct bkp_bucket_item *item, const char *tags, struct bkp_error *err)
{
	struct fmt_entry *candidate = &shared->candidate;

	while ((candidate->path == NULL &&
		   (shared->stream != NULL || shared->next < shared->end)) ||
	       (candidate->path != NULL &&
		   fmt_entry_compare(candidate->path, item->entry.path) < 0))
		if (next_entry(shared, err) < 0)
			return -1;
	if (candidate->path == NULL ||
	    strcmp(candidate->path, item->entry.path) != 0 ||
	    strcmp(candidate->kind, item->entry.kind) != 0 ||
	    !bkp_bucket_item_is(item, tags, candidate, shared->sink))
		return 0;
	item->is_shared = true;
	return bkp_bucket_item_keep(item, candidate, err);
}

void
bkp_bucket_shared_close(struct bkp_bucket_shared *shared)
{
	if (shared == NULL)
		return;
	if (shared->stream != NULL)
		bkp_entry_stream_close(shared->stream);
	fmt_entry_free(&shared->candidate);
	free(shared);
}
