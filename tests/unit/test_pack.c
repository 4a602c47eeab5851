/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <cmocka.h>

#include "formats/pack.h"

/* A payload with zstd frames of "chunk 0", "chunk 1"... and the directory. */
static void
make_payload(
    struct fmt_buf *payload, struct fmt_pack_chunk *chunks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char frame[64];
		char text[] = "chunk 0";
		size_t len;

		text[6] = (char)('0' + i % 10);
		len = ZSTD_compress(frame, sizeof(frame), text, 7, 1);
		assert_false(ZSTD_isError(len));
		chunks[i] = (struct fmt_pack_chunk){.has_base = false};
		memset(chunks[i].id, (int)i + 1, FMT_ID_SIZE);
		chunks[i].offset = (uint32_t)payload->len;
		chunks[i].stored_len = (uint32_t)len;
		chunks[i].raw_len = 7;
		assert_int_equal(fmt_buf_append(payload, frame, len), FMT_OK);
	}
	assert_int_equal(
	    fmt_pack_directory_encode(chunks, count, payload), FMT_OK);
}

static void
a_difference_is_told_by_its_own_length(void **state)
{
	struct fmt_pack_chunk chunk = {.stored_len = 5,
	    .raw_len = 1000,
	    .has_base = true,
	    .base = {1},
	    .delta_len = 70};
	struct fmt_buf payload = FMT_BUF_INIT;
	struct fmt_pack_chunk *back = NULL;
	size_t count = 0, need = 0;

	(void)state;
	assert_int_equal(fmt_buf_append(&payload, "frame", 5), FMT_OK);
	assert_int_equal(
	    fmt_pack_directory_encode(&chunk, 1, &payload), FMT_OK);
	assert_int_equal(fmt_pack_directory_decode(payload.data, payload.len,
			     payload.len, &back, &count, &need),
	    FMT_OK);
	assert_int_equal(count, 1);
	assert_int_equal(back[0].raw_len, 70);
	assert_false(back[0].has_base);
	free(back);
	fmt_buf_free(&payload);
}

static enum fmt_status
decode(const struct fmt_buf *payload, struct fmt_pack_chunk **chunks,
    size_t *count)
{
	size_t need = 0;

	return fmt_pack_directory_decode(
	    payload->data, payload->len, payload->len, chunks, count, &need);
}

static void
assert_refused(const struct fmt_buf *payload, enum fmt_status expected)
{
	struct fmt_pack_chunk *chunks = NULL;
	size_t count = 99;

	assert_int_equal(decode(payload, &chunks, &count), expected);
	assert_null(chunks);
	assert_int_equal(count, 99);
}

static void
the_directory_comes_back(void **state)
{
	for (size_t n = 0; n < 40; n += 13) {
		struct fmt_pack_chunk chunks[40], *back = NULL;
		struct fmt_buf payload = FMT_BUF_INIT;
		size_t count;

		(void)state;
		make_payload(&payload, chunks, n);
		assert_int_equal(decode(&payload, &back, &count), FMT_OK);
		assert_int_equal(count, n);
		for (size_t i = 0; i < n; i++) {
			assert_memory_equal(back[i].id, chunks[i].id, 32);
			assert_int_equal(back[i].offset, chunks[i].offset);
			assert_int_equal(
			    back[i].stored_len, chunks[i].stored_len);
			assert_int_equal(back[i].raw_len, chunks[i].raw_len);
		}
		free(back);
		fmt_buf_free(&payload);
	}
}

static void
the_directory_has_the_bytes_of_the_specification(void **state)
{
	static const unsigned char expected[] = {0x5b, 0x2a, 0x4d, 0x18, 56, 0,
	    0, 0,                                           /* frame head */
	    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* id */
	    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0x34, 0x12, 0, 0,
	    0x78, 0x56, 0x34, 0x12, /* lengths */
	    1, 0, 0, 0, 1, 0, 0, 0, /* count, version */
	    'b', 'k', 'p', 'p', 'a', 'c', 'k', '\n'};
	struct fmt_pack_chunk chunk = {
	    .offset = 0, .stored_len = 0x1234, .raw_len = 0x12345678};
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	memset(chunk.id, 7, sizeof(chunk.id));
	assert_int_equal(fmt_pack_directory_encode(&chunk, 1, &out), FMT_OK);
	assert_int_equal(out.len, sizeof(expected));
	assert_int_equal(fmt_pack_directory_size(1), sizeof(expected));
	assert_memory_equal(out.data, expected, sizeof(expected));
	fmt_buf_free(&out);
}

static void
zstd_passes_over_the_directory(void **state)
{
	struct fmt_pack_chunk chunks[3];
	struct fmt_buf payload = FMT_BUF_INIT;
	char text[64];
	size_t len;

	(void)state;
	make_payload(&payload, chunks, 3);
	len = ZSTD_decompress(text, sizeof(text), payload.data, payload.len);
	assert_int_equal(len, 21);
	assert_memory_equal(text, "chunk 0chunk 1chunk 2", 21);
	fmt_buf_free(&payload);
}

static void
a_short_tail_asks_for_what_is_needed(void **state)
{
	struct fmt_pack_chunk chunks[5], *back = NULL;
	struct fmt_buf payload = FMT_BUF_INIT;
	size_t count, size = fmt_pack_directory_size(5);

	(void)state;
	make_payload(&payload, chunks, 5);
	for (size_t len = 0; len <= payload.len; len++) {
		const unsigned char *tail = payload.data + payload.len - len;
		size_t need = 0;
		enum fmt_status status = fmt_pack_directory_decode(
		    tail, len, payload.len, &back, &count, &need);

		if (len < size) {
			assert_int_equal(status, FMT_TRUNCATED);
			assert_true(need > len && need <= size);
		} else {
			assert_int_equal(status, FMT_OK);
			free(back);
		}
	}
	fmt_buf_free(&payload);
}

