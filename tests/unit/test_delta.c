/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/delta.h"
#include "formats/sign.h"

static const unsigned char key[FMT_SIPHASH_KEY] = "sixteen bytes of";

/* The difference of `text` to `before`, applied again, is `text`; writes the
 * difference behind its head to `ops`. FMT_LIMIT: there is none. */
static enum fmt_status
difference(const char *before, const char *text, struct fmt_buf *ops)
{
	struct fmt_delta_lines old = FMT_DELTA_LINES_INIT;
	struct fmt_delta_lines new = FMT_DELTA_LINES_INIT;
	struct fmt_buf delta = FMT_BUF_INIT, back = FMT_BUF_INIT;
	size_t before_len = strlen(before), len = strlen(text);
	struct fmt_delta_base base = {
	    .id = {0xab, 0xcd}, .len = (uint32_t)before_len};
	struct fmt_delta_head head;
	enum fmt_status status;

	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, before, before_len, &old),
	    FMT_OK);
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, text, len, &new), FMT_OK);
	base.hashes = old.hashes;
	base.count = old.count;
	status = fmt_delta_make(&base, text, len, &new, len, &delta);
	if (status == FMT_OK) {
		assert_true(delta.len < len);
		assert_int_equal(fmt_delta_prove(delta.data, delta.len, &base,
				     text, len, &new),
		    FMT_OK);
		assert_int_equal(
		    fmt_delta_head(delta.data, delta.len, &head), FMT_OK);
		assert_memory_equal(head.base, base.id, 32);
		assert_int_equal(head.base_len, before_len);
		assert_int_equal(head.len, len);
		assert_int_equal(fmt_delta_apply(delta.data, delta.len, before,
				     before_len, &back),
		    FMT_OK);
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data, text, len);
		if (ops != NULL)
			assert_int_equal(
			    fmt_buf_append(ops, delta.data + head.head_len,
				delta.len - head.head_len),
			    FMT_OK);
	} else {
		assert_int_equal(delta.len, 0);
	}
	fmt_delta_lines_free(&old);
	fmt_delta_lines_free(&new);
	fmt_buf_free(&delta);
	fmt_buf_free(&back);
	return status;
}

/* Lines from..to-1 of a long table. */
static void
add_lines(char *text, unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++)
		(void)sprintf(text + strlen(text),
		    "%u\tthe row number %u of a table that is long enough\n", n,
		    n * 7919);
}

static void
assert_ops(const char *before, const char *text, const char *expected)
{
	struct fmt_buf ops = FMT_BUF_INIT;

	assert_int_equal(difference(before, text, &ops), FMT_OK);
	assert_string_equal(fmt_buf_text(&ops), expected);
	fmt_buf_free(&ops);
}

