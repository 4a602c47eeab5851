/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/sign.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <string.h>

/*
 * Fetching an algorithm from OpenSSL's providers costs more than hashing a
 * small block, so each is fetched once and kept until the process ends. Two
 * threads that come first together both fetch; one of them gives its own back.
 * A fetch that fails is tried again by the next caller.
 */
static _Atomic(EVP_MD *) shared_sha256;
static _Atomic(EVP_MAC *) shared_hmac;

/* What OpenSSL's last failure was, as a status; its error queue is emptied so
 * that a later reader of the queue is not told about ours. */
static enum fmt_status
crypto_status(void)
{
	unsigned long code = ERR_peek_last_error();

	ERR_clear_error();
	if (code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
		return FMT_NOMEM;
	return FMT_CRYPTO;
}

static EVP_MD *
sha256_method(void)
{
	EVP_MD *known = atomic_load(&shared_sha256);
	EVP_MD *fetched;

	if (known != NULL)
		return known;
	fetched = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	if (fetched == NULL)
		return NULL;
	if (atomic_compare_exchange_strong(&shared_sha256, &known, fetched))
		return fetched;
	EVP_MD_free(fetched);
	return known;
}

static EVP_MAC *
hmac_method(void)
{
	EVP_MAC *known = atomic_load(&shared_hmac);
	EVP_MAC *fetched;

	if (known != NULL)
		return known;
	fetched = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (fetched == NULL)
		return NULL;
	if (atomic_compare_exchange_strong(&shared_hmac, &known, fetched))
		return fetched;
	EVP_MAC_free(fetched);
	return known;
}

enum fmt_status
fmt_sha256(const void *data, size_t len, unsigned char out[32])
{
	EVP_MD *method = sha256_method();

	if (method == NULL ||
	    EVP_Digest(data, len, out, NULL, method, NULL) != 1)
		return crypto_status();
	return FMT_OK;
}

enum fmt_status
fmt_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
    unsigned char out[32])
{
	char digest[] = "SHA2-256";
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};
	enum fmt_status status = FMT_OK;
	EVP_MAC *method = hmac_method();
	EVP_MAC_CTX *ctx = NULL;
	size_t out_len;

	if (method == NULL || (ctx = EVP_MAC_CTX_new(method)) == NULL) {
		status = crypto_status();
		goto out;
	}
	/* A NULL key would mean "keep the one before" to OpenSSL. */
	if (EVP_MAC_init(ctx, key_len > 0 ? key : (const void *)"", key_len,
		params) != 1 ||
	    EVP_MAC_update(ctx, data, len) != 1 ||
	    EVP_MAC_final(ctx, out, &out_len, 32) != 1)
		status = crypto_status();
out:
	EVP_MAC_CTX_free(ctx);
	return status;
}

enum fmt_status
fmt_sign_public(const unsigned char seed[32], unsigned char public_key[32])
{
	enum fmt_status status = FMT_OK;
	size_t len = 32;
	EVP_PKEY *key;

	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
	if (key == NULL ||
	    EVP_PKEY_get_raw_public_key(key, public_key, &len) != 1)
		status = crypto_status();
	EVP_PKEY_free(key);
	return status;
}

/* context || 0x00 || data. Ed25519 reads its message twice, so OpenSSL wants
 * it in one piece. */
static enum fmt_status
signed_message(
    const char *context, const void *data, size_t len, struct fmt_buf *out)
{
	size_t context_len = strlen(context) + 1;
	enum fmt_status status;

	if ((status = fmt_buf_append(out, context, context_len)) != FMT_OK)
		return status;
	return fmt_buf_append(out, data, len);
}

enum fmt_status
fmt_sign(const unsigned char seed[32], const char *context, const void *data,
    size_t len, unsigned char signature[64])
{
	struct fmt_buf message = FMT_BUF_INIT;
	EVP_MD_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;
	size_t signature_len = FMT_SIGNATURE_SIZE;
	enum fmt_status status;

	status = signed_message(context, data, len, &message);
	if (status != FMT_OK)
		goto out;
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
	if (key == NULL || (ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(
		ctx, signature, &signature_len, message.data, message.len) != 1)
		status = crypto_status();
out:
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	fmt_buf_free(&message);
	return status;
}

enum fmt_status
fmt_sign_verify(const unsigned char public_key[32], const char *context,
    const void *data, size_t len, const unsigned char signature[64])
{
	struct fmt_buf message = FMT_BUF_INIT;
	EVP_MD_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;
	enum fmt_status status;

	status = signed_message(context, data, len, &message);
	if (status != FMT_OK)
		goto out;
	key =
	    EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
	if (key == NULL || (ctx = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1) {
		status = crypto_status();
		goto out;
	}
	if (EVP_DigestVerify(ctx, signature, FMT_SIGNATURE_SIZE, message.data,
		message.len) != 1) {
		status = crypto_status();
		if (status == FMT_CRYPTO)
			status = FMT_AUTH;
	}
out:
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	fmt_buf_free(&message);
	return status;
}

void
fmt_hex(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

/* The value of a hex digit, or -1. Never by ctype: that asks the locale. */
static int
digit_value(char c)
{
	/* One more than the value, so that what is not named is none. */
	static const signed char values[256] = {['0'] = 1,
	    ['1'] = 2,
	    ['2'] = 3,
	    ['3'] = 4,
	    ['4'] = 5,
	    ['5'] = 6,
	    ['6'] = 7,
	    ['7'] = 8,
	    ['8'] = 9,
	    ['9'] = 10,
	    ['a'] = 11,
	    ['b'] = 12,
	    ['c'] = 13,
	    ['d'] = 14,
	    ['e'] = 15,
	    ['f'] = 16,
	    ['A'] = 11,
	    ['B'] = 12,
	    ['C'] = 13,
	    ['D'] = 14,
	    ['E'] = 15,
	    ['F'] = 16};

	return values[(unsigned char)c] - 1;
}

enum fmt_status
fmt_unhex(const char *text, void *out, size_t len)
{
	unsigned char *bytes = out;

	/* Failure leaves `out` as it was, so look first. A NUL is no digit,
	 * which ends a text that is too short. */
	for (size_t i = 0; i < 2 * len; i++)
		if (digit_value(text[i]) < 0)
			return FMT_MALFORMED;
	if (text[2 * len] != '\0')
		return FMT_MALFORMED;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(digit_value(text[2 * i]) << 4 |
					   digit_value(text[2 * i + 1]));
	return FMT_OK;
}

bool
fmt_is_hex(const char *text, size_t digits)
{
	return strspn(text, "0123456789abcdef") == digits &&
	       text[digits] == '\0';
}

enum fmt_status
fmt_random(void *out, size_t len)
{
	/* The private generator: what is asked for here becomes keys. */
	if (RAND_priv_bytes_ex(NULL, out, len, 256) != 1)
		return crypto_status();
	return FMT_OK;
}
