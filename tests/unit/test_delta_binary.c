/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of rows in COPY's binary form: they speak of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/delta.h"

#define ROWS 60

static const unsigned char key[FMT_SIPHASH_KEY] = "sixteen bytes of";

/* Two chunks and what is known of them. */
struct pair {
	struct fmt_buf before, text, delta;
	struct fmt_delta_lines old, new;
	struct fmt_delta_base base;
};

/* A row of one field, which holds newlines and zeros. */
static void
add_row(struct fmt_buf *out, unsigned n)
{
	char field[64];
	int len = snprintf(
	    field, sizeof(field), "%u\n%creally a row %u", n, 0, n * 7919);
	unsigned char head[6] = {0, 1, 0, 0, 0, 0};

	assert_true(len > 0 && len < 64);
	head[5] = (unsigned char)len;
	assert_int_equal(fmt_buf_append(out, head, sizeof(head)), FMT_OK);
	assert_int_equal(fmt_buf_append(out, field, (size_t)len), FMT_OK);
}

static void
split(const struct fmt_buf *rows, struct fmt_delta_lines *out)
{
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_BINARY, rows->data, rows->len, out),
	    FMT_OK);
}

/* Rows 0 to ROWS-1; and those without 20, with another 40 and some at the
 * end. */
static void
set_up(struct pair *pair)
{
	*pair = (struct pair){.before = FMT_BUF_INIT,
	    .text = FMT_BUF_INIT,
	    .delta = FMT_BUF_INIT,
	    .old = FMT_DELTA_LINES_INIT,
	    .new = FMT_DELTA_LINES_INIT};
	for (unsigned n = 0; n < ROWS; n++) {
		add_row(&pair->before, n);
		if (n != 20)
			add_row(&pair->text, n == 40 ? 4040 : n);
	}
	add_row(&pair->text, 9001);
	split(&pair->before, &pair->old);
	split(&pair->text, &pair->new);
	pair->base = (struct fmt_delta_base){.id = {0xab},
	    .len = (uint32_t)pair->before.len,
	    .hashes = pair->old.hashes,
	    .starts = pair->old.starts,
	    .count = pair->old.count};
}

static void
tear_down(struct pair *pair)
{
	fmt_buf_free(&pair->before);
	fmt_buf_free(&pair->text);
	fmt_buf_free(&pair->delta);
	fmt_delta_lines_free(&pair->old);
	fmt_delta_lines_free(&pair->new);
}

static enum fmt_status
make(struct pair *pair)
{
	return fmt_delta_make(&pair->base, pair->text.data, pair->text.len,
	    &pair->new, pair->text.len, &pair->delta);
}

static enum fmt_status
prove(const struct pair *pair)
{
	return fmt_delta_prove(pair->delta.data, pair->delta.len, &pair->base,
	    pair->text.data, pair->text.len, &pair->new);
}

static void
rows_are_found_and_hashed(void **state)
{
	struct pair pair;

	(void)state;
	set_up(&pair);
	assert_int_equal(pair.old.count, ROWS);
	assert_int_equal(pair.new.count, ROWS);
	assert_int_equal(pair.old.starts[ROWS], pair.before.len);
	assert_true(pair.old.hashes[19] == pair.new.hashes[19]);
	assert_true(pair.old.hashes[21] == pair.new.hashes[20]);
	assert_int_equal(fmt_delta_split(key, FMT_COPY_BINARY, pair.before.data,
			     pair.before.len - 1, &pair.old),
	    FMT_TRUNCATED);
	assert_int_equal(
	    fmt_delta_split(key, FMT_COPY_BINARY, "\xff\xff", 2, &pair.old),
	    FMT_MALFORMED);
	tear_down(&pair);
}

static void
what_differs_is_stored_and_comes_back(void **state)
{
	struct fmt_buf back = FMT_BUF_INIT;
	struct fmt_delta_head head;
	struct pair pair;

	(void)state;
	set_up(&pair);
	assert_int_equal(make(&pair), FMT_OK);
	assert_true(pair.delta.len < pair.text.len / 3);
	assert_memory_equal(pair.delta.data, "libbackup delta 2 ab", 20);
	assert_int_equal(prove(&pair), FMT_OK);
	assert_int_equal(
	    fmt_delta_head(pair.delta.data, pair.delta.len, &head), FMT_OK);
	assert_int_equal(head.form, FMT_COPY_BINARY);
	assert_int_equal(fmt_delta_apply(pair.delta.data, pair.delta.len,
			     pair.before.data, pair.before.len, &back),
	    FMT_OK);
	assert_int_equal(back.len, pair.text.len);
	assert_memory_equal(back.data, pair.text.data, back.len);
	fmt_buf_free(&back);
	tear_down(&pair);
}

