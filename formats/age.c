/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

/*
 * Segments are sealed and opened straight between the caller's memory and the
 * output. Only the end of what came is held back: whether a segment is the
 * last one is known when more bytes come, or none.
 */
struct fmt_age_writer {
	EVP_CIPHER_CTX *ctx;
	uint64_t number; /* of the segment that is held */
	size_t held;
	unsigned char segment[FMT_AGE_SEGMENT];
};

struct fmt_age_reader {
	struct fmt_age_identity *identities; /* owned, with passphrases */
	size_t identity_count;
	bool has_begun, is_armored;
	struct fmt_age_armor armor;
	struct fmt_buf binary; /* what one portion of armor gave */
	struct fmt_buf header; /* until the payload begins */
	struct fmt_age_scan scan;
	EVP_CIPHER_CTX *ctx;    /* NULL until the payload begins */
	enum fmt_status failed; /* what went wrong stays wrong */
	uint64_t number;
	size_t held;
	unsigned char segment[FMT_AGE_STORED];
};

/* A header of a few recipients is found in the first portion of this size. */
#define HEADER_PORTION 1024

/* ---- writer ---- */

static enum fmt_status
start_payload(const struct fmt_age_recipient *recipients, size_t count,
    struct fmt_buf *out, EVP_CIPHER_CTX **ctx)
{
	unsigned char file_key[FMT_AGE_FILE_KEY], nonce[FMT_AGE_NONCE], key[32];
	enum fmt_status status = FMT_CRYPTO;

	if (RAND_priv_bytes(file_key, sizeof file_key) == 1 &&
	    RAND_bytes(nonce, sizeof nonce) == 1)
		status = fmt_age_header_write(recipients, count, file_key, out);
	if (status == FMT_OK)
		status = fmt_buf_append(out, nonce, sizeof nonce);
	if (status == FMT_OK)
		status = fmt_age_hkdf(file_key, sizeof file_key, nonce,
		    sizeof nonce, "payload", key);
	if (status == FMT_OK)
		status = fmt_age_cipher_new(key, true, ctx);
	OPENSSL_cleanse(file_key, sizeof file_key);
	OPENSSL_cleanse(key, sizeof key);
	return status;
}

enum fmt_status
fmt_age_writer_new(const struct fmt_age_recipient *recipients,
    size_t recipient_count, struct fmt_buf *out, struct fmt_age_writer **writer)
{
	struct fmt_age_writer *made = malloc(sizeof *made);
	size_t start = out->len;
	enum fmt_status status;

	if (made == NULL)
		return FMT_NOMEM;
	made->ctx = NULL;
	made->number = 0;
	made->held = 0;
	status = start_payload(recipients, recipient_count, out, &made->ctx);
	if (status != FMT_OK) {
		out->len = start;
		fmt_age_writer_free(made);
		return status;
	}
	*writer = made;
	return FMT_OK;
}

/* Seals a segment into memory that is reserved already. */
static enum fmt_status
write_segment(struct fmt_age_writer *writer, bool is_last,
    const unsigned char *plain, size_t len, struct fmt_buf *out)
{
	enum fmt_status status = fmt_age_segment_seal(writer->ctx,
	    writer->number, is_last, plain, len, out->data + out->len);

	if (status != FMT_OK)
		return status;
	writer->number++;
	out->len += len + FMT_AGE_TAG;
	return FMT_OK;
}

