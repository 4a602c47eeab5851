/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/age.h"

#define SEGMENT ((size_t)FMT_AGE_SEGMENT)

static const size_t sizes[] = {
    0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT};
#define SIZE_COUNT (sizeof sizes / sizeof *sizes)

static struct fmt_age_identity identity;
static struct fmt_age_recipient recipient;

static int
make_identity(void **state)
{
	(void)state;
	return fmt_age_identity_new(&identity) != FMT_OK ||
	       fmt_age_identity_recipient(&identity, &recipient) != FMT_OK;
}

/* Bytes that differ from segment to segment. */
static unsigned char *
make_plain(size_t len)
{
	unsigned char *plain = malloc(len + 1);

	assert_non_null(plain);
	for (size_t i = 0; i < len; i++)
		plain[i] = (unsigned char)(i * 7 + i / SEGMENT);
	return plain;
}

static void
seal(size_t len, struct fmt_buf *file)
{
	unsigned char *plain = make_plain(len);

	assert_int_equal(fmt_age_seal(&recipient, 1, plain, len, file), FMT_OK);
	free(plain);
}

static void
assert_plain(const struct fmt_buf *got, size_t len)
{
	unsigned char *plain = make_plain(len);

	assert_int_equal(got->len, len);
	if (len > 0)
		assert_memory_equal(got->data, plain, len);
	free(plain);
}

static void
what_is_sealed_opens(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZE_COUNT; i++) {
		struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;

		seal(sizes[i], &file);
		assert_int_equal(
		    fmt_age_open(&identity, 1, file.data, file.len, &plain),
		    FMT_OK);
		assert_plain(&plain, sizes[i]);
		fmt_buf_free(&file);
		fmt_buf_free(&plain);
	}
}

static void
the_size_of_a_file_is_what_the_specification_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZE_COUNT; i++) {
		struct fmt_buf file = FMT_BUF_INIT;
		struct fmt_age_payload payload;
		size_t segments =
		    sizes[i] == 0 ? 1 : (sizes[i] + SEGMENT - 1) / SEGMENT;
		uint64_t size;

		seal(sizes[i], &file);
		assert_int_equal(fmt_age_payload_open(&identity, 1, file.data,
				     file.len, &payload),
		    FMT_OK);
		assert_int_equal(file.len,
		    payload.header_size + sizes[i] + segments * FMT_AGE_TAG);
		assert_int_equal(
		    fmt_age_plain_size(&payload, file.len, &size), FMT_OK);
		assert_int_equal(size, sizes[i]);
		fmt_buf_free(&file);
	}
}

static void
write_in_portions(size_t len, size_t portion, struct fmt_buf *file)
{
	unsigned char *plain = make_plain(len);
	struct fmt_age_writer *writer = NULL;

	assert_int_equal(
	    fmt_age_writer_new(&recipient, 1, file, &writer), FMT_OK);
	for (size_t at = 0; at < len; at += portion) {
		size_t take = len - at < portion ? len - at : portion;

		assert_int_equal(
		    fmt_age_writer_update(writer, plain + at, take, file),
		    FMT_OK);
	}
	assert_int_equal(fmt_age_writer_finish(writer, file), FMT_OK);
	fmt_age_writer_free(writer);
	free(plain);
}

static void
a_writer_takes_portions_of_any_size(void **state)
{
	static const size_t portions[] = {
	    13, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 3};

	(void)state;
	for (size_t i = 0; i < SIZE_COUNT; i++) {
		for (size_t j = 0; j < sizeof portions / sizeof *portions;
		     j++) {
			struct fmt_buf file = FMT_BUF_INIT;
			struct fmt_buf plain = FMT_BUF_INIT;

			write_in_portions(sizes[i], portions[j], &file);
			assert_int_equal(fmt_age_open(&identity, 1, file.data,
					     file.len, &plain),
			    FMT_OK);
			assert_plain(&plain, sizes[i]);
			fmt_buf_free(&file);
			fmt_buf_free(&plain);
		}
	}
}

