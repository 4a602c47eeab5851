/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

#define PARTS_MAX 10000u

struct part {
	char *etag; /* owned: as the server answered */
	unsigned char md5[16];
};

struct bkp_s3_upload {
	struct bkp_s3_connection *connection; /* borrowed */
	char *bucket, *key, *id;              /* owned; id NULL: nothing open */
	struct part *parts;
	size_t count, cap;
};

static int
take_id(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	struct bkp_s3_upload *upload = arg;

	if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0 ||
	    upload->id != NULL || len == 0)
		return 0;
	if ((upload->id = strndup(text, len)) == NULL)
		return bkp_fail_nomem(err, "beginning an upload");
	return 0;
}

static int
open_upload(struct bkp_s3_upload *upload, const struct bkp_s3_fields *headers,
    struct bkp_error *err)
{
	static const struct bkp_s3_body nothing = {.data = "", .size = 0};
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {.method = "POST",
	    .bucket = upload->bucket,
	    .key = upload->key,
	    .query = &query,
	    .headers = headers,
	    .body = &nothing};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = bkp_s3_fields_add(&query, "uploads", "", err);

	if (rc == 0)
		rc = bkp_s3_ask(upload->connection, &request, &response, err);
	if (rc == 0)
		rc = bkp_s3_xml_read(response.body.data, response.body.len,
		    take_id, upload, err);
	if (rc == 0 && upload->id == NULL)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "POST s3://%s/%s: the server began an upload and did not "
		    "name it",
		    upload->bucket, upload->key);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_upload_begin(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_fields *headers,
    struct bkp_s3_upload **out, struct bkp_error *err)
{
	struct bkp_s3_upload *upload = bkp_alloc(sizeof(*upload), err);

	if (upload == NULL)
		return -1;
	upload->connection = connection;
	upload->bucket = bkp_strdup(bucket, err);
	upload->key = bkp_strdup(key, err);
	if (upload->bucket == NULL || upload->key == NULL ||
	    open_upload(upload, headers, err) < 0) {
		bkp_s3_upload_end(upload);
		return -1;
	}
	*out = upload;
	return 0;
}

/* ---- parts ---- */

static int
add_number(struct bkp_s3_fields *query, const struct bkp_s3_upload *upload,
    unsigned number, struct bkp_error *err)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", number);
	if (bkp_s3_fields_add(query, "partNumber", text, err) < 0)
		return -1;
	return bkp_s3_fields_add(query, "uploadId", upload->id, err);
}

static int
keep_part(const struct bkp_s3_upload *upload, unsigned number,
    const struct bkp_s3_digests *digests,
    const struct bkp_s3_response *response, struct part *part,
    struct bkp_error *err)
{
	const char *etag = bkp_s3_fields_get(&response->headers, "etag");

	if (etag == NULL)
		return bkp_fail(err, BKP_CORRUPT,
		    "PUT s3://%s/%s: the server took part %u and gave no "
		    "ETag for it",
		    upload->bucket, upload->key, number);
	free(part->etag);
	if ((part->etag = bkp_strdup(etag, err)) == NULL)
		return -1;
	memcpy(part->md5, digests->md5, sizeof(part->md5));
	return 0;
}

static int
send_part(const struct bkp_s3_upload *upload,
    struct bkp_s3_connection *connection, unsigned number,
    const struct bkp_s3_body *body, struct part *part, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_digests digests;
	const struct bkp_s3_request request = {.method = "PUT",
	    .bucket = upload->bucket,
	    .key = upload->key,
	    .query = &query,
	    .headers = &headers,
	    .body = body,
	    .sha256 = digests.sha256};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = -1;

	if (bkp_s3_digest_body(body, &digests, err) < 0 ||
	    add_number(&query, upload, number, err) < 0 ||
	    bkp_s3_add_md5(&headers, digests.md5, err) < 0 ||
	    bkp_s3_ask(connection, &request, &response, err) < 0)
		goto out;
	rc = keep_part(upload, number, &digests, &response, part, err);
out:
	bkp_s3_fields_free(&query);
	bkp_s3_fields_free(&headers);
	bkp_s3_response_free(&response);
	return rc;
}

static int
fail_too_many(const struct bkp_s3_upload *upload, struct bkp_error *err)
{
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "s3://%s/%s needs more than %u parts", upload->bucket, upload->key,
	    PARTS_MAX);
}

