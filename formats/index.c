/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/index.h"

#include <string.h>

#include "formats/bytes.h"
#include "formats/index_impl.h"
#include "formats/sign.h"

enum fmt_status
fmt_index_digest(const unsigned char *data, size_t len, unsigned char out[32])
{
	return fmt_sha256(data, len - FMT_INDEX_TAIL, out);
}

enum fmt_status
fmt_index_open(const void *data, size_t len, struct fmt_index *out)
{
	struct fmt_index view = {.data = data, .len = len};
	uint64_t records;

	if (len < FMT_INDEX_HEAD + FMT_INDEX_TAIL)
		return FMT_TRUNCATED;
	if (memcmp(view.data, FMT_INDEX_MAGIC, 8) != 0)
		return FMT_MALFORMED;
	if (fmt_load_le32(view.data + 8) != FMT_INDEX_VERSION)
		return FMT_UNSUPPORTED;
	view.pack_count = fmt_load_le32(view.data + 12);
	view.chunk_count = fmt_load_le64(view.data + 16);
	view.base_count = fmt_load_le64(view.data + 24);
	if (view.chunk_count > FMT_INDEX_MAX_CHUNKS)
		return FMT_LIMIT;
	if (view.base_count > view.chunk_count)
		return FMT_MALFORMED;
	/* Below 2^34 records of up to 64 bytes: no overflow. */
	records = view.pack_count * (uint64_t)FMT_INDEX_PACK +
		  view.chunk_count * FMT_INDEX_CHUNK +
		  view.base_count * FMT_INDEX_BASE;
	if (len - FMT_INDEX_HEAD - FMT_INDEX_TAIL < records)
		return FMT_TRUNCATED;
	if (len - FMT_INDEX_HEAD - FMT_INDEX_TAIL > records)
		return FMT_MALFORMED;
	memcpy(view.signer, view.data + 32, sizeof(view.signer));
	*out = view;
	return FMT_OK;
}

static const unsigned char *
pack_record(const struct fmt_index *index, uint32_t n)
{
	return index->data + FMT_INDEX_HEAD + n * FMT_INDEX_PACK;
}

static const unsigned char *
chunk_record(const struct fmt_index *index, uint64_t n)
{
	return pack_record(index, index->pack_count) + n * FMT_INDEX_CHUNK;
}

static const unsigned char *
base_record(const struct fmt_index *index, uint64_t n)
{
	return chunk_record(index, index->chunk_count) + n * FMT_INDEX_BASE;
}

