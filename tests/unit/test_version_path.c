/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/version.h"

#define PREFIX "bucket/uploads"
#define ROOT PREFIX "@versions/"

/* 2026-11-21T07:00:00.123Z */
#define TIME_US INT64_C(1795244400123000)

static char *
path_of(const char *key, int64_t us)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	assert_int_equal(fmt_version_path(PREFIX, key, us, &buf), FMT_OK);
	assert_non_null(fmt_buf_text(&buf));
	return (char *)buf.data;
}

static void
assert_path(const char *key, const char *expected)
{
	char *path = path_of(key, TIME_US);

	assert_string_equal(path, expected);
	free(path);
}

/* These are in snapshots: they stay what they are. */
static void
a_path_is_the_key_and_the_time(void **state)
{
	(void)state;
	assert_path("a/b.pdf", ROOT "a/b.pdf #2026-11-21T07:00:00.123000Z");
	assert_path("my file", ROOT "my ~file #2026-11-21T07:00:00.123000Z");
	assert_path("#\x01\x1f ~\xff",
	    ROOT "# A _ ~~\xff #2026-11-21T07:00:00.123000Z");
}

static void
the_key_comes_back_from_the_path(void **state)
{
	static const char *const keys[] = {"a", " ", "  ", " #", "#", "a #b",
	    "a ~", "\x01", "\x1f", "//", "..", "a/", "\xff\xfe", "a\nb", "%20"};

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct fmt_buf key = FMT_BUF_INIT;
		char *path = path_of(keys[i], TIME_US);

		assert_int_equal(fmt_version_key(PREFIX, path, &key), FMT_OK);
		assert_string_equal(fmt_buf_text(&key), keys[i]);
		fmt_buf_free(&key);
		free(path);
	}
}

/* Every key of two bytes, and the one that it begins with. */
static void
paths_are_in_the_order_of_the_keys(void **state)
{
	char *before = path_of("\x01", TIME_US);

	(void)state;
	for (unsigned first = 1; first < 256; first++) {
		for (unsigned second = 0; second < 256; second++) {
			char key[3] = {(char)first, (char)second, '\0'};
			char *path;

			if (first == 1 && second == 0)
				continue;
			/* Whatever the times are. */
			path = path_of(key, second % 2 == 0 ? 0 : TIME_US);
			assert_true(strcmp(before, path) < 0);
			free(before);
			before = path;
		}
	}
	free(before);
}

static void
paths_of_one_key_are_in_the_order_of_the_times(void **state)
{
	static const int64_t times[] = {0, 1, 999999, 1000000, TIME_US,
	    TIME_US + 1, INT64_C(253402300799999999)};

	(void)state;
	for (size_t i = 1; i < sizeof(times) / sizeof(times[0]); i++) {
		char *one = path_of("a", times[i - 1]);
		char *other = path_of("a", times[i]);

		assert_true(strcmp(one, other) < 0);
		assert_int_equal(strlen(one), strlen(other));
		free(one);
		free(other);
	}
}

static void
a_time_without_four_digits_of_a_year_is_refused(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_version_path(PREFIX, "a", -1, &buf), FMT_LIMIT);
	assert_int_equal(
	    fmt_version_path(PREFIX, "a", INT64_C(253402300800000000), &buf),
	    FMT_LIMIT);
	fmt_buf_free(&buf);
}

static void
what_is_no_path_of_a_version_has_no_key(void **state)
{
	static const char *const paths[] = {PREFIX "/a", PREFIX, ROOT, ROOT "a",
	    ROOT "a #", ROOT " #2026", ROOT "a b #2026", ROOT "a @ #2026",
	    ROOT "a ` #2026", ROOT "a\x01 #2026", ROOT "a ", "bucket/other@",
	    "bucket/uploads2@versions/a #2026", ""};
	struct fmt_buf key = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&key, "kept"), FMT_OK);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(
		    fmt_version_key(PREFIX, paths[i], &key), FMT_MALFORMED);
		assert_string_equal(fmt_buf_text(&key), "kept");
	}
	fmt_buf_free(&key);
}

static bool
is_selected(const char *key, const char *by)
{
	struct fmt_buf selection = FMT_BUF_INIT;
	char *path = path_of(key, TIME_US);
	bool answer;

	assert_int_equal(fmt_version_selection(PREFIX, by, &selection), FMT_OK);
	answer = fmt_version_is_selected(path, fmt_buf_text(&selection));
	fmt_buf_free(&selection);
	free(path);
	return answer;
}

/* As the current versions of the same keys are. */
static void
a_selection_takes_in_a_key_and_what_is_below_it(void **state)
{
	(void)state;
	assert_true(is_selected("a", "a"));
	assert_true(is_selected("a/b", "a"));
	assert_true(is_selected("a/", "a/"));
	assert_true(is_selected("a/b c", "a/"));
	assert_true(is_selected("a b", "a b"));
	assert_true(is_selected("anything", ""));
	assert_false(is_selected("ab", "a"));
	assert_false(is_selected("a b", "a"));
	assert_false(is_selected("a #", "a"));
	assert_false(is_selected("a", "a/"));
	assert_false(is_selected("b", "a"));
	assert_false(fmt_version_is_selected(PREFIX "/a", ROOT "a"));
}

static void
what_begins_with_the_root_is_told(void **state)
{
	(void)state;
	assert_true(fmt_version_is_path(PREFIX, ROOT "a #2026"));
	assert_false(fmt_version_is_path(PREFIX, PREFIX "/a"));
	assert_false(fmt_version_is_path(PREFIX, PREFIX "@version"));
	assert_false(fmt_version_is_path("bucket/up", ROOT "a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_path_is_the_key_and_the_time),
	    cmocka_unit_test(the_key_comes_back_from_the_path),
	    cmocka_unit_test(paths_are_in_the_order_of_the_keys),
	    cmocka_unit_test(paths_of_one_key_are_in_the_order_of_the_times),
	    cmocka_unit_test(a_time_without_four_digits_of_a_year_is_refused),
	    cmocka_unit_test(what_is_no_path_of_a_version_has_no_key),
	    cmocka_unit_test(a_selection_takes_in_a_key_and_what_is_below_it),
	    cmocka_unit_test(what_begins_with_the_root_is_told),
	};

	return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
