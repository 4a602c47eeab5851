/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
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

static unsigned
count_files(const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, NULL, NULL);

	assert_true(count >= 2);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return (unsigned)count - 2;
}

static void
a_file_is_replaced_as_a_whole(void **state)
{
	struct fmt_buf text = FMT_BUF_INIT;
	char *folder, path[256];
	struct stat st;

	(void)state;
	set("BACKUP_STATE_DIR", "files");
	folder = bkp_state_directory(NULL, NULL);
	assert_non_null(folder);
	(void)snprintf(path, sizeof(path), "%s/seen", folder);
	assert_int_equal(bkp_place_write(path, "a longer one", 12, NULL), 0);
	assert_int_equal(bkp_place_write(path, "two", 3, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count_files(folder), 1);
	assert_int_equal(bkp_place_read(path, &text, NULL), 0);
	assert_int_equal(text.len, 3);
	assert_memory_equal(text.data, "two", 3);
	fmt_buf_free(&text);
	free(folder);
}

static void
a_file_that_cannot_be_replaced_leaves_nothing(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	char *folder, path[256];

	(void)state;
	set("BACKUP_STATE_DIR", "full");
	folder = bkp_state_directory("folder", NULL);
	assert_non_null(folder);
	(void)snprintf(path, sizeof(path), "%s/none", folder);
	assert_int_equal(bkp_place_read(path, &text, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(bkp_place_write(folder, "x", 1, &err), -1);
	assert_non_null(strstr(err.message, folder));
	assert_int_equal(count_files(folder), 0);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(count_files(folder), 1);
	fmt_buf_free(&text);
	free(folder);
}

static void
a_full_file_system_is_left_to_others(void **state)
{
	(void)state;
	assert_true(bkp_place_has_room("/", 0));
	assert_false(bkp_place_has_room("/", UINT64_MAX));
	assert_false(bkp_place_has_room("/nonexistent", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_nearest_setting_wins_and_the_folder_is_made),
	    cmocka_unit_test(a_place_that_cannot_be_made_names_the_variable),
	    cmocka_unit_test(a_file_is_replaced_as_a_whole),
	    cmocka_unit_test(a_file_that_cannot_be_replaced_leaves_nothing),
	    cmocka_unit_test(a_full_file_system_is_left_to_others),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
