/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/index.h"
#include "formats/sign.h"

static const unsigned char seed[32] = "thirty-two bytes of a signing ke";

static void
make_id(uint64_t n, unsigned char id[32])
{
	assert_int_equal(fmt_sha256(&n, sizeof(n), id), FMT_OK);
}

/* `packs` packs of `each` chunks with ids of 0, 1, 2...; chunk n has raw
 * length n. */
static void
make_index(struct fmt_buf *out, uint32_t packs, uint32_t each)
{
	struct fmt_index_builder *builder;
	struct fmt_pack_chunk *chunks = calloc(each + 1, sizeof(*chunks));

	assert_non_null(chunks);
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	for (uint32_t p = 0; p < packs; p++) {
		struct fmt_index_pack pack = {.stored_size = 1000 + 10 * each,
		    .kind = p % 2 ? FMT_PACK_METADATA : FMT_PACK_DATA};

		memset(pack.name, (int)p + 1, sizeof(pack.name));
		for (uint32_t i = 0; i < each; i++) {
			make_id(p * each + i, chunks[i].id);
			chunks[i].offset = 10 * i;
			chunks[i].stored_len = 10;
			chunks[i].raw_len = p * each + i;
		}
		assert_int_equal(
		    fmt_index_builder_add(builder, &pack, chunks, each),
		    FMT_OK);
	}
	assert_int_equal(fmt_index_builder_encode(builder, seed, out), FMT_OK);
	fmt_index_builder_free(builder);
	free(chunks);
}

static enum fmt_status
open_and_check(const struct fmt_buf *buf)
{
	struct fmt_index index;
	enum fmt_status status = fmt_index_open(buf->data, buf->len, &index);

	return status != FMT_OK ? status : fmt_index_check(&index);
}

/* Signs again what a test has changed on purpose. */
static void
sign_again(struct fmt_buf *buf)
{
	unsigned char digest[32];

	assert_int_equal(fmt_sha256(buf->data, buf->len - 64, digest), FMT_OK);
	assert_int_equal(fmt_sign(seed, "libbackup index v1", digest, 32,
			     buf->data + buf->len - 64),
	    FMT_OK);
}

static void
assert_all_found(const struct fmt_index *index, uint32_t packs, uint32_t each)
{
	for (uint32_t n = 0; n < packs * each; n++) {
		struct fmt_index_place place;
		unsigned char id[32];

		make_id(n, id);
		assert_true(fmt_index_find(index, id, &place));
		assert_memory_equal(place.chunk.id, id, 32);
		assert_int_equal(place.chunk.raw_len, n);
		assert_int_equal(place.chunk.offset, n % each * 10);
		assert_int_equal(place.pack.name[5], n / each + 1);
		assert_int_equal(place.pack.stored_size, 1000 + 10 * each);
		/* One that differs in the last bit only is not there. */
		id[31] ^= 1;
		assert_false(fmt_index_find(index, id, &place));
	}
}

static void
every_chunk_is_found_and_no_other(void **state)
{
	static const uint32_t sizes[][2] = {{0, 0}, {1, 0}, {1, 1}, {1, 2},
	    {1, 3}, {2, 16}, {3, 33}, {7, 2000}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t packs = sizes[i][0], each = sizes[i][1];
		struct fmt_buf buf = FMT_BUF_INIT;
		unsigned char id[32], signer[32];
		struct fmt_index_place place;
		struct fmt_index index;

		make_index(&buf, packs, each);
		assert_int_equal(
		    fmt_index_open(buf.data, buf.len, &index), FMT_OK);
		assert_int_equal(fmt_index_check(&index), FMT_OK);
		assert_int_equal(index.pack_count, packs);
		assert_int_equal(index.chunk_count, packs * each);
		assert_int_equal(fmt_sign_public(seed, signer), FMT_OK);
		assert_memory_equal(index.signer, signer, 32);
		assert_all_found(&index, packs, each);
		memset(id, 0, 32);
		assert_false(fmt_index_find(&index, id, &place));
		memset(id, 0xff, 32);
		assert_false(fmt_index_find(&index, id, &place));
		fmt_buf_free(&buf);
	}
}

