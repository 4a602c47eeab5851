/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many index objects that are searched as one, and the cache of this machine:
 * it saves work, and never says anything that the store does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"
#include "tests/unit/repository_fixture.h"

#define EACH 50u /* chunks of an index */

struct test {
	struct fixture *fixture;
	struct bkp_repository *repository;
	struct bkp_store_fault fault; /* counts the calls */
	struct bkp_store *store;      /* owned */
	char cache[64];
	bool is_believed;
	char vanishing[128]; /* of an object that goes while one is loaded */
};

static int
set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	struct fixture *fixture;
	void *made = NULL;

	if (test == NULL || fixture_new_initialised(&made) < 0)
		return -1;
	fixture = made;
	test->fixture = fixture;
	test->repository = fixture_open_admin(fixture);
	test->is_believed = true;
	(void)snprintf(
	    test->cache, sizeof(test->cache), "%s/cache", fixture->folder);
	*state = test;
	if (setenv("BACKUP_CACHE_DIR", test->cache, 1) < 0)
		return -1;
	return bkp_store_fault_new(
	    fixture_store(fixture), &test->fault, &test->store, NULL);
}

static int
tear_down(void **state)
{
	struct test *test = *state;
	void *fixture = test->fixture;

	bkp_repository_close(test->repository);
	bkp_store_close(test->store);
	free(test);
	return fixture_free(&fixture);
}

static void
make_id(uint64_t n, unsigned char id[32])
{
	assert_int_equal(fmt_sha256(&n, sizeof(n), id), FMT_OK);
}

/* An index of EACH chunks from the first on, in a pack of that number. */
static void
encode(uint32_t first, uint32_t pack_number, struct fmt_buf *out)
{
	static const unsigned char seed[32] = "a seed";
	struct fmt_index_pack pack = {
	    .stored_size = 10 * EACH, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunks[EACH] = {0};
	struct fmt_index_builder *builder;

	memcpy(pack.name, &pack_number, sizeof(pack_number));
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	for (uint32_t i = 0; i < EACH; i++) {
		make_id(first + i, chunks[i].id);
		chunks[i].stored_len = 10;
		chunks[i].offset = 10 * i;
		chunks[i].raw_len = first + i;
	}
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, chunks, EACH), FMT_OK);
	assert_int_equal(fmt_index_builder_encode(builder, seed, out), FMT_OK);
	fmt_index_builder_free(builder);
}

static void
store_index(
    struct test *test, uint32_t first, uint32_t pack_number, char name[65])
{
	struct fmt_buf plain = FMT_BUF_INIT;

	encode(first, pack_number, &plain);
	assert_int_equal(bkp_object_seal(test->fixture->memory, "index",
			     &test->repository->keys.metadata_recipient, 1,
			     plain.data, plain.len, name, NULL, NULL),
	    0);
	fmt_buf_free(&plain);
}

static int
check_signer(void *arg, const unsigned char key[32], const char *name,
    struct bkp_error *err)
{
	struct test *test = arg;

	(void)key;
	(void)name;
	if (test->vanishing[0] != '\0')
		(void)bkp_store_remove(
		    test->fixture->memory, test->vanishing, NULL);
	test->vanishing[0] = '\0';
	return test->is_believed
		   ? 0
		   : bkp_fail(err, BKP_AUTH, "nobody knows the signer");
}

static int
load(struct test *test, struct bkp_index_set *set, struct bkp_error *err)
{
	test->fault.calls = 0;
	return bkp_index_set_load(set, test->store,
	    test->repository->keys.metadata, test->repository->keys.count,
	    check_signer, test, err);
}

/* A set as a process of its own has it, loaded. */
static void
open_set(struct test *test, struct bkp_index_set *set)
{
	struct bkp_error err = BKP_ERROR_INIT;

	bkp_index_set_init(set);
	assert_int_equal(
	    bkp_index_set_use_cache(set, test->repository->config.id, &err), 0);
	(void)load(test, set, &err);
	assert_string_equal(err.message, "");
}

static bool
knows(struct bkp_index_set *set, uint32_t n)
{
	struct fmt_index_place place;
	unsigned char id[32];

	make_id(n, id);
	if (!bkp_index_set_find(set, id, &place))
		return false;
	assert_int_equal(place.chunk.raw_len, n);
	assert_memory_equal(place.chunk.id, id, sizeof(id));
	return true;
}

