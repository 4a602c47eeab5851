/* SPDX-License-Identifier: Apache-2.0 */
/* What rots in a store that keeps parity is made good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/store/store_parity.h"
#include "tests/unit/store_conformance.h"

#define LEN ((size_t)70000)

struct test {
	struct bkp_store *memory, *store; /* the second over the first */
	unsigned char data[LEN];
	char name[96], parity[104];
};

static int
set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	struct bkp_store *shared;
	unsigned char digest[32];
	char hex[65];

	if (test == NULL || bkp_store_memory_new(&test->memory, NULL) < 0 ||
	    bkp_store_memory_share(test->memory, &shared, NULL) < 0 ||
	    bkp_store_parity_new(shared, &test->store, NULL) < 0 ||
	    bkp_store_parity_set(test->store, 5, NULL) < 0)
		return -1;
	for (size_t i = 0; i < LEN; i++)
		test->data[i] = (unsigned char)(i * i >> 7);
	if (fmt_sha256(test->data, LEN, digest) != FMT_OK)
		return -1;
	fmt_hex(digest, sizeof(digest), hex);
	(void)snprintf(
	    test->name, sizeof(test->name), "packs/%.2s/%s", hex, hex);
	(void)snprintf(
	    test->parity, sizeof(test->parity), "parity/%s", test->name);
	*state = test;
	return bkp_store_put(test->store, test->name, test->data, LEN, NULL);
}

static int
tear_down(void **state)
{
	struct test *test = *state;

	bkp_store_close(test->store);
	bkp_store_close(test->memory);
	free(test);
	return 0;
}

static void
assert_whole(struct test *test)
{
	struct fmt_buf bytes = FMT_BUF_INIT;

	assert_int_equal(bkp_store_get(test->store, test->name, 0,
			     BKP_STORE_WHOLE, &bytes, NULL),
	    0);
	assert_int_equal(bytes.len, LEN);
	assert_memory_equal(bytes.data, test->data, LEN);
	fmt_buf_free(&bytes);
}

static void
assert_outcome(struct test *test, enum bkp_parity_outcome expected)
{
	enum bkp_parity_outcome outcome;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_parity_repair(test->store, test->name, &outcome, &err);
	assert_string_equal(err.message, "");
	assert_int_equal(outcome, expected);
	assert_whole(test);
	assert_int_equal(
	    bkp_parity_repair(test->store, test->name, &outcome, NULL), 0);
	assert_int_equal(outcome, BKP_PARITY_FINE);
}

/* Puts an object's bytes back with some of them changed. */
static void
damage(struct test *test, const char *name, size_t from, size_t count)
{
	struct fmt_buf bytes = FMT_BUF_INIT;

	assert_int_equal(
	    bkp_store_get(test->memory, name, 0, BKP_STORE_WHOLE, &bytes, NULL),
	    0);
	for (size_t i = 0; i < count; i++)
		bytes.data[from + i] ^= 0x5a;
	assert_int_equal(
	    bkp_store_put(test->memory, name, bytes.data, bytes.len, NULL), 0);
	fmt_buf_free(&bytes);
}

static void
damage_is_repaired(void **state)
{
	struct test *test = *state;

	assert_outcome(test, BKP_PARITY_FINE);
	damage(test, test->name, 5, 1);
	assert_outcome(test, BKP_PARITY_REPAIRED);
	damage(test, test->name, 40000, 2500);
	assert_outcome(test, BKP_PARITY_REPAIRED);
	assert_int_equal(bkp_store_put(test->memory, test->name, test->data,
			     LEN - 2000, NULL),
	    0);
	assert_outcome(test, BKP_PARITY_REPAIRED);
}

static void
damage_to_both_is_repaired(void **state)
{
	struct test *test = *state;
	enum bkp_parity_outcome outcome;

	damage(test, test->parity, 100, 1);
	damage(test, test->name, 33, 1);
	assert_int_equal(
	    bkp_parity_repair(test->store, test->name, &outcome, NULL), 0);
	assert_int_equal(outcome, BKP_PARITY_REPAIRED);
	assert_outcome(test, BKP_PARITY_FINE);
}

static void
a_parity_that_rotted_is_made_anew(void **state)
{
	struct test *test = *state;

	damage(test, test->parity, 3000, 1);
	assert_outcome(test, BKP_PARITY_REMADE);
	assert_int_equal(
	    bkp_store_put(test->memory, test->parity, "x", 1, NULL), 0);
	assert_outcome(test, BKP_PARITY_REMADE);
}

static void
too_much_damage_changes_nothing(void **state)
{
	struct test *test = *state;
	enum bkp_parity_outcome outcome;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf before = FMT_BUF_INIT, after = FMT_BUF_INIT;

	damage(test, test->name, 0, 30000);
	assert_int_equal(bkp_store_get(test->memory, test->name, 0,
			     BKP_STORE_WHOLE, &before, NULL),
	    0);
	assert_int_equal(
	    bkp_parity_repair(test->store, test->name, &outcome, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, test->name));
	assert_int_equal(bkp_store_get(test->memory, test->name, 0,
			     BKP_STORE_WHOLE, &after, NULL),
	    0);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	fmt_buf_free(&before);
	fmt_buf_free(&after);
}

