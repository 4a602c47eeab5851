/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

#include <openssl/crypto.h>
#include <string.h>

enum fmt_status
fmt_age_payload_open(const struct fmt_age_identity *identities,
    size_t identity_count, const void *head, size_t len,
    struct fmt_age_payload *out)
{
	const unsigned char *header = head;
	struct fmt_age_scan scan = {0, 0};
	unsigned char file_key[FMT_AGE_FILE_KEY];
	enum fmt_status status;
	size_t size;

	if (len == 0)
		return FMT_TRUNCATED;
	status = fmt_age_header_scan(&scan, header, len, &size);
	if (status == FMT_OK && len - size < FMT_AGE_NONCE)
		status = FMT_TRUNCATED;
	if (status == FMT_OK)
		status = fmt_age_header_unwrap(
		    identities, identity_count, header, size, file_key);
	if (status != FMT_OK)
		return status;
	status = fmt_age_hkdf(file_key, sizeof file_key, header + size,
	    FMT_AGE_NONCE, "payload", out->key);
	OPENSSL_cleanse(file_key, sizeof file_key);
	out->header_size = size + FMT_AGE_NONCE;
	return status;
}

enum fmt_status
fmt_age_plain_size(
    const struct fmt_age_payload *payload, uint64_t file_size, uint64_t *out)
{
	uint64_t stored, full, rest;

	if (file_size < payload->header_size + FMT_AGE_TAG)
		return FMT_TRUNCATED;
	stored = file_size - payload->header_size;
	full = stored / FMT_AGE_STORED;
	rest = stored % FMT_AGE_STORED;
	/* A tag without plaintext is a whole file only where it is all. */
	if ((rest > 0 && rest < FMT_AGE_TAG) ||
	    (rest == FMT_AGE_TAG && full > 0))
		return FMT_TRUNCATED;
	*out = full * FMT_AGE_SEGMENT + (rest == 0 ? 0 : rest - FMT_AGE_TAG);
	return FMT_OK;
}

void
fmt_age_payload_range(const struct fmt_age_payload *payload, uint64_t file_size,
    uint64_t offset, uint64_t len, uint64_t *file_offset, uint64_t *file_len)
{
	uint64_t size, first, end;

	*file_offset = file_size;
	*file_len = 0;
	if (fmt_age_plain_size(payload, file_size, &size) != FMT_OK ||
	    offset >= size || len == 0)
		return;
	if (len > size - offset)
		len = size - offset;
	first = offset / FMT_AGE_SEGMENT;
	end = (offset + len - 1) / FMT_AGE_SEGMENT + 1;
	*file_offset = payload->header_size + first * FMT_AGE_STORED;
	*file_len = (end - first) * FMT_AGE_STORED;
	if (*file_len > file_size - *file_offset)
		*file_len = file_size - *file_offset;
}

/* The plaintext [from, to) of the segments that hold it; `from` counts from
 * the first of them. `out` has room for the first segment and all of it. */
static enum fmt_status
read_segments(EVP_CIPHER_CTX *ctx, uint64_t number, uint64_t last,
    const unsigned char *at, size_t len, size_t from, size_t wanted,
    struct fmt_buf *out)
{
	while (len > 0) {
		size_t take = len < FMT_AGE_STORED ? len : FMT_AGE_STORED;
		size_t have = take - FMT_AGE_TAG;
		unsigned char *plain = out->data + out->len;
		enum fmt_status status = fmt_age_segment_open(
		    ctx, number, number == last, at, take, plain);

		if (status != FMT_OK)
			return status;
		if (from > 0)
			memmove(plain, plain + from, have - from);
		have -= from;
		out->len += have < wanted ? have : wanted;
		wanted -= have < wanted ? have : wanted;
		from = 0;
		number++;
		at += take;
		len -= take;
	}
	return FMT_OK;
}

enum fmt_status
fmt_age_payload_read(const struct fmt_age_payload *payload, uint64_t file_size,
    uint64_t offset, uint64_t len, const void *segments, size_t segments_len,
    struct fmt_buf *out)
{
	uint64_t size, file_offset, file_len;
	size_t start = out->len;
	EVP_CIPHER_CTX *ctx;
	enum fmt_status status;

	status = fmt_age_plain_size(payload, file_size, &size);
	if (status != FMT_OK || len == 0)
		return status;
	fmt_age_payload_range(
	    payload, file_size, offset, len, &file_offset, &file_len);
	if (offset > size || len > size - offset || segments_len != file_len)
		return FMT_TRUNCATED;
	/* The edges are cut after their segments are opened in place. */
	status = fmt_buf_reserve(out, segments_len);
	if (status == FMT_OK)
		status = fmt_age_cipher_new(payload->key, false, &ctx);
	if (status != FMT_OK)
		return status;
	status = read_segments(ctx, offset / FMT_AGE_SEGMENT,
	    (size - 1) / FMT_AGE_SEGMENT, segments, segments_len,
	    (size_t)(offset % FMT_AGE_SEGMENT), (size_t)len, out);
	EVP_CIPHER_CTX_free(ctx);
	if (status != FMT_OK)
		out->len = start;
	return status;
}
