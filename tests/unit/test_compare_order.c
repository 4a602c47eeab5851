/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that are more than lines: catalogues, whose order counts, and JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/operations/compare.h"

static char what[512];

static int
compare(const char *a, const char *b)
{
	struct fmt_buf x = FMT_BUF_INIT, y = FMT_BUF_INIT, told = FMT_BUF_INIT;
	int equal;

	assert_int_equal(fmt_buf_append_text(&x, a), FMT_OK);
	assert_int_equal(fmt_buf_append_text(&y, b), FMT_OK);
	equal = bkp_compare_texts(&x, &y, &told, NULL);
	(void)snprintf(what, sizeof(what), "%s", fmt_buf_text(&told));
	fmt_buf_free(&x);
	fmt_buf_free(&y);
	fmt_buf_free(&told);
	return equal;
}

#define COLOUR "-- Name: colour; Type: TYPE\nCREATE TYPE colour AS ENUM (\n"
#define OTHER "-- Name: other; Type: FUNCTION\n"

static void
labels_in_another_order_are_told(void **state)
{
	(void)state;
	assert_int_equal(
	    compare(COLOUR "    'red',\n    'blue',\n    'z'\n);\n",
		COLOUR "    'blue',\n    'red',\n    'z'\n);\n"),
	    0);
	assert_string_equal(what,
	    "the same lines in another order, first of colour; Type: TYPE: "
	    "recorded \"    'red',\", found \"    'blue',\"");
}

static void
a_line_that_went_to_another_object_is_told(void **state)
{
	(void)state;
	assert_int_equal(compare(COLOUR "one\ntwo\n\n" OTHER "three\n",
			     COLOUR "one\n\n" OTHER "three\ntwo\n"),
	    0);
	assert_string_equal(what,
	    "the same lines in another order, first of colour; Type: TYPE: "
	    "recorded \"two\", found \"\"");
	assert_int_equal(compare(COLOUR "one\n" OTHER "three\nfour\n",
			     COLOUR "one\n" OTHER "four\nthree\n"),
	    0);
}

static void
the_order_of_objects_tells_nothing(void **state)
{
	(void)state;
	assert_int_equal(compare(COLOUR "one\ntwo\n\n" OTHER "three\n\n",
			     OTHER "three\n\n" COLOUR "one\ntwo\n\n"),
	    1);
	assert_string_equal(what, "");
}

static void
what_the_server_writes_otherwise_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(compare(COLOUR "a 'y'::text\nb\n" OTHER "c\n",
			     OTHER "c\n" COLOUR "a 'y'::text AS text\nb\n"),
	    1);
	assert_int_equal(compare(COLOUR "a 'y'::text\nb\n",
			     COLOUR "b\na 'y'::text AS text\n"),
	    0);
}

#define TABLE(name, columns)                                                   \
	"-- Name: " name "; Type: TABLE; Schema: s; Owner: o\n"                \
	"CREATE TABLE s." name " (\n" columns ")\n"
#define HEIR(name, columns) TABLE(name, columns) "INHERITS (s.mother);\n\n"

/* A child that was made by itself and became one later. */
static void
inherited_columns_come_first_and_that_tells_nothing(void **state)
{
	(void)state;
	assert_int_equal(
	    compare(HEIR("joined", "    c integer,\n    a integer\n"),
		HEIR("joined", "    a integer,\n    c integer\n")),
	    1);
	assert_string_equal(what, "");
	assert_int_equal(
	    compare(HEIR("joined", "    c integer,\n    a integer\n"),
		HEIR("joined", "    a bigint,\n    c integer\n")),
	    0);
	assert_string_equal(what,
	    "1 line missing: \"    a integer\"; 1 line extra: \"    a "
	    "bigint\"");
	assert_int_equal(
	    compare(TABLE("alone", "    c integer,\n    a integer\n"),
		TABLE("alone", "    a integer,\n    c integer\n")),
	    0);
	assert_int_equal(
	    compare(
		TABLE("alone",
		    "    c integer,\n    a integer,\n") "INSIDE (s.mother);\n",
		TABLE("alone",
		    "    a integer,\n    c integer,\n") "INSIDE (s.mother);\n"),
	    0);
}

