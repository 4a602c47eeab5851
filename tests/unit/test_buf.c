/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "formats/buf.h"

static void
append_keeps_what_was_there(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fmt_buf_append(&buf, "abc", 3), FMT_OK);
	assert_int_equal(buf.len, 3000);
	assert_memory_equal(buf.data, "abcabc", 6);
	assert_memory_equal(buf.data + 2997, "abc", 3);
	fmt_buf_free(&buf);
	assert_null(buf.data);
}

static void
printf_appends_without_counting_the_nul(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_buf_printf(&buf, "%d-%s", 7, "x"), FMT_OK);
	assert_int_equal(buf.len, 3);
	assert_string_equal(fmt_buf_text(&buf), "7-x");
	fmt_buf_free(&buf);
}

static void
an_absurd_size_is_refused_and_changes_nothing(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&buf, "abc"), FMT_OK);
	assert_int_equal(fmt_buf_reserve(&buf, SIZE_MAX - 1), FMT_NOMEM);
	assert_int_equal(buf.len, 3);
	fmt_buf_free(&buf);
}

static void
clearing_a_secret_wipes_it(void **state)
{
	struct fmt_buf buf = FMT_BUF_SECRET_INIT;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&buf, "password"), FMT_OK);
	fmt_buf_clear(&buf);
	assert_memory_equal(buf.data, "\0\0\0\0\0\0\0\0", 8);
	fmt_buf_free(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(append_keeps_what_was_there),
	    cmocka_unit_test(printf_appends_without_counting_the_nul),
	    cmocka_unit_test(an_absurd_size_is_refused_and_changes_nothing),
	    cmocka_unit_test(clearing_a_secret_wipes_it),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
