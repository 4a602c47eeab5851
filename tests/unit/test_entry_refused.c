/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/entry_fixture.h"

#define ID_A "00000000000000000000000000000000000000000000000000000000000000aa"
#define LIMIT ((size_t)16 * 1024 * 1024)

static void
assert_list(const char *text, enum fmt_status expected)
{
	static const size_t portions[] = {1, 1u << 20};
	size_t count;

	for (size_t p = 0; p < 2; p++) {
		enum fmt_status status = entry_read_all(
		    text, strlen(text), portions[p], &count, NULL);

		if (status != expected)
			print_error("%s: %s\n", text, fmt_status_text(status));
		assert_int_equal(status, expected);
	}
}

static void
wrong_types_and_values_are_malformed(void **state)
{
	static const char *const wrong[] = {"\n", "{}\n", "[]\n", "null\n",
	    "{\"path\":1,\"kind\":\"k\"}\n", "{\"path\":\"\",\"kind\":\"k\"}\n",
	    "{\"path\":\"%0\",\"kind\":\"k\"}\n",
	    "{\"path\":\"a\\u0000b\",\"kind\":\"k\"}\n",
	    "{\"path\":\"a\",\"path\":\"a\",\"kind\":\"k\"}\n",
	    "{\"path\":\"a\"}\n", "{\"path\":\"a\",\"kind\":\"\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k k\"}\n",
	    "{\"path\":\"a\",\"kind\":7}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"attrs\":[]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"attrs\":null}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":-1}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":1.0}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":\"1\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":99999999999999999999}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":1}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"chunks\":[]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"sha256\":\"" ID_A "\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"sha256\":\"00\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"chunks\":{}}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"more\":1}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"more\":true}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,"
	    "\"chunks\":[[\"" ID_A "\",0]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":4,"
	    "\"chunks\":[[\"" ID_A "\",5]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":6,"
	    "\"chunks\":[[\"" ID_A "\",5]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":5,"
	    "\"chunks\":[[\"" ID_A "\",5,1]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":5,"
	    "\"chunks\":[[\"zz\",5]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":4294967296,"
	    "\"chunks\":[[\"" ID_A "\",4294967296]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\"} x\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_list(wrong[i], FMT_MALFORMED);
	assert_list("{\"path\":\"a\",\"kind\":\"k\"}\n", FMT_OK);
	assert_list("{\"path\":\"a\",\"kind\":\"k\",\"size\":5,"
		    "\"chunks\":[[\"" ID_A "\",5]],\"more\":false}\n",
	    FMT_OK);
}

/* Reads the one entry of a line that is `front` and `rest`. */
static enum fmt_status
read_one(const char *front, const char *rest, struct fmt_entry *entry)
{
	struct fmt_buf line = FMT_BUF_INIT;
	enum fmt_status status;
	size_t count;

	assert_int_equal(fmt_buf_append_text(&line, front), FMT_OK);
	assert_int_equal(fmt_buf_append_text(&line, rest), FMT_OK);
	status = entry_read_all(
	    (const char *)line.data, line.len, line.len, &count, entry);
	fmt_buf_free(&line);
	return status;
}

/* Lines as our writer has them are not read by what reads all others. */
static void
white_space_changes_nothing(void **state)
{
	static const char *const attrs[] = {"{}", "{\"\":\"\"}",
	    ("{\"a\":{\"b\":[[],{},1,\"x\"]},\"c\":true,\"d\":false,"
	     "\"e\":null}"),
	    "{\"a\":\"\\\"\\\\gr\xc3\xbc\xc3\x9f\x7f\",\"\\\"\":0}",
	    "{\"b\":1,\"a\":2}", "{\"a\":1,\"a\":2}", "{\"a\":01}",
	    "{\"a\":-1}", "{\"a\":1.5}", "{\"a\":1e3}",
	    "{\"a\":\"\\n\\u00e9\"}", "{\"a\":\"\\q\"}", "{\"a\":\"\t\"}",
	    "{\"a\":\"\xc3\"}", "{\"a\":\"\xed\xa0\x80\"}",
	    "{\"a\":\"\\u0000\"}", "{\"a\":999999999999999999}",
	    "{\"a\":9223372036854775807}", "{\"a\":9223372036854775808}",
	    "{\"a\":}", "{\"a\"}", "{\"a\":1,}", "{,}", "{\"a\":[1,]}",
	    "{\"a\":[1}", "{\"a\":tru}", "{\"a\":1", "[1]", "null", "1",
	    "{\"a\":\"", "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}"};
	size_t good = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
		struct fmt_entry plain = FMT_ENTRY_INIT, spaced = plain;
		char rest[512];
		enum fmt_status status;

		snprintf(rest, sizeof(rest),
		    "\"path\":\"a\\\"%%25\",\"kind\":\"k\",\"attrs\":%s,"
		    "\"size\":5,\"sha256\":\"" ID_A "\",\"chunks\":[[\"" ID_A
		    "\",5]]}\n",
		    attrs[i]);
		status = read_one("{", rest, &plain);
		assert_int_equal(read_one("{ ", rest, &spaced), status);
		if (status == FMT_OK) {
			entry_assert_same(&plain, &spaced);
			good++;
		}
		fmt_entry_free(&plain);
		fmt_entry_free(&spaced);
	}
	assert_int_equal(good, 12);
}

static void
keys_of_a_later_version_are_ignored(void **state)
{
	(void)state;
	assert_list("{\"path\":\"a\",\"kind\":\"k\",\"new\":[1,{}]}\n", FMT_OK);
}

