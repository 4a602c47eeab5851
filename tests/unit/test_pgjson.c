/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/pgjson.h"
#include "tests/unit/failing_alloc.h"

#define REPLACED "\xef\xbf\xbd"

struct example {
	const char *text, *json;
};

/* NULL: it is refused, and what was there before stays as it was. */
static void
assert_value(enum fmt_pgjson kind, const char *text, const char *json)
{
	struct fmt_buf out = FMT_BUF_INIT;
	/* No NUL behind it: a sanitizer sees who reads on. */
	char *exact = malloc(strlen(text) + (text[0] == '\0'));
	enum fmt_status status;

	assert_non_null(exact);
	memcpy(exact, text, strlen(text));
	assert_int_equal(fmt_buf_append_text(&out, "x"), FMT_OK);
	status = fmt_pgjson_value(&out, kind, exact, strlen(text), NULL);
	free(exact);
	if (json == NULL) {
		assert_int_not_equal(status, FMT_OK);
		assert_string_equal(fmt_buf_text(&out), "x");
	} else {
		assert_int_equal(status, FMT_OK);
		assert_string_equal(fmt_buf_text(&out) + 1, json);
	}
	fmt_buf_free(&out);
}

static void
assert_examples(
    enum fmt_pgjson kind, const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_value(kind, examples[i].text, examples[i].json);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
booleans_and_integers_are_json_s_own(void **state)
{
	static const struct example booleans[] = {{"t", "true"}, {"f", "false"},
	    {"true", "true"}, {"false", "false"}, {"", NULL}, {"T", NULL},
	    {"tt", NULL}, {"1", NULL}};
	static const struct example integers[] = {{"0", "0"}, {"-7", "-7"},
	    {"2147483647", "2147483647"}, {"4294967295", "4294967295"},
	    {"", NULL}, {"-", NULL}, {"+1", NULL}, {"01", NULL}, {"1.0", NULL},
	    {"1e3", NULL}, {"NaN", NULL}, {" 1", NULL}, {"1 ", NULL}};

	(void)state;
	assert_examples(FMT_PGJSON_BOOLEAN, booleans, COUNT(booleans));
	assert_examples(FMT_PGJSON_INTEGER, integers, COUNT(integers));
}

static void
exact_numbers_are_strings_of_all_their_digits(void **state)
{
	static const struct example examples[] = {
	    {"9223372036854775807", "\"9223372036854775807\""},
	    {"1.10", "\"1.10\""}, {"-0.000", "\"-0.000\""}, {"NaN", "\"NaN\""},
	    {"-Infinity", "\"-Infinity\""}, {"", NULL}, {"1.", NULL},
	    {".5", NULL}, {"1e5", NULL}, {"nan", NULL}, {"1\"", NULL}};
	char digits[1000 + 2] = "", json[1000 + 4] = "\"";

	(void)state;
	assert_examples(FMT_PGJSON_EXACT, examples, COUNT(examples));
	memset(digits, '9', 1001);
	digits[500] = '.';
	memcpy(json + 1, digits, 1001);
	json[1002] = '"';
	assert_value(FMT_PGJSON_EXACT, digits, json);
}

static void
floats_are_numbers_as_the_server_wrote_them(void **state)
{
	static const struct example examples[] = {{"-0", "-0"},
	    {"1e+300", "1e+300"}, {"1.5e-07", "1.5e-07"}, {"0.1", "0.1"},
	    {"NaN", "\"NaN\""}, {"Infinity", "\"Infinity\""},
	    {"-Infinity", "\"-Infinity\""}, {"1e", NULL}, {"e5", NULL},
	    {"1e+", NULL}, {"0x10", NULL}, {"", NULL}};

	(void)state;
	assert_examples(FMT_PGJSON_FLOAT, examples, COUNT(examples));
}

static void
bytes_are_base64_whatever_form_they_came_in(void **state)
{
	static const struct example examples[] = {{"\\x", "\"\""}, {"", "\"\""},
	    {"\\x00", "\"AA==\""}, {"\\x0001FF", "\"AAH/\""},
	    {"\\xdeadbeef", "\"3q2+7w==\""}, {"\\000\\001\\377", "\"AAH/\""},
	    {"a\\\\b", "\"YVxi\""}, {"\\x0", NULL}, {"\\xzz", NULL},
	    {"\\", NULL}, {"\\9", NULL}, {"\\40", NULL}, {"\\777", NULL}};
	struct fmt_buf hex = FMT_BUF_INIT, json = FMT_BUF_INIT;

	(void)state;
	assert_examples(FMT_PGJSON_BYTES, examples, COUNT(examples));
	/* More than is coded at once: "   " is "ICAg". */
	(void)fmt_buf_append_text(&hex, "\\x");
	(void)fmt_buf_append_byte(&json, '"');
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(fmt_buf_append_text(&hex, "202020"), FMT_OK);
		assert_int_equal(fmt_buf_append_text(&json, "ICAg"), FMT_OK);
	}
	(void)fmt_buf_append_text(&hex, "20");
	(void)fmt_buf_append_text(&json, "IA==\"");
	assert_value(FMT_PGJSON_BYTES, fmt_buf_text(&hex), fmt_buf_text(&json));
	fmt_buf_free(&hex);
	fmt_buf_free(&json);
}

