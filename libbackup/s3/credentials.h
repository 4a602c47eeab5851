/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_CREDENTIALS_H
#define LIBBACKUP_S3_CREDENTIALS_H

/*
 * Who we are to the server, found the way the AWS tools find it: first what
 * the configuration gives, then the environment (AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, each also as ..._FILE), then the
 * profile in ~/.aws/credentials and ~/.aws/config (AWS_PROFILE,
 * AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE). Region and endpoint likewise
 * (AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL).
 */

#include "libbackup/error.h"

struct bkp_s3_credentials {
	char *access_key; /* owned, secret like all of the first three */
	char *secret_key;
	char *session_token; /* NULL: none */
	char *region;
	char *endpoint; /* NULL: AWS, by region */
};

/* What the configuration says; NULL: not given. Borrowed. */
struct bkp_s3_given {
	const char *access_key, *secret_key, *session_token;
	const char *profile, *region, *endpoint;
};

/* BKP_AUTH where there are none; the message says where they were looked
 * for. A profile that was named and does not exist is BKP_INVALID. */
int bkp_s3_credentials_load(const struct bkp_s3_given *given,
    struct bkp_s3_credentials *out, struct bkp_error *err);

/* Wipes and frees the contents. */
void bkp_s3_credentials_free(struct bkp_s3_credentials *credentials);

#endif
