/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in one request, and what a server makes of conditions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"

void
bkp_s3_put_result_free(struct bkp_s3_put_result *result)
{
	fmt_buf_free(&result->etag);
	fmt_buf_free(&result->version_id);
}

static int
build_headers(const struct bkp_s3_put_options *options,
    const struct bkp_s3_digests *digests, struct bkp_s3_fields *out,
    struct bkp_error *err)
{
	const struct bkp_s3_fields *own = options->headers;

	for (size_t i = 0; own != NULL && i < own->count; i++)
		if (bkp_s3_fields_add(
			out, own->items[i].name, own->items[i].value, err) < 0)
			return -1;
	if (options->lock != NULL &&
	    bkp_s3_add_lock(out, options->lock, err) < 0)
		return -1;
	if (options->if_absent &&
	    bkp_s3_fields_add(out, "if-none-match", "*", err) < 0)
		return -1;
	return bkp_s3_add_md5(out, digests->md5, err);
}

/* Where the answer to a first try was lost, the object that is in the way may
 * be our own: it is, where its ETag is our MD5. */
static bool
is_our_own(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_digests *digests,
    struct bkp_s3_response *response)
{
	const struct bkp_s3_request request = {
	    .method = "HEAD", .bucket = bucket, .key = key};
	char expected[35] = "\"";
	const char *etag;

	for (size_t i = 0; i < 16; i++)
		(void)snprintf(
		    expected + 1 + 2 * i, 3, "%02x", digests->md5[i]);
	expected[33] = '"';
	expected[34] = '\0';
	if (bkp_s3_ask(connection, &request, response, NULL) < 0)
		return false;
	etag = bkp_s3_fields_get(&response->headers, "etag");
	return etag != NULL && strcmp(etag, expected) == 0;
}

/* 412 to a condition is an answer of its own. */
static int
judge_condition(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_digests *digests,
    struct bkp_s3_response *response, struct bkp_error *err)
{
	if (response->status != 412)
		return -1;
	if (response->failed > 0 &&
	    is_our_own(connection, bucket, key, digests, response))
		return 0;
	(void)bkp_fail(err, BKP_EXISTS,
	    "PUT s3://%s/%.200s: there is such an object already", bucket, key);
	if (err != NULL)
		err->sys = 412;
	return -1;
}

static int
copy_result(const struct bkp_s3_response *response,
    struct bkp_s3_put_result *result, struct bkp_error *err)
{
	const char *version =
	    bkp_s3_fields_get(&response->headers, "x-amz-version-id");

	if (result == NULL)
		return 0;
	fmt_buf_clear(&result->version_id);
	if (fmt_buf_append_text(&result->version_id,
		version != NULL ? version : "") != FMT_OK ||
	    fmt_buf_text(&result->version_id) == NULL)
		return bkp_fail_nomem(err, "reading an answer");
	return bkp_s3_copy_etag(response, &result->etag, err);
}

int
bkp_s3_put_object(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_put_options *options,
    struct bkp_s3_put_result *result, struct bkp_error *err)
{
	const struct bkp_s3_digests *digests = options->digests;
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_request request = {.method = "PUT",
	    .bucket = bucket,
	    .key = key,
	    .headers = &headers,
	    .body = options->body};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	struct bkp_s3_digests own;
	int rc;

	if (digests == NULL) {
		if (bkp_s3_digest_body(options->body, &own, err) < 0)
			return -1;
		digests = &own;
	}
	request.sha256 = digests->sha256;
	rc = build_headers(options, digests, &headers, err);
	if (rc == 0) {
		rc = bkp_s3_ask(connection, &request, &response, err);
		if (rc < 0 && options->if_absent)
			rc = judge_condition(
			    connection, bucket, key, digests, &response, err);
	}
	if (rc == 0)
		rc = copy_result(&response, result, err);
	bkp_s3_fields_free(&headers);
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_put(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_fields *headers,
    const struct bkp_s3_body *body, const struct bkp_s3_digests *digests,
    struct fmt_buf *etag, struct bkp_error *err)
{
	const struct bkp_s3_put_options options = {
	    .headers = headers, .body = body, .digests = digests};
	struct bkp_s3_put_result result = BKP_S3_PUT_RESULT_INIT;
	int rc =
	    bkp_s3_put_object(connection, bucket, key, &options, &result, err);

	if (rc == 0 && etag != NULL) {
		fmt_buf_free(etag);
		*etag = result.etag;
		result.etag = (struct fmt_buf)FMT_BUF_INIT;
	}
	bkp_s3_put_result_free(&result);
	return rc;
}

/* ---- whether conditions mean anything ---- */

/* A name that nobody else uses. */
static char *
probe_key(const char *prefix, struct bkp_error *err)
{
	unsigned char noise[8];
	char hex[17];

	if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise)) {
		(void)bkp_fail(err, BKP_IO, "there is no randomness");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(noise); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", noise[i]);
	return bkp_format(err, "%sprobe-%s", prefix, hex);
}

/* Puts twice what may be put once. */
static int
probe(struct bkp_s3_connection *connection, const char *bucket, const char *key,
    bool *is_kept, struct bkp_error *err)
{
	const struct bkp_s3_body first = {.data = "1", .size = 1};
	const struct bkp_s3_body second = {.data = "2", .size = 1};
	struct bkp_s3_put_options options = {.body = &first, .if_absent = true};
	struct bkp_error why = BKP_ERROR_INIT;

	*is_kept = false;
	if (bkp_s3_put_object(connection, bucket, key, &options, NULL, &why) ==
	    0) {
		options.body = &second;
		if (bkp_s3_put_object(
			connection, bucket, key, &options, NULL, &why) == 0)
			return 0;
		*is_kept = why.code == BKP_EXISTS;
	}
	/* A server that knows no conditions may say so in many ways. */
	if (why.code == BKP_EXISTS || why.code == BKP_UNSUPPORTED)
		return 0;
	if (err != NULL)
		*err = why;
	return -1;
}

/* Both versions of the probe, where there are versions. Where they cannot be
 * deleted (object lock, permission), a byte stays behind. */
static void
remove_probe(
    struct bkp_s3_connection *connection, const char *bucket, const char *key)
{
	struct bkp_s3_versions *versions = NULL;
	struct bkp_s3_version version;
	int rc = -1;

	if (bkp_s3_versions_open(connection, bucket, key, &versions, NULL) == 0)
		while (
		    (rc = bkp_s3_versions_next(versions, &version, NULL)) == 1)
			(void)bkp_s3_delete_version(
			    connection, bucket, key, version.version_id, NULL);
	bkp_s3_versions_close(versions);
	/* A bucket with versions would answer this with a delete marker. */
	if (rc < 0)
		(void)bkp_s3_delete(connection, bucket, key, NULL);
}

int
bkp_s3_probe_if_absent(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, bool *is_kept, struct bkp_error *err)
{
	char *key = probe_key(prefix != NULL ? prefix : "", err);
	int rc = -1;

	if (key != NULL) {
		rc = probe(connection, bucket, key, is_kept, err);
		remove_probe(connection, bucket, key);
	}
	free(key);
	return rc;
}
