/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints. The input is the file, and then, because no mutation signs
 * itself, the first line of one that is signed here. A checkpoint that is taken
 * can be written, and is then read back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/checkpoint.h"
#include "formats/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned char seed[32] = {1};

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static enum fmt_status
read_and_write(const void *data, size_t size, struct fmt_buf *out)
{
	struct fmt_checkpoint checkpoint = FMT_CHECKPOINT_INIT;
	enum fmt_status status = fmt_checkpoint_decode(data, size, &checkpoint);

	if (status == FMT_OK)
		require(
		    fmt_checkpoint_encode(&checkpoint, seed, out) == FMT_OK);
	fmt_checkpoint_free(&checkpoint);
	return status;
}

static void
sign_line(const uint8_t *line, size_t len, struct fmt_buf *out)
{
	unsigned char signer[32], signature[64];
	char signer_hex[65], signature_hex[129];

	require(fmt_sign_public(seed, signer) == FMT_OK);
	require(fmt_sign(seed, "libbackup checkpoint v1", line, len,
		    signature) == FMT_OK);
	fmt_hex(signer, sizeof(signer), signer_hex);
	fmt_hex(signature, sizeof(signature), signature_hex);
	require(fmt_buf_append(out, line, len) == FMT_OK);
	require(
	    fmt_buf_printf(out, "\n{\"signer\":\"%s\",\"signature\":\"%s\"}\n",
		signer_hex, signature_hex) == FMT_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_buf file = FMT_BUF_INIT, out = FMT_BUF_INIT;
	struct fmt_buf again = FMT_BUF_INIT;
	const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;

	(void)read_and_write(data, size, &again);
	fmt_buf_clear(&again);
	sign_line(
	    data, newline != NULL ? (size_t)(newline - data) : size, &file);
	if (read_and_write(file.data, file.len, &out) == FMT_OK) {
		require(read_and_write(out.data, out.len, &again) == FMT_OK);
		require(out.len == again.len &&
			memcmp(out.data, again.data, out.len) == 0);
	}
	fmt_buf_free(&file);
	fmt_buf_free(&out);
	fmt_buf_free(&again);
	return 0;
}