int
bkp_s3_upload_part(struct bkp_s3_upload *upload, const struct bkp_s3_body *body,
    struct bkp_error *err)
{
	if (upload->count == PARTS_MAX)
		return fail_too_many(upload, err);
	if (bkp_grow(&upload->parts, upload->count, &upload->cap,
		sizeof(*upload->parts), err) < 0)
		return -1;
	memset(&upload->parts[upload->count], 0, sizeof(*upload->parts));
	if (send_part(upload, upload->connection, (unsigned)upload->count + 1,
		body, &upload->parts[upload->count], err) < 0)
		return -1;
	upload->count++;
	return 0;
}

int
bkp_s3_upload_expect(
    struct bkp_s3_upload *upload, size_t count, struct bkp_error *err)
{
	if (count > PARTS_MAX)
		return fail_too_many(upload, err);
	if (count == 0 || upload->count > 0)
		return bkp_fail(err, BKP_INVALID,
		    "s3://%s/%s: an upload has parts, and their number is "
		    "told before the first",
		    upload->bucket, upload->key);
	free(upload->parts);
	upload->parts = bkp_alloc_array(count, sizeof(*upload->parts), err);
	upload->cap = upload->parts != NULL ? count : 0;
	upload->count = upload->cap;
	return upload->parts != NULL ? 0 : -1;
}

int
bkp_s3_upload_part_at(struct bkp_s3_upload *upload,
    struct bkp_s3_connection *connection, unsigned number,
    const struct bkp_s3_body *body, struct bkp_error *err)
{
	if (number == 0 || number > upload->count)
		return bkp_fail(err, BKP_INVALID,
		    "s3://%s/%s has %zu parts, and no part %u", upload->bucket,
		    upload->key, upload->count, number);
	return send_part(
	    upload, connection, number, body, &upload->parts[number - 1], err);
}

/* ---- the end ---- */

static enum fmt_status
write_parts(const struct bkp_s3_upload *upload, struct fmt_buf *out)
{
	enum fmt_status status =
	    fmt_buf_append_text(out, "<CompleteMultipartUpload>");

	for (size_t i = 0; i < upload->count && status == FMT_OK; i++)
		status = fmt_buf_printf(out,
		    "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>",
		    i + 1, upload->parts[i].etag);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "</CompleteMultipartUpload>");
	return status;
}

/* The ETag that the parts make, as S3 computes it: "md5-of-md5s-N". */
static int
expected_etag(const struct bkp_s3_upload *upload, char *out, size_t size,
    struct bkp_error *err)
{
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	unsigned char hash[EVP_MAX_MD_SIZE];
	bool is_good =
	    md5 != NULL && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;

	for (size_t i = 0; i < upload->count && is_good; i++)
		is_good = EVP_DigestUpdate(md5, upload->parts[i].md5, 16) == 1;
	is_good = is_good && EVP_DigestFinal_ex(md5, hash, NULL) == 1;
	EVP_MD_CTX_free(md5);
	if (!is_good)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	for (size_t i = 0; i < 16; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
	(void)snprintf(out + 32, size - 32, "-%zu", upload->count);
	return 0;
}

struct completed {
	char etag[128];
	char *version_id; /* owned; NULL: there are no versions */
};

static int
keep_version(const struct bkp_s3_fields *headers, struct completed *completed,
    struct bkp_error *err)
{
	const char *version = bkp_s3_fields_get(headers, "x-amz-version-id");

	if (version == NULL)
		return 0;
	completed->version_id = bkp_strdup(version, err);
	return completed->version_id != NULL ? 0 : -1;
}

static int
take_etag(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	struct completed *completed = arg;

	(void)err;
	if (strcmp(path, "CompleteMultipartUploadResult/ETag") != 0)
		return 0;
	if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
		text++;
		len -= 2;
	}
	(void)snprintf(
	    completed->etag, sizeof(completed->etag), "%.*s", (int)len, text);
	return 0;
}

static int
ask_complete(struct bkp_s3_upload *upload, const struct fmt_buf *text,
    struct completed *completed, struct bkp_error *err)
{
	const struct bkp_s3_body body = {.data = text->data, .size = text->len};
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_digests digests;
	const struct bkp_s3_request request = {.method = "POST",
	    .bucket = upload->bucket,
	    .key = upload->key,
	    .query = &query,
	    .headers = &headers,
	    .body = &body,
	    .sha256 = digests.sha256};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = -1;

	if (bkp_s3_digest_body(&body, &digests, err) < 0 ||
	    bkp_s3_fields_add(
		&headers, "content-type", "application/xml", err) < 0 ||
	    bkp_s3_fields_add(&query, "uploadId", upload->id, err) < 0 ||
	    bkp_s3_ask(upload->connection, &request, &response, err) < 0)
		goto out;
	rc = bkp_s3_xml_read(
	    response.body.data, response.body.len, take_etag, completed, err);
	if (rc == 0)
		rc = keep_version(&response.headers, completed, err);
out:
	bkp_s3_fields_free(&query);
	bkp_s3_fields_free(&headers);
	bkp_s3_response_free(&response);
	return rc;
}

