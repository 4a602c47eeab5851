/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

static const char x25519_name[] = "X25519";
static const char scrypt_name[] = "scrypt";
static const char x25519_info[] = "age-encryption.org/v1/X25519";

#define BODY_COLUMNS 64
#define MAX_ARGS 3 /* of the stanzas known here */

/* Arguments of a stanza's first line; those past the third are counted only. */
struct args {
	size_t count;
	const char *text[MAX_ARGS];
	size_t len[MAX_ARGS];
};

/* Takes the line at *pos, without its newline. */
static enum fmt_status
take_line(const unsigned char *header, size_t len, size_t *pos,
    const char **line, size_t *line_len)
{
	const unsigned char *start = header + *pos;
	const unsigned char *end = memchr(start, '\n', len - *pos);

	if (end == NULL)
		return FMT_MALFORMED;
	*line = (const char *)start;
	*line_len = (size_t)(end - start);
	*pos += *line_len + 1;
	return FMT_OK;
}

/* "-> argument argument...": single spaces, no argument empty. */
static enum fmt_status
parse_args(const char *line, size_t len, struct args *args)
{
	const char *end = line + len, *at = line + 3;

	args->count = 0;
	if (len < 4 || memcmp(line, "-> ", 3) != 0)
		return FMT_MALFORMED;
	for (;;) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		size_t arg_len = (size_t)((space == NULL ? end : space) - at);

		for (size_t i = 0; i < arg_len; i++) {
			if (at[i] < 0x21 || at[i] > 0x7e)
				return FMT_MALFORMED;
		}
		if (arg_len == 0)
			return FMT_MALFORMED;
		if (args->count < MAX_ARGS) {
			args->text[args->count] = at;
			args->len[args->count] = arg_len;
		}
		args->count++;
		if (space == NULL)
			return FMT_OK;
		at = space + 1;
	}
}

/* Reads the body: full lines and one shorter, maybe empty, line. Its first
 * FMT_AGE_BODY bytes are kept, *total counts all. */
static enum fmt_status
parse_body(const unsigned char *header, size_t len, size_t *pos,
    unsigned char body[FMT_AGE_BODY], size_t *total)
{
	unsigned char bytes[BODY_COLUMNS / 4 * 3];
	enum fmt_status status;
	size_t line_len, got;
	const char *line;

	*total = 0;
	do {
		status = take_line(header, len, pos, &line, &line_len);
		if (status == FMT_OK)
			status = fmt_age_base64_decode(
			    line, line_len, bytes, sizeof bytes, &got);
		if (status != FMT_OK)
			return status;
		if (*total == 0)
			memcpy(body, bytes,
			    got < FMT_AGE_BODY ? got : FMT_AGE_BODY);
		*total += got;
	} while (line_len == BODY_COLUMNS);
	return FMT_OK;
}

/* A decimal number without sign or leading zero. */
static enum fmt_status
parse_work_factor(const char *text, size_t len, unsigned *out)
{
	unsigned value = 0;

	if (text[0] == '0')
		return FMT_MALFORMED;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return FMT_MALFORMED;
		if (value <= FMT_AGE_MAX_WORK_FACTOR)
			value = value * 10 + (unsigned)(text[i] - '0');
	}
	if (value > FMT_AGE_MAX_WORK_FACTOR)
		return FMT_LIMIT;
	*out = value;
	return FMT_OK;
}

static bool
is_named(const struct args *args, const char *name)
{
	return args->len[0] == strlen(name) &&
	       memcmp(args->text[0], name, args->len[0]) == 0;
}

