/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_AGE_H
#define FORMATS_AGE_H

/*
 * The age v1 file format: X25519 and scrypt recipients, ChaCha20-Poly1305
 * STREAM payload, ASCII armor. formats/age.md is the specification; the source
 * is C2SP's age.md. All cryptography is OpenSSL's.
 *
 * Thread rule: no shared state; one object, one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

#define FMT_AGE_KEY_SIZE 32
#define FMT_AGE_SEGMENT (64 * 1024) /* plaintext bytes a STREAM segment */
#define FMT_AGE_TAG 16
#define FMT_AGE_RECIPIENT_TEXT 63 /* "age1..." and its NUL */
#define FMT_AGE_IDENTITY_TEXT 75  /* "AGE-SECRET-KEY-1..." and its NUL */

/* The highest scrypt work factor (log2 N) that is computed; beyond it
 * opening answers FMT_LIMIT without spending the time. */
#define FMT_AGE_MAX_WORK_FACTOR 22

enum fmt_age_kind { FMT_AGE_X25519, FMT_AGE_SCRYPT };

/* Whom a file is encrypted to. A scrypt recipient must be the only one. */
struct fmt_age_recipient {
	enum fmt_age_kind kind;
	unsigned char key[FMT_AGE_KEY_SIZE]; /* X25519: the public point */
	const char *passphrase;		     /* scrypt: borrowed, NUL ended */
	unsigned work_factor;		     /* scrypt: log2 N; 0 means 18 */
};

/* What opens a file. Wipe after use (OPENSSL_cleanse). */
struct fmt_age_identity {
	enum fmt_age_kind kind;
	unsigned char key[FMT_AGE_KEY_SIZE]; /* X25519: the secret scalar */
	const char *passphrase;		     /* scrypt: borrowed, NUL ended */
};

/* ---- keys as text ---- */

/* Makes a new random X25519 identity. */
enum fmt_status fmt_age_identity_new(struct fmt_age_identity *out);

/* The recipient (public half) of an X25519 identity. */
enum fmt_status fmt_age_identity_recipient(
    const struct fmt_age_identity *identity, struct fmt_age_recipient *out);

/* "AGE-SECRET-KEY-1..." and "age1..." to keys and back. Text may not have
 * surrounding white space. FMT_MALFORMED where it is not such a key. */
enum fmt_status fmt_age_identity_parse(
    const char *text, size_t len, struct fmt_age_identity *out);
enum fmt_status fmt_age_recipient_parse(
    const char *text, size_t len, struct fmt_age_recipient *out);
enum fmt_status fmt_age_identity_text(
    const struct fmt_age_identity *identity, char out[FMT_AGE_IDENTITY_TEXT]);
enum fmt_status fmt_age_recipient_text(
    const struct fmt_age_recipient *recipient,
    char out[FMT_AGE_RECIPIENT_TEXT]);

/* ---- a whole file in memory ---- */

/* Appends the age file for `plain` to `out`. */
enum fmt_status fmt_age_seal(const struct fmt_age_recipient *recipients,
    size_t recipient_count, const void *plain, size_t len,
    struct fmt_buf *out);

/* Appends the plaintext of an age file (binary or armored) to `out`. On
 * FMT_AUTH, FMT_TRUNCATED or FMT_MALFORMED in the payload, `out` holds the
 * segments that were authenticated before it. FMT_NOMATCH: no identity opens
 * it. */
enum fmt_status fmt_age_open(const struct fmt_age_identity *identities,
    size_t identity_count, const void *file, size_t len, struct fmt_buf *out);

/* ---- writing as a stream ---- */

struct fmt_age_writer;

/* Starts a file: appends the header to `out`. The caller owns *writer. */
enum fmt_status fmt_age_writer_new(const struct fmt_age_recipient *recipients,
    size_t recipient_count, struct fmt_buf *out,
    struct fmt_age_writer **writer);

/* Takes plaintext; appends whatever segments are full to `out`. */
enum fmt_status fmt_age_writer_update(struct fmt_age_writer *writer,
    const void *plain, size_t len, struct fmt_buf *out);

/* Appends the last segment. The writer can then only be freed. */
enum fmt_status fmt_age_writer_finish(
    struct fmt_age_writer *writer, struct fmt_buf *out);

void fmt_age_writer_free(struct fmt_age_writer *writer); /* NULL is fine */

/* ---- reading as a stream (binary or armored, found out by itself) ---- */

struct fmt_age_reader;

/* Identities are copied. */
enum fmt_status fmt_age_reader_new(const struct fmt_age_identity *identities,
    size_t identity_count, struct fmt_age_reader **reader);

/* Takes file bytes in any portion; appends plaintext of the segments that are
 * authenticated to `out`. */
enum fmt_status fmt_age_reader_update(struct fmt_age_reader *reader,
    const void *file, size_t len, struct fmt_buf *out);

/* The file ended: authenticates and appends the last segment. FMT_TRUNCATED
 * where the file was cut. */
enum fmt_status fmt_age_reader_finish(
    struct fmt_age_reader *reader, struct fmt_buf *out);

void fmt_age_reader_free(struct fmt_age_reader *reader);

/* ---- reading anywhere (binary files only) ---- */

/* What is needed to decrypt any segment: 48 bytes, secret, wipe after use. */
struct fmt_age_payload {
	unsigned char key[FMT_AGE_KEY_SIZE];
	uint64_t header_size; /* bytes before the first segment (with nonce) */
};

/* Reads the header from the first bytes of a file. FMT_TRUNCATED: give more
 * of the file (4 KiB hold the header of over 30 recipients). */
enum fmt_status fmt_age_payload_open(const struct fmt_age_identity *identities,
    size_t identity_count, const void *head, size_t len,
    struct fmt_age_payload *out);

/* Plaintext size of a file of `file_size` bytes; FMT_TRUNCATED where no file
 * of that size can be whole. */
enum fmt_status fmt_age_plain_size(const struct fmt_age_payload *payload,
    uint64_t file_size, uint64_t *out);

/* Which bytes of the file hold the plaintext bytes [offset, offset + len):
 * whole segments. The caller fetches [*file_offset, + *file_len) and passes
 * them to fmt_age_payload_read. */
void fmt_age_payload_range(const struct fmt_age_payload *payload,
    uint64_t file_size, uint64_t offset, uint64_t len, uint64_t *file_offset,
    uint64_t *file_len);

/* Appends the plaintext bytes [offset, offset + len) to `out`, given the file
 * bytes named by fmt_age_payload_range. */
enum fmt_status fmt_age_payload_read(const struct fmt_age_payload *payload,
    uint64_t file_size, uint64_t offset, uint64_t len, const void *segments,
    size_t segments_len, struct fmt_buf *out);

/* ---- armor ---- */

/* Appends the armored form of a binary age file. */
enum fmt_status fmt_age_armor(const void *file, size_t len,
    struct fmt_buf *out);

/* Appends the binary form of an armored age file (strict, as the
 * specification asks). FMT_MALFORMED where it is not armored. */
enum fmt_status fmt_age_dearmor(const void *text, size_t len,
    struct fmt_buf *out);

#endif
