/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose body is an XML document; tags. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

enum fmt_status
bkp_s3_append_escaped(const char *text, struct fmt_buf *out)
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

/* ---- asking ---- */

int
bkp_s3_ask_document(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, const char *question,
    bkp_s3_xml_fn *fn, void *arg, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "GET", .bucket = bucket, .key = key, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = bkp_s3_fields_add(&query, question, "", err);

	if (rc == 0)
		rc = bkp_s3_add_version(&query, version_id, err);
	if (rc == 0)
		rc = bkp_s3_ask(connection, &request, &response, err);
	if (rc == 0)
		rc = bkp_s3_xml_read(
		    response.body.data, response.body.len, fn, arg, err);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
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
	struct tags found = {tags, NULL};
	int rc = bkp_s3_ask_document(connection, bucket, key, version_id,
	    "tagging", take_tag, &found, err);

	free(found.key);
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
			status =
			    bkp_s3_append_escaped(tags->items[i].name, out);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "</Key><Value>");
		if (status == FMT_OK)
			status =
			    bkp_s3_append_escaped(tags->items[i].value, out);
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
