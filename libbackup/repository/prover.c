/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/prover.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "formats/delta.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"

int
bkp_prover_init(struct bkp_prover *prover, struct bkp_repository *repository,
    struct bkp_error *err)
{
	*prover = (struct bkp_prover){.repository = repository};
	prover->chunk.is_secret = prover->plain.is_secret = true;
	prover->base.is_secret = prover->whole.is_secret = true;
	if (bkp_chunk_hasher_init(&prover->hasher, repository, err) < 0)
		return -1;
	if ((prover->zstd = ZSTD_createDCtx()) == NULL)
		return bkp_fail_nomem(err, "setting up decompression");
	return 0;
}

void
bkp_prover_free(struct bkp_prover *prover)
{
	bkp_chunk_hasher_free(&prover->hasher);
	(void)ZSTD_freeDCtx(prover->zstd);
	bkp_chunk_reader_free(prover->bases);
	fmt_buf_free(&prover->chunk);
	fmt_buf_free(&prover->base);
	fmt_buf_free(&prover->whole);
	fmt_buf_free(&prover->plain);
}

bool
bkp_prover_opens(
    const struct bkp_repository *repository, enum fmt_pack_kind kind)
{
	return kind == FMT_PACK_METADATA || repository->keys.has_data;
}

static const struct fmt_age_identity *
identities_of(const struct bkp_prover *prover, enum fmt_pack_kind kind)
{
	const struct bkp_key_ring *keys = &prover->repository->keys;

	return kind == FMT_PACK_DATA ? keys->data : keys->metadata;
}

int
bkp_prove_name(const struct fmt_buf *stored, const unsigned char name[32],
    unsigned char *out, struct bkp_error *err)
{
	unsigned char digest[32];
	enum fmt_status status;

	status = fmt_sha256(stored->len > 0 ? stored->data : (const void *)"",
	    stored->len, digest);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing a pack");
	if (out != NULL)
		memcpy(out, digest, sizeof(digest));
	if (memcmp(digest, name, sizeof(digest)) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "its bytes are not the ones that were stored (SHA-256 "
		    "differs from the name)");
	return 0;
}

/* ---- chunks ---- */

static int
check_id(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const struct fmt_buf *plain, const unsigned char id[FMT_ID_SIZE],
    bool *is_right, struct bkp_error *err)
{
	unsigned char actual[FMT_ID_SIZE];

	if (bkp_chunk_hasher_id(&prover->hasher, kind, plain->data, plain->len,
		actual, err) < 0)
		return -1;
	*is_right = memcmp(actual, id, sizeof(actual)) == 0;
	return 0;
}

static int
decompress(struct bkp_prover *prover, const unsigned char *frame,
    size_t frame_len, struct bkp_error *err)
{
	unsigned long long len = ZSTD_getFrameContentSize(frame, frame_len);
	struct fmt_buf *plain = &prover->chunk;
	size_t n;

	fmt_buf_clear(plain);
	if (len > UINT32_MAX) /* errors, too */
		return bkp_fail(
		    err, BKP_CORRUPT, "its frame does not tell its length");
	if (fmt_buf_reserve(plain, len > 0 ? (size_t)len : 1) != FMT_OK)
		return bkp_fail_nomem(err, "checking a chunk");
	n = ZSTD_decompressDCtx(
	    prover->zstd, plain->data, (size_t)len, frame, frame_len);
	if (ZSTD_isError(n))
		return bkp_fail(err, BKP_CORRUPT, "decompressing: %s",
		    ZSTD_getErrorName(n));
	plain->len = n;
	if (n != len)
		return bkp_fail(
		    err, BKP_CORRUPT, "its frame has another length");
	return 0;
}

/* Reads a base into prover->base. 1; 0: it is damaged; -1. */
static int
read_base(struct bkp_prover *prover, const struct fmt_delta_head *head,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_chunk_ref ref = {.len = head->base_len};

	memcpy(ref.id, head->base, sizeof(ref.id));
	fmt_buf_clear(&prover->base);
	if (prover->bases == NULL &&
	    bkp_chunk_reader_new(prover->repository, &prover->bases, err) < 0)
		return -1;
	if (bkp_chunk_reader_get(
		prover->bases, &ref, &prover->base, &problem) == 0)
		return 1;
	if (problem.code == BKP_CORRUPT || problem.code == BKP_AUTH ||
	    problem.code == BKP_UNSUPPORTED)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
prove_difference(struct bkp_prover *prover, enum fmt_pack_kind kind,
    struct fmt_pack_chunk *chunk, struct bkp_error *err)
{
	const struct fmt_buf *delta = &prover->chunk;
	struct fmt_delta_head head;
	enum fmt_status status;
	bool is_right = false;
	int rc;

	if (fmt_delta_head(delta->data, delta->len, &head) != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "its content is not the one that was stored");
	chunk->has_base = true;
	chunk->raw_len = head.len;
	chunk->delta_len = (uint32_t)delta->len;
	memcpy(chunk->base, head.base, sizeof(chunk->base));
	if ((rc = read_base(prover, &head, err)) != 1)
		return rc;
	fmt_buf_clear(&prover->whole);
	status = fmt_delta_apply(delta->data, delta->len, prover->base.data,
	    prover->base.len, &prover->whole);
	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "checking a chunk");
	if (status == FMT_OK && check_id(prover, kind, &prover->whole,
				    chunk->id, &is_right, err) < 0)
		return -1;
	if (!is_right)
		return bkp_fail(
		    err, BKP_CORRUPT, "its difference does not fit its base");
	return 0;
}

