/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/signing.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "libbackup/base/fail.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define HASH_SIZE 32

static const struct bkp_s3_fields no_fields = BKP_S3_FIELDS_INIT;

void
bkp_s3_timestamp(int64_t seconds, char out[BKP_S3_TIMESTAMP])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	gmtime_r(&when, &tm);
	if (strftime(out, BKP_S3_TIMESTAMP, "%Y%m%dT%H%M%SZ", &tm) == 0)
		out[0] = '\0';
}

static void
to_hex(const unsigned char *bytes, char out[BKP_S3_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < HASH_SIZE; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * HASH_SIZE] = '\0';
}

int
bkp_s3_hash(
    const void *data, size_t len, char out[BKP_S3_HEX], struct bkp_error *err)
{
	unsigned char hash[EVP_MAX_MD_SIZE];

	if (EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL) != 1)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash a request");
	to_hex(hash, out);
	return 0;
}

/* ---- headers ---- */

/* Appends a header's value: no space around it, one where several were. */
static enum fmt_status
append_value(const char *value, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;
	bool has_gap = false, has_text = false;

	for (; *value != '\0' && status == FMT_OK; value++) {
		if (isspace((unsigned char)*value)) {
			has_gap = has_text;
			continue;
		}
		if (has_gap)
			status = fmt_buf_append_byte(out, ' ');
		if (status == FMT_OK)
			status =
			    fmt_buf_append_byte(out, (unsigned char)*value);
		has_gap = false;
		has_text = true;
	}
	return status;
}

/* By name without case; equal names stay in the order they are sent in. */
static int
compare_headers(const void *a, const void *b)
{
	const struct bkp_s3_field *const *header_a = a, *const *header_b = b;
	int order = strcasecmp((*header_a)->name, (*header_b)->name);

	if (order != 0)
		return order;
	return *header_a < *header_b ? -1 : *header_a > *header_b;
}

static enum fmt_status
append_lower(const char *name, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (; *name != '\0' && status == FMT_OK; name++)
		status = fmt_buf_append_byte(
		    out, (unsigned char)tolower((unsigned char)*name));
	return status;
}

/* Appends the lines of headers to `lines` and "a;b;c" to `names`. */
static enum fmt_status
append_sorted(const struct bkp_s3_field **sorted, size_t count,
    struct fmt_buf *lines, struct fmt_buf *names)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < count && status == FMT_OK; i++) {
		bool is_again = i > 0 && strcasecmp(sorted[i - 1]->name,
					     sorted[i]->name) == 0;

		if (is_again) {
			lines->len--; /* the newline of the one before */
			status = fmt_buf_append_byte(lines, ',');
		} else {
			if (i > 0)
				status = fmt_buf_append_byte(names, ';');
			if (status == FMT_OK)
				status = append_lower(sorted[i]->name, names);
			if (status == FMT_OK)
				status = append_lower(sorted[i]->name, lines);
			if (status == FMT_OK)
				status = fmt_buf_append_byte(lines, ':');
		}
		if (status == FMT_OK)
			status = append_value(sorted[i]->value, lines);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(lines, '\n');
	}
	return status;
}

static int
canonical_headers(const struct bkp_s3_fields *headers, struct fmt_buf *lines,
    struct fmt_buf *names, struct bkp_error *err)
{
	const struct bkp_s3_field **sorted;
	enum fmt_status status;

	sorted = bkp_alloc_array(headers->count, sizeof(*sorted), err);
	if (sorted == NULL)
		return -1;
	for (size_t i = 0; i < headers->count; i++)
		sorted[i] = &headers->items[i];
	if (headers->count > 1)
		qsort(sorted, headers->count, sizeof(*sorted), compare_headers);
	status = append_sorted(sorted, headers->count, lines, names);
	free(sorted);
	if (status != FMT_OK)
		return bkp_fail_nomem(err, "signing a request");
	return 0;
}

/* ---- the request ---- */

