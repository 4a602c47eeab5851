/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing chunks of rows: as a difference to the chunk that is the base of
 * their range, where that pays.
 *
 * When it pays: changes pile up, since each night's difference is to the same
 * base and holds the changes of all nights since. A whole chunk is stored, and
 * becomes the base, once the differences to the old one have cost as much as
 * that: for changes at a steady rate no other night is cheaper in the long
 * run.
 */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/chunk_writer_own.h"
#include "libbackup/repository/row_cache.h"

/* Below this a difference and its records are not smaller. */
#define LEAST 4096

/* What the index and the directory of a pack take for a difference. */
#define RECORDS 152

/* Differences are short and are kept as often as chunks. */
#define LEVEL 3

/* A chunk of rows on its way. */
struct rows {
	const void *data;
	size_t len;
	struct bkp_row_cache *cache;
	enum fmt_copy_form form;
	uint64_t range;
	const struct fmt_chunk_ref *ref;
	struct bkp_row_base base; /* of the range so far */
	bool has_base;
	struct bkp_row_last last; /* this chunk, to be known again by */
};

/* Whether the base is stored, whole, and nothing is about to delete it. */
static bool
is_there(struct bkp_chunk_writer *writer, const struct fmt_delta_base *base)
{
	struct fmt_index_place place;

	return bkp_session_finds_whole(writer->session, base->id, &place) &&
	       place.chunk.raw_len == base->len;
}

/* Finds and hashes the rows. False: the chunk cannot be a base. */
static bool
split(struct bkp_chunk_writer *writer, const struct rows *rows)
{
	return rows->len >= LEAST &&
	       fmt_delta_split(bkp_row_cache_line_key(rows->cache), rows->form,
		   rows->data, rows->len, &writer->lines) == FMT_OK;
}

/* Remembers the range by this base. */
static void
remember(const struct rows *rows, struct bkp_row_base base)
{
	base.last = rows->last;
	bkp_row_cache_put(rows->cache, rows->range, &base);
}

/* The chunk is what the range held last, and no base is known. */
static void
remember_last(const struct rows *rows)
{
	remember(rows, (struct bkp_row_base){.stored_len = 0});
}

/* The chunk is stored whole and is the base of its range from now on. */
static void
remember_whole(struct bkp_chunk_writer *writer, const struct rows *rows,
    uint32_t stored_len)
{
	struct bkp_row_base base = {.base.len = (uint32_t)rows->len,
	    .base.hashes = writer->lines.hashes,
	    .base.count = writer->lines.count,
	    .stored_len = stored_len};

	if (rows->form == FMT_COPY_BINARY)
		base.base.starts = writer->lines.starts;
	memcpy(base.base.id, rows->ref->id, FMT_ID_SIZE);
	remember(rows, base);
}

/* The chunk is stored already. */
static void
remember_known(struct bkp_chunk_writer *writer, const struct rows *rows)
{
	struct fmt_index_place place;

	if (rows->has_base &&
	    memcmp(rows->base.base.id, rows->ref->id, FMT_ID_SIZE) == 0)
		remember(rows, rows->base);
	else if (bkp_session_finds_whole(
		     writer->session, rows->ref->id, &place) &&
		 split(writer, rows))
		remember_whole(writer, rows, place.chunk.stored_len);
	else if (rows->has_base)
		remember(rows, rows->base);
	else
		remember_last(rows);
}

/* What the chunk would take if it were stored whole. */
static uint64_t
estimate_whole(const struct rows *rows)
{
	return (uint64_t)rows->base.stored_len * rows->len /
	       rows->base.base.len;
}

/* Makes the difference, in `delta`, and its frame. 1: it pays; 0: not. */
static int
make_difference(struct bkp_chunk_writer *writer, const struct rows *rows,
    struct bkp_error *err)
{
	const struct fmt_delta_base *base = &rows->base.base;
	uint64_t whole = estimate_whole(rows), cost;
	enum fmt_status status;

	fmt_buf_clear(&writer->delta);
	status = fmt_delta_make(base, rows->data, rows->len, &writer->lines,
	    rows->len / 2, &writer->delta);
	if (status == FMT_LIMIT)
		return 0;
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "making a difference");
	if (bkp_chunk_writer_compress(
		writer, LEVEL, writer->delta.data, writer->delta.len, err) < 0)
		return -1;
	cost = writer->frame.len + RECORDS;
	if (cost > whole / 2 || rows->base.paid + cost > whole)
		return 0;
	/* Applied to what is known of the base, it gives what is known of the
	 * chunk. */
	if (fmt_delta_prove(writer->delta.data, writer->delta.len, base,
		rows->data, rows->len, &writer->lines) != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "a difference does not give back the chunk that it was "
		    "made of; nothing was stored: the memory of this machine "
		    "is faulty");
	return 1;
}

static int
store_difference(
    struct bkp_chunk_writer *writer, struct rows *rows, struct bkp_error *err)
{
	struct fmt_pack_chunk chunk = {.raw_len = rows->ref->len,
	    .has_base = true,
	    .delta_len = (uint32_t)writer->delta.len};