static void
chunks_with_gaps_are_not_written(void **state)
{
	struct fmt_pack_chunk chunks[2] = {
	    {.offset = 0, .stored_len = 5}, {.offset = 6, .stored_len = 5}};
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    fmt_pack_directory_encode(chunks, 2, &out), FMT_MALFORMED);
	chunks[1].offset = 5;
	chunks[1].stored_len = 0;
	assert_int_equal(
	    fmt_pack_directory_encode(chunks, 2, &out), FMT_MALFORMED);
	chunks[1].stored_len = UINT32_MAX - 4;
	assert_int_equal(fmt_pack_directory_encode(chunks, 2, &out), FMT_LIMIT);
	assert_int_equal(out.len, 0);
	chunks[1].stored_len = UINT32_MAX - 5;
	assert_int_equal(fmt_pack_directory_encode(chunks, 2, &out), FMT_OK);
	fmt_buf_free(&out);
}

static void
lengths_that_do_not_fill_the_payload_are_malformed(void **state)
{
	struct fmt_pack_chunk chunks[3];
	struct fmt_buf payload = FMT_BUF_INIT;
	unsigned char *stored_len;

	(void)state;
	make_payload(&payload, chunks, 3);
	stored_len = payload.data + payload.len - 16 - 40 + 32;
	++*stored_len;
	assert_refused(&payload, FMT_MALFORMED);
	*stored_len = (unsigned char)(*stored_len - 2);
	assert_refused(&payload, FMT_MALFORMED);
	*stored_len = 0;
	assert_refused(&payload, FMT_MALFORMED);
	memset(stored_len, 0xff, 4);
	assert_refused(&payload, FMT_MALFORMED);
	fmt_buf_free(&payload);
}

static void
every_flipped_bit_outside_of_ids_and_raw_lengths_is_seen(void **state)
{
	struct fmt_pack_chunk chunks[3], *back;
	struct fmt_buf payload = FMT_BUF_INIT;
	size_t count, need, start;

	(void)state;
	make_payload(&payload, chunks, 3);
	start = payload.len - fmt_pack_directory_size(3);
	for (size_t i = start; i < payload.len; i++) {
		size_t in_record = (i - start - 8) % 40;

		if (i >= start + 8 && i < payload.len - 16 &&
		    (in_record < 32 || in_record >= 36))
			continue;
		for (int bit = 0; bit < 8; bit++) {
			enum fmt_status status;

			payload.data[i] ^= (unsigned char)(1 << bit);
			status = fmt_pack_directory_decode(payload.data,
			    payload.len, payload.len, &back, &count, &need);
			assert_int_not_equal(status, FMT_OK);
			payload.data[i] ^= (unsigned char)(1 << bit);
		}
	}
	fmt_buf_free(&payload);
}

static void
a_later_version_is_unsupported_and_not_malformed(void **state)
{
	struct fmt_pack_chunk chunks[1];
	struct fmt_buf payload = FMT_BUF_INIT;

	(void)state;
	make_payload(&payload, chunks, 1);
	payload.data[payload.len - 12] = 2;
	assert_refused(&payload, FMT_UNSUPPORTED);
	fmt_buf_free(&payload);
}

static void
sizes_that_cannot_be_are_malformed(void **state)
{
	struct fmt_pack_chunk chunks[1], *back = NULL;
	struct fmt_buf payload = FMT_BUF_INIT;
	size_t count, need;

	(void)state;
	make_payload(&payload, chunks, 1);
	assert_int_equal(fmt_pack_directory_decode(payload.data, payload.len,
			     payload.len - 1, &back, &count, &need),
	    FMT_MALFORMED);
	assert_int_equal(fmt_pack_directory_decode(payload.data, payload.len,
			     payload.len + 1, &back, &count, &need),
	    FMT_MALFORMED);
	assert_int_equal(fmt_pack_directory_decode(payload.data, payload.len,
			     UINT64_MAX, &back, &count, &need),
	    FMT_MALFORMED);
	assert_int_equal(
	    fmt_pack_directory_decode("", 0, 0, &back, &count, &need),
	    FMT_MALFORMED);
	memset(payload.data + payload.len - 16, 0xff, 4);
	assert_refused(&payload, FMT_MALFORMED);
	fmt_buf_free(&payload);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_directory_comes_back),
	    cmocka_unit_test(a_difference_is_told_by_its_own_length),
	    cmocka_unit_test(the_directory_has_the_bytes_of_the_specification),
	    cmocka_unit_test(zstd_passes_over_the_directory),
	    cmocka_unit_test(a_short_tail_asks_for_what_is_needed),
	    cmocka_unit_test(chunks_with_gaps_are_not_written),
	    cmocka_unit_test(
		lengths_that_do_not_fill_the_payload_are_malformed),
	    cmocka_unit_test(
		every_flipped_bit_outside_of_ids_and_raw_lengths_is_seen),
	    cmocka_unit_test(a_later_version_is_unsupported_and_not_malformed),
	    cmocka_unit_test(sizes_that_cannot_be_are_malformed),
	};

	return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
