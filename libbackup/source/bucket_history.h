/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_HISTORY_H
#define LIBBACKUP_SOURCE_BUCKET_HISTORY_H

/*
 * The older versions and delete markers of a bucket that is backed up with
 * `versions: all`: told of while the current ones are listed, and handed over
 * when these are through, at the paths of formats/version.md. Calling thread.
 *
 * A version never changes, so one that the last snapshot has, as current or as
 * older, is not fetched again.
 */

#include "libbackup/s3/s3.h"
#include "libbackup/source/bucket_impl.h"

struct bkp_bucket_history;

/* Borrowed, all of it. */
struct bkp_bucket_place {
	struct bkp_s3_connection *connection;
	const char *bucket, *prefix;
	enum bkp_s3_versioning versioning;
	bool is_refused; /* they cannot be had, as has been told */
};

/* *out is NULL where there are no older versions, or none to be had, which is
 * told; and where nobody wants them. A sink that only digests wants those that
 * were recorded. (bucket_history_open.c) */
int bkp_bucket_history_open(struct bkp_sink *sink, const char *prefix,
    const struct bkp_bucket_place *place, bool is_wanted,
    struct bkp_bucket_history **out, struct bkp_error *err);

int bkp_bucket_history_new(struct bkp_sink *sink, const char *prefix,
    struct bkp_bucket_history **out, struct bkp_error *err);
void bkp_bucket_history_free(struct bkp_bucket_history *history);

/* An older version, or a delete marker: keys in order, of each the newest
 * first. current: the entry that the last snapshot has of the key's current
 * version; path NULL: none. */
int bkp_bucket_history_add(struct bkp_bucket_history *history,
    const struct bkp_s3_version *version, const struct fmt_entry *current,
    struct bkp_error *err);

/* Whether a current version is an older one of the last snapshot (for what came
 * after it was taken away): then the item keeps that entry. Keys in order. */
int bkp_bucket_history_find(struct bkp_bucket_history *history,
    struct bkp_bucket_item *item, const char *tags, struct bkp_error *err);

/* The next item, the caller's; *out NULL: the end. Then none can be added. */
int bkp_bucket_history_next(struct bkp_bucket_history *history,
    struct bkp_bucket_item **out, struct bkp_error *err);

/* Adds to what a source tells of the moment (formats/version.md). */
int bkp_bucket_history_describe(const struct bkp_bucket_history *history,
    json_t *info, struct bkp_error *err);

#endif
