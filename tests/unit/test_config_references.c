/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "tests/unit/failing_alloc.h"

static char path[] = "/tmp/bkp-references-XXXXXX";

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd >= 0 ? close(fd) : -1;
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void
write_text(const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct bkp_config *
load(const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	write_text(text);
	if (bkp_config_load(path, &config, &err) < 0 || config == NULL) {
		fail_msg("%s", err.message);
		abort();
	}
	return config;
}

/* What is wrong stands on this line, in these words. */
static void
refuse(const char *text, unsigned line, const char *words)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	char at[128];

	write_text(text);
	assert_int_equal(bkp_config_load(path, &config, &err), -1);
	assert_null(config);
	assert_int_equal(err.code, BKP_INVALID);
	(void)snprintf(at, sizeof(at), "%s:%u: ", path, line);
	if (strncmp(err.message, at, strlen(at)) != 0 ||
	    strstr(err.message, words) == NULL)
		fail_msg("'%s' is not '%s...%s'", err.message, at, words);
}

#define SOURCES                                                                \
	"sources:\n"                                                           \
	"  - postgres: app\n"                                                  \
	"    databases: [shop, a/b]\n"                                         \
	"  - bucket: uploads\n"                                                \
	"  - files: etc\n"                                                     \
	"    paths: [/etc]\n"

static const char whole[] =
    "references:\n"
    "  - column: postgres/app/shop/public.documents.file_key\n"
    "    bucket: bucket/uploads\n"
    "  - table: postgres/app/a=2Fb/my=2Eschema.t\n"
    "    key: \"'docs/' || id || '.pdf'\"\n"
    "    where: id > 7\n"
    "    missing: 3\n"
    "    bucket: bucket/uploads\n"
    "assertions:\n"
    "  - name: no orphans\n"
    "    database: postgres/app/shop\n"
    "    sql: /etc/libbackup/orphans.sql\n"
    "  - name: smoke test\n"
    "    database: postgres/app/a=2Fb\n"
    "    run: [smoke, --quick]\n"
    "    timeout: 90s\n"
    "  - {name: seven, database: postgres/app/shop, query: SELECT 7,\n"
    "     expect: 7}\n"
    "  - {name: files, source: files/etc, run: [look]}\n" SOURCES;

static void
both_lists_are_read(void **state)
{
	struct bkp_config *config = load(whole);
	const struct bkp_reference_config *r = config->references;
	const struct bkp_assertion_config *a = config->assertions;

	(void)state;
	assert_int_equal(config->reference_count, 2);
	assert_string_equal(r[0].source, "postgres/app");
	assert_string_equal(r[0].path, "postgres/app/shop");
	assert_string_equal(r[0].database, "shop");
	assert_string_equal(r[0].schema, "public");
	assert_string_equal(r[0].relation, "documents");
	assert_string_equal(r[0].attribute, "file_key");
	assert_string_equal(r[0].bucket, "bucket/uploads");
	assert_null(r[0].key);
	assert_int_equal(r[0].missing, 0);
	assert_int_equal(r[0].line, 2);
	assert_string_equal(r[1].path, "postgres/app/a=2Fb");
	assert_string_equal(r[1].database, "a/b");
	assert_string_equal(r[1].schema, "my.schema");
	assert_string_equal(r[1].relation, "t");
	assert_null(r[1].attribute);
	assert_string_equal(r[1].key, "'docs/' || id || '.pdf'");
	assert_string_equal(r[1].where, "id > 7");
	assert_int_equal(r[1].missing, 3);
	assert_int_equal(config->assertion_count, 4);
	assert_string_equal(a[0].sql, "/etc/libbackup/orphans.sql");
	assert_int_equal(a[0].timeout_ms, 600000);
	assert_string_equal(a[1].database_name, "a/b");
	assert_string_equal(a[1].prefix, "postgres/app");
	assert_string_equal(a[1].run.items[1], "--quick");
	assert_int_equal(a[1].timeout_ms, 90000);
	assert_string_equal(a[2].expect, "7");
	assert_string_equal(a[3].prefix, "files/etc");
	assert_null(a[3].database_name);
	bkp_config_free(config);
}

static void
a_machine_that_only_proves_needs_no_sources(void **state)
{
	struct bkp_config *config =
	    load("references:\n"
		 "  - column: postgres/app/shop/public.a.b\n"
		 "    bucket: bucket/uploads\n"
		 "assertions:\n"
		 "  - {name: x, source: files/etc, run: [x]}\n");

	(void)state;
	assert_int_equal(config->reference_count, 1);
	bkp_config_free(config);
	config = load("references:\nassertions:\n");
	assert_int_equal(config->reference_count, 0);
	bkp_config_free(config);
}

#define REFERENCE(text) "references:\n  - " text "\n" SOURCES
#define COLUMN(text) REFERENCE("column: " text "\n    bucket: bucket/uploads")

