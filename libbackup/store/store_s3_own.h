/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_S3_OWN_H
#define LIBBACKUP_STORE_STORE_S3_OWN_H

/* What the files of the driver for buckets share. */

#include <stdatomic.h>

#include "libbackup/store/s3_pool.h"
#include "libbackup/store/store_s3.h"

struct bkp_s3_past;
struct bkp_s3_past_version;

struct bkp_s3_store {
	struct bkp_store base;
	struct bkp_s3_pool *pool; /* owned */
	char *name;               /* owned: the bucket's */
	char *prefix;             /* owned: "" or "backup/shop/" */
	enum bkp_s3_lock_mode lock_mode;
	unsigned lock_days;
	struct bkp_s3_past *past; /* owned; NULL: it is read as it is now */
};

/* ---- one call (store_s3.c) ---- */

/* A connection and the key. */
struct bkp_s3_call {
	struct bkp_s3_store *bucket;
	struct bkp_s3_lent *lent;
	const char *name;                       /* borrowed */
	char *key;                              /* owned */
	const struct bkp_s3_past_version *past; /* NULL: as it is now */
};

int bkp_s3_call_begin(struct bkp_store *store, const char *name,
    struct bkp_s3_call *call, struct bkp_error *err);
/* Hands rc through; a failure becomes one that says nothing of the repository
 * above. */
int bkp_s3_call_end(struct bkp_s3_call *call, int rc, struct bkp_error *err);

bool bkp_s3_is_status(const struct bkp_error *err, int status);
int bkp_s3_missing(struct bkp_error *err);

int bkp_s3_call_put(struct bkp_s3_call *call, const void *data, size_t len,
    bool is_new, struct bkp_error *err);

/* Objects below a prefix that is the call's name; is_claims: of whatever
 * name. */
int bkp_s3_call_list(struct bkp_s3_call *call, bool is_claims,
    bkp_store_list_fn *fn, void *arg, struct bkp_error *err);

/* Objects that no listing shows. Whoever may not delete may still write a
 * repository. */
int bkp_s3_put_hidden(
    struct bkp_store *store, const char *name, struct bkp_error *err);
int bkp_s3_remove_hidden(
    struct bkp_store *store, const char *name, struct bkp_error *err);

/* ---- reading (store_s3_read.c) ---- */

/* All of it, once it is proven or has come twice the same. */
int bkp_s3_call_read(
    struct bkp_s3_call *call, struct fmt_buf *out, struct bkp_error *err);
int bkp_s3_call_look(struct bkp_s3_call *call, struct bkp_store_object *out,
    struct bkp_error *err);

/* As of a time, the version of then. */
int bkp_s3_store_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err);
int bkp_s3_store_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err);

/* ---- a name that nobody has yet (store_s3_new.c) ---- */

int bkp_s3_store_put_new(struct bkp_store *store, const char *name,
    const void *data, size_t len, struct bkp_error *err);

/* ---- as of a time (store_s3_past.c) ---- */

struct bkp_s3_past_version {
	char *id; /* owned */
	uint64_t size;
	int64_t modified_us;
	bool is_in_parts;
};

/*
 * The versions that it may have been: the newest one at or before the time, and
 * those before that one. An upload in parts is dated by its beginning at AWS,
 * and may have been ended long after the time, by whoever it was; so these come
 * last, and where the name is the SHA-256 of the bytes it decides.
 */
struct bkp_s3_past_object {
	char *name; /* owned */
	struct bkp_s3_past_version *versions;
	size_t count, cap;
	atomic_size_t chosen;
	atomic_bool is_proven; /* or has been tried to be */
};

/* Reads which versions of each object there were at that time, by the server's
 * clock, and none where the newest is a deletion. */
int bkp_s3_past_read(struct bkp_s3_store *store, int64_t as_of_us,
    struct bkp_s3_past **out, struct bkp_error *err);
void bkp_s3_past_free(struct bkp_s3_past *past);

/* NULL: there was none. Borrowed. */
struct bkp_s3_past_object *bkp_s3_past_find(
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
