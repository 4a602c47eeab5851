/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/postgres/names.h"
#include "libbackup/postgres/sqlcatalogue.h"
#include "libbackup/postgres/sqltext.h"

static const char *
text_of(struct fmt_buf *buf)
{
	const char *text = fmt_buf_text(buf);

	assert_non_null(text);
	return text;
}

/* ---- names ---- */

static void
check_database(const char *name, const char *expected)
{
	struct fmt_buf path = FMT_BUF_INIT;

	assert_int_equal(bkp_pg_path_database(&path, name), FMT_OK);
	assert_string_equal(text_of(&path), expected);
	fmt_buf_free(&path);
}

static void
a_database_of_any_name_is_one_component(void **state)
{
	(void)state;
	check_database("shop", "shop");
	check_database("my.shop v2", "my.shop v2");
	check_database("a/b=c", "a=2Fb=3Dc");
	check_database("line\nend\x7f", "line=0Aend=7F");
	check_database("..", "=2E=2E");
	check_database("globals.sql", "globals=2Esql");
	check_database("\xc3\xbc", "\xc3\xbc");
}

static void
check_table(const char *schema, const char *name, const char *expected)
{
	struct fmt_buf path = FMT_BUF_INIT;

	assert_int_equal(bkp_pg_path_table(&path, schema, name), FMT_OK);
	assert_string_equal(text_of(&path), expected);
	fmt_buf_free(&path);
}

static void
the_dot_between_schema_and_table_is_the_only_one(void **state)
{
	(void)state;
	check_table("public", "users", "public.users");
	check_table("a.b", "c", "a=2Eb.c");
	check_table("a", "b.c", "a.b=2Ec");
	check_table("", "/", ".=2F");
}

static void
sql_is_written_with_everything_quoted(void **state)
{
	struct fmt_buf sql = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(bkp_pg_sql(&sql, "x %I %L %L %s %u %llu", "a\"b",
			     "it's", "back\\slash", "raw", 7u, 1ull << 40),
	    FMT_OK);
	assert_string_equal(text_of(&sql),
	    "x \"a\"\"b\" 'it''s'  E'back\\\\slash' raw 7 1099511627776");
	assert_int_equal(bkp_pg_sql(&sql, "%d", 1), FMT_UNSUPPORTED);
	fmt_buf_free(&sql);
}

/* ---- statements ---- */

static void
check_statements(const char *text, const char *const *expected)
{
	const char *at = text, *end = text + strlen(text);
	struct bkp_sql_statement s;

	for (; *expected != NULL; expected++) {
		assert_true(bkp_sql_next(&at, end, &s));
		assert_int_equal(s.len, strlen(*expected));
		assert_memory_equal(s.text, *expected, s.len);
	}
	assert_false(bkp_sql_next(&at, end, &s));
}

static void
statements_end_at_semicolons_outside_of_quotes(void **state)
{
	const char *const expected[] = {"SELECT ';';", "A \";\" b;",
	    "C 'it''s; x';", "D E'\\';';", "rest", NULL};

	(void)state;
	check_statements("-- a; comment\n\\restrict abc;\n\nSELECT ';';\n"
			 "A \";\" b; C 'it''s; x';\nD E'\\';'; rest",
	    expected);
}

static void
a_quote_that_never_closes_ends_with_the_text(void **state)
{
	const char *const expected[] = {"SELECT 'x;", NULL};
	const char *const nothing[] = {NULL};

	(void)state;
	check_statements("SELECT 'x;", expected);
	check_statements(" \n -- nothing", nothing);
}

static void
identifiers_are_read_quoted_or_not(void **state)
{
	const char *text = " \"a \"\"b\"\"\" plain_1;";
	const char *at = text, *end = text + strlen(text);
	struct fmt_buf name = FMT_BUF_INIT;

	(void)state;
	assert_true(bkp_sql_identifier(&at, end, &name));
	assert_string_equal(text_of(&name), "a \"b\"");
	assert_true(bkp_sql_identifier(&at, end, &name));
	assert_string_equal(text_of(&name), "plain_1");
	assert_false(bkp_sql_identifier(&at, end, &name));
	at = "\"open";
	assert_false(bkp_sql_identifier(&at, at + 5, &name));
	fmt_buf_free(&name);
}