static void
dates_are_iso_8601_where_that_reaches(void **state)
{
	static const struct example dates[] = {{"2026-11-20", "\"2026-11-20\""},
	    {"infinity", "\"infinity\""}, {"-infinity", "\"-infinity\""},
	    {"0044-03-15 BC", "\"0044-03-15 BC\""},
	    {"12026-01-01", "\"12026-01-01\""}, {"2026-1-20", NULL},
	    {"26-11-20", NULL}, {"2026-11-20 12:00:00", NULL}, {"", NULL},
	    {"today", NULL}, {"2026-11-20 AD", NULL}};
	static const struct example stamps[] = {
	    {"2026-11-20 12:00:00", "\"2026-11-20T12:00:00\""},
	    {"2026-11-20 12:00:00.5", "\"2026-11-20T12:00:00.5\""},
	    {"infinity", "\"infinity\""},
	    {"10000-01-01 00:00:00", "\"10000-01-01 00:00:00\""},
	    {"0001-12-31 23:59:59.999999 BC",
		"\"0001-12-31 23:59:59.999999 BC\""},
	    {"2026-11-20", NULL}, {"2026-11-20T12:00:00", NULL},
	    {"2026-11-20 12:00:00.", NULL}, {"2026-11-20 12:00", NULL},
	    {"2026-11-20 12:00:00+00", NULL}};
	static const struct example zoned[] = {
	    {"2026-11-20 12:00:00.5+00", "\"2026-11-20T12:00:00.5Z\""},
	    {"2026-11-20 12:00:00+05", "\"2026-11-20T12:00:00+05:00\""},
	    {"2026-11-20 12:00:00-03:30", "\"2026-11-20T12:00:00-03:30\""},
	    {"1890-01-01 00:00:00+00:53:28",
		"\"1890-01-01 00:00:00+00:53:28\""},
	    {"0044-03-15 00:00:00+00 BC", "\"0044-03-15 00:00:00+00 BC\""},
	    {"-infinity", "\"-infinity\""}, {"2026-11-20 12:00:00", NULL},
	    {"2026-11-20 12:00:00Z", NULL}, {"2026-11-20 12:00:00+0", NULL},
	    {"2026-11-20 12:00:00+00x", NULL}};

	(void)state;
	assert_examples(FMT_PGJSON_DATE, dates, COUNT(dates));
	assert_examples(FMT_PGJSON_TIMESTAMP, stamps, COUNT(stamps));
	assert_examples(FMT_PGJSON_TIMESTAMPTZ, zoned, COUNT(zoned));
}

