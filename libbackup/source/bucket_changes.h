/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_CHANGES_H
#define LIBBACKUP_SOURCE_BUCKET_CHANGES_H

/*
 * What came, changed and went between two listings of a bucket. The first is
 * kept in a temporary file without a name, so memory does not grow with the
 * objects. One thread at a time.
 */

#include "libbackup/s3/s3.h"

struct bkp_bucket_listed; /* a listing that was */

int bkp_bucket_listed_new(
    struct bkp_bucket_listed **out, struct bkp_error *err);
void bkp_bucket_listed_free(struct bkp_bucket_listed *listed); /* NULL: fine */

/* Objects come in the order of their keys, as listings give them. */
int bkp_bucket_listed_add(struct bkp_bucket_listed *listed,
    const struct bkp_s3_object *object, struct bkp_error *err);

enum bkp_bucket_change {
	BKP_BUCKET_APPEARED,
	BKP_BUCKET_CHANGED,
	BKP_BUCKET_VANISHED,
};

/* Told of each difference, in the order of the keys. */
typedef void bkp_bucket_change_fn(
    void *arg, enum bkp_bucket_change change, const char *key);

/* Walks both. `now` is read to its end; `listed` cannot be added to after. */
int bkp_bucket_listed_compare(struct bkp_bucket_listed *listed,
    struct bkp_s3_listing *now, bkp_bucket_change_fn *fn, void *arg,
    struct bkp_error *err);

#endif
