/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

/* What an object is given back with; all else is the server's own. */
static const char *const given[] = {"content_type", "cache_control",
    "content_disposition", "content_encoding", "content_language", "expires",
    "website_redirect", "metadata", "tags",
    /* only where all is compared */
    "lock_mode", "lock_until", "legal_hold"};

#define LOCKS 3

static bool
is_equal(const json_t *a, const json_t *b, bool is_thorough)
{
	size_t count =
	    sizeof(given) / sizeof(given[0]) - (is_thorough ? 0 : LOCKS);

	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_object_get(a, given[i]);
		const json_t *other = json_object_get(b, given[i]);

		if (one != other &&
		    (one == NULL || other == NULL || !json_equal(one, other)))
			return false;
	}
	return true;
}

/* Servers count the tags of an object in its headers where it has any. */
static int
read_tags(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id,
    const struct bkp_s3_fields *headers, bool is_asked, json_t *attrs,
    struct bkp_error *err)
{
	const char *count = bkp_s3_fields_get(headers, "x-amz-tagging-count");
	struct bkp_s3_fields tags = BKP_S3_FIELDS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = 0;

	if (!is_asked && (count == NULL || strtoul(count, NULL, 10) == 0))
		return 0;
	rc = bkp_s3_get_tags_version(
	    connection, bucket, key, version_id, &tags, &why);
	if (rc == 0)
		rc = bkp_bucket_attrs_add_tags(attrs, &tags, &why);
	else if (why.code == BKP_UNSUPPORTED)
		rc = 0; /* where there are no tags, it has none */
	bkp_s3_fields_free(&tags);
	if (rc < 0 && err != NULL)
		*err = why;
	return rc;
}

static bool
tells_lock(const json_t *attrs)
{
	return json_object_get(attrs, "lock_mode") != NULL ||
	       json_object_get(attrs, "legal_hold") != NULL;
}

/* A lock that is recorded, and is not in these headers. */
static int
read_lock(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, const json_t *attrs, json_t *now,
    struct bkp_error *err)
{
	if (version_id == NULL || !bkp_s3_is_time_ordered(version_id) ||
	    !tells_lock(attrs) || tells_lock(now))
		return 0;
	return bkp_bucket_read_lock(
	    connection, bucket, key, version_id, now, err);
}

int
bkp_bucket_is_same(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, const json_t *attrs,
    bool is_thorough, bool *is_same, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	bool has_tags = json_object_get(attrs, "tags") != NULL;
	json_t *now = NULL;
	int rc = -1;

	if (bkp_s3_head_version(
		connection, bucket, key, version_id, 0, &headers, err) < 0 ||
	    bkp_bucket_attrs_read(&headers, &now, err) < 0 ||
	    read_tags(connection, bucket, key, version_id, &headers,
		has_tags || is_thorough, now, err) < 0 ||
	    (is_thorough && read_lock(connection, bucket, key, version_id,
				attrs, now, err) < 0))
		goto out;
	*is_same = is_equal(attrs, now, is_thorough);
	rc = 0;
out:
	json_decref(now);
	bkp_s3_fields_free(&headers);
	return rc;
}