static void
everything_else_is_a_string(void **state)
{
	static const struct example examples[] = {{"", "\"\""},
	    {"$1,234.50", "\"$1,234.50\""},
	    {"1 day 02:00:00", "\"1 day 02:00:00\""},
	    {"10.0.0.1/8", "\"10.0.0.1/8\""}, {"[1,5)", "\"[1,5)\""},
	    {"(1,\"x,y\")", "\"(1,\\\"x,y\\\")\""}, {"a\\b", "\"a\\\\b\""},
	    {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
	    {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
	    {"Ünï\xf0\x9f\x90\x98", "\"Ünï\xf0\x9f\x90\x98\""}};

	(void)state;
	assert_examples(FMT_PGJSON_TEXT, examples, COUNT(examples));
}

static void
no_line_of_the_output_ends_inside_a_string(void **state)
{
	static const char ends[] = "a\xc2\x85"
				   "b\xe2\x80\xa8"
				   "c\xe2\x80\xa9";

	(void)state;
	assert_value(FMT_PGJSON_TEXT, ends, "\"a\\u0085b\\u2028c\\u2029\"");
	assert_value(FMT_PGJSON_JSON, "\"\xe2\x80\xa8\"", "\"\\u2028\"");
	/* Their neighbours are letters. */
	assert_value(FMT_PGJSON_TEXT, "\xc2\x86\xe2\x80\xaa",
	    "\"\xc2\x86\xe2\x80\xaa\"");
}

static void
bytes_that_are_no_text_are_replaced_and_told(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;
	int is_changed = 0;

	(void)state;
	assert_int_equal(
	    fmt_pgjson_string(&out, "Zo\xc3\xab", 4, &is_changed), FMT_OK);
	assert_false(is_changed);
	fmt_buf_clear(&out);
	assert_int_equal(
	    fmt_pgjson_string(&out, "a\xff\0\xe2\x82", 5, &is_changed), FMT_OK);
	assert_true(is_changed);
	assert_string_equal(fmt_buf_text(&out),
	    "\"a" REPLACED "\\u0000" REPLACED REPLACED "\"");
	fmt_buf_clear(&out);
	is_changed = 0;
	assert_int_equal(fmt_pgjson_value(&out, FMT_PGJSON_JSON, "[\"\xe9\"]",
			     5, &is_changed),
	    FMT_OK);
	assert_true(is_changed);
	assert_string_equal(fmt_buf_text(&out), "[\"" REPLACED "\"]");
	fmt_buf_clear(&out);
	is_changed = 0;
	assert_int_equal(fmt_pgjson_array(&out, FMT_PGJSON_TEXT, ',',
			     "{\xed\xa0\x80}", 5, &is_changed),
	    FMT_OK);
	assert_true(is_changed);
	fmt_buf_free(&out);
}

static void
json_stays_as_it_is_on_one_line(void **state)
{
	static const struct example examples[] = {
	    {"{\"b\": 1.10, \"a\": [true, null]}",
		"{\"b\": 1.10, \"a\": [true, null]}"},
	    {"{\n\t\"a\" : 1e400,\r\n \"a\":2}",
		"{ \t\"a\" : 1e400,   \"a\":2}"},
	    {"[]", "[]"}, {"{}", "{}"}, {" 1 ", " 1 "}, {"null", "null"},
	    {"\"\\u0000\\ud800\\n\\/\"", "\"\\u0000\\ud800\\n\\/\""},
	    {"[[[{\"x\":[]}]]]", "[[[{\"x\":[]}]]]"},
	    {"123456789012345678901234567890",
		"123456789012345678901234567890"},
	    {"", NULL}, {" ", NULL}, {"{", NULL}, {"[1", NULL}, {"[1,]", NULL},
	    {"[,1]", NULL}, {"{\"a\"}", NULL}, {"{\"a\":}", NULL},
	    {"{\"a\":1,}", NULL}, {"{1:2}", NULL}, {"[1}", NULL}, {"]", NULL},
	    {"1 2", NULL}, {"[1]]", NULL}, {"tru", NULL}, {"True", NULL},
	    {"\"a", NULL}, {"\"\\x\"", NULL}, {"\"\\u12\"", NULL},
	    {"\"\\u12g4\"", NULL}, {"\"a\nb\"", NULL}, {"'a'", NULL},
	    {"01", NULL}, {"NaN", NULL}, {"{\"a\" 1}", NULL}, {"[1 2]", NULL}};

	(void)state;
	assert_examples(FMT_PGJSON_JSON, examples, COUNT(examples));
}

static void
json_may_be_nested_without_a_limit(void **state)
{
	enum { DEPTH = 100000 };
	char *text = malloc(2 * DEPTH + 1);

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEPTH);
	memset(text + DEPTH, ']', DEPTH);
	text[2 * DEPTH] = '\0';
	assert_value(FMT_PGJSON_JSON, text, text);
	text[2 * DEPTH - 1] = '\0';
	assert_value(FMT_PGJSON_JSON, text, NULL);
	free(text);
}

static void
assert_array(enum fmt_pgjson element, const char *text, const char *json)
{
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status =
	    fmt_pgjson_array(&out, element, ',', text, strlen(text), NULL);

	if (json == NULL) {
		assert_int_not_equal(status, FMT_OK);
		assert_int_equal(out.len, 0);
	} else {
		assert_int_equal(status, FMT_OK);
		assert_string_equal(fmt_buf_text(&out), json);
	}
	fmt_buf_free(&out);
}

static void
arrays_are_arrays(void **state)
{
	static const struct example texts[] = {{"{}", "[]"}, {"{a}", "[\"a\"]"},
	    {"{a,NULL,\"NULL\",\"\",null}", "[\"a\",null,\"NULL\",\"\",null]"},
	    {"{\"a,b\",\"{x}\",\"q\\\"\\\\\"}",
		"[\"a,b\",\"{x}\",\"q\\\"\\\\\"]"},
	    {"{{a,b},{c,NULL}}", "[[\"a\",\"b\"],[\"c\",null]]"},
	    {"[0:1]={a,b}", "[\"a\",\"b\"]"},
	    {"[-2:-1][3:3]={{a},{b}}", "[[\"a\"],[\"b\"]]"},
	    {"{\"two\nlines\"}", "[\"two\\nlines\"]"},
	    {"{{{{{{x}}}}}}", "[[[[[[\"x\"]]]]]]"}, {"{{{{{{{x}}}}}}}", NULL},
	    {"", NULL}, {"{", NULL}, {"{a", NULL}, {"{a,", NULL}, {"{,}", NULL},
	    {"{a,}", NULL}, {"{\"a", NULL}, {"{\"a\\", NULL}, {"{a}b", NULL},
	    {"{a\"b\"}", NULL}, {"{a{b}}", NULL}, {"{{a}b}", NULL},
	    {"[0:1]", NULL}, {"[x]={a}", NULL}, {"a", NULL}};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_array(FMT_PGJSON_TEXT, texts[i].text, texts[i].json);
	assert_array(FMT_PGJSON_INTEGER, "{1,NULL,-3}", "[1,null,-3]");
	assert_array(FMT_PGJSON_INTEGER, "{1,x}", NULL);
	assert_array(FMT_PGJSON_INTEGER, "{\"\"}", NULL);
	assert_array(FMT_PGJSON_EXACT, "{1.50,NaN}", "[\"1.50\",\"NaN\"]");
	assert_array(FMT_PGJSON_BYTES, "{\"\\\\x00\"}", "[\"AA==\"]");
	assert_array(
	    FMT_PGJSON_JSON, "{\"{\\\"a\\\": [1]}\"}", "[{\"a\": [1]}]");
	assert_array(FMT_PGJSON_TIMESTAMPTZ, "{\"2026-11-20 12:00:00+00\"}",
	    "[\"2026-11-20T12:00:00Z\"]");
}

static void
boxes_are_told_apart_by_semicolons(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;
	static const char boxes[] = "{(1,1),(0,0);(2,2),(1,1)}";

	(void)state;
	assert_int_equal(fmt_pgjson_array(&out, FMT_PGJSON_TEXT, ';', boxes,
			     strlen(boxes), NULL),
	    FMT_OK);
	assert_string_equal(
	    fmt_buf_text(&out), "[\"(1,1),(0,0)\",\"(2,2),(1,1)\"]");
	fmt_buf_free(&out);
}

static void
every_allocation_may_fail(void **state)
{
	static const char json[] = "[[[{\"a\":\"012345678901234567890123456"
				   "789012345678901234567890\"}]]]";
	static const char array[] =
	    "{{\"0123456789012345678901234567890123456789012345678901234567"
	    "8901234567890123456789\"}}";

	(void)state;
	for (int n = 0;; n++) {
		struct fmt_buf out = FMT_BUF_INIT;
		enum fmt_status one, two;

		failing_alloc_at(n);
		one = fmt_pgjson_value(
		    &out, FMT_PGJSON_JSON, json, strlen(json), NULL);
		two = fmt_pgjson_array(
		    &out, FMT_PGJSON_TEXT, ',', array, strlen(array), NULL);
		fmt_buf_free(&out);
		if (!failing_alloc_end()) {
			assert_int_equal(one, FMT_OK);
			assert_int_equal(two, FMT_OK);
			break;
		}
		assert_true(one == FMT_NOMEM || two == FMT_NOMEM);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(booleans_and_integers_are_json_s_own),
	    cmocka_unit_test(exact_numbers_are_strings_of_all_their_digits),
	    cmocka_unit_test(floats_are_numbers_as_the_server_wrote_them),
	    cmocka_unit_test(bytes_are_base64_whatever_form_they_came_in),
	    cmocka_unit_test(dates_are_iso_8601_where_that_reaches),
	    cmocka_unit_test(everything_else_is_a_string),
	    cmocka_unit_test(no_line_of_the_output_ends_inside_a_string),
	    cmocka_unit_test(bytes_that_are_no_text_are_replaced_and_told),
	    cmocka_unit_test(json_stays_as_it_is_on_one_line),
	    cmocka_unit_test(json_may_be_nested_without_a_limit),
	    cmocka_unit_test(arrays_are_arrays),
	    cmocka_unit_test(boxes_are_told_apart_by_semicolons),
	    cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("pgjson", tests, NULL, NULL);
}
