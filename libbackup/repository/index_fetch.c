/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/index_fetch.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

#define PIECE (1u << 20) /* bytes fetched at a time */

struct fetch {
	struct bkp_store *store;
	const char *path;
	struct fmt_age_reader *reader; /* owned */
	EVP_MD_CTX *digest;            /* owned */
	struct fmt_buf stored, plain;  /* one piece */
	uint64_t plain_len;            /* written so far */
	int fd;
	bool is_file_bad;
};

static int
decrypted(struct fetch *fetch, enum fmt_status status, struct bkp_error *err)
{
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "decrypting");
	if (bkp_write_all(fetch->fd, fetch->plain.data, fetch->plain.len) < 0) {
		fetch->is_file_bad = true;
		return bkp_fail_errno(err, errno, "writing a temporary file");
	}
	fetch->plain_len += fetch->plain.len;
	fmt_buf_clear(&fetch->plain);
	return 0;
}

/* Hashes everything even where decryption has failed, so that damage is told
 * as damage. */
static int
fetch_pieces(struct fetch *fetch, uint64_t size, struct bkp_error *err)
{
	int rc = 0;

	for (uint64_t at = 0; at < size; at += PIECE) {
		uint64_t len = size - at < PIECE ? size - at : PIECE;

		fmt_buf_clear(&fetch->stored);
		if (bkp_store_get(fetch->store, fetch->path, at, len,
			&fetch->stored, err) < 0)
			return -1;
		if (EVP_DigestUpdate(fetch->digest, fetch->stored.data,
			fetch->stored.len) != 1)
			return bkp_fail(err, BKP_IO, "hashing an object");
		if (rc == 0)
			rc = decrypted(fetch,
			    fmt_age_reader_update(fetch->reader,
				fetch->stored.data, fetch->stored.len,
				&fetch->plain),
			    err);
	}
	if (rc == 0)
		rc = decrypted(fetch,
		    fmt_age_reader_finish(fetch->reader, &fetch->plain), err);
	return rc;
}

static int
check_digest(struct fetch *fetch, const char *name, struct bkp_error *err)
{
	unsigned char digest[32];
	char hex[BKP_OBJECT_NAME];

	if (EVP_DigestFinal_ex(fetch->digest, digest, NULL) != 1)
		return bkp_fail(err, BKP_IO, "hashing an object");
	fmt_hex(digest, sizeof(digest), hex);
	if (strcmp(hex, name) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "its bytes are not the ones that were stored (SHA-256 "
		    "differs from the name)");
	return 0;
}

static int
prepare(struct fetch *fetch, const struct fmt_age_identity *metadata,
    size_t count, struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_age_reader_new(metadata, count, &fetch->reader);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "decrypting");
	if ((fetch->digest = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(fetch->digest, EVP_sha256(), NULL) != 1)
		return bkp_fail_nomem(err, "hashing an object");
	return 0;
}

/* True where decryption failed, and nothing else did. */
static bool
problem_is_damage(const struct bkp_error *err)
{
	return err != NULL &&
	       (err->code == BKP_CORRUPT || err->code == BKP_AUTH ||
		   err->code == BKP_UNSUPPORTED);
}

static int
fetch_and_check(
    struct fetch *fetch, const char *name, uint64_t size, struct bkp_error *err)
{
	struct bkp_error damage = BKP_ERROR_INIT;

	if (fetch_pieces(fetch, size, err) == 0)
		return check_digest(fetch, name, err);
	if (problem_is_damage(err) && check_digest(fetch, name, &damage) < 0)
		*err = damage;
	return -1;
}

static int
fetch_once(struct bkp_store *store, const struct fmt_age_identity *metadata,
    size_t count, const char *name, int fd, uint64_t *plain_len,
    bool *is_file_bad, struct bkp_error *err)
{
	char path[96];
	struct fetch fetch = {.store = store,
	    .path = path,
	    .stored = FMT_BUF_INIT,
	    .plain = FMT_BUF_INIT,
	    .fd = fd};
	struct bkp_store_object object;
	int rc;

	*is_file_bad = false;
	(void)snprintf(path, sizeof(path), "index/%s", name);
	if (bkp_store_stat(store, path, &object, err) < 0)
		return -1;
	rc = prepare(&fetch, metadata, count, err);
	if (rc == 0)
		rc = fetch_and_check(&fetch, name, object.size, err);
	if (rc == 0)
		*plain_len = fetch.plain_len;
	else
		(void)bkp_fail_in(err, "%s: %s", store->location, path);
	*is_file_bad = fetch.is_file_bad;
	fmt_age_reader_free(fetch.reader);
	EVP_MD_CTX_free(fetch.digest);
	fmt_buf_free(&fetch.stored);
	fmt_buf_free(&fetch.plain);
	return rc;
}

int
bkp_index_fetch(struct bkp_store *store,
    const struct fmt_age_identity *metadata, size_t count, const char *name,
    int fd, uint64_t *plain_len, bool *is_file_bad, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	unsigned left = bkp_store_reads(store);
	off_t begin = lseek(fd, 0, SEEK_CUR);

	while (fetch_once(store, metadata, count, name, fd, plain_len,
		   is_file_bad, &problem) < 0) {
		if (--left > 0 && !*is_file_bad &&
		    problem_is_damage(&problem) && begin >= 0 &&
		    ftruncate(fd, begin) == 0 &&
		    lseek(fd, begin, SEEK_SET) == begin)
			continue;
		if (err != NULL)
			*err = problem;
		return -1;
	}
	return 0;
}
