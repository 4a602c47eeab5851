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

#include "libbackup/base/temporary.h"
#include "libbackup/postgres/programs.h"

/* No machine has this one. */
#define MAJOR 99

static char folder[64];

static void
write_program(const char *name, const char *version)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fprintf(
	    file, "#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

static int
enter(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/libbackup-test-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
leave(void **state)
{
	(void)state;
	bkp_temporary_remove(folder);
	return 0;
}

static void
the_servers_own_version_is_taken(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *found = NULL;

	(void)state;
	write_program("pg_dump", "99.1 (Debian 99.1-1)");
	assert_int_equal(
	    bkp_pg_program(folder, "pg_dump", MAJOR, &found, &err), 0);
	assert_memory_equal(found, folder, strlen(folder));
	free(found);
}

static void
another_version_is_refused_and_both_are_named(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *found = NULL;

	(void)state;
	write_program("pg_dump", "14.9");
	assert_int_equal(
	    bkp_pg_program(folder, "pg_dump", MAJOR, &found, &err), -1);
	assert_null(found);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, "PostgreSQL 99 is needed"));
	assert_non_null(strstr(err.message, folder));
	assert_non_null(strstr(err.message, "is of PostgreSQL 14"));
	assert_non_null(strstr(err.message, "postgresql-client-99"));
}

static void
a_program_that_is_nowhere_is_told(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *found = NULL;

	(void)state;
	assert_int_equal(
	    bkp_pg_program(folder, "pg_nothing", MAJOR, &found, &err), -1);
	assert_non_null(strstr(err.message, "there is none"));
}

/* Beside pg_dump, but in no folder that is of one version alone. */
static void
what_lies_beside_is_asked_for_its_version(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *known = NULL, *found = NULL;

	(void)state;
	write_program("pg_dump", "99.1");
	write_program("pg_restore", "98.1");
	assert_int_equal(
	    bkp_pg_program(folder, "pg_dump", MAJOR, &known, &err), 0);
	assert_int_equal(bkp_pg_program_like(
			     known, folder, "pg_restore", MAJOR, &found, &err),
	    -1);
	assert_null(found);
	assert_non_null(strstr(err.message, "is of PostgreSQL 98"));
	write_program("pg_restore", "99.1");
	assert_int_equal(bkp_pg_program_like(
			     known, folder, "pg_restore", MAJOR, &found, &err),
	    0);
	free(found);
	free(known);
}

/* A distribution's folder, though nothing is in it. */
static void
a_folder_of_one_version_may_lack_a_program(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *found = NULL;

	(void)state;
	write_program("pg_restore", "99.1");
	assert_int_equal(
	    bkp_pg_program_like("/usr/lib/postgresql/99/bin/pg_dump", folder,
		"pg_restore", MAJOR, &found, &err),
	    0);
	assert_memory_equal(found, folder, strlen(folder));
	free(found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		the_servers_own_version_is_taken, enter, leave),
	    cmocka_unit_test_setup_teardown(
		another_version_is_refused_and_both_are_named, enter, leave),
	    cmocka_unit_test_setup_teardown(
		a_program_that_is_nowhere_is_told, enter, leave),
	    cmocka_unit_test_setup_teardown(
		what_lies_beside_is_asked_for_its_version, enter, leave),
	    cmocka_unit_test_setup_teardown(
		a_folder_of_one_version_may_lack_a_program, enter, leave),
	};

	return cmocka_run_group_tests_name(
	    "postgres programs", tests, NULL, NULL);
}
