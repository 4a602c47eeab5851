/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/assertions.h"
#include "libbackup/operations/references.h"
#include "libbackup/operations/references_query.h"
#include "tests/unit/failing_alloc.h"

/* ---- keys beside objects ---- */

static struct bkp_named *
named_of(const char *const *keys)
{
	struct bkp_named *named = NULL;

	assert_int_equal(bkp_named_new(&named, NULL), 0);
	for (; *keys != NULL; keys++)
		assert_int_equal(
		    bkp_named_add(named, *keys, strlen(*keys), NULL), 0);
	return named;
}

static struct bkp_match *
match_of(
    struct bkp_named *const *named, size_t count, const char *const *objects)
{
	struct bkp_match *match = NULL;

	assert_int_equal(bkp_match_new(named, count, &match, NULL), 0);
	for (; *objects != NULL; objects++)
		assert_int_equal(bkp_match_see(match, *objects, NULL), 0);
	assert_int_equal(bkp_match_finish(match, NULL), 0);
	return match;
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
keys_without_objects_and_objects_without_keys_are_found(void **state)
{
	struct bkp_named *named[2] = {
	    named_of(LIST("a", "a", "a b", "a/b", "b", "\xf0\x9f\x98\x80")),
	    named_of(LIST("A", "a/b", "z"))};
	struct bkp_match *match =
	    match_of(named, 2, LIST("A", "B", "a", "a/b", "a0", "c"));
	const struct bkp_key_tally *first = bkp_named_tally(named[0]);
	const struct bkp_key_tally *second = bkp_named_tally(named[1]);
	const struct bkp_key_tally *orphans = bkp_match_orphans(match);

	(void)state;
	assert_int_equal(first->count, 5);
	assert_int_equal(first->missing, 3);
	assert_string_equal(first->shown[0], "a b");
	assert_string_equal(first->shown[1], "b");
	assert_string_equal(first->shown[2], "\xf0\x9f\x98\x80");
	assert_int_equal(second->count, 3);
	assert_int_equal(second->missing, 1);
	assert_string_equal(second->shown[0], "z");
	assert_int_equal(orphans->count, 6);
	assert_int_equal(orphans->missing, 3);
	assert_string_equal(orphans->shown[0], "B");
	assert_string_equal(orphans->shown[1], "a0");
	assert_string_equal(orphans->shown[2], "c");
	bkp_match_free(match);
	bkp_named_free(named[0]);
	bkp_named_free(named[1]);
}

static void
nothing_beside_something_is_all_of_it(void **state)
{
	struct bkp_named *none = named_of((const char *const[]){NULL});
	struct bkp_named *some = named_of(LIST("x"));
	struct bkp_match *match = match_of(&none, 1, LIST("a", "b"));

	(void)state;
	assert_int_equal(bkp_match_orphans(match)->missing, 2);
	bkp_match_free(match);
	match = match_of(&some, 1, (const char *const[]){NULL});
	assert_int_equal(bkp_named_tally(some)->missing, 1);
	bkp_match_free(match);
	bkp_named_free(none);
	bkp_named_free(some);
}

static void
keys_out_of_their_order_are_an_error(void **state)
{
	static const char *const pairs[][2] = {
	    {"b", "a"}, {"ab", "a"}, {"\xc3\xa9", "z"}, {"a/b", "a b"}};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct bkp_named *named = named_of(LIST(pairs[i][0]));
		struct bkp_error err = BKP_ERROR_INIT;

		assert_int_equal(bkp_named_add(named, pairs[i][1],
				     strlen(pairs[i][1]), &err),
		    -1);
		assert_int_equal(err.code, BKP_IO);
		bkp_named_free(named);
	}
}

/* More than stays in memory: it goes through a file. Every third has an object,
 * and there is one between them that nobody names. */
