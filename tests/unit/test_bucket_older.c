/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/source/bucket_older.h"

static struct bkp_bucket_older *older;

static int
begin(void **state)
{
	(void)state;
	return bkp_bucket_older_new(&older, NULL);
}

static int
end(void **state)
{
	(void)state;
	bkp_bucket_older_free(older);
	older = NULL;
	return 0;
}

static void
add(const char *key, unsigned number)
{
	char id[16];
	const struct bkp_bucket_aside version = {.key = key,
	    .version_id = id,
	    .etag = "e",
	    .last_modified = "2026",
	    .storage_class = "",
	    .modified_us = number,
	    .size = number};

	(void)snprintf(id, sizeof(id), "%u", number);
	assert_int_equal(bkp_bucket_older_add(older, &version, NULL), 0);
}

static void
expect(const char *key, unsigned number)
{
	struct bkp_bucket_aside version;

	assert_int_equal(bkp_bucket_older_next(older, &version, NULL), 1);
	assert_string_equal(version.key, key);
	assert_int_equal(version.size, number);
	assert_int_equal(strtoul(version.version_id, NULL, 10), number);
}

static void
expect_end(void)
{
	struct bkp_bucket_aside version;

	assert_int_equal(bkp_bucket_older_next(older, &version, NULL), 0);
	assert_int_equal(bkp_bucket_older_next(older, &version, NULL), 0);
}

static void
keys_come_in_order_and_versions_the_other_way(void **state)
{
	(void)state;
	add("a", 3);
	add("a", 2);
	add("a", 1);
	add("b", 9);
	add("c", 5);
	add("c", 4);
	assert_int_equal(bkp_bucket_older_count(older), 6);
	assert_int_equal(bkp_bucket_older_rewind(older, NULL), 0);
	expect("a", 1);
	expect("a", 2);
	expect("a", 3);
	expect("b", 9);
	expect("c", 4);
	expect("c", 5);
	expect_end();
}

static void
none_are_none(void **state)
{
	(void)state;
	assert_int_equal(bkp_bucket_older_rewind(older, NULL), 0);
	expect_end();
}

/* More than any buffer between here and the file holds. */
static void
many_versions_of_one_key_come_as_few_do(void **state)
{
	(void)state;
	for (unsigned i = 20000; i > 0; i--)
		add("key", i);
	assert_int_equal(bkp_bucket_older_rewind(older, NULL), 0);
	for (unsigned i = 1; i <= 20000; i++)
		expect("key", i);
	expect_end();
}

static void
all_of_a_version_comes_back(void **state)
{
	const struct bkp_bucket_aside version = {.key = "a \x01\xff",
	    .version_id = "null",
	    .etag = "etag-2",
	    .last_modified = "2026-11-21T07:00:00Z",
	    .storage_class = "GLACIER",
	    .tags = "",
	    .is_delete_marker = true,
	    .size = UINT64_MAX - 1,
	    .modified_us = -5,
	    .former = "a\0b",
	    .former_len = 3};
	struct bkp_bucket_aside got;

	(void)state;
	assert_int_equal(bkp_bucket_older_add(older, &version, NULL), 0);
	add("b", 1);
	assert_int_equal(bkp_bucket_older_rewind(older, NULL), 0);
	assert_int_equal(bkp_bucket_older_next(older, &got, NULL), 1);
	assert_string_equal(got.key, version.key);
	assert_string_equal(got.version_id, version.version_id);
	assert_string_equal(got.etag, version.etag);
	assert_string_equal(got.last_modified, version.last_modified);
	assert_string_equal(got.storage_class, version.storage_class);
	assert_non_null(got.tags);
	assert_string_equal(got.tags, "");
	assert_true(got.is_delete_marker);
	assert_true(got.size == version.size);
	assert_int_equal(got.modified_us, version.modified_us);
	assert_int_equal(got.former_len, 3);
	assert_memory_equal(got.former, version.former, 3);
	assert_int_equal(bkp_bucket_older_next(older, &got, NULL), 1);
	assert_null(got.tags);
	assert_null(got.former);
	assert_false(got.is_delete_marker);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		keys_come_in_order_and_versions_the_other_way, begin, end),
	    cmocka_unit_test_setup_teardown(none_are_none, begin, end),
	    cmocka_unit_test_setup_teardown(
		many_versions_of_one_key_come_as_few_do, begin, end),
	    cmocka_unit_test_setup_teardown(
		all_of_a_version_comes_back, begin, end),
	};

	return cmocka_run_group_tests_name("bucket_older", tests, NULL, NULL);
}
