/* SPDX-License-Identifier: Apache-2.0 */
/* SQL that an export has of its references: what is understood is written
 * anew, and everything else is nobody's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libbackup/subject/load_words.h"
#include "tests/unit/failing_alloc.h"

static char names[][12] = {"id", "who", "doc", "Owner \"x\"", "(a)"};
static struct bkp_model_column columns[5];
static const struct bkp_model_table table = {
    .columns = columns,
    .column_count = 5,
};

static int
set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < table.column_count; i++)
		columns[i].name = names[i];
	return 0;
}

static enum fmt_status
name_column(struct fmt_buf *out, size_t column, void *arg)
{
	(void)arg;
	return fmt_buf_printf(out, "c%zu", column);
}

/* ---- values ---- */

static const struct {
	const char *text;
	enum load_words_kind kind;
	size_t column;
	const char *sql;
} values[] = {
    {"who", LOAD_WORDS_COLUMN, 1, "X"},
    {"Owner \"x\"", LOAD_WORDS_COLUMN, 3, "X"},
    {"(a)", LOAD_WORDS_COLUMN, 4, "X"},
    {" (WHO) ", LOAD_WORDS_COLUMN, 1, "X"},
    {"\"Owner \"\"x\"\"\"", LOAD_WORDS_COLUMN, 3, "X"},
    {"who::bigint", LOAD_WORDS_CAST, 1, "X"},
    {"((who)::text)::int", LOAD_WORDS_CAST, 1, "X"},
    {"doc->>'a'", LOAD_WORDS_PATH, 2,
	"(X OPERATOR(pg_catalog.#>>) ARRAY['a']::text[])"},
    {"(doc->'a'->'b''c'->>'d')::bigint", LOAD_WORDS_PATH, 2,
	"(X OPERATOR(pg_catalog.#>>) ARRAY['a', 'b''c', 'd']::text[])"},
    {"(doc #>> '{a,1}')::bigint", LOAD_WORDS_PATH, 2,
	"(X OPERATOR(pg_catalog.#>>) ARRAY['a', '1']::text[])"},
};

static void
values_are_read_and_written_anew(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct fmt_buf sql = FMT_BUF_INIT;
		struct load_words words;

		assert_int_equal(
		    bkp_load_words(&words, &table, values[i].text), FMT_OK);
		assert_int_equal(words.kind, values[i].kind);
		assert_int_equal(words.column, values[i].column);
		assert_int_equal(
		    bkp_load_words_append(&sql, &words, "X"), FMT_OK);
		assert_string_equal(fmt_buf_text(&sql), values[i].sql);
		bkp_load_words_free(&words);
		fmt_buf_free(&sql);
	}
}

static void
what_is_no_such_value_is_refused(void **state)
{
	static const char *const texts[] = {"", "nobody", "(who", "who)", "1",
	    "'who'", "who()", "pg_sleep(1)", "(SELECT 1)", "who who",
	    "who::", "who::'x'", "who; DROP TABLE x", "who -- x", "who /* x */",
	    "doc->'a'", "doc->>", "doc->>who", "doc->>1", "doc->>E'a'",
	    "doc->>'a'->>'b'", "doc->'a'#>>'{b}'", "doc #>> 'a'",
	    "doc #>> '{}'", "doc #>> '{a,,b}'", "doc #>> '{\"a\"}'",
	    "doc #>> '{a,{b}}'", "doc->>'a", "\"who", "$1", "who || who",
	    "who[1]", "(((((((((((((((((((((((((who)))))))))))))))))))))))))"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct load_words words;

		assert_int_equal(
		    bkp_load_words(&words, &table, texts[i]), FMT_MALFORMED);
		assert_null(words.path.data);
	}
}

/* ---- conditions ---- */

static const struct {
	const char *text, *sql;
} conditions[] = {
    {"who = 'User'", "c1 OPERATOR(pg_catalog.=) 'User'"},
    {"who<>'it''s'", "c1 OPERATOR(pg_catalog.<>) 'it''s'"},
    {"who ~ '^[0-9]+$'", "c1 OPERATOR(pg_catalog.~) '^[0-9]+$'"},
    {"who LIKE 'a%' and id IS NOT NULL", "c1 LIKE 'a%' AND c0 IS NOT NULL"},
    {"id IN (1, -2.5, 'x')", "c0 IN ('1', '-2.5', 'x')"},
    {"(doc->>'k') = 'b'", "(c2 OPERATOR(pg_catalog.#>>) ARRAY['k']::text[])"
			  " OPERATOR(pg_catalog.=) 'b'"},
    {"who::text IS NULL", "c1 IS NULL"},
};

static void
conditions_are_read_and_written_anew(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++) {
		struct fmt_buf sql = FMT_BUF_INIT;

		assert_int_equal(bkp_load_words_condition(&sql, &table,
				     conditions[i].text, name_column, NULL),
		    FMT_OK);
		assert_string_equal(fmt_buf_text(&sql), conditions[i].sql);
		fmt_buf_free(&sql);
	}
}

static void
what_is_no_such_condition_is_refused(void **state)
{
	static const char *const texts[] = {"", "true", "who", "who = who",
	    "who = 'a' OR true", "who = 'a';", "who = E'\\''", "who = 'a",
	    "who = U&'x'", "who = $$a$$", "who = 'a' AND", "who IN ()",
	    "who IN ('a'", "who IN (who)", "who IS", "who IS NOT",
	    "who IS TRUE", "who = 1.2.3", "who = 1x", "who > 'a'",
	    "who = 'a' --", "pg_sleep(9) IS NULL", "NOT who = 'a'",
	    "nobody = 'a'", "who = -", "who = 'a' 'b'"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct fmt_buf sql = FMT_BUF_INIT;

		if (bkp_load_words_condition(&sql, &table, texts[i],
			name_column, NULL) != FMT_MALFORMED)
			fail_msg("%s", texts[i]);
		fmt_buf_free(&sql);
	}
}

static void
without_memory_it_is_told_as_that(void **state)
{
	bool is_short = true;

	(void)state;
	for (int n = 0; is_short; n++) {
		struct fmt_buf sql = FMT_BUF_INIT;
		struct load_words words = LOAD_WORDS_INIT;
		enum fmt_status first, second;

		failing_alloc_at(n);
		first = bkp_load_words(
		    &words, &table, "(doc->'a'->'b''c'->>'d')::bigint");
		second = bkp_load_words_condition(&sql, &table,
		    "doc->>'k' = 'b' AND who IN ('1', 'b')", name_column, NULL);
		is_short = failing_alloc_end();
		assert_true(first == FMT_OK || first == FMT_NOMEM);
		assert_int_equal(second, is_short ? FMT_NOMEM : FMT_OK);
		bkp_load_words_free(&words);
		fmt_buf_free(&sql);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_are_read_and_written_anew),
	    cmocka_unit_test(what_is_no_such_value_is_refused),
	    cmocka_unit_test(conditions_are_read_and_written_anew),
	    cmocka_unit_test(what_is_no_such_condition_is_refused),
	    cmocka_unit_test(without_memory_it_is_told_as_that),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
