/* SPDX-License-Identifier: Apache-2.0 */
/* What the plan of a shared backup says of buckets, and the numbers of all that
 * is to be done. */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/share_impl.h"

void
fmt_share_bucket_free(struct fmt_share_bucket *bucket)
{
	free(bucket->source);
	free(bucket->name);
	free(bucket->prefix);
}

/* ---- numbers ---- */

size_t
fmt_share_plan_count(const struct fmt_share_plan *plan)
{
	return plan->task_count + plan->range_count;
}

const struct fmt_share_range *
fmt_share_plan_range(
    const struct fmt_share_plan *plan, size_t n, const char **behind)
{
	const struct fmt_share_range *range;

	if (n < plan->task_count)
		return NULL;
	range = &plan->ranges[n - plan->task_count];
	if (behind != NULL)
		*behind =
		    n > plan->task_count && range[-1].bucket == range->bucket
			? range[-1].last
			: "";
	return range;
}

uint64_t
fmt_share_plan_bytes(const struct fmt_share_plan *plan, size_t n)
{
	const struct fmt_share_range *range =
	    fmt_share_plan_range(plan, n, NULL);

	return range != NULL ? range->bytes : plan->tasks[n].bytes;
}

uint32_t
fmt_share_plan_pieces(const struct fmt_share_plan *plan, size_t n)
{
	return n < plan->task_count ? plan->tasks[n].pieces : 1;
}

const char *
fmt_share_plan_source(const struct fmt_share_plan *plan, size_t n)
{
	const struct fmt_share_range *range =
	    fmt_share_plan_range(plan, n, NULL);

	if (range != NULL)
		return plan->buckets[range->bucket].source;
	return plan->databases[plan->tables[plan->tasks[n].table].database]
	    .source;
}

/* ---- what makes sense ---- */

static bool
is_behind(
    const struct fmt_share_range *range, const struct fmt_share_range *before)
{
	if (range->bucket != before->bucket)
		return range->bucket > before->bucket && before->last == NULL;
	return before->last != NULL &&
	       (range->last == NULL || strcmp(before->last, range->last) < 0);
}

/* Of each bucket the ranges are in one place, in order, and all of it. */
bool
fmt_share_has_valid_ranges(const struct fmt_share_plan *plan)
{
	for (size_t i = 0; i < plan->bucket_count; i++)
		if (!fmt_utf8_is_valid(plan->buckets[i].source) ||
		    !fmt_utf8_is_valid(plan->buckets[i].name) ||
		    !fmt_utf8_is_valid(plan->buckets[i].prefix))
			return false;
	for (size_t i = 0; i < plan->range_count; i++) {
		const struct fmt_share_range *range = &plan->ranges[i];

		if (range->bucket >= plan->bucket_count ||
		    range->bytes > INT64_MAX ||
		    (range->last != NULL &&
			(range->last[0] == '\0' ||
			    !fmt_utf8_is_valid(range->last))) ||
		    (i > 0 && !is_behind(range, range - 1)))
			return false;
	}
	return plan->range_count == 0 ||
	       plan->ranges[plan->range_count - 1].last == NULL;
}

/* ---- writing ---- */

json_t *
fmt_share_buckets_value(const struct fmt_share_plan *plan)
{
	json_t *array = json_array();
	bool failed = array == NULL;

	for (size_t i = 0; !failed && i < plan->bucket_count; i++) {
		const struct fmt_share_bucket *bucket = &plan->buckets[i];

		failed = json_array_append_new(
			     array, json_pack("{s:s, s:s, s:s}", "source",
					bucket->source, "name", bucket->name,
					"prefix", bucket->prefix)) < 0;
	}
	if (failed)
		json_decref(array);
	return failed ? NULL : array;
}

json_t *
fmt_share_ranges_value(const struct fmt_share_plan *plan)
{
	json_t *array = json_array();
	bool failed = array == NULL;

	for (size_t i = 0; !failed && i < plan->range_count; i++) {
		const struct fmt_share_range *range = &plan->ranges[i];

		failed = json_array_append_new(array,
			     json_pack("[I, s?, I]", (json_int_t)range->bucket,
				 range->last, (json_int_t)range->bytes)) < 0;
	}
	if (failed)
		json_decref(array);
	return failed ? NULL : array;
}

/* ---- reading ---- */

static enum fmt_status
get_bucket(const json_t *object, struct fmt_share_bucket *out)
{
	enum fmt_status status =
	    fmt_share_get_new_text(object, "source", &out->source);

	if (status == FMT_OK)
		status = fmt_share_get_new_text(object, "name", &out->name);
	if (status == FMT_OK)
		status = fmt_share_get_new_text(object, "prefix", &out->prefix);
	return status;
}

static enum fmt_status
get_range(const json_t *array, struct fmt_share_range *out)
{
	const json_t *last = json_array_get(array, 1);
	const json_t *bytes = json_array_get(array, 2);

	if (json_array_size(array) != 3 || !json_is_integer(bytes) ||
	    json_integer_value(bytes) < 0 ||
	    (!json_is_null(last) && !json_is_string(last)))
		return FMT_MALFORMED;
	out->bytes = (uint64_t)json_integer_value(bytes);
	if (json_is_string(last) &&
	    (out->last = strdup(json_string_value(last))) == NULL)
		return FMT_NOMEM;
	return fmt_share_get_u32(json_array_get(array, 0), &out->bucket);
}

enum fmt_status
fmt_share_get_ranges(const json_t *root, struct fmt_share_plan *out)
{
	const json_t *buckets = json_object_get(root, "buckets");
	const json_t *ranges = json_object_get(root, "ranges");
	enum fmt_status status = fmt_share_get_array(root, "buckets",
	    sizeof(*out->buckets), &out->buckets, &out->bucket_count);

	for (size_t i = 0; status == FMT_OK && i < out->bucket_count; i++)
		status =
		    get_bucket(json_array_get(buckets, i), &out->buckets[i]);
	if (status == FMT_OK)
		status = fmt_share_get_array(root, "ranges",
		    sizeof(*out->ranges), &out->ranges, &out->range_count);
	for (size_t i = 0; status == FMT_OK && i < out->range_count; i++)
		status = get_range(json_array_get(ranges, i), &out->ranges[i]);
	return status;
}
