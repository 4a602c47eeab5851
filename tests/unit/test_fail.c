/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"

static void
each_layer_puts_its_noun_in_front(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_fail(&err, BKP_CORRUPT, "short %s", "read"), -1);
	assert_int_equal(bkp_fail_in(&err, "pack %s", "3f2a"), -1);
	assert_int_equal(bkp_fail_in(&err, "restoring app"), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_string_equal(
	    err.message, "restoring app: pack 3f2a: short read");
}

static void
errno_becomes_a_code_that_says_what_to_do(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	(void)bkp_fail_errno(&err, ENOENT, "opening %s", "/x");
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(
	    err.message, "opening /x: No such file or directory");
	(void)bkp_fail_errno(&err, ENOSPC, "writing");
	assert_int_equal(err.code, BKP_IO);
}

static void
a_message_is_one_line_and_never_overflows(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char text[2000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[10] = '\n';
	text[sizeof(text) - 1] = '\0';
	(void)bkp_fail(&err, BKP_IO, "%s", text);
	assert_null(strchr(err.message, '\n'));
	assert_int_equal(strlen(err.message), BKP_ERROR_MESSAGE - 1);
	(void)bkp_fail_in(&err, "%s", text);
	assert_int_equal(strlen(err.message), BKP_ERROR_MESSAGE - 1);
}

static void
a_null_error_is_fine(void **state)
{
	(void)state;
	assert_int_equal(bkp_fail(NULL, BKP_IO, "x"), -1);
	assert_int_equal(bkp_fail_errno(NULL, EIO, "x"), -1);
	assert_int_equal(bkp_fail_format(NULL, FMT_AUTH, "x"), -1);
	assert_int_equal(bkp_fail_in(NULL, "x"), -1);
}

static void
an_array_grows_and_keeps_its_elements(void **state)
{
	int *items = NULL;
	size_t cap = 0;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(
		    bkp_grow(&items, i, &cap, sizeof(*items), NULL), 0);
		items[i] = (int)i;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	free(items);
}

static void
one_of_a_thing_is_in_the_singular(void **state)
{
	(void)state;
	assert_string_equal(bkp_counted(1, "pack").text, "1 pack");
	assert_string_equal(bkp_counted(0, "pack").text, "0 packs");
	assert_string_equal(bkp_counted(2, "entry").text, "2 entries");
	assert_string_equal(bkp_counted(1, "entry").text, "1 entry");
	assert_string_equal(bkp_counted(3, "key").text, "3 keys");
	assert_string_equal(bkp_are(1), "is");
	assert_string_equal(bkp_are(0), "are");
	assert_string_equal(bkp_were(1), "was");
	assert_string_equal(bkp_were(UINT64_MAX), "were");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_layer_puts_its_noun_in_front),
	    cmocka_unit_test(errno_becomes_a_code_that_says_what_to_do),
	    cmocka_unit_test(a_message_is_one_line_and_never_overflows),
	    cmocka_unit_test(a_null_error_is_fine),
	    cmocka_unit_test(an_array_grows_and_keeps_its_elements),
	    cmocka_unit_test(one_of_a_thing_is_in_the_singular),
	};

	return cmocka_run_group_tests_name("fail", tests, NULL, NULL);
}
