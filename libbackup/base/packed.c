/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/packed.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"

/* Little memory for whoever reads many at once. */
#define WINDOW_LOG 17
#define PORTION (64u * 1024u)

/* Blocks, so that what is kept is never copied to be grown. */
struct block {
	struct block *next;
	size_t len;
	unsigned char bytes[PORTION];
};

struct bkp_packed {
	ZSTD_CCtx *zstd; /* NULL once it is whole */
	struct block *first, *last;
};

struct bkp_unpacked {
	ZSTD_DCtx *zstd;
	const struct block *block;
	size_t at; /* in the block */
	unsigned char portion[PORTION];
};

static int
fail_zstd(struct bkp_error *err, size_t code)
{
	return bkp_fail(err,
	    ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? BKP_NOMEM
								    : BKP_IO,
	    "keeping a schema in memory: %s", ZSTD_getErrorName(code));
}

int
bkp_packed_new(struct bkp_packed **out, struct bkp_error *err)
{
	struct bkp_packed *packed = bkp_alloc(sizeof(*packed), err);

	if (packed == NULL)
		return -1;
	packed->zstd = ZSTD_createCCtx();
	if (packed->zstd == NULL) {
		free(packed);
		return bkp_fail_nomem(err, "keeping a schema in memory");
	}
	(void)ZSTD_CCtx_setParameter(packed->zstd, ZSTD_c_compressionLevel, 1);
	(void)ZSTD_CCtx_setParameter(
	    packed->zstd, ZSTD_c_windowLog, WINDOW_LOG);
	(void)ZSTD_CCtx_setParameter(packed->zstd, ZSTD_c_checksumFlag, 1);
	*out = packed;
	return 0;
}

/* The block that has room. */
static struct block *
open_block(struct bkp_packed *packed, struct bkp_error *err)
{
	struct block *block = packed->last;

	if (block != NULL && block->len < PORTION)
		return block;
	if ((block = bkp_alloc(sizeof(*block), err)) == NULL)
		return NULL;
	if (packed->last != NULL)
		packed->last->next = block;
	else
		packed->first = block;
	packed->last = block;
	return block;
}

static int
compress(struct bkp_packed *packed, const void *data, size_t len,
    ZSTD_EndDirective how, struct bkp_error *err)
{
	ZSTD_inBuffer in = {data, len, 0};
	size_t left;

	do {
		struct block *block = open_block(packed, err);
		ZSTD_outBuffer out;

		if (block == NULL)
			return -1;
		out = (ZSTD_outBuffer){block->bytes, PORTION, block->len};
		left = ZSTD_compressStream2(packed->zstd, &out, &in, how);
		block->len = out.pos;
		if (ZSTD_isError(left))
			return fail_zstd(err, left);
	} while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return 0;
}

int
bkp_packed_write(
    void *packed, const void *data, size_t len, struct bkp_error *err)
{
	return compress(packed, data, len, ZSTD_e_continue, err);
}

int
bkp_packed_end(struct bkp_packed *packed, struct bkp_error *err)
{
	if (compress(packed, NULL, 0, ZSTD_e_end, err) < 0)
		return -1;
	ZSTD_freeCCtx(packed->zstd);
	packed->zstd = NULL;
	return 0;
}

void
bkp_packed_free(struct bkp_packed *packed)
{
	if (packed == NULL)
		return;
	while (packed->first != NULL) {
		struct block *next = packed->first->next;

		OPENSSL_cleanse(packed->first->bytes, packed->first->len);
		free(packed->first);
		packed->first = next;
	}
	ZSTD_freeCCtx(packed->zstd);
	free(packed);
}

/* ---- reading ---- */

int
bkp_unpacked_new(const struct bkp_packed *packed, struct bkp_unpacked **out,
    struct bkp_error *err)
{
	struct bkp_unpacked *unpacked = bkp_alloc(sizeof(*unpacked), err);

	if (unpacked == NULL)
		return -1;
	unpacked->block = packed->first;
	if ((unpacked->zstd = ZSTD_createDCtx()) == NULL) {
		free(unpacked);
		return bkp_fail_nomem(err, "keeping a schema in memory");
	}
	*out = unpacked;
	return 0;
}

int
bkp_unpacked_next(struct bkp_unpacked *unpacked, const void **data, size_t *len,
    struct bkp_error *err)
{
	ZSTD_outBuffer out = {unpacked->portion, PORTION, 0};
	size_t left = 1;

	while (left > 0 && out.pos < out.size && unpacked->block != NULL) {
		ZSTD_inBuffer in = {
		    unpacked->block->bytes, unpacked->block->len, unpacked->at};

		left = ZSTD_decompressStream(unpacked->zstd, &out, &in);
		if (ZSTD_isError(left))
			return fail_zstd(err, left);
		unpacked->at = in.pos;
		if (in.pos == in.size && out.pos < out.size) {
			unpacked->block = unpacked->block->next;
			unpacked->at = 0;
		}
	}
	*data = unpacked->portion;
	*len = out.pos;
	return 0;
}

void
bkp_unpacked_free(struct bkp_unpacked *unpacked)
{
	if (unpacked == NULL)
		return;
	ZSTD_freeDCtx(unpacked->zstd);
	OPENSSL_cleanse(unpacked->portion, PORTION);
	free(unpacked);
}

int
bkp_packed_read(const struct bkp_packed *packed, bkp_bytes_fn *take, void *arg,
    struct bkp_error *err)
{
	struct bkp_unpacked *unpacked = NULL;
	const void *data = NULL;
	size_t len = 1;
	int rc = bkp_unpacked_new(packed, &unpacked, err);

	while (rc == 0 && len > 0) {
		rc = bkp_unpacked_next(unpacked, &data, &len, err);
		if (rc == 0 && len > 0)
			rc = take(arg, data, len, err);
	}
	bkp_unpacked_free(unpacked);
	return rc;
}
