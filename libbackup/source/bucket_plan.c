/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a bucket into ranges of keys that several processes read. */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_source.h"

/* Ranges of a bucket: about so many, of at least and at most so much. */
#define RANGES 1024
#define RANGE_MIN ((uint64_t)4 << 20)
#define RANGE_MAX ((uint64_t)1 << 30)

/* What an object costs beside its bytes, in bytes: a server is asked for each
 * of them, if only for its headers. */
#define OBJECT_COST ((uint64_t)64 << 10)
#define LOOK_COST ((uint64_t)16 << 10)

struct cutter {
	struct bkp_bucket_source *source;
	struct bkp_share_planning *planning;
	size_t first;   /* range of the bucket */
	uint64_t size;  /* of a range */
	uint64_t bytes; /* of the one that is open */
	bool is_any;    /* something is to be fetched */
};

static int
add_bucket(struct cutter *cutter, struct bkp_error *err)
{
	const struct bkp_bucket_config *config = cutter->source->config;
	struct bkp_share_planning *planning = cutter->planning;
	struct fmt_share_plan *plan = &planning->plan;
	struct fmt_share_bucket *added;

	if (bkp_grow(&plan->buckets, plan->bucket_count, &planning->bucket_cap,
		sizeof(*plan->buckets), err) < 0)
		return -1;
	added = &plan->buckets[plan->bucket_count++];
	*added = (struct fmt_share_bucket){
	    .source = bkp_strdup(cutter->source->base.prefix, err),
	    .name = bkp_strdup(config->bucket, err),
	    .prefix =
		bkp_strdup(config->prefix != NULL ? config->prefix : "", err)};
	return added->source != NULL && added->name != NULL &&
		       added->prefix != NULL
		   ? 0
		   : -1;
}

/* Two neighbours become one: nobody knows before how much there is. */
static void
halve(struct cutter *cutter)
{
	struct fmt_share_plan *plan = &cutter->planning->plan;
	size_t to = cutter->first;

	for (size_t i = cutter->first; i < plan->range_count; i += 2, to++) {
		struct fmt_share_range range = plan->ranges[i];

		if (i + 1 < plan->range_count) {
			free(range.last);
			range.last = plan->ranges[i + 1].last;
			range.bytes += plan->ranges[i + 1].bytes;
		}
		plan->ranges[to] = range;
	}
	plan->range_count = to;
	cutter->size *= 2;
}

/* last: NULL for the end of the bucket. */
static int
cut(struct cutter *cutter, const char *last, struct bkp_error *err)
{
	struct bkp_share_planning *planning = cutter->planning;
	struct fmt_share_plan *plan = &planning->plan;
	char *copy = NULL;

	if (bkp_grow(&plan->ranges, plan->range_count, &planning->range_cap,
		sizeof(*plan->ranges), err) < 0 ||
	    (last != NULL && (copy = bkp_strdup(last, err)) == NULL))
		return -1;
	plan->ranges[plan->range_count++] = (struct fmt_share_range){
	    .bucket = (uint32_t)(plan->bucket_count - 1),
	    .last = copy,
	    .bytes = cutter->bytes};
	cutter->bytes = 0;
	if (plan->range_count - cutter->first >= (size_t)2 * RANGES &&
	    cutter->size < RANGE_MAX)
		halve(cutter);
	return 0;
}

static int
weigh(struct cutter *cutter, const struct bkp_s3_object *object,
    struct bkp_error *err)
{
	struct bkp_bucket_source *source = cutter->source;
	struct bkp_bucket_item *item;

	if (bkp_bucket_source_item(source, object, NULL, &item, err) < 0)
		return -1;
	if (!bkp_bucket_source_is_unchanged(source, item, object->tags)) {
		cutter->bytes += object->size + OBJECT_COST;
		cutter->is_any = true;
	} else if (source->config->asks_each) {
		cutter->bytes += LOOK_COST;
		cutter->is_any = true;
	}
	bkp_bucket_item_free(item);
	return 0;
}

/* Behind a key at which a server may begin elsewhere nothing is cut: the range
 * could seem to be empty. A plain one is UTF-8, too, as a plan is. */
static int
cut_listing(struct cutter *cutter, struct bkp_error *err)
{
	struct bkp_sink *sink = cutter->source->sink;
	struct bkp_s3_object object;
	int rc;

	while ((rc = bkp_s3_list_next(cutter->source->listing, &object, err)) ==
	       1) {
		bkp_run_tick(bkp_sink_run(sink));
		if (bkp_run_check(bkp_sink_run(sink), err) < 0 ||
		    weigh(cutter, &object, err) < 0)
			return -1;
		if (cutter->bytes >= cutter->size &&
		    bkp_bucket_is_plain(object.key) &&
		    cut(cutter, object.key, err) < 0)
			return -1;
	}
	return rc == 0 ? cut(cutter, NULL, err) : -1;
}

/* Where nothing is to be fetched the others are not needed. */
static void
drop_bucket(struct cutter *cutter)
{
	struct fmt_share_plan *plan = &cutter->planning->plan;

	while (plan->range_count > cutter->first)
		free(plan->ranges[--plan->range_count].last);
	fmt_share_bucket_free(&plan->buckets[--plan->bucket_count]);
}

static int
plan_bucket(struct cutter *cutter, struct bkp_error *err)
{
	struct bkp_bucket_source *source = cutter->source;

	if (add_bucket(cutter, err) < 0 ||
	    bkp_bucket_source_previous(source, err) < 0 ||
	    bkp_s3_list_open(source->access.own, source->config->bucket,
		source->config->prefix, &source->listing, err) < 0)
		return -1;
	bkp_s3_list_read_ahead(source->listing);
	if (bkp_bucket_source_ask(source, err) < 0)
		return -1;
	return cut_listing(cutter, err);
}

/* What was opened for it is opened again when the bucket is read. */
static void
close_plan(struct bkp_bucket_source *source)
{
	bkp_s3_list_close(source->listing);
	source->listing = NULL;
	bkp_bucket_former_free(source->previous);
	source->previous = NULL;
	source->has_previous = false;
	source->passed = 0;
	fmt_entry_free(&source->candidate);
}

int
bkp_bucket_source_plan(struct bkp_source *base, struct bkp_sink *sink,
    struct bkp_share_planning *planning, struct bkp_error *err)
{
	struct bkp_bucket_source *source = (struct bkp_bucket_source *)base;
	const char *prefix = source->config->prefix;
	struct cutter cutter = {.source = source,
	    .planning = planning,
	    .first = planning->plan.range_count,
	    .size = RANGE_MIN};
	int rc;

	/* libs3 cannot begin behind a key. */
	if (source->config->is_v2 ||
	    (prefix != NULL && !fmt_utf8_is_valid(prefix)))
		return 0;
	bkp_run_phase(bkp_sink_run(sink), 0, 0, "planning %s", base->prefix);
	bkp_bucket_source_begin(source, sink);
	rc = plan_bucket(&cutter, err);
	close_plan(source);
	if (rc == 0 && !cutter.is_any)
		drop_bucket(&cutter);
	return rc;
}
