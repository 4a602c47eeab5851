/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_OLDER_H
#define LIBBACKUP_SOURCE_BUCKET_OLDER_H

/*
 * The older versions of a listing, set aside until the current ones are
 * through. They come as listings give them, of each key the newest first, and
 * go as snapshots have them, of each key the oldest first. They wait in
 * temporary files without names, so memory does not grow with them. One thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/error.h"

struct bkp_bucket_older;

struct bkp_bucket_aside {
	const char *key, *version_id, *etag, *last_modified, *storage_class;
	const char *tags; /* NULL: the server did not say */
	bool is_delete_marker;
	uint64_t size;
	int64_t modified_us;
	const void *former; /* the entry that an earlier snapshot has of it, in
			       lines; NULL: none is known */
	size_t former_len;
};

int bkp_bucket_older_new(struct bkp_bucket_older **out, struct bkp_error *err);
void bkp_bucket_older_free(struct bkp_bucket_older *older); /* NULL: fine */

int bkp_bucket_older_add(struct bkp_bucket_older *older,
    const struct bkp_bucket_aside *version, struct bkp_error *err);
uint64_t bkp_bucket_older_count(const struct bkp_bucket_older *older);

/* Ends the adding. */
int bkp_bucket_older_rewind(
    struct bkp_bucket_older *older, struct bkp_error *err);
/* 1: *version is valid until the next call; 0: end; -1. */
int bkp_bucket_older_next(struct bkp_bucket_older *older,
    struct bkp_bucket_aside *version, struct bkp_error *err);

#endif
