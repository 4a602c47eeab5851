/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "tests/unit/store_conformance.h"

static const struct store_under_test *current;

int
store_names(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	if (fmt_buf_printf(arg, "%s\n", object->name) != FMT_OK)
		return bkp_fail_nomem(err, "noting a name");
	return 0;
}

static int
open_store(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store = NULL;

	if (current->open_empty(&store, &err) < 0) {
		print_error("%s\n", err.message);
		return -1;
	}
	*state = store;
	return 0;
}

static int
close_store(void **state)
{
	bkp_store_close(*state);
	return 0;
}

static void
put_text(struct bkp_store *store, const char *name, const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;
	int rc = bkp_store_put(store, name, text, strlen(text), &err);

	assert_string_equal(err.message, "");
	assert_int_equal(rc, 0);
}

static void
assert_holds(struct bkp_store *store, const char *name, const char *text)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_store_get(store, name, 0, BKP_STORE_WHOLE, &out, &err);
	assert_string_equal(err.message, "");
	assert_string_equal(fmt_buf_text(&out), text);
	fmt_buf_free(&out);
}

static void
assert_lists(struct bkp_store *store, const char *prefix, const char *names)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_store_list(store, prefix, store_names, &out, &err);
	assert_string_equal(err.message, "");
	assert_string_equal(fmt_buf_text(&out), names);
	fmt_buf_free(&out);
}

static void
what_was_put_comes_back(void **state)
{
	put_text(*state, "config", "hello");
	put_text(*state, "packs/ab/abcd", "");
	assert_holds(*state, "config", "hello");
	assert_holds(*state, "packs/ab/abcd", "");
}

/* Of lengths around those at which a store may write another way. */
static void
large_objects_come_back(void **state)
{
	static const size_t lens[] = {(1u << 20) - 1, 1u << 20, (1u << 20) + 1,
	    (4u << 20) + 4096, (5u << 20) + 4095};
	size_t most = 6u << 20;
	unsigned char *data = malloc(most);
	struct fmt_buf out = FMT_BUF_INIT;

	assert_non_null(data);
	for (size_t i = 0; i < most; i++)
		data[i] = (unsigned char)(i * 2654435761u >> 13);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		assert_int_equal(
		    bkp_store_put(*state, "big", data, lens[i], NULL), 0);
		fmt_buf_clear(&out);
		assert_int_equal(bkp_store_get(*state, "big", 0,
				     BKP_STORE_WHOLE, &out, NULL),
		    0);
		assert_int_equal(out.len, lens[i]);
		assert_memory_equal(out.data, data, lens[i]);
	}
	fmt_buf_free(&out);
	free(data);
}

static void
a_range_comes_back_and_is_appended(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;

	put_text(*state, "a", "0123456789");
	assert_int_equal(fmt_buf_append_text(&out, ">"), FMT_OK);
	assert_int_equal(bkp_store_get(*state, "a", 3, 4, &out, NULL), 0);
	assert_int_equal(
	    bkp_store_get(*state, "a", 8, BKP_STORE_WHOLE, &out, NULL), 0);
	assert_int_equal(bkp_store_get(*state, "a", 10, 0, &out, NULL), 0);
	assert_int_equal(
	    bkp_store_get(*state, "a", 10, BKP_STORE_WHOLE, &out, NULL), 0);
	assert_string_equal(fmt_buf_text(&out), ">345689");
	fmt_buf_free(&out);
}

