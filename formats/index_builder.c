/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/index.h"
#include "formats/index_impl.h"
#include "formats/sign.h"

/* A chunk and the number of its pack. */
struct record {
	struct fmt_pack_chunk chunk;
	uint32_t pack;
};

struct fmt_index_builder {
	struct fmt_index_pack *packs;
	size_t pack_count, pack_cap;
	struct record *records;
	size_t record_count, record_cap;
};

enum fmt_status
fmt_index_builder_new(struct fmt_index_builder **out)
{
	struct fmt_index_builder *builder = calloc(1, sizeof(*builder));

	if (builder == NULL)
		return FMT_NOMEM;
	*out = builder;
	return FMT_OK;
}

void
fmt_index_builder_free(struct fmt_index_builder *builder)
{
	if (builder == NULL)
		return;
	free(builder->packs);
	free(builder->records);
	free(builder);
}

/* Room for `extra` more elements of `size` bytes; the new memory, or NULL with
 * the old still valid. */
static void *
grow(void *items, size_t count, size_t *cap, size_t extra, size_t size)
{
	size_t wanted = *cap < 16 ? 16 : *cap;
	void *grown;

	if (extra > SIZE_MAX / 4 / size || count > SIZE_MAX / 4 / size)
		return NULL;
	while (wanted < count + extra)
		wanted += wanted / 2;
	if (items != NULL && wanted == *cap)
		return items;
	grown = realloc(items, wanted * size);
	if (grown != NULL)
		*cap = wanted;
	return grown;
}

static enum fmt_status
make_room(struct fmt_index_builder *builder, size_t chunks)
{
	struct fmt_index_pack *packs;
	struct record *records;

	if (builder->pack_count >= UINT32_MAX ||
	    chunks > FMT_INDEX_MAX_CHUNKS - builder->record_count)
		return FMT_LIMIT;
	packs = grow(builder->packs, builder->pack_count, &builder->pack_cap, 1,
	    sizeof(*packs));
	if (packs == NULL)
		return FMT_NOMEM;
	builder->packs = packs;
	records = grow(builder->records, builder->record_count,
	    &builder->record_cap, chunks, sizeof(*records));
	if (records == NULL)
		return FMT_NOMEM;
	builder->records = records;
	return FMT_OK;
}

enum fmt_status
fmt_index_builder_add(struct fmt_index_builder *builder,
    const struct fmt_index_pack *pack, const struct fmt_pack_chunk *chunks,
    size_t count)
{
	enum fmt_status status;

	if (pack->kind != FMT_PACK_DATA && pack->kind != FMT_PACK_METADATA)
		return FMT_MALFORMED;
	for (size_t i = 0; i < count; i++)
		if (chunks[i].stored_len == 0 ||
		    (uint64_t)chunks[i].offset + chunks[i].stored_len >
			pack->stored_size ||
		    (chunks[i].has_base &&
			memcmp(chunks[i].id, chunks[i].base, FMT_ID_SIZE) == 0))
			return FMT_MALFORMED;
	if ((status = make_room(builder, count)) != FMT_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		builder->records[builder->record_count++] = (struct record){
		    .chunk = chunks[i], .pack = (uint32_t)builder->pack_count};
	builder->packs[builder->pack_count++] = *pack;
	return FMT_OK;
}

/* By id; among equal ids one that is no difference comes first, as others may
 * be differences to it, then the one that was added first. */
static int
compare_records(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	int order = memcmp(x->chunk.id, y->chunk.id, FMT_ID_SIZE);

	if (order != 0)
		return order;
	if (x->chunk.has_base != y->chunk.has_base)
		return x->chunk.has_base ? 1 : -1;
	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	if (x->chunk.offset != y->chunk.offset)
		return x->chunk.offset < y->chunk.offset ? -1 : 1;
	return 0;
}

static void
sort_and_drop_doubles(struct fmt_index_builder *builder)
{
	struct record *records = builder->records;
	size_t kept = 0;

	if (builder->record_count < 2)
		return;
	qsort(
	    records, builder->record_count, sizeof(*records), compare_records);
	for (size_t i = 1; i < builder->record_count; i++)
		if (memcmp(records[kept].chunk.id, records[i].chunk.id,
			FMT_ID_SIZE) != 0)
			records[++kept] = records[i];
	builder->record_count = kept + 1;
}

static uint64_t
count_bases(const struct fmt_index_builder *builder)
{
	uint64_t count = 0;

	for (size_t i = 0; i < builder->record_count; i++)
		count += builder->records[i].chunk.has_base;
	return count;
}

static unsigned char *
store_head(const struct fmt_index_builder *builder, uint64_t bases,
    const unsigned char signer[32], unsigned char *p)
{
	memcpy(p, FMT_INDEX_MAGIC, 8);
	fmt_store_le32(p + 8, FMT_INDEX_VERSION);
	fmt_store_le32(p + 12, (uint32_t)builder->pack_count);
	fmt_store_le64(p + 16, builder->record_count);
	fmt_store_le64(p + 24, bases);
	memcpy(p + 32, signer, 32);
	return p + FMT_INDEX_HEAD;
}

static unsigned char *
store_records(const struct fmt_index_builder *builder, unsigned char *p)
{
	for (size_t i = 0; i < builder->pack_count; i++, p += FMT_INDEX_PACK) {
		const struct fmt_index_pack *pack = &builder->packs[i];

		memcpy(p, pack->name, sizeof(pack->name));
		fmt_store_le64(p + 32, pack->stored_size);
		fmt_store_le32(p + 40, (uint32_t)pack->kind);
		fmt_store_le32(p + 44, 0);
	}
	for (size_t i = 0; i < builder->record_count;
	     i++, p += FMT_INDEX_CHUNK) {
		const struct record *record = &builder->records[i];

		memcpy(p, record->chunk.id, FMT_ID_SIZE);
		fmt_store_le32(p + 32, record->pack);
		fmt_store_le32(p + 36, record->chunk.offset);
		fmt_store_le32(p + 40, record->chunk.stored_len);
		fmt_store_le32(p + 44, record->chunk.raw_len);
	}
	for (size_t i = 0; i < builder->record_count; i++) {
		const struct record *record = &builder->records[i];

		if (!record->chunk.has_base)
			continue;
		memcpy(p, record->chunk.id, FMT_ID_SIZE);
		memcpy(p + FMT_ID_SIZE, record->chunk.base, FMT_ID_SIZE);
		p += FMT_INDEX_BASE;
	}
	return p;
}

enum fmt_status
fmt_index_builder_encode(struct fmt_index_builder *builder,
    const unsigned char seed[32], struct fmt_buf *out)
{
	unsigned char signer[32], digest[32], *start, *p;
	enum fmt_status status;
	uint64_t bases;
	size_t size;

	if ((status = fmt_sign_public(seed, signer)) != FMT_OK)
		return status;
	sort_and_drop_doubles(builder);
	bases = count_bases(builder);
	size = FMT_INDEX_HEAD + FMT_INDEX_TAIL +
	       builder->pack_count * FMT_INDEX_PACK +
	       builder->record_count * FMT_INDEX_CHUNK + bases * FMT_INDEX_BASE;
	if ((status = fmt_buf_reserve(out, size)) != FMT_OK)
		return status;
	start = out->data + out->len;
	p = store_records(builder, store_head(builder, bases, signer, start));
	if ((status = fmt_index_digest(start, size, digest)) != FMT_OK ||
	    (status = fmt_sign(
		 seed, FMT_INDEX_CONTEXT, digest, sizeof(digest), p)) != FMT_OK)
		return status;
	out->len += size;
	return FMT_OK;
}
