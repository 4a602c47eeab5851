/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_AGE_IMPL_H
#define FORMATS_AGE_IMPL_H

/*
 * What the age files share: the parts of the format below the calls of
 * formats/age.h. Every function that handles a key wipes what it leaves.
 */

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/age.h"
#include "formats/buf.h"
#include "formats/status.h"

#define FMT_AGE_FILE_KEY 16
#define FMT_AGE_NONCE 16 /* of the payload, ahead of the first segment */
#define FMT_AGE_SALT 16  /* of a scrypt stanza */
#define FMT_AGE_MAC 32
#define FMT_AGE_BODY (FMT_AGE_FILE_KEY + FMT_AGE_TAG) /* a wrapped key */
#define FMT_AGE_STORED (FMT_AGE_SEGMENT + FMT_AGE_TAG)
#define FMT_AGE_DEFAULT_WORK_FACTOR 18

/* A header longer than this is refused: 1 MiB is over 9000 recipients. */
#define FMT_AGE_MAX_HEADER ((size_t)1 << 20)

/* ---- age_base64.c: RFC 4648 section 4 ---- */

/* Characters that `len` bytes take without padding. */
#define FMT_AGE_BASE64_SIZE(len) (((len)*4 + 2) / 3)

/* Writes the unpadded encoding and answers its length; no NUL. */
size_t fmt_age_base64_encode(const unsigned char *data, size_t len, char *out);

/* Decodes unpadded, canonical base64 of at most `cap` bytes. */
enum fmt_status fmt_age_base64_decode(const char *text, size_t len,
    unsigned char *out, size_t cap, size_t *out_len);

/* The same where exactly `size` bytes are expected. */
enum fmt_status fmt_age_base64_decode_exact(
    const char *text, size_t len, unsigned char *out, size_t size);

/* ---- age_crypto.c: OpenSSL's primitives in age's terms ---- */

enum fmt_status fmt_age_hkdf(const unsigned char *secret, size_t secret_len,
    const unsigned char *salt, size_t salt_len, const char *info,
    unsigned char out[32]);

/* scalar * point. FMT_MALFORMED where that is zero: a point of low order. */
enum fmt_status fmt_age_x25519(const unsigned char scalar[32],
    const unsigned char point[32], unsigned char out[32]);
enum fmt_status fmt_age_x25519_public(
    const unsigned char scalar[32], unsigned char out[32]);

enum fmt_status fmt_age_scrypt(const char *passphrase,
    const unsigned char salt[FMT_AGE_SALT], unsigned work_factor,
    unsigned char out[32]);

enum fmt_status fmt_age_header_mac(
    const unsigned char file_key[FMT_AGE_FILE_KEY], const unsigned char *header,
    size_t len, unsigned char out[FMT_AGE_MAC]);

/* A context that keeps the key; only nonces change after this. */
enum fmt_status fmt_age_cipher_new(
    const unsigned char key[32], bool is_sealing, EVP_CIPHER_CTX **ctx);

/* One message under a 12 byte nonce. `out` has len + FMT_AGE_TAG bytes. */
enum fmt_status fmt_age_cipher_seal(EVP_CIPHER_CTX *ctx,
    const unsigned char nonce[12], const unsigned char *plain, size_t len,
    unsigned char *out);

/* The reverse; len is at least FMT_AGE_TAG, `out` has len - FMT_AGE_TAG bytes.
 * On FMT_AUTH what was written to `out` is wiped. */
enum fmt_status fmt_age_cipher_open(EVP_CIPHER_CTX *ctx,
    const unsigned char nonce[12], const unsigned char *sealed, size_t len,
    unsigned char *out);

/* Segment `number` of a payload: the above with STREAM's nonce. */
enum fmt_status fmt_age_segment_seal(EVP_CIPHER_CTX *ctx, uint64_t number,
    bool is_last, const unsigned char *plain, size_t len, unsigned char *out);
