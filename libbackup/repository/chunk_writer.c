/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing chunks: id, known?, compress, prove that it decompresses, append to
 * the pack of this writer. A full pack is given to the session to be stored.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/chunk_writer_own.h"

/* A larger buffer is freed after use. */
#define KEEP_FRAME (16u * 1024 * 1024)

/* Up to here a chunk is decompressed as a whole. */
#define PROVE_WHOLE (2u * 1024 * 1024)

static int
set_up_zstd(struct bkp_chunk_writer *writer, struct bkp_error *err)
{
	writer->compressor = ZSTD_createCCtx();
	writer->decompressor = ZSTD_createDCtx();
	if (writer->compressor == NULL || writer->decompressor == NULL ||
	    fmt_buf_reserve(&writer->proof, ZSTD_DStreamOutSize()) != FMT_OK)
		return bkp_fail_nomem(err, "setting up compression");
	if (ZSTD_isError(ZSTD_CCtx_setParameter(
		writer->compressor, ZSTD_c_checksumFlag, 1)))
		return bkp_fail(
		    err, BKP_UNSUPPORTED, "zstd refuses its parameters");
	return 0;
}

int
bkp_chunk_writer_new_of(struct bkp_session *session, enum fmt_pack_kind kind,
    struct bkp_chunk_writer **out, struct bkp_error *err)
{
	struct bkp_chunk_writer *writer = bkp_alloc(sizeof(*writer), err);

	if (writer == NULL)
		return -1;
	writer->session = session;
	writer->kind = kind;
	if (bkp_chunk_hasher_init(&writer->hasher, session->repository, err) <
		0 ||
	    set_up_zstd(writer, err) < 0) {
		bkp_chunk_writer_free(writer);
		return -1;
	}
	*out = writer;
	return 0;
}

int
bkp_chunk_writer_new(struct bkp_session *session, struct bkp_chunk_writer **out,
    struct bkp_error *err)
{
	return bkp_chunk_writer_new_of(session, FMT_PACK_DATA, out, err);
}

/* Chunks that are dropped here count as known elsewhere in the session. */
static void
drop_pack(struct bkp_chunk_writer *writer, struct bkp_pack **pack)
{
	if (*pack == NULL)
		return;
	atomic_store(&writer->session->has_failed, true);
	atomic_fetch_sub(&writer->session->unflushed, 1);
	bkp_pack_free(*pack);
	*pack = NULL;
}

void
bkp_chunk_writer_free(struct bkp_chunk_writer *writer)
{
	if (writer == NULL)
		return;
	for (size_t i = 0; i < 2; i++)
		drop_pack(writer, &writer->packs[i]);
	bkp_chunk_hasher_free(&writer->hasher);
	(void)ZSTD_freeCCtx(writer->compressor);
	(void)ZSTD_freeDCtx(writer->decompressor);
	fmt_buf_free(&writer->frame);
	fmt_buf_free(&writer->proof);
	fmt_delta_lines_free(&writer->lines);
	fmt_buf_free(&writer->base);
	fmt_buf_free(&writer->delta);
	bkp_sealer_free(writer->sealer);
	free(writer);
}

/* ---- compressing ---- */

static int
compress(struct bkp_chunk_writer *writer, int level, const void *data,
    size_t len, struct bkp_error *err)
{
	size_t bound = ZSTD_compressBound(len), n;

	writer->frame.len = 0;
	if (fmt_buf_reserve(&writer->frame, bound) != FMT_OK)
		return bkp_fail_nomem(err, "compressing a chunk");
	n = ZSTD_CCtx_setParameter(
	    writer->compressor, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(n))
		n = ZSTD_compress2(
		    writer->compressor, writer->frame.data, bound, data, len);
	if (ZSTD_isError(n))
		return bkp_fail(err, BKP_IO, "compressing a chunk: %s",
		    ZSTD_getErrorName(n));
	writer->frame.len = n;
	return 0;
}

static int
not_proven(struct bkp_error *err, const char *why)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "a chunk does not come back from its compressed form (%s); "
	    "nothing was stored: the memory or the zstd library of this "
	    "machine is faulty",
	    why);
}

/* Decompresses the frame in one go. Through a window of its own, as below, it
 * takes a fifth longer. */
static int
prove_whole(struct bkp_chunk_writer *writer, const unsigned char *data,
    size_t len, struct bkp_error *err)
{
	size_t n;

	writer->proof.len = 0;
	if (fmt_buf_reserve(&writer->proof, len) != FMT_OK)
		return bkp_fail_nomem(err, "proving a chunk");
	n = ZSTD_decompressDCtx(writer->decompressor, writer->proof.data, len,
	    writer->frame.data, writer->frame.len);
	if (ZSTD_isError(n))
		return not_proven(err, ZSTD_getErrorName(n));
	if (n != len)
		return not_proven(err, "another length");
	if (len > 0 && memcmp(writer->proof.data, data, len) != 0)
		return not_proven(err, "other bytes");
	return 0;
}