static bool
knows_all(struct bkp_index_set *set, uint32_t first, uint32_t count)
{
	for (uint32_t n = first; n < first + count; n++) {
		if (!knows(set, n))
			return false;
	}
	return true;
}

static void
path_of(const struct test *test, const char *name, char path[256])
{
	(void)snprintf(path, 256, "%s/%s/index/%s", test->cache,
	    test->repository->config.id, name);
}

/* ---- the cache ---- */

static void
what_was_checked_once_is_not_fetched_again(void **state)
{
	struct test *test = *state;
	struct bkp_index_set set;
	char name[65], path[256];
	struct stat st;

	store_index(test, 0, 1, name);
	open_set(test, &set);
	assert_true(test->fault.calls > 1);
	assert_true(knows_all(&set, 0, EACH));
	bkp_index_set_free(&set);
	path_of(test, name, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	open_set(test, &set);
	assert_int_equal(test->fault.calls, 1); /* the listing */
	assert_true(knows_all(&set, 0, EACH));
	assert_false(knows(&set, EACH));
	bkp_index_set_free(&set);
}

static void
what_a_session_writes_is_in_the_cache_at_once(void **state)
{
	struct test *test = *state;
	struct fmt_buf plain = FMT_BUF_INIT;
	struct bkp_index_set set;
	char name[65];

	open_set(test, &set);
	encode(0, 1, &plain);
	store_index(test, 0, 1, name);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    bkp_index_set_add(&set, name, plain.data, plain.len, NULL),
		    0);
	assert_int_equal(set.count, 1);
	assert_true(knows_all(&set, 0, EACH));
	bkp_index_set_free(&set);
	fmt_buf_free(&plain);
	open_set(test, &set);
	assert_int_equal(test->fault.calls, 1);
	assert_true(knows_all(&set, 0, EACH));
	bkp_index_set_free(&set);
}

/* What can become of a file on a disk. */
static void
change_byte(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	unsigned char byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	(void)close(fd);
}

static void
assert_fetched_again(struct test *test, const char *what)
{
	struct bkp_index_set set;

	open_set(test, &set);
	if (test->fault.calls <= 1)
		fail_msg("%s: it was believed", what);
	assert_true(knows_all(&set, 0, EACH));
	bkp_index_set_free(&set);
	open_set(test, &set);
	assert_int_equal(test->fault.calls, 1);
	bkp_index_set_free(&set);
}

static void
a_file_that_rotted_is_fetched_again(void **state)
{
	struct test *test = *state;
	char name[65], path[256];
	struct bkp_index_set set;
	struct stat st;

	store_index(test, 0, 1, name);
	open_set(test, &set);
	bkp_index_set_free(&set);
	path_of(test, name, path);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += at < 200 ? 1 : 97) {
		change_byte(path, at);
		assert_fetched_again(test, "a flipped bit");
	}
	for (off_t len = 0; len < st.st_size; len += 111) {
		assert_int_equal(truncate(path, len), 0);
		assert_fetched_again(test, "a truncated file");
	}
	assert_int_equal(truncate(path, st.st_size + 4096), 0);
	assert_fetched_again(test, "a file with zeros behind it");
	assert_int_equal(chmod(path, 0644), 0);
	assert_fetched_again(test, "a file that others may read");
}

static void
one_file_does_not_pass_for_another(void **state)
{
	struct test *test = *state;
	char first[65], second[65], path[256], other[256];
	struct bkp_index_set set;

	store_index(test, 0, 1, first);
	store_index(test, EACH, 2, second);
	open_set(test, &set);
	bkp_index_set_free(&set);
	path_of(test, first, path);
	path_of(test, second, other);
	assert_int_equal(rename(other, path), 0);
	assert_fetched_again(test, "another index under its name");
}

static void
what_is_gone_from_the_store_is_gone(void **state)
{
	struct test *test = *state;
	struct timespec old[2] = {{1, 0}, {1, 0}};
	char first[65], second[65], path[256], object[128];
	struct bkp_index_set set;

	store_index(test, 0, 1, first);
	store_index(test, EACH, 2, second);
	open_set(test, &set);
	bkp_index_set_free(&set);
	(void)snprintf(object, sizeof(object), "index/%s", first);
	assert_int_equal(
	    bkp_store_remove(test->fixture->memory, object, NULL), 0);
	path_of(test, first, path);
	for (int i = 0; i < 2; i++) {
		open_set(test, &set);
		assert_false(knows(&set, 0));
		assert_true(knows_all(&set, EACH, EACH));
		bkp_index_set_free(&set);
		/* It may be somebody's who is just putting it. */
		assert_int_equal(access(path, F_OK), i == 0 ? 0 : -1);
		if (i == 0)
			assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	}
}

