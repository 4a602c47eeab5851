/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in parts that nobody finished: they cost their room until somebody
 * aborts them, and no listing of objects shows them. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/pages.h"
#include "libbackup/s3/request.h"

struct bkp_s3_uploads {
	struct bkp_s3_pages pages;
};

/* Uploads of one key come in the order of their beginning at AWS and in any
 * at others; what is not below the prefix is passed over. */
static const struct bkp_s3_pages_kind uploads_kind = {
    .question = "uploads",
    .root = "ListMultipartUploadsResult/",
    .id_marker = "upload-id-marker",
    .next_id = "NextUploadIdMarker",
    .elements = {{"Upload", BKP_S3_ENTRY_UPLOAD}, {NULL, BKP_S3_ENTRY_OBJECT}},
};

int
bkp_s3_uploads_open(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, struct bkp_s3_uploads **out, struct bkp_error *err)
{
	struct bkp_s3_uploads *uploads = bkp_alloc(sizeof(*uploads), err);

	if (uploads == NULL)
		return -1;
	if (bkp_s3_pages_open(&uploads->pages, connection, &uploads_kind,
		bucket, prefix, err) < 0) {
		free(uploads);
		return -1;
	}
	/* MinIO takes a prefix for the whole key. */
	uploads->pages.asks_prefix = false;
	*out = uploads;
	return 0;
}

int
bkp_s3_uploads_next(struct bkp_s3_uploads *uploads,
    struct bkp_s3_leftover *leftover, struct bkp_error *err)
{
	const char *prefix = uploads->pages.prefix;
	const struct bkp_s3_entry *entry;
	int rc;

	do {
		rc = bkp_s3_pages_next(&uploads->pages, &entry, err);
		if (rc != 1)
			return rc;
	} while (strncmp(entry->key, prefix, strlen(prefix)) != 0);
	leftover->key = entry->key;
	leftover->upload_id = entry->id;
	leftover->begun = entry->last_modified;
	leftover->begun_us = entry->modified_us;
	return 1;
}

void
bkp_s3_uploads_close(struct bkp_s3_uploads *uploads)
{
	if (uploads == NULL)
		return;
	bkp_s3_pages_close(&uploads->pages);
	free(uploads);
}

int
bkp_s3_abort_upload(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *upload_id, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "DELETE", .bucket = bucket, .key = key, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_s3_fields_add(&query, "uploadId", upload_id, &why);

	if (rc == 0)
		rc = bkp_s3_ask(connection, &request, &response, &why);
	/* Somebody else was faster, or the answer to a first try was lost. */
	if (rc < 0 && why.code == BKP_NOTFOUND)
		rc = 0;
	if (rc < 0 && err != NULL)
		*err = why;
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}
