/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the listing of a bucket is cut by what was there before: some entries
 * of that wait, and not many that are large.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/source/bucket_cuts.h"

#define COUNT 20000u
#define SKIPPED 7u /* "bucket/" */

/* Entries that nobody stored. */
struct bkp_entry_stream {
	size_t given;
	size_t chunks; /* of each */
};

int
bkp_entry_stream_next(struct bkp_entry_stream *stream, struct fmt_entry *entry,
    struct bkp_error *err)
{
	struct fmt_chunk_ref ref = {.len = 1};
	char path[32];

	(void)err;
	if (stream->given == COUNT)
		return 0;
	(void)snprintf(path, sizeof(path), "bucket/%06zu", stream->given++);
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	assert_int_equal(fmt_entry_init(entry, path, "bucket.object"), FMT_OK);
	for (size_t i = 0; i < stream->chunks; i++)
		assert_int_equal(fmt_entry_add_chunk(entry, &ref), FMT_OK);
	return 1;
}

void
bkp_entry_stream_close(struct bkp_entry_stream *stream)
{
	free(stream);
}

static struct bkp_bucket_former *
begin(size_t chunks, struct bkp_entry_stream **stream)
{
	struct bkp_bucket_former *former = NULL;

	*stream = calloc(1, sizeof(**stream));
	assert_non_null(*stream);
	(*stream)->chunks = chunks;
	assert_int_equal(
	    bkp_bucket_former_new(*stream, SKIPPED, &former, NULL), 0);
	return former;
}

/* The next `count` come in their order. */
static void
assert_next(struct bkp_bucket_former *former, size_t from, size_t count)
{
	for (size_t i = from; i < from + count; i++) {
		struct fmt_entry entry = FMT_ENTRY_INIT;

		assert_int_equal(
		    bkp_bucket_former_next(former, &entry, NULL), 1);
		assert_int_equal(strtoul(entry.path + SKIPPED, NULL, 10), i);
		fmt_entry_free(&entry);
	}
}

static void
assert_cut(struct bkp_bucket_former *former, const char *expected)
{
	const char *key = NULL;

	assert_int_equal(bkp_bucket_former_cut(former, &key, NULL), 1);
	assert_string_equal(key, expected);
}

static void
small_ones_wait(void **state)
{
	struct bkp_entry_stream *stream;
	struct bkp_bucket_former *former = begin(15, &stream);
	const char *key = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;

	(void)state;
	assert_cut(former, "000999");
	assert_cut(former, "001999");
	/* What was asked for makes room, however many they are. */
	for (unsigned n = 0; n < 17; n++) {
		char expected[16];

		assert_next(former, n * 1000, 1000);
		(void)snprintf(
		    expected, sizeof(expected), "%06u", (n + 3) * 1000 - 1);
		assert_cut(former, expected);
	}
	assert_int_equal(bkp_bucket_former_cut(former, &key, NULL), 0);
	assert_next(former, 17000, COUNT - 17000);
	assert_int_equal(bkp_bucket_former_next(former, &entry, NULL), 0);
	bkp_bucket_former_free(former);
}

static void
few_large_ones_wait(void **state)
{
	struct bkp_entry_stream *stream;
	struct bkp_bucket_former *former = begin(1100, &stream);
	const char *key = NULL;

	(void)state;
	assert_int_equal(bkp_bucket_former_cut(former, &key, NULL), 0);
	assert_true(stream->given > 0 && stream->given < 100);
	assert_next(former, 0, 300);
	bkp_bucket_former_free(former);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_ones_wait),
	    cmocka_unit_test(few_large_ones_wait),
	};

	return cmocka_run_group_tests_name("bucket cuts", tests, NULL, NULL);
}
