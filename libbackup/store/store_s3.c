/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/store/store_s3_own.h"

#define SCHEME "s3://"
#define PREFIX_MAX 700 /* with a name of 200 bytes a key that servers take */
#define READS 5        /* of an object that is not as it should be */
#define PROBE "tmp-probe"
#define CLAIM "tmp-new-"
#define CLAIM_SIZE 32
#define CLAIM_LEFT_US (INT64_C(15) * 60 * 1000000) /* nobody takes so long */

/* One call: a connection and the key. */
struct call {
	struct bkp_s3_store *bucket;
	struct bkp_s3_lent *lent;
	const char *name;                      /* borrowed */
	char *key;                             /* owned */
	const struct bkp_s3_past_object *past; /* NULL: as it is now */
};

static int
missing(struct bkp_error *err)
{
	return bkp_fail(err, BKP_NOTFOUND, "there is no such object");
}

static int
begin(struct bkp_store *store, const char *name, struct call *call,
    struct bkp_error *err)
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

static int
end(struct call *call, int rc, struct bkp_error *err)
{
	if (call->lent != NULL)
		bkp_s3_pool_give(call->bucket->pool, call->lent);
	free(call->key);
	if (rc < 0 && err != NULL)
		tell_as_io(err);
	return rc;
}

/* The same for what is read: as of a time, its version of then. */
static int
begin_read(struct bkp_store *store, const char *name, struct call *call,
    struct bkp_error *err)
{
	const struct bkp_s3_past *past = ((struct bkp_s3_store *)store)->past;
	const struct bkp_s3_past_object *object = NULL;

	if (past != NULL && (object = bkp_s3_past_find(past, name)) == NULL)
		return missing(err);
	if (begin(store, name, call, err) < 0)
		return -1;
	call->past = object;
	return 0;
}

static bool
is_status(const struct bkp_error *err, int status)
{
	return err->sys == status;
}

/* ---- writing ---- */

static int
put_bytes(struct call *call, const void *data, size_t len, bool is_new,
    struct bkp_error *err)
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
	struct call call;

	if (begin(store, name, &call, err) < 0)
		return -1;
	return end(&call, put_bytes(&call, data, len, false, err), err);
}

/* ---- reading ---- */

/* A read of an object, or of a part of it. */
struct reading {
	struct fmt_buf *out;
	char md5[33]; /* the ETag, where it may be one */
};

static int
note_etag(void *arg, const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	static const char digits[] = "0123456789abcdef";
	const char *etag = bkp_s3_fields_get(headers, "etag");
	struct reading *reading = arg;

	(void)err;
	reading->md5[0] = '\0';
	if (etag != NULL && etag[0] == '"' && strspn(etag + 1, digits) == 32 &&
	    etag[33] == '"')
		(void)snprintf(
		    reading->md5, sizeof(reading->md5), "%.32s", etag + 1);
	return 0;
}

