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
 *
 * Where it is written into several repositories, each has a base and a price of
 * its own. As long as they are in step, what is made for the first serves all.
 */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/chunk_writer_own.h"

/* Below this a difference and its records are not smaller. */
#define LEAST 4096

/* What the index and the directory of a pack take for a difference. */
#define RECORDS 152

/* Differences are short and are kept as often as chunks. */
#define LEVEL 3

/* What the frame of the writer holds. */
enum made { NOTHING, WHOLE, DIFFERENCE };

/* A chunk of rows on its way. */
struct rows {
	const void *data;
	size_t len;
	enum fmt_copy_form form;
	uint64_t range;
	const unsigned char *line_key;
	const struct fmt_chunk_ref *ref;
	struct bkp_row_last last; /* this chunk, to be known again by */
	bool is_split, can_be_base;
	enum made made;
	unsigned char made_of[FMT_ID_SIZE];  /* a difference: to that */
	const struct bkp_row_base *not_paid; /* a difference to it did not */
};

/* Whether the base is stored, whole, and nothing is about to delete it. */
static bool
is_there(struct bkp_outlet *outlet)
{
	const struct fmt_delta_base *base = &outlet->base.base;
	struct fmt_index_place place;

	return bkp_session_finds_whole(outlet->session, base->id, &place) &&
	       place.chunk.raw_len == base->len;
}

/* Finds and hashes the rows, once. False: the chunk cannot be a base. */
static bool
split(struct bkp_chunk_writer *writer, struct rows *rows)
{
	if (!rows->is_split)
		rows->can_be_base =
		    rows->len >= LEAST &&
		    fmt_delta_split(rows->line_key, rows->form, rows->data,
			rows->len, &writer->lines) == FMT_OK;
	rows->is_split = true;
	return rows->can_be_base;
}

/* Remembers the range by this base. */
static void
remember(const struct bkp_outlet *outlet, const struct rows *rows,
    struct bkp_row_base base)
{
	if (outlet->cache == NULL)
		return;
	base.last = rows->last;
	bkp_row_cache_put(outlet->cache, rows->range, &base);
}

/* The chunk is what the range held last, and no base is known. */
static void
remember_last(const struct bkp_outlet *outlet, const struct rows *rows)
{
	remember(outlet, rows, (struct bkp_row_base){.stored_len = 0});
}

/* The chunk is stored whole and is the base of its range from now on. */
static void
remember_whole(struct bkp_chunk_writer *writer, const struct bkp_outlet *outlet,
    const struct rows *rows, uint32_t stored_len)
{
	struct bkp_row_base base = {.base.len = (uint32_t)rows->len,
	    .base.hashes = writer->lines.hashes,
	    .base.count = writer->lines.count,
	    .stored_len = stored_len};

	if (rows->form == FMT_COPY_BINARY)
		base.base.starts = writer->lines.starts;
	memcpy(base.base.id, rows->ref->id, FMT_ID_SIZE);
	remember(outlet, rows, base);
}

/* The chunk is stored already. */
static void
remember_known(struct bkp_chunk_writer *writer, struct bkp_outlet *outlet,
    struct rows *rows)
{
	struct fmt_index_place place;

	if (outlet->has_base &&
	    memcmp(outlet->base.base.id, rows->ref->id, FMT_ID_SIZE) == 0)
		remember(outlet, rows, outlet->base);
	else if (bkp_session_finds_whole(
		     outlet->session, rows->ref->id, &place) &&
		 split(writer, rows))
		remember_whole(writer, outlet, rows, place.chunk.stored_len);
	else if (outlet->has_base)
		remember(outlet, rows, outlet->base);
	else
		remember_last(outlet, rows);
}

/* What the chunk would take if it were stored whole. */
static uint64_t
estimate_whole(const struct bkp_row_base *base, const struct rows *rows)
{
	return (uint64_t)base->stored_len * rows->len / base->base.len;
}

static bool
does_pay(const struct bkp_chunk_writer *writer, const struct bkp_row_base *base,
    const struct rows *rows)
{
	uint64_t whole = estimate_whole(base, rows);
	uint64_t cost = writer->frame.len + RECORDS;

	return cost <= whole / 2 && base->paid + cost <= whole;
}

/* Makes the difference, in `delta`, and its frame. 1; 0: it is too long. */
static int
make_difference(struct bkp_chunk_writer *writer, const struct bkp_row_base *of,
    struct rows *rows, struct bkp_error *err)
{
	const struct fmt_delta_base *base = &of->base;
	enum fmt_status status;

	fmt_buf_clear(&writer->delta);
	status = fmt_delta_make(base, rows->data, rows->len, &writer->lines,
	    rows->len / 2, &writer->delta);
	if (status == FMT_LIMIT)
		return 0;
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "making a difference");
	rows->made = NOTHING;
	if (bkp_chunk_writer_compress(
		writer, LEVEL, writer->delta.data, writer->delta.len, err) < 0)
		return -1;
	if (!does_pay(writer, of, rows))
		return 0;
	/* Applied to what is known of the base, it gives what is known of the
	 * chunk. */
	if (fmt_delta_prove(writer->delta.data, writer->delta.len, base,
		rows->data, rows->len, &writer->lines) != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "a difference does not give back the chunk that it was "
		    "made of; nothing was stored: the memory of this machine "
		    "is faulty");
	rows->made = DIFFERENCE;
	memcpy(rows->made_of, base->id, FMT_ID_SIZE);
	return 1;
}