static void
ids_that_are_not_spread_evenly_are_found_too(void **state)
{
	struct fmt_index_pack pack = {.stored_size = 5, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunks[1000];
	struct fmt_index_builder *builder;
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index_place place;
	struct fmt_index index;

	(void)state;
	for (unsigned where = 0; where < 3; where++) {
		/* All at the low end, all at the high end, all in one place. */
		memset(chunks, where == 1 ? 0xff : 0, sizeof(chunks));
		for (unsigned i = 0; i < 1000; i++) {
			unsigned at = where == 2 ? 28 : 6;

			chunks[i].id[0] = where == 2 ? 0x80 : chunks[i].id[0];
			chunks[i].id[at] = (unsigned char)(i >> 8);
			chunks[i].id[at + 1] = (unsigned char)i;
			chunks[i].offset = 0;
			chunks[i].stored_len = 5;
			chunks[i].raw_len = i;
			chunks[i].has_base = false;
		}
		fmt_buf_clear(&buf);
		assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
		assert_int_equal(
		    fmt_index_builder_add(builder, &pack, chunks, 1000),
		    FMT_OK);
		assert_int_equal(
		    fmt_index_builder_encode(builder, seed, &buf), FMT_OK);
		fmt_index_builder_free(builder);
		assert_int_equal(
		    fmt_index_open(buf.data, buf.len, &index), FMT_OK);
		assert_int_equal(fmt_index_check(&index), FMT_OK);
		for (unsigned i = 0; i < 1000; i++) {
			assert_true(
			    fmt_index_find(&index, chunks[i].id, &place));
			assert_int_equal(place.chunk.raw_len, i);
		}
	}
	fmt_buf_free(&buf);
}

static void
records_come_in_order_of_id_and_packs_in_order_of_adding(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index_place before, place;
	struct fmt_index_pack pack;
	struct fmt_index index;

	(void)state;
	make_index(&buf, 3, 100);
	assert_int_equal(fmt_index_open(buf.data, buf.len, &index), FMT_OK);
	for (uint32_t i = 0; i < 3; i++) {
		fmt_index_pack_at(&index, i, &pack);
		assert_int_equal(pack.name[0], i + 1);
		assert_int_equal(
		    pack.kind, i % 2 ? FMT_PACK_METADATA : FMT_PACK_DATA);
	}
	assert_int_equal(fmt_index_at(&index, 0, &before), FMT_OK);
	for (uint64_t i = 1; i < 300; i++) {
		assert_int_equal(fmt_index_at(&index, i, &place), FMT_OK);
		assert_true(memcmp(before.chunk.id, place.chunk.id, 32) < 0);
		before = place;
	}
	fmt_buf_free(&buf);
}

static void
the_bytes_lie_where_the_specification_says(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	unsigned char id[32];

	(void)state;
	make_index(&buf, 1, 1);
	make_id(0, id);
	assert_int_equal(buf.len, 64 + 48 + 48 + 64);
	assert_memory_equal(buf.data,
	    "bkpindex\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
	assert_int_equal(buf.data[64], 1);
	assert_memory_equal(
	    buf.data + 96, "\xf2\x03\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16);
	assert_memory_equal(buf.data + 112, id, 32);
	assert_memory_equal(
	    buf.data + 144, "\0\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0", 16);
	fmt_buf_free(&buf);
}

static void
an_id_added_twice_is_kept_once_the_first_place_wins(void **state)
{
	struct fmt_index_pack pack = {.stored_size = 50, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunks[3] = {
	    {.id = {1}, .offset = 20, .stored_len = 5},
	    {.id = {2}, .offset = 0, .stored_len = 5},
	    {.id = {1}, .offset = 10, .stored_len = 5}};
	struct fmt_index_builder *builder;
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index_place place;
	struct fmt_index index;

	(void)state;
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, chunks + 1, 2), FMT_OK);
	pack.name[0] = 9;
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, chunks, 2), FMT_OK);
	assert_int_equal(fmt_index_builder_encode(builder, seed, &buf), FMT_OK);
	assert_int_equal(fmt_index_open(buf.data, buf.len, &index), FMT_OK);
	assert_int_equal(fmt_index_check(&index), FMT_OK);
	assert_int_equal(index.chunk_count, 2);
	assert_true(fmt_index_find(&index, chunks[0].id, &place));
	assert_int_equal(place.chunk.offset, 10);
	assert_int_equal(place.pack.name[0], 0);
	fmt_index_builder_free(builder);
	fmt_buf_free(&buf);
}

/* An index of ten chunks, every third a difference to chunk 100 + n. */
static void
make_index_with_bases(struct fmt_buf *out)
{
	struct fmt_index_pack pack = {.stored_size = 50, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunks[10];
	struct fmt_index_builder *builder;

	memset(chunks, 0, sizeof(chunks));
	for (unsigned n = 0; n < 10; n++) {
		make_id(n, chunks[n].id);
		make_id(100 + n, chunks[n].base);
		chunks[n].has_base = n % 3 == 0;
		chunks[n].stored_len = 5;
	}
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, chunks, 10), FMT_OK);
	assert_int_equal(fmt_index_builder_encode(builder, seed, out), FMT_OK);
	fmt_index_builder_free(builder);
}