static int
append(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct reading *reading = arg;

	if (fmt_buf_append(reading->out, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "reading an object");
	return 0;
}

/* len 0: all of it. What replaces an object while it is read makes the read
 * begin again: it is another one. */
static int
read_bytes(struct call *call, uint64_t offset, uint64_t len,
    struct reading *reading, struct bkp_error *err)
{
	const struct bkp_s3_get_options options = {
	    .version_id = call->past != NULL ? call->past->version : NULL,
	    .first = offset,
	    .len = len,
	    .begin = note_etag,
	    .write = append,
	    .arg = reading,
	};
	size_t before = reading->out->len;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = -1;

	for (int n = 0; rc < 0 && n < READS; n++) {
		reading->out->len = before;
		problem = (struct bkp_error)BKP_ERROR_INIT;
		rc = bkp_s3_get(call->lent->connection, call->bucket->name,
		    call->key, &options, &problem);
		if (rc < 0 && !is_status(&problem, 412))
			break;
	}
	if (rc == 0)
		return 0;
	if (is_status(&problem, 416))
		return bkp_fail(err, BKP_CORRUPT,
		    "the object ends before byte %" PRIu64, offset);
	/* An answer that breaks the protocol is no damage of the object. */
	if (problem.code == BKP_CORRUPT)
		problem.code = BKP_IO;
	if (problem.code == BKP_NOTFOUND)
		return missing(err);
	if (err != NULL)
		*err = problem;
	return -1;
}

/* The digest that tells a good body: the one that is its name, or its ETag. */
static bool
is_proven(const char *name, const struct reading *reading, size_t before,
    char digest[65])
{
	const char *last = strrchr(name, '/');
	const unsigned char *data = reading->out->data;
	size_t len = reading->out->len - before, size = 0;
	const char *wanted = last != NULL ? last + 1 : name;
	unsigned char raw[EVP_MAX_MD_SIZE];
	bool is_named = strlen(wanted) == 64 &&
			strspn(wanted, "0123456789abcdef") == 64 &&
			strncmp(name, "parity/", 7) != 0;

	if (!is_named)
		wanted = reading->md5;
	digest[0] = '\0';
	if (wanted[0] == '\0')
		return true;
	if (EVP_Q_digest(NULL, is_named ? "SHA256" : "MD5", NULL,
		data != NULL ? data + before : (const unsigned char *)"", len,
		raw, &size) != 1)
		return true;
	fmt_hex(raw, size, digest);
	return strcmp(digest, wanted) == 0;
}

/* Until it is proven, or has come twice with the same bytes. */
static int
read_whole(struct call *call, const char *name, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct reading reading = {.out = out};
	size_t before = out->len;
	char digest[65], last[65] = "";

	for (int n = 0; n < READS; n++) {
		out->len = before;
		if (read_bytes(call, 0, 0, &reading, err) < 0)
			return -1;
		if (is_proven(name, &reading, before, digest) ||
		    strcmp(digest, last) == 0)
			break;
		memcpy(last, digest, sizeof(last));
	}
	return 0;
}

static int
read_range(struct call *call, uint64_t offset, uint64_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct reading reading = {.out = out};
	size_t before = out->len;

	if (read_bytes(call, offset, len, &reading, err) < 0)
		return -1;
	if (out->len - before == len)
		return 0;
	return bkp_fail(err, BKP_CORRUPT,
	    "the object ends %" PRIu64 " bytes early",
	    len - (uint64_t)(out->len - before));
}

static int
look(struct call *call, struct bkp_store_object *out, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	const char *length, *modified;
	time_t seconds = -1;
	int rc;

	if (call->past != NULL) {
		*out = (struct bkp_store_object){.size = call->past->size,
		    .modified_us = call->past->modified_us};
		return 0;
	}
	rc = bkp_s3_head(call->lent->connection, call->bucket->name, call->key,
	    0, &headers, &problem);

	if (rc == 0) {
		length = bkp_s3_fields_get(&headers, "content-length");
		modified = bkp_s3_fields_get(&headers, "last-modified");
		if (modified != NULL)
			seconds = curl_getdate(modified, NULL);
		if (length == NULL || seconds == -1)
			rc = bkp_fail(&problem, BKP_IO,
			    "HEAD %s%s/%s: the answer has no length or no date",
			    SCHEME, call->bucket->name, call->key);
		else
			*out = (struct bkp_store_object){
			    .size = strtoull(length, NULL, 10),
			    .modified_us = (int64_t)seconds * 1000000};
	}
	bkp_s3_fields_free(&headers);
	if (rc == 0)
		return 0;
	if (problem.code == BKP_NOTFOUND)
		return missing(err);
	if (err != NULL)
		*err = problem;
	return -1;
}

/* More than any object has, and than any server counts to. */
static bool
is_beyond(uint64_t offset, uint64_t len)
{
	return offset > INT64_MAX || len > INT64_MAX - offset;
}

/* Nothing, or all from somewhere on: how long the object is must be known. */
static int
read_rest(struct call *call, uint64_t offset, uint64_t len, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct bkp_store_object object;

	if (look(call, &object, err) < 0)
		return -1;
	if (offset > object.size ||
	    (len != BKP_STORE_WHOLE && len > object.size - offset))
		return bkp_fail(err, BKP_CORRUPT,
		    "the object has %" PRIu64 " bytes, and more were expected",
		    object.size);
	if (len > 0)
		len = object.size - offset;
	return len > 0 ? read_range(call, offset, len, out, err) : 0;
}

static int
s3_get(struct bkp_store *store, const char *name, uint64_t offset, uint64_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct call call;
	int rc;

	if (begin_read(store, name, &call, err) < 0)
		return -1;
	if (len == BKP_STORE_WHOLE && offset == 0)
		rc = read_whole(&call, name, out, err);
	else if (len == 0 || is_beyond(offset, len))
		rc = read_rest(&call, offset, len, out, err);
	else
		rc = read_range(&call, offset, len, out, err);
	return end(&call, rc, err);
}

static int
s3_stat(struct bkp_store *store, const char *name, struct bkp_store_object *out,
    struct bkp_error *err)
{
	struct call call;

	if (begin_read(store, name, &call, err) < 0)
		return -1;
	return end(&call, look(&call, out, err), err);
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

static int
list_keys(struct call *call, bool is_claims, bkp_store_list_fn *fn, void *arg,
    struct bkp_error *err)
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
	struct call call;
	int rc;

	if (past != NULL)
		return bkp_s3_past_list(past, prefix, fn, arg, err);
	if (begin(store, prefix, &call, err) < 0)
		return -1;
	rc = list_keys(&call, false, fn, arg, err);
	(void)end(&call, 0, NULL);
	return rc;
}

/* ---- removing ---- */

static int
remove_key(struct call *call, struct bkp_error *err)
{
	return bkp_s3_delete(
	    call->lent->connection, call->bucket->name, call->key, err);
}

static int
s3_remove(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_store_object object;
	struct call call;
	int rc;

	if (begin(store, name, &call, err) < 0)
		return -1;
	rc = look(&call, &object, err);
	if (rc == 0)
		rc = remove_key(&call, err);
	return end(&call, rc, err);
}

/* ---- objects that no listing shows ---- */

static int
put_hidden(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	return s3_put(store, name, name, strlen(name), err);
}

/* Whoever may not delete may still write a repository. */
static int
remove_hidden(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct call call;

	if (begin(store, name, &call, err) < 0)
		return -1;
	if (end(&call, remove_key(&call, &problem), &problem) == 0 ||
	    is_status(&problem, 403) || problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
s3_probe(struct bkp_store *store, struct bkp_error *err)
{
	if (put_hidden(store, PROBE, err) < 0)
		return -1;
	return remove_hidden(store, PROBE, err);
}

/* ---- a name that nobody has yet ---- */

struct claim {
	struct bkp_store *store;
	char name[CLAIM_SIZE];
	int64_t stored_us;
};

/* One that nobody minds any more is taken away. */
static int
judge_claim(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	const struct claim *claim = arg;

	if (strcmp(object->name, claim->name) == 0)
		return 0;
	if (claim->stored_us - object->modified_us >= CLAIM_LEFT_US)
		return remove_hidden(claim->store, object->name, err);
	return bkp_fail(err, BKP_EXISTS,
	    "somebody else is making the same at this moment (%s); where that "
	    "was a run that was killed, try again in 15 minutes",
	    object->name);
}

/* Announces that a name is to be taken. Of two who do, at least one sees the
 * other's claim, or what he made of it. */
static int
stake(struct claim *claim, struct bkp_error *err)
{
	struct bkp_store_object object;
	struct call call;
	int rc;

	if (put_hidden(claim->store, claim->name, err) < 0 ||
	    s3_stat(claim->store, claim->name, &object, err) < 0)
		return -1;
	claim->stored_us = object.modified_us;
	if (begin(claim->store, CLAIM, &call, err) < 0)
		return -1;
	rc = list_keys(&call, true, judge_claim, claim, err);
	(void)end(&call, 0, NULL);
	return rc;
}

static int
is_free(struct bkp_store *store, const char *name, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_store_object object;

	if (s3_stat(store, name, &object, &problem) == 0)
		return bkp_fail(err, BKP_EXISTS, "exists already");
	if (problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* What is there now must be what was put; a put that was sent again because
 * its answer was lost is refused, as the first one made it. */
static int
put_once(struct call *call, const char *name, const void *data, size_t len,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_buf there = FMT_BUF_INIT;
	int rc = put_bytes(call, data, len, true, &problem);

	/* A server that has no conditions may say so. */
	if (rc < 0 && is_status(&problem, 501))
		rc = put_bytes(call, data, len, false, &problem);
	if (rc < 0 && !is_status(&problem, 412)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	rc = read_whole(call, name, &there, err);
	if (rc == 0 && (there.len != len || memcmp(there.data, data, len) != 0))
		rc = bkp_fail(err, BKP_EXISTS, "exists already");
	fmt_buf_free(&there);
	return rc;
}

static int
s3_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct claim claim = {.store = store};
	struct call call;
	uint64_t random;
	int rc;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return bkp_fail(err, BKP_IO, "making a random number failed");
	(void)snprintf(
	    claim.name, sizeof(claim.name), CLAIM "%016" PRIx64, random);
	if (is_free(store, name, err) < 0)
		return -1;
	rc = stake(&claim, err);
	if (rc == 0)
		rc = is_free(store, name, err);
	if (rc == 0 && (rc = begin(store, name, &call, err)) == 0)
		rc = end(&call, put_once(&call, name, data, len, err), err);
	(void)remove_hidden(store, claim.name, NULL);
	return rc;
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
    .put_new = s3_put_new,
    .get = s3_get,
    .stat = s3_stat,
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
    .get = s3_get,
    .stat = s3_stat,
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