/* Both are in step. */
static bool
is_same_base(const struct bkp_row_base *a, const struct bkp_row_base *b)
{
	return memcmp(a->base.id, b->base.id, FMT_ID_SIZE) == 0 &&
	       a->stored_len == b->stored_len && a->paid == b->paid;
}

/* A difference to the base of this repository, in the frame. 1: it pays; 0:
 * not. */
static int
try_difference(struct bkp_chunk_writer *writer, struct bkp_outlet *outlet,
    struct rows *rows, struct bkp_error *err)
{
	const struct bkp_row_base *base = &outlet->base;
	int rc;

	if (!outlet->has_base || !split(writer, rows) ||
	    (rows->not_paid != NULL && is_same_base(rows->not_paid, base)))
		return 0;
	if (rows->made == DIFFERENCE &&
	    memcmp(rows->made_of, base->base.id, FMT_ID_SIZE) == 0)
		rc = does_pay(writer, base, rows);
	else
		rc = make_difference(writer, base, rows, err);
	if (rc == 0)
		rows->not_paid = base;
	return rc;
}

static int
store_difference(struct bkp_chunk_writer *writer, struct bkp_outlet *outlet,
    struct rows *rows, struct bkp_error *err)
{
	struct fmt_pack_chunk chunk = {.raw_len = rows->ref->len,
	    .has_base = true,
	    .delta_len = (uint32_t)writer->delta.len};
	struct bkp_row_base base = outlet->base;

	memcpy(chunk.id, rows->ref->id, FMT_ID_SIZE);
	memcpy(chunk.base, base.base.id, FMT_ID_SIZE);
	base.paid += writer->frame.len + RECORDS;
	if (bkp_chunk_writer_append(writer, outlet, &chunk, err) < 0)
		return -1;
	remember(outlet, rows, base);
	return 0;
}

static int
store_whole(struct bkp_chunk_writer *writer, struct bkp_outlet *outlet,
    struct rows *rows, struct bkp_error *err)
{
	struct fmt_pack_chunk chunk = {.raw_len = rows->ref->len};

	if (rows->made != WHOLE &&
	    bkp_chunk_writer_compress(
		writer, BKP_CHUNK_LEVEL, rows->data, rows->len, err) < 0)
		return -1;
	rows->made = WHOLE;
	memcpy(chunk.id, rows->ref->id, FMT_ID_SIZE);
	if (bkp_chunk_writer_append(writer, outlet, &chunk, err) < 0)
		return -1;
	if (split(writer, rows))
		remember_whole(
		    writer, outlet, rows, (uint32_t)writer->frame.len);
	else
		remember_last(outlet, rows);
	return 0;
}

/* Stores the chunk in one repository, unless it is known there. */
static int
put_into(struct bkp_chunk_writer *writer, struct bkp_outlet *outlet,
    struct rows *rows, struct bkp_error *err)
{
	int rc;

	if (!bkp_outlet_is_open(outlet))
		return 0;
	if (!outlet->is_due) {
		remember_known(writer, outlet, rows);
		return 0;
	}
	rc = try_difference(writer, outlet, rows, err);
	if (rc < 0)
		return -1;
	return rc > 0 ? store_difference(writer, outlet, rows, err)
		      : store_whole(writer, outlet, rows, err);
}

/* ---- what is as it was ---- */

static int
set_up_seals(struct bkp_chunk_writer *writer, struct bkp_row_cache *cache,
    struct bkp_error *err)
{
	if (writer->sealer != NULL)
		return 0;
	return bkp_sealer_new(
	    bkp_row_cache_seal_key(cache), &writer->sealer, err);
}

/* What each repository knows of the range. */
static void
recall(struct bkp_chunk_writer *writer, struct bkp_row_cache *cache,
    const struct rows *rows)
{
	for (size_t i = 0; i < writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i];

		outlet->cache =
		    bkp_row_cache_of(cache, outlet->session->repository);
		outlet->is_remembered =
		    outlet->cache != NULL &&
		    bkp_row_cache_get(outlet->cache, rows->range, rows->form,
			&outlet->room, &outlet->base);
	}
}

/* What the range held last, where the bytes are the same; NULL: they are not.
 * In repositories that are in step the seal is the same, too. */
static const struct bkp_row_last *
find_same(struct bkp_chunk_writer *writer, const struct rows *rows)
{
	const struct bkp_row_last *tried = NULL;

	for (size_t i = 0; i < writer->outlet_count; i++) {
		const struct bkp_row_last *last = &writer->outlets[i].base.last;

		if (!writer->outlets[i].is_remembered ||
		    last->len != rows->len ||
		    (tried != NULL && memcmp(&tried->seal, &last->seal,
					  sizeof(last->seal)) == 0))
			continue;
		if (bkp_seal_fits(
			writer->sealer, &last->seal, rows->data, rows->len))
			return last;
		tried = last;
	}
	return NULL;
}

