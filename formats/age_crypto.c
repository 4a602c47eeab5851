/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

/*
 * OSSL_PARAM has no const: what it points at is only read here.
 */
static OSSL_PARAM
octets_param(const char *key, const void *data, size_t len)
{
	OSSL_PARAM param = OSSL_PARAM_construct_end();

	param.key = key;
	param.data_type = OSSL_PARAM_OCTET_STRING;
	memcpy(&param.data, &data, sizeof param.data);
	param.data_size = len;
	param.return_size = OSSL_PARAM_UNMODIFIED;
	return param;
}

enum fmt_status
fmt_age_hkdf(const unsigned char *secret, size_t secret_len,
    const unsigned char *salt, size_t salt_len, const char *info,
    unsigned char out[32])
{
	enum fmt_status status = FMT_CRYPTO;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	char digest[] = "SHA256";
	OSSL_PARAM params[5];

	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[1] = octets_param(OSSL_KDF_PARAM_KEY, secret, secret_len);
	params[2] = octets_param(OSSL_KDF_PARAM_INFO, info, strlen(info));
	params[3] = salt_len == 0
			? OSSL_PARAM_construct_end()
			: octets_param(OSSL_KDF_PARAM_SALT, salt, salt_len);
	params[4] = OSSL_PARAM_construct_end();
	if (ctx != NULL && EVP_KDF_derive(ctx, out, 32, params) == 1)
		status = FMT_OK;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return status;
}

enum fmt_status
fmt_age_x25519(const unsigned char scalar[32], const unsigned char point[32],
    unsigned char out[32])
{
	static const unsigned char zero[32];
	enum fmt_status status = FMT_CRYPTO;
	EVP_PKEY *secret, *peer;
	EVP_PKEY_CTX *ctx;
	size_t len = 32;

	/* OpenSSL refuses a zero result itself, with an error in the thread's
	 * queue that must not be taken for a TLS error later. */
	ERR_set_mark();
	secret =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, scalar, 32);
	peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, 32);
	ctx = secret == NULL ? NULL : EVP_PKEY_CTX_new(secret, NULL);
	if (peer == NULL || ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) != 1)
		goto out;
	/* Refused with a zero result is a bad point; with anything else it is
	 * OpenSSL's trouble, for which the file is not to blame. */
	memset(out, 0xff, 32);
	if (EVP_PKEY_derive(ctx, out, &len) == 1 && len == 32)
		status = FMT_OK;
	if (CRYPTO_memcmp(out, zero, 32) == 0)
		status = FMT_MALFORMED;
out:
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(secret);
	ERR_pop_to_mark();
	return status;
}

enum fmt_status
fmt_age_x25519_public(const unsigned char scalar[32], unsigned char out[32])
{
	EVP_PKEY *secret =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, scalar, 32);
	size_t len = 32;
	int is_done = secret != NULL &&
		      EVP_PKEY_get_raw_public_key(secret, out, &len) == 1 &&
		      len == 32;

	EVP_PKEY_free(secret);
	return is_done ? FMT_OK : FMT_CRYPTO;
}

enum fmt_status
fmt_age_scrypt(const char *passphrase, const unsigned char salt[FMT_AGE_SALT],
    unsigned work_factor, unsigned char out[32])
{
	static const char label[] = "age-encryption.org/v1/scrypt";
	unsigned char labelled[sizeof label - 1 + FMT_AGE_SALT];
	uint64_t n = (uint64_t)1 << work_factor;
	int is_done;

	memcpy(labelled, label, sizeof label - 1);
	memcpy(labelled + sizeof label - 1, salt, FMT_AGE_SALT);
	/* The memory is 128 * r * (N + a little); the limit is ours above, so
	 * OpenSSL's own is lifted. With parameters that are known to be good
	 * memory is all that can be missing. */
	ERR_set_mark();
	is_done = EVP_PBE_scrypt(passphrase, strlen(passphrase), labelled,
	    sizeof labelled, n, 8, 1, 1024 * (n + 1024), out, 32);
	ERR_pop_to_mark();
	return is_done == 1 ? FMT_OK : FMT_NOMEM;
}