	memcpy(chunk.id, rows->ref->id, FMT_ID_SIZE);
	memcpy(chunk.base, rows->base.base.id, FMT_ID_SIZE);
	rows->base.paid += writer->frame.len + RECORDS;
	if (bkp_chunk_writer_append(writer, &chunk, err) < 0)
		return -1;
	remember(rows, rows->base);
	return 0;
}

static int
store_new(
    struct bkp_chunk_writer *writer, struct rows *rows, struct bkp_error *err)
{
	bool can_be_base = split(writer, rows);
	int rc = 0;

	if (can_be_base && rows->has_base)
		rc = make_difference(writer, rows, err);
	if (rc != 0)
		return rc < 0 ? -1 : store_difference(writer, rows, err);
	rc = bkp_chunk_writer_store(
	    writer, rows->ref->id, rows->data, rows->len, err);
	if (rc == 0 && can_be_base)
		remember_whole(writer, rows, (uint32_t)writer->frame.len);
	else if (rc == 0)
		remember_last(rows);
	return rc;
}

/* ---- what is as it was ---- */

static int
set_up_seals(struct bkp_chunk_writer *writer, const struct rows *rows,
    struct bkp_error *err)
{
	if (writer->sealer != NULL)
		return 0;
	return bkp_sealer_new(
	    bkp_row_cache_seal_key(rows->cache), &writer->sealer, err);
}

/* What the range held last is stored, and the bytes are the same. */
static bool
is_as_before(struct bkp_chunk_writer *writer, const struct rows *rows)
{
	const struct bkp_row_last *last = &rows->base.last;

	return last->len == rows->len &&
	       bkp_seal_fits(
		   writer->sealer, &last->seal, rows->data, rows->len) &&
	       bkp_session_finds(writer->session, last->id);
}

static void
take_over(struct bkp_chunk_writer *writer, const struct rows *rows,
    struct fmt_chunk_ref *ref)
{
	(void)bkp_presence_touch(writer->session->presence, NULL);
	atomic_fetch_add(&writer->session->known_chunks, 1);
	memcpy(ref->id, rows->base.last.id, sizeof(ref->id));
	ref->len = rows->base.last.len;
	bkp_row_cache_put(rows->cache, rows->range, &rows->base);
}

static int
hash_rows(
    const struct rows *rows, struct fmt_rowhash *hash, struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_rowhash_add_rows(hash, rows->form, rows->data, rows->len);

	return status == FMT_OK ? 0
				: bkp_fail_format(err, status, "hashing rows");
}

/* Names a chunk that is not as it was, and stores it unless it is known. */
static int
store(struct bkp_chunk_writer *writer, struct rows *rows,
    struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	bool is_new = false;

	if (hash_rows(rows, &rows->last.hash, err) < 0 ||
	    bkp_chunk_writer_name(
		writer, rows->data, rows->len, ref, &is_new, err) < 0)
		return -1;
	if (bkp_seal_make(writer->sealer, rows->data, rows->len,
		&rows->last.seal, err) == 0) {
		memcpy(rows->last.id, ref->id, sizeof(ref->id));
		rows->last.len = ref->len;
		if (!is_new) {
			remember_known(writer, rows);
			return 0;
		}
		if (store_new(writer, rows, err) == 0)
			return 0;
	}
	atomic_store(&writer->session->has_failed, true);
	return -1;
}

int
bkp_chunk_writer_put_rows(struct bkp_chunk_writer *writer,
    struct bkp_row_cache *cache, const struct bkp_row_range *range,
    const void *data, size_t len, struct fmt_chunk_ref *ref,
    struct fmt_rowhash *hash, struct bkp_error *err)
{
	struct rows rows = {.data = data,
	    .len = len,
	    .cache = cache,
	    .form = range->form,
	    .ref = ref};
	bool is_known;

	if (cache == NULL)
		return hash_rows(&rows, hash, err) < 0
			   ? -1
			   : bkp_chunk_writer_put(writer, data, len, ref, err);
	if (set_up_seals(writer, &rows, err) < 0)
		return -1;
	rows.range = bkp_row_cache_range(cache, range);
	is_known = bkp_row_cache_get(
	    cache, rows.range, rows.form, &writer->base, &rows.base);
	if (is_known && is_as_before(writer, &rows)) {
		take_over(writer, &rows, ref);
		fmt_rowhash_merge(hash, &rows.base.last.hash);
		return 0;
	}
	rows.has_base = is_known && rows.base.base.count > 0 &&
			is_there(writer, &rows.base.base);
	if (store(writer, &rows, ref, err) < 0)
		return -1;
	fmt_rowhash_merge(hash, &rows.last.hash);
	return 0;
}

bool
bkp_chunk_writer_reuse_rows(struct bkp_chunk_writer *writer,
    struct bkp_row_cache *cache, const struct bkp_row_range *range,
    const struct fmt_chunk_ref *ref)
{
	struct bkp_row_base base;
	uint64_t number = bkp_row_cache_range(cache, range);

	if (!bkp_session_finds(writer->session, ref->id))
		return false;
	(void)bkp_presence_touch(writer->session->presence, NULL);
	atomic_fetch_add(&writer->session->known_chunks, 1);
	/* What it would be compared with tomorrow is remembered on. */
	if (bkp_row_cache_get(cache, number, range->form, &writer->base, &base))
		bkp_row_cache_put(cache, number, &base);
	return true;
}