enum fmt_status fmt_age_segment_open(EVP_CIPHER_CTX *ctx, uint64_t number,
    bool is_last, const unsigned char *sealed, size_t len, unsigned char *out);

/* ---- age_stanza.c: one recipient's part of the header ---- */

enum fmt_age_stanza_kind {
	FMT_AGE_STANZA_OTHER, /* well-formed, ignored */
	FMT_AGE_STANZA_X25519,
	FMT_AGE_STANZA_SCRYPT
};

struct fmt_age_stanza {
	enum fmt_age_stanza_kind kind;
	unsigned char share[FMT_AGE_KEY_SIZE]; /* X25519 */
	unsigned char salt[FMT_AGE_SALT];      /* scrypt */
	unsigned work_factor;                  /* scrypt */
	unsigned char body[FMT_AGE_BODY];      /* X25519 and scrypt */
};

/* Reads the stanza that starts at *pos of a header and moves *pos behind it. */
enum fmt_status fmt_age_stanza_parse(const unsigned char *header, size_t len,
    size_t *pos, struct fmt_age_stanza *out);

/* Appends a stanza that wraps the file key for a recipient. */
enum fmt_status fmt_age_stanza_write(const struct fmt_age_recipient *recipient,
    const unsigned char file_key[FMT_AGE_FILE_KEY], struct fmt_buf *out);

/* FMT_NOMATCH where the identity does not open this stanza. */
enum fmt_status fmt_age_stanza_unwrap(const struct fmt_age_stanza *stanza,
    const struct fmt_age_identity *identity,
    unsigned char file_key[FMT_AGE_FILE_KEY]);

/* ---- age_header.c ---- */

/* How far a header that arrives in portions has been looked at. */
struct fmt_age_scan {
	size_t line; /* where the current line starts */
	size_t pos;  /* how far it was searched for its end */
};

/* Finds the end of the header: *size counts it with its last newline.
 * FMT_TRUNCATED: give more bytes after the same ones. */
enum fmt_status fmt_age_header_scan(struct fmt_age_scan *scan,
    const unsigned char *data, size_t len, size_t *size);

/* Appends a header for the recipients. */
enum fmt_status fmt_age_header_write(const struct fmt_age_recipient *recipients,
    size_t count, const unsigned char file_key[FMT_AGE_FILE_KEY],
    struct fmt_buf *out);

/* Checks a whole header and finds its file key. */
enum fmt_status fmt_age_header_unwrap(const struct fmt_age_identity *identities,
    size_t count, const unsigned char *header, size_t size,
    unsigned char file_key[FMT_AGE_FILE_KEY]);

/* ---- age_armor.c ---- */

enum fmt_age_armor_state {
	FMT_AGE_ARMOR_LEADING, /* white space ahead of the first line */
	FMT_AGE_ARMOR_BEGIN,   /* in the first line */
	FMT_AGE_ARMOR_BODY,
	FMT_AGE_ARMOR_LAST, /* a line that can only be the body's last is past
			     */
	FMT_AGE_ARMOR_TRAILING /* white space behind the last line */
};

#define FMT_AGE_ARMOR_LINE 64

struct fmt_age_armor {
	enum fmt_age_armor_state state;
	size_t len;
	char line[FMT_AGE_ARMOR_LINE + 1]; /* and a carriage return */
};

#define FMT_AGE_ARMOR_INIT                                                     \
	{                                                                      \
		FMT_AGE_ARMOR_LEADING, 0,                                      \
		{                                                              \
			0                                                      \
		}                                                              \
	}

/* Takes armored text in portions, appends the binary file. */
enum fmt_status fmt_age_armor_update(struct fmt_age_armor *armor,
    const char *text, size_t len, struct fmt_buf *out);
enum fmt_status fmt_age_armor_finish(struct fmt_age_armor *armor);

/* Whether a file that starts with this byte can only be an armored one. */
bool fmt_age_armor_begins(unsigned char first);

#endif