static void
siphash_gives_the_values_of_its_paper(void **state)
{
	unsigned char sip_key[16], data[15];

	(void)state;
	for (unsigned char i = 0; i < 16; i++)
		sip_key[i] = i;
	for (unsigned char i = 0; i < 15; i++)
		data[i] = i;
	assert_true(
	    fmt_siphash(sip_key, data, 15) == UINT64_C(0xa129ca6149be45e5));
	assert_true(
	    fmt_siphash(sip_key, data, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(
	    fmt_siphash(sip_key, data, 8) == UINT64_C(0x93f5f5799a932462));
}

static void
two_siphashes_at_once_are_those_of_each(void **state)
{
	unsigned char sip_key[16] = {7}, data[80];
	uint64_t two[2];

	(void)state;
	for (unsigned char i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 37);
	for (size_t a = 0; a <= 40; a++)
		for (size_t b = 0; b <= 40; b++) {
			fmt_siphash_two(sip_key, data, a, data + a, b, two);
			assert_true(two[0] == fmt_siphash(sip_key, data, a));
			assert_true(
			    two[1] == fmt_siphash(sip_key, data + a, b));
		}
}

static void
lines_that_stay_are_copied_and_others_are_not(void **state)
{
	char before[8192] = "", text[8192] = "";

	(void)state;
	add_lines(before, 0, 50);
	/* Nothing changed. */
	assert_ops(before, before, "=1 50\n");
	/* One changed, where it stands. */
	add_lines(text, 0, 10);
	strcat(text, "other\n");
	add_lines(text, 11, 50);
	assert_ops(before, text, "=1 10\n+1\nother\n=12 39\n");
	/* The first and the last one new; one in the middle gone. */
	strcpy(text, "first\n");
	add_lines(text, 0, 20);
	add_lines(text, 21, 50);
	strcat(text, "last\n\n");
	assert_ops(before, text, "+1\nfirst\n=1 20\n=22 29\n+2\nlast\n\n");
	/* Cut at both ends. */
	text[0] = '\0';
	add_lines(text, 3, 47);
	assert_ops(before, text, "=4 44\n");
}

static void
lines_that_moved_and_lines_that_are_equal_are_found(void **state)
{
	char before[8192] = "", text[8192] = "";

	(void)state;
	add_lines(before, 0, 50);
	add_lines(text, 30, 50);
	add_lines(text, 0, 30);
	assert_ops(before, text, "=31 20\n=1 30\n");
	/* Twice. */
	text[0] = '\0';
	add_lines(text, 0, 50);
	add_lines(text, 0, 50);
	assert_ops(before, text, "=1 50\n=1 50\n");
	/* All lines equal: more of them, fewer of them. */
	before[0] = text[0] = '\0';
	for (unsigned i = 0; i < 100; i++)
		strcat(before, "the same row in every place\n");
	strcpy(text, before);
	strcat(text, before);
	assert_ops(before, text, "=1 100\n=1 100\n");
	text[10 * 28] = '\0';
	assert_int_equal(difference(before, text, NULL), FMT_OK);
}

static void
a_line_alone_is_not_copied(void **state)
{
	char before[8192] = "", text[8192] = "";
	struct fmt_buf ops = FMT_BUF_INIT;

	(void)state;
	add_lines(before, 0, 50);
	add_lines(text, 0, 40);
	strcat(text, "new\n");
	add_lines(text, 41, 42);
	strcat(text, "new too\n");
	add_lines(text, 43, 50);
	assert_int_equal(difference(before, text, &ops), FMT_OK);
	assert_non_null(strstr(fmt_buf_text(&ops), "=1 40\n+3\nnew\n41\t"));
	fmt_buf_free(&ops);
}

static void
what_is_no_smaller_is_not_made(void **state)
{
	char before[8192] = "", text[8192] = "";
	struct fmt_delta_lines lines = FMT_DELTA_LINES_INIT;
	struct fmt_delta_base base = {.len = 0};
	struct fmt_buf out = FMT_BUF_INIT;
	size_t needed;

	(void)state;
	add_lines(before, 0, 20);
	add_lines(text, 100, 120);
	assert_int_equal(difference(before, text, NULL), FMT_LIMIT);
	assert_int_equal(difference(before, "a\n", NULL), FMT_LIMIT);
	assert_int_equal(difference("", text, NULL), FMT_LIMIT);
	assert_int_equal(difference(before, "", NULL), FMT_LIMIT);
	/* Exactly as much as it takes, and a byte less. */
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, before, strlen(before), &lines),
	    FMT_OK);
	base.len = (uint32_t)strlen(before);
	base.hashes = lines.hashes;
	base.count = lines.count;
	assert_int_equal(fmt_delta_make(&base, before, strlen(before), &lines,
			     strlen(before), &out),
	    FMT_OK);
	needed = out.len;
	assert_int_equal(fmt_delta_make(&base, before, strlen(before), &lines,
			     needed - 1, &out),
	    FMT_LIMIT);
	assert_int_equal(out.len, needed);
	assert_int_equal(
	    fmt_delta_make(&base, before, strlen(before), &lines, needed, &out),
	    FMT_OK);
	assert_int_equal(out.len, 2 * needed);
	fmt_delta_lines_free(&lines);
	fmt_buf_free(&out);
}

static void
text_without_a_newline_at_its_end_is_refused(void **state)
{
	struct fmt_delta_lines lines = FMT_DELTA_LINES_INIT;
	struct fmt_buf out = FMT_BUF_INIT;
	char delta[] = "libbackup delta 1 "
		       "000000000000000000000000000000000000000000000000000000"
		       "0000000000 3 3\n=1 1\n";

	(void)state;
	assert_int_equal(fmt_delta_split(key, FMT_COPY_TEXT, "a\nb", 3, &lines),
	    FMT_TRUNCATED);
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, "", 0, &lines), FMT_OK);
	assert_int_equal(lines.count, 0);
	assert_int_equal(fmt_delta_apply(delta, strlen(delta), "a\nb", 3, &out),
	    FMT_MALFORMED);
	assert_int_equal(
	    fmt_delta_apply(delta, strlen(delta), "ab\n", 3, &out), FMT_OK);
	fmt_delta_lines_free(&lines);
	fmt_buf_free(&out);
}

/* ---- what nobody wrote ---- */

