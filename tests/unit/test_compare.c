/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/operations/compare.h"
#include "libbackup/operations/verdict.h"
#include "libbackup/source/postgres_source.h"

static char kind[] = "bucket.object";
static char other_kind[] = "bucket.marker";
static char path[] = "bucket/a/b";
static const char *const ignored[] = {"etag", NULL};
static const char *const if_both[] = {"etag", NULL};
static const struct bkp_comparison full = {.entry_kind = "bucket.object",
    .has_content_compared = true,
    .ignored = ignored};
static const struct bkp_comparison no_content = {.entry_kind = "bucket.object"};
static const struct bkp_comparison what_both_have = {
    .entry_kind = "bucket.object", .if_both = if_both};

/* Compares an object of these attributes and size with a fixed one. */
static int
compare(const char *attributes, uint64_t size, unsigned char digest,
    const struct bkp_comparison *comparison, char *what, size_t room)
{
	struct fmt_entry a = FMT_ENTRY_INIT, b = FMT_ENTRY_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	int equal;

	a.path = b.path = path;
	a.kind = b.kind = kind;
	a.has_content = b.has_content = true;
	a.has_sha256 = b.has_sha256 = true;
	a.size = 10;
	b.size = size;
	b.sha256[0] = digest;
	a.attrs =
	    json_loads("{\"etag\":\"x\",\"type\":\"text/plain\"}", 0, NULL);
	b.attrs = json_loads(attributes, 0, NULL);
	assert_non_null(b.attrs);
	equal = bkp_compare_entries(&a, &b, comparison, &buf, NULL);
	(void)snprintf(what, room, "%s", fmt_buf_text(&buf));
	fmt_buf_free(&buf);
	json_decref(a.attrs);
	json_decref(b.attrs);
	return equal;
}

#define SAME "{\"etag\":\"x\",\"type\":\"text/plain\"}"

static void
equal_entries_are_equal(void **state)
{
	char what[512];

	(void)state;
	assert_int_equal(compare(SAME, 10, 0, &full, what, 512), 1);
	assert_string_equal(what, "");
	assert_int_equal(compare(SAME, 10, 0, NULL, what, 512), 1);
}

static void
what_one_side_cannot_tell_is_no_difference(void **state)
{
	char what[512];

	(void)state;
	assert_int_equal(compare("{\"type\":\"text/plain\"}", 10, 0,
			     &what_both_have, what, 512),
	    1);
	assert_int_equal(compare("{\"etag\":\"y\",\"type\":\"text/plain\"}", 10,
			     0, &what_both_have, what, 512),
	    0);
	assert_string_equal(what, "etag: recorded \"x\", found \"y\"");
	assert_int_equal(
	    compare("{\"etag\":\"x\"}", 10, 0, &what_both_have, what, 512), 0);
}

static void
a_changed_missing_or_new_attribute_is_told(void **state)
{
	char what[512];

	(void)state;
	assert_int_equal(compare("{\"etag\":\"x\",\"type\":\"text/html\"}", 10,
			     0, &full, what, 512),
	    0);
	assert_string_equal(
	    what, "type: recorded \"text/plain\", found \"text/html\"");
	assert_int_equal(
	    compare("{\"etag\":\"x\"}", 10, 0, &full, what, 512), 0);
	assert_string_equal(
	    what, "type: recorded \"text/plain\", found nothing");
	assert_int_equal(
	    compare("{\"etag\":\"x\",\"type\":\"text/plain\",\"z\":1}", 10, 0,
		&full, what, 512),
	    0);
	assert_string_equal(what, "z: recorded nothing, found 1");
}

static void
an_ignored_attribute_may_differ(void **state)
{
	char what[512];

	(void)state;
	assert_int_equal(compare("{\"etag\":\"y\",\"type\":\"text/plain\"}", 10,
			     0, &full, what, 512),
	    1);
	assert_int_equal(compare("{\"etag\":\"y\",\"type\":\"text/plain\"}", 10,
			     0, NULL, what, 512),
	    0);
}

