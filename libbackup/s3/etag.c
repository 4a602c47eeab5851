/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/etag.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

#define MD5_SIZE 16
#define CANDIDATES_MAX 8
#define MIB ((uint64_t)1 << 20)

/* What clients use: the SDKs, mc, rclone, s3cmd, the AWS console. */
static const uint64_t usual_sizes[] = {5 * MIB, 8 * MIB, 10 * MIB, 15 * MIB,
    16 * MIB, 17 * MIB, 32 * MIB, 50 * MIB, 64 * MIB, 100 * MIB, 128 * MIB,
    256 * MIB, 512 * MIB, 1024 * MIB};

/* One way to cut the bytes into parts. */
struct candidate {
	uint64_t part_size; /* 0: by the list, or all in one */
	uint64_t left;      /* bytes that this part still takes */
	size_t index;       /* of the part */
	EVP_MD_CTX *part;
	EVP_MD_CTX *total; /* of the parts' MD5s; NULL: no parts */
};

struct bkp_s3_etag {
	char expected[MD5_SIZE * 2 + 1];
	const uint64_t *part_sizes; /* borrowed */
	size_t part_count;
	struct candidate candidates[CANDIDATES_MAX];
	size_t count;
};

static size_t
hex_length(const char *text)
{
	return strspn(text, "0123456789abcdef");
}

unsigned
bkp_s3_etag_parts(const char *etag)
{
	size_t len = hex_length(etag);
	unsigned long parts;
	char *end;

	if (len != 2 * MD5_SIZE || etag[len] != '-')
		return 0;
	parts = strtoul(etag + len + 1, &end, 10);
	return *end == '\0' && parts >= 1 && parts <= 10000 ? (unsigned)parts
							    : 0;
}

bool
bkp_s3_etag_is_md5(const char *etag)
{
	return hex_length(etag) == 2 * MD5_SIZE && etag[2 * MD5_SIZE] == '\0';
}

static int
start(EVP_MD_CTX **md, struct bkp_error *err)
{
	if (*md == NULL)
		*md = EVP_MD_CTX_new();
	if (*md == NULL || EVP_DigestInit_ex(*md, EVP_md5(), NULL) != 1)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	return 0;
}

static int
add_candidate(struct bkp_s3_etag *check, uint64_t part_size, bool has_parts,
    struct bkp_error *err)
{
	struct candidate *candidate = &check->candidates[check->count];

	if (check->count == CANDIDATES_MAX)
		return 0;
	check->count++;
	candidate->part_size = part_size;
	candidate->left = UINT64_MAX;
	if (part_size > 0)
		candidate->left = part_size;
	else if (has_parts)
		candidate->left = check->part_sizes[0];
	if (has_parts && start(&candidate->total, err) < 0)
		return -1;
	return start(&candidate->part, err);
}

static int
add_usual(struct bkp_s3_etag *check, uint64_t size, unsigned parts,
    struct bkp_error *err)
{
	if (parts == 1)
		return add_candidate(check, size > 0 ? size : 1, true, err);
	for (size_t i = 0; i < sizeof(usual_sizes) / sizeof(usual_sizes[0]);
	     i++) {
		uint64_t part = usual_sizes[i];

		if ((size + part - 1) / part == parts &&
		    add_candidate(check, part, true, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_s3_etag_new(const char *etag, uint64_t size, const uint64_t *part_sizes,
    size_t part_count, struct bkp_s3_etag **out, struct bkp_error *err)
{
	unsigned parts = bkp_s3_etag_parts(etag);
	struct bkp_s3_etag *check = bkp_alloc(sizeof(*check), err);
	int rc = 0;

	if (check == NULL)
		return -1;
	check->part_sizes = part_sizes;
	check->part_count = part_count;
	(void)snprintf(check->expected, sizeof(check->expected), "%s", etag);
	if (parts > 0 && part_count == parts)
		rc = add_candidate(check, 0, true, err);
	else if (parts > 0)
		rc = add_usual(check, size, parts, err);
	else if (bkp_s3_etag_is_md5(etag))
		rc = add_candidate(check, 0, false, err);
	if (rc < 0) {
		bkp_s3_etag_free(check);
		return -1;
	}
	*out = check;
	return 0;
}

void
bkp_s3_etag_free(struct bkp_s3_etag *check)
{
	if (check == NULL)
		return;
	for (size_t i = 0; i < check->count; i++) {
		EVP_MD_CTX_free(check->candidates[i].part);
		EVP_MD_CTX_free(check->candidates[i].total);
	}
	free(check);
}

/* Ends a part and begins the next. */
static int
end_part(struct bkp_s3_etag *check, struct candidate *candidate,
    struct bkp_error *err)
{
	unsigned char md5[EVP_MAX_MD_SIZE];

	if (EVP_DigestFinal_ex(candidate->part, md5, NULL) != 1 ||
	    EVP_DigestUpdate(candidate->total, md5, MD5_SIZE) != 1)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	candidate->index++;
	if (candidate->part_size > 0)
		candidate->left = candidate->part_size;
	else if (candidate->index < check->part_count)
		candidate->left = check->part_sizes[candidate->index];
	else
		candidate->left = UINT64_MAX;
	return start(&candidate->part, err);
}

static int
update(struct bkp_s3_etag *check, struct candidate *candidate,
    const unsigned char *data, size_t len, struct bkp_error *err)
{
	while (len > 0) {
		size_t step = len;

		if (candidate->left == 0) {
			if (end_part(check, candidate, err) < 0)
				return -1;
			continue;
		}
		if (step > candidate->left)
			step = (size_t)candidate->left;
		if (EVP_DigestUpdate(candidate->part, data, step) != 1)
			return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
		if (candidate->total != NULL)
			candidate->left -= step;
		data += step;
		len -= step;
	}
	return 0;
}

int
bkp_s3_etag_update(struct bkp_s3_etag *check, const void *data, size_t len,
    struct bkp_error *err)
{
	for (size_t i = 0; i < check->count; i++)
		if (update(check, &check->candidates[i], data, len, err) < 0)
			return -1;
	return 0;
}

static int
finish(struct bkp_s3_etag *check, struct candidate *candidate, bool *is_match,
    struct bkp_error *err)
{
	EVP_MD_CTX *last = candidate->part;
	unsigned char md5[EVP_MAX_MD_SIZE];
	char text[2 * MD5_SIZE + 1];

	if (candidate->total != NULL) {
		if (end_part(check, candidate, err) < 0)
			return -1;
		last = candidate->total;
	}
	if (EVP_DigestFinal_ex(last, md5, NULL) != 1)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot hash");
	for (size_t i = 0; i < MD5_SIZE; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", md5[i]);
	*is_match = strcmp(text, check->expected) == 0;
	return 0;
}

int
bkp_s3_etag_finish(struct bkp_s3_etag *check, bool *is_match,
    uint64_t *part_size, struct bkp_error *err)
{
	bool is_found = false;

	*part_size = 0;
	for (size_t i = 0; i < check->count && !is_found; i++) {
		if (finish(check, &check->candidates[i], &is_found, err) < 0)
			return -1;
		if (is_found)
			*part_size = check->candidates[i].part_size;
	}
	*is_match = is_found;
	return 0;
}
