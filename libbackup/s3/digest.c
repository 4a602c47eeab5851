/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"

static int
update(EVP_MD_CTX *sha256, EVP_MD_CTX *md5, const void *data, size_t len,
    struct bkp_error *err)
{
	if (EVP_DigestUpdate(sha256, data, len) != 1 ||
	    EVP_DigestUpdate(md5, data, len) != 1)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	return 0;
}

static int
digest_stream(const struct bkp_s3_body *body, EVP_MD_CTX *sha256,
    EVP_MD_CTX *md5, struct bkp_error *err)
{
	uint64_t done = 0;
	size_t got = 1;
	char *buffer;
	int rc = -1;

	if ((buffer = bkp_alloc(65536, err)) == NULL)
		return -1;
	if (body->rewind(body->arg, err) < 0)
		goto out;
	while (got > 0) {
		if (body->read(body->arg, buffer, 65536, &got, err) < 0 ||
		    update(sha256, md5, buffer, got, err) < 0)
			goto out;
		done += got;
	}
	rc = done == body->size ? 0
				: bkp_fail(err, BKP_CORRUPT,
				      "a body of %llu bytes ended after %llu",
				      (unsigned long long)body->size,
				      (unsigned long long)done);
out:
	free(buffer);
	return rc;
}

int
bkp_s3_digest_body(const struct bkp_s3_body *body, struct bkp_s3_digests *out,
    struct bkp_error *err)
{
	EVP_MD_CTX *sha256 = EVP_MD_CTX_new(), *md5 = EVP_MD_CTX_new();
	unsigned char hash[EVP_MAX_MD_SIZE];
	int rc = -1;

	if (sha256 == NULL || md5 == NULL ||
	    EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1) {
		(void)bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
		goto out;
	}
	if ((body->data != NULL
		    ? update(sha256, md5, body->data, (size_t)body->size, err)
		    : digest_stream(body, sha256, md5, err)) < 0)
		goto out;
	if (EVP_DigestFinal_ex(sha256, hash, NULL) != 1 ||
	    EVP_DigestFinal_ex(md5, out->md5, NULL) != 1) {
		(void)bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
		goto out;
	}
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(out->sha256 + 2 * i, 3, "%02x", hash[i]);
	rc = 0;
out:
	EVP_MD_CTX_free(sha256);
	EVP_MD_CTX_free(md5);
	return rc;
}

int
bkp_s3_add_md5(struct bkp_s3_fields *headers, const unsigned char md5[16],
    struct bkp_error *err)
{
	unsigned char text[32];

	(void)EVP_EncodeBlock(text, md5, 16);
	return bkp_s3_fields_add(
	    headers, "content-md5", (const char *)text, err);
}
