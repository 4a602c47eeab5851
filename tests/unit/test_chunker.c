/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/chunker.h"
#include "formats/sign.h"

#define MIB ((size_t)1024 * 1024)
#define MAX_CUTS 1024

static const unsigned char key[32] = "a secret of thirty-two bytes....";

/* Bytes that look random and are the same in every run (xorshift64*). */
static void
fill(unsigned char *data, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed ^= seed >> 12;
		seed ^= seed << 25;
		seed ^= seed >> 27;
		data[i] = (unsigned char)(seed * 0x2545f4914f6cdd1dULL >> 56);
	}
}

static unsigned char *
random_data(size_t len, uint64_t seed)
{
	unsigned char *data = malloc(len);

	assert_non_null(data);
	fill(data, len, seed);
	return data;
}

static void
small_chunker(struct fmt_chunker *chunker)
{
	assert_int_equal(
	    fmt_chunker_init(chunker, key, 2048, 4096, 16384), FMT_OK);
}

/* The ends of all chunks; the last is len. */
static size_t
cut_all(const struct fmt_chunker *chunker, const unsigned char *data,
    size_t len, size_t ends[MAX_CUTS])
{
	size_t count = 0, pos = 0;

	while (pos < len) {
		size_t cut = fmt_chunker_cut(chunker, data + pos, len - pos);

		assert_true(count < MAX_CUTS);
		pos = cut == 0 ? len : pos + cut;
		ends[count++] = pos;
	}
	return count;
}

/*
 * The words are computed by the recipe of chunker.md with another program:
 *   printf 'libbackup chunker v1\0' | openssl dgst -sha256 -hmac "$key"
 */
static void
the_table_is_what_the_specification_says(void **state)
{
	unsigned char message[21] = "libbackup chunker v1", block[32];
	struct fmt_chunker chunker;

	(void)state;
	small_chunker(&chunker);
	message[20] = 63;
	assert_int_equal(fmt_hmac_sha256(key, 32, message, 21, block), FMT_OK);
	for (size_t word = 0; word < 4; word++)
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(block[8 * word + i],
			    chunker.gear[252 + word] >> (8 * i) & 0xff);
	assert_true(chunker.gear[0] == UINT64_C(0x3e4889bea7d0f92f));
	assert_true(chunker.mask_hard == UINT64_C(0xfffc000000000000));
	assert_true(chunker.mask_easy == UINT64_C(0xffc0000000000000));
}

/* Every place is judged by its last 64 bytes alone. */
static size_t
cut_by_the_book(
    const struct fmt_chunker *c, const unsigned char *data, size_t len)
{
	for (size_t end = c->min + 1; end <= len && end <= c->max; end++) {
		uint64_t hash = 0;

		for (size_t i = end - 64; i < end; i++)
			hash = (hash << 1) + c->gear[data[i]];
		if ((hash & (end <= c->avg ? c->mask_hard : c->mask_easy)) == 0)
			return end;
	}
	return len >= c->max ? c->max : 0;
}

static void
cuts_are_where_a_plain_reading_of_the_rule_puts_them(void **state)
{
	unsigned char *data = random_data(MIB, 3);
	struct fmt_chunker chunker;
	size_t pos = 0, cuts = 0;

	(void)state;
	small_chunker(&chunker);
	for (;;) {
		size_t cut = fmt_chunker_cut(&chunker, data + pos, MIB - pos);

		assert_int_equal(
		    cut, cut_by_the_book(&chunker, data + pos, MIB - pos));
		if (cut == 0)
			break;
		pos += cut;
		cuts++;
	}
	assert_true(cuts > 150 && cuts < 350);
	free(data);
}

static void
sizes_stay_between_min_and_max_around_avg(void **state)
{
	unsigned char *data = random_data(64 * MIB, 1);
	struct fmt_chunker chunker;
	size_t ends[MAX_CUTS], count, last = 0;

	(void)state;
	assert_int_equal(fmt_chunker_init(&chunker, key, FMT_CHUNKER_MIN,
			     FMT_CHUNKER_AVG, FMT_CHUNKER_MAX),
	    FMT_OK);
	count = cut_all(&chunker, data, 64 * MIB, ends);
	for (size_t i = 0; i + 1 < count; i++) {
		assert_true(ends[i] - last > FMT_CHUNKER_MIN);
		assert_true(ends[i] - last <= FMT_CHUNKER_MAX);
		last = ends[i];
	}
	assert_true(count > 64 * 2 / 3 && count < 64 * 3 / 2);
	free(data);
}