/* Where the answer to a completion was lost and it was asked again, the
 * server no longer knows the upload. The object tells whether it was done; if
 * not, the caller keeps what the completion said. */
static int
look_whether_done(struct bkp_s3_upload *upload, struct completed *completed)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	char expected[64], quoted[66];
	const char *etag = NULL;
	int rc = -1;

	if (expected_etag(upload, expected, sizeof(expected), &why) == 0 &&
	    bkp_s3_head(upload->connection, upload->bucket, upload->key, 0,
		&headers, &why) == 0)
		etag = bkp_s3_fields_get(&headers, "etag");
	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", expected);
	if (etag != NULL && strcmp(etag, quoted) == 0) {
		(void)snprintf(
		    completed->etag, sizeof(completed->etag), "%s", expected);
		rc = keep_version(&headers, completed, &why);
	}
	bkp_s3_fields_free(&headers);
	return rc;
}

static int
check_parts(const struct bkp_s3_upload *upload, struct bkp_error *err)
{
	for (size_t i = 0; i < upload->count; i++)
		if (upload->parts[i].etag == NULL)
			return bkp_fail(err, BKP_INVALID,
			    "s3://%s/%s: part %zu was not sent", upload->bucket,
			    upload->key, i + 1);
	return 0;
}

static int
copy_completed(const struct completed *completed,
    struct bkp_s3_put_result *result, struct bkp_error *err)
{
	const char *version = completed->version_id;

	if (result == NULL)
		return 0;
	fmt_buf_clear(&result->etag);
	fmt_buf_clear(&result->version_id);
	if (fmt_buf_append_text(&result->etag, completed->etag) != FMT_OK ||
	    fmt_buf_append_text(&result->version_id,
		version != NULL ? version : "") != FMT_OK ||
	    fmt_buf_text(&result->etag) == NULL ||
	    fmt_buf_text(&result->version_id) == NULL)
		return bkp_fail_nomem(err, "completing an upload");
	return 0;
}

int
bkp_s3_upload_finish(struct bkp_s3_upload *upload,
    struct bkp_s3_put_result *result, struct bkp_error *err)
{
	struct completed completed = {"", NULL};
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = check_parts(upload, &why);

	if (rc == 0 && write_parts(upload, &text) != FMT_OK)
		rc = bkp_fail_nomem(&why, "completing an upload");
	if (rc == 0)
		rc = ask_complete(upload, &text, &completed, &why);
	if (rc < 0 && why.code == BKP_NOTFOUND)
		rc = look_whether_done(upload, &completed);
	fmt_buf_free(&text);
	if (rc == 0) {
		free(upload->id);
		upload->id = NULL;
		rc = copy_completed(&completed, result, &why);
	}
	free(completed.version_id);
	if (rc < 0 && err != NULL)
		*err = why;
	return rc;
}

int
bkp_s3_upload_complete(
    struct bkp_s3_upload *upload, struct fmt_buf *etag, struct bkp_error *err)
{
	struct bkp_s3_put_result result = BKP_S3_PUT_RESULT_INIT;
	int rc = bkp_s3_upload_finish(upload, &result, err);

	if (rc == 0 && etag != NULL) {
		fmt_buf_free(etag);
		*etag = result.etag;
		result.etag = (struct fmt_buf)FMT_BUF_INIT;
	}
	bkp_s3_put_result_free(&result);
	return rc;
}

/* What is not aborted would cost the owner of the bucket storage for ever. A
 * cancelled run aborts as well, so the request to stop is set aside. */
static void
abort_upload(struct bkp_s3_upload *upload)
{
	struct bkp_s3_connection *connection = upload->connection;
	const struct bkp_cancel *cancel = connection->cancel;

	connection->cancel = NULL;
	(void)bkp_s3_abort_upload(
	    connection, upload->bucket, upload->key, upload->id, NULL);
	connection->cancel = cancel;
}

void
bkp_s3_upload_end(struct bkp_s3_upload *upload)
{
	if (upload == NULL)
		return;
	if (upload->id != NULL)
		abort_upload(upload);
	for (size_t i = 0; i < upload->count; i++)
		free(upload->parts[i].etag);
	free(upload->parts);
	free(upload->bucket);
	free(upload->key);
	free(upload->id);
	free(upload);
}
