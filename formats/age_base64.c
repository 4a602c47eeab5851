/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
fmt_age_base64_encode(const unsigned char *data, size_t len, char *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | data[i];
		for (have += 8; have >= 6; have -= 6)
			out[n++] = alphabet[bits >> (have - 6) & 63];
	}
	if (have > 0)
		out[n++] = alphabet[bits << (6 - have) & 63];
	return n;
}

static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

enum fmt_status
fmt_age_base64_decode(const char *text, size_t len, unsigned char *out,
    size_t cap, size_t *out_len)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	/* One digit over holds six bits, which are no byte. */
	if (len % 4 == 1 || len / 4 * 3 + len % 4 * 3 / 4 > cap)
		return FMT_MALFORMED;
	for (size_t i = 0; i < len; i++) {
		int value = digit_value(text[i]);

		if (value < 0)
			return FMT_MALFORMED;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (unsigned char)(bits >> have & 255);
		}
	}
	/* Canonical: the bits left over are zero, so that no two texts decode
	 * to the same bytes. */
	if ((bits & ((1u << have) - 1)) != 0)
		return FMT_MALFORMED;
	*out_len = n;
	return FMT_OK;
}

enum fmt_status
fmt_age_base64_decode_exact(
    const char *text, size_t len, unsigned char *out, size_t size)
{
	size_t got;

	if (fmt_age_base64_decode(text, len, out, size, &got) != FMT_OK ||
	    got != size)
		return FMT_MALFORMED;
	return FMT_OK;
}
