/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_PARTS_H
#define LIBBACKUP_SOURCE_BUCKET_PARTS_H

/*
 * How a multipart object was cut, so that it can be cut so again. Nearly always
 * all parts but the last are like the first, and one request tells; the ETag
 * tells whether it was so.
 */

#include "libbackup/source/bucket_impl.h"

struct bkp_bucket_parts {
	uint64_t *sizes; /* owned */
	size_t count;    /* 0: it is not multipart, or nobody knows */
	bool is_listed;  /* they are, or are to be, asked for one by one */
};

/* Forgets the sizes; whether they are to be asked for one by one stays. */
void bkp_bucket_parts_free(struct bkp_bucket_parts *parts);

/* Asks the server for those of an object with this ETag. A server that does not
 * say leaves it to the ETag check's usual sizes. */
int bkp_bucket_parts_find(struct bkp_bucket_parts *parts,
    struct bkp_s3_connection *connection, const char *bucket,
    const struct bkp_bucket_item *item, const char *etag,
    struct bkp_error *err);

/* Drops parts that are not all of an object of this size: they are not how it
 * was cut. */
void bkp_bucket_parts_check(struct bkp_bucket_parts *parts, uint64_t size);

/* Such parts of an object of this size, the last of what is left. */
int bkp_bucket_parts_set(struct bkp_bucket_parts *parts, uint64_t size,
    uint64_t first, unsigned count, struct bkp_error *err);

#endif