enum fmt_status
fmt_age_writer_update(struct fmt_age_writer *writer, const void *plain,
    size_t len, struct fmt_buf *out)
{
	const unsigned char *at = plain;
	size_t full = len / FMT_AGE_SEGMENT + 1;
	enum fmt_status status = FMT_OK;

	if (len > SIZE_MAX / 4)
		return FMT_NOMEM;
	if (writer->held + len > FMT_AGE_SEGMENT)
		status = fmt_buf_reserve(out, full * FMT_AGE_STORED);
	while (status == FMT_OK && writer->held + len > FMT_AGE_SEGMENT) {
		size_t take = FMT_AGE_SEGMENT - writer->held;
		const unsigned char *segment = at;

		if (writer->held > 0) {
			memcpy(writer->segment + writer->held, at, take);
			segment = writer->segment;
			writer->held = 0;
		}
		status =
		    write_segment(writer, false, segment, FMT_AGE_SEGMENT, out);
		at += take;
		len -= take;
	}
	if (status == FMT_OK && len > 0) {
		memcpy(writer->segment + writer->held, at, len);
		writer->held += len;
	}
	return status;
}

enum fmt_status
fmt_age_writer_finish(struct fmt_age_writer *writer, struct fmt_buf *out)
{
	enum fmt_status status =
	    fmt_buf_reserve(out, writer->held + FMT_AGE_TAG);

	if (status == FMT_OK)
		status = write_segment(
		    writer, true, writer->segment, writer->held, out);
	return status;
}

void
fmt_age_writer_free(struct fmt_age_writer *writer)
{
	if (writer == NULL)
		return;
	EVP_CIPHER_CTX_free(writer->ctx);
	OPENSSL_cleanse(writer->segment, sizeof writer->segment);
	free(writer);
}

enum fmt_status
fmt_age_seal(const struct fmt_age_recipient *recipients, size_t recipient_count,
    const void *plain, size_t len, struct fmt_buf *out)
{
	struct fmt_age_writer *writer = NULL;
	size_t start = out->len;
	enum fmt_status status =
	    fmt_age_writer_new(recipients, recipient_count, out, &writer);

	if (status == FMT_OK)
		status = fmt_age_writer_update(writer, plain, len, out);
	if (status == FMT_OK)
		status = fmt_age_writer_finish(writer, out);
	if (status != FMT_OK)
		out->len = start;
	fmt_age_writer_free(writer);
	return status;
}

/* ---- reader ---- */

static void
forget_identities(struct fmt_age_reader *reader)
{
	for (size_t i = 0; i < reader->identity_count; i++) {
		struct fmt_age_identity *identity = &reader->identities[i];
		char *copy;

		/* The field is const for callers that lend theirs. */
		memcpy(&copy, &identity->passphrase, sizeof copy);
		if (copy != NULL)
			OPENSSL_cleanse(copy, strlen(copy));
		free(copy);
		OPENSSL_cleanse(identity, sizeof *identity);
	}
	free(reader->identities);
	reader->identities = NULL;
	reader->identity_count = 0;
}

static enum fmt_status
copy_identities(struct fmt_age_reader *reader,
    const struct fmt_age_identity *identities, size_t count)
{
	reader->identities = calloc(count > 0 ? count : 1, sizeof *identities);
	if (reader->identities == NULL)
		return FMT_NOMEM;
	for (size_t i = 0; i < count; i++) {
		struct fmt_age_identity *copy = &reader->identities[i];

		*copy = identities[i];
		copy->passphrase = NULL;
		reader->identity_count++;
		if (identities[i].kind != FMT_AGE_SCRYPT ||
		    identities[i].passphrase == NULL)
			continue;
		copy->passphrase = strdup(identities[i].passphrase);
		if (copy->passphrase == NULL)
			return FMT_NOMEM;
	}
	return FMT_OK;
}

enum fmt_status
fmt_age_reader_new(const struct fmt_age_identity *identities,
    size_t identity_count, struct fmt_age_reader **reader)
{
	static const struct fmt_age_armor fresh_armor = FMT_AGE_ARMOR_INIT;
	struct fmt_age_reader *made = malloc(sizeof *made);
	enum fmt_status status;

	if (made == NULL)
		return FMT_NOMEM;
	memset(made, 0, offsetof(struct fmt_age_reader, segment));
	made->armor = fresh_armor;
	made->failed = FMT_OK;
	status = copy_identities(made, identities, identity_count);
	if (status != FMT_OK) {
		fmt_age_reader_free(made);
		return status;
	}
	*reader = made;
	return FMT_OK;
}

