/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/* What every target needs. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* Reads a record and appends what writing makes of it. */
typedef enum fmt_status read_and_write_fn(
    const void *data, size_t size, struct fmt_buf *out);

/* The input as a file, and then, because no mutation signs itself, its first
 * line signed: what is taken can be written, and reads back as the same. */
static inline void
require_record(const unsigned char key[FMT_SEED_SIZE], const char *context,
    read_and_write_fn *read_and_write, const uint8_t *data, size_t size)
{
	struct fmt_buf file = FMT_BUF_INIT, out = FMT_BUF_INIT;
	struct fmt_buf again = FMT_BUF_INIT;
	const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;

	(void)read_and_write(data, size, &again);
	fmt_buf_clear(&again);
	sign_line(key, context, data,
	    newline != NULL ? (size_t)(newline - data) : size, &file);
	if (read_and_write(file.data, file.len, &out) == FMT_OK) {
		require(read_and_write(out.data, out.len, &again) == FMT_OK);
		require(out.len == again.len &&
			memcmp(out.data, again.data, out.len) == 0);
	}
	fmt_buf_free(&file);
	fmt_buf_free(&out);
	fmt_buf_free(&again);
}

#endif
