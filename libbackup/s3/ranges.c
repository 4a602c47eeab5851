/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/entries.h"
#include "libbackup/s3/pages.h"

struct bkp_s3_ranges {
	struct bkp_s3_connection **connections; /* borrowed, as what is below */
	unsigned count;
	const char *bucket, *prefix;
	bkp_s3_bound_fn *bound;
	void *arg;

	struct bkp_s3_listing **parts; /* a ring, one for each connection */
	unsigned first, used;
	char *behind;        /* owned: where the next range begins */
	bool is_all_asked;   /* there is no next one */
	bool has_told_end;   /* a range was the last, as the server says */
	bool owes;           /* there is more, as it says, and none came yet */
	char *seen;          /* owned: a key behind all that was given, or the
				last that was, until one listing of all came by */
	bool has_metadata;   /* what the ranges ask for */
	bool is_whole;       /* no ranges: one listing of all */
	struct fmt_buf last; /* the last key that was given, with its NUL */
};

void
bkp_s3_ranges_close(struct bkp_s3_ranges *ranges)
{
	if (ranges == NULL)
		return;
	for (unsigned i = 0; i < ranges->count; i++)
		bkp_s3_list_close(ranges->parts[i]);
	free(ranges->parts);
	free(ranges->behind);
	free(ranges->seen);
	fmt_buf_free(&ranges->last);
	free(ranges);
}

int
bkp_s3_ranges_open(struct bkp_s3_connection **connections, unsigned count,
    const char *bucket, const char *prefix, bkp_s3_bound_fn *bound, void *arg,
    struct bkp_s3_ranges **out, struct bkp_error *err)
{
	struct bkp_s3_ranges *ranges = bkp_alloc(sizeof(*ranges), err);

	if (ranges == NULL)
		return -1;
	*ranges = (struct bkp_s3_ranges){.connections = connections,
	    .bucket = bucket,
	    .prefix = prefix,
	    .bound = bound,
	    .arg = arg,
	    .has_metadata = true,
	    .last = FMT_BUF_INIT};
	ranges->parts = bkp_alloc_array(count, sizeof(*ranges->parts), err);
	if (ranges->parts == NULL) {
		bkp_s3_ranges_close(ranges);
		return -1;
	}
	ranges->count = count;
	*out = ranges;
	return 0;
}

/* Begins a part: its first page is on its way. */
static int
begin(struct bkp_s3_ranges *ranges, const char *until, bool wants_metadata,
    struct bkp_error *err)
{
	unsigned n = (ranges->first + ranges->used) % ranges->count;
	struct bkp_s3_listing **part = &ranges->parts[n];

	if (bkp_s3_list_open(ranges->connections[n], ranges->bucket,
		ranges->prefix, part, err) < 0)
		return -1;
	ranges->used++;
	if (wants_metadata && ranges->has_metadata)
		bkp_s3_list_ask_metadata(*part);
	bkp_s3_list_read_ahead(*part);
	if (bkp_s3_list_between(*part, ranges->behind, until, err) < 0)
		return -1;
	return bkp_s3_list_ask_ahead(*part, err);
}