static void
a_base_of_the_other_form_is_none(void **state)
{
	struct pair pair;

	(void)state;
	set_up(&pair);
	assert_int_equal(make(&pair), FMT_OK);
	pair.base.starts = NULL;
	assert_int_equal(prove(&pair), FMT_MALFORMED);
	pair.delta.len = 0;
	assert_int_equal(make(&pair), FMT_LIMIT);
	assert_int_equal(pair.delta.len, 0);
	pair.base.starts = pair.old.starts;
	pair.new.form = FMT_COPY_TEXT;
	assert_int_equal(make(&pair), FMT_LIMIT);
	tear_down(&pair);
}

/* The difference that these ops make. */
static void
write_ops(struct pair *pair, const char *ops, size_t ops_len)
{
	struct fmt_delta_head head;

	pair->delta.len = 0;
	assert_int_equal(make(pair), FMT_OK);
	assert_int_equal(
	    fmt_delta_head(pair->delta.data, pair->delta.len, &head), FMT_OK);
	pair->delta.len = head.head_len;
	assert_int_equal(fmt_buf_append(&pair->delta, ops, ops_len), FMT_OK);
}

static void
only_whole_rows_that_are_right_are_proven(void **state)
{
	char ops[256];
	struct pair pair;
	int len;

	(void)state;
	set_up(&pair);
	/* The same bytes, cut inside of a row. */
	len = snprintf(
	    ops, sizeof(ops), "=1 10\n=11 %u\n", pair.old.starts[2] - 10);
	write_ops(&pair, ops, (size_t)len);
	assert_int_equal(prove(&pair), FMT_MALFORMED);
	/* The right ones but for a byte. */
	len = snprintf(ops, sizeof(ops), "=1 %u\n", pair.old.starts[3] - 1);
	write_ops(&pair, ops, (size_t)len);
	assert_int_equal(prove(&pair), FMT_MALFORMED);
	/* The right ones, a byte too early. */
	len = snprintf(ops, sizeof(ops), "=1 %u\n=%u %u\n", pair.old.starts[1],
	    pair.old.starts[1], pair.old.starts[2] - pair.old.starts[1]);
	write_ops(&pair, ops, (size_t)len);
	assert_int_equal(prove(&pair), FMT_MALFORMED);
	/* Whole rows, and others. */
	len = snprintf(ops, sizeof(ops), "=%u %u\n", pair.old.starts[1] + 1,
	    pair.old.starts[3] - pair.old.starts[1]);
	write_ops(&pair, ops, (size_t)len);
	assert_int_equal(prove(&pair), FMT_MALFORMED);
	/* The right ones, and too few of them. */
	len = snprintf(ops, sizeof(ops), "=1 %u\n", pair.old.starts[3]);
	write_ops(&pair, ops, (size_t)len);
	assert_int_equal(prove(&pair), FMT_TRUNCATED);
	/* Beyond the end of the base. */
	len = snprintf(ops, sizeof(ops), "=%u %zu\n",
	    pair.old.starts[ROWS - 1] + 1, pair.before.len);
	write_ops(&pair, ops, (size_t)len);
	assert_int_equal(prove(&pair), FMT_MALFORMED);
	tear_down(&pair);
}

static void
what_copies_beyond_the_base_is_refused(void **state)
{
	static const char *const wrong[] = {"=1 4000\n", "=2000 2000\n",
	    "=8000000 1\n", "=0 1\n", "=1 0\n", "+9\nshort", "=1\n", "?1\n",
	    "+1"};
	struct fmt_buf out = FMT_BUF_INIT;
	struct pair pair;

	(void)state;
	set_up(&pair);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		write_ops(&pair, wrong[i], strlen(wrong[i]));
		assert_int_not_equal(
		    fmt_delta_apply(pair.delta.data, pair.delta.len,
			pair.before.data, pair.before.len, &out),
		    FMT_OK);
		assert_int_equal(out.len, 0);
		assert_int_not_equal(prove(&pair), FMT_OK);
	}
	fmt_buf_free(&out);
	tear_down(&pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_found_and_hashed),
	    cmocka_unit_test(what_differs_is_stored_and_comes_back),
	    cmocka_unit_test(a_base_of_the_other_form_is_none),
	    cmocka_unit_test(only_whole_rows_that_are_right_are_proven),
	    cmocka_unit_test(what_copies_beyond_the_base_is_refused),
	};
	return cmocka_run_group_tests_name("delta_binary", tests, NULL, NULL);
}