/* Whether a chunk is in every repository that goes on. */
static bool
is_everywhere(
    struct bkp_chunk_writer *writer, const unsigned char id[FMT_ID_SIZE])
{
	size_t open = 0;

	for (size_t i = 0; i < writer->outlet_count; i++) {
		if (!bkp_outlet_is_open(&writer->outlets[i]))
			continue;
		if (!bkp_session_finds(writer->outlets[i].session, id))
			return false;
		open++;
	}
	return open > 0;
}

static void
count_known(struct bkp_outlet *outlet)
{
	(void)bkp_presence_touch(outlet->session->presence, NULL);
	atomic_fetch_add(&outlet->session->known_chunks, 1);
}

static void
take_over(struct bkp_chunk_writer *writer, struct rows *rows,
    const struct bkp_row_last *last, struct fmt_chunk_ref *ref)
{
	rows->last = *last;
	memcpy(ref->id, last->id, sizeof(ref->id));
	ref->len = last->len;
	for (size_t i = 0; i < writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i];

		if (!bkp_outlet_is_open(outlet))
			continue;
		count_known(outlet);
		outlet->has_base = outlet->is_remembered;
		if (outlet->has_base)
			remember(outlet, rows, outlet->base);
		else
			remember_known(writer, outlet, rows);
	}
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

/* Names a chunk that is not as it was, and stores it where it is not known. */
static int
store(struct bkp_chunk_writer *writer, struct rows *rows,
    struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	if (hash_rows(rows, &rows->last.hash, err) < 0 ||
	    bkp_chunk_writer_name(writer, rows->data, rows->len, ref, err) < 0)
		return -1;
	if (bkp_seal_make(writer->sealer, rows->data, rows->len,
		&rows->last.seal, err) < 0)
		return bkp_chunk_writer_give_up(writer);
	memcpy(rows->last.id, ref->id, sizeof(ref->id));
	rows->last.len = ref->len;
	for (size_t i = 0; i < writer->outlet_count; i++)
		if (put_into(writer, &writer->outlets[i], rows, err) < 0)
			return bkp_chunk_writer_give_up(writer);
	bkp_chunk_writer_shrink(writer);
	return 0;
}

int
bkp_chunk_writer_put_rows(struct bkp_chunk_writer *writer,
    struct bkp_row_cache *cache, const struct bkp_row_range *range,
    const void *data, size_t len, struct fmt_chunk_ref *ref,
    struct fmt_rowhash *hash, struct bkp_error *err)
{
	struct rows rows = {
	    .data = data, .len = len, .form = range->form, .ref = ref};
	const struct bkp_row_last *same;

	if (cache == NULL)
		return hash_rows(&rows, hash, err) < 0
			   ? -1
			   : bkp_chunk_writer_put(writer, data, len, ref, err);
	if (set_up_seals(writer, cache, err) < 0)
		return -1;
	rows.line_key = bkp_row_cache_line_key(cache);
	rows.range = bkp_row_cache_range(cache, range);
	recall(writer, cache, &rows);
	same = find_same(writer, &rows);
	if (same != NULL && is_everywhere(writer, same->id)) {
		take_over(writer, &rows, same, ref);
		fmt_rowhash_merge(hash, &rows.last.hash);
		return 0;
	}
	for (size_t i = 0; i < writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i];

		outlet->has_base = outlet->is_remembered &&
				   outlet->base.base.count > 0 &&
				   is_there(outlet);
	}
	if (store(writer, &rows, ref, err) < 0)
		return -1;
	fmt_rowhash_merge(hash, &rows.last.hash);
	return 0;
}

/* What a range would be compared with tomorrow is remembered on. */
static void
keep_base(struct bkp_outlet *outlet, struct bkp_row_cache *first,
    uint64_t range, enum fmt_copy_form form)
{
	struct bkp_row_cache *cache =
	    bkp_row_cache_of(first, outlet->session->repository);
	struct bkp_row_base base;

	if (cache != NULL &&
	    bkp_row_cache_get(cache, range, form, &outlet->room, &base))
		bkp_row_cache_put(cache, range, &base);
}

bool
bkp_chunk_writer_reuse_rows(struct bkp_chunk_writer *writer,
    struct bkp_row_cache *cache, const struct bkp_row_range *range,
    const struct fmt_chunk_ref *ref)
{
	uint64_t number = bkp_row_cache_range(cache, range);

	if (!is_everywhere(writer, ref->id))
		return false;
	for (size_t i = 0; i < writer->outlet_count; i++) {
		struct bkp_outlet *outlet = &writer->outlets[i];

		if (!bkp_outlet_is_open(outlet))
			continue;
		count_known(outlet);
		keep_base(outlet, cache, number, range->form);
	}
	return true;
}