static void
globals_lose_what_tells_of_the_run(void **state)
{
	static const char text[] =
	    "--\n-- PostgreSQL database cluster dump\n--\n\n"
	    "\\restrict hWbV\n\n-- Started on 2026-11-20\n\n"
	    "SET default_transaction_read_only = off;\n"
	    "CREATE ROLE a;\nALTER ROLE a WITH LOGIN PASSWORD 'x;y';\n"
	    "CREATE TABLESPACE fast OWNER a LOCATION '/mnt';\n"
	    "GRANT ALL ON TABLESPACE fast TO a;\n"
	    "GRANT \" ON TABLESPACE \" TO a;\n"
	    "\\unrestrict hWbV\n";
	struct fmt_buf out = FMT_BUF_INIT, tablespaces = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    bkp_sql_globals(text, strlen(text), &out, &tablespaces), FMT_OK);
	assert_string_equal(text_of(&out),
	    "CREATE ROLE a;\nALTER ROLE a WITH LOGIN PASSWORD 'x;y';\n"
	    "GRANT \" ON TABLESPACE \" TO a;\n");
	assert_string_equal(text_of(&tablespaces),
	    "CREATE TABLESPACE fast OWNER a LOCATION '/mnt';\n"
	    "GRANT ALL ON TABLESPACE fast TO a;\n");
	fmt_buf_free(&out);
	fmt_buf_free(&tablespaces);
}

/* ---- the catalogue ---- */

#define OBJECT(name, type, sql)                                                \
	"--\n-- Name: " name "; Type: " type "; Schema: public; Owner: o\n"    \
	"--\n\n" sql "\n\n"

static int
keep(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)err;
	assert_int_equal(fmt_buf_append(arg, data, len), FMT_OK);
	return 0;
}

/* In portions of so many bytes. */
static void
sort_portions(const char *text, size_t portion, struct fmt_buf *out)
{
	struct bkp_sql_catalogue *catalogue;
	size_t len = strlen(text);

	assert_int_equal(bkp_sql_catalogue_new(&catalogue, NULL), 0);
	for (size_t at = 0; at < len; at += portion)
		assert_int_equal(
		    bkp_sql_catalogue_write(catalogue, text + at,
			len - at < portion ? len - at : portion, NULL),
		    0);
	assert_int_equal(
	    bkp_sql_catalogue_finish(catalogue, keep, out, NULL), 0);
	bkp_sql_catalogue_free(catalogue);
	(void)text_of(out);
}

static void
catalogue(const char *text, struct fmt_buf *out)
{
	sort_portions(text, strlen(text), out);
}

static void
the_order_of_a_dump_does_not_show_in_the_catalogue(void **state)
{
	struct fmt_buf a = FMT_BUF_INIT, b = FMT_BUF_INIT;

	(void)state;
	catalogue("-- Dumped from database version 15.1\n"
		  "SET statement_timeout = 0;\n" OBJECT("t", "TABLE",
		      "SET default_tablespace = '';\n\nCREATE TABLE t (\n"
		      "    a integer\n);") OBJECT("t", "ACL",
		      "GRANT SELECT ON t TO x;\nGRANT SELECT ON t TO y;")
		      OBJECT("v", "VIEW", "CREATE VIEW v AS SELECT 1;"),
	    &a);
	catalogue(
	    "-- Dumped from database version 16.2\n" OBJECT(
		"v", "VIEW", "CREATE VIEW v AS SELECT 1;") OBJECT("t", "ACL",
		"GRANT SELECT ON t TO y;\nGRANT SELECT ON t TO x;")
		OBJECT("t", "TABLE", "CREATE TABLE t (\n    a integer\n);"),
	    &b);
	assert_string_equal((char *)a.data, (char *)b.data);
	assert_non_null(strstr((char *)a.data, "    a integer"));
	assert_null(strstr((char *)a.data, "default_tablespace"));
	fmt_buf_free(&a);
	fmt_buf_free(&b);
}

