/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_S3_POOL_H
#define LIBBACKUP_STORE_S3_POOL_H

/*
 * Connections to one endpoint for whoever calls: a connection is one thread's
 * while it asks, and is kept for the next one, so that there are never more
 * than threads that ask at the same time.
 *
 * Until the server has answered for the first time it gets less patience than
 * one that falls silent later: 15 seconds, twice.
 *
 * Somebody who asked to stop does not wait for a server: what is under way
 * then fails with BKP_CANCELLED. What is asked after that is to tidy up; it
 * gets other connections, with little patience, and is not stopped.
 */

#include "libbackup/s3/s3.h"

struct bkp_s3_pool;

/* options are borrowed for the call, cancel (may be NULL) until free. */
int bkp_s3_pool_new(const struct bkp_s3_options *options,
    const struct bkp_cancel *cancel, struct bkp_s3_pool **out,
    struct bkp_error *err);

/* Everything that was taken has been given back. NULL is fine. */
void bkp_s3_pool_free(struct bkp_s3_pool *pool);

/* Seconds that the server's clock is ahead, where that is known. */
int64_t bkp_s3_pool_clock_offset(const struct bkp_s3_pool *pool);

/* Borrowed. */
const char *bkp_s3_pool_endpoint(const struct bkp_s3_pool *pool);

struct bkp_s3_lent {
	struct bkp_s3_connection *connection;
	struct bkp_s3_lent *next; /* among those that nobody has */
	bool is_late;
};

/* NULL: err tells why. */
struct bkp_s3_lent *bkp_s3_pool_take(
    struct bkp_s3_pool *pool, struct bkp_error *err);
void bkp_s3_pool_give(struct bkp_s3_pool *pool, struct bkp_s3_lent *lent);

#endif
