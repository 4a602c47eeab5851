/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "formats/buf.h"
#include "libbackup/base/arena.h"
#include "libbackup/base/packed.h"
#include "tests/unit/failing_alloc.h"

/* ---- arena ---- */

static void
equal_texts_are_one(void **state)
{
	struct bkp_arena arena = BKP_ARENA_INIT;
	const char *first[5000];
	char text[20];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "column %u", i);
		first[i] = bkp_arena_string(&arena, text, NULL);
		assert_string_equal(first[i], text);
	}
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "column %u", i);
		assert_ptr_equal(
		    bkp_arena_string(&arena, text, NULL), first[i]);
	}
	assert_string_equal(bkp_arena_string(&arena, "", NULL), "");
	bkp_arena_free(&arena);
	assert_null(arena.block);
}

static void
room_is_zeroed_and_fit_for_anything(void **state)
{
	struct bkp_arena arena = BKP_ARENA_INIT;

	(void)state;
	for (size_t size = 0; size < 200000; size = size * 2 + 1) {
		char *text = bkp_arena_text(&arena, "abc", size % 4, NULL);
		unsigned char *room = bkp_arena_room(&arena, size, NULL);

		assert_int_equal(strlen(text), size % 4);
		assert_int_equal((uintptr_t)room % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(room[i], 0);
		if (size > 0)
			memset(room, 0xff, size);
	}
	bkp_arena_free(&arena);
}

static void
no_memory_for_an_arena_leaves_what_there_is(void **state)
{
	(void)state;
	for (int n = 0;; n++) {
		struct bkp_arena arena = BKP_ARENA_INIT;
		struct bkp_error err = BKP_ERROR_INIT;
		const char *text;

		failing_alloc_at(n);
		text = bkp_arena_string(&arena, "a", &err);
		if (text != NULL)
			text = bkp_arena_string(&arena, "b", &err);
		if (text != NULL)
			text = bkp_arena_room(&arena, 100000, &err);
		if (!failing_alloc_end()) {
			bkp_arena_free(&arena);
			break;
		}
		assert_null(text);
		assert_int_equal(err.code, BKP_NOMEM);
		bkp_arena_free(&arena);
	}
}

/* ---- packed ---- */

static int
keep(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)err;
	assert_true(len > 0);
	assert_int_equal(fmt_buf_append(arg, data, len), FMT_OK);
	return 0;
}

static void
check_packed(const void *data, size_t len, size_t portion)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_packed *packed;

	assert_int_equal(bkp_packed_new(&packed, NULL), 0);
	for (size_t at = 0; at < len; at += portion)
		assert_int_equal(
		    bkp_packed_write(packed, (const char *)data + at,
			len - at < portion ? len - at : portion, NULL),
		    0);
	assert_int_equal(bkp_packed_end(packed, NULL), 0);
	for (int times = 0; times < 2; times++) {
		fmt_buf_clear(&out);
		assert_int_equal(bkp_packed_read(packed, keep, &out, NULL), 0);
		assert_int_equal(out.len, len);
		if (len > 0)
			assert_memory_equal(out.data, data, len);
	}
	fmt_buf_free(&out);
	bkp_packed_free(packed);
}

static void
what_is_packed_comes_back_as_often_as_it_is_wanted(void **state)
{
	static unsigned char noise[300000], calm[300000];
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++) {
		seed = seed * 1664525u + 1013904223u;
		noise[i] = (unsigned char)(seed >> 24);
	}
	check_packed(noise, 0, 1);
	check_packed(noise, 1, 1);
	check_packed(noise, 3000, 1);
	check_packed(noise, sizeof(noise), 7777);
	check_packed(noise, sizeof(noise), sizeof(noise));
	check_packed(calm, sizeof(calm), 4096);
	for (size_t len = 65000; len < 66000; len += 7)
		check_packed(noise, len, len);
}

static void
no_memory_to_pack_is_told(void **state)
{
	static const char text[200000];

	(void)state;
	for (int n = 0;; n++) {
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_packed *packed = NULL;
		struct fmt_buf out = FMT_BUF_INIT;
		int rc;

		assert_int_equal(fmt_buf_reserve(&out, sizeof(text)), FMT_OK);
		failing_alloc_at(n);
		rc = bkp_packed_new(&packed, &err);
		if (rc == 0)
			rc = bkp_packed_write(packed, text, sizeof(text), &err);
		if (rc == 0)
			rc = bkp_packed_end(packed, &err);
		if (rc == 0)
			rc = bkp_packed_read(packed, keep, &out, &err);
		bkp_packed_free(packed);
		fmt_buf_free(&out);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_texts_are_one),
	    cmocka_unit_test(room_is_zeroed_and_fit_for_anything),
	    cmocka_unit_test(no_memory_for_an_arena_leaves_what_there_is),
	    cmocka_unit_test(
		what_is_packed_comes_back_as_often_as_it_is_wanted),
	    cmocka_unit_test(no_memory_to_pack_is_told),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
