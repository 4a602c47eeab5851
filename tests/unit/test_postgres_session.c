/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "libbackup/postgres/catalogue.h"
#include "libbackup/postgres/conninfo.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/programs.h"

/* ---- connections ---- */

static const char *
value_of(const struct bkp_conninfo *info, const char *keyword)
{
	for (size_t i = 0; i < info->count; i++)
		if (strcmp(info->keywords[i], keyword) == 0)
			return info->values[i];
	return NULL;
}

static void
the_database_and_the_password_win_over_conninfo(void **state)
{
	char conninfo[] = "host=h dbname=other connect_timeout=3";
	char password[] = "it's \\ secret";
	struct bkp_postgres_config config = {
	    .conninfo = conninfo, .password = password};
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_conninfo_make(&config, "a b", &info, &err), 0);
	assert_string_equal(value_of(&info, "host"), "h");
	assert_string_equal(value_of(&info, "dbname"), "a b");
	assert_string_equal(value_of(&info, "password"), password);
	assert_string_equal(value_of(&info, "connect_timeout"), "3");
	assert_string_equal(value_of(&info, "keepalives"), "1");
	assert_null(info.keywords[info.count]);
	bkp_conninfo_free(&info);
}

static void
an_address_as_a_uri_is_understood(void **state)
{
	char conninfo[] = "postgresql://u@[::1]:6000/x?application_name=y";
	struct bkp_postgres_config config = {.conninfo = conninfo};
	struct bkp_conninfo info = BKP_CONNINFO_INIT;

	(void)state;
	assert_int_equal(bkp_conninfo_make(&config, NULL, &info, NULL), 0);
	assert_string_equal(value_of(&info, "host"), "::1");
	assert_string_equal(value_of(&info, "port"), "6000");
	assert_string_equal(value_of(&info, "dbname"), "x");
	bkp_conninfo_free(&info);
}

static void
a_conninfo_that_does_not_parse_is_invalid(void **state)
{
	char conninfo[] = "host=h nonsense";
	struct bkp_postgres_config config = {.conninfo = conninfo};
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_conninfo_make(&config, NULL, &info, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, "nonsense"));
}

static void
no_secret_is_in_what_children_see_on_their_command_line(void **state)
{
	char conninfo[] = "host='my host' sslpassword=hidden1 user='o\\'x'";
	char password[] = "hidden2";
	struct bkp_postgres_config config = {
	    .conninfo = conninfo, .password = password};
	struct bkp_pg_access access = BKP_PG_ACCESS_INIT;
	bool has_password = false;

	(void)state;
	assert_int_equal(bkp_pg_access_make(&config, "d'b", &access, NULL), 0);
	assert_null(strstr(access.conninfo, "hidden"));
	assert_non_null(strstr(access.conninfo, "host='my host'"));
	assert_non_null(strstr(access.conninfo, "dbname='d\\'b'"));
	assert_non_null(strstr(access.conninfo, "user='o\\'x'"));
	for (size_t i = 0; access.env[i] != NULL; i++)
		if (strcmp(access.env[i], "PGPASSWORD=hidden2") == 0)
			has_password = true;
	assert_true(has_password);
	bkp_pg_access_free(&access);
}

/* ---- programs ---- */

static void
the_major_version_is_read_from_what_a_program_says(void **state)
{
	(void)state;
	assert_int_equal(
	    bkp_pg_program_major("pg_dump (PostgreSQL) 15.20 (Debian)\n"), 15);
	assert_int_equal(
	    bkp_pg_program_major("postgres (PostgreSQL) 19devel"), 19);
	assert_int_equal(bkp_pg_program_major("pg_dump 15"), 0);
	assert_int_equal(bkp_pg_program_major(""), 0);
}

/* A folder with a program that says it is of this version. */
static void
make_program(char *folder, const char *version)
{
	char path[128];
	FILE *file;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/pg_dump", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fprintf(
	    file, "#!/bin/sh\necho 'pg_dump (PostgreSQL) %s'\n", version);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

static void
remove_program(const char *folder)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/pg_dump", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void
the_program_of_the_right_major_is_found(void **state)
{
	char folder[] = "/tmp/test-programs-XXXXXX", *path = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	make_program(folder, "99.1");
	assert_int_equal(bkp_pg_program(folder, "pg_dump", 99, &path, &err), 0);
	assert_int_equal(strncmp(path, folder, strlen(folder)), 0);
	free(path);
	remove_program(folder);
}

static void
a_program_of_another_major_is_refused_with_both_versions(void **state)
{
	char folder[] = "/tmp/test-programs-XXXXXX", *path = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	make_program(folder, "98.7");
	assert_int_equal(
	    bkp_pg_program(folder, "pg_dump", 99, &path, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, "PostgreSQL 99"));
	assert_non_null(strstr(err.message, "PostgreSQL 98"));
	assert_non_null(strstr(err.message, "postgresql-client-99"));
	remove_program(folder);
}

/* ---- ranges ---- */

