/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/entry.h"

static void
assert_escapes(const char *path, const char *text)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	assert_int_equal(fmt_path_escape(path, &buf), FMT_OK);
	assert_string_equal(fmt_buf_text(&buf), text);
	fmt_buf_clear(&buf);
	assert_int_equal(fmt_path_unescape(text, strlen(text), &buf), FMT_OK);
	assert_string_equal(fmt_buf_text(&buf), path);
	fmt_buf_free(&buf);
}

static void
paths_are_escaped_and_come_back(void **state)
{
	(void)state;
	assert_escapes("", "");
	assert_escapes("files/etc/app.conf", "files/etc/app.conf");
	assert_escapes("100%", "100%25");
	assert_escapes("a\"b\\c", "a\"b\\c");
	assert_escapes("tab\there\n\x7f", "tab%09here%0A%7F");
	assert_escapes("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	assert_escapes("\xc2\x85\xc2\xa0", "%C2%85\xc2\xa0");
	assert_escapes("latin1 \xfc end", "latin1 %FC end");
	assert_escapes("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
}

static void
what_only_looks_like_utf8_is_escaped(void **state)
{
	(void)state;
	assert_escapes("\xc0\xaf", "%C0%AF");               /* over-long */
	assert_escapes("\xe0\x9f\xbf", "%E0%9F%BF");        /* over-long */
	assert_escapes("\xf0\x8f\xbf\xbf", "%F0%8F%BF%BF"); /* over-long */
	assert_escapes("\xed\xa0\x80", "%ED%A0%80");        /* surrogate */
	assert_escapes("\xf4\x90\x80\x80", "%F4%90%80%80"); /* > 10FFFF */
	assert_escapes("\xe2\x82", "%E2%82");               /* cut */
	assert_escapes("\xe2\x82z", "%E2%82z");
	assert_escapes("\x80", "%80");
}

static void
every_byte_survives_alone_and_between_others(void **state)
{
	(void)state;
	for (int a = 1; a < 256; a++)
		for (int b = 1; b < 256; b++) {
			char path[] = {(char)a, (char)b, 'x', (char)a, 0};
			struct fmt_buf text = FMT_BUF_INIT, back = FMT_BUF_INIT;

			assert_int_equal(fmt_path_escape(path, &text), FMT_OK);
			assert_int_equal(fmt_path_unescape((char *)text.data,
					     text.len, &back),
			    FMT_OK);
			assert_string_equal(fmt_buf_text(&back), path);
			fmt_buf_free(&text);
			fmt_buf_free(&back);
		}
}

static void
wrong_escapes_are_malformed_and_append_nothing(void **state)
{
	static const char *const wrong[] = {
	    "%", "a%2", "a%zz", "%00", "%%", "ok%20%", "% 1"};
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&buf, "kept"), FMT_OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
		    fmt_path_unescape(wrong[i], strlen(wrong[i]), &buf),
		    FMT_MALFORMED);
	assert_int_equal(fmt_path_unescape("a\0b", 3, &buf), FMT_MALFORMED);
	assert_int_equal(buf.len, 4);
	fmt_buf_free(&buf);
}

static void
order_is_by_unsigned_bytes(void **state)
{
	(void)state;
	assert_true(fmt_entry_compare("a", "b") < 0);
	assert_true(fmt_entry_compare("a\x7f", "a\x80") < 0);
	assert_true(fmt_entry_compare("a", "a/b") < 0);
	assert_true(fmt_entry_compare("a b", "a/b") < 0);
	assert_int_equal(fmt_entry_compare("same", "same"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_are_escaped_and_come_back),
	    cmocka_unit_test(what_only_looks_like_utf8_is_escaped),
	    cmocka_unit_test(every_byte_survives_alone_and_between_others),
	    cmocka_unit_test(wrong_escapes_are_malformed_and_append_nothing),
	    cmocka_unit_test(order_is_by_unsigned_bytes),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