static void
a_hundred_thousand_keys_are_set_aside(void **state)
{
	struct bkp_named *named = NULL;
	struct bkp_match *match = NULL;
	char key[64];

	(void)state;
	assert_int_equal(bkp_named_new(&named, NULL), 0);
	for (int i = 0; i < 100000; i++) {
		int len = snprintf(key, sizeof(key),
		    "%08x/and then some more text %d", (unsigned)i, i % 7);

		assert_int_equal(
		    bkp_named_add(named, key, (size_t)len, NULL), 0);
	}
	assert_int_equal(bkp_match_new(&named, 1, &match, NULL), 0);
	for (int i = 0; i < 100000; i += 3) {
		(void)snprintf(key, sizeof(key),
		    "%08x/and then some more text %d", (unsigned)i, i % 7);
		assert_int_equal(bkp_match_see(match, key, NULL), 0);
	}
	assert_int_equal(bkp_match_see(match, "zzz", NULL), 0);
	assert_int_equal(bkp_match_finish(match, NULL), 0);
	assert_int_equal(bkp_named_tally(named)->count, 100000);
	assert_int_equal(bkp_named_tally(named)->missing, 66666);
	assert_int_equal(bkp_named_tally(named)->shown_count, BKP_NAMED_SHOWN);
	assert_int_equal(bkp_match_orphans(match)->missing, 1);
	bkp_match_free(match);
	bkp_named_free(named);
}

static int
walk(void)
{
	struct bkp_named *named = NULL;
	struct bkp_match *match = NULL;
	int rc = bkp_named_new(&named, NULL);

	if (rc == 0)
		rc = bkp_named_add(named, "a", 1, NULL);
	if (rc == 0)
		rc = bkp_named_add(named, "b", 1, NULL);
	if (rc == 0)
		rc = bkp_match_new(&named, 1, &match, NULL);
	if (rc == 0)
		rc = bkp_match_see(match, "ab", NULL);
	if (rc == 0)
		rc = bkp_match_finish(match, NULL);
	bkp_match_free(match);
	bkp_named_free(named);
	return rc;
}

static void
memory_may_end_while_keys_are_compared(void **state)
{
	int n = 0;

	(void)state;
	for (; n < 10000; n++) {
		int rc;

		failing_alloc_at(n);
		rc = walk();
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
	}
	assert_true(n > 3 && n < 10000);
	assert_int_equal(walk(), 0);
}

/* ---- questions ---- */

static void
a_query_sorts_by_bytes_and_keeps_comments_apart(void **state)
{
	static char schema[] = "public", relation[] = "do\"cs",
		    attribute[] = "key", key[] = "'a%s' || id -- %d",
		    where[] = "true -- all";
	struct bkp_reference_config config = {
	    .schema = schema, .relation = relation, .attribute = attribute};
	struct fmt_buf sql = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(bkp_reference_sql(&config, "UTF8", &sql), FMT_OK);
	assert_string_equal(fmt_buf_text(&sql),
	    "SELECT k FROM (SELECT DISTINCT (\"key\")::text COLLATE "
	    "pg_catalog.\"C\" AS k FROM \"public\".\"do\"\"cs\") named WHERE k "
	    "<> '' ORDER BY k");
	fmt_buf_clear(&sql);
	config.key = key;
	config.where = where;
	assert_int_equal(bkp_reference_sql(&config, "LATIN1", &sql), FMT_OK);
	assert_string_equal(fmt_buf_text(&sql),
	    "SELECT k FROM (SELECT DISTINCT ('a%s' || id -- %d\n)::text "
	    "COLLATE pg_catalog.\"C\" AS k FROM \"public\".\"do\"\"cs\" WHERE "
	    "(true -- all\n)) named WHERE k <> '' ORDER BY convert_to(k, "
	    "'UTF8')");
	fmt_buf_free(&sql);
}