/* A parity of another object, put in its place. */
static void
nothing_but_what_the_name_tells_comes_out(void **state)
{
	struct test *test = *state;
	enum bkp_parity_outcome outcome;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf other = FMT_BUF_INIT;

	assert_int_equal(
	    bkp_store_put(test->store, "keys/other", "other", 5, NULL), 0);
	assert_int_equal(bkp_store_get(test->memory, "parity/keys/other", 0,
			     BKP_STORE_WHOLE, &other, NULL),
	    0);
	assert_int_equal(bkp_store_put(test->memory, test->parity, other.data,
			     other.len, NULL),
	    0);
	assert_outcome(test, BKP_PARITY_REMADE);
	assert_int_equal(bkp_store_put(test->memory, test->parity, other.data,
			     other.len, NULL),
	    0);
	damage(test, test->name, 5, 1);
	assert_int_equal(
	    bkp_parity_repair(test->store, test->name, &outcome, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	fmt_buf_free(&other);
}

static void
a_small_object_that_is_gone_is_made_anew(void **state)
{
	struct test *test = *state;
	enum bkp_parity_outcome outcome;
	struct fmt_buf bytes = FMT_BUF_INIT;

	assert_int_equal(
	    bkp_store_put_new(test->store, "config", "all", 3, NULL), 0);
	assert_int_equal(bkp_store_remove(test->memory, "config", NULL), 0);
	assert_int_equal(
	    bkp_parity_repair(test->store, "config", &outcome, NULL), 0);
	assert_int_equal(outcome, BKP_PARITY_REPAIRED);
	assert_int_equal(bkp_store_get(test->memory, "config", 0,
			     BKP_STORE_WHOLE, &bytes, NULL),
	    0);
	assert_int_equal(bytes.len, 3);
	assert_memory_equal(bytes.data, "all", 3);
	fmt_buf_free(&bytes);
}

static void
a_listing_shows_parity_to_who_asks(void **state)
{
	struct test *test = *state;
	struct fmt_buf all = FMT_BUF_INIT, parity = FMT_BUF_INIT;

	assert_int_equal(
	    bkp_store_list(test->store, "", store_names, &all, NULL), 0);
	assert_int_equal(
	    bkp_store_list(test->store, "parity/", store_names, &parity, NULL),
	    0);
	assert_null(strstr(fmt_buf_text(&all), "parity/"));
	assert_non_null(strstr(fmt_buf_text(&all), test->name));
	assert_non_null(strstr(fmt_buf_text(&parity), test->parity));
	fmt_buf_free(&all);
	fmt_buf_free(&parity);
}

static void
both_are_removed(void **state)
{
	struct test *test = *state;
	struct bkp_store_object object;
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(bkp_store_remove(test->store, test->name, NULL), 0);
	assert_int_equal(
	    bkp_store_stat(test->memory, test->parity, &object, NULL), -1);
	assert_int_equal(bkp_store_remove(test->store, test->name, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
}

static void
what_has_none_gets_one(void **state)
{
	struct test *test = *state;
	struct bkp_store_object object;
	struct bkp_error err = BKP_ERROR_INIT;
	enum bkp_parity_outcome outcome;
	size_t added = 0;

	assert_int_equal(bkp_store_remove(test->memory, test->parity, NULL), 0);
	assert_int_equal(
	    bkp_parity_repair(test->store, test->name, &outcome, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	/* What is damaged gets none. */
	damage(test, test->name, 0, 1);
	assert_int_equal(
	    bkp_parity_complete(test->store, "packs/", &added, NULL), 0);
	assert_int_equal(added, 0);
	damage(test, test->name, 0, 1);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(
		    bkp_parity_complete(test->store, "", &added, NULL), 0);
		assert_int_equal(added, 1 - i);
	}
	assert_int_equal(
	    bkp_store_stat(test->memory, test->parity, &object, NULL), 0);
	assert_outcome(test, BKP_PARITY_FINE);
}

static void
nothing_is_written_unless_asked_for(void **state)
{
	struct test *test = *state;
	struct bkp_store_object object;

	assert_int_equal(bkp_store_parity_set(test->store, 0, NULL), 0);
	assert_int_equal(
	    bkp_store_put(test->store, "index/a", "a", 1, NULL), 0);
	assert_int_equal(
	    bkp_store_stat(test->memory, "parity/index/a", &object, NULL), -1);
	assert_int_equal(bkp_store_parity_set(test->store, 51, NULL), -1);
	assert_int_equal(bkp_store_parity_set(test->memory, 5, NULL), -1);
	assert_int_equal(bkp_store_parity_set(test->store, 5, NULL), 0);
	assert_int_equal(
	    bkp_store_put(test->store, "sessions/a", "a", 1, NULL), 0);
	assert_int_equal(
	    bkp_store_stat(test->memory, "parity/sessions/a", &object, NULL),
	    -1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(damage_is_repaired),
	    CASE(damage_to_both_is_repaired),
	    CASE(a_parity_that_rotted_is_made_anew),
	    CASE(too_much_damage_changes_nothing),
	    CASE(nothing_but_what_the_name_tells_comes_out),
	    CASE(a_small_object_that_is_gone_is_made_anew),
	    CASE(a_listing_shows_parity_to_who_asks),
	    CASE(both_are_removed),
	    CASE(what_has_none_gets_one),
	    CASE(nothing_is_written_unless_asked_for),
	};

	return cmocka_run_group_tests_name("parity repair", tests, NULL, NULL);
}