static void
a_tablespace_does_not_show_in_the_catalogue(void **state)
{
	struct fmt_buf a = FMT_BUF_INIT, b = FMT_BUF_INIT;

	(void)state;
	catalogue("-- Name: t; Type: TABLE; Schema: public; Owner: o;"
		  " Tablespace: fast\n--\n\nSET default_tablespace = fast;\n\n"
		  "CREATE TABLE t (\n    a integer\n);\n",
	    &a);
	catalogue(
	    OBJECT("t", "TABLE", "CREATE TABLE t (\n    a integer\n);"), &b);
	assert_string_equal((char *)a.data, (char *)b.data);
	fmt_buf_free(&a);
	fmt_buf_free(&b);
}

static void
a_difference_of_one_object_shows_in_the_catalogue(void **state)
{
	struct fmt_buf a = FMT_BUF_INIT, b = FMT_BUF_INIT;

	(void)state;
	catalogue(OBJECT("i", "INDEX", "CREATE INDEX i ON t (a);"), &a);
	catalogue(OBJECT("i", "INDEX", "CREATE INDEX i ON t (b);"), &b);
	assert_string_not_equal((char *)a.data, (char *)b.data);
	fmt_buf_free(&a);
	fmt_buf_free(&b);
}

static void
a_dump_may_be_cut_anywhere(void **state)
{
	static const char text[] = OBJECT(
	    "t", "ACL", "GRANT SELECT ON t TO y;\nGRANT SELECT ON t TO x;")
	    OBJECT("i", "INDEX", "CREATE INDEX i ON t (a);");
	struct fmt_buf a = FMT_BUF_INIT, b = FMT_BUF_INIT;

	(void)state;
	catalogue(text, &a);
	for (size_t portion = 1; portion < 20; portion++) {
		fmt_buf_clear(&b);
		sort_portions(text, portion, &b);
		assert_string_equal((char *)a.data, (char *)b.data);
	}
	fmt_buf_free(&a);
	fmt_buf_free(&b);
}

/* 40 MB: more than is sorted at once. */
static void
a_schema_of_very_many_objects_is_in_order_and_whole(void **state)
{
	enum { COUNT = 100000 };
	struct fmt_buf text = FMT_BUF_INIT, out = FMT_BUF_INIT;
	const char *at;
	char pad[301];

	(void)state;
	memset(pad, 'x', sizeof(pad) - 1);
	pad[sizeof(pad) - 1] = '\0';
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(
		    fmt_buf_printf(&text,
			"-- Name: t%06u; Type: TABLE; Schema: s; Owner: o\n\n"
			"CREATE TABLE %s (\n);\n\n",
			i * 7919u % COUNT, pad),
		    FMT_OK);
	catalogue(text_of(&text), &out);
	at = text_of(&out);
	for (unsigned i = 0; i < COUNT; i++) {
		char expected[420];

		(void)snprintf(expected, sizeof(expected),
		    "-- Name: t%06u; Type: TABLE; Schema: s; Owner: o\n"
		    "CREATE TABLE %s (\n);\n\n",
		    i, pad);
		assert_memory_equal(at, expected, strlen(expected));
		at += strlen(expected);
	}
	assert_string_equal(at, "");
	fmt_buf_free(&text);
	fmt_buf_free(&out);
}

/* A database that grants nothing beyond what owners have may say so. */
static void
grants_of_one_line_or_of_none_are_whole(void **state)
{
	static const char *const none =
	    "-- Name: t; Type: ACL; Schema: public; Owner: owner\n\n";
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	catalogue(none, &out);
	assert_string_equal((char *)out.data, none);
	fmt_buf_clear(&out);
	catalogue(OBJECT("t", "ACL", "GRANT SELECT ON t TO x;"), &out);
	assert_non_null(strstr((char *)out.data, "GRANT SELECT ON t TO x;\n"));
	fmt_buf_free(&out);
}

static void
check_settled(const char *text, const char *expected)
{
	struct fmt_buf out = FMT_BUF_INIT;

	assert_int_equal(bkp_sql_settle(text, strlen(text), &out), FMT_OK);
	assert_string_equal(text_of(&out), expected);
	fmt_buf_free(&out);
}

