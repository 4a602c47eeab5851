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

static int
set_up_outlets(struct bkp_chunk_writer *writer, struct bkp_session *first,
    struct bkp_error *err)
{
	size_t count = 0;

	for (struct bkp_session *it = first; it != NULL; it = it->next)
		count++;
	writer->outlets = bkp_alloc_array(count, sizeof(*writer->outlets), err);
	if (writer->outlets == NULL)
		return -1;
	for (struct bkp_session *it = first; it != NULL; it = it->next)
		writer->outlets[writer->outlet_count++].session = it;
	return 0;
}

int
bkp_chunk_writer_new_of(struct bkp_session *session, enum fmt_pack_kind kind,
    struct bkp_chunk_writer **out, struct bkp_error *err)
{
	struct bkp_chunk_writer *writer = bkp_alloc(sizeof(*writer), err);

	if (writer == NULL)
		return -1;
	writer->kind = kind;
	if (set_up_outlets(writer, session, err) < 0 ||
	    bkp_chunk_hasher_init(&writer->hasher, session->repository, err) <
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

bool
bkp_outlet_is_open(const struct bkp_outlet *outlet)
{
	return !atomic_load(&outlet->session->is_lost);
}

/* Chunks that are dropped here count as known elsewhere in the session. */
static void
drop_pack(struct bkp_outlet *outlet, struct bkp_pack **pack)
{
	if (*pack == NULL)
		return;
	atomic_store(&outlet->session->has_failed, true);
	atomic_fetch_sub(&outlet->session->unflushed, 1);
	bkp_pack_free(*pack);
	*pack = NULL;
}

static void
free_outlets(struct bkp_chunk_writer *writer)
{
	for (size_t i = 0; i < writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i];

		for (size_t k = 0; k < 2; k++)
			drop_pack(outlet, &outlet->packs[k]);
		fmt_buf_free(&outlet->room);
	}
	free(writer->outlets);
}

void
bkp_chunk_writer_free(struct bkp_chunk_writer *writer)
{
	if (writer == NULL)
		return;
	free_outlets(writer);
	bkp_chunk_hasher_free(&writer->hasher);
	(void)ZSTD_freeCCtx(writer->compressor);
	(void)ZSTD_freeDCtx(writer->decompressor);
	fmt_buf_free(&writer->frame);
	fmt_buf_free(&writer->proof);
	fmt_delta_lines_free(&writer->lines);
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
flush(
    struct bkp_outlet *outlet, struct bkp_pack **filled, struct bkp_error *err)
{
	struct bkp_session *session = outlet->session;
	struct bkp_pack *pack = *filled;
	int rc;

	if (pack == NULL)
		return 0;
	if (!bkp_outlet_is_open(outlet)) {
		drop_pack(outlet, filled);
		return 0;
	}
	if (bkp_pack_finish(pack, err) < 0) {
		drop_pack(outlet, filled);
		return -1;
	}
	*filled = NULL;
	if ((rc = bkp_session_submit(session, pack, err)) < 0)
		atomic_store(&session->has_failed, true);
	atomic_fetch_sub(&session->unflushed, 1);
	return rc;
}

int
bkp_chunk_writer_flush(struct bkp_chunk_writer *writer, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	for (size_t i = 0; i < 2 * writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i / 2];

		if (flush(outlet, &outlet->packs[i % 2], &problem) < 0 &&
		    bkp_session_lose(outlet->session, &problem, err) < 0)
			return -1;
	}
	return 0;
}

static int
append(struct bkp_chunk_writer *writer, struct bkp_outlet *outlet,
    const struct fmt_pack_chunk *chunk, struct bkp_error *err)
{
	struct bkp_pack **pack = &outlet->packs[chunk->has_base];

	if (*pack != NULL && bkp_pack_is_full(*pack, writer->frame.len) &&
	    flush(outlet, pack, err) < 0)
		return -1;
	if (*pack == NULL) {
		if (bkp_session_take_pack(
			outlet->session, writer->kind, pack, err) < 0)
			return -1;
		atomic_fetch_add(&outlet->session->unflushed, 1);
	}
	return bkp_pack_add(
	    *pack, chunk, writer->frame.data, writer->frame.len, err);
}

int
bkp_chunk_writer_append(struct bkp_chunk_writer *writer,
    struct bkp_outlet *outlet, const struct fmt_pack_chunk *chunk,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (append(writer, outlet, chunk, &problem) < 0 &&
	    bkp_session_lose(outlet->session, &problem, err) < 0)
		return -1;
	outlet->is_due = false;
	return 0;
}

/* ---- chunks ---- */

void
bkp_chunk_writer_shrink(struct bkp_chunk_writer *writer)
{
	if (writer->frame.cap > KEEP_FRAME)
		fmt_buf_free(&writer->frame);
}

int
bkp_chunk_writer_give_up(struct bkp_chunk_writer *writer)
{
	for (size_t i = 0; i < writer->outlet_count; i++)
		if (writer->outlets[i].is_due)
			atomic_store(
			    &writer->outlets[i].session->has_failed, true);
	return -1;
}

/* Claims the chunk for this writer unless some writer has it. */
static int
claim(struct bkp_chunk_writer *writer, struct bkp_outlet *outlet,
    const unsigned char *id, struct bkp_error *err)
{
	struct bkp_session *session = outlet->session;

	if (!bkp_session_finds(session, id) &&
	    bkp_known_set_add(&session->known, id, &outlet->is_due, err) < 0)
		return -1;
	(void)bkp_presence_touch(session->presence, NULL);
	if (writer->kind == FMT_PACK_DATA)
		atomic_fetch_add(outlet->is_due ? &session->new_chunks
						: &session->known_chunks,
		    1);
	return 0;
}

/* In each of the repositories. Where there is none left, why the first was
 * lost is what the caller is to hear. */
static int
claim_all(struct bkp_chunk_writer *writer, const unsigned char *id,
    struct bkp_error *err)
{
	size_t open = 0;