/* Opens a segment into memory that is reserved already. */
static enum fmt_status
read_segment(struct fmt_age_reader *reader, bool is_last,
    const unsigned char *sealed, size_t len, struct fmt_buf *out)
{
	enum fmt_status status = fmt_age_segment_open(reader->ctx,
	    reader->number, is_last, sealed, len, out->data + out->len);

	if (status != FMT_OK)
		return status;
	reader->number++;
	out->len += len - FMT_AGE_TAG;
	return FMT_OK;
}

/* A full segment that more bytes follow. One that says it is the last is
 * genuine, and what follows it is not of the file. */
static enum fmt_status
read_followed_segment(struct fmt_age_reader *reader,
    const unsigned char *sealed, struct fmt_buf *out)
{
	enum fmt_status status =
	    read_segment(reader, false, sealed, FMT_AGE_STORED, out);

	if (status == FMT_AUTH &&
	    read_segment(reader, true, sealed, FMT_AGE_STORED, out) == FMT_OK)
		return FMT_MALFORMED;
	return status;
}

static enum fmt_status
feed_payload(struct fmt_age_reader *reader, const unsigned char *at, size_t len,
    struct fmt_buf *out)
{
	size_t full = len / FMT_AGE_STORED + 1;
	enum fmt_status status = FMT_OK;

	if (reader->held + len > FMT_AGE_STORED)
		status = fmt_buf_reserve(out, full * FMT_AGE_SEGMENT);
	while (status == FMT_OK && reader->held + len > FMT_AGE_STORED) {
		size_t take = FMT_AGE_STORED - reader->held;
		const unsigned char *segment = at;

		if (reader->held > 0) {
			memcpy(reader->segment + reader->held, at, take);
			segment = reader->segment;
			reader->held = 0;
		}
		status = read_followed_segment(reader, segment, out);
		at += take;
		len -= take;
	}
	if (status == FMT_OK && len > 0) {
		memcpy(reader->segment + reader->held, at, len);
		reader->held += len;
	}
	return status;
}

/* Looks whether the header is whole; then the payload begins with what came
 * behind it. */
static enum fmt_status
try_header(struct fmt_age_reader *reader, struct fmt_buf *out)
{
	struct fmt_buf *header = &reader->header;
	struct fmt_age_payload payload;
	enum fmt_status status;
	size_t size;

	status = fmt_age_header_scan(
	    &reader->scan, header->data, header->len, &size);
	if (status == FMT_OK && header->len - size < FMT_AGE_NONCE)
		status = FMT_TRUNCATED;
	if (status != FMT_OK)
		return status == FMT_TRUNCATED ? FMT_OK : status;
	status = fmt_age_payload_open(reader->identities,
	    reader->identity_count, header->data, header->len, &payload);
	if (status != FMT_OK)
		return status;
	forget_identities(reader);
	status = fmt_age_cipher_new(payload.key, false, &reader->ctx);
	size = (size_t)payload.header_size;
	OPENSSL_cleanse(&payload, sizeof payload);
	if (status == FMT_OK)
		status = feed_payload(
		    reader, header->data + size, header->len - size, out);
	fmt_buf_free(header);
	return status;
}

static enum fmt_status
feed_binary(struct fmt_age_reader *reader, const unsigned char *at, size_t len,
    struct fmt_buf *out)
{
	while (reader->ctx == NULL && len > 0) {
		size_t take = len < HEADER_PORTION ? len : HEADER_PORTION;
		enum fmt_status status =
		    fmt_buf_append(&reader->header, at, take);

		if (status == FMT_OK)
			status = try_header(reader, out);
		if (status != FMT_OK)
			return status;
		at += take;
		len -= take;
	}
	return len > 0 ? feed_payload(reader, at, len, out) : FMT_OK;
}

