/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting by content, hex and signatures: what every piece must be. */
#include <string.h>

#include "formats/chunker.h"
#include "formats/sign.h"
#include "tests/fuzz/fuzz.h"

#define LEAST 64u
#define MOST 1024u

static void
try_cutting(const uint8_t *data, size_t size)
{
	unsigned char key[32] = {0};
	struct fmt_chunker chunker;

	if (size < sizeof(key))
		return;
	memcpy(key, data, sizeof(key));
	require(fmt_chunker_init(&chunker, key, LEAST, 256, MOST) == FMT_OK);
	for (size_t at = 0; at < size;) {
		size_t len = fmt_chunker_cut(&chunker, data + at, size - at);

		if (len == 0) {
			require(size - at < MOST);
			break;
		}
		require(len >= LEAST && len <= MOST && len <= size - at);
		at += len;
	}
}

static void
try_hex(const uint8_t *data, size_t size)
{
	unsigned char bytes[32];
	char text[65], again[65];

	if (size > 64)
		size = 64;
	memcpy(text, data, size);
	text[size] = '\0';
	if (fmt_unhex(text, bytes, strlen(text) / 2) != FMT_OK)
		return;
	fmt_hex(bytes, strlen(text) / 2, again);
	require(strlen(again) == strlen(text));
	for (size_t i = 0; again[i] != '\0'; i++)
		require(again[i] == (text[i] | 0x20) || again[i] == text[i]);
}

/* Nobody signs by chance. */
static void
try_signature(const uint8_t *data, size_t size)
{
	unsigned char key[32] = {7}, other[FMT_SIGNATURE_SIZE];

	if (size < FMT_SIGNATURE_SIZE)
		return;
	require(fmt_sign_public(key, key) == FMT_OK);
	memcpy(other, data, sizeof(other));
	require(fmt_sign_verify(key, "fuzz", data, size, other) != FMT_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	try_cutting(data, size);
	try_hex(data, size);
	try_signature(data, size);
	return 0;
}