int
bkp_prove_frame(struct bkp_prover *prover, enum fmt_pack_kind kind,
    struct fmt_pack_chunk *chunk, const unsigned char *frame,
    struct bkp_error *err)
{
	bool is_right = false;

	if (decompress(prover, frame, chunk->stored_len, err) < 0 ||
	    check_id(prover, kind, &prover->chunk, chunk->id, &is_right, err) <
		0)
		return -1;
	if (!is_right)
		return prove_difference(prover, kind, chunk, err);
	chunk->has_base = false;
	chunk->raw_len = (uint32_t)prover->chunk.len;
	return 0;
}

/* Where the index says that the chunk is in this pack, it is there. */
static int
prove_place(struct bkp_prover *prover, const unsigned char name[32],
    const struct fmt_pack_chunk *chunk, struct bkp_error *err)
{
	struct bkp_index_set *set = &prover->repository->index;
	struct fmt_index_place place;

	for (size_t n = 0; bkp_index_set_find_copy(set, chunk->id, n, &place);
	     n++) {
		if (memcmp(place.pack.name, name, 32) != 0)
			continue;
		if (place.chunk.offset != chunk->offset ||
		    place.chunk.stored_len != chunk->stored_len)
			return bkp_fail(err, BKP_CORRUPT,
			    "the index says that it is elsewhere in the pack");
	}
	return 0;
}

static int
prove_chunks(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const unsigned char name[32], struct fmt_pack_chunk *chunks, size_t count,
    struct bkp_error *err)
{
	char hex[2 * FMT_ID_SIZE + 1];

	for (size_t i = 0; i < count; i++) {
		if (bkp_prove_frame(prover, kind, &chunks[i],
			prover->plain.data + chunks[i].offset, err) < 0 ||
		    prove_place(prover, name, &chunks[i], err) < 0) {
			fmt_hex(chunks[i].id, FMT_ID_SIZE, hex);
			return bkp_fail_in(err, "chunk %s", hex);
		}
	}
	return 0;
}

int
bkp_prove_content(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const unsigned char name[32], const struct fmt_buf *stored,
    struct fmt_pack_chunk **chunks, size_t *count, struct bkp_error *err)
{
	struct fmt_pack_chunk *directory = NULL;
	struct fmt_buf *plain = &prover->plain;
	size_t directory_count = 0, need;
	enum fmt_status status;

	fmt_buf_clear(plain);
	status = fmt_age_open(identities_of(prover, kind),
	    prover->repository->keys.count, stored->data, stored->len, plain);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "decrypting");
	status = fmt_pack_directory_decode(plain->data, plain->len, plain->len,
	    &directory, &directory_count, &need);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "reading its directory");
	if (prove_chunks(prover, kind, name, directory, directory_count, err) <
	    0) {
		free(directory);
		return -1;
	}
	*chunks = directory;
	*count = directory_count;
	return 0;
}

/* ---- what is left ---- */

/* The frame of a chunk where all its segments decrypt, or NULL. */
static const unsigned char *
read_frame(struct bkp_prover *prover, const struct fmt_age_payload *payload,
    const struct fmt_buf *stored, uint64_t size, uint64_t plain_size,
    const struct fmt_pack_chunk *chunk)
{
	uint64_t offset, len;

	if ((uint64_t)chunk->offset + chunk->stored_len > plain_size)
		return NULL;
	fmt_age_payload_range(
	    payload, size, chunk->offset, chunk->stored_len, &offset, &len);
	if (offset > stored->len || len > stored->len - offset)
		return NULL;
	fmt_buf_clear(&prover->plain);
	if (fmt_age_payload_read(payload, size, chunk->offset,
		chunk->stored_len, stored->data + offset, (size_t)len,
		&prover->plain) != FMT_OK)
		return NULL;
	return prover->plain.data;
}

static int
salvage_chunks(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const struct fmt_age_payload *payload, const struct fmt_buf *stored,
    uint64_t size, const struct fmt_pack_chunk *chunks, size_t count,
    bkp_salvage_fn *fn, void *arg, struct bkp_error *err)
{
	uint64_t plain_size = 0;

	if (payload != NULL &&
	    fmt_age_plain_size(payload, size, &plain_size) != FMT_OK)
		payload = NULL;
	for (size_t i = 0; i < count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		struct fmt_pack_chunk chunk = chunks[i];
		const unsigned char *frame = NULL;

		if (payload != NULL)
			frame = read_frame(
			    prover, payload, stored, size, plain_size, &chunk);
		if (frame != NULL && bkp_prove_frame(prover, kind, &chunk,
					 frame, &problem) < 0) {
			if (problem.code != BKP_CORRUPT) {
				if (err != NULL)
					*err = problem;
				return -1;
			}
			frame = NULL;
		}
		if (fn(arg, frame != NULL ? &chunk : &chunks[i], frame, err) <
		    0)
			return -1;
	}
	return 0;
}

int
bkp_salvage(struct bkp_prover *prover, enum fmt_pack_kind kind,
    const struct fmt_buf *stored, uint64_t size,
    const struct fmt_pack_chunk *chunks, size_t count, bkp_salvage_fn *fn,
    void *arg, struct bkp_error *err)
{
	struct fmt_age_payload payload;
	enum fmt_status status;
	int rc;

	status = fmt_age_payload_open(identities_of(prover, kind),
	    prover->repository->keys.count, stored->data, stored->len,
	    &payload);
	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "salvaging a pack");
	/* Where the header does not open, nothing is left. */
	rc = salvage_chunks(prover, kind, status == FMT_OK ? &payload : NULL,
	    stored, size, chunks, count, fn, arg, err);
	OPENSSL_cleanse(&payload, sizeof(payload));
	return rc;
}