#define HEAD                                                                   \
	"libbackup delta 1 "                                                   \
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void
nonsense_is_refused(void **state)
{
	static const struct {
		const char *delta;
		enum fmt_status expected;
	} cases[] = {
	    {HEAD " 8 6\n=1 2\n+1\nx\n", FMT_OK},
	    {"", FMT_MALFORMED},
	    {"libbackup delta", FMT_MALFORMED},
	    {"libbackup delta 3 x", FMT_UNSUPPORTED},
	    {"libbackup delta 2 x", FMT_MALFORMED},
	    {"libbackup delta 1 00", FMT_MALFORMED},
	    {HEAD, FMT_MALFORMED},
	    {HEAD " 8 6", FMT_MALFORMED},
	    {HEAD " 08 6\n=1 2\n+1\nx\n", FMT_MALFORMED},
	    {HEAD " 8 0\n", FMT_MALFORMED},
	    {HEAD " 8  6\n", FMT_MALFORMED},
	    {HEAD " 8 8388609\n", FMT_MALFORMED},
	    {HEAD " 8 99999999999999999999\n", FMT_MALFORMED},
	    {HEAD " 9 6\n=1 2\n+1\nx\n", FMT_MALFORMED}, /* other base */
	    {HEAD " 8 6\n", FMT_TRUNCATED},
	    {HEAD " 8 6\n=1 2\n", FMT_TRUNCATED},
	    {HEAD " 8 6\n=1 2\n+1\nx", FMT_TRUNCATED},
	    {HEAD " 8 6\n=1 2\n+2\nx\n", FMT_TRUNCATED},
	    {HEAD " 8 6\n=1 2\n+1\nxy\n", FMT_MALFORMED}, /* too long */
	    {HEAD " 8 6\n=0 2\n+1\nx\n", FMT_MALFORMED},
	    {HEAD " 8 6\n=4 2\n+1\nx\n", FMT_MALFORMED},
	    {HEAD " 8 6\n=5 1\n+1\nx\n", FMT_MALFORMED},
	    {HEAD " 8 6\n=1 8388608\n", FMT_MALFORMED},
	    {HEAD " 8 6\n-1 2\n", FMT_MALFORMED},
	    {HEAD " 8 6\n=1\n", FMT_MALFORMED},
	    {HEAD " 8 6\n+\nx\n", FMT_MALFORMED},
	    {HEAD " 8 6\n+1 \nx\n", FMT_MALFORMED},
	};
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum fmt_status status = fmt_delta_apply(cases[i].delta,
		    strlen(cases[i].delta), "a\nb\nc\nd\n", 8, &out);

		if (status != cases[i].expected)
			print_message("case %zu: %s\n", i, cases[i].delta);
		assert_int_equal(status, cases[i].expected);
	}
	assert_int_equal(out.len, 6);
	assert_memory_equal(out.data, "a\nb\nx\n", 6);
	fmt_buf_free(&out);
}

/* Every byte changed in turn: it is refused, or stands for something else, and
 * the proof tells. */
static void
every_changed_byte_is_proven_wrong(void **state)
{
	char before[8192] = "", text[8192] = "";
	struct fmt_delta_lines old = FMT_DELTA_LINES_INIT;
	struct fmt_delta_lines new = FMT_DELTA_LINES_INIT;
	struct fmt_delta_base base = {.id = {1}};
	struct fmt_buf delta = FMT_BUF_INIT, back = FMT_BUF_INIT;

	(void)state;
	add_lines(before, 0, 30);
	add_lines(text, 2, 9);
	strcat(text, "new\nlines\n");
	add_lines(text, 10, 30);
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, before, strlen(before), &old),
	    FMT_OK);
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, text, strlen(text), &new),
	    FMT_OK);
	base.len = (uint32_t)strlen(before);
	base.hashes = old.hashes;
	base.count = old.count;
	assert_int_equal(fmt_delta_make(&base, text, strlen(text), &new,
			     strlen(text), &delta),
	    FMT_OK);
	for (size_t i = 0; i < delta.len; i++) {
		delta.data[i] ^= 1;
		assert_int_not_equal(fmt_delta_prove(delta.data, delta.len,
					 &base, text, strlen(text), &new),
		    FMT_OK);
		fmt_buf_clear(&back);
		if (fmt_delta_apply(delta.data, delta.len, before,
			strlen(before), &back) == FMT_OK &&
		    (i < 18 || i >= 18 + 64)) /* not in the base's id */
			assert_memory_not_equal(back.data, text, strlen(text));
		delta.data[i] ^= 1;
	}
	for (size_t len = 0; len < delta.len; len++)
		assert_int_not_equal(fmt_delta_prove(delta.data, len, &base,
					 text, strlen(text), &new),
		    FMT_OK);
	/* Another base under the same id. */
	old.hashes[5] ^= 1;
	assert_int_equal(fmt_delta_prove(delta.data, delta.len, &base, text,
			     strlen(text), &new),
	    FMT_MALFORMED);
	fmt_delta_lines_free(&old);
	fmt_delta_lines_free(&new);
	fmt_buf_free(&delta);
	fmt_buf_free(&back);
}