static int
append_canonical(const struct bkp_s3_signable *signable,
    const struct bkp_s3_fields *query, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct fmt_buf lines = FMT_BUF_SECRET_INIT, names = FMT_BUF_INIT;
	int rc = -1;

	if (canonical_headers(signable->headers, &lines, &names, err) < 0)
		goto out;
	if (fmt_buf_printf(out, "%s\n%s\n", signable->method, signable->path) !=
	    FMT_OK)
		goto nomem;
	if (bkp_s3_encode_query(query, out, err) < 0)
		goto out;
	if (fmt_buf_append_byte(out, '\n') != FMT_OK ||
	    fmt_buf_append(out, lines.data, lines.len) != FMT_OK ||
	    fmt_buf_append_byte(out, '\n') != FMT_OK ||
	    fmt_buf_append(out, names.data, names.len) != FMT_OK ||
	    fmt_buf_append_byte(out, '\n') != FMT_OK ||
	    fmt_buf_append_text(out, signable->payload_hash) != FMT_OK)
		goto nomem;
	rc = 0;
	goto out;
nomem:
	(void)bkp_fail_nomem(err, "signing a request");
out:
	fmt_buf_free(&lines);
	fmt_buf_free(&names);
	return rc;
}

int
bkp_s3_canonical(const struct bkp_s3_signable *signable, struct fmt_buf *out,
    struct bkp_error *err)
{
	return append_canonical(signable,
	    signable->query != NULL ? signable->query : &no_fields, out, err);
}

/* "20150830/us-east-1/s3/aws4_request". */
static enum fmt_status
append_scope(const struct bkp_s3_signer *signer, const char *timestamp,
    struct fmt_buf *out)
{
	return fmt_buf_printf(out, "%.8s/%s/%s/aws4_request", timestamp,
	    signer->region, signer->service);
}

int
bkp_s3_string_to_sign(const struct bkp_s3_signer *signer, const char *timestamp,
    const struct fmt_buf *canonical, struct fmt_buf *out, struct bkp_error *err)
{
	char hash[BKP_S3_HEX];

	if (bkp_s3_hash(canonical->data, canonical->len, hash, err) < 0)
		return -1;
	if (fmt_buf_printf(out, ALGORITHM "\n%s\n", timestamp) != FMT_OK ||
	    append_scope(signer, timestamp, out) != FMT_OK ||
	    fmt_buf_printf(out, "\n%s", hash) != FMT_OK)
		return bkp_fail_nomem(err, "signing a request");
	return 0;
}

static int
hmac(unsigned char key[HASH_SIZE], const void *data, size_t len,
    struct bkp_error *err)
{
	unsigned char mac[EVP_MAX_MD_SIZE];

	if (HMAC(EVP_sha256(), key, HASH_SIZE, data, len, mac, NULL) == NULL)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot sign a request");
	memcpy(key, mac, HASH_SIZE);
	OPENSSL_cleanse(mac, sizeof(mac));
	return 0;
}

/* The key of a day, a region and a service. */
static int
derive_key(const struct bkp_s3_signer *signer, const char *timestamp,
    unsigned char key[HASH_SIZE], struct bkp_error *err)
{
	struct fmt_buf secret = FMT_BUF_SECRET_INIT;
	unsigned char mac[EVP_MAX_MD_SIZE];
	int rc = -1;

	if (fmt_buf_append_text(&secret, "AWS4") != FMT_OK ||
	    fmt_buf_append_text(&secret, signer->secret_key) != FMT_OK) {
		(void)bkp_fail_nomem(err, "signing a request");
		goto out;
	}
	if (HMAC(EVP_sha256(), secret.data, (int)secret.len,
		(const unsigned char *)timestamp, 8, mac, NULL) == NULL) {
		(void)bkp_fail(err, BKP_IO, "OpenSSL cannot sign a request");
		goto out;
	}
	memcpy(key, mac, HASH_SIZE);
	if (hmac(key, signer->region, strlen(signer->region), err) < 0 ||
	    hmac(key, signer->service, strlen(signer->service), err) < 0 ||
	    hmac(key, "aws4_request", 12, err) < 0)
		goto out;
	rc = 0;
out:
	OPENSSL_cleanse(mac, sizeof(mac));
	fmt_buf_free(&secret);
	return rc;
}

int
bkp_s3_signature(const struct bkp_s3_signer *signer, const char *timestamp,
    const struct fmt_buf *string, char signature[BKP_S3_HEX],
    struct bkp_error *err)
{
	unsigned char key[HASH_SIZE];
	int rc;

	rc = derive_key(signer, timestamp, key, err);
	if (rc == 0)
		rc = hmac(key, string->data, string->len, err);
	if (rc == 0)
		to_hex(key, signature);
	OPENSSL_cleanse(key, sizeof(key));
	return rc;
}

/* From canonical request to signature. */
static int
sign_canonical(const struct bkp_s3_signer *signer, const char *timestamp,
    const struct fmt_buf *canonical, char signature[BKP_S3_HEX],
    struct bkp_error *err)
{
	struct fmt_buf string = FMT_BUF_INIT;
	int rc;

