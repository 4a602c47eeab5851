/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/store/store_s3_own.h"

#define SCHEME "s3://"
/* A repository that nobody answers for must not keep others from theirs. */
#define FIRST_S 15
#define PREFIX_MAX 700 /* with a name of 200 bytes a key that servers take */
#define PROBE "tmp-probe"

int
bkp_s3_missing(struct bkp_error *err)
{
	return bkp_fail(err, BKP_NOTFOUND, "there is no such object");
}

int
bkp_s3_call_begin(struct bkp_store *store, const char *name,
    struct bkp_s3_call *call, struct bkp_error *err)
{
	struct bkp_s3_store *bucket = (struct bkp_s3_store *)store;

	call->bucket = bucket;
	call->lent = NULL;
	call->name = name;
	call->past = NULL;
	call->key = bkp_format(err, "%s%s", bucket->prefix, name);
	if (call->key == NULL)
		return -1;
	if ((call->lent = bkp_s3_pool_take(bucket->pool, err)) != NULL)
		return 0;
	free(call->key);
	call->key = NULL;
	return -1;
}

/* What a server says about a request, or about who asks, is nothing that the
 * repository above should take for a word about its objects: there BKP_AUTH is
 * a forgery. */
static void
tell_as_io(struct bkp_error *err)
{
	if (err->code == BKP_RETRY || err->code == BKP_UNSUPPORTED ||
	    err->code == BKP_INVALID || err->code == BKP_AUTH)
		err->code = BKP_IO;
}

int
bkp_s3_call_end(struct bkp_s3_call *call, int rc, struct bkp_error *err)
{
	if (call->lent != NULL)
		bkp_s3_pool_give(call->bucket->pool, call->lent);
	free(call->key);
	if (rc < 0 && err != NULL)
		tell_as_io(err);
	return rc;
}

bool
bkp_s3_is_status(const struct bkp_error *err, int status)
{
	return err->sys == status;
}

/* ---- writing ---- */

int
bkp_s3_call_put(struct bkp_s3_call *call, const void *data, size_t len,
    bool is_new, struct bkp_error *err)
{
	const struct bkp_s3_body body = {
	    .data = data != NULL ? data : "", .size = len};
	struct bkp_s3_put_options options = {
	    .body = &body, .if_absent = is_new};
	struct bkp_s3_lock lock;
	int rc;

	if (bkp_s3_store_lock(call->bucket, call->name, &lock))
		options.lock = &lock;
	rc = bkp_s3_put_object(call->lent->connection, call->bucket->name,
	    call->key, &options, NULL, err);
	if (rc < 0 && err != NULL &&
	    (err->code == BKP_CORRUPT || err->code == BKP_NOTFOUND))
		err->code = BKP_IO; /* bytes that never arrived; no bucket */
	return rc;
}

static int
s3_put(struct bkp_store *store, const char *name, const void *data, size_t len,
    struct bkp_error *err)
{
	struct bkp_s3_call call;

	if (bkp_s3_call_begin(store, name, &call, err) < 0)
		return -1;
	return bkp_s3_call_end(
	    &call, bkp_s3_call_put(&call, data, len, false, err), err);
}

/* ---- listing ---- */

/* "2026-11-21T14:34:11.123Z" to microseconds, the second's beginning. */
static bool
read_time(const char *text, int64_t *us)
{
	struct tm tm = {.tm_isdst = 0};
	time_t seconds;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon,
		&tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if ((seconds = timegm(&tm)) == (time_t)-1)
		return false;
	*us = (int64_t)seconds * 1000000;
	return true;
}

/* Keys that no object of a repository has are somebody else's, or unfinished;
 * is_claims: these are wanted. */
static int
pass_on(const struct bkp_s3_store *bucket, const struct bkp_s3_object *object,
    bool is_claims, bkp_store_list_fn *fn, void *arg, struct bkp_error *err)
{
	struct bkp_store_object found = {
	    .name = object->key + strlen(bucket->prefix), .size = object->size};

	if (!is_claims && !bkp_store_is_name(found.name))
		return 0;
	if (!read_time(object->last_modified, &found.modified_us))
		return bkp_fail(err, BKP_IO,
		    "the date of %s is \"%.40s\", which is none", found.name,
		    object->last_modified);
	return fn(arg, &found, err);
}

