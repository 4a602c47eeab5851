/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/rowhash.h"

static struct fmt_rowhash
hash_of(const char *rows)
{
	struct fmt_rowhash hash = FMT_ROWHASH_INIT;

	assert_int_equal(
	    fmt_rowhash_add_rows(&hash, FMT_COPY_TEXT, rows, strlen(rows)),
	    FMT_OK);
	return hash;
}

static void
assert_text(const struct fmt_rowhash *hash, const char *expected)
{
	char text[FMT_ROWHASH_TEXT];

	fmt_rowhash_text(hash, text);
	assert_string_equal(text, expected);
}

/* The digests were taken from the shared library, not from our copy of it. */
static void
the_sum_is_the_one_in_the_specification(void **state)
{
	struct fmt_rowhash hash = hash_of("1\ta\n2\tb\n");

	(void)state;
	assert_int_equal(hash.rows, 2);
	assert_text(&hash, "562a8f305b5735d60f3e2124590cb2cc");
	hash = hash_of("1\ta\n");
	assert_text(&hash, "dfdfac54cb29e8696994823e93f32b4f");
	hash = hash_of("\n");
	assert_text(&hash, "99aa06d3014798d86001c324468d497f");
}

static void
no_rows_sum_up_to_zero(void **state)
{
	struct fmt_rowhash hash = FMT_ROWHASH_INIT;

	(void)state;
	assert_int_equal(
	    fmt_rowhash_add_rows(&hash, FMT_COPY_TEXT, NULL, 0), FMT_OK);
	assert_int_equal(hash.rows, 0);
	assert_text(&hash, "00000000000000000000000000000000");
}

static void
order_and_portions_do_not_matter(void **state)
{
	struct fmt_rowhash a = hash_of("one\ntwo\nthree\n\nlast one\n");
	struct fmt_rowhash b = hash_of("\nthree\nlast one\n");
	struct fmt_rowhash c = hash_of("two\none\n");

	(void)state;
	fmt_rowhash_merge(&b, &c);
	assert_true(fmt_rowhash_is_equal(&a, &b));
	assert_int_equal(b.rows, 5);
	b = hash_of("\n");
	fmt_rowhash_add(&b, "last one", 8);
	fmt_rowhash_add(&b, "two", 3);
	fmt_rowhash_add(&b, "three", 5);
	assert_false(fmt_rowhash_is_equal(&a, &b));
	fmt_rowhash_add(&b, "one", 3);
	assert_true(fmt_rowhash_is_equal(&a, &b));
}

static void
what_differs_by_a_row_has_another_hash(void **state)
{
	static const char *const others[] = {"a\nb\n", "a\nb\nb\nb\n",
	    "a\na\nb\n", "a\nb\nc\n", "a\nb\nB\n", "ab\n\nb\n", "a\nb\n\n",
	    "a\nb\nb \n", ""};
	struct fmt_rowhash hash = hash_of("a\nb\nb\n");

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct fmt_rowhash other = hash_of(others[i]);

		assert_false(fmt_rowhash_is_equal(&hash, &other));
	}
}

static void
equality_looks_at_every_part(void **state)
{
	struct fmt_rowhash a = {1, 2, 3};

	(void)state;
	assert_true(fmt_rowhash_is_equal(&a, &(struct fmt_rowhash){1, 2, 3}));
	assert_false(fmt_rowhash_is_equal(&a, &(struct fmt_rowhash){0, 2, 3}));
	assert_false(fmt_rowhash_is_equal(&a, &(struct fmt_rowhash){1, 0, 3}));
	assert_false(fmt_rowhash_is_equal(&a, &(struct fmt_rowhash){1, 2, 0}));
}

static void
the_sum_carries_from_low_to_high(void **state)
{
	struct fmt_rowhash hash = {UINT64_MAX, 5, 1};
	struct fmt_rowhash one = {1, UINT64_MAX, 1};

	(void)state;
	fmt_rowhash_merge(&hash, &(struct fmt_rowhash){1, 0, 0});
	assert_true(hash.low == 0 && hash.high == 6);
	fmt_rowhash_merge(&hash, &one);
	assert_true(hash.low == 1 && hash.high == 5 && hash.rows == 2);
}

static void
a_row_that_is_cut_adds_nothing(void **state)
{
	struct fmt_rowhash hash = hash_of("whole\n"), before = hash;

	(void)state;
	assert_int_equal(
	    fmt_rowhash_add_rows(&hash, FMT_COPY_TEXT, "a\nb\nc", 5),
	    FMT_TRUNCATED);
	assert_int_equal(
	    fmt_rowhash_add_rows(&hash, FMT_COPY_TEXT, "x", 1), FMT_TRUNCATED);
	assert_true(fmt_rowhash_is_equal(&hash, &before));
}

static void
rows_may_hold_any_byte_and_any_length(void **state)
{
	struct fmt_rowhash hash = FMT_ROWHASH_INIT, one = FMT_ROWHASH_INIT;
	char *rows = malloc(3000);

	(void)state;
	assert_non_null(rows);
	/* Each length of a row, so that each path of XXH3 is taken. */
	for (size_t len = 0; len < 3000; len++) {
		memset(rows, (int)(len % 10), len);
		rows[len] = '\n';
		hash = one = (struct fmt_rowhash)FMT_ROWHASH_INIT;
		assert_int_equal(
		    fmt_rowhash_add_rows(&hash, FMT_COPY_TEXT, rows, len + 1),
		    FMT_OK);
		fmt_rowhash_add(&one, rows, len);
		assert_true(fmt_rowhash_is_equal(&hash, &one));
	}
	free(rows);
}

static void
text_goes_there_and_back_and_nothing_else_is_taken(void **state)
{
	static const char *const wrong[] = {"", "0",
	    "0123456789abcdef0123456789abcde",
	    "0123456789abcdef0123456789abcdefa",
	    "0123456789abcdef0123456789abcdeg",
	    " 123456789abcdef0123456789abcdef"};
	struct fmt_rowhash hash;

	(void)state;
	assert_int_equal(
	    fmt_rowhash_parse("0123456789abcdeffedcba9876543210", &hash),
	    FMT_OK);
	assert_true(hash.high == UINT64_C(0x0123456789abcdef));
	assert_true(hash.low == UINT64_C(0xfedcba9876543210));
	assert_int_equal(hash.rows, 0);
	assert_text(&hash, "0123456789abcdeffedcba9876543210");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
		    fmt_rowhash_parse(wrong[i], &hash), FMT_MALFORMED);
	assert_true(hash.high == UINT64_C(0x0123456789abcdef));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_sum_is_the_one_in_the_specification),
	    cmocka_unit_test(no_rows_sum_up_to_zero),
	    cmocka_unit_test(order_and_portions_do_not_matter),
	    cmocka_unit_test(what_differs_by_a_row_has_another_hash),
	    cmocka_unit_test(equality_looks_at_every_part),
	    cmocka_unit_test(the_sum_carries_from_low_to_high),
	    cmocka_unit_test(a_row_that_is_cut_adds_nothing),
	    cmocka_unit_test(rows_may_hold_any_byte_and_any_length),
	    cmocka_unit_test(
		text_goes_there_and_back_and_nothing_else_is_taken),
	};

	return cmocka_run_group_tests_name("rowhash", tests, NULL, NULL);
}