static void
bytes_without_a_cut_give_chunks_of_max(void **state)
{
	unsigned char *data = calloc(1, 40000);
	struct fmt_chunker chunker;

	(void)state;
	assert_non_null(data);
	small_chunker(&chunker);
	assert_int_equal(fmt_chunker_cut(&chunker, data, 40000), 16384);
	assert_int_equal(fmt_chunker_cut(&chunker, data, 16384), 16384);
	assert_int_equal(fmt_chunker_cut(&chunker, data, 16383), 0);
	free(data);
}

static void
too_few_bytes_ask_for_more_and_more_bytes_do_not_move_a_cut(void **state)
{
	unsigned char *data = random_data(65536, 9);
	struct fmt_chunker chunker;
	size_t cut;

	(void)state;
	small_chunker(&chunker);
	assert_int_equal(fmt_chunker_cut(&chunker, NULL, 0), 0);
	assert_int_equal(fmt_chunker_cut(&chunker, data, 2048), 0);
	cut = fmt_chunker_cut(&chunker, data, 65536);
	assert_true(cut > 2048 && cut < 16384);
	for (size_t len = 0; len < cut; len += 61)
		assert_int_equal(fmt_chunker_cut(&chunker, data, len), 0);
	for (size_t len = cut; len < 65536; len += 61)
		assert_int_equal(fmt_chunker_cut(&chunker, data, len), cut);
	free(data);
}

static void
an_insertion_changes_only_the_chunks_near_it(void **state)
{
	unsigned char *data = random_data(MIB, 5), *changed;
	struct fmt_chunker chunker;
	size_t before[MAX_CUTS], after[MAX_CUTS];
	size_t count_before, count_after, shared = 0;

	(void)state;
	changed = malloc(MIB + 1);
	assert_non_null(changed);
	memcpy(changed, data, MIB / 2);
	changed[MIB / 2] = 'x';
	memcpy(changed + MIB / 2 + 1, data + MIB / 2, MIB / 2);
	small_chunker(&chunker);
	count_before = cut_all(&chunker, data, MIB, before);
	count_after = cut_all(&chunker, changed, MIB + 1, after);
	for (size_t i = 0, k = 0; i < count_before; i++) {
		size_t end = before[i] + (before[i] > MIB / 2);

		while (k < count_after && after[k] < end)
			k++;
		shared += k < count_after && after[k] == end;
	}
	assert_true(shared + 8 > count_before);
	free(changed);
	free(data);
}

static void
another_key_cuts_elsewhere(void **state)
{
	unsigned char *data = random_data(MIB, 7);
	unsigned char other_key[32] = {1};
	struct fmt_chunker one, two;
	size_t a[MAX_CUTS], b[MAX_CUTS], count_a, count_b, shared = 0;

	(void)state;
	small_chunker(&one);
	assert_int_equal(
	    fmt_chunker_init(&two, other_key, 2048, 4096, 16384), FMT_OK);
	count_a = cut_all(&one, data, MIB, a);
	count_b = cut_all(&two, data, MIB, b);
	for (size_t i = 0; i + 1 < count_a; i++)
		for (size_t k = 0; k + 1 < count_b; k++)
			shared += a[i] == b[k];
	assert_true(shared < 5);
	free(data);
}

static void
sizes_that_make_no_sense_are_refused(void **state)
{
	static const size_t wrong[][3] = {
	    {512, 1000, 4096},                /* not a power of two */
	    {2048, 1024, 4096},               /* min above avg */
	    {512, 4096, 2048},                /* max below avg */
	    {32, 1024, 4096},                 /* min below the window */
	    {0, 0, 0}, {64, 32, 4096},        /* avg too small */
	    {64, (size_t)1 << 31, SIZE_MAX}}; /* avg too large */
	struct fmt_chunker chunker = {.min = 1};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(fmt_chunker_init(&chunker, key, wrong[i][0],
				     wrong[i][1], wrong[i][2]),
		    FMT_LIMIT);
	assert_int_equal(chunker.min, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table_is_what_the_specification_says),
	    cmocka_unit_test(
		cuts_are_where_a_plain_reading_of_the_rule_puts_them),
	    cmocka_unit_test(sizes_stay_between_min_and_max_around_avg),
	    cmocka_unit_test(bytes_without_a_cut_give_chunks_of_max),
	    cmocka_unit_test(
		too_few_bytes_ask_for_more_and_more_bytes_do_not_move_a_cut),
	    cmocka_unit_test(an_insertion_changes_only_the_chunks_near_it),
	    cmocka_unit_test(another_key_cuts_elsewhere),
	    cmocka_unit_test(sizes_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests_name("chunker", tests, NULL, NULL);
}