static void
output_is_appended_to_what_is_there(void **state)
{
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&file, "abc"), FMT_OK);
	assert_int_equal(fmt_buf_append_text(&plain, "xyz"), FMT_OK);
	assert_int_equal(
	    fmt_age_seal(&recipient, 1, "hello", 5, &file), FMT_OK);
	assert_memory_equal(file.data, "abcage-encryption.org/v1\n", 25);
	assert_int_equal(
	    fmt_age_open(&identity, 1, file.data + 3, file.len - 3, &plain),
	    FMT_OK);
	assert_string_equal(fmt_buf_text(&plain), "xyzhello");
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
every_recipient_opens_the_file_and_nobody_else(void **state)
{
	struct fmt_age_identity ids[4];
	struct fmt_age_recipient to[3];
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fmt_age_identity_new(&ids[i]), FMT_OK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
		    fmt_age_identity_recipient(&ids[i], &to[i]), FMT_OK);
	assert_int_equal(fmt_age_seal(to, 3, "hello", 5, &file), FMT_OK);
	for (size_t i = 0; i < 3; i++) {
		fmt_buf_clear(&plain);
		assert_int_equal(
		    fmt_age_open(&ids[i], 1, file.data, file.len, &plain),
		    FMT_OK);
		assert_string_equal(fmt_buf_text(&plain), "hello");
	}
	fmt_buf_clear(&plain);
	assert_int_equal(
	    fmt_age_open(&ids[3], 1, file.data, file.len, &plain), FMT_NOMATCH);
	assert_int_equal(
	    fmt_age_open(NULL, 0, file.data, file.len, &plain), FMT_NOMATCH);
	/* A ring of keys opens it whatever its order. */
	assert_int_equal(
	    fmt_age_open(ids + 2, 2, file.data, file.len, &plain), FMT_OK);
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
a_passphrase_opens_its_file_only(void **state)
{
	struct fmt_age_recipient to = {
	    .kind = FMT_AGE_SCRYPT, .passphrase = "horse", .work_factor = 10};
	struct fmt_age_identity right = {
	    .kind = FMT_AGE_SCRYPT, .passphrase = "horse"};
	struct fmt_age_identity wrong = {
	    .kind = FMT_AGE_SCRYPT, .passphrase = "Horse"};
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_age_seal(&to, 1, "hello", 5, &file), FMT_OK);
	assert_int_equal(
	    fmt_age_open(&wrong, 1, file.data, file.len, &plain), FMT_NOMATCH);
	assert_int_equal(
	    fmt_age_open(&identity, 1, file.data, file.len, &plain),
	    FMT_NOMATCH);
	assert_int_equal(
	    fmt_age_open(&right, 1, file.data, file.len, &plain), FMT_OK);
	assert_string_equal(fmt_buf_text(&plain), "hello");
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
recipients_that_make_no_file_are_refused(void **state)
{
	struct fmt_age_recipient two[2] = {
	    {.kind = FMT_AGE_SCRYPT, .passphrase = "horse", .work_factor = 10},
	    recipient};
	struct fmt_age_recipient low_order = {.kind = FMT_AGE_X25519};
	struct fmt_age_recipient costly = {
	    .kind = FMT_AGE_SCRYPT, .passphrase = "horse", .work_factor = 23};
	struct fmt_age_recipient empty = {
	    .kind = FMT_AGE_SCRYPT, .passphrase = ""};
	struct fmt_buf file = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_age_seal(two, 2, "x", 1, &file), FMT_MALFORMED);
	assert_int_equal(fmt_age_seal(two, 0, "x", 1, &file), FMT_MALFORMED);
	assert_int_equal(
	    fmt_age_seal(&low_order, 1, "x", 1, &file), FMT_MALFORMED);
	assert_int_equal(fmt_age_seal(&costly, 1, "x", 1, &file), FMT_LIMIT);
	assert_int_equal(fmt_age_seal(&empty, 1, "x", 1, &file), FMT_MALFORMED);
	assert_int_equal(file.len, 0);
	fmt_buf_free(&file);
}

