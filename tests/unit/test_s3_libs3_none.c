/* SPDX-License-Identifier: Apache-2.0 */
/* libs3_none.c is part of this program, whatever the library was built with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "libbackup/s3/s3.h"

static const struct bkp_s3_options options = {
    .endpoint = "http://127.0.0.1:1",
    .region = "us-east-1",
    .access_key = "key",
    .secret_key = "secret",
    .is_v2 = true,
};

static void
a_build_without_libs3_says_how_to_get_one_with_it(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_s3 *s3 = NULL;

	(void)state;
	assert_int_equal(bkp_s3_new(&options, &s3, &err), -1);
	assert_null(s3);
	assert_int_equal(err.code, BKP_UNSUPPORTED);
	assert_non_null(strstr(err.message, "--with-libs3"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_build_without_libs3_says_how_to_get_one_with_it),
	};

	return cmocka_run_group_tests_name("s3_libs3_none", tests, NULL, NULL);
}
