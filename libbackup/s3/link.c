/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: of requests, and of objects for those who have no keys. */
#include <stdatomic.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"

#define WEEK 604800 /* longer S3 signs nothing for */

int
bkp_s3_path(const struct bkp_s3 *s3, const char *bucket, const char *key,
    struct fmt_buf *out, struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append_byte(out, '/');

	if (status == FMT_OK && !s3->is_virtual_host && bucket != NULL) {
		status = bkp_s3_encode(bucket, false, out);
		if (status == FMT_OK && key != NULL)
			status = fmt_buf_append_byte(out, '/');
	}
	if (status == FMT_OK && key != NULL)
		status = bkp_s3_encode(key, true, out);
	if (status != FMT_OK || fmt_buf_text(out) == NULL)
		return bkp_fail_nomem(err, "building a request");
	return 0;
}

int
bkp_s3_host(const struct bkp_s3 *s3, const char *bucket, struct fmt_buf *out,
    struct bkp_error *err)
{
	enum fmt_status status = FMT_OK;

	if (s3->is_virtual_host && bucket != NULL)
		status = fmt_buf_printf(out, "%s.", bucket);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, s3->host);
	if (status != FMT_OK || fmt_buf_text(out) == NULL)
		return bkp_fail_nomem(err, "building a request");
	return 0;
}

/* Adds what signs a GET of the path to `query`. */
static int
sign(const struct bkp_s3 *s3, const char *host, const char *path,
    unsigned seconds, struct bkp_s3_fields *query, struct bkp_error *err)
{
	const struct bkp_s3_signer signer = {
	    .access_key = s3->credentials.access_key,
	    .secret_key = s3->credentials.secret_key,
	    .region = s3->credentials.region,
	    .service = "s3",
	};
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_signable signable = {
	    .method = "GET",
	    .path = path,
	    .headers = &headers,
	    .payload_hash = BKP_S3_UNSIGNED,
	};
	char timestamp[BKP_S3_TIMESTAMP];
	int rc;

	bkp_s3_timestamp(
	    (int64_t)time(NULL) + bkp_s3_clock_offset(s3), timestamp);
	rc = bkp_s3_fields_add(&headers, "host", host, err);
	if (rc == 0)
		rc = bkp_s3_presign(&signer, &signable,
		    s3->credentials.session_token, timestamp, seconds, query,
		    err);
	bkp_s3_fields_free(&headers);
	return rc;
}

int
bkp_s3_link(const struct bkp_s3 *s3, const char *bucket, const char *key,
    unsigned seconds, char **url, struct bkp_error *err)
{
	struct fmt_buf path = FMT_BUF_INIT, host = FMT_BUF_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	int rc = -1;

	if (s3->is_v2)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "with signature version 2 there are no links to objects");
	if (seconds == 0 || seconds > WEEK)
		return bkp_fail(err, BKP_INVALID,
		    "a link is valid for at least a second and at most a "
		    "week");
	if (bkp_s3_path(s3, bucket, key, &path, err) < 0 ||
	    bkp_s3_host(s3, bucket, &host, err) < 0 ||
	    sign(s3, (const char *)host.data, (const char *)path.data, seconds,
		&query, err) < 0 ||
	    bkp_s3_encode_query(&query, &text, err) < 0)
		goto out;
	if (fmt_buf_text(&text) == NULL) {
		(void)bkp_fail_nomem(err, "building a link");
		goto out;
	}
	*url = bkp_format(err, "%s%s%s?%s", s3->scheme, (const char *)host.data,
	    (const char *)path.data, (const char *)text.data);
	rc = *url != NULL ? 0 : -1;
out:
	bkp_s3_fields_free(&query);
	fmt_buf_free(&path);
	fmt_buf_free(&host);
	fmt_buf_free(&text);
	return rc;
}
