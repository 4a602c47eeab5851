/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/* What every target needs. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "formats/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
static inline void
require(bool holds)
{
	if (!holds)
		abort();
}

/* Appends the record whose first line is `line`, signed, as nothing is signed
 * by chance. */
static inline void
sign_line(const unsigned char key[FMT_SEED_SIZE], const char *context,
    const void *line, size_t len, struct fmt_buf *out)
{
	unsigned char signer[32], signature[FMT_SIGNATURE_SIZE];
	char signer_hex[65], signature_hex[2 * FMT_SIGNATURE_SIZE + 1];

	require(fmt_sign_public(key, signer) == FMT_OK);
	require(fmt_sign(key, context, line, len, signature) == FMT_OK);
	fmt_hex(signer, sizeof(signer), signer_hex);
	fmt_hex(signature, sizeof(signature), signature_hex);
	require(fmt_buf_append(out, line, len) == FMT_OK);
	require(
	    fmt_buf_printf(out, "\n{\"signature\":\"%s\",\"signer\":\"%s\"}\n",
		signature_hex, signer_hex) == FMT_OK);
}

#endif
