/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/source/bucket_history.h"

#define PREFIX "bucket/up"
#define ROOT PREFIX "@versions/"

/* 2026-11-21T07:00:00.123Z */
#define TIME_US INT64_C(1795244400123000)

static struct bkp_bucket_history *history;
static const struct fmt_entry none = FMT_ENTRY_INIT;

/* A sink that knows of no snapshot before. */
struct bkp_sink {
	int none;
};

static struct bkp_sink sink;

bool
bkp_sink_is_digest_only(const struct bkp_sink *of)
{
	(void)of;
	return false;
}

bool
bkp_sink_has_entry(struct bkp_sink *of, const struct fmt_entry *previous)
{
	(void)of;
	(void)previous;
	return false;
}

int
bkp_sink_previous_below(struct bkp_sink *of, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	(void)of;
	(void)prefix;
	(void)err;
	*out = NULL;
	return 0;
}

int
bkp_sink_recorded_below(struct bkp_sink *of, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	return bkp_sink_previous_below(of, prefix, out, err);
}

static int
begin(void **state)
{
	(void)state;
	return bkp_bucket_history_new(&sink, PREFIX, &history, NULL);
}

static int
end(void **state)
{
	(void)state;
	bkp_bucket_history_free(history);
	return 0;
}

/* As a listing gives them: of a key the newest first. */
static void
add(const char *key, const char *id, int64_t modified_us)
{
	const struct bkp_s3_version version = {.key = key,
	    .version_id = id,
	    .etag = "e",
	    .last_modified = "2026",
	    .storage_class = "",
	    .modified_us = modified_us};

	assert_int_equal(
	    bkp_bucket_history_add(history, &version, &none, NULL), 0);
}

static void
assert_next(const char *id, const char *path)
{
	struct bkp_bucket_item *item;

	assert_int_equal(bkp_bucket_history_next(history, &item, NULL), 0);
	assert_non_null(item);
	assert_string_equal(item->version_id, id);
	assert_string_equal(item->entry.path, path);
	bkp_bucket_item_free(item);
}

static void
versions_of_one_date_have_paths_in_their_order(void **state)
{
	(void)state;
	add("a", "3", TIME_US);
	add("a", "2", TIME_US);
	add("a", "1", TIME_US);
	add("b", "1", TIME_US);
	assert_next("1", ROOT "a #2026-11-21T07:00:00.123000Z");
	assert_next("2", ROOT "a #2026-11-21T07:00:00.123001Z");
	assert_next("3", ROOT "a #2026-11-21T07:00:00.123002Z");
	assert_next("1", ROOT "b #2026-11-21T07:00:00.123000Z");
}

/* AWS dates a multipart object by the beginning of its upload. */
static void
the_order_is_that_of_the_listing_whatever_the_dates_say(void **state)
{
	(void)state;
	add("a", "3", TIME_US + 5000);
	add("a", "2", TIME_US - 1000);
	add("a", "1", TIME_US);
	assert_next("1", ROOT "a #2026-11-21T07:00:00.123000Z");
	assert_next("2", ROOT "a #2026-11-21T07:00:00.123001Z");
	assert_next("3", ROOT "a #2026-11-21T07:00:00.128000Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		versions_of_one_date_have_paths_in_their_order, begin, end),
	    cmocka_unit_test_setup_teardown(
		the_order_is_that_of_the_listing_whatever_the_dates_say, begin,
		end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