/* The same a piece at a time, where a second copy of it would be too much. */
static int
prove_pieces(struct bkp_chunk_writer *writer, const unsigned char *data,
    size_t len, struct bkp_error *err)
{
	ZSTD_inBuffer in = {writer->frame.data, writer->frame.len, 0};
	size_t done = 0, left = 1;

	if (ZSTD_isError(
		ZSTD_DCtx_reset(writer->decompressor, ZSTD_reset_session_only)))
		return not_proven(err, "reset");
	while (left != 0) {
		ZSTD_outBuffer out = {writer->proof.data, writer->proof.cap, 0};
		size_t before = in.pos;

		left = ZSTD_decompressStream(writer->decompressor, &out, &in);
		if (ZSTD_isError(left))
			return not_proven(err, ZSTD_getErrorName(left));
		if (out.pos > len - done ||
		    (out.pos > 0 && memcmp(out.dst, data + done, out.pos) != 0))
			return not_proven(err, "other bytes");
		done += out.pos;
		if (left != 0 && out.pos == 0 && in.pos == before)
			return not_proven(err, "it ends early");
	}
	if (done != len || in.pos != in.size)
		return not_proven(err, "another length");
	return 0;
}

/* A compressor's bug or a flipped bit in memory must not be found out on the
 * day of a restore. */
int
bkp_chunk_writer_compress(struct bkp_chunk_writer *writer, int level,
    const void *data, size_t len, struct bkp_error *err)
{
	if (compress(writer, level, data, len, err) < 0)
		return -1;
	return len <= PROVE_WHOLE ? prove_whole(writer, data, len, err)
				  : prove_pieces(writer, data, len, err);
}

/* ---- packing ---- */

static int
flush(struct bkp_chunk_writer *writer, struct bkp_pack **filled,
    struct bkp_error *err)
{
	struct bkp_pack *pack = *filled;
	int rc;

	if (pack == NULL)
		return 0;
	if (bkp_pack_finish(pack, err) < 0) {
		drop_pack(writer, filled);
		return -1;
	}
	*filled = NULL;
	if ((rc = bkp_session_submit(writer->session, pack, err)) < 0)
		atomic_store(&writer->session->has_failed, true);
	atomic_fetch_sub(&writer->session->unflushed, 1);
	return rc;
}

int
bkp_chunk_writer_flush(struct bkp_chunk_writer *writer, struct bkp_error *err)
{
	for (size_t i = 0; i < 2; i++)
		if (flush(writer, &writer->packs[i], err) < 0)
			return -1;
	return 0;
}

int
bkp_chunk_writer_append(struct bkp_chunk_writer *writer,
    const struct fmt_pack_chunk *chunk, struct bkp_error *err)
{
	struct bkp_pack **pack = &writer->packs[chunk->has_base];

	if (*pack != NULL && bkp_pack_is_full(*pack, writer->frame.len) &&
	    flush(writer, pack, err) < 0)
		return -1;
	if (*pack == NULL) {
		if (bkp_session_take_pack(
			writer->session, writer->kind, pack, err) < 0)
			return -1;
		atomic_fetch_add(&writer->session->unflushed, 1);
	}
	return bkp_pack_add(
	    *pack, chunk, writer->frame.data, writer->frame.len, err);
}

/* ---- chunks ---- */

int
bkp_chunk_writer_store(struct bkp_chunk_writer *writer,
    const unsigned char id[FMT_ID_SIZE], const void *data, size_t len,
    struct bkp_error *err)
{
	struct fmt_pack_chunk chunk = {.raw_len = (uint32_t)len};
	int rc =
	    bkp_chunk_writer_compress(writer, BKP_CHUNK_LEVEL, data, len, err);

	memcpy(chunk.id, id, sizeof(chunk.id));
	if (rc == 0)
		rc = bkp_chunk_writer_append(writer, &chunk, err);
	if (writer->frame.cap > KEEP_FRAME)
		fmt_buf_free(&writer->frame);
	return rc;
}

/* Claims the chunk for this writer unless some writer has it. */
static int
claim(struct bkp_session *session, const unsigned char *id, bool *is_new,
    struct bkp_error *err)
{
	*is_new = false;
	if (bkp_session_finds(session, id))
		return 0;
	return bkp_known_set_add(&session->known, id, is_new, err);
}

int
bkp_chunk_writer_name(struct bkp_chunk_writer *writer, const void *data,
    size_t len, struct fmt_chunk_ref *ref, bool *is_new, struct bkp_error *err)
{
	struct bkp_session *session = writer->session;
	unsigned char id[FMT_ID_SIZE];

	if (len > UINT32_MAX / 2)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "a piece of %zu bytes is more than a chunk can hold", len);
	if (bkp_chunk_hasher_id(
		&writer->hasher, writer->kind, data, len, id, err) < 0 ||
	    claim(session, id, is_new, err) < 0)
		return -1;
	(void)bkp_presence_touch(session->presence, NULL);
	if (writer->kind == FMT_PACK_DATA)
		atomic_fetch_add(
		    *is_new ? &session->new_chunks : &session->known_chunks, 1);
	memcpy(ref->id, id, sizeof(ref->id));
	ref->len = (uint32_t)len;
	return 0;
}

int
bkp_chunk_writer_put(struct bkp_chunk_writer *writer, const void *data,
    size_t len, struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	bool is_new = false;

	if (bkp_chunk_writer_name(writer, data, len, ref, &is_new, err) < 0)
		return -1;
	if (is_new &&
	    bkp_chunk_writer_store(writer, ref->id, data, len, err) < 0) {
		atomic_store(&writer->session->has_failed, true);
		return -1;
	}
	return 0;
}