static void
an_entry_that_lost_or_got_a_content_is_told(void **state)
{
	struct fmt_entry a = FMT_ENTRY_INIT, b = FMT_ENTRY_INIT;
	struct fmt_buf what = FMT_BUF_INIT;

	(void)state;
	a.path = b.path = path;
	a.kind = b.kind = kind;
	a.has_content = true;
	assert_int_equal(bkp_compare_entries(&a, &b, NULL, &what, NULL), 0);
	assert_string_equal(fmt_buf_text(&what), "has no content any more");
	fmt_buf_clear(&what);
	assert_int_equal(bkp_compare_entries(&b, &a, NULL, &what, NULL), 0);
	assert_string_equal(fmt_buf_text(&what), "has content now");
	fmt_buf_free(&what);
}

static void
size_and_digest_are_told_where_they_count(void **state)
{
	char what[512];

	(void)state;
	assert_int_equal(compare(SAME, 11, 0, &full, what, 512), 0);
	assert_string_equal(what, "size: recorded 10 bytes, found 11");
	assert_int_equal(compare(SAME, 10, 1, &full, what, 512), 0);
	assert_non_null(strstr(what, "SHA-256"));
	assert_int_equal(compare(SAME, 11, 1, &no_content, what, 512), 1);
}

static void
another_kind_is_told(void **state)
{
	struct fmt_entry a = FMT_ENTRY_INIT, b = FMT_ENTRY_INIT;
	struct fmt_buf what = FMT_BUF_INIT;

	(void)state;
	a.path = b.path = path;
	a.kind = kind;
	b.kind = other_kind;
	assert_int_equal(bkp_compare_entries(&a, &b, NULL, &what, NULL), 0);
	fmt_buf_free(&what);
}

static int
compare_texts(const char *a, const char *b, char *what, size_t room)
{
	struct fmt_buf x = FMT_BUF_INIT, y = FMT_BUF_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	int equal;

	assert_int_equal(fmt_buf_append_text(&x, a), FMT_OK);
	assert_int_equal(fmt_buf_append_text(&y, b), FMT_OK);
	equal = bkp_compare_texts(&x, &y, &buf, NULL);
	(void)snprintf(what, room, "%s", fmt_buf_text(&buf));
	fmt_buf_free(&x);
	fmt_buf_free(&y);
	fmt_buf_free(&buf);
	return equal;
}

static void
texts_are_compared_line_by_line(void **state)
{
	char what[512];

	(void)state;
	assert_int_equal(compare_texts("a\nb\n", "b\na\n", what, 512), 1);
	assert_int_equal(compare_texts("", "", what, 512), 1);
	assert_int_equal(compare_texts("a\nb\nc\n", "a\nc\n", what, 512), 0);
	assert_string_equal(what, "1 line missing: \"b\"");
	assert_int_equal(compare_texts("a\na\n", "a\n", what, 512), 0);
	assert_string_equal(what, "1 line missing: \"a\"");
	assert_int_equal(compare_texts("a\n", "a\nz\ny\n", what, 512), 0);
	assert_string_equal(what, "2 lines extra: \"y\", \"z\"");
	assert_int_equal(compare_texts("x\n", "y\n", what, 512), 0);
	assert_string_equal(what, "1 line missing: \"x\"; 1 line extra: \"y\"");
}

static void
what_the_server_adds_to_its_own_words_is_no_difference(void **state)
{
	char what[512];

	(void)state;
	assert_int_equal(compare_texts("a\n 'y'::text;\n",
			     " 'y'::text AS text;\na\n", what, 512),
	    1);
	assert_int_equal(compare_texts("'y'::text;\nb\n",
			     "'y'::text AS text;\nc\n", what, 512),
	    0);
	assert_string_equal(what, "1 line missing: \"b\"; 1 line extra: \"c\"");
	assert_int_equal(compare_texts("'y'::text\n'y'::text\n",
			     "'y'::text AS text\n", what, 512),
	    0);
}

/* ---- part by part ---- */

static int
keep_section(void *arg, const char *section, bool is_equal, const char *what,
    struct bkp_error *err)
{
	struct fmt_buf *told = arg;

