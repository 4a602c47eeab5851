/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/pgcopy.h"
#include "formats/rowhash.h"

/* The example of the specification. */
static const unsigned char first[] = {
    0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 'a'};
static const unsigned char second[] = {
    0, 2, 0, 0, 0, 4, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff};

static enum fmt_status
row_of(enum fmt_copy_form form, const void *data, size_t len, size_t *out)
{
	/* So that a byte too many is seen by the sanitizers. */
	unsigned char *copy = malloc(len + 1);
	enum fmt_status status;

	assert_non_null(copy);
	memcpy(copy, data, len);
	copy = realloc(copy, len > 0 ? len : 1);
	assert_non_null(copy);
	status = fmt_copy_row(form, copy, len, out);
	free(copy);
	return status;
}

static void
a_row_ends_where_its_fields_end(void **state)
{
	unsigned char rows[sizeof(first) + sizeof(second)];
	size_t len = 0;

	(void)state;
	memcpy(rows, first, sizeof(first));
	memcpy(rows + sizeof(first), second, sizeof(second));
	assert_int_equal(
	    row_of(FMT_COPY_BINARY, rows, sizeof(rows), &len), FMT_OK);
	assert_int_equal(len, sizeof(first));
	assert_int_equal(
	    row_of(FMT_COPY_BINARY, second, sizeof(second), &len), FMT_OK);
	assert_int_equal(len, sizeof(second));
	assert_int_equal(row_of(FMT_COPY_BINARY, "\0", 2, &len), FMT_OK);
	assert_int_equal(len, 2);
}

static void
a_row_that_is_cut_anywhere_is_not_one(void **state)
{
	size_t len = 77;

	(void)state;
	for (size_t n = 0; n < sizeof(first); n++)
		assert_int_equal(
		    row_of(FMT_COPY_BINARY, first, n, &len), FMT_TRUNCATED);
	for (size_t n = 0; n < sizeof(second); n++)
		assert_int_equal(
		    row_of(FMT_COPY_BINARY, second, n, &len), FMT_TRUNCATED);
	assert_int_equal(len, 77);
}

static void
numbers_beyond_all_bounds_are_refused(void **state)
{
	static const unsigned char fields[] = {0x06, 0x81, 0, 0};
	static const unsigned char negative[] = {0, 1, 0xff, 0xff, 0xff, 0xfe};
	static const unsigned char long_one[] = {0, 1, 0x7f, 0xff, 0xff, 0xff};
	size_t len = 0;

	(void)state;
	assert_int_equal(row_of(FMT_COPY_BINARY, fields, sizeof(fields), &len),
	    FMT_MALFORMED);
	assert_int_equal(row_of(FMT_COPY_BINARY, fmt_copy_trailer,
			     FMT_COPY_TRAILER_LEN, &len),
	    FMT_MALFORMED);
	assert_int_equal(
	    row_of(FMT_COPY_BINARY, negative, sizeof(negative), &len),
	    FMT_MALFORMED);
	assert_int_equal(
	    row_of(FMT_COPY_BINARY, long_one, sizeof(long_one), &len),
	    FMT_TRUNCATED);
}

static void
as_many_fields_as_a_query_can_have_are_a_row(void **state)
{
	size_t size = 2 + 4 * FMT_COPY_FIELDS_MAX, len = 0;
	unsigned char *row = malloc(size);

	(void)state;
	assert_non_null(row);
	memset(row, 0xff, size);
	row[0] = FMT_COPY_FIELDS_MAX >> 8;
	row[1] = FMT_COPY_FIELDS_MAX & 0xff;
	assert_int_equal(row_of(FMT_COPY_BINARY, row, size, &len), FMT_OK);
	assert_int_equal(len, size);
	free(row);
}

static void
a_line_ends_with_its_newline(void **state)
{
	size_t len = 0;

	(void)state;
	assert_int_equal(row_of(FMT_COPY_TEXT, "ab\nc", 4, &len), FMT_OK);
	assert_int_equal(len, 3);
	assert_int_equal(row_of(FMT_COPY_TEXT, "\n", 1, &len), FMT_OK);
	assert_int_equal(len, 1);
	assert_int_equal(row_of(FMT_COPY_TEXT, "ab", 2, &len), FMT_TRUNCATED);
	assert_int_equal(row_of(FMT_COPY_TEXT, "", 0, &len), FMT_TRUNCATED);
}

static void
forms_have_names_and_no_others(void **state)
{
	enum fmt_copy_form form = FMT_COPY_BINARY;

	(void)state;
	assert_true(fmt_copy_form_parse("text", &form));
	assert_int_equal(form, FMT_COPY_TEXT);
	assert_true(fmt_copy_form_parse("binary", &form));
	assert_int_equal(form, FMT_COPY_BINARY);
	assert_string_equal(fmt_copy_form_name(FMT_COPY_BINARY), "binary");
	assert_string_equal(fmt_copy_form_name(FMT_COPY_TEXT), "text");
	assert_false(fmt_copy_form_parse("Text", &form));
	assert_false(fmt_copy_form_parse("", &form));
	assert_false(fmt_copy_form_parse(NULL, &form));
	assert_int_equal(form, FMT_COPY_BINARY);
}

static void
binary_rows_are_hashed_whole_and_in_any_order(void **state)
{
	unsigned char rows[sizeof(first) + sizeof(second)];
	struct fmt_rowhash all = FMT_ROWHASH_INIT, sum = FMT_ROWHASH_INIT;
	struct fmt_rowhash before;

	(void)state;
	memcpy(rows, second, sizeof(second));
	memcpy(rows + sizeof(second), first, sizeof(first));
	assert_int_equal(
	    fmt_rowhash_add_rows(&all, FMT_COPY_BINARY, rows, sizeof(rows)),
	    FMT_OK);
	fmt_rowhash_add(&sum, first, sizeof(first));
	fmt_rowhash_add(&sum, second, sizeof(second));
	assert_true(fmt_rowhash_is_equal(&all, &sum));
	before = all;
	assert_int_equal(
	    fmt_rowhash_add_rows(&all, FMT_COPY_BINARY, rows, sizeof(rows) - 1),
	    FMT_TRUNCATED);
	assert_int_equal(
	    fmt_rowhash_add_rows(&all, FMT_COPY_BINARY, "\xff\xff", 2),
	    FMT_MALFORMED);
	assert_true(fmt_rowhash_is_equal(&all, &before));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_ends_where_its_fields_end),
	    cmocka_unit_test(a_row_that_is_cut_anywhere_is_not_one),
	    cmocka_unit_test(numbers_beyond_all_bounds_are_refused),
	    cmocka_unit_test(as_many_fields_as_a_query_can_have_are_a_row),
	    cmocka_unit_test(a_line_ends_with_its_newline),
	    cmocka_unit_test(forms_have_names_and_no_others),
	    cmocka_unit_test(binary_rows_are_hashed_whole_and_in_any_order),
	};
	return cmocka_run_group_tests_name("pgcopy", tests, NULL, NULL);
}
