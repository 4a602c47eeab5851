/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_SIGNING_H
#define LIBBACKUP_S3_SIGNING_H

/*
 * AWS Signature Version 4 as S3 wants it: the path is encoded once and never
 * normalised ("//" and ".." stay). Source: "Authenticating Requests (AWS
 * Signature Version 4)" of the Amazon S3 API reference. No clock in here: the
 * caller gives the time.
 */

#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/error.h"
#include "libbackup/s3/fields.h"

#define BKP_S3_TIMESTAMP 17 /* "20150830T123600Z" and its NUL */
#define BKP_S3_HEX 65       /* a SHA-256 in hexadecimal and its NUL */

/* What stands for the payload where it is not hashed. */
#define BKP_S3_UNSIGNED "UNSIGNED-PAYLOAD"

/* Who signs; all borrowed. */
struct bkp_s3_signer {
	const char *access_key;
	const char *secret_key;
	const char *region;
	const char *service; /* "s3" */
};

/* What is signed; all borrowed. Every header given is signed, so the caller
 * gives those that reach the server unchanged: host, x-amz-*, content-*. */
struct bkp_s3_signable {
	const char *method;
	const char *path; /* as sent: percent-encoded, begins with "/" */
	const struct bkp_s3_fields *query; /* not encoded; NULL: none */
	const struct bkp_s3_fields *headers;
	const char *payload_hash; /* hexadecimal, or BKP_S3_UNSIGNED */
};

/* Writes seconds since 1970 in the form that signatures use. */
void bkp_s3_timestamp(int64_t seconds, char out[BKP_S3_TIMESTAMP]);

/* The SHA-256 of bytes in hexadecimal. */
int bkp_s3_hash(
    const void *data, size_t len, char out[BKP_S3_HEX], struct bkp_error *err);

/* Appends the canonical request. */
int bkp_s3_canonical(const struct bkp_s3_signable *signable,
    struct fmt_buf *out, struct bkp_error *err);

/* Appends the string to sign for a canonical request. */
int bkp_s3_string_to_sign(const struct bkp_s3_signer *signer,
    const char *timestamp, const struct fmt_buf *canonical, struct fmt_buf *out,
    struct bkp_error *err);

/* Signs a string to sign. */
int bkp_s3_signature(const struct bkp_s3_signer *signer, const char *timestamp,
    const struct fmt_buf *string, char signature[BKP_S3_HEX],
    struct bkp_error *err);

/* Appends the value of the Authorization header. The headers hold x-amz-date
 * (and x-amz-content-sha256, and a session token) already. */
int bkp_s3_authorize(const struct bkp_s3_signer *signer,
    const struct bkp_s3_signable *signable, const char *timestamp,
    struct fmt_buf *out, struct bkp_error *err);

/* Adds to `query` all that makes the request valid for `seconds` without an
 * Authorization header; the signature last. `signable->query` is ignored: the
 * list that is completed is the one signed. session_token may be NULL. */
int bkp_s3_presign(const struct bkp_s3_signer *signer,
    const struct bkp_s3_signable *signable, const char *session_token,
    const char *timestamp, unsigned seconds, struct bkp_s3_fields *query,
    struct bkp_error *err);

#endif