	(void)err;
	return fmt_buf_printf(told, "%s %s: %s|", is_equal ? "ok" : "no",
		   section, what) == FMT_OK
		   ? 0
		   : -1;
}

static void
compare_catalogues(const char *recorded, const char *found, const char *expect)
{
	struct fmt_buf a = FMT_BUF_INIT, b = FMT_BUF_INIT, told = FMT_BUF_INIT;

	assert_int_equal(fmt_buf_append_text(&a, recorded), FMT_OK);
	assert_int_equal(fmt_buf_append_text(&b, found), FMT_OK);
	assert_int_equal(bkp_compare_by_part(&a, &b, bkp_pg_next_part,
			     keep_section, &told, NULL),
	    0);
	assert_string_equal(told.len > 0 ? fmt_buf_text(&told) : "", expect);
	fmt_buf_free(&a);
	fmt_buf_free(&b);
	fmt_buf_free(&told);
}

#define TABLE "-- Name: t; Type: TABLE; Schema: public; Owner: app\n"
#define INDEX "-- Name: i; Type: INDEX; Schema: public; Owner: app\n"

static void
each_sort_of_things_is_told_by_itself(void **state)
{
	(void)state;
	compare_catalogues("", "", "");
	compare_catalogues(TABLE "CREATE TABLE t ();\n\n" INDEX "CREATE i;\n",
	    INDEX "CREATE i;\n\n" TABLE "CREATE TABLE t ();\n",
	    "ok indexes: 1 equal|ok tables: 1 equal|");
	compare_catalogues(TABLE "a\n\n" INDEX "i\n", TABLE "b\n",
	    "no indexes: i is missing: i|no tables: t differs: 1 line missing: "
	    "\"a\"; 1 line extra: \"b\"|");
	compare_catalogues(
	    "", INDEX "i\n", "no indexes: i is there and was not: i|");
	compare_catalogues("SET x;\n", "SET y;\n",
	    "no other: the rest differs: 1 line missing: \"SET x;\"; 1 line "
	    "extra: \"SET y;\"|");
}

static void
another_owner_is_a_difference_of_the_same_thing(void **state)
{
	(void)state;
	compare_catalogues(TABLE "ALTER t OWNER TO app;\n",
	    "-- Name: t; Type: TABLE; Schema: public; Owner: bob\n"
	    "ALTER t OWNER TO bob;\n",
	    "no tables: t differs: 2 lines missing: \"-- Name: t; Type: TABLE; "
	    "Schema: public; Owner: app\", \"ALTER t OWNER TO app;\"; 2 lines "
	    "extra: \"-- Name: t; Type: TABLE; Schema: public; Owner: bob\", "
	    "\"ALTER t OWNER TO bob;\"|");
}

static void
a_name_that_looks_like_a_remark_misleads_nobody(void **state)
{
	static const char odd[] = "-- Name: x; Type: INDEX; Schema: y; Type: "
				  "TABLE; Schema: public; Owner: app\nx\n";

	(void)state;
	compare_catalogues(odd, odd, "ok tables: 1 equal|");
	compare_catalogues(
	    odd, "", "no tables: x; Type: INDEX; Schema: y is missing: x|");
}

static void
of_many_differences_some_are_named_and_all_counted(void **state)
{
	struct fmt_buf text = FMT_BUF_INIT;

	(void)state;
	for (int i = 1; i <= 7; i++)
		assert_int_equal(
		    fmt_buf_printf(&text,
			"-- Name: i%d; Type: INDEX; Schema: s; Owner: o\nx\n\n",
			i),
		    FMT_OK);
	compare_catalogues(fmt_buf_text(&text), "",
	    "no indexes: i1 is missing: x; i2 is missing: x; i3 is missing: x; "
	    "i4 is missing: x; i5 is missing: x; and 2 more that differ|");
	fmt_buf_free(&text);
}