static void
a_range_holds_about_a_mebibyte_of_heap_and_toast(void **state)
{
	(void)state;
	assert_int_equal(bkp_pg_range_pages(0, 0, 0), 128);
	assert_int_equal(bkp_pg_range_pages(1000, 1000 * 8192ull, 0), 128);
	/* 99% TOAST: a page stands for 800 kB. */
	assert_int_equal(bkp_pg_range_pages(1000, 1000 * 819200ull, 0), 1);
	assert_int_equal(bkp_pg_range_pages(10, 10 * 100000ull, 0), 8);
}

static void
a_range_that_was_taken_before_is_kept_while_it_fits(void **state)
{
	(void)state;
	assert_int_equal(bkp_pg_range_pages(1000, 1000 * 9000ull, 128), 128);
	assert_int_equal(bkp_pg_range_pages(1000, 1000 * 20000ull, 128), 128);
	assert_int_equal(bkp_pg_range_pages(1000, 1000 * 80000ull, 128), 8);
	assert_int_equal(bkp_pg_range_pages(1000, 1000 * 8192ull, 4), 128);
}

/* ---- copy ---- */

static void
check_copy_out(uint64_t first, uint64_t last, enum fmt_copy_form form,
    const char *expected)
{
	static const char *const columns[] = {"a", "B \"b"};
	struct fmt_buf sql = FMT_BUF_INIT;

	assert_int_equal(bkp_pg_copy_out_sql(&sql, "s.t", columns, 2, "", first,
			     last, "UTF8", form),
	    FMT_OK);
	assert_string_equal(fmt_buf_text(&sql), expected);
	fmt_buf_free(&sql);
}

static void
copy_names_columns_and_pages(void **state)
{
	(void)state;
	check_copy_out(0, 0, FMT_COPY_BINARY,
	    "COPY (SELECT \"a\", \"B \"\"b\" FROM ONLY s.t ) TO STDOUT "
	    "(FORMAT binary, ENCODING 'UTF8')");
	check_copy_out(0, 0, FMT_COPY_TEXT,
	    "COPY (SELECT \"a\", \"B \"\"b\" FROM ONLY s.t ) TO STDOUT "
	    "(ENCODING 'UTF8')");
	check_copy_out(0, 128, FMT_COPY_TEXT,
	    "COPY (SELECT \"a\", \"B \"\"b\" FROM ONLY s.t  WHERE ctid >= "
	    "'(0,0)' AND ctid < '(128,0)') TO STDOUT (ENCODING 'UTF8')");
	check_copy_out(128, 0, FMT_COPY_TEXT,
	    "COPY (SELECT \"a\", \"B \"\"b\" FROM ONLY s.t  WHERE ctid >= "
	    "'(128,0)') TO STDOUT (ENCODING 'UTF8')");
}

static void
a_table_without_columns_is_loaded_without_a_list(void **state)
{
	const char *columns[] = {"a", "b"};
	struct fmt_buf sql = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    bkp_pg_copy_in_sql(&sql, "t", columns, 0, "UTF8", FMT_COPY_TEXT),
	    FMT_OK);
	assert_string_equal(
	    fmt_buf_text(&sql), "COPY t FROM STDIN (ENCODING 'UTF8')");
	fmt_buf_clear(&sql);
	assert_int_equal(
	    bkp_pg_copy_in_sql(&sql, "t", columns, 2, "UTF8", FMT_COPY_TEXT),
	    FMT_OK);
	assert_string_equal(fmt_buf_text(&sql),
	    "COPY t (\"a\", \"b\") FROM STDIN (ENCODING 'UTF8')");
	fmt_buf_clear(&sql);
	assert_int_equal(
	    bkp_pg_copy_in_sql(&sql, "t", columns, 1, "UTF8", FMT_COPY_BINARY),
	    FMT_OK);
	assert_string_equal(fmt_buf_text(&sql),
	    "COPY t (\"a\") FROM STDIN (FORMAT binary, ENCODING 'UTF8')");
	fmt_buf_free(&sql);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_database_and_the_password_win_over_conninfo),
	    cmocka_unit_test(an_address_as_a_uri_is_understood),
	    cmocka_unit_test(a_conninfo_that_does_not_parse_is_invalid),
	    cmocka_unit_test(
		no_secret_is_in_what_children_see_on_their_command_line),
	    cmocka_unit_test(
		the_major_version_is_read_from_what_a_program_says),
	    cmocka_unit_test(the_program_of_the_right_major_is_found),
	    cmocka_unit_test(
		a_program_of_another_major_is_refused_with_both_versions),
	    cmocka_unit_test(a_range_holds_about_a_mebibyte_of_heap_and_toast),
	    cmocka_unit_test(
		a_range_that_was_taken_before_is_kept_while_it_fits),
	    cmocka_unit_test(copy_names_columns_and_pages),
	    cmocka_unit_test(a_table_without_columns_is_loaded_without_a_list),
	};

	return cmocka_run_group_tests_name(
	    "postgres_session", tests, NULL, NULL);
}
