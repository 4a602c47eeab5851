/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of objects as names of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "libbackup/base/temporary.h"
#include "libbackup/source/bucket_folder.h"

#define N50 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define N200 N50 N50 N50 N50

static const char *const paths[] = {"up/a", "up/a/b", "up/a/", "up/a//b",
    "up//", "up//a", "up/.", "up/..", "up/../../etc", "up/...", "up/.a",
    "up/a%", "up/a%o", "up/a%d", "up/%", "up/%2E", "up/a\tb", "up/a\x7f",
    "up/\xff\xfe", "up/a\\b", "up/" N200, "up/" N200 "n", "up/" N200 "/n",
    "up/" N200 "/", "up/" N200 ".", "up/" N200 "..", "up/" N200 N200 N200,
    "up/" N200 "%+/a", "up@versions/a/2026"};

#define PATHS (sizeof(paths) / sizeof(paths[0]))

static char *
encoded(const char *path, bool is_marker)
{
	struct fmt_buf name = FMT_BUF_INIT;
	char *copy;

	assert_int_equal(
	    bkp_bucket_folder_encode(path, is_marker, &name), FMT_OK);
	copy = strdup(fmt_buf_text(&name));
	fmt_buf_free(&name);
	assert_non_null(copy);
	return copy;
}

static void
is_read_back(const char *name, const char *path, bool is_marker)
{
	struct fmt_buf read = FMT_BUF_INIT;
	bool was_marker;

	assert_int_equal(
	    bkp_bucket_folder_decode(name, &read, &was_marker), FMT_OK);
	assert_string_equal(fmt_buf_text(&read), path);
	assert_int_equal(was_marker, is_marker);
	fmt_buf_free(&read);
}

static void
every_key_has_a_name_of_its_own_and_is_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < PATHS; i++) {
		char *name = encoded(paths[i], false);
		char *marker = encoded(paths[i], true);

		is_read_back(name, paths[i], false);
		is_read_back(marker, paths[i], true);
		for (size_t k = 0; k < i; k++) {
			char *other = encoded(paths[k], false);

			assert_string_not_equal(name, other);
			free(other);
		}
		free(name);
		free(marker);
	}
}

static void
no_name_is_one_that_a_file_system_cannot_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < PATHS; i++) {
		char *name = encoded(paths[i], true), *rest = name, *part;

		while ((part = strsep(&rest, "/")) != NULL) {
			size_t len = strlen(part);

			assert_in_range(len, 1, 255);
			assert_string_not_equal(part, ".");
			assert_string_not_equal(part, "..");
			for (size_t at = 0; at < len; at++)
				assert_true((unsigned char)part[at] >= ' ');
		}
		free(name);
	}
}

static void
a_name_that_is_none_of_an_object_is_refused(void **state)
{
	static const char *const names[] = {
	    "a%zz", "a%+", "a%dx", "a%ox", "a%2", "%2e"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fmt_buf read = FMT_BUF_INIT;
		bool is_marker;

		assert_int_equal(
		    bkp_bucket_folder_decode(names[i], &read, &is_marker),
		    FMT_MALFORMED);
		fmt_buf_free(&read);
	}
}

/* Puts an empty file where the object goes. */
static void
put(const char *folder, const char *path)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *file = bkp_bucket_folder_file(folder, path, false, &err);
	int fd;

	assert_non_null(file);
	assert_int_equal(bkp_bucket_folder_make(folder, file, &err), 0);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	free(file);
}

static void
a_key_that_is_the_beginning_of_others_makes_room(void **state)
{
	char folder[] = "/tmp/test-folder-XXXXXX";
	char *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	put(folder, "up/a");
	put(folder, "up/a!");
	put(folder, "up/a/b");
	put(folder, "up/a/b/c");
	put(folder, "up/a/d");
	file = bkp_bucket_folder_file(folder, "up/a", false, NULL);
	assert_non_null(file);
	assert_string_equal(file + strlen(folder), "/up/a%o");
	is_read_back(file + strlen(folder) + 1, "up/a", false);
	assert_int_equal(access(file, F_OK), 0);
	free(file);
	file = bkp_bucket_folder_file(folder, "up/a/b", false, NULL);
	assert_non_null(file);
	assert_string_equal(file + strlen(folder), "/up/a/b%o");
	assert_int_equal(access(file, F_OK), 0);
	free(file);
	bkp_temporary_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_key_has_a_name_of_its_own_and_is_read_back),
	    cmocka_unit_test(no_name_is_one_that_a_file_system_cannot_hold),
	    cmocka_unit_test(a_name_that_is_none_of_an_object_is_refused),
	    cmocka_unit_test(a_key_that_is_the_beginning_of_others_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
