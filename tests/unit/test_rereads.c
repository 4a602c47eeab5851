/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket that is reached by a way that damages what comes: parts of objects
 * that do not decrypt are read again, as often as that may help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"
#include "tests/unit/repository_fixture.h"

#define SIZE 300000

/* In the header of an age file, and in the first segment of what is read
 * further on. */
#define WHERE 60

/* Damages so many reads of objects below a folder. */
struct bad_way {
	struct bkp_store base;
	struct bkp_store *inner;
	const char *folder;
	unsigned left, reads;
};

static struct bad_way *way; /* the store of the repository that is open */

static int
get(struct bkp_store *store, const char *name, uint64_t offset, uint64_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct bad_way *bad = (struct bad_way *)store;
	size_t before = out->len;
	int rc = bkp_store_get(bad->inner, name, offset, len, out, err);

	if (rc < 0 || strncmp(name, bad->folder, strlen(bad->folder)) != 0)
		return rc;
	bad->reads++;
	if (bad->left > 0) {
		bad->left--;
		out->data[before + WHERE] ^= 1;
	}
	return 0;
}

static int
look(struct bkp_store *store, const char *name, struct bkp_store_object *out,
    struct bkp_error *err)
{
	return bkp_store_stat(((struct bad_way *)store)->inner, name, out, err);
}

static int
list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	return bkp_store_list(
	    ((struct bad_way *)store)->inner, prefix, fn, arg, err);
}

static void
close_way(struct bkp_store *store)
{
	bkp_store_close(((struct bad_way *)store)->inner);
	free(store->location);
	free(store);
}

static const struct bkp_store_ops ops = {.driver = "bad way",
    .get = get,
    .stat = look,
    .list = list,
    .close = close_way};

/* Opens what is there by that way. */
static struct bkp_repository *
open_by(struct fixture *fixture, const char *location, const char *folder,
    unsigned damaged)
{
	const struct bkp_keys keys = fixture_admin_keys(fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	way = calloc(1, sizeof(*way));
	assert_non_null(way);
	*way = (struct bad_way){.base = {.ops = &ops},
	    .inner = fixture_store(fixture),
	    .folder = folder};
	way->base.location = strdup(location);
	assert_non_null(way->base.location);
	if (bkp_repository_open_store(&way->base, &keys, &repository, &err) < 0)
		fail_msg("%s", err.message);
	way->left = damaged;
	return repository;
}

/* Backs up one file. */
static unsigned char *
back_up(struct fixture *fixture, char name[65])
{
	unsigned char *bytes = fixture_random(SIZE, 1);
	const struct fixture_file file = {"a", bytes, SIZE};
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	if (fixture_back_up(host, &file, 1, SIZE, name, &err) < 0)
		fail_msg("%s", err.message);
	bkp_repository_close(host);
	return bytes;
}

/* Reads it by the way: 0, or -1; what comes is what was stored. */
static int
read_by(struct fixture *fixture, const char *location, const char *folder,
    unsigned damaged, struct bkp_error *err)
{
	struct bkp_repository *repository;
	struct fmt_buf out = FMT_BUF_INIT;
	char name[65];
	unsigned char *bytes = back_up(fixture, name);
	int rc;

	repository = open_by(fixture, location, folder, damaged);
	rc = fixture_read(repository, name, "a", &out, err);
	if (rc == 0) {
		assert_int_equal(out.len, SIZE);
		assert_memory_equal(out.data, bytes, SIZE);
		assert_int_equal(way->left, 0);
	}
	assert_in_range(way->reads, 1, 60);
	bkp_repository_close(repository);
	fmt_buf_free(&out);
	free(bytes);
	return rc;
}

/* Each for itself could be bad luck of one place that reads. */
static void
assert_comes_right(void **state, const char *folder)
{
	struct bkp_error err = BKP_ERROR_INIT;

	for (unsigned damaged = 0; damaged < 5; damaged++)
		if (read_by(*state, "s3://bad/way", folder, damaged, &err) < 0)
			fail_msg("%u: %s", damaged, err.message);
}

static void
a_pack_that_is_damaged_on_its_way_is_read_again(void **state)
{
	assert_comes_right(state, "packs/");
}

static void
an_index_that_is_damaged_on_its_way_is_read_again(void **state)
{
	assert_comes_right(state, "index/");
}

static void
what_is_damaged_in_the_bucket_is_told_at_last(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(
	    read_by(*state, "s3://bad/way", "packs/", 1000, &err), -1);
	assert_true(err.code == BKP_CORRUPT || err.code == BKP_AUTH);
}

static void
a_folder_gives_no_other_bytes_the_second_time(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(read_by(*state, "/a/folder", "packs/", 1, &err), -1);
	assert_true(err.code == BKP_CORRUPT || err.code == BKP_AUTH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_pack_that_is_damaged_on_its_way_is_read_again,
		fixture_new_initialised, fixture_free),
	    cmocka_unit_test_setup_teardown(
		an_index_that_is_damaged_on_its_way_is_read_again,
		fixture_new_initialised, fixture_free),
	    cmocka_unit_test_setup_teardown(
		what_is_damaged_in_the_bucket_is_told_at_last,
		fixture_new_initialised, fixture_free),
	    cmocka_unit_test_setup_teardown(
		a_folder_gives_no_other_bytes_the_second_time,
		fixture_new_initialised, fixture_free),
	};

	return cmocka_run_group_tests_name("rereads", tests, NULL, NULL);
}