static void
casts_of_arrays_are_written_as_they_are_after_a_restore(void **state)
{
	(void)state;
	check_settled("CHECK (((s)::text = ANY ((ARRAY['a'::character varying, "
		      "'it''s, [x]'::character varying])::text[])))",
	    "CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, "
	    "('it''s, [x]'::character varying)::text])))");
	check_settled("((ARRAY[f(1, 2), (3)])::\"My Type\"[])",
	    "(ARRAY[(f(1, 2))::\"My Type\", ((3))::\"My Type\"])");
}

static void
what_only_begins_like_a_cast_stays(void **state)
{
	(void)state;
	check_settled("(ARRAY[1, 2])", "(ARRAY[1, 2])");
	check_settled("(ARRAY[1, 2])::text", "(ARRAY[1, 2])::text");
	check_settled("(ARRAY[1]) - ab[]", "(ARRAY[1]) - ab[]");
	check_settled("(ARRAY[1, 2", "(ARRAY[1, 2");
	check_settled("(ARRAY[])::text[]", "(ARRAY[])::text[]");
	check_settled("(ARRAY['x", "(ARRAY['x");
	check_settled("", "");
}

static void
check_steady(const char *line, const char *expected)
{
	struct fmt_buf out = FMT_BUF_INIT;

	assert_int_equal(bkp_sql_steady(line, strlen(line), &out), FMT_OK);
	assert_string_equal(text_of(&out), expected);
	fmt_buf_free(&out);
}

static void
the_name_that_a_cast_gives_a_column_does_not_show(void **state)
{
	(void)state;
	check_steady("     'y'::text AS text;", "     'y'::text;");
	check_steady(
	    "  SELECT 'a'::s.kind AS kind, 'b'::\"S\".\"A b\" AS \"A b\"",
	    "  SELECT 'a'::s.kind, 'b'::\"S\".\"A b\"");
	check_steady("'1'::timestamp with time zone AS timestamptz, 2",
	    "'1'::timestamp with time zone, 2");
	check_steady("'{}'::character varying(3)[] AS \"varchar\"",
	    "'{}'::character varying(3)[] AS \"varchar\"");
	check_steady("'{}'::character varying(3)[] AS varchar)",
	    "'{}'::character varying(3)[])");
	check_steady("    MAXVALUE 2147483647", "    NO MAXVALUE");
}

static void
a_name_that_somebody_gave_a_column_shows(void **state)
{
	static const char *const lines[] = {"'y'::text AS t", "y AS text",
	    "::text AS texts", "'y'::text AS ", " AS ", "text AS text",
	    "'::text' AS text", "    MAXVALUE 21474836470", "    MAXVALUE 5",
	    "'a'::s.kind AS s", "CREATE VIEW v AS", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_steady(lines[i], lines[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_database_of_any_name_is_one_component),
	    cmocka_unit_test(the_dot_between_schema_and_table_is_the_only_one),
	    cmocka_unit_test(sql_is_written_with_everything_quoted),
	    cmocka_unit_test(statements_end_at_semicolons_outside_of_quotes),
	    cmocka_unit_test(a_quote_that_never_closes_ends_with_the_text),
	    cmocka_unit_test(identifiers_are_read_quoted_or_not),
	    cmocka_unit_test(globals_lose_what_tells_of_the_run),
	    cmocka_unit_test(
		the_order_of_a_dump_does_not_show_in_the_catalogue),
	    cmocka_unit_test(a_tablespace_does_not_show_in_the_catalogue),
	    cmocka_unit_test(a_difference_of_one_object_shows_in_the_catalogue),
	    cmocka_unit_test(a_dump_may_be_cut_anywhere),
	    cmocka_unit_test(
		a_schema_of_very_many_objects_is_in_order_and_whole),
	    cmocka_unit_test(grants_of_one_line_or_of_none_are_whole),
	    cmocka_unit_test(
		casts_of_arrays_are_written_as_they_are_after_a_restore),
	    cmocka_unit_test(the_name_that_a_cast_gives_a_column_does_not_show),
	    cmocka_unit_test(a_name_that_somebody_gave_a_column_shows),
	    cmocka_unit_test(what_only_begins_like_a_cast_stays),
	};

	return cmocka_run_group_tests_name("postgres_text", tests, NULL, NULL);
}
