/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REFERENCES_H
#define LIBBACKUP_OPERATIONS_REFERENCES_H

/*
 * Columns that hold keys of objects: whether each key is that of an object in
 * the same snapshot.
 *
 *     bkp_references_new       what the configuration names
 *     bkp_references_check     a database: whether it can be asked so
 *     bkp_references_read      a database: sets the keys aside
 *     bkp_reference_bucket_*   a bucket: its objects beside those keys
 *
 * Keys are read while the moment of a database lasts, and compared when the
 * bucket's turn comes: nothing holds a snapshot open for the other.
 */

#include <jansson.h>

#include "formats/entry.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/run.h"
#include "libbackup/operations/named_keys.h"
#include "libbackup/postgres/session.h"

enum bkp_reference_state {
	BKP_REFERENCE_WAITING, /* its database has not been asked */
	BKP_REFERENCE_READ,    /* its keys are set aside */
	BKP_REFERENCE_MATCHED, /* and were compared */
	BKP_REFERENCE_SKIPPED, /* was not to be looked at */
	BKP_REFERENCE_FAILED   /* could not be looked at */
};

struct bkp_references;

struct bkp_reference {
	const struct bkp_reference_config *config; /* borrowed */
	char *name; /* owned: "postgres/app/shop/references/public.a.key" */
	enum bkp_reference_state state;
	char *why; /* owned: of the last two */
	struct bkp_named *named;
	char *lacks; /* owned: what its keys should have been read from, and
			has not all its rows; NULL: nothing */
};

/* Whether rows of a table of the reference's database are not there to be
 * read: 1, 0 or -1. */
typedef int bkp_reference_lacks_fn(void *arg,
    const struct bkp_reference_config *config, const char *schema,
    const char *table, struct bkp_error *err);

struct bkp_references {
	const struct bkp_config *config; /* borrowed */
	struct bkp_reference *items;
	size_t count;
	bkp_reference_lacks_fn *lacks; /* NULL: all rows are there */
	void *lacks_arg;
};

int bkp_references_new(const struct bkp_config *config,
    struct bkp_references *out, struct bkp_error *err);
void bkp_references_free(struct bkp_references *references);

/* Those that wait and are of this database ("postgres/app/shop"): whether its
 * server understands them. BKP_INVALID names the line of one that it does
 * not. */
int bkp_references_check(struct bkp_references *references, const char *path,
    struct bkp_pg *pg, struct bkp_error *err);

/* Those that wait and are of this database: reads the keys in the transaction
 * of the session, which must be read only, and goes on after one that fails:
 * it has the reason. -1: cancelled, without memory or without a connection. */
int bkp_references_read(struct bkp_references *references, const char *path,
    struct bkp_pg *pg, struct bkp_error *err);

/* Takes it out of those that wait. */
int bkp_reference_skip(struct bkp_reference *reference, struct bkp_error *err,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
int bkp_reference_fail(struct bkp_reference *reference, struct bkp_error *err,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- the objects of one bucket ---- */

struct bkp_reference_bucket {
	struct bkp_references *references; /* borrowed */
	const char *prefix;                /* borrowed: "bucket/uploads" */
	struct bkp_named **named;          /* owned: whose keys were read */
	struct bkp_match *match;           /* NULL: nobody asks */
	bool is_whole; /* of no reference are keys unknown: what no row names
			  can be told */
};

int bkp_reference_bucket_begin(struct bkp_references *references,
    const char *prefix, struct bkp_reference_bucket *out,
    struct bkp_error *err);
void bkp_reference_bucket_free(struct bkp_reference_bucket *bucket);

/* Its entries, in path order; `bucket` is a struct bkp_reference_bucket. */
int bkp_reference_bucket_see(
    void *bucket, const struct fmt_entry *entry, struct bkp_error *err);
int bkp_reference_bucket_finish(
    struct bkp_reference_bucket *bucket, struct bkp_error *err);

/* ---- words ---- */

/* "12 keys, each of an object in bucket/uploads". The caller frees it. */
char *bkp_reference_tell(
    const struct bkp_reference *reference, struct bkp_error *err);

/* More are missing than the configuration accepts. */
bool bkp_reference_is_broken(const struct bkp_reference *reference);

/* "3 of 12 objects are named by no row: 'a', 'b', 'c'". */
char *bkp_reference_bucket_tell(
    const struct bkp_reference_bucket *bucket, struct bkp_error *err);

#endif