static void
the_base_of_a_difference_is_told(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index_place place;
	struct fmt_index index;

	(void)state;
	make_index_with_bases(&buf);
	assert_int_equal(buf.len, 64 + 48 + 10 * 48 + 4 * 64 + 64);
	assert_int_equal(fmt_index_open(buf.data, buf.len, &index), FMT_OK);
	assert_int_equal(fmt_index_check(&index), FMT_OK);
	assert_int_equal(index.base_count, 4);
	for (unsigned n = 0; n < 12; n++) {
		unsigned char id[32], base[32], expected[32];

		make_id(n, id);
		make_id(100 + n, expected);
		assert_int_equal(fmt_index_find(&index, id, &place), n < 10);
		if (n < 10)
			assert_int_equal(place.chunk.has_base, n % 3 == 0);
		assert_int_equal(
		    fmt_index_base(&index, id, base), n < 10 && n % 3 == 0);
		if (n >= 10 || n % 3 != 0)
			continue;
		assert_memory_equal(base, expected, 32);
		assert_memory_equal(place.chunk.base, expected, 32);
	}
	for (size_t len = 0; len < buf.len; len++)
		assert_int_equal(
		    fmt_index_open(buf.data, len, &index), FMT_TRUNCATED);
	fmt_buf_free(&buf);
}

static void
a_whole_copy_wins_over_a_difference(void **state)
{
	struct fmt_index_pack pack = {.stored_size = 50, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunks[2] = {
	    {.id = {1}, .stored_len = 5, .has_base = true, .base = {2}},
	    {.id = {1}, .offset = 10, .stored_len = 5}};
	struct fmt_index_builder *builder;
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index_place place;
	struct fmt_index index;

	(void)state;
	for (size_t first = 0; first < 2; first++) {
		fmt_buf_clear(&buf);
		assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(fmt_index_builder_add(builder, &pack,
					     &chunks[(first + i) % 2], 1),
			    FMT_OK);
		assert_int_equal(
		    fmt_index_builder_encode(builder, seed, &buf), FMT_OK);
		fmt_index_builder_free(builder);
		assert_int_equal(
		    fmt_index_open(buf.data, buf.len, &index), FMT_OK);
		assert_int_equal(fmt_index_check(&index), FMT_OK);
		assert_int_equal(index.base_count, 0);
		assert_true(fmt_index_find(&index, chunks[0].id, &place));
		assert_int_equal(place.chunk.offset, 10);
	}
	fmt_buf_free(&buf);
}

static void
bases_that_are_nonsense_are_malformed(void **state)
{
	struct fmt_pack_chunk own = {
	    .id = {7}, .stored_len = 1, .has_base = true, .base = {7}};
	struct fmt_index_pack pack = {.stored_size = 50, .kind = FMT_PACK_DATA};
	size_t bases = 64 + 48 + 10 * 48;
	struct fmt_index_builder *builder;
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index index;

	(void)state;
	/* A base of a chunk that is not here; one of itself; out of order. */
	make_index_with_bases(&buf);
	buf.data[bases + 31] ^= 1;
	sign_again(&buf);
	assert_int_equal(open_and_check(&buf), FMT_MALFORMED);
	buf.data[bases + 31] ^= 1;
	sign_again(&buf);
	assert_int_equal(open_and_check(&buf), FMT_OK);
	memcpy(buf.data + bases + 32, buf.data + bases, 32);
	sign_again(&buf);
	assert_int_equal(open_and_check(&buf), FMT_MALFORMED);
	fmt_buf_clear(&buf);
	make_index_with_bases(&buf);
	memcpy(buf.data + bases, buf.data + bases + 64, 64);
	sign_again(&buf);
	assert_int_equal(open_and_check(&buf), FMT_MALFORMED);
	/* More bases than chunks. */
	buf.data[24] = 11;
	assert_int_equal(
	    fmt_index_open(buf.data, buf.len, &index), FMT_MALFORMED);
	fmt_buf_free(&buf);
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, &own, 1), FMT_MALFORMED);
	fmt_index_builder_free(builder);
}

static void
a_chunk_beyond_its_pack_is_not_taken(void **state)
{
	struct fmt_index_pack pack = {.stored_size = 50, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunk = {.offset = 46, .stored_len = 5};
	struct fmt_index_builder *builder;

	(void)state;
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, &chunk, 1), FMT_MALFORMED);
	chunk = (struct fmt_pack_chunk){.offset = 0, .stored_len = 0};
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, &chunk, 1), FMT_MALFORMED);
	pack.kind = (enum fmt_pack_kind)3;
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, &chunk, 0), FMT_MALFORMED);
	fmt_index_builder_free(builder);
}