enum fmt_status
fmt_age_header_mac(const unsigned char file_key[FMT_AGE_FILE_KEY],
    const unsigned char *header, size_t len, unsigned char out[FMT_AGE_MAC])
{
	unsigned char key[32];
	enum fmt_status status =
	    fmt_age_hkdf(file_key, FMT_AGE_FILE_KEY, NULL, 0, "header", key);

	if (status == FMT_OK &&
	    HMAC(EVP_sha256(), key, sizeof key, header, len, out, NULL) == NULL)
		status = FMT_CRYPTO;
	OPENSSL_cleanse(key, sizeof key);
	return status;
}

enum fmt_status
fmt_age_cipher_new(
    const unsigned char key[32], bool is_sealing, EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();

	if (made == NULL)
		return FMT_NOMEM;
	if (EVP_CipherInit_ex(made, EVP_chacha20_poly1305(), NULL, key, NULL,
		is_sealing) != 1) {
		EVP_CIPHER_CTX_free(made);
		return FMT_CRYPTO;
	}
	*ctx = made;
	return FMT_OK;
}

enum fmt_status
fmt_age_cipher_seal(EVP_CIPHER_CTX *ctx, const unsigned char nonce[12],
    const unsigned char *plain, size_t len, unsigned char *out)
{
	int n;

	if (len > INT_MAX)
		return FMT_LIMIT;
	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1)
		return FMT_CRYPTO;
	if (len > 0 && EVP_EncryptUpdate(ctx, out, &n, plain, (int)len) != 1)
		return FMT_CRYPTO;
	if (EVP_EncryptFinal_ex(ctx, out + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_AEAD_GET_TAG, FMT_AGE_TAG, out + len) != 1)
		return FMT_CRYPTO;
	return FMT_OK;
}

enum fmt_status
fmt_age_cipher_open(EVP_CIPHER_CTX *ctx, const unsigned char nonce[12],
    const unsigned char *sealed, size_t len, unsigned char *out)
{
	unsigned char tag[FMT_AGE_TAG], none[1];
	size_t plain_len = len - FMT_AGE_TAG;
	int n;

	if (plain_len > INT_MAX)
		return FMT_LIMIT;
	memcpy(tag, sealed + plain_len, FMT_AGE_TAG);
	if (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, FMT_AGE_TAG, tag) !=
		1)
		return FMT_CRYPTO;
	if (plain_len > 0 &&
	    EVP_DecryptUpdate(ctx, out, &n, sealed, (int)plain_len) != 1)
		return FMT_CRYPTO;
	if (EVP_DecryptFinal_ex(ctx, none, &n) != 1) {
		if (plain_len > 0)
			OPENSSL_cleanse(out, plain_len);
		return FMT_AUTH;
	}
	return FMT_OK;
}

/* Eleven bytes of segment number, big-endian, and one that marks the last. */
static void
stream_nonce(uint64_t number, bool is_last, unsigned char nonce[12])
{
	memset(nonce, 0, 12);
	for (int i = 10; number != 0; i--, number >>= 8)
		nonce[i] = (unsigned char)(number & 255);
	nonce[11] = is_last;
}

enum fmt_status
fmt_age_segment_seal(EVP_CIPHER_CTX *ctx, uint64_t number, bool is_last,
    const unsigned char *plain, size_t len, unsigned char *out)
{
	unsigned char nonce[12];

	stream_nonce(number, is_last, nonce);
	return fmt_age_cipher_seal(ctx, nonce, plain, len, out);
}

enum fmt_status
fmt_age_segment_open(EVP_CIPHER_CTX *ctx, uint64_t number, bool is_last,
    const unsigned char *sealed, size_t len, unsigned char *out)
{
	unsigned char nonce[12];

	stream_nonce(number, is_last, nonce);
	return fmt_age_cipher_open(ctx, nonce, sealed, len, out);
}
