/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_RANGES_H
#define LIBBACKUP_S3_RANGES_H

/*
 * Inside libbackup/s3: a listing of which several ranges of keys are asked for
 * at the same time. A server makes one page after the other, each of which
 * tells where the next begins; who knows the keys that there may be can ask for
 * the pages side by side. The ranges are read in their order, so what comes is
 * what one listing would give. A server that does not know where to begin
 * (start-after) is asked for all of it, in one; and so is one whose ranges
 * contradict each other. Where that ends before a key that is there,
 * BKP_CORRUPT.
 */

#include "libbackup/s3/s3.h"

/* ---- one range (list.c) ---- */

/* Only keys behind `after` (NULL: from the first) up to and with `until` (NULL:
 * to the last). Before the first of them. */
int bkp_s3_list_between(struct bkp_s3_listing *listing, const char *after,
    const char *until, struct bkp_error *err);

/* Asks for the next page by a thread of its own. */
int bkp_s3_list_ask_ahead(
    struct bkp_s3_listing *listing, struct bkp_error *err);

/* At its end: whether the server says that there is nothing behind it. */
bool bkp_s3_list_is_all(const struct bkp_s3_listing *listing);

/* At its end: the greatest key of its pages, which may be behind `until`; NULL:
 * they had none. */
const char *bkp_s3_list_seen(const struct bkp_s3_listing *listing);

/* False where metadata was not asked for, or the server refused it. */
bool bkp_s3_list_has_metadata(const struct bkp_s3_listing *listing);

/* ---- all of them (ranges.c) ---- */

struct bkp_s3_ranges;

/* As bkp_s3_list_split says; bucket and prefix are borrowed until close. */
int bkp_s3_ranges_open(struct bkp_s3_connection **connections, unsigned count,
    const char *bucket, const char *prefix, bkp_s3_bound_fn *bound, void *arg,
    struct bkp_s3_ranges **out, struct bkp_error *err);
int bkp_s3_ranges_next(struct bkp_s3_ranges *ranges, bool wants_metadata,
    struct bkp_s3_object *object, struct bkp_error *err);
void bkp_s3_ranges_close(struct bkp_s3_ranges *ranges); /* NULL: fine */

#endif