static void
a_range_beyond_the_end_is_corrupt(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	put_text(*state, "a", "0123456789");
	assert_int_equal(fmt_buf_append_text(&out, ">"), FMT_OK);
	assert_int_equal(bkp_store_get(*state, "a", 8, 3, &out, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	err.code = 0;
	assert_int_equal(
	    bkp_store_get(*state, "a", 11, BKP_STORE_WHOLE, &out, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	err.code = 0;
	assert_int_equal(
	    bkp_store_get(*state, "a", 1, UINT64_MAX - 1, &out, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_string_equal(fmt_buf_text(&out), ">");
	fmt_buf_free(&out);
}

static void
assert_is_missing(struct bkp_store *store, const char *name)
{
	struct bkp_store_object object;
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(
	    bkp_store_get(store, name, 0, BKP_STORE_WHOLE, &out, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, name));
	assert_non_null(strstr(err.message, store->location));
	err.code = 0;
	assert_int_equal(bkp_store_stat(store, name, &object, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	err.code = 0;
	assert_int_equal(bkp_store_remove(store, name, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(out.len, 0);
}

static void
a_missing_object_is_not_found_by_name(void **state)
{
	put_text(*state, "packs/ab/abcd", "x");
	assert_is_missing(*state, "packs/ab/zz");
	/* What is a folder in a directory. */
	assert_is_missing(*state, "packs/ab");
	assert_holds(*state, "packs/ab/abcd", "x");
}

static void
nothing_is_below_an_object(void **state)
{
	put_text(*state, "packs/ab/abcd", "x");
	assert_is_missing(*state, "packs/ab/abcd/e");
	assert_holds(*state, "packs/ab/abcd", "x");
}

static void
put_replaces_and_put_new_does_not(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	put_text(*state, "index/a", "one");
	put_text(*state, "index/a", "two");
	assert_holds(*state, "index/a", "two");
	assert_int_equal(
	    bkp_store_put_new(*state, "index/a", "three", 5, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_holds(*state, "index/a", "two");
	assert_int_equal(bkp_store_put_new(*state, "config", "c", 1, NULL), 0);
	assert_int_equal(
	    bkp_store_put_new(*state, "deep/er/config", "d", 1, NULL), 0);
	assert_holds(*state, "config", "c");
	assert_lists(*state, "", "config\ndeep/er/config\nindex/a\n");
}

static void
stat_tells_the_size(void **state)
{
	struct bkp_store_object object = {0};
	const char *name = "snapshots/a";

	put_text(*state, name, "12345");
	assert_int_equal(bkp_store_stat(*state, name, &object, NULL), 0);
	assert_int_equal(object.size, 5);
	assert_ptr_equal(object.name, name);
}

static void
a_listing_is_sorted_recursive_and_whole(void **state)
{
	static const char *const names[] = {"packs/ff/1", "packs/00/2",
	    "packs-2/x", "packs/00/1", "config", "index/a", "packs.x", "a/b/c",
	    "a-b", "a/b-c", "index_", "zz"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_text(*state, names[i], names[i]);
	assert_lists(*state, "",
	    "a-b\na/b-c\na/b/c\nconfig\nindex/a\nindex_\npacks-2/x\npacks.x\n"
	    "packs/00/1\npacks/00/2\npacks/ff/1\nzz\n");
	assert_lists(*state, "packs/", "packs/00/1\npacks/00/2\npacks/ff/1\n");
	assert_lists(*state, "packs/0", "packs/00/1\npacks/00/2\n");
	assert_lists(*state, "pac",
	    "packs-2/x\npacks.x\npacks/00/1\npacks/00/2\npacks/ff/1\n");
	assert_lists(*state, "zz", "zz\n");
	assert_lists(*state, "packs/00/1", "packs/00/1\n");
	assert_lists(*state, "zzz", "");
	assert_lists(*state, "nothing/", "");
}

static void
an_empty_store_lists_nothing(void **state)
{
	assert_lists(*state, "", "");
	assert_lists(*state, "index/", "");
}

struct stopper {
	unsigned seen;
	uint64_t bytes;
};

static int
stop_at_two(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct stopper *stopper = arg;

	stopper->bytes += object->size;
	if (++stopper->seen == 2)
		return bkp_fail(err, BKP_CANCELLED, "enough");
	return 0;
}

static void
a_listing_can_be_stopped(void **state)
{
	struct stopper stopper = {0};
	struct bkp_error err = BKP_ERROR_INIT;

	put_text(*state, "a", "1");
	put_text(*state, "b", "22");
	put_text(*state, "c", "333");
	assert_int_equal(
	    bkp_store_list(*state, "", stop_at_two, &stopper, &err), -1);
	assert_int_equal(err.code, BKP_CANCELLED);
	assert_int_equal(stopper.seen, 2);
	assert_int_equal(stopper.bytes, 3);
}

static int
remove_each(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	return bkp_store_remove(arg, object->name, err);
}

static void
a_callback_may_call_the_store(void **state)
{
	put_text(*state, "x/a", "1");
	put_text(*state, "x/b", "2");
	put_text(*state, "y", "3");
	assert_int_equal(
	    bkp_store_list(*state, "x/", remove_each, *state, NULL), 0);
	assert_lists(*state, "", "y\n");
}

static void
what_was_removed_is_gone(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	put_text(*state, "packs/ab/abcd", "x");
	put_text(*state, "packs/ab/abce", "y");
	assert_int_equal(bkp_store_remove(*state, "packs/ab/abcd", NULL), 0);
	assert_lists(*state, "", "packs/ab/abce\n");
	assert_int_equal(bkp_store_remove(*state, "packs/ab/abcd", &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
}

static void
a_bad_name_is_refused_everywhere(void **state)
{
	struct bkp_store *store = *state;
	char longest[202];
	const char *names[] = {"", ".", "..", "a//b", "/a", "a/", "a/../b",
	    "./a", "A", "a b", "a\nb", "\xc3\xa4", "tmp-1", "a/tmp-x", longest};
	struct bkp_store_object object;
	struct fmt_buf out = FMT_BUF_INIT;

	memset(longest, 'a', 201);
	longest[201] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bkp_error err = BKP_ERROR_INIT;

		assert_int_equal(
		    bkp_store_put(store, names[i], "x", 1, &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
		assert_int_equal(
		    bkp_store_put_new(store, names[i], "x", 1, &err), -1);
		assert_int_equal(
		    bkp_store_get(store, names[i], 0, 1, &out, &err), -1);
		assert_int_equal(
		    bkp_store_stat(store, names[i], &object, &err), -1);
		assert_int_equal(bkp_store_remove(store, names[i], &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
	}
	assert_lists(store, "", "");
	longest[200] = '\0';
	put_text(store, longest, "fits");
	assert_holds(store, longest, "fits");
}

static void
a_probe_leaves_nothing(void **state)
{
	assert_int_equal(bkp_store_probe(*state, NULL), 0);
	assert_lists(*state, "", "");
}

/* ---- many threads ---- */

enum { HAMMERS = 64 };

static int
next_number(void *arg, void **item, struct bkp_error *err)
{
	static char numbers[HAMMERS + 1];
	unsigned *given = *(void **)arg;

	(void)err;
	*item = *given < HAMMERS ? &numbers[++*given] : NULL;
	return 0;
}

static int
put_and_get(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct bkp_store *store = ((void **)arg)[1];
	struct fmt_buf out = FMT_BUF_INIT;
	char name[40];
	int rc = -1;

	(void)worker;
	(void)snprintf(name, sizeof(name), "d%u/%lx",
	    (unsigned)((uintptr_t)item % 4), (unsigned long)(uintptr_t)item);
	if (bkp_store_put(store, name, name, strlen(name), err) == 0 &&
	    bkp_store_put(store, "same", "same", 4, err) == 0 &&
	    bkp_store_get(store, "same", 0, 4, &out, err) == 0 &&
	    bkp_store_get(store, name, 0, BKP_STORE_WHOLE, &out, err) == 0)
		rc = strcmp(fmt_buf_text(&out) + 4, name) == 0
			 ? 0
			 : bkp_fail(err, BKP_CORRUPT, "other bytes");
	fmt_buf_free(&out);
	return rc;
}

static void
forget(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

static int
count_one(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	(void)object;
	(void)err;
	++*(unsigned *)arg;
	return 0;
}

static void
many_threads_may_call_at_once(void **state)
{
	static const struct bkp_pipeline_ops ops = {
	    .next = next_number, .work = put_and_get, .discard = forget};
	unsigned given = 0, there = 0;
	void *arg[] = {&given, *state};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_pipeline_run(4, 8, &ops, arg, NULL, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(
	    bkp_store_list(*state, "", count_one, &there, NULL), 0);
	assert_int_equal(there, HAMMERS + 1);
}

/* Counts those who were told that theirs is the one. */
static int
put_own(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct bkp_store *store = ((void **)arg)[1];
	struct bkp_error problem = BKP_ERROR_INIT;
	unsigned char *winner = ((void **)arg)[2];
	unsigned char own = (unsigned char)((uintptr_t)item % 251 + 1);

	(void)worker;
	if (bkp_store_put_new(store, "config", &own, 1, &problem) < 0)
		return problem.code == BKP_EXISTS
			   ? 0
			   : bkp_fail(err, BKP_IO, "%s", problem.message);
	if (*winner != 0)
		return bkp_fail(err, BKP_EXISTS, "two were told so");
	*winner = own;
	return 0;
}

static void
of_many_who_make_the_same_at_most_one_is_told_so(void **state)
{
	static const struct bkp_pipeline_ops ops = {
	    .next = next_number, .work = put_own, .discard = forget};
	struct fmt_buf there = FMT_BUF_INIT;
	unsigned char winner = 0;
	unsigned given = HAMMERS - 8;
	void *arg[] = {&given, *state, &winner};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_pipeline_run(4, 8, &ops, arg, NULL, &err);
	assert_string_equal(err.message, "");
	if (winner != 0) {
		assert_int_equal(bkp_store_get(*state, "config", 0,
				     BKP_STORE_WHOLE, &there, &err),
		    0);
		assert_int_equal(there.len, 1);
		assert_int_equal(there.data[0], winner);
	}
	fmt_buf_free(&there);
	assert_lists(*state, "", winner != 0 ? "config\n" : "");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

int
store_conformance_run(
    const char *name, const struct store_under_test *under_test)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_was_put_comes_back),
	    CASE(large_objects_come_back),
	    CASE(a_range_comes_back_and_is_appended),
	    CASE(a_range_beyond_the_end_is_corrupt),
	    CASE(a_missing_object_is_not_found_by_name),
	    CASE(nothing_is_below_an_object),
	    CASE(put_replaces_and_put_new_does_not),
	    CASE(stat_tells_the_size),
	    CASE(a_listing_is_sorted_recursive_and_whole),
	    CASE(an_empty_store_lists_nothing),
	    CASE(a_listing_can_be_stopped),
	    CASE(a_callback_may_call_the_store),
	    CASE(what_was_removed_is_gone),
	    CASE(a_bad_name_is_refused_everywhere),
	    CASE(a_probe_leaves_nothing),
	    CASE(many_threads_may_call_at_once),
	    CASE(of_many_who_make_the_same_at_most_one_is_told_so),
	};

	current = under_test;
	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