int
bkp_s3_call_list(struct bkp_s3_call *call, bool is_claims,
    bkp_store_list_fn *fn, void *arg, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	int rc, passed = 0;

	rc = bkp_s3_list_open(call->lent->connection, call->bucket->name,
	    call->key, &listing, &problem);
	while (
	    rc == 0 && (rc = bkp_s3_list_next(listing, &object, &problem)) == 1)
		rc = passed =
		    pass_on(call->bucket, &object, is_claims, fn, arg, err);
	bkp_s3_list_close(listing);
	if (rc == 0 || passed < 0)
		return rc;
	/* A listing that is not to be trusted is no damage of an object. */
	if (problem.code == BKP_CORRUPT || problem.code == BKP_NOTFOUND)
		problem.code = BKP_IO;
	tell_as_io(&problem);
	if (err != NULL)
		*err = problem;
	return -1;
}

/* The caller's own errors are passed as they are. */
static int
s3_list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	const struct bkp_s3_past *past = ((struct bkp_s3_store *)store)->past;
	struct bkp_s3_call call;
	int rc;

	if (past != NULL)
		return bkp_s3_past_list(past, prefix, fn, arg, err);
	if (bkp_s3_call_begin(store, prefix, &call, err) < 0)
		return -1;
	rc = bkp_s3_call_list(&call, false, fn, arg, err);
	(void)bkp_s3_call_end(&call, 0, NULL);
	return rc;
}

/* ---- removing ---- */

static int
remove_key(struct bkp_s3_call *call, struct bkp_error *err)
{
	return bkp_s3_delete(
	    call->lent->connection, call->bucket->name, call->key, err);
}

static int
s3_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_store_object object;
	struct bkp_s3_call call;
	int rc;

	if (bkp_s3_call_begin(store, name, &call, err) < 0)
		return -1;
	rc = bkp_s3_call_look(&call, &object, err);
	if (rc == 0)
		rc = remove_key(&call, err);
	return bkp_s3_call_end(&call, rc, err);
}

/* ---- objects that no listing shows ---- */

int
bkp_s3_put_hidden(
    struct bkp_store *store, const char *name, struct bkp_error *err)
{
	return s3_put(store, name, name, strlen(name), err);
}

/* Whoever may not delete may still write a repository. */
int
bkp_s3_remove_hidden(
    struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_s3_call call;

	if (bkp_s3_call_begin(store, name, &call, err) < 0)
		return -1;
	if (bkp_s3_call_end(&call, remove_key(&call, &problem), &problem) ==
		0 ||
	    bkp_s3_is_status(&problem, 403) || problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
s3_probe(struct bkp_store *store, struct bkp_error *err)
{
	if (bkp_s3_put_hidden(store, PROBE, err) < 0)
		return -1;
	return bkp_s3_remove_hidden(store, PROBE, err);
}

/* ---- opening ---- */

static void
s3_close(struct bkp_store *store)
{
	struct bkp_s3_store *bucket = (struct bkp_s3_store *)store;

	bkp_s3_past_free(bucket->past);
	bkp_s3_pool_free(bucket->pool);
	free(bucket->name);
	free(bucket->prefix);
	free(store->location);
	free(bucket);
}

static const struct bkp_store_ops s3_ops = {
    .driver = "s3",
    .put = s3_put,
    .put_new = bkp_s3_store_put_new,
    .get = bkp_s3_store_get,
    .stat = bkp_s3_store_stat,
    .list = s3_list,
    .remove = s3_remove,
    .probe = s3_probe,
    .tend = bkp_s3_store_tend,
    .close = s3_close,
};

/* ---- as of a time ---- */

static int
refuse_past(struct bkp_error *err)
{
	return bkp_fail(err, BKP_INVALID,
	    "it is read as it was at a time (--as-of), and nothing is written "
	    "there");
}

static int
past_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	(void)store;
	(void)name;
	(void)data;
	(void)len;
	return refuse_past(err);
}

static int
past_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	(void)store;
	(void)name;
	return refuse_past(err);
}

static int
past_probe(struct bkp_store *store, struct bkp_error *err)
{
	(void)store;
	return refuse_past(err);
}

static const struct bkp_store_ops past_ops = {
    .driver = "s3",
    .put = past_put,
    .put_new = past_put,
    .get = bkp_s3_store_get,
    .stat = bkp_s3_store_stat,
    .list = s3_list,
    .remove = past_remove,
    .probe = past_probe,
    .close = s3_close,
};

static int
go_back(struct bkp_s3_store *bucket, int64_t as_of_us, struct bkp_error *err)
{
	if (bkp_s3_past_read(bucket, as_of_us, &bucket->past, err) < 0)
		return -1;
	bucket->base.ops = &past_ops;
	bucket->base.is_past = true;
	return 0;
}