static void
entries_out_of_order_or_twice_are_malformed(void **state)
{
	(void)state;
	assert_list("{\"path\":\"a\",\"kind\":\"k\"}\n"
		    "{\"path\":\"b\",\"kind\":\"k\"}\n",
	    FMT_OK);
	assert_list("{\"path\":\"b\",\"kind\":\"k\"}\n"
		    "{\"path\":\"a\",\"kind\":\"k\"}\n",
	    FMT_MALFORMED);
	assert_list("{\"path\":\"a\",\"kind\":\"k\"}\n"
		    "{\"path\":\"%61\",\"kind\":\"k\"}\n",
	    FMT_MALFORMED);
}

#define FIRST                                                                  \
	"{\"path\":\"a\",\"kind\":\"k\",\"size\":10,"                          \
	"\"chunks\":[[\"" ID_A "\",5]],\"more\":true}\n"
#define REST "{\"path\":\"a\",\"chunks\":[[\"" ID_A "\",5]]}\n"
#define OTHER "{\"path\":\"b\",\"kind\":\"k\"}\n"

static void
lines_of_one_entry_belong_together(void **state)
{
	(void)state;
	assert_list(FIRST REST, FMT_OK);
	assert_list(FIRST REST OTHER, FMT_OK);
	assert_list(FIRST, FMT_TRUNCATED);
	assert_list(FIRST OTHER, FMT_MALFORMED);
	assert_list(FIRST REST REST, FMT_MALFORMED);
	assert_list(OTHER REST, FMT_MALFORMED);
	assert_list(REST, FMT_MALFORMED);
	assert_list(FIRST "{\"path\":\"b\",\"chunks\":[[\"" ID_A "\",5]]}\n",
	    FMT_MALFORMED);
	assert_list(FIRST "{\"path\":\"a\",\"chunks\":[]}\n", FMT_MALFORMED);
	assert_list(FIRST "{\"path\":\"a\",\"chunks\":[[\"" ID_A "\",4]]}\n",
	    FMT_MALFORMED);
}

static void
a_list_cut_inside_a_line_is_truncated(void **state)
{
	static const char text[] = OTHER;
	size_t count;

	(void)state;
	for (size_t len = 1; len < sizeof(text) - 1; len++)
		assert_int_equal(entry_read_all(text, len, 1000, &count, NULL),
		    FMT_TRUNCATED);
	assert_int_equal(entry_read_all(text, 0, 1000, &count, NULL), FMT_OK);
	assert_int_equal(count, 0);
}

static void
reading_may_start_inside_an_entry_where_that_is_said(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_entry_reader *reader;
	bool have = false;

	(void)state;
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	fmt_entry_reader_start_inside(reader);
	assert_int_equal(fmt_entry_reader_feed(reader, REST REST OTHER REST,
			     strlen(REST REST OTHER REST)),
	    FMT_OK);
	assert_int_equal(fmt_entry_reader_next(reader, &entry, &have), FMT_OK);
	assert_true(have);
	assert_string_equal(entry.path, "b");
	fmt_entry_free(&entry);
	assert_int_equal(
	    fmt_entry_reader_next(reader, &entry, &have), FMT_MALFORMED);
	fmt_entry_reader_free(reader);
}

static void
a_reader_that_failed_stays_failed(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_entry_reader *reader;
	bool have;

	(void)state;
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	assert_int_equal(
	    fmt_entry_reader_feed(reader, "x\n" OTHER, 27), FMT_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fmt_entry_reader_next(reader, &entry, &have),
		    FMT_MALFORMED);
	assert_int_equal(
	    fmt_entry_reader_feed(reader, OTHER, 25), FMT_MALFORMED);
	assert_int_equal(fmt_entry_reader_finish(reader), FMT_MALFORMED);
	fmt_entry_reader_free(reader);
}

static void
a_line_without_end_is_beyond_the_limit(void **state)
{
	struct fmt_entry_reader *reader;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	char *spaces = malloc(LIMIT);
	bool have;

	(void)state;
	assert_non_null(spaces);
	memset(spaces, ' ', LIMIT);
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	assert_int_equal(
	    fmt_entry_reader_feed(reader, spaces, LIMIT - 1), FMT_OK);
	assert_int_equal(fmt_entry_reader_next(reader, &entry, &have), FMT_OK);
	assert_false(have);
	assert_int_equal(fmt_entry_reader_feed(reader, spaces, 1), FMT_OK);
	assert_int_equal(
	    fmt_entry_reader_next(reader, &entry, &have), FMT_LIMIT);
	fmt_entry_reader_free(reader);
	/* And no such line is written. */
	assert_int_equal(fmt_entry_init(&entry, "p", "k"), FMT_OK);
	spaces[LIMIT - 1] = '\0';
	entry.attrs = json_pack("{s:s}", "long", spaces);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_LIMIT);
	assert_int_equal(buf.len, 0);
	fmt_buf_free(&buf);
	fmt_entry_free(&entry);
	free(spaces);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_types_and_values_are_malformed),
	    cmocka_unit_test(white_space_changes_nothing),
	    cmocka_unit_test(keys_of_a_later_version_are_ignored),
	    cmocka_unit_test(entries_out_of_order_or_twice_are_malformed),
	    cmocka_unit_test(lines_of_one_entry_belong_together),
	    cmocka_unit_test(a_list_cut_inside_a_line_is_truncated),
	    cmocka_unit_test(
		reading_may_start_inside_an_entry_where_that_is_said),
	    cmocka_unit_test(a_reader_that_failed_stays_failed),
	    cmocka_unit_test(a_line_without_end_is_beyond_the_limit),
	};

	return cmocka_run_group_tests_name("entry refused", tests, NULL, NULL);
}