	rc = bkp_s3_string_to_sign(signer, timestamp, canonical, &string, err);
	if (rc == 0)
		rc = bkp_s3_signature(
		    signer, timestamp, &string, signature, err);
	fmt_buf_free(&string);
	return rc;
}

int
bkp_s3_authorize(const struct bkp_s3_signer *signer,
    const struct bkp_s3_signable *signable, const char *timestamp,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_buf canonical = FMT_BUF_SECRET_INIT;
	struct fmt_buf lines = FMT_BUF_SECRET_INIT, names = FMT_BUF_INIT;
	char signature[BKP_S3_HEX];
	int rc = -1;

	if (bkp_s3_canonical(signable, &canonical, err) < 0 ||
	    sign_canonical(signer, timestamp, &canonical, signature, err) < 0 ||
	    canonical_headers(signable->headers, &lines, &names, err) < 0)
		goto out;
	if (fmt_buf_printf(out, ALGORITHM " Credential=%s/",
		signer->access_key) != FMT_OK ||
	    append_scope(signer, timestamp, out) != FMT_OK ||
	    fmt_buf_append_text(out, ", SignedHeaders=") != FMT_OK ||
	    fmt_buf_append(out, names.data, names.len) != FMT_OK ||
	    fmt_buf_printf(out, ", Signature=%s", signature) != FMT_OK) {
		(void)bkp_fail_nomem(err, "signing a request");
		goto out;
	}
	rc = 0;
out:
	fmt_buf_free(&canonical);
	fmt_buf_free(&lines);
	fmt_buf_free(&names);
	return rc;
}

/* Adds the parameters that a presigned request is signed with. */
static int
add_presigned(const struct bkp_s3_signer *signer,
    const struct bkp_s3_signable *signable, const char *session_token,
    const char *timestamp, unsigned seconds, struct bkp_s3_fields *query,
    struct bkp_error *err)
{
	struct fmt_buf credential = FMT_BUF_INIT, names = FMT_BUF_INIT;
	struct fmt_buf lines = FMT_BUF_SECRET_INIT, expires = FMT_BUF_INIT;
	int rc = -1;

	if (canonical_headers(signable->headers, &lines, &names, err) < 0)
		goto out;
	if (fmt_buf_printf(&credential, "%s/", signer->access_key) != FMT_OK ||
	    append_scope(signer, timestamp, &credential) != FMT_OK ||
	    fmt_buf_printf(&expires, "%u", seconds) != FMT_OK ||
	    fmt_buf_text(&credential) == NULL || fmt_buf_text(&names) == NULL ||
	    fmt_buf_text(&expires) == NULL) {
		(void)bkp_fail_nomem(err, "signing a request");
		goto out;
	}
	if (bkp_s3_fields_add(query, "X-Amz-Algorithm", ALGORITHM, err) < 0 ||
	    bkp_s3_fields_add(query, "X-Amz-Credential",
		(const char *)credential.data, err) < 0 ||
	    bkp_s3_fields_add(query, "X-Amz-Date", timestamp, err) < 0 ||
	    bkp_s3_fields_add(
		query, "X-Amz-Expires", (const char *)expires.data, err) < 0 ||
	    bkp_s3_fields_add(query, "X-Amz-SignedHeaders",
		(const char *)names.data, err) < 0)
		goto out;
	if (session_token != NULL &&
	    bkp_s3_fields_add(
		query, "X-Amz-Security-Token", session_token, err) < 0)
		goto out;
	rc = 0;
out:
	fmt_buf_free(&credential);
	fmt_buf_free(&names);
	fmt_buf_free(&lines);
	fmt_buf_free(&expires);
	return rc;
}

int
bkp_s3_presign(const struct bkp_s3_signer *signer,
    const struct bkp_s3_signable *signable, const char *session_token,
    const char *timestamp, unsigned seconds, struct bkp_s3_fields *query,
    struct bkp_error *err)
{
	struct fmt_buf canonical = FMT_BUF_SECRET_INIT;
	char signature[BKP_S3_HEX];
	int rc;

	rc = add_presigned(
	    signer, signable, session_token, timestamp, seconds, query, err);
	if (rc == 0)
		rc = append_canonical(signable, query, &canonical, err);
	if (rc == 0)
		rc = sign_canonical(
		    signer, timestamp, &canonical, signature, err);
	if (rc == 0)
		rc =
		    bkp_s3_fields_add(query, "X-Amz-Signature", signature, err);
	fmt_buf_free(&canonical);
	return rc;
}