/* The record of an id among `count` sorted ones of `size` bytes, or NULL. */
static const unsigned char *
search(const unsigned char *records, uint64_t count, size_t size,
    const unsigned char *id)
{
	uint64_t low = 0, high = count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		const unsigned char *record = records + middle * size;
		int order = memcmp(record, id, FMT_ID_SIZE);

		if (order == 0)
			return record;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool
fmt_index_base_among(const void *records, size_t count,
    const unsigned char id[FMT_ID_SIZE], unsigned char base[FMT_ID_SIZE])
{
	const unsigned char *record =
	    search(records, count, FMT_INDEX_BASE, id);

	if (record != NULL)
		memcpy(base, record + FMT_ID_SIZE, FMT_ID_SIZE);
	return record != NULL;
}

bool
fmt_index_base(const struct fmt_index *index,
    const unsigned char id[FMT_ID_SIZE], unsigned char base[FMT_ID_SIZE])
{
	return fmt_index_base_among(
	    base_record(index, 0), index->base_count, id, base);
}

uint64_t
fmt_index_offset(const struct fmt_index *index, uint64_t n)
{
	return (uint64_t)(chunk_record(index, n) - index->data);
}

uint64_t
fmt_index_base_offset(const struct fmt_index *index, uint64_t n)
{
	return (uint64_t)(base_record(index, n) - index->data);
}

const unsigned char *
fmt_index_base_id_at(const struct fmt_index *index, uint64_t n)
{
	return base_record(index, n);
}

const unsigned char *
fmt_index_id_at(const struct fmt_index *index, uint64_t n)
{
	return chunk_record(index, n);
}

void
fmt_index_pack_at(
    const struct fmt_index *index, uint32_t n, struct fmt_index_pack *out)
{
	const unsigned char *record = pack_record(index, n);

	memcpy(out->name, record, sizeof(out->name));
	out->stored_size = fmt_load_le64(record + 32);
	out->kind = (enum fmt_pack_kind)fmt_load_le32(record + 40);
}

uint32_t
fmt_index_pack_of(const struct fmt_index *index, uint64_t n)
{
	return fmt_load_le32(chunk_record(index, n) + 32);
}

static enum fmt_status
read_record(const struct fmt_index *index, const unsigned char *record,
    struct fmt_index_place *out)
{
	uint32_t pack = fmt_load_le32(record + 32);

	if (pack >= index->pack_count)
		return FMT_MALFORMED;
	fmt_index_pack_at(index, pack, &out->pack);
	memcpy(out->chunk.id, record, FMT_ID_SIZE);
	out->chunk.offset = fmt_load_le32(record + 36);
	out->chunk.stored_len = fmt_load_le32(record + 40);
	out->chunk.raw_len = fmt_load_le32(record + 44);
	return FMT_OK;
}

enum fmt_status
fmt_index_at(
    const struct fmt_index *index, uint64_t n, struct fmt_index_place *out)
{
	const unsigned char *record = chunk_record(index, n);
	enum fmt_status status = read_record(index, record, out);

	if (status == FMT_OK)
		out->chunk.has_base =
		    fmt_index_base(index, record, out->chunk.base);
	return status;
}

bool
fmt_index_find_among(const struct fmt_index *index, const void *records,
    size_t count, const unsigned char id[FMT_ID_SIZE],
    struct fmt_index_place *out)
{
	const unsigned char *record =
	    search(records, count, FMT_INDEX_CHUNK, id);

	return record != NULL && read_record(index, record, out) == FMT_OK;
}

/*
 * Narrows [*low, *high) to a few records around where the id should be. Ids
 * are spread evenly, so their first 64 bits tell the place to within about
 * the square root of the count; from there the range is opened until it holds
 * the id. Fewer pages of the file are touched than by halving all of it, and
 * ids that are not spread evenly only cost more steps.
 */
static void
narrow(const struct fmt_index *index, const unsigned char *id, uint64_t *low,
    uint64_t *high)
{
	uint64_t first = fmt_load_be64(id), count = index->chunk_count;
	uint64_t guess = (uint64_t)((unsigned __int128)first * count >> 64);
	uint64_t step = 32;

	if (memcmp(chunk_record(index, guess), id, FMT_ID_SIZE) < 0) {
		*low = guess + 1;
		for (; step < count - guess; step *= 2) {
			if (memcmp(chunk_record(index, guess + step), id,
				FMT_ID_SIZE) >= 0) {
				*high = guess + step + 1;
				return;
			}
			*low = guess + step + 1;
		}
		return;
	}
	*high = guess + 1;
	for (; step <= guess; step *= 2) {
		if (memcmp(chunk_record(index, guess - step), id, FMT_ID_SIZE) <
		    0) {
			*low = guess - step + 1;
			return;
		}
		*high = guess - step + 1;
	}
}

bool
fmt_index_lookup(const struct fmt_index *index,
    const unsigned char id[FMT_ID_SIZE], uint64_t *n)
{
	uint64_t low = 0, high = index->chunk_count;
	const unsigned char *record;

	if (high > 0)
		narrow(index, id, &low, &high);
	record =
	    search(chunk_record(index, low), high - low, FMT_INDEX_CHUNK, id);
	if (record == NULL)
		return false;
	*n = (uint64_t)(record - chunk_record(index, 0)) / FMT_INDEX_CHUNK;
	return true;
}

bool
fmt_index_find(const struct fmt_index *index,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out)
{
	uint64_t n;

	return fmt_index_lookup(index, id, &n) &&
	       fmt_index_at(index, n, out) == FMT_OK;
}

static enum fmt_status
check_packs(const struct fmt_index *index)
{
	for (uint32_t i = 0; i < index->pack_count; i++) {
		struct fmt_index_pack pack;

		fmt_index_pack_at(index, i, &pack);
		if (pack.kind != FMT_PACK_DATA &&
		    pack.kind != FMT_PACK_METADATA)
			return FMT_MALFORMED;
		if (fmt_load_le32(pack_record(index, i) + 44) != 0)
			return FMT_MALFORMED;
	}
	return FMT_OK;
}

static enum fmt_status
check_chunks(const struct fmt_index *index)
{
	const unsigned char *before = NULL;

	for (uint64_t i = 0; i < index->chunk_count; i++) {
		const unsigned char *record = chunk_record(index, i);
		struct fmt_index_place place;
		enum fmt_status status;

		if ((status = fmt_index_at(index, i, &place)) != FMT_OK)
			return status;
		if (before != NULL && memcmp(before, record, FMT_ID_SIZE) >= 0)
			return FMT_MALFORMED;
		/* A payload is smaller than the age file that holds it. */
		if (place.chunk.stored_len == 0 ||
		    (uint64_t)place.chunk.offset + place.chunk.stored_len >
			place.pack.stored_size)
			return FMT_MALFORMED;
		before = record;
	}
	return FMT_OK;
}

/* In order, each of a chunk that is here, and of no chunk to itself. */
static enum fmt_status
check_bases(const struct fmt_index *index)
{
	uint64_t chunk = 0;

	for (uint64_t i = 0; i < index->base_count; i++) {
		const unsigned char *record = base_record(index, i);

		if (memcmp(record, record + FMT_ID_SIZE, FMT_ID_SIZE) == 0)
			return FMT_MALFORMED;
		while (
		    chunk < index->chunk_count &&
		    memcmp(chunk_record(index, chunk), record, FMT_ID_SIZE) < 0)
			chunk++;
		if (chunk == index->chunk_count ||
		    memcmp(chunk_record(index, chunk), record, FMT_ID_SIZE) !=
			0)
			return FMT_MALFORMED;
		chunk++;
	}
	return FMT_OK;
}

enum fmt_status
fmt_index_check(const struct fmt_index *index)
{
	const unsigned char *signature =
	    index->data + index->len - FMT_INDEX_TAIL;
	unsigned char digest[32];
	enum fmt_status status;

	/* The signature first: whether bytes that nobody signed are in order
	 * is of no interest. */
	status = fmt_index_digest(index->data, index->len, digest);
	if (status == FMT_OK)
		status = fmt_sign_verify(index->signer, FMT_INDEX_CONTEXT,
		    digest, sizeof(digest), signature);
	if (status == FMT_OK)
		status = check_packs(index);
	if (status == FMT_OK)
		status = check_chunks(index);
	if (status == FMT_OK)
		status = check_bases(index);
	return status;
}