/* Lets the server make as many pages as there are connections. */
static int
fill(struct bkp_s3_ranges *ranges, bool wants_metadata, struct bkp_error *err)
{
	while (!ranges->is_all_asked && ranges->used < ranges->count) {
		const char *until = NULL;
		int rc = ranges->bound(ranges->arg, &until, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			until = NULL;
		/* A bound that goes back bounds nothing. */
		if (until != NULL && ranges->behind != NULL &&
		    strcmp(until, ranges->behind) <= 0)
			continue;
		if (begin(ranges, until, wants_metadata, err) < 0)
			return -1;
		if (until == NULL)
			ranges->is_all_asked = true;
		else if (bkp_s3_set_text(
			     &ranges->behind, until, strlen(until), err) < 0)
			return -1;
	}
	return 0;
}

static void
drop_first(struct bkp_s3_ranges *ranges)
{
	bkp_s3_list_close(ranges->parts[ranges->first]);
	ranges->parts[ranges->first] = NULL;
	ranges->first = (ranges->first + 1) % ranges->count;
	ranges->used--;
}

/* The greatest of the keys that the bucket has for certain. */
static int
see(struct bkp_s3_ranges *ranges, const char *key, struct bkp_error *err)
{
	if (key == NULL ||
	    (ranges->seen != NULL && strcmp(key, ranges->seen) <= 0))
		return 0;
	return bkp_s3_set_text(&ranges->seen, key, strlen(key), err);
}

/* The first one is read. That nothing is behind it is not believed yet. */
static int
end_first(
    struct bkp_s3_ranges *ranges, bool wants_metadata, struct bkp_error *err)
{
	const struct bkp_s3_listing *part = ranges->parts[ranges->first];

	if (bkp_s3_list_is_all(part))
		ranges->has_told_end = true;
	else
		ranges->owes = true;
	if (wants_metadata && !bkp_s3_list_has_metadata(part))
		ranges->has_metadata = false;
	/* Keys behind its range are keys, too. */
	if (!ranges->is_whole && see(ranges, bkp_s3_list_seen(part), err) < 0)
		return -1;
	drop_first(ranges);
	return 0;
}

/* What a range was refused, all of it may not be; and where there is more
 * behind what was told to be the end, something may be missing in front of it:
 * MinIO breaks off behind some keys that end in a slash. */
static int
begin_whole(
    struct bkp_s3_ranges *ranges, bool wants_metadata, struct bkp_error *err)
{
	if (ranges->last.len > 0 &&
	    see(ranges, (const char *)ranges->last.data, err) < 0)
		return -1;
	while (ranges->used > 0)
		drop_first(ranges);
	free(ranges->behind);
	ranges->behind = NULL;
	ranges->is_whole = ranges->is_all_asked = true;
	return begin(ranges, NULL, wants_metadata, err);
}

/* One listing of all has a key. */
static void
come_by(struct bkp_s3_ranges *ranges, const char *key)
{
	if (ranges->seen == NULL || strcmp(key, ranges->seen) < 0)
		return;
	free(ranges->seen);
	ranges->seen = NULL;
}

/* One listing of all may break off, too. A key that it should have come by may
 * only be missing where it was deleted meanwhile. */
static int
check_whole(struct bkp_s3_ranges *ranges, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc;

	if (!ranges->is_whole || ranges->seen == NULL)
		return 0;
	rc = bkp_s3_head(ranges->connections[0], ranges->bucket, ranges->seen,
	    0, &headers, &why);
	bkp_s3_fields_free(&headers);
	if (rc == 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "listing s3://%s: the server ends the list before key "
		    "\"%s\", which it listed a moment ago and still has; what "
		    "else is missing is not known, so such a listing cannot "
		    "be trusted",
		    ranges->bucket, ranges->seen);
	if (why.code != BKP_NOTFOUND) {
		if (err != NULL)
			*err = why;
		return bkp_fail_in(err,
		    "listing s3://%s, whose list ends before key \"%s\"",
		    ranges->bucket, ranges->seen);
	}
	free(ranges->seen);
	ranges->seen = NULL;
	return 0;
}

static int
keep_last(struct bkp_s3_ranges *ranges, const char *key, struct bkp_error *err)
{
	fmt_buf_clear(&ranges->last);
	if (fmt_buf_append(&ranges->last, key, strlen(key) + 1) != FMT_OK)
		return bkp_fail_nomem(err, "listing a bucket");
	return 0;
}

/* Whether a listing that began again gives what was given before. */
static bool
is_known(const struct bkp_s3_ranges *ranges, const char *key)
{
	return ranges->is_whole && ranges->last.len > 0 &&
	       strcmp(key, (const char *)ranges->last.data) <= 0;
}

/* A key of the first one: 1, where it is to be given; 0: look further; -1. */
static int
take(struct bkp_s3_ranges *ranges, bool wants_metadata, const char *key,
    struct bkp_error *err)
{
	if (ranges->is_whole)
		come_by(ranges, key);
	if (is_known(ranges, key))
		return 0;
	if (ranges->has_told_end && !ranges->is_whole) {
		if (see(ranges, key, err) < 0)
			return -1;
		return begin_whole(ranges, wants_metadata, err);
	}
	ranges->owes = false;
	return keep_last(ranges, key, err) < 0 ? -1 : 1;
}

int
bkp_s3_ranges_next(struct bkp_s3_ranges *ranges, bool wants_metadata,
    struct bkp_s3_object *object, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	for (;;) {
		int rc;

		if (fill(ranges, wants_metadata, err) < 0)
			return -1;
		if (ranges->used == 0 && (ranges->is_whole || !ranges->owes))
			return check_whole(ranges, err);
		if (ranges->used == 0) {
			/* More was promised, and every range was empty. */
			if (begin_whole(ranges, wants_metadata, err) < 0)
				return -1;
			continue;
		}
		rc = bkp_s3_list_next(
		    ranges->parts[ranges->first], object, &why);
		if (rc == 1) {
			rc = take(ranges, wants_metadata, object->key, err);
			if (rc != 0)
				return rc;
		} else if (rc == 0) {
			if (end_first(ranges, wants_metadata, err) < 0)
				return -1;
		} else if (ranges->is_whole ||
			   !bkp_s3_is_worth_asking_plainly(
			       (enum bkp_error_code)why.code)) {
			if (err != NULL)
				*err = why;
			return -1;
		} else if (begin_whole(ranges, wants_metadata, err) < 0) {
			return -1;
		}
	}
}