	for (size_t i = 0; i < writer->outlet_count; i++)
		writer->outlets[i].is_due = false;
	for (size_t i = 0; i < writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i];

		if (!bkp_outlet_is_open(outlet))
			continue;
		open++;
		if (claim(writer, outlet, id, err) < 0)
			return bkp_chunk_writer_give_up(writer);
	}
	if (open > 0)
		return 0;
	if (err != NULL)
		*err = *bkp_session_lost(writer->outlets[0].session);
	return -1;
}

int
bkp_chunk_writer_name(struct bkp_chunk_writer *writer, const void *data,
    size_t len, struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	unsigned char id[FMT_ID_SIZE];

	if (len > UINT32_MAX / 2)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "a piece of %zu bytes is more than a chunk can hold", len);
	if (bkp_chunk_hasher_id(
		&writer->hasher, writer->kind, data, len, id, err) < 0 ||
	    claim_all(writer, id, err) < 0)
		return -1;
	memcpy(ref->id, id, sizeof(ref->id));
	ref->len = (uint32_t)len;
	return 0;
}

/* Compresses once, and stores wherever the chunk is due. */
static int
store(struct bkp_chunk_writer *writer, const struct fmt_chunk_ref *ref,
    const void *data, struct bkp_error *err)
{
	struct fmt_pack_chunk chunk = {.raw_len = ref->len};
	bool is_made = false;

	memcpy(chunk.id, ref->id, sizeof(chunk.id));
	for (size_t i = 0; i < writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i];

		if (!outlet->is_due)
			continue;
		if (!is_made && bkp_chunk_writer_compress(writer,
				    BKP_CHUNK_LEVEL, data, ref->len, err) < 0)
			return -1;
		is_made = true;
		if (bkp_chunk_writer_append(writer, outlet, &chunk, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_chunk_writer_put(struct bkp_chunk_writer *writer, const void *data,
    size_t len, struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	int rc;

	if (bkp_chunk_writer_name(writer, data, len, ref, err) < 0)
		return -1;
	rc = store(writer, ref, data, err);
	bkp_chunk_writer_shrink(writer);
	return rc < 0 ? bkp_chunk_writer_give_up(writer) : 0;
}
