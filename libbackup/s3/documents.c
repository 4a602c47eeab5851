/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose body is an XML document: tags and deletions. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

#define DELETE_MAX 1000u

/* Appends text as XML holds it; "\r" would be read as a line end. */
static enum fmt_status
append_escaped(const char *text, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (; *text != '\0' && status == FMT_OK; text++) {
		switch (*text) {
		case '&':
			status = fmt_buf_append_text(out, "&amp;");
			break;
		case '<':
			status = fmt_buf_append_text(out, "&lt;");
			break;
		case '>':
			status = fmt_buf_append_text(out, "&gt;");
			break;
		case '\r':
			status = fmt_buf_append_text(out, "&#13;");
			break;
		default:
			status = fmt_buf_append_byte(out, (unsigned char)*text);
		}
	}
	return status;
}

int
bkp_s3_send_document(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, const struct fmt_buf *text,
    struct bkp_s3_response *response, struct bkp_error *err)
{
	const struct bkp_s3_body body = {.data = text->data, .size = text->len};
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_request whole = *request;
	struct bkp_s3_digests digests;
	int rc = -1;

	whole.headers = &headers;
	whole.body = &body;
	whole.sha256 = digests.sha256;
	if (bkp_s3_digest_body(&body, &digests, err) < 0 ||
	    bkp_s3_fields_add(
		&headers, "content-type", "application/xml", err) < 0 ||
	    bkp_s3_add_md5(&headers, digests.md5, err) < 0)
		goto out;
	for (size_t i = 0;
	     request->headers != NULL && i < request->headers->count; i++)
		if (bkp_s3_fields_add(&headers, request->headers->items[i].name,
			request->headers->items[i].value, err) < 0)
			goto out;
	rc = bkp_s3_ask(connection, &whole, response, err);
out:
	bkp_s3_fields_free(&headers);
	return rc;
}

/* ---- tags ---- */

struct tags {
	struct bkp_s3_fields *tags;
	char *key; /* of the tag that is being read, owned */
};

static int
take_tag(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	struct tags *tags = arg;

	if (strcmp(path, "Tagging/TagSet/Tag/Key") == 0) {
		free(tags->key);
		if ((tags->key = strndup(text, len)) == NULL)
			return bkp_fail_nomem(err, "reading tags");
	} else if (strcmp(path, "Tagging/TagSet/Tag/Value") == 0 &&
		   tags->key != NULL) {
		return bkp_s3_fields_add(tags->tags, tags->key, text, err);
	}
	return 0;
}

int
bkp_s3_get_tags_version(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    struct bkp_s3_fields *tags, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "GET", .bucket = bucket, .key = key, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	struct tags found = {tags, NULL};
	int rc = bkp_s3_fields_add(&query, "tagging", "", err);

	if (rc == 0)
		rc = bkp_s3_add_version(&query, version_id, err);
	if (rc == 0)
		rc = bkp_s3_ask(connection, &request, &response, err);
	if (rc == 0)
		rc = bkp_s3_xml_read(response.body.data, response.body.len,
		    take_tag, &found, err);
	free(found.key);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_get_tags(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, struct bkp_s3_fields *tags, struct bkp_error *err)
{
	return bkp_s3_get_tags_version(
	    connection, bucket, key, NULL, tags, err);
}

static enum fmt_status
write_tags(const struct bkp_s3_fields *tags, struct fmt_buf *out)
{
	enum fmt_status status = fmt_buf_append_text(out, "<Tagging><TagSet>");

	for (size_t i = 0; i < tags->count && status == FMT_OK; i++) {
		status = fmt_buf_append_text(out, "<Tag><Key>");
		if (status == FMT_OK)
			status = append_escaped(tags->items[i].name, out);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "</Key><Value>");
		if (status == FMT_OK)
			status = append_escaped(tags->items[i].value, out);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "</Value></Tag>");
	}
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "</TagSet></Tagging>");
	return status;
}

int
bkp_s3_put_tags_version(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    const struct bkp_s3_fields *tags, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "PUT", .bucket = bucket, .key = key, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = bkp_s3_fields_add(&query, "tagging", "", err);

	if (rc == 0)
		rc = bkp_s3_add_version(&query, version_id, err);
	if (rc == 0 && write_tags(tags, &text) != FMT_OK)
		rc = bkp_fail_nomem(err, "building a request");
	if (rc == 0)
		rc = bkp_s3_send_document(
		    connection, &request, &text, &response, err);
	fmt_buf_free(&text);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_put_tags(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_fields *tags, struct bkp_error *err)
{
	return bkp_s3_put_tags_version(
	    connection, bucket, key, NULL, tags, err);
}

/* ---- deletions ---- */

/* XML 1.0 has no way to write these; such a key is deleted by itself. */
static bool
fits_xml(const char *key)
{
	for (; *key != '\0'; key++)
		if ((unsigned char)*key < 0x20 || (unsigned char)*key >= 0x7f)
			return false;
	return true;
}

static int
take_refusal(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	char **found = arg; /* the first one's key and code */
	size_t which;

	if (strcmp(path, "DeleteResult/Error/Key") == 0)
		which = 0;
	else if (strcmp(path, "DeleteResult/Error/Code") == 0)
		which = 1;
	else
		return 0;
	if (found[which] != NULL)
		return 0;
	if ((found[which] = strndup(text, len)) == NULL)
		return bkp_fail_nomem(err, "reading an answer");
	return 0;
}

static int
delete_batch(struct bkp_s3_connection *connection, const char *bucket,
    const struct fmt_buf *text, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "POST", .bucket = bucket, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	char *refusal[2] = {NULL, NULL};
	int rc = bkp_s3_fields_add(&query, "delete", "", err);

	if (rc == 0)
		rc = bkp_s3_send_document(
		    connection, &request, text, &response, err);
	if (rc == 0)
		rc = bkp_s3_xml_read(response.body.data, response.body.len,
		    take_refusal, refusal, err);
	if (rc == 0 && refusal[0] != NULL)
		rc = bkp_fail(err, BKP_AUTH,
		    "deleting s3://%s/%s: the server refuses: %s", bucket,
		    refusal[0], refusal[1] != NULL ? refusal[1] : "no reason");
	free(refusal[0]);
	free(refusal[1]);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

static int
append_deletion(const char *key, struct fmt_buf *text, struct bkp_error *err)
{
	if (fmt_buf_append_text(text, "<Object><Key>") != FMT_OK ||
	    append_escaped(key, text) != FMT_OK ||
	    fmt_buf_append_text(text, "</Key></Object>") != FMT_OK)
		return bkp_fail_nomem(err, "building a request");
	return 0;
}

int
bkp_s3_delete_many(struct bkp_s3_connection *connection, const char *bucket,
    char *const *keys, size_t count, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	size_t batched = 0;
	int rc = 0;

	if (count > DELETE_MAX)
		return bkp_fail(err, BKP_INVALID,
		    "%zu keys cannot be deleted at once", count);
	if (fmt_buf_append_text(&text, "<Delete><Quiet>true</Quiet>") != FMT_OK)
		rc = bkp_fail_nomem(err, "building a request");
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (!fits_xml(keys[i])) {
			rc = bkp_s3_delete(connection, bucket, keys[i], err);
			continue;
		}
		rc = append_deletion(keys[i], &text, err);
		batched++;
	}
	if (rc == 0 && fmt_buf_append_text(&text, "</Delete>") != FMT_OK)
		rc = bkp_fail_nomem(err, "building a request");
	if (rc == 0 && batched > 0)
		rc = delete_batch(connection, bucket, &text, err);
	fmt_buf_free(&text);
	return rc;
}
