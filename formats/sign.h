/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_SIGN_H
#define FORMATS_SIGN_H

/*
 * Ed25519 signatures, digests and hex: the few primitives that several formats
 * share, over OpenSSL.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

#define FMT_SEED_SIZE 32
#define FMT_SIGNATURE_SIZE 64

/* Public key of a 32 byte Ed25519 seed. */
enum fmt_status fmt_sign_public(
    const unsigned char seed[32], unsigned char public_key[32]);

/* Signature over context || 0x00 || data. `context` keeps a signature made for
 * one kind of object from being valid for another. */
enum fmt_status fmt_sign(const unsigned char seed[32], const char *context,
    const void *data, size_t len, unsigned char signature[64]);
enum fmt_status fmt_sign_verify(const unsigned char public_key[32],
    const char *context, const void *data, size_t len,
    const unsigned char signature[64]); /* FMT_AUTH where it does not fit */

enum fmt_status fmt_sha256(const void *data, size_t len, unsigned char out[32]);
enum fmt_status fmt_hmac_sha256(const void *key, size_t key_len,
    const void *data, size_t len, unsigned char out[32]);

/* Lower-case hex with a NUL: 2 * len + 1 chars. */
void fmt_hex(const void *data, size_t len, char *out);
/* Exactly 2 * len hex digits; FMT_MALFORMED otherwise. */
enum fmt_status fmt_unhex(const char *text, void *out, size_t len);
/* Exactly so many lower-case hex digits. */
bool fmt_is_hex(const char *text, size_t digits);

/* Random bytes from OpenSSL. */
enum fmt_status fmt_random(void *out, size_t len);

#endif