static void
without_a_place_everything_works(void **state)
{
	struct test *test = *state;
	struct bkp_index_set set;
	char name[65];

	store_index(test, 0, 1, name);
	assert_int_equal(setenv("BACKUP_CACHE_DIR", "/dev/null/none", 1), 0);
	for (int i = 0; i < 2; i++) {
		open_set(test, &set);
		assert_null(set.cache.directory);
		assert_true(test->fault.calls > 1);
		assert_true(knows_all(&set, 0, EACH));
		bkp_index_set_free(&set);
	}
}

static void
who_is_no_writer_any_more_is_not_believed(void **state)
{
	struct test *test = *state;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_index_set set;
	char name[65];

	store_index(test, 0, 1, name);
	open_set(test, &set);
	bkp_index_set_free(&set);
	test->is_believed = false;
	open_set(test, &set);
	assert_false(knows(&set, 0));
	assert_int_equal(bkp_index_set_is_whole(&set, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, name));
	bkp_index_set_free(&set);
}

/* ---- many as one ---- */

static void
an_index_that_vanishes_makes_it_list_again(void **state)
{
	struct test *test = *state;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_index_set set;
	char names[2][65], joined[65];
	const char *last;

	/* What is loaded first removes what comes after it. */
	store_index(test, 0, 1, names[0]);
	store_index(test, 0, 2, names[1]);
	last = strcmp(names[0], names[1]) < 0 ? names[1] : names[0];
	(void)snprintf(
	    test->vanishing, sizeof(test->vanishing), "index/%s", last);
	store_index(test, EACH, 3, joined);
	if (strcmp(joined, last) > 0)
		(void)snprintf(test->vanishing, sizeof(test->vanishing),
		    "index/%s", joined);
	bkp_index_set_init(&set);
	assert_int_equal(load(test, &set, &err), 0);
	assert_int_equal(set.count, 2);
	assert_int_equal(bkp_index_set_is_whole(&set, NULL), 0);
	assert_true(knows_all(&set, 0, EACH));
	bkp_index_set_free(&set);
}

static void
each_copy_is_found_once(void **state)
{
	enum { COPIES = 7 };
	struct test *test = *state;
	bool seen[COPIES] = {false};
	struct fmt_index_place place;
	struct bkp_index_set set;
	unsigned char id[32];
	char name[65];

	for (uint32_t i = 0; i < COPIES; i++)
		store_index(test, 0, i, name);
	open_set(test, &set);
	make_id(3, id);
	for (size_t n = 0; n < COPIES; n++) {
		assert_true(bkp_index_set_find_copy(&set, id, n, &place));
		assert_true(place.pack.name[0] < COPIES);
		assert_false(seen[place.pack.name[0]]);
		seen[place.pack.name[0]] = true;
	}
	assert_false(bkp_index_set_find_copy(&set, id, COPIES, &place));
	bkp_index_set_free(&set);
}

static void
hundreds_of_indexes_are_found_as_they_come(void **state)
{
	enum { FILES = 300 };
	struct test *test = *state;
	struct fmt_buf plain = FMT_BUF_INIT;
	struct bkp_index_set set;
	char name[65];

	open_set(test, &set);
	for (uint32_t i = 0; i < FILES; i++) {
		unsigned char number[32] = {
		    (unsigned char)i, (unsigned char)(i >> 8)};

		encode(i * EACH, i, &plain);
		fmt_hex(number, sizeof(number), name);
		assert_int_equal(
		    bkp_index_set_add(&set, name, plain.data, plain.len, NULL),
		    0);
		fmt_buf_clear(&plain);
		assert_true(knows(&set, i * EACH));
		assert_false(knows(&set, (i + 1) * EACH));
	}
	assert_true(knows_all(&set, 0, FILES * EACH));
	bkp_index_set_relax(&set);
	assert_true(knows_all(&set, 0, FILES * EACH));
	bkp_index_set_free(&set);
	fmt_buf_free(&plain);
}

/* Large enough to be searched by fences: every chunk, what is not there, and
 * which of them are differences. */
