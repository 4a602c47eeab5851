/* SPDX-License-Identifier: Apache-2.0 */
/* What a bucket has already when objects are to go back into it. */
#include <openssl/evp.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

static int
hash(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	if (EVP_DigestUpdate(arg, data, len) != 1)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	return 0;
}

int
bkp_bucket_has_bytes(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, const struct fmt_entry *entry,
    bool *has, struct bkp_error *err)
{
	EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
	const struct bkp_s3_get_options options = {
	    .version_id = version_id, .write = hash, .arg = sha256};
	unsigned char digest[EVP_MAX_MD_SIZE];
	int rc = -1;

	if (sha256 == NULL ||
	    EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1) {
		(void)bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
		goto out;
	}
	if (bkp_s3_get(connection, bucket, key, &options, err) < 0)
		goto out;
	if (EVP_DigestFinal_ex(sha256, digest, NULL) != 1) {
		(void)bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
		goto out;
	}
	*has = memcmp(digest, entry->sha256, sizeof(entry->sha256)) == 0;
	rc = 0;
out:
	EVP_MD_CTX_free(sha256);
	return rc;
}

/* A lock is never made less. */
int
bkp_bucket_lock_again(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct bkp_s3_lock *lock, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_lock now = {.mode = BKP_S3_LOCK_NONE};
	enum bkp_s3_lock_mode mode = lock->mode;
	int rc = bkp_s3_head(connection, bucket, key, 0, &headers, err);

	if (rc == 0)
		rc = bkp_s3_read_lock(&headers, &now, err);
	if (now.mode == BKP_S3_LOCK_COMPLIANCE)
		mode = now.mode;
	if (rc == 0 && lock->mode != BKP_S3_LOCK_NONE &&
	    (now.mode == BKP_S3_LOCK_NONE || now.until < lock->until ||
		now.mode != mode))
		rc = bkp_s3_put_retention(connection, bucket, key, NULL, mode,
		    now.until > lock->until ? now.until : lock->until, err);
	if (rc == 0 && lock->has_legal_hold && !now.has_legal_hold)
		rc = bkp_s3_put_legal_hold(
		    connection, bucket, key, NULL, true, err);
	bkp_s3_fields_free(&headers);
	return rc;
}