static void
a_file_cut_anywhere_does_not_open(void **state)
{
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    fmt_age_seal(&recipient, 1, "hello world", 11, &file), FMT_OK);
	for (size_t len = 0; len < file.len; len++) {
		enum fmt_status status =
		    fmt_age_open(&identity, 1, file.data, len, &plain);

		assert_true(status == FMT_TRUNCATED || status == FMT_AUTH);
		assert_int_equal(plain.len, 0);
	}
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
a_file_cut_between_segments_gives_those_it_has(void **state)
{
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;
	size_t last = SEGMENT + FMT_AGE_TAG;

	(void)state;
	seal(3 * SEGMENT, &file);
	assert_int_equal(
	    fmt_age_open(&identity, 1, file.data, file.len - last, &plain),
	    FMT_TRUNCATED);
	assert_plain(&plain, 2 * SEGMENT);
	fmt_buf_clear(&plain);
	assert_int_equal(
	    fmt_age_open(&identity, 1, file.data, file.len - last + 5, &plain),
	    FMT_TRUNCATED);
	assert_plain(&plain, 2 * SEGMENT);
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
a_flipped_bit_anywhere_is_found(void **state)
{
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    fmt_age_seal(&recipient, 1, "hello world", 11, &file), FMT_OK);
	for (size_t at = 0; at < file.len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			unsigned char flip = (unsigned char)(1u << bit);

			file.data[at] ^= flip;
			assert_int_not_equal(fmt_age_open(&identity, 1,
						 file.data, file.len, &plain),
			    FMT_OK);
			assert_int_equal(plain.len, 0);
			file.data[at] ^= flip;
		}
	}
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
a_damaged_segment_ends_the_output_before_it(void **state)
{
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;

	(void)state;
	seal(3 * SEGMENT, &file);
	file.data[file.len - SEGMENT - FMT_AGE_TAG - 1] ^= 1;
	assert_int_equal(
	    fmt_age_open(&identity, 1, file.data, file.len, &plain), FMT_AUTH);
	assert_plain(&plain, SEGMENT);
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
a_reader_that_failed_stays_failed(void **state)
{
	struct fmt_buf plain = FMT_BUF_INIT;
	struct fmt_age_reader *reader = NULL;

	(void)state;
	assert_int_equal(fmt_age_reader_new(&identity, 1, &reader), FMT_OK);
	assert_int_equal(
	    fmt_age_reader_update(reader, "PK\3\4", 4, &plain), FMT_MALFORMED);
	assert_int_equal(
	    fmt_age_reader_update(reader, "age", 3, &plain), FMT_MALFORMED);
	assert_int_equal(fmt_age_reader_finish(reader, &plain), FMT_MALFORMED);
	fmt_age_reader_free(reader);
	fmt_age_reader_free(NULL);
	fmt_age_writer_free(NULL);
}

static void
what_is_no_age_file_is_told_from_its_first_bytes(void **state)
{
	struct fmt_age_payload payload;

	(void)state;
	assert_int_equal(fmt_age_payload_open(&identity, 1, "agf", 3, &payload),
	    FMT_MALFORMED);
	assert_int_equal(
	    fmt_age_payload_open(&identity, 1, "age-enc", 7, &payload),
	    FMT_TRUNCATED);
	assert_int_equal(fmt_age_payload_open(&identity, 1,
			     "age-encryption.org/v2\n", 22, &payload),
	    FMT_UNSUPPORTED);
}

static void
a_header_without_end_is_refused_at_a_mebibyte(void **state)
{
	static const char start[] = "age-encryption.org/v1\n-> grease ";
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;
	struct fmt_age_payload payload;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&file, start), FMT_OK);
	assert_int_equal(fmt_buf_reserve(&file, 2u << 20), FMT_OK);
	memset(file.data + file.len, 'a', 2u << 20);
	file.len += 2u << 20;
	assert_int_equal(
	    fmt_age_open(&identity, 1, file.data, file.len, &plain), FMT_LIMIT);
	assert_int_equal(
	    fmt_age_payload_open(&identity, 1, file.data, file.len, &payload),
	    FMT_LIMIT);
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
a_range_beyond_the_end_is_refused(void **state)
{
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;
	struct fmt_age_payload payload;
	uint64_t at, len;

	(void)state;
	seal(SEGMENT + 10, &file);
	assert_int_equal(
	    fmt_age_payload_open(&identity, 1, file.data, 400, &payload),
	    FMT_OK);
	fmt_age_payload_range(&payload, file.len, SEGMENT, 11, &at, &len);
	assert_int_equal(at + len, file.len);
	assert_int_equal(fmt_age_payload_read(&payload, file.len, SEGMENT, 11,
			     file.data + at, (size_t)len, &plain),
	    FMT_TRUNCATED);
	/* Fewer bytes than the range asks for. */
	assert_int_equal(fmt_age_payload_read(&payload, file.len, SEGMENT, 10,
			     file.data + at, (size_t)len - 1, &plain),
	    FMT_TRUNCATED);
	/* A file that was cut does not open at its new end. */
	assert_int_equal(fmt_age_payload_read(&payload, file.len - 1, SEGMENT,
			     9, file.data + at, (size_t)len - 1, &plain),
	    FMT_AUTH);
	assert_int_equal(plain.len, 0);
	fmt_age_payload_range(&payload, file.len, SEGMENT + 10, 1, &at, &len);
	assert_int_equal(len, 0);
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

static void
sizes_that_no_file_has_are_told(void **state)
{
	struct fmt_age_payload payload = {.header_size = 200};
	uint64_t stored = SEGMENT + FMT_AGE_TAG, size = 77;

	(void)state;
	assert_int_equal(
	    fmt_age_plain_size(&payload, 100, &size), FMT_TRUNCATED);
	assert_int_equal(
	    fmt_age_plain_size(&payload, 215, &size), FMT_TRUNCATED);
	assert_int_equal(fmt_age_plain_size(&payload, 200 + stored + 15, &size),
	    FMT_TRUNCATED);
	assert_int_equal(fmt_age_plain_size(&payload, 200 + stored + 16, &size),
	    FMT_TRUNCATED);
	assert_int_equal(size, 77);
	assert_int_equal(fmt_age_plain_size(&payload, 216, &size), FMT_OK);
	assert_int_equal(size, 0);
	assert_int_equal(
	    fmt_age_plain_size(&payload, 200 + stored + 17, &size), FMT_OK);
	assert_int_equal(size, SEGMENT + 1);
}

static void
white_space_in_the_first_line_is_no_armor(void **state)
{
	struct fmt_buf text = FMT_BUF_INIT, spaced = FMT_BUF_INIT;
	struct fmt_buf binary = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_age_armor("hello", 5, &text), FMT_OK);
	assert_int_equal(
	    fmt_buf_printf(&spaced, "\n \n%s", fmt_buf_text(&text)), FMT_OK);
	assert_int_equal(
	    fmt_age_dearmor(spaced.data, spaced.len, &binary), FMT_OK);
	assert_string_equal(fmt_buf_text(&binary), "hello");
	fmt_buf_clear(&spaced);
	assert_int_equal(
	    fmt_buf_printf(&spaced, "\n %s", fmt_buf_text(&text)), FMT_OK);
	assert_int_equal(
	    fmt_age_dearmor(spaced.data, spaced.len, &binary), FMT_MALFORMED);
	assert_int_equal(binary.len, 5);
	fmt_buf_free(&text);
	fmt_buf_free(&spaced);
	fmt_buf_free(&binary);
}