static int
apply_storage(struct bkp_s3_store *bucket,
    const struct bkp_storage_config *storage, struct bkp_error *err)
{
	if (storage == NULL)
		return 0;
	if (storage->as_of_us > 0)
		return go_back(bucket, storage->as_of_us, err);
	bucket->lock_days = storage->lock_days;
	if (storage->lock_days > 0)
		bucket->lock_mode = storage->is_compliance
					? BKP_S3_LOCK_COMPLIANCE
					: BKP_S3_LOCK_GOVERNANCE;
	return bkp_s3_store_check_lock(bucket, err);
}

/* Nothing in a location is a secret, an option or a quoted byte. */
static int
check_location(const char *location, struct bkp_error *err)
{
	for (const char *c = location; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f ||
		    strchr("@?#%\\", *c) != NULL)
			return bkp_fail(err, BKP_INVALID,
			    "a repository in a bucket is s3://BUCKET/PREFIX, "
			    "without '@', '?', '#', '%%', '\\' or blanks; "
			    "endpoint and credentials belong into 'storage' of "
			    "the configuration, or the environment (AWS_*)");
	if (strstr(location + strlen(SCHEME), "//") != NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%.200s: an empty name between two '/'", location);
	return 0;
}

/* "s3://bucket/a/b/": the bucket, and "a/b/" or "". */
static int
split_location(
    struct bkp_s3_store *bucket, const char *location, struct bkp_error *err)
{
	const char *name = location + strlen(SCHEME);
	size_t name_len = strcspn(name, "/"), prefix_len;
	const char *prefix = name + name_len;

	if (check_location(location, err) < 0)
		return -1;
	if (*prefix == '/')
		prefix++;
	prefix_len = strlen(prefix);
	if (prefix_len > 0 && prefix[prefix_len - 1] == '/')
		prefix_len--;
	if (name_len == 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s names no bucket; write s3://BUCKET/PREFIX", location);
	if (prefix_len > PREFIX_MAX)
		return bkp_fail(err, BKP_INVALID,
		    "the prefix of a repository in a bucket is %d bytes at the "
		    "most",
		    PREFIX_MAX);
	bucket->name = bkp_format(err, "%.*s", (int)name_len, name);
	bucket->prefix = bkp_format(
	    err, "%.*s%s", (int)prefix_len, prefix, prefix_len > 0 ? "/" : "");
	if (bucket->name == NULL || bucket->prefix == NULL)
		return -1;
	bucket->base.location = bkp_format(err, SCHEME "%s%s%.*s", bucket->name,
	    prefix_len > 0 ? "/" : "", (int)prefix_len, prefix);
	return bucket->base.location != NULL ? 0 : -1;
}

/* That the bucket is missing must not look like objects that are. What else a
 * server has against us, the first request tells better than a HEAD can. */
static int
check_bucket(struct bkp_s3_store *bucket, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_s3_lent *lent = bkp_s3_pool_take(bucket->pool, err);
	int rc;

	if (lent == NULL)
		return -1;
	rc = bkp_s3_head_bucket(lent->connection, bucket->name, &problem);
	bkp_s3_pool_give(bucket->pool, lent);
	if (rc == 0 || problem.code == BKP_AUTH)
		return 0;
	if (problem.code == BKP_NOTFOUND)
		return bkp_fail(err, BKP_NOTFOUND,
		    "%s: there is no bucket '%s' at %s; make it first, with "
		    "object locking where that is wanted",
		    bucket->base.location, bucket->name,
		    bkp_s3_pool_endpoint(bucket->pool));
	if (err != NULL)
		*err = problem;
	return bkp_fail_in(err, "%s", bucket->base.location);
}

int
bkp_store_s3_open(const char *location,
    const struct bkp_storage_config *storage, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err)
{
	struct bkp_s3_options options = {.endpoint = NULL};
	struct bkp_s3_store *bucket = bkp_alloc(sizeof(*bucket), err);

	if (bucket == NULL)
		return -1;
	bucket->base.ops = &s3_ops;
	if (storage != NULL)
		options = bkp_s3_options_of(&storage->bucket);
	if (storage != NULL && storage->has_others)
		options.first_s = FIRST_S;
	if (split_location(bucket, location, err) < 0 ||
	    bkp_s3_pool_new(&options, storage != NULL ? storage->cancel : NULL,
		&bucket->pool, err) < 0 ||
	    check_bucket(bucket, err) < 0 ||
	    apply_storage(bucket, storage, err) < 0 ||
	    (mode == BKP_STORE_CREATE &&
		bkp_store_probe(&bucket->base, err) < 0)) {
		s3_close(&bucket->base);
		return -1;
	}
	*out = &bucket->base;
	return 0;
}
