/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"

#define SECOND 1000000

/* A Date that a timer makes once a second, and half of one for a machine whose
 * timers are late. */
#define LATE_MAX (SECOND + SECOND / 2)

static int
ask_simple(struct bkp_s3_connection *connection, const char *method,
    const char *bucket, struct bkp_error *err)
{
	const struct bkp_s3_request request = {
	    .method = method, .bucket = bucket};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = bkp_s3_ask(connection, &request, &response, err);

	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_head_bucket(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_error *err)
{
	return ask_simple(connection, "HEAD", bucket, err);
}

/* Whoever is turned away is told the date as well. */
static int
ask_date(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_s3_response *response, int64_t *date, struct bkp_error *err)
{
	const struct bkp_s3_request request = {
	    .method = "HEAD", .bucket = bucket};
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_s3_ask(connection, &request, response, &why);
	const char *text = bkp_s3_fields_get(&response->headers, "date");

	if (rc < 0 &&
	    (why.code != BKP_AUTH || response->status != 403 || text == NULL)) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	*date = text != NULL ? curl_getdate(text, NULL) : -1;
	if (*date < 0)
		return bkp_fail(
		    err, BKP_UNSUPPORTED, "the server does not tell the date");
	return 0;
}

int
bkp_s3_get_date(struct bkp_s3_connection *connection, const char *bucket,
    int64_t *date, struct bkp_error *err)
{
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int64_t found;
	int rc = ask_date(connection, bucket, &response, &found, err);

	if (rc == 0)
		*date = found;
	bkp_s3_response_free(&response);
	return rc;
}

/* MinIO was seen to make it for every answer. */
static bool
has_fresh_date(const struct bkp_s3_response *response)
{
	const char *server = bkp_s3_fields_get(&response->headers, "server");

	return server != NULL && strncmp(server, "MinIO", 5) == 0;
}

int
bkp_s3_get_time(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_s3_time *out, struct bkp_error *err)
{
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int64_t date;
	int rc = ask_date(connection, bucket, &response, &date, err);

	if (rc == 0) {
		out->from = date * SECOND;
		out->to = out->from + SECOND;
		if (!has_fresh_date(&response))
			out->to += LATE_MAX;
	}
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_delete_bucket(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_error *err)
{
	return ask_simple(connection, "DELETE", bucket, err);
}

/* Outside us-east-1 AWS wants to be told the region in the body, too; in
 * us-east-1 it refuses to be. */
static int
create_bucket(struct bkp_s3_connection *connection, const char *bucket,
    const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	const char *region = connection->s3->credentials.region;
	struct bkp_s3_request request = {
	    .method = "PUT", .bucket = bucket, .headers = headers};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	struct bkp_s3_body body = {.data = "", .size = 0};
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_s3_digests digests;
	int rc = -1;

	if (strcmp(region, "us-east-1") != 0) {
		if (fmt_buf_printf(&text,
			"<CreateBucketConfiguration xmlns=\"http://"
			"s3.amazonaws.com/doc/2006-03-01/\">"
			"<LocationConstraint>%s</LocationConstraint>"
			"</CreateBucketConfiguration>",
			region) != FMT_OK) {
			(void)bkp_fail_nomem(err, "building a request");
			goto out;
		}
		body.data = text.data;
		body.size = text.len;
	}
	if (bkp_s3_digest_body(&body, &digests, err) < 0)
		goto out;
	request.body = &body;
	request.sha256 = digests.sha256;
	rc = bkp_s3_ask(connection, &request, &response, err);
out:
	bkp_s3_response_free(&response);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_s3_create_bucket(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_error *err)
{
	return create_bucket(connection, bucket, NULL, err);
}

int
bkp_s3_create_bucket_with_lock(struct bkp_s3_connection *connection,
    const char *bucket, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	int rc = bkp_s3_fields_add(
	    &headers, "x-amz-bucket-object-lock-enabled", "true", err);

	if (rc == 0)
		rc = create_bucket(connection, bucket, &headers, err);
	bkp_s3_fields_free(&headers);
	return rc;
}

static int
take_status(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	enum bkp_s3_versioning *out = arg;

	(void)len;
	(void)err;
	if (strcmp(path, "VersioningConfiguration/Status") != 0)
		return 0;
	if (strcmp(text, "Enabled") == 0)
		*out = BKP_S3_VERSIONING_ON;
	else if (strcmp(text, "Suspended") == 0)
		*out = BKP_S3_VERSIONING_SUSPENDED;
	else
		*out = BKP_S3_VERSIONING_UNKNOWN;
	return 0;
}

/* A server that cannot say, or credentials that may not ask, are no error:
 * the bucket is then treated as one without versions. */
int
bkp_s3_get_versioning(struct bkp_s3_connection *connection, const char *bucket,
    enum bkp_s3_versioning *out, struct bkp_error *err)
{
	enum bkp_s3_versioning found = BKP_S3_VERSIONING_OFF;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_s3_ask_document(connection, bucket, NULL, NULL,
	    "versioning", take_status, &found, &why);

	if (rc < 0 && (why.code == BKP_UNSUPPORTED || why.code == BKP_AUTH)) {
		found = BKP_S3_VERSIONING_UNKNOWN;
		rc = 0;
	}
	if (rc == 0)
		*out = found;
	else if (err != NULL)
		*err = why;
	return rc;
}

int
bkp_s3_set_versioning(struct bkp_s3_connection *connection, const char *bucket,
    enum bkp_s3_versioning versioning, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "PUT", .bucket = bucket, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = bkp_s3_fields_add(&query, "versioning", "", err);

	if (rc == 0 &&
	    fmt_buf_printf(&text,
		"<VersioningConfiguration><Status>%s</Status>"
		"</VersioningConfiguration>",
		versioning == BKP_S3_VERSIONING_ON ? "Enabled" : "Suspended") !=
		FMT_OK)
		rc = bkp_fail_nomem(err, "building a request");
	if (rc == 0)
		rc = bkp_s3_send_document(
		    connection, &request, &text, &response, err);
	fmt_buf_free(&text);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}