static void
no_two_files_are_alike(void **state)
{
	struct fmt_buf a = FMT_BUF_INIT, b = FMT_BUF_INIT;

	(void)state;
	seal(100, &a);
	seal(100, &b);
	assert_int_equal(a.len, b.len);
	/* Share, body, MAC, nonce and segment all differ. */
	for (size_t at = 34; at + 8 < a.len; at += 32)
		assert_memory_not_equal(a.data + at, b.data + at, 16);
	fmt_buf_free(&a);
	fmt_buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_sealed_opens),
	    cmocka_unit_test(the_size_of_a_file_is_what_the_specification_says),
	    cmocka_unit_test(a_writer_takes_portions_of_any_size),
	    cmocka_unit_test(output_is_appended_to_what_is_there),
	    cmocka_unit_test(every_recipient_opens_the_file_and_nobody_else),
	    cmocka_unit_test(a_passphrase_opens_its_file_only),
	    cmocka_unit_test(recipients_that_make_no_file_are_refused),
	    cmocka_unit_test(a_file_cut_anywhere_does_not_open),
	    cmocka_unit_test(a_file_cut_between_segments_gives_those_it_has),
	    cmocka_unit_test(a_flipped_bit_anywhere_is_found),
	    cmocka_unit_test(a_damaged_segment_ends_the_output_before_it),
	    cmocka_unit_test(a_reader_that_failed_stays_failed),
	    cmocka_unit_test(what_is_no_age_file_is_told_from_its_first_bytes),
	    cmocka_unit_test(a_header_without_end_is_refused_at_a_mebibyte),
	    cmocka_unit_test(a_range_beyond_the_end_is_refused),
	    cmocka_unit_test(sizes_that_no_file_has_are_told),
	    cmocka_unit_test(white_space_in_the_first_line_is_no_armor),
	    cmocka_unit_test(no_two_files_are_alike),
	};

	return cmocka_run_group_tests_name("age", tests, make_identity, NULL);
}