/* Random tables, changed at random, with few different rows and with many. */
static void
random_changes_come_back(void **state)
{
	char *before = malloc(100000), *text = malloc(100000);
	uint32_t seed = 1;

	(void)state;
	assert_non_null(before);
	assert_non_null(text);
	for (unsigned round = 0; round < 200; round++) {
		unsigned kinds = round % 2 ? 3 : 100000, at = 0;
		char *b = before, *t = text;

		for (unsigned i = 0; i < 300 + round; i++) {
			char row[64];
			int len;

			seed = seed * 1664525 + 1013904223;
			len = snprintf(row, sizeof(row), "%u\tsome text\n",
			    (seed >> 8) % kinds);
			memcpy(b, row, (size_t)len);
			b += len;
			switch ((seed >> 4) % (round % 40 + 3)) {
			case 0: /* gone */
				break;
			case 1: /* changed */
				len = snprintf(
				    row, sizeof(row), "%u\tnew\n", at++);
				memcpy(t, row, (size_t)len);
				t += len;
				break;
			default:
				memcpy(t, row, (size_t)len);
				t += len;
			}
		}
		*b = *t = '\0';
		(void)difference(before, text, NULL);
		(void)difference(text, before, NULL);
	}
	free(before);
	free(text);
}

static void
the_longest_of_all_are_taken_and_no_longer(void **state)
{
	size_t len = FMT_DELTA_MAX;
	char *text = malloc(len + 1);
	struct fmt_delta_lines lines = FMT_DELTA_LINES_INIT;
	struct fmt_delta_base base = {.len = (uint32_t)len};
	struct fmt_buf delta = FMT_BUF_INIT, back = FMT_BUF_INIT;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len + 1);
	for (size_t i = 31; i < len + 1; i += 32)
		text[i] = '\n';
	text[len] = '\n';
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, text, len + 1, &lines),
	    FMT_LIMIT);
	text[30] = '\n'; /* a line too many */
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, text, len, &lines), FMT_LIMIT);
	text[30] = 'x';
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_TEXT, text, len, &lines), FMT_OK);
	assert_int_equal(lines.count, FMT_DELTA_LINES_MAX);
	base.hashes = lines.hashes;
	base.count = lines.count;
	assert_int_equal(
	    fmt_delta_make(&base, text, len, &lines, len, &delta), FMT_OK);
	assert_int_equal(
	    fmt_delta_apply(delta.data, delta.len, text, len, &back), FMT_OK);
	assert_int_equal(back.len, len);
	assert_memory_equal(back.data, text, len);
	assert_int_equal(
	    fmt_delta_make(&base, text, len + 1, &lines, len, &delta),
	    FMT_LIMIT);
	/* A base of more lines than that is not one. */
	text[30] = '\n';
	assert_int_equal(
	    fmt_delta_apply(delta.data, delta.len, text, len, &back),
	    FMT_LIMIT);
	fmt_delta_lines_free(&lines);
	fmt_buf_free(&delta);
	fmt_buf_free(&back);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(siphash_gives_the_values_of_its_paper),
	    cmocka_unit_test(two_siphashes_at_once_are_those_of_each),
	    cmocka_unit_test(lines_that_stay_are_copied_and_others_are_not),
	    cmocka_unit_test(
		lines_that_moved_and_lines_that_are_equal_are_found),
	    cmocka_unit_test(a_line_alone_is_not_copied),
	    cmocka_unit_test(what_is_no_smaller_is_not_made),
	    cmocka_unit_test(text_without_a_newline_at_its_end_is_refused),
	    cmocka_unit_test(nonsense_is_refused),
	    cmocka_unit_test(every_changed_byte_is_proven_wrong),
	    cmocka_unit_test(random_changes_come_back),
	    cmocka_unit_test(the_longest_of_all_are_taken_and_no_longer),
	};

	return cmocka_run_group_tests_name("delta", tests, NULL, NULL);
}
