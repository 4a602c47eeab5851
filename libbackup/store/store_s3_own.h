/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_S3_OWN_H
#define LIBBACKUP_STORE_STORE_S3_OWN_H

/* What the files of the driver for buckets share. */

#include "libbackup/store/s3_pool.h"
#include "libbackup/store/store_s3.h"

struct bkp_s3_past;

struct bkp_s3_store {
	struct bkp_store base;
	struct bkp_s3_pool *pool; /* owned */
	char *name;               /* owned: the bucket's */
	char *prefix;             /* owned: "" or "backup/shop/" */
	enum bkp_s3_lock_mode lock_mode;
	unsigned lock_days;
	struct bkp_s3_past *past; /* owned; NULL: it is read as it is now */
};

/* ---- as of a time (store_s3_past.c) ---- */

struct bkp_s3_past_object {
	char *name;    /* owned */
	char *version; /* owned */
	uint64_t size;
	int64_t modified_us;
};

/* Reads which version of each object there was at that time, by the server's
 * clock: the newest one at or before it, and none where that is a deletion. */
int bkp_s3_past_read(struct bkp_s3_store *store, int64_t as_of_us,
    struct bkp_s3_past **out, struct bkp_error *err);
void bkp_s3_past_free(struct bkp_s3_past *past);

/* NULL: there was none. Borrowed. */
const struct bkp_s3_past_object *bkp_s3_past_find(
    const struct bkp_s3_past *past, const char *name);
int bkp_s3_past_list(const struct bkp_s3_past *past, const char *prefix,
    bkp_store_list_fn *fn, void *arg, struct bkp_error *err);

/* ---- object lock (store_s3_lock.c) ---- */

/* That the bucket can do what the configuration says. */
int bkp_s3_store_check_lock(struct bkp_s3_store *store, struct bkp_error *err);

/* Whether the object of that name is to be locked, and how from now on. */
bool bkp_s3_store_lock(const struct bkp_s3_store *store, const char *name,
    struct bkp_s3_lock *out);

int bkp_s3_store_tend(struct bkp_store *store,
    const struct bkp_store_tending *tending, struct bkp_store_tended *out,
    struct bkp_error *err);

#endif