/* What the arguments of a kind known here say. */
static enum fmt_status
read_args(const struct args *args, struct fmt_age_stanza *out)
{
	enum fmt_status status;

	out->kind = FMT_AGE_STANZA_OTHER;
	if (is_named(args, x25519_name)) {
		out->kind = FMT_AGE_STANZA_X25519;
		if (args->count != 2)
			return FMT_MALFORMED;
		return fmt_age_base64_decode_exact(
		    args->text[1], args->len[1], out->share, sizeof out->share);
	}
	if (is_named(args, scrypt_name)) {
		out->kind = FMT_AGE_STANZA_SCRYPT;
		if (args->count != 3)
			return FMT_MALFORMED;
		status = fmt_age_base64_decode_exact(
		    args->text[1], args->len[1], out->salt, sizeof out->salt);
		if (status != FMT_OK)
			return status;
		return parse_work_factor(
		    args->text[2], args->len[2], &out->work_factor);
	}
	return FMT_OK;
}

enum fmt_status
fmt_age_stanza_parse(const unsigned char *header, size_t len, size_t *pos,
    struct fmt_age_stanza *out)
{
	enum fmt_status status;
	size_t line_len, body_len;
	struct args args;
	const char *line;

	status = take_line(header, len, pos, &line, &line_len);
	if (status == FMT_OK)
		status = parse_args(line, line_len, &args);
	if (status == FMT_OK)
		status = read_args(&args, out);
	if (status == FMT_OK)
		status = parse_body(header, len, pos, out->body, &body_len);
	if (status != FMT_OK)
		return status;
	/* A longer file key could be made to open under two keys, which tells
	 * an attacker who tries passwords more than one of them at a time. */
	if (out->kind != FMT_AGE_STANZA_OTHER && body_len != FMT_AGE_BODY)
		return FMT_MALFORMED;
	return FMT_OK;
}

/* The key that wraps the file key: HKDF of the shared secret, salted with both
 * public points. */
static enum fmt_status
x25519_wrap_key(const unsigned char scalar[32], const unsigned char point[32],
    const unsigned char share[32], const unsigned char recipient[32],
    unsigned char out[32])
{
	unsigned char shared[32], salt[64];
	enum fmt_status status = fmt_age_x25519(scalar, point, shared);

	memcpy(salt, share, 32);
	memcpy(salt + 32, recipient, 32);
	if (status == FMT_OK)
		status = fmt_age_hkdf(
		    shared, sizeof shared, salt, sizeof salt, x25519_info, out);
	OPENSSL_cleanse(shared, sizeof shared);
	return status;
}

/* The wrap key is used once, so its nonce is zero. */
static const unsigned char wrap_nonce[12];

static enum fmt_status
seal_file_key(const unsigned char key[32],
    const unsigned char file_key[FMT_AGE_FILE_KEY],
    unsigned char body[FMT_AGE_BODY])
{
	EVP_CIPHER_CTX *ctx;
	enum fmt_status status = fmt_age_cipher_new(key, true, &ctx);

	if (status != FMT_OK)
		return status;
	status = fmt_age_cipher_seal(
	    ctx, wrap_nonce, file_key, FMT_AGE_FILE_KEY, body);
	EVP_CIPHER_CTX_free(ctx);
	return status;
}

static enum fmt_status
open_file_key(const unsigned char key[32],
    const unsigned char body[FMT_AGE_BODY],
    unsigned char file_key[FMT_AGE_FILE_KEY])
{
	EVP_CIPHER_CTX *ctx;
	enum fmt_status status = fmt_age_cipher_new(key, false, &ctx);

	if (status != FMT_OK)
		return status;
	status =
	    fmt_age_cipher_open(ctx, wrap_nonce, body, FMT_AGE_BODY, file_key);
	EVP_CIPHER_CTX_free(ctx);
	return status == FMT_AUTH ? FMT_NOMATCH : status;
}

static enum fmt_status
append_base64(struct fmt_buf *out, const unsigned char *data, size_t len)
{
	char text[FMT_AGE_BASE64_SIZE(48)];

	return fmt_buf_append(
	    out, text, fmt_age_base64_encode(data, len, text));
}

static enum fmt_status
write_x25519_args(const struct fmt_age_recipient *recipient,
    struct fmt_buf *out, unsigned char wrap_key[32])
{
	unsigned char secret[32], share[32];
	enum fmt_status status = FMT_CRYPTO;