/* A portion at a time, so that the memory for armor stays small. What was
 * decoded ahead of an error is given out first. */
static enum fmt_status
feed_armored(struct fmt_age_reader *reader, const unsigned char *at, size_t len,
    struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK, armor_status = FMT_OK;

	while (len > 0 && status == FMT_OK && armor_status == FMT_OK) {
		size_t take = len < FMT_AGE_SEGMENT ? len : FMT_AGE_SEGMENT;

		fmt_buf_clear(&reader->binary);
		armor_status = fmt_age_armor_update(
		    &reader->armor, (const char *)at, take, &reader->binary);
		status = feed_binary(
		    reader, reader->binary.data, reader->binary.len, out);
		at += take;
		len -= take;
	}
	return status != FMT_OK ? status : armor_status;
}

enum fmt_status
fmt_age_reader_update(struct fmt_age_reader *reader, const void *file,
    size_t len, struct fmt_buf *out)
{
	if (reader->failed != FMT_OK || len == 0)
		return reader->failed;
	if (len > SIZE_MAX / 4)
		return FMT_NOMEM;
	if (!reader->has_begun) {
		reader->has_begun = true;
		reader->is_armored =
		    fmt_age_armor_begins(*(const unsigned char *)file);
	}
	if (reader->is_armored)
		reader->failed = feed_armored(reader, file, len, out);
	else
		reader->failed = feed_binary(reader, file, len, out);
	return reader->failed;
}

/* The segment that is held is the last one, or the file was cut. */
static enum fmt_status
finish_payload(struct fmt_age_reader *reader, struct fmt_buf *out)
{
	enum fmt_status status;

	if (reader->ctx == NULL || reader->held < FMT_AGE_TAG)
		return FMT_TRUNCATED;
	status = fmt_buf_reserve(out, reader->held - FMT_AGE_TAG + 1);
	if (status != FMT_OK)
		return status;
	status = read_segment(reader, true, reader->segment, reader->held, out);
	/* The last segment is empty only where all is empty. */
	if (status == FMT_OK && reader->held == FMT_AGE_TAG &&
	    reader->number > 1)
		return FMT_MALFORMED;
	/* Genuine, but others came after it once. */
	if (status == FMT_AUTH && reader->held == FMT_AGE_STORED &&
	    read_segment(reader, false, reader->segment, reader->held, out) ==
		FMT_OK)
		return FMT_TRUNCATED;
	return status;
}

enum fmt_status
fmt_age_reader_finish(struct fmt_age_reader *reader, struct fmt_buf *out)
{
	enum fmt_status armor_status = FMT_OK;

	if (reader->failed != FMT_OK)
		return reader->failed;
	if (reader->is_armored)
		armor_status = fmt_age_armor_finish(&reader->armor);
	reader->failed = finish_payload(reader, out);
	if (reader->failed == FMT_OK)
		reader->failed = armor_status;
	return reader->failed;
}

void
fmt_age_reader_free(struct fmt_age_reader *reader)
{
	if (reader == NULL)
		return;
	forget_identities(reader);
	fmt_buf_free(&reader->binary);
	fmt_buf_free(&reader->header);
	EVP_CIPHER_CTX_free(reader->ctx);
	free(reader);
}

enum fmt_status
fmt_age_open(const struct fmt_age_identity *identities, size_t identity_count,
    const void *file, size_t len, struct fmt_buf *out)
{
	struct fmt_age_reader *reader = NULL;
	enum fmt_status status =
	    fmt_age_reader_new(identities, identity_count, &reader);

	if (status == FMT_OK)
		status = fmt_age_reader_update(reader, file, len, out);
	if (status == FMT_OK)
		status = fmt_age_reader_finish(reader, out);
	fmt_age_reader_free(reader);
	return status;
}
