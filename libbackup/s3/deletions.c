/* SPDX-License-Identifier: Apache-2.0 */
/* Many deletions in one request. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

#define DELETE_MAX 1000u

struct deletion {
	struct bkp_s3_connection *connection;
	const char *bucket;
	bkp_s3_kept_fn *kept; /* NULL: what is kept is an error */
	void *arg;
	/* Of the answer's refusal that is being read, owned. */
	char *key, *version_id, *code, *message;
};

static void
forget_refusal(struct deletion *deletion)
{
	free(deletion->key);
	free(deletion->version_id);
	free(deletion->code);
	free(deletion->message);
	deletion->key = deletion->version_id = NULL;
	deletion->code = deletion->message = NULL;
}

/* XML 1.0 has no way to write these; such a key is deleted by itself. */
static bool
fits_xml(const char *key)
{
	for (; *key != '\0'; key++)
		if ((unsigned char)*key < 0x20 || (unsigned char)*key >= 0x7f)
			return false;
	return true;
}

/* ---- what the server keeps ---- */

/* The caller is told, or it is the error that ends the call. */
static int
keep(const struct deletion *deletion, const char *key, const char *version_id,
    const struct bkp_error *why, struct bkp_error *err)
{
	if (deletion->kept != NULL)
		return deletion->kept(deletion->arg, key, version_id, why, err);
	if (err != NULL)
		*err = *why;
	return -1;
}

static int
end_refusal(struct deletion *deletion, struct bkp_error *err)
{
	const char *code = deletion->code != NULL ? deletion->code : "";
	const char *key = deletion->key != NULL ? deletion->key : "";
	struct bkp_error why = BKP_ERROR_INIT;

	/* What is not there is as deleted as can be. */
	if (strcmp(code, "NoSuchKey") == 0 ||
	    strcmp(code, "NoSuchVersion") == 0)
		return 0;
	(void)bkp_s3_judge_code(
	    code, deletion->message != NULL ? deletion->message : "", &why);
	(void)bkp_fail_in(
	    &why, "deleting s3://%s/%.200s", deletion->bucket, key);
	return keep(deletion, key, deletion->version_id, &why, err);
}

static int
take_refusal(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	static const char error[] = "DeleteResult/Error";
	struct deletion *deletion = arg;
	char **to = NULL;
	int rc;

	if (strcmp(path, error) == 0) {
		rc = end_refusal(deletion, err);
		forget_refusal(deletion);
		return rc;
	}
	if (strncmp(path, error, sizeof(error) - 1) != 0 ||
	    path[sizeof(error) - 1] != '/')
		return 0;
	path += sizeof(error);
	if (strcmp(path, "Key") == 0)
		to = &deletion->key;
	else if (strcmp(path, "VersionId") == 0 && len > 0)
		to = &deletion->version_id;
	else if (strcmp(path, "Code") == 0)
		to = &deletion->code;
	else if (strcmp(path, "Message") == 0)
		to = &deletion->message;
	if (to == NULL)
		return 0;
	free(*to);
	if ((*to = strndup(text, len)) == NULL)
		return bkp_fail_nomem(err, "reading an answer");
	return 0;
}

/* ---- the request ---- */

static int
delete_batch(struct deletion *deletion, const struct fmt_buf *text,
    struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "POST", .bucket = deletion->bucket, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = bkp_s3_fields_add(&query, "delete", "", err);

	if (rc == 0)
		rc = bkp_s3_send_document(
		    deletion->connection, &request, text, &response, err);
	if (rc == 0)
		rc = bkp_s3_xml_read(response.body.data, response.body.len,
		    take_refusal, deletion, err);
	forget_refusal(deletion);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

static int
delete_alone(const struct deletion *deletion,
    const struct bkp_s3_doomed *doomed, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_s3_delete_version(deletion->connection, deletion->bucket,
		doomed->key, doomed->version_id, &why) == 0 ||
	    why.code == BKP_NOTFOUND)
		return 0;
	if (why.code == BKP_AUTH || why.code == BKP_UNSUPPORTED)
		return keep(
		    deletion, doomed->key, doomed->version_id, &why, err);
	if (err != NULL)
		*err = why;
	return -1;
}

static int
append_deletion(const struct bkp_s3_doomed *doomed, struct fmt_buf *text,
    struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append_text(text, "<Object><Key>");

	if (status == FMT_OK)
		status = bkp_s3_append_escaped(doomed->key, text);
	if (status == FMT_OK)
		status = fmt_buf_append_text(text, "</Key>");
	if (status == FMT_OK && doomed->version_id != NULL) {
		status = fmt_buf_append_text(text, "<VersionId>");
		if (status == FMT_OK)
			status =
			    bkp_s3_append_escaped(doomed->version_id, text);
		if (status == FMT_OK)
			status = fmt_buf_append_text(text, "</VersionId>");
	}
	if (status == FMT_OK)
		status = fmt_buf_append_text(text, "</Object>");
	if (status != FMT_OK)
		return bkp_fail_nomem(err, "building a request");
	return 0;
}

int
bkp_s3_delete_versions(struct bkp_s3_connection *connection, const char *bucket,
    const struct bkp_s3_doomed *doomed, size_t count, bkp_s3_kept_fn *kept,
    void *arg, struct bkp_error *err)
{
	struct deletion deletion = {.connection = connection,
	    .bucket = bucket,
	    .kept = kept,
	    .arg = arg};
	struct fmt_buf text = FMT_BUF_INIT;
	size_t batched = 0;
	int rc = 0;

	if (count > DELETE_MAX)
		return bkp_fail(err, BKP_INVALID,
		    "%zu keys cannot be deleted at once", count);
	if (fmt_buf_append_text(&text, "<Delete><Quiet>true</Quiet>") != FMT_OK)
		rc = bkp_fail_nomem(err, "building a request");
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (connection->libs3 != NULL || !fits_xml(doomed[i].key)) {
			rc = delete_alone(&deletion, &doomed[i], err);
			continue;
		}
		rc = append_deletion(&doomed[i], &text, err);
		batched++;
	}
	if (rc == 0 && fmt_buf_append_text(&text, "</Delete>") != FMT_OK)
		rc = bkp_fail_nomem(err, "building a request");
	if (rc == 0 && batched > 0)
		rc = delete_batch(&deletion, &text, err);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_s3_delete_many(struct bkp_s3_connection *connection, const char *bucket,
    char *const *keys, size_t count, struct bkp_error *err)
{
	struct bkp_s3_doomed *doomed;
	int rc;

	if (count == 0)
		return 0;
	if ((doomed = bkp_alloc_array(count, sizeof(*doomed), err)) == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		doomed[i].key = keys[i];
	rc = bkp_s3_delete_versions(
	    connection, bucket, doomed, count, NULL, NULL, err);
	free(doomed);
	return rc;
}
