/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"

/* Adds an ETag condition, in quotes. */
static int
add_if_match(
    struct bkp_s3_fields *headers, const char *etag, struct bkp_error *err)
{
	char *quoted = bkp_format(err, "\"%s\"", etag);
	int rc = -1;

	if (quoted != NULL)
		rc = bkp_s3_fields_add(headers, "if-match", quoted, err);
	free(quoted);
	return rc;
}

/* Moves the headers of an answer to the end of a list. */
static int
move_headers(struct bkp_s3_response *response, struct bkp_s3_fields *headers,
    struct bkp_error *err)
{
	for (size_t i = 0; i < response->headers.count; i++)
		if (bkp_s3_fields_add(headers, response->headers.items[i].name,
			response->headers.items[i].value, err) < 0)
			return -1;
	return 0;
}

int
bkp_s3_add_version(
    struct bkp_s3_fields *query, const char *version_id, struct bkp_error *err)
{
	if (version_id == NULL)
		return 0;
	return bkp_s3_fields_add(query, "versionId", version_id, err);
}

int
bkp_s3_head_version(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, unsigned part,
    struct bkp_s3_fields *headers, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "HEAD", .bucket = bucket, .key = key, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	char number[16];
	int rc = bkp_s3_add_version(&query, version_id, err);

	(void)snprintf(number, sizeof(number), "%u", part);
	if (part > 0 && rc == 0)
		rc = bkp_s3_fields_add(&query, "partNumber", number, err);
	if (rc == 0)
		rc = bkp_s3_ask(connection, &request, &response, err);
	if (rc == 0)
		rc = move_headers(&response, headers, err);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_head(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, unsigned part, struct bkp_s3_fields *headers,
    struct bkp_error *err)
{
	return bkp_s3_head_version(
	    connection, bucket, key, NULL, part, headers, err);
}

/* ---- get ---- */

/* A get that may take several requests. */
struct getting {
	const struct bkp_s3_get_options *options;
	bool has_begun;
	uint64_t total; /* as the first answer said; UINT64_MAX: it did not */
	uint64_t done;
	char *etag; /* of the first answer, owned */
};

static int
keep_etag(struct getting *getting, const struct bkp_s3_fields *headers,
    struct bkp_error *err)
{
	const char *etag = bkp_s3_fields_get(headers, "etag");
	size_t len;

	if (etag == NULL)
		return 0;
	len = strlen(etag);
	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"') {
		etag++;
		len -= 2;
	}
	if ((getting->etag = strndup(etag, len)) == NULL)
		return bkp_fail_nomem(err, "fetching an object");
	return 0;
}

/* True where the answer goes on at exactly the byte that was asked for. */
static bool
continues(const struct getting *getting, const struct bkp_s3_fields *headers)
{
	const char *range = bkp_s3_fields_get(headers, "content-range");
	unsigned long long first;

	return range != NULL && sscanf(range, "bytes %llu-", &first) == 1 &&
	       first == getting->options->first + getting->done;
}

static int
begin_get(void *arg, const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	struct getting *getting = arg;
	const char *length = bkp_s3_fields_get(headers, "content-length");

	if (getting->has_begun) {
		if (getting->done > 0 && !continues(getting, headers))
			return bkp_fail(err, BKP_CORRUPT,
			    "the server did not go on with the object where "
			    "the transfer broke");
		return 0;
	}
	if (getting->options->len > 0 && !continues(getting, headers))
		return bkp_fail(err, BKP_CORRUPT,
		    "the server did not give the range that it was asked for");
	getting->has_begun = true;
	getting->total =
	    length != NULL ? strtoull(length, NULL, 10) : UINT64_MAX;
	if (keep_etag(getting, headers, err) < 0)
		return -1;
	if (getting->options->begin == NULL)
		return 0;
	return getting->options->begin(getting->options->arg, headers, err);
}

static int
write_get(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct getting *getting = arg;

	if (getting->options->write(getting->options->arg, data, len, err) < 0)
		return -1;
	getting->done += len;
	return 0;
}

static int
get_headers(const struct getting *getting, struct bkp_s3_fields *headers,
    struct bkp_error *err)
{
	const char *etag =
	    getting->etag != NULL ? getting->etag : getting->options->if_match;
	uint64_t first = getting->options->first + getting->done;
	uint64_t len = getting->options->len;
	char range[64];

	if (etag != NULL && add_if_match(headers, etag, err) < 0)
		return -1;
	if (getting->done == 0 && len == 0)
		return 0;
	if (len == 0)
		(void)snprintf(range, sizeof(range), "bytes=%llu-",
		    (unsigned long long)first);
	else
		(void)snprintf(range, sizeof(range), "bytes=%llu-%llu",
		    (unsigned long long)first,
		    (unsigned long long)(getting->options->first + len - 1));
	return bkp_s3_fields_add(headers, "range", range, err);
}

/* One request of a get. */
static enum bkp_s3_end
try_get(struct bkp_s3_connection *connection, struct bkp_s3_request *request,
    struct getting *getting, struct bkp_s3_response *response,
    struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	enum bkp_s3_end end = BKP_S3_FAILED;

	if (get_headers(getting, &headers, err) == 0) {
		request->headers = &headers;
		end = bkp_s3_try(connection, request, response, err);
		request->headers = NULL;
	}
	bkp_s3_fields_free(&headers);
	return end;
}

static int
get_all(struct bkp_s3_connection *connection, struct bkp_s3_request *request,
    struct getting *getting, struct bkp_error *err)
{
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	struct bkp_s3_tries tries = {.failed = 0};
	int rc;

	do {
		uint64_t before = getting->done;
		enum bkp_s3_end end =
		    try_get(connection, request, getting, &response, err);

		/* All there, but the connection died at the very end. */
		if (end == BKP_S3_AGAIN && getting->has_begun &&
		    getting->done == getting->total)
			end = BKP_S3_DONE;
		/* A transfer that gets on may break any number of times. */
		if (getting->done > before)
			tries.failed = 0;
		rc = bkp_s3_after(connection, &tries, end, &response, err);
	} while (rc == 1);
	bkp_s3_response_free(&response);
	if (rc == 0 && getting->total != UINT64_MAX &&
	    getting->done != getting->total)
		return bkp_fail(err, BKP_CORRUPT,
		    "GET s3://%s/%s: %llu bytes came where %llu were announced",
		    request->bucket, request->key,
		    (unsigned long long)getting->done,
		    (unsigned long long)getting->total);
	return rc;
}

int
bkp_s3_get(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_get_options *options,
    struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	struct getting getting = {
	    .options = options, .total = UINT64_MAX, .etag = NULL};
	struct bkp_s3_request request = {.method = "GET",
	    .bucket = bucket,
	    .key = key,
	    .query = &query,
	    .begin = begin_get,
	    .write = write_get,
	    .arg = &getting};
	int rc = bkp_s3_add_version(&query, options->version_id, err);

	if (rc == 0)
		rc = get_all(connection, &request, &getting, err);
	free(getting.etag);
	bkp_s3_fields_free(&query);
	return rc;
}

/* ---- delete ---- */

int
bkp_s3_delete_version(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "DELETE", .bucket = bucket, .key = key, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = bkp_s3_add_version(&query, version_id, err);

	if (rc == 0)
		rc = bkp_s3_ask(connection, &request, &response, err);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_delete(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, struct bkp_error *err)
{
	return bkp_s3_delete_version(connection, bucket, key, NULL, err);
}
