/* SPDX-License-Identifier: Apache-2.0 */
/* Reading objects of a bucket, and again where they come damaged. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/store/store_s3_own.h"

#define READS 5 /* of an object that is not as it should be */

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
read_bytes(struct bkp_s3_call *call, uint64_t offset, uint64_t len,
    struct reading *reading, struct bkp_error *err)
{
	const struct bkp_s3_get_options options = {
	    .version_id = call->past != NULL ? call->past->id : NULL,
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
		if (rc < 0 && !bkp_s3_is_status(&problem, 412))
			break;
	}
	if (rc == 0)
		return 0;
	if (bkp_s3_is_status(&problem, 416))
		return bkp_fail(err, BKP_CORRUPT,
		    "the object ends before byte %" PRIu64, offset);
	/* An answer that breaks the protocol is no damage of the object. */
	if (problem.code == BKP_CORRUPT)
		problem.code = BKP_IO;
	if (problem.code == BKP_NOTFOUND)
		return bkp_s3_missing(err);
	if (err != NULL)
		*err = problem;
	return -1;
}

static bool
is_hex(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* The SHA-256 that the bytes of an object of that name have, or NULL. */
static const char *
sha256_of(const char *name)
{
	const char *last = strrchr(name, '/');

	last = last != NULL ? last + 1 : name;
	return is_hex(last) && strncmp(name, "parity/", 7) != 0 ? last : NULL;
}

/* The digest that tells a good body: the one that is its name, or its ETag. */
static bool
is_proven(const char *name, const struct reading *reading, size_t before,
    char digest[65])
{
	const unsigned char *data = reading->out->data;
	size_t len = reading->out->len - before, size = 0;
	const char *named = sha256_of(name);
	const char *wanted = named != NULL ? named : reading->md5;
	unsigned char raw[EVP_MAX_MD_SIZE];

	digest[0] = '\0';
	if (wanted[0] == '\0')
		return true;
	if (EVP_Q_digest(NULL, named != NULL ? "SHA256" : "MD5", NULL,
		data != NULL ? data + before : (const unsigned char *)"", len,
		raw, &size) != 1)
		return true;
	fmt_hex(raw, size, digest);
	return strcmp(digest, wanted) == 0;
}

/* Until it is proven, or has come twice with the same bytes. */
static int
read_whole(struct bkp_s3_call *call, struct fmt_buf *out, bool *is_good,
    struct bkp_error *err)
{
	struct reading reading = {.out = out};
	size_t before = out->len;
	char digest[65], last[65] = "";

	*is_good = false;
	for (int n = 0; n < READS && !*is_good; n++) {
		out->len = before;
		if (read_bytes(call, 0, 0, &reading, err) < 0)
			return -1;
		*is_good = is_proven(call->name, &reading, before, digest);
		if (!*is_good && strcmp(digest, last) == 0)
			break;
		memcpy(last, digest, sizeof(last));
	}
	return 0;
}

int
bkp_s3_call_read(
    struct bkp_s3_call *call, struct fmt_buf *out, struct bkp_error *err)
{
	bool is_good;

	return read_whole(call, out, &is_good, err);
}

/* ---- as of a time ---- */

/* Looks for the version whose bytes are those of the name, and stays with it.
 * Where there is none, the first stands for what is there. */
static int
prove(struct bkp_s3_call *call, struct bkp_s3_past_object *object,
    struct bkp_error *err)
{
	struct fmt_buf bytes = FMT_BUF_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	bool is_good = false;
	int rc = 0;

	for (size_t i = 0; i < object->count && rc == 0 && !is_good; i++) {
		fmt_buf_clear(&bytes);
		call->past = &object->versions[i];
		rc = read_whole(call, &bytes, &is_good, &why);
		if (rc < 0 && why.code == BKP_NOTFOUND)
			rc = 0; /* its lock was over, and it went */
		if (is_good)
			atomic_store(&object->chosen, i);
	}
	fmt_buf_free(&bytes);
	if (rc == 0)
		atomic_store(&object->is_proven, true);
	else if (err != NULL)
		*err = why;
	return rc;
}

/* As bkp_s3_call_begin; as of a time, for the version of then. */
static int
begin_read(struct bkp_store *store, const char *name, struct bkp_s3_call *call,
    struct bkp_error *err)
{
	const struct bkp_s3_past *past = ((struct bkp_s3_store *)store)->past;
	struct bkp_s3_past_object *object = NULL;

	if (past != NULL && (object = bkp_s3_past_find(past, name)) == NULL)
		return bkp_s3_missing(err);
	if (bkp_s3_call_begin(store, name, call, err) < 0)
		return -1;
	if (object == NULL)
		return 0;
	if (object->count > 1 && sha256_of(name) != NULL &&
	    !atomic_load(&object->is_proven) && prove(call, object, err) < 0)
		return bkp_s3_call_end(call, -1, err);
	call->past = &object->versions[atomic_load(&object->chosen)];
	return 0;
}

/* ---- the calls ---- */

static int
read_range(struct bkp_s3_call *call, uint64_t offset, uint64_t len,
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

int
bkp_s3_call_look(struct bkp_s3_call *call, struct bkp_store_object *out,
    struct bkp_error *err)
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
			    "HEAD s3://%s/%s: the answer has no length or no "
			    "date",
			    call->bucket->name, call->key);
		else
			*out = (struct bkp_store_object){
			    .size = strtoull(length, NULL, 10),
			    .modified_us = (int64_t)seconds * 1000000};
	}
	bkp_s3_fields_free(&headers);
	if (rc == 0)
		return 0;
	if (problem.code == BKP_NOTFOUND)
		return bkp_s3_missing(err);
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
read_rest(struct bkp_s3_call *call, uint64_t offset, uint64_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_store_object object;

	if (bkp_s3_call_look(call, &object, err) < 0)
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

int
bkp_s3_store_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_s3_call call;
	int rc;

	if (begin_read(store, name, &call, err) < 0)
		return -1;
	if (len == BKP_STORE_WHOLE && offset == 0)
		rc = bkp_s3_call_read(&call, out, err);
	else if (len == 0 || is_beyond(offset, len))
		rc = read_rest(&call, offset, len, out, err);
	else
		rc = read_range(&call, offset, len, out, err);
	return bkp_s3_call_end(&call, rc, err);
}

int
bkp_s3_store_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	struct bkp_s3_call call;

	if (begin_read(store, name, &call, err) < 0)
		return -1;
	return bkp_s3_call_end(&call, bkp_s3_call_look(&call, out, err), err);
}