static void
nothing_compared_is_not_proven(void **state)
{
	struct bkp_verify_result result = {.snapshot = ""};
	struct bkp_verdict *verdict = NULL;

	(void)state;
	assert_int_equal(bkp_verdict_new(&verdict, NULL), 0);
	assert_int_equal(
	    bkp_verdict_add(verdict, BKP_CHECK_SKIP, NULL, "a", "left out"), 0);
	assert_int_equal(bkp_verdict_finish(verdict, &result, NULL), 0);
	assert_int_equal(result.is_proven, 0);
	assert_int_equal(result.failed, 1);
	assert_int_equal(result.check_count, 2);
	bkp_verify_result_free(&result);
}

static void
what_is_told_about_a_snapshot_compares_nothing(void **state)
{
	struct bkp_verify_result result = {.snapshot = ""};
	struct bkp_verdict *verdict = NULL;

	(void)state;
	assert_int_equal(bkp_verdict_new(&verdict, NULL), 0);
	assert_int_equal(bkp_verdict_add_about(verdict, BKP_CHECK_PASS, NULL,
			     "age", "%s old", "1 h"),
	    0);
	assert_int_equal(bkp_verdict_finish(verdict, &result, NULL), 0);
	assert_int_equal(result.is_proven, 0);
	assert_int_equal(result.about_passed, 1);
	assert_string_equal(result.checks[0].what, "1 h old");
	assert_string_equal(result.checks[1].name, "verdict");
	bkp_verify_result_free(&result);
	assert_int_equal(bkp_verdict_new(&verdict, NULL), 0);
	assert_int_equal(
	    bkp_verdict_add(verdict, BKP_CHECK_PASS, NULL, "a", "equal"), 0);
	assert_int_equal(bkp_verdict_add_about(
			     verdict, BKP_CHECK_FAIL, NULL, "age", "too old"),
	    0);
	assert_int_equal(bkp_verdict_finish(verdict, &result, NULL), 0);
	assert_int_equal(result.is_proven, 0);
	assert_int_equal(result.failed, 1);
	assert_int_equal(result.about_failed, 1);
	bkp_verify_result_free(&result);
}

static void
one_failure_outweighs_any_number_that_agree(void **state)
{
	struct bkp_verify_result result = {.snapshot = ""};
	struct bkp_verdict *verdict = NULL;

	(void)state;
	assert_int_equal(bkp_verdict_new(&verdict, NULL), 0);
	assert_int_equal(
	    bkp_verdict_add_agreed(verdict, NULL, "b", 1000000, "equal"), 0);
	assert_int_equal(
	    bkp_verdict_add(verdict, BKP_CHECK_FAIL, NULL, "a", "gone"), 0);
	assert_int_equal(bkp_verdict_finish(verdict, &result, NULL), 0);
	assert_int_equal(result.is_proven, 0);
	assert_int_equal(result.passed, 1000000);
	assert_int_equal(result.check_count, 2);
	assert_int_equal(result.checks[0].count, 1000000);
	assert_string_equal(result.checks[0].what, "1000000 entries equal");
	assert_int_equal(result.checks[1].count, 1);
	bkp_verify_result_free(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_entries_are_equal),
	    cmocka_unit_test(what_one_side_cannot_tell_is_no_difference),
	    cmocka_unit_test(a_changed_missing_or_new_attribute_is_told),
	    cmocka_unit_test(an_ignored_attribute_may_differ),
	    cmocka_unit_test(an_entry_that_lost_or_got_a_content_is_told),
	    cmocka_unit_test(size_and_digest_are_told_where_they_count),
	    cmocka_unit_test(another_kind_is_told),
	    cmocka_unit_test(texts_are_compared_line_by_line),
	    cmocka_unit_test(
		what_the_server_adds_to_its_own_words_is_no_difference),
	    cmocka_unit_test(each_sort_of_things_is_told_by_itself),
	    cmocka_unit_test(another_owner_is_a_difference_of_the_same_thing),
	    cmocka_unit_test(a_name_that_looks_like_a_remark_misleads_nobody),
	    cmocka_unit_test(
		of_many_differences_some_are_named_and_all_counted),
	    cmocka_unit_test(nothing_compared_is_not_proven),
	    cmocka_unit_test(what_is_told_about_a_snapshot_compares_nothing),
	    cmocka_unit_test(one_failure_outweighs_any_number_that_agree),
	};

	return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