static void
a_large_index_is_searched_like_a_small_one(void **state)
{
	enum { CHUNKS = 25000 };
	static const unsigned char seed[32] = "a seed";
	struct test *test = *state;
	struct fmt_pack_chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
	struct fmt_index_pack pack = {
	    .stored_size = 10 * CHUNKS, .kind = FMT_PACK_DATA};
	struct fmt_buf plain = FMT_BUF_INIT;
	struct fmt_index_builder *builder;
	struct fmt_index_place place;
	struct bkp_index_set set;
	unsigned char id[32];
	char name[65];

	assert_non_null(chunks);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		make_id(i, chunks[i].id);
		/* Some that share the bytes fences are made of. */
		if (i < 300)
			memset(chunks[i].id, 0x77, 8);
		chunks[i].stored_len = 10;
		chunks[i].offset = 10 * i;
		chunks[i].raw_len = i;
		chunks[i].has_base = i % 3 == 1;
		if (chunks[i].has_base)
			memcpy(chunks[i].base, chunks[i - 1].id, 32);
	}
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, chunks, CHUNKS), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_encode(builder, seed, &plain), FMT_OK);
	fmt_index_builder_free(builder);
	fmt_hex(seed, sizeof(seed), name);
	open_set(test, &set);
	assert_int_equal(
	    bkp_index_set_add(&set, name, plain.data, plain.len, NULL), 0);
	assert_true(set.files[0].is_large);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		assert_true(bkp_index_set_find(&set, chunks[i].id, &place));
		assert_int_equal(place.chunk.raw_len, i);
		assert_int_equal(place.chunk.has_base, i % 3 == 1);
		if (place.chunk.has_base)
			assert_memory_equal(
			    place.chunk.base, chunks[i - 1].id, 32);
		make_id(CHUNKS + i, id);
		assert_false(bkp_index_file_find(&set.files[0], id, &place));
	}
	memset(id, 0, sizeof(id));
	assert_false(bkp_index_file_find(&set.files[0], id, &place));
	memset(id, 0xff, sizeof(id));
	assert_false(bkp_index_file_find(&set.files[0], id, &place));
	bkp_index_set_free(&set);
	fmt_buf_free(&plain);
	free(chunks);
}

/* ---- the directory ---- */

static void
a_directory_wraps_at_its_end(void **state)
{
	struct bkp_index_directory directory;
	unsigned char id[32];
	size_t at;
	uint32_t file;

	(void)state;
	assert_int_equal(bkp_index_directory_init(&directory, 0, NULL), 0);
	memset(id, 0xff, sizeof(id));
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(bkp_index_directory_has_room(&directory, 1));
		bkp_index_directory_add(&directory, id, i);
	}
	at = bkp_index_directory_home(&directory, id);
	assert_int_equal(at, directory.cap - 1);
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(
		    bkp_index_directory_next(&directory, id, &at, &file));
		assert_int_equal(file, i);
	}
	assert_false(bkp_index_directory_next(&directory, id, &at, &file));
	bkp_index_directory_free(&directory);
}

static void
an_empty_directory_knows_nothing(void **state)
{
	struct bkp_index_directory directory = {.slots = NULL};
	unsigned char id[32] = {1};
	size_t at = bkp_index_directory_home(&directory, id);
	uint32_t file;

	(void)state;
	assert_false(bkp_index_directory_next(&directory, id, &at, &file));
	assert_false(bkp_index_directory_has_room(&directory, 1));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_was_checked_once_is_not_fetched_again),
	    CASE(what_a_session_writes_is_in_the_cache_at_once),
	    CASE(a_file_that_rotted_is_fetched_again),
	    CASE(one_file_does_not_pass_for_another),
	    CASE(what_is_gone_from_the_store_is_gone),
	    CASE(without_a_place_everything_works),
	    CASE(who_is_no_writer_any_more_is_not_believed),
	    CASE(an_index_that_vanishes_makes_it_list_again),
	    CASE(each_copy_is_found_once),
	    CASE(hundreds_of_indexes_are_found_as_they_come),
	    CASE(a_large_index_is_searched_like_a_small_one),
	    cmocka_unit_test(a_directory_wraps_at_its_end),
	    cmocka_unit_test(an_empty_directory_knows_nothing),
	};

	return cmocka_run_group_tests_name("index set", tests, NULL, NULL);
}