	if (RAND_priv_bytes(secret, sizeof secret) == 1)
		status = fmt_age_x25519_public(secret, share);
	if (status == FMT_OK)
		status = x25519_wrap_key(
		    secret, recipient->key, share, recipient->key, wrap_key);
	OPENSSL_cleanse(secret, sizeof secret);
	if (status == FMT_OK)
		status = fmt_buf_printf(out, "-> %s ", x25519_name);
	if (status == FMT_OK)
		status = append_base64(out, share, sizeof share);
	return status;
}

static enum fmt_status
write_scrypt_args(const struct fmt_age_recipient *recipient,
    struct fmt_buf *out, unsigned char wrap_key[32])
{
	unsigned work_factor = recipient->work_factor == 0
				   ? FMT_AGE_DEFAULT_WORK_FACTOR
				   : recipient->work_factor;
	unsigned char salt[FMT_AGE_SALT];
	enum fmt_status status;

	if (work_factor > FMT_AGE_MAX_WORK_FACTOR)
		return FMT_LIMIT;
	if (recipient->passphrase == NULL || recipient->passphrase[0] == '\0')
		return FMT_MALFORMED;
	if (RAND_bytes(salt, sizeof salt) != 1)
		return FMT_CRYPTO;
	status =
	    fmt_age_scrypt(recipient->passphrase, salt, work_factor, wrap_key);
	if (status == FMT_OK)
		status = fmt_buf_printf(out, "-> %s ", scrypt_name);
	if (status == FMT_OK)
		status = append_base64(out, salt, sizeof salt);
	if (status == FMT_OK)
		status = fmt_buf_printf(out, " %u", work_factor);
	return status;
}

enum fmt_status
fmt_age_stanza_write(const struct fmt_age_recipient *recipient,
    const unsigned char file_key[FMT_AGE_FILE_KEY], struct fmt_buf *out)
{
	unsigned char wrap_key[32], body[FMT_AGE_BODY];
	enum fmt_status status;

	if (recipient->kind == FMT_AGE_SCRYPT)
		status = write_scrypt_args(recipient, out, wrap_key);
	else
		status = write_x25519_args(recipient, out, wrap_key);
	if (status == FMT_OK)
		status = seal_file_key(wrap_key, file_key, body);
	OPENSSL_cleanse(wrap_key, sizeof wrap_key);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '\n');
	/* 43 columns: one line, and shorter than a full one. */
	if (status == FMT_OK)
		status = append_base64(out, body, sizeof body);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '\n');
	return status;
}

static enum fmt_status
unwrap_x25519(const struct fmt_age_stanza *stanza,
    const struct fmt_age_identity *identity, unsigned char wrap_key[32])
{
	unsigned char recipient[32];
	enum fmt_status status =
	    fmt_age_x25519_public(identity->key, recipient);

	if (status == FMT_OK)
		status = x25519_wrap_key(identity->key, stanza->share,
		    stanza->share, recipient, wrap_key);
	return status;
}

enum fmt_status
fmt_age_stanza_unwrap(const struct fmt_age_stanza *stanza,
    const struct fmt_age_identity *identity,
    unsigned char file_key[FMT_AGE_FILE_KEY])
{
	unsigned char wrap_key[32];
	enum fmt_status status = FMT_NOMATCH;

	if (stanza->kind == FMT_AGE_STANZA_X25519 &&
	    identity->kind == FMT_AGE_X25519)
		status = unwrap_x25519(stanza, identity, wrap_key);
	else if (stanza->kind == FMT_AGE_STANZA_SCRYPT &&
		 identity->kind == FMT_AGE_SCRYPT &&
		 identity->passphrase != NULL)
		status = fmt_age_scrypt(identity->passphrase, stanza->salt,
		    stanza->work_factor, wrap_key);
	if (status == FMT_OK)
		status = open_file_key(wrap_key, stanza->body, file_key);
	OPENSSL_cleanse(wrap_key, sizeof wrap_key);
	return status;
}
