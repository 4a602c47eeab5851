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

#include "libbackup/base/place.h"

static char top[] = "/tmp/test_place.XXXXXX";

static void
clear_environment(void)
{
	unsetenv("BACKUP_STATE_DIR");
	unsetenv("STATE_DIRECTORY");
	unsetenv("XDG_STATE_HOME");
	unsetenv("BACKUP_CACHE_DIR");
	unsetenv("CACHE_DIRECTORY");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
}

static int
set_up(void **state)
{
	(void)state;
	clear_environment();
	return mkdtemp(top) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

static void
expect(char *path, const char *below)
{
	char expected[256];
	struct stat st;

	(void)snprintf(expected, sizeof(expected), "%s/%s", top, below);
	assert_non_null(path);
	assert_string_equal(path, expected);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0700);
	free(path);
}

static void
set(const char *name, const char *below)
{
	char value[256];

	(void)snprintf(value, sizeof(value), "%s/%s", top, below);
	assert_int_equal(setenv(name, value, 1), 0);
}

static void
the_nearest_setting_wins_and_the_folder_is_made(void **state)
{
	(void)state;
	clear_environment();
	set("HOME", "home");
	expect(bkp_state_directory("a/b", NULL),
	    "home/.local/state/libbackup/a/b");
	expect(bkp_cache_directory(NULL, NULL), "home/.cache/libbackup");
	set("XDG_STATE_HOME", "xdg");
	expect(bkp_state_directory("a", NULL), "xdg/libbackup/a");
	set("CACHE_DIRECTORY", "one:/elsewhere");
	expect(bkp_cache_directory(NULL, NULL), "one");
	set("BACKUP_STATE_DIR", "own");
	expect(bkp_state_directory(NULL, NULL), "own");
	expect(bkp_state_directory(NULL, NULL), "own");
}

static void
a_place_that_cannot_be_made_names_the_variable(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	clear_environment();
	assert_int_equal(setenv("BACKUP_STATE_DIR", "/dev/null/x", 1), 0);
	assert_null(bkp_state_directory("y", &err));
	assert_non_null(strstr(err.message, "BACKUP_STATE_DIR"));
	assert_non_null(strstr(err.message, "/dev/null"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_nearest_setting_wins_and_the_folder_is_made),
	    cmocka_unit_test(a_place_that_cannot_be_made_names_the_variable),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