static void
every_flipped_bit_is_seen(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	make_index(&buf, 2, 2);
	assert_int_equal(open_and_check(&buf), FMT_OK);
	for (size_t i = 0; i < buf.len; i++) {
		buf.data[i] ^= (unsigned char)(1 << i % 8);
		assert_int_not_equal(open_and_check(&buf), FMT_OK);
		buf.data[i] ^= (unsigned char)(1 << i % 8);
	}
	fmt_buf_free(&buf);
}

static void
every_cut_and_every_byte_too_many_is_seen(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index index;

	(void)state;
	make_index(&buf, 1, 3);
	for (size_t len = 0; len < buf.len; len++)
		assert_int_equal(
		    fmt_index_open(buf.data, len, &index), FMT_TRUNCATED);
	assert_int_equal(fmt_buf_append_byte(&buf, 0), FMT_OK);
	assert_int_equal(
	    fmt_index_open(buf.data, buf.len, &index), FMT_MALFORMED);
	fmt_buf_free(&buf);
}

static void
a_later_version_is_unsupported(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	make_index(&buf, 1, 1);
	buf.data[8] = 2;
	assert_int_equal(open_and_check(&buf), FMT_UNSUPPORTED);
	fmt_buf_free(&buf);
}

static void
absurd_counts_do_not_overflow(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_index index;

	(void)state;
	make_index(&buf, 1, 1);
	memset(buf.data + 16, 0xff, 8);
	assert_int_equal(fmt_index_open(buf.data, buf.len, &index), FMT_LIMIT);
	memset(buf.data + 20, 0, 4);
	memset(buf.data + 12, 0xff, 4);
	assert_int_equal(
	    fmt_index_open(buf.data, buf.len, &index), FMT_TRUNCATED);
	fmt_buf_free(&buf);
}

/* A writer that signs nonsense is no better than a damaged file. */
static void
signed_nonsense_is_malformed(void **state)
{
	static const struct {
		size_t at;
		unsigned char value;
	} wrong[] = {
	    {64 + 40, 3},      /* a kind that is not known */
	    {64 + 44, 1},      /* what must be 0 */
	    {64 + 96 + 32, 2}, /* no such pack */
	    {64 + 96 + 39, 1}, /* an offset beyond the pack */
	    {64 + 96 + 40, 0}, /* no bytes */
	    {64 + 96 + 43, 1}, /* more bytes than the pack */
	    {64 + 96, 0xff},   /* out of order */
	};
	struct fmt_buf buf = FMT_BUF_INIT;
	unsigned char id[32];
	struct fmt_index_place place;
	struct fmt_index index;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		fmt_buf_clear(&buf);
		make_index(&buf, 2, 2);
		buf.data[wrong[i].at] = wrong[i].value;
		assert_int_equal(open_and_check(&buf), FMT_AUTH);
		sign_again(&buf);
		assert_int_equal(open_and_check(&buf), FMT_MALFORMED);
	}
	/* The same id twice. */
	fmt_buf_clear(&buf);
	make_index(&buf, 1, 2);
	memcpy(buf.data + 64 + 96, buf.data + 64 + 48, 32);
	sign_again(&buf);
	assert_int_equal(open_and_check(&buf), FMT_MALFORMED);
	/* A look-up that ends at a pack that is not there finds nothing. */
	memcpy(id, buf.data + 64 + 48, 32);
	memset(buf.data + 64 + 48 + 32, 0xff, 4);
	memset(buf.data + 64 + 96 + 32, 0xff, 4);
	assert_int_equal(fmt_index_open(buf.data, buf.len, &index), FMT_OK);
	assert_false(fmt_index_find(&index, id, &place));
	assert_int_equal(fmt_index_at(&index, 0, &place), FMT_MALFORMED);
	fmt_buf_free(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_chunk_is_found_and_no_other),
	    cmocka_unit_test(ids_that_are_not_spread_evenly_are_found_too),
	    cmocka_unit_test(
		records_come_in_order_of_id_and_packs_in_order_of_adding),
	    cmocka_unit_test(the_bytes_lie_where_the_specification_says),
	    cmocka_unit_test(
		an_id_added_twice_is_kept_once_the_first_place_wins),
	    cmocka_unit_test(the_base_of_a_difference_is_told),
	    cmocka_unit_test(a_whole_copy_wins_over_a_difference),
	    cmocka_unit_test(bases_that_are_nonsense_are_malformed),
	    cmocka_unit_test(a_chunk_beyond_its_pack_is_not_taken),
	    cmocka_unit_test(every_flipped_bit_is_seen),
	    cmocka_unit_test(every_cut_and_every_byte_too_many_is_seen),
	    cmocka_unit_test(a_later_version_is_unsupported),
	    cmocka_unit_test(absurd_counts_do_not_overflow),
	    cmocka_unit_test(signed_nonsense_is_malformed),
	};

	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
