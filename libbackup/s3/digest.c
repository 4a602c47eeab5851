/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/request.h"

struct digesting {
	EVP_MD_CTX *sha256, *md5; /* md5 NULL: nobody needs it */
};

static int
update(struct digesting *digesting, const void *data, size_t len,
    struct bkp_error *err)
{
	if (EVP_DigestUpdate(digesting->sha256, data, len) != 1 ||
	    (digesting->md5 != NULL &&
		EVP_DigestUpdate(digesting->md5, data, len) != 1))
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	return 0;
}

static int
digest_stream(const struct bkp_s3_body *body, struct digesting *digesting,
    struct bkp_error *err)
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
		    update(digesting, buffer, got, err) < 0)
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

/* A digest that has begun; NULL, and err is set. */
static EVP_MD_CTX *
begin(const EVP_MD *kind, struct bkp_error *err)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();

	if (digest != NULL && EVP_DigestInit_ex(digest, kind, NULL) == 1)
		return digest;
	EVP_MD_CTX_free(digest);
	(void)bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	return NULL;
}

/* Reads the body through. */
static int
digest(const struct bkp_s3_body *body, struct digesting *digesting,
    struct bkp_s3_digests *out, struct bkp_error *err)
{
	unsigned char hash[EVP_MAX_MD_SIZE];

	if ((body->data != NULL
		    ? update(digesting, body->data, (size_t)body->size, err)
		    : digest_stream(body, digesting, err)) < 0)
		return -1;
	if (EVP_DigestFinal_ex(digesting->sha256, hash, NULL) != 1 ||
	    (digesting->md5 != NULL &&
		EVP_DigestFinal_ex(digesting->md5, out->md5, NULL) != 1))
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(out->sha256 + 2 * i, 3, "%02x", hash[i]);
	return 0;
}

int
bkp_s3_digest_body(const struct bkp_s3_body *body, struct bkp_s3_digests *out,
    struct bkp_error *err)
{
	struct digesting digesting = {begin(EVP_sha256(), err), NULL};
	int rc = -1;

	if (digesting.sha256 != NULL &&
	    (digesting.md5 = begin(EVP_md5(), err)) != NULL)
		rc = digest(body, &digesting, out, err);
	EVP_MD_CTX_free(digesting.sha256);
	EVP_MD_CTX_free(digesting.md5);
	return rc;
}

int
bkp_s3_digest_sha256(const struct bkp_s3_body *body, struct bkp_s3_digests *out,
    struct bkp_error *err)
{
	struct digesting digesting = {begin(EVP_sha256(), err), NULL};
	int rc = -1;

	if (digesting.sha256 != NULL)
		rc = digest(body, &digesting, out, err);
	EVP_MD_CTX_free(digesting.sha256);
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
