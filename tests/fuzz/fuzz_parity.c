/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error correction. The bytes as a parity: what comes out of a repair has the
 * digest that it tells. And as an object that is damaged where the first bytes
 * say: it comes back as it was, or not at all.
 */
#include <string.h>

#include "formats/parity.h"
#include "formats/sign.h"
#include "tests/fuzz/fuzz.h"

#define PLACES 4u

static void
try_parity(const uint8_t *data, size_t size)
{
	size_t len = size > 0 ? data[0] : 0;
	struct fmt_buf out = FMT_BUF_INIT;
	struct fmt_parity parity;
	unsigned char digest[32];

	if (len > size)
		len = size;
	(void)fmt_parity_check(data, size);
	if (fmt_parity_open(data, size, &parity) == FMT_OK &&
	    fmt_parity_repair(data, size, data, len, &out, NULL) == FMT_OK) {
		require(out.len == parity.object_len);
		require(fmt_sha256(out.len > 0 ? out.data : data, out.len,
			    digest) == FMT_OK);
		require(memcmp(digest, parity.object_digest, 32) == 0);
	}
	fmt_buf_free(&out);
}

/* Two bytes say where, one what. */
static void
damage(const uint8_t *how, uint8_t *object, size_t len)
{
	size_t at = ((size_t)how[0] << 8 | how[1]) % len;

	object[at] ^= how[2];
}

static void
try_object(const uint8_t *data, size_t size)
{
	struct fmt_buf parity = FMT_BUF_INIT, out = FMT_BUF_INIT;
	const uint8_t *how = data + 1;
	uint8_t *object;
	size_t len;

	if (size <= 1 + 3 * PLACES)
		return;
	len = size - 1 - 3 * PLACES;
	data += 1 + 3 * PLACES;
	if (fmt_parity_make(data, len, 1 + how[-1] % 50u, &parity) != FMT_OK ||
	    (object = malloc(len)) == NULL)
		goto out;
	memcpy(object, data, len);
	for (unsigned i = 0; i < PLACES; i++)
		damage(how + 3 * i, i % 2 == 0 ? object : parity.data,
		    i % 2 == 0 ? len : parity.len);
	if (fmt_parity_repair(
		parity.data, parity.len, object, len, &out, NULL) == FMT_OK)
		require(out.len == len && memcmp(out.data, data, len) == 0);
	free(object);
out:
	fmt_buf_free(&parity);
	fmt_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_parity(data, size);
	try_object(data, size);
	return 0;
}