static void
a_bad_reference_is_refused_with_its_line(void **state)
{
	(void)state;
	refuse(REFERENCE("column: postgres/app/shop/a.b.c"), 2,
	    "a reference needs 'bucket'");
	refuse(REFERENCE("bucket: bucket/uploads"), 2,
	    "needs one of 'column' and 'table'");
	refuse(REFERENCE("table: postgres/app/shop/a.b\n"
			 "    bucket: bucket/uploads"),
	    2, "needs 'key'");
	refuse(COLUMN("bucket/uploads/x"), 2, "begins with a source");
	refuse(COLUMN("postgres/app"), 2, "begins with a source");
	refuse(COLUMN("postgres//shop/a.b.c"), 2, "begins with a source");
	refuse(COLUMN("postgres/app/shop"), 2, "SCHEMA.TABLE.COLUMN");
	refuse(COLUMN("postgres/app/shop/a.b"), 2, "SCHEMA.TABLE.COLUMN");
	refuse(COLUMN("postgres/app/shop/a.b.c.d"), 2, "SCHEMA.TABLE.COLUMN");
	refuse(COLUMN("postgres/app/shop/a..c"), 2, "is no name");
	refuse(COLUMN("postgres/app/shop/a.b=2.c"), 2, "is no name");
	refuse(COLUMN("postgres/app/shop/a.b=00.c"), 2, "is no name");
	refuse(COLUMN("postgres/app/shop/a.b=2e.c"), 2, "is no name");
	refuse(COLUMN("postgres/crm/shop/a.b.c"), 2,
	    "the source postgres/crm, which is not there");
	refuse(COLUMN("postgres/app/crm/a.b.c"), 2, "the database crm");
	refuse(REFERENCE("column: postgres/app/shop/a.b.c\n"
			 "    bucket: uploads"),
	    2, "there is no 'uploads'");
	refuse(REFERENCE("column: postgres/app/shop/a.b.c\n"
			 "    bucket: files/etc"),
	    2, "there is no 'files/etc'");
	refuse(REFERENCE("column: postgres/app/shop/a.b.c\n"
			 "    bucket: bucket/uploads\n"
			 "    mising: 3"),
	    4, "did you mean 'missing'");
	refuse("references: {column: x}\n", 1, "'references' needs a list");
}

#define ASSERTION(text) "assertions:\n  - {name: x, " text "}\n" SOURCES

static void
an_assertion_that_asserts_nothing_is_refused(void **state)
{
	(void)state;
	refuse(
	    ASSERTION("database: postgres/app/shop"), 2, "has nothing to run");
	refuse(ASSERTION("database: postgres/app/shop, run: []"), 2,
	    "has nothing to run");
	refuse(ASSERTION("database: postgres/app/shop, sql: ''"), 2,
	    "'sql' is empty");
	refuse("assertions:\n  - {database: postgres/app/shop, run: [x]}\n", 2,
	    "an assertion needs 'name'");
	refuse(ASSERTION("database: postgres/app/shop, run: [x], sql: y"), 2,
	    "and no other");
	refuse(ASSERTION("run: [x]"), 2, "needs 'database'");
	refuse(ASSERTION("source: files/etc, query: SELECT 1"), 2,
	    "asks a 'database'");
	refuse(ASSERTION("database: postgres/app/shop, run: [x], expect: 1"), 2,
	    "exit status");
	refuse(ASSERTION("database: postgres/app/shop/t, run: [x]"), 2,
	    "as a whole");
	refuse(ASSERTION("database: postgres/app/shop, run: [x], timeout: 1"),
	    2, "'timeout'");
	refuse(ASSERTION("source: files/usr, run: [x]"), 2,
	    "files/usr, which is not there");
	refuse("assertions:\n"
	       "  - {name: x, source: files/etc, run: [x]}\n"
	       "  - {name: x, source: files/etc, run: [y]}\n" SOURCES,
	    3, "already, on line 2");
}

static void
memory_may_end_at_any_point(void **state)
{
	struct bkp_config *config = NULL;
	int rc = -1;

	(void)state;
	write_text(whole);
	for (int n = 0; n < 100000; n++) {
		failing_alloc_at(n);
		rc = bkp_config_load(path, &config, NULL);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_null(config);
	}
	assert_int_equal(rc, 0);
	bkp_config_free(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_lists_are_read),
	    cmocka_unit_test(a_machine_that_only_proves_needs_no_sources),
	    cmocka_unit_test(a_bad_reference_is_refused_with_its_line),
	    cmocka_unit_test(an_assertion_that_asserts_nothing_is_refused),
	    cmocka_unit_test(memory_may_end_at_any_point),
	};

	return cmocka_run_group_tests_name(
	    "config_references", tests, make_file, remove_file);
}
