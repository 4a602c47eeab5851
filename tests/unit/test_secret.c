/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "tests/unit/failing_alloc.h"

static char path[64];

static void
write_file(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static int
make_path(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/bkp-secret-XXXXXX");
	if ((fd = mkstemp(path)) < 0)
		return -1;
	close(fd);
	unsetenv("BKP_T");
	unsetenv("BKP_T_FILE");
	return 0;
}

static int
remove_path(void **state)
{
	(void)state;
	unlink(path);
	unsetenv("BKP_T");
	unsetenv("BKP_T_FILE");
	return 0;
}

static void
expect(const char *value, const char *file, const char *secret)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *out = NULL;

	assert_int_equal(
	    bkp_secret_load("token", value, file, "BKP_T", &out, &err), 0);
	if (secret == NULL)
		assert_null(out);
	else
		assert_string_equal(out, secret);
	bkp_secret_free(out);
}

static void
expect_failure(const char *value, const char *file, int code, const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *out = NULL;

	assert_int_equal(
	    bkp_secret_load("token", value, file, "BKP_T", &out, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.message, text));
	assert_non_null(strstr(err.message, "token"));
	assert_null(out);
}

static void
nothing_given_is_no_secret_and_no_error(void **state)
{
	(void)state;
	expect(NULL, NULL, NULL);
}

static void
value_then_file_then_environment_is_the_order(void **state)
{
	(void)state;
	write_file("from file\n", 10);
	setenv("BKP_T", "from environment", 1);
	expect("value", NULL, "value");
	expect(NULL, path, "from file");
	expect(NULL, NULL, "from environment");
	unsetenv("BKP_T");
	setenv("BKP_T_FILE", path, 1);
	expect(NULL, NULL, "from file");
}

static void
one_trailing_newline_is_dropped_and_no_more(void **state)
{
	(void)state;
	write_file("a b \n\n", 6);
	expect(NULL, path, "a b \n");
	write_file("x\r\n", 3);
	expect(NULL, path, "x");
}

static void
two_ways_at_once_are_refused(void **state)
{
	(void)state;
	expect_failure("v", path, BKP_INVALID, "twice");
	setenv("BKP_T", "a", 1);
	setenv("BKP_T_FILE", path, 1);
	expect_failure(NULL, NULL, BKP_INVALID, "$BKP_T_FILE");
}

static void
a_file_that_holds_no_secret_is_an_error(void **state)
{
	static char large[70000];

	(void)state;
	write_file("", 0);
	expect_failure(NULL, path, BKP_INVALID, "empty");
	write_file("\n", 1);
	expect_failure(NULL, path, BKP_INVALID, "empty");
	write_file("a\0b", 3);
	expect_failure(NULL, path, BKP_INVALID, "NUL");
	memset(large, 'x', sizeof(large));
	write_file(large, sizeof(large));
	expect_failure(NULL, path, BKP_INVALID, "too large");
	expect_failure(NULL, "/no/such/file", BKP_NOTFOUND, "/no/such/file");
}

static void
running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char *out = NULL;
	int rc, n = 0;

	(void)state;
	write_file("secret\n", 7);
	setenv("BKP_T_FILE", path, 1);
	for (;; n++) {
		failing_alloc_at(n);
		rc = bkp_secret_load("token", NULL, NULL, "BKP_T", &out, &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
		assert_null(out);
	}
	assert_int_equal(rc, 0);
	assert_true(n >= 3);
	bkp_secret_free(out);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_path, remove_path)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(nothing_given_is_no_secret_and_no_error),
	    CASE(value_then_file_then_environment_is_the_order),
	    CASE(one_trailing_newline_is_dropped_and_no_more),
	    CASE(two_ways_at_once_are_refused),
	    CASE(a_file_that_holds_no_secret_is_an_error),
	    CASE(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