static void
a_row_stands_for_the_value_that_was_copied(void **state)
{
	static const char *const pairs[][2] = {{"plain\n", "plain"},
	    {"\\\\N\n", "\\N"}, {"a\\tb\\nc\\rd\n", "a\tb\nc\rd"},
	    {"\\b\\f\\v\n", "\b\f\v"}, {"end\\\\\n", "end\\"},
	    {"a\\\\nb\n", "a\\nb"}, {"\n", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char row[64];
		size_t len;

		(void)snprintf(row, sizeof(row), "%s", pairs[i][0]);
		len = bkp_reference_value(row, strlen(row));
		assert_int_equal(len, strlen(pairs[i][1]));
		assert_memory_equal(row, pairs[i][1], len);
	}
}

/* ---- the environment of commands ---- */

/* The value of a name; "-" where it is taken away, NULL where nothing is
 * said. */
static const char *
value_of(char **env, const char *name)
{
	size_t len = strlen(name);

	for (; *env != NULL; env++) {
		if (strncmp(*env, name, len) != 0)
			continue;
		if ((*env)[len] == '=')
			return *env + len + 1;
		if ((*env)[len] == '\0')
			return "-";
	}
	return NULL;
}

static void
a_command_is_led_to_the_scratch_place_and_nowhere_else(void **state)
{
	static char name[] = "x", database[] = "a b", prefix[] = "postgres/app",
		    conninfo[] = "host='/tmp/s' hostaddr='' port=5432 "
				 "user=super password='' options=''",
		    password[] = "secret", root[] = "/scratch/files";
	struct bkp_assertion_config config = {
	    .name = name, .prefix = prefix, .database_name = database};
	struct bkp_source_config place = {
	    .kind = BKP_KIND_POSTGRES, .postgres = {.conninfo = conninfo}};
	char **env = NULL;

	(void)state;
	assert_int_equal(
	    bkp_assertion_environment(&config, &place, "0123abcd", &env, NULL),
	    0);
	assert_string_equal(value_of(env, "PGHOST"), "/tmp/s");
	assert_string_equal(value_of(env, "PGPORT"), "5432");
	assert_string_equal(value_of(env, "PGUSER"), "super");
	assert_string_equal(value_of(env, "PGDATABASE"), "a b");
	assert_string_equal(value_of(env, "PGPASSWORD"), "-");
	assert_string_equal(value_of(env, "PGHOSTADDR"), "-");
	assert_string_equal(value_of(env, "PGSERVICE"), "-");
	assert_string_equal(value_of(env, "PGSERVICEFILE"), "-");
	assert_string_equal(value_of(env, "PGPASSFILE"), "-");
	assert_string_equal(value_of(env, "PGOPTIONS"), "-");
	assert_string_equal(value_of(env, "BACKUP_PASSPHRASE"), "-");
	assert_string_equal(value_of(env, "BACKUP_SNAPSHOT"), "0123abcd");
	assert_string_equal(value_of(env, "BACKUP_SOURCE"), "postgres/app");
	bkp_assertion_environment_free(env);

	place.postgres.password = password;
	config.database_name = NULL;
	assert_int_equal(
	    bkp_assertion_environment(&config, &place, "0123abcd", &env, NULL),
	    0);
	assert_string_equal(value_of(env, "PGPASSWORD"), "secret");
	assert_string_equal(value_of(env, "PGDATABASE"), "-");
	bkp_assertion_environment_free(env);

	place = (struct bkp_source_config){
	    .kind = BKP_KIND_FILES, .files = {.root = root}};
	assert_int_equal(
	    bkp_assertion_environment(&config, &place, "0123abcd", &env, NULL),
	    0);
	assert_string_equal(
	    value_of(env, "BACKUP_SCRATCH_DIRECTORY"), "/scratch/files");
	assert_null(value_of(env, "PGHOST"));
	bkp_assertion_environment_free(env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		keys_without_objects_and_objects_without_keys_are_found),
	    cmocka_unit_test(nothing_beside_something_is_all_of_it),
	    cmocka_unit_test(keys_out_of_their_order_are_an_error),
	    cmocka_unit_test(a_hundred_thousand_keys_are_set_aside),
	    cmocka_unit_test(memory_may_end_while_keys_are_compared),
	    cmocka_unit_test(a_query_sorts_by_bytes_and_keeps_comments_apart),
	    cmocka_unit_test(a_row_stands_for_the_value_that_was_copied),
	    cmocka_unit_test(
		a_command_is_led_to_the_scratch_place_and_nowhere_else),
	};

	return cmocka_run_group_tests_name("references", tests, NULL, NULL);
}