static void
a_column_that_went_to_another_child_is_told(void **state)
{
	(void)state;
	assert_int_equal(compare(HEIR("a", "    x integer,\n    z integer\n")
				     HEIR("b", "    y integer\n"),
			     HEIR("a", "    x integer\n")
				 HEIR("b", "    y integer,\n    z integer\n")),
	    0);
}

static void
other_texts_have_no_order(void **state)
{
	(void)state;
	assert_int_equal(compare("CREATE ROLE a;\nCREATE ROLE b;\n",
			     "CREATE ROLE b;\nCREATE ROLE a;\n"),
	    1);
}

/* ---- JSON ---- */

#define FACTS(owner, value)                                                    \
	"{\"owner\": \"" owner                                                 \
	"\", \"settings\": [{\"role\": \"\", \"name\": "                       \
	"\"a\", \"value\": \"1\"}, {\"role\": \"\", \"name\": \"b\", "         \
	"\"value\": \"" value "\"}]}\n"

static void
members_are_told_by_where_they_are(void **state)
{
	(void)state;
	assert_int_equal(compare(FACTS("me", "2"), FACTS("me", "2")), 1);
	assert_int_equal(compare(FACTS("me", "2"), FACTS("you", "3")), 0);
	assert_string_equal(what,
	    "owner: recorded \"me\", found \"you\"; settings[b].value: "
	    "recorded \"2\", found \"3\"");
	assert_int_equal(compare("{\"a\": 1, \"b\": [1]}", "{\"c\": null}"), 0);
	assert_string_equal(what,
	    "a: recorded 1, found nothing; b: recorded [1], found nothing; c: "
	    "recorded nothing, found null");
}

static void
items_of_lists_are_found_by_name(void **state)
{
	(void)state;
	assert_int_equal(
	    compare("{\"e\": [\"x\", \"y\"]}", "{\"e\": [\"y\", \"z\"]}"), 0);
	assert_string_equal(what,
	    "e[x]: recorded \"x\", found nothing; e[z]: recorded nothing, "
	    "found \"z\"");
	assert_int_equal(
	    compare("{\"e\": [{\"grantee\": \"a\", \"privilege\": \"C\"}, "
		    "{\"grantee\": \"a\", \"privilege\": \"T\"}]}",
		"{\"e\": [{\"grantee\": \"a\", \"privilege\": \"T\"}]}"),
	    0);
	assert_string_equal(what,
	    "e[a]: recorded {\"grantee\":\"a\",\"privilege\":\"C\"}, found "
	    "nothing");
	/* What order there is says something. */
	assert_int_equal(
	    compare("{\"e\": [\"x\", \"y\"]}", "{\"e\": [\"y\", \"x\"]}"), 0);
	assert_string_equal(
	    what, "e: recorded [\"x\",\"y\"], found [\"y\",\"x\"]");
}

static void
many_differences_are_cut(void **state)
{
	(void)state;
	assert_int_equal(compare("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,"
				 "\"f\":1,\"g\":1}",
			     "{}"),
	    0);
	assert_string_equal(
	    what + strlen(what) - strlen("e: recorded 1, found nothing; ..."),
	    "e: recorded 1, found nothing; ...");
}

static void
what_only_looks_like_json_is_lines(void **state)
{
	(void)state;
	assert_int_equal(compare("{a\nb\n", "b\n{a\n"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(labels_in_another_order_are_told),
	    cmocka_unit_test(a_line_that_went_to_another_object_is_told),
	    cmocka_unit_test(the_order_of_objects_tells_nothing),
	    cmocka_unit_test(what_the_server_writes_otherwise_is_the_same),
	    cmocka_unit_test(
		inherited_columns_come_first_and_that_tells_nothing),
	    cmocka_unit_test(a_column_that_went_to_another_child_is_told),
	    cmocka_unit_test(other_texts_have_no_order),
	    cmocka_unit_test(members_are_told_by_where_they_are),
	    cmocka_unit_test(items_of_lists_are_found_by_name),
	    cmocka_unit_test(many_differences_are_cut),
	    cmocka_unit_test(what_only_looks_like_json_is_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
