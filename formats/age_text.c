/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

/*
 * Keys as Bech32 (BIP 173): a prefix that says what it is, "1", 52 symbols of
 * five bits for 32 bytes, and 6 symbols of checksum over all of it.
 */
#define SYMBOLS 52
#define CHECKSUM 6

static const char charset[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
static const char recipient_prefix[] = "age";
static const char identity_prefix[] = "AGE-SECRET-KEY-";

static char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static char
to_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* One step of the BCH code. */
static uint32_t
polymod_step(uint32_t sum, unsigned value)
{
	static const uint32_t generator[5] = {
	    0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = sum >> 25;

	sum = (sum & 0x1ffffff) << 5 ^ value;
	for (int i = 0; i < 5; i++) {
		if ((top >> i & 1) != 0)
			sum ^= generator[i];
	}
	return sum;
}

/* The sum over the prefix, which counts in lower case whatever it is. */
static uint32_t
prefix_sum(const char *prefix)
{
	uint32_t sum = 1;

	for (const char *p = prefix; *p != '\0'; p++)
		sum = polymod_step(sum, (unsigned char)to_lower(*p) >> 5);
	sum = polymod_step(sum, 0);
	for (const char *p = prefix; *p != '\0'; p++)
		sum = polymod_step(sum, (unsigned char)to_lower(*p) & 31);
	return sum;
}

static void
bytes_to_symbols(
    const unsigned char key[FMT_AGE_KEY_SIZE], unsigned char symbols[SYMBOLS])
{
	for (size_t i = 0; i < SYMBOLS; i++) {
		unsigned value = 0;

		for (size_t bit = i * 5; bit < i * 5 + 5; bit++) {
			value <<= 1;
			if (bit / 8 < FMT_AGE_KEY_SIZE)
				value |= key[bit / 8] >> (7 - bit % 8) & 1;
		}
		symbols[i] = (unsigned char)value;
	}
}

static enum fmt_status
symbols_to_bytes(
    const unsigned char symbols[SYMBOLS], unsigned char key[FMT_AGE_KEY_SIZE])
{
	/* 52 symbols hold four bits more than the key; they are zero. */
	if ((symbols[SYMBOLS - 1] & 15) != 0)
		return FMT_MALFORMED;
	memset(key, 0, FMT_AGE_KEY_SIZE);
	for (size_t bit = 0; bit < FMT_AGE_KEY_SIZE * 8; bit++) {
		unsigned value = symbols[bit / 5] >> (4 - bit % 5) & 1;

		key[bit / 8] |= (unsigned char)(value << (7 - bit % 8));
	}
	return FMT_OK;
}

/* `out` has room for prefix, "1", 58 symbols and a NUL. */
static void
encode_key(const char *prefix, bool is_upper,
    const unsigned char key[FMT_AGE_KEY_SIZE], char *out)
{
	unsigned char symbols[SYMBOLS + CHECKSUM];
	uint32_t sum = prefix_sum(prefix);

	bytes_to_symbols(key, symbols);
	for (size_t i = 0; i < SYMBOLS; i++)
		sum = polymod_step(sum, symbols[i]);
	for (size_t i = 0; i < CHECKSUM; i++)
		sum = polymod_step(sum, 0);
	sum ^= 1;
	for (size_t i = 0; i < CHECKSUM; i++)
		symbols[SYMBOLS + i] =
		    (unsigned char)(sum >> 5 * (CHECKSUM - 1 - i) & 31);
	while (*prefix != '\0')
		*out++ = *prefix++;
	*out++ = '1';
	for (size_t i = 0; i < sizeof symbols; i++) {
		char c = charset[symbols[i]];

		*out++ = is_upper ? to_upper(c) : c;
	}
	*out = '\0';
	OPENSSL_cleanse(symbols, sizeof symbols);
	OPENSSL_cleanse(&sum, sizeof sum);
}

static enum fmt_status
read_symbol(char c, bool is_upper, unsigned char *out)
{
	const char *at;

	/* The other case is no symbol: text of mixed case is refused. */
	if (c == '\0' || (is_upper ? to_upper(c) : to_lower(c)) != c)
		return FMT_MALFORMED;
	at = strchr(charset, to_lower(c));
	if (at == NULL)
		return FMT_MALFORMED;
	*out = (unsigned char)(at - charset);
	return FMT_OK;
}

static enum fmt_status
decode_key(const char *prefix, bool is_upper, const char *text, size_t len,
    unsigned char key[FMT_AGE_KEY_SIZE])
{
	unsigned char symbols[SYMBOLS + CHECKSUM];
	size_t prefix_len = strlen(prefix);
	uint32_t sum = prefix_sum(prefix);
	enum fmt_status status = FMT_OK;

	if (len != prefix_len + 1 + sizeof symbols ||
	    memcmp(text, prefix, prefix_len) != 0 || text[prefix_len] != '1')
		return FMT_MALFORMED;
	for (size_t i = 0; i < sizeof symbols && status == FMT_OK; i++) {
		status = read_symbol(
		    text[prefix_len + 1 + i], is_upper, &symbols[i]);
		if (status == FMT_OK)
			sum = polymod_step(sum, symbols[i]);
	}
	if (status == FMT_OK && sum != 1)
		status = FMT_MALFORMED;
	if (status == FMT_OK)
		status = symbols_to_bytes(symbols, key);
	OPENSSL_cleanse(symbols, sizeof symbols);
	return status;
}

enum fmt_status
fmt_age_identity_new(struct fmt_age_identity *out)
{
	struct fmt_age_identity made = {.kind = FMT_AGE_X25519};

	if (RAND_priv_bytes(made.key, sizeof made.key) != 1)
		return FMT_CRYPTO;
	*out = made;
	OPENSSL_cleanse(&made, sizeof made);
	return FMT_OK;
}

enum fmt_status
fmt_age_identity_recipient(
    const struct fmt_age_identity *identity, struct fmt_age_recipient *out)
{
	struct fmt_age_recipient made = {.kind = FMT_AGE_X25519};
	enum fmt_status status;

	if (identity->kind != FMT_AGE_X25519)
		return FMT_UNSUPPORTED;
	status = fmt_age_x25519_public(identity->key, made.key);
	if (status == FMT_OK)
		*out = made;
	return status;
}

enum fmt_status
fmt_age_identity_parse(
    const char *text, size_t len, struct fmt_age_identity *out)
{
	struct fmt_age_identity read = {.kind = FMT_AGE_X25519};
	enum fmt_status status =
	    decode_key(identity_prefix, true, text, len, read.key);

	if (status == FMT_OK)
		*out = read;
	OPENSSL_cleanse(&read, sizeof read);
	return status;
}

enum fmt_status
fmt_age_recipient_parse(
    const char *text, size_t len, struct fmt_age_recipient *out)
{
	struct fmt_age_recipient read = {.kind = FMT_AGE_X25519};
	enum fmt_status status =
	    decode_key(recipient_prefix, false, text, len, read.key);

	if (status == FMT_OK)
		*out = read;
	return status;
}

enum fmt_status
fmt_age_identity_text(
    const struct fmt_age_identity *identity, char out[FMT_AGE_IDENTITY_TEXT])
{
	if (identity->kind != FMT_AGE_X25519)
		return FMT_UNSUPPORTED;
	encode_key(identity_prefix, true, identity->key, out);
	return FMT_OK;
}

enum fmt_status
fmt_age_recipient_text(
    const struct fmt_age_recipient *recipient, char out[FMT_AGE_RECIPIENT_TEXT])
{
	if (recipient->kind != FMT_AGE_X25519)
		return FMT_UNSUPPORTED;
	encode_key(recipient_prefix, false, recipient->key, out);
	return FMT_OK;
}
