/* SPDX-License-Identifier: Apache-2.0 */
/* What the shared suite cannot ask of every store: files, modes, full disks,
 * and faults on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/store/store_fault.h"
#include "tests/unit/store_conformance.h"

static char root[32];

static int
make_root(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/bkp-store-XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int
remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct bkp_store *
open_root(const char *name, enum bkp_store_mode mode)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	(void)bkp_store_open(path, mode, &store, &err);
	assert_string_equal(err.message, "");
	return store;
}

static void
make_file(const char *name)
{
	char path[96];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_non_null(file = fopen(path, "w"));
	assert_int_equal(fclose(file), 0);
}

static unsigned
mode_of(const char *name)
{
	struct stat st;
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
files_and_folders_are_the_owners_alone(void **state)
{
	struct bkp_store *store;
	mode_t old = umask(0);

	(void)state;
	store = open_root("s", BKP_STORE_CREATE);
	assert_int_equal(bkp_store_put(store, "packs/ab/x", "x", 1, NULL), 0);
	umask(old);
	assert_int_equal(mode_of("s"), 0700);
	assert_int_equal(mode_of("s/packs"), 0700);
	assert_int_equal(mode_of("s/packs/ab"), 0700);
	assert_int_equal(mode_of("s/packs/ab/x"), 0600);
	bkp_store_close(store);
}

static void
an_object_outlives_its_handle(void **state)
{
	struct bkp_store *store = open_root("s", BKP_STORE_CREATE);
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(bkp_store_put(store, "a/b", "x", 1, NULL), 0);
	bkp_store_close(store);
	store = open_root("s", BKP_STORE_OPEN);
	assert_int_equal(bkp_store_get(store, "a/b", 0, 1, &out, NULL), 0);
	assert_string_equal(fmt_buf_text(&out), "x");
	fmt_buf_free(&out);
	bkp_store_close(store);
}

static void
leftovers_and_strangers_are_not_listed(void **state)
{
	struct bkp_store *store = open_root("s", BKP_STORE_CREATE);
	struct fmt_buf names = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(bkp_store_put(store, "index/a", "x", 1, NULL), 0);
	make_file("s/tmp-0123456789abcdef");
	make_file("s/index/tmp-1");
	make_file("s/README");
	assert_int_equal(
	    bkp_store_list(store, "", store_names, &names, NULL), 0);
	assert_string_equal(fmt_buf_text(&names), "index/a\n");
	fmt_buf_free(&names);
	bkp_store_close(store);
}

static bool
is_there(const char *name)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	return access(path, F_OK) == 0;
}

/* Two days ago. */
static void
make_old_file(const char *name)
{
	struct timespec times[2] = {
	    {time(NULL) - 2 * 86400, 0}, {time(NULL) - 2 * 86400, 0}};
	char path[96];

	make_file(name);
	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
a_probe_takes_away_what_killed_ones_left_and_nothing_else(void **state)
{
	static const char *const stay[] = {"s/tmp-0123456789abcdef",
	    "s/tmp-0123456789abcde", "s/tmp-0123456789abcdefa",
	    "s/tmp-0123456789abcdex", "s/notes", "s/index/a"};
	struct bkp_store *store = open_root("s", BKP_STORE_CREATE);

	(void)state;
	assert_int_equal(bkp_store_put(store, "index/a", "x", 1, NULL), 0);
	make_file(stay[0]); /* somebody writes it now */
	for (size_t i = 1; i < 5; i++)
		make_old_file(stay[i]);
	make_old_file("s/tmp-fedcba9876543210");
	assert_int_equal(bkp_store_probe(store, NULL), 0);
	for (size_t i = 0; i < 6; i++)
		assert_true(is_there(stay[i]));
	assert_false(is_there("s/tmp-fedcba9876543210"));
	bkp_store_close(store);
}

static void
a_removed_directory_is_no_empty_store(void **state)
{
	struct bkp_store *store = open_root("s", BKP_STORE_CREATE);
	struct fmt_buf names = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/s", root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(
	    bkp_store_list(store, "", store_names, &names, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	bkp_store_close(store);
}

static void
a_place_that_is_none_is_said_by_name(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store = NULL;
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/none", root);
	assert_int_equal(
	    bkp_store_open(path, BKP_STORE_OPEN, &store, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, path));
	make_file("file");
	(void)snprintf(path, sizeof(path), "%s/file", root);
	for (int mode = 0; mode < 2; mode++) {
		assert_int_equal(bkp_store_open(path, (enum bkp_store_mode)mode,
				     &store, &err),
		    -1);
		assert_int_equal(err.code, BKP_INVALID);
	}
	assert_int_equal(
	    bkp_store_open("sftp://host/x", BKP_STORE_CREATE, &store, &err),
	    -1);
	assert_int_equal(err.code, BKP_UNSUPPORTED);
	assert_non_null(strstr(err.message, "sftp://"));
	assert_int_equal(bkp_store_open("", BKP_STORE_OPEN, &store, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_null(store);
}

/* Nobody is asked over the network for any of them. */
static void
a_bucket_is_named_without_secrets_and_options(void **state)
{
	static const char *const wrong[] = {"s3://", "s3:///prefix",
	    "s3://key:secret@bucket/x", "s3://bucket/x?endpoint=y",
	    "s3://bucket/a//b", "s3://bucket/a b", "s3://bucket/%41",
	    "s3://bucket/a#b"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_store *store = NULL;

		assert_int_equal(
		    bkp_store_open(wrong[i], BKP_STORE_OPEN, &store, &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
		assert_null(strstr(err.message, "secret@"));
		assert_null(store);
	}
}

/* In a child of its own: the limit and the user stay its own. */
static int
in_child(int (*body)(struct bkp_store *store), struct bkp_store *store)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(body(store));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Short ones and long ones are written in two ways. */
static int
put_beyond_the_limit(struct bkp_store *store)
{
	static const unsigned char data[9u << 20];
	const struct rlimit limits[] = {{6u << 20, 6u << 20}, {4096, 4096}};
	const size_t lens[] = {sizeof(data), 65536};

	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < 2; i++) {
		struct bkp_error err = BKP_ERROR_INIT;

		if (setrlimit(RLIMIT_FSIZE, &limits[i]) < 0)
			return 10;
		if (bkp_store_put(store, "packs/aa/b", data, lens[i], &err) ==
		    0)
			return 11;
		if (err.code != BKP_IO || err.sys != EFBIG ||
		    strstr(err.message, "packs/aa/b: writing") == NULL)
			return 12;
	}
	return 0;
}

static void
a_write_that_fails_leaves_no_file(void **state)
{
	struct bkp_store *store = open_root("s", BKP_STORE_CREATE);
	char path[64];

	(void)state;
	assert_int_equal(in_child(put_beyond_the_limit, store), 0);
	bkp_store_close(store);
	(void)snprintf(path, sizeof(path), "%s/s", root);
	assert_int_equal(rmdir(path), 0); /* works on an empty one only */
	assert_int_equal(mkdir(path, 0700), 0);
}

/* From where a file system takes bytes as they lie, and from where not. */
static void
a_long_object_comes_back_from_any_address(void **state)
{
	static const char *const names[] = {"packs/aa/even", "packs/aa/odd"};
	const size_t len = (5u << 20) + 17;
	struct bkp_store *store = open_root("s", BKP_STORE_CREATE);
	unsigned char *room = aligned_alloc(4096, 6u << 20);
	struct fmt_buf back = FMT_BUF_INIT;

	(void)state;
	assert_non_null(room);
	for (size_t i = 0; i <= len; i++)
		room[i] = (unsigned char)(i * 2654435761u >> 23);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(
		    bkp_store_put(store, names[i], room + i, len, NULL), 0);
		fmt_buf_clear(&back);
		assert_int_equal(bkp_store_get(store, names[i], 0,
				     BKP_STORE_WHOLE, &back, NULL),
		    0);
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data, room + i, len);
	}
	fmt_buf_free(&back);
	free(room);
	bkp_store_close(store);
}

static int
write_as_nobody(struct bkp_store *store)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (geteuid() == 0 && setuid(65534) < 0)
		return 10;
	if (bkp_store_probe(store, &err) == 0)
		return 11;
	if (err.code != BKP_AUTH || strstr(err.message, root) == NULL)
		return 12;
	return bkp_store_put(store, "a", "x", 1, &err) == 0 ? 13 : 0;
}

static void
a_place_that_takes_no_writes_is_known_at_once(void **state)
{
	struct bkp_store *store = open_root("s", BKP_STORE_CREATE);
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/s", root);
	assert_int_equal(chmod(path, 0555), 0);
	assert_int_equal(in_child(write_as_nobody, store), 0);
	bkp_store_close(store);
}

/* ---- faults on purpose ---- */

static struct bkp_store *
faulty_store(struct bkp_store_fault *fault, struct bkp_store **memory)
{
	struct bkp_store *shared, *faulty;

	assert_int_equal(bkp_store_memory_new(memory, NULL), 0);
	assert_int_equal(bkp_store_memory_share(*memory, &shared, NULL), 0);
	assert_int_equal(bkp_store_fault_new(shared, fault, &faulty, NULL), 0);
	return faulty;
}

static bool
has_object(struct bkp_store *store, const char *name)
{
	struct bkp_store_object object;

	return bkp_store_stat(store, name, &object, NULL) == 0;
}

static void
the_nth_call_fails_and_no_other(void **state)
{
	struct bkp_store_fault fault = {.fail_at = 2};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *memory, *faulty = faulty_store(&fault, &memory);

	(void)state;
	assert_int_equal(bkp_store_put(faulty, "a", "x", 1, NULL), 0);
	assert_int_equal(bkp_store_put(faulty, "b", "x", 1, &err), -1);
	assert_int_equal(err.code, BKP_IO);
	assert_int_equal(bkp_store_put(faulty, "c", "x", 1, NULL), 0);
	assert_true(has_object(memory, "a"));
	assert_false(has_object(memory, "b"));
	assert_true(has_object(memory, "c"));
	assert_int_equal(fault.hits, 1);
	bkp_store_close(faulty);
	bkp_store_close(memory);
}

static void
an_answer_can_be_lost_after_the_work_was_done(void **state)
{
	struct bkp_store_fault fault = {.fail_at = 1, .is_effect_done = true};
	struct bkp_store *memory, *faulty = faulty_store(&fault, &memory);

	(void)state;
	assert_int_equal(bkp_store_put(faulty, "a", "x", 1, NULL), -1);
	assert_true(has_object(memory, "a"));
	bkp_store_close(faulty);
	bkp_store_close(memory);
}

static void
after_a_kill_nothing_goes_through(void **state)
{
	struct bkp_store_fault fault = {.fail_at = 2, .is_killed_after = true};
	struct bkp_store *memory, *faulty = faulty_store(&fault, &memory);

	(void)state;
	assert_int_equal(bkp_store_put(faulty, "a", "x", 1, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bkp_store_put(faulty, "b", "x", 1, NULL), -1);
	assert_false(has_object(memory, "b"));
	assert_int_equal(fault.hits, 3);
	bkp_store_close(faulty);
	bkp_store_close(memory);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(files_and_folders_are_the_owners_alone),
	    CASE(an_object_outlives_its_handle),
	    CASE(leftovers_and_strangers_are_not_listed),
	    CASE(a_probe_takes_away_what_killed_ones_left_and_nothing_else),
	    CASE(a_removed_directory_is_no_empty_store),
	    CASE(a_place_that_is_none_is_said_by_name),
	    CASE(a_bucket_is_named_without_secrets_and_options),
	    CASE(a_write_that_fails_leaves_no_file),
	    CASE(a_long_object_comes_back_from_any_address),
	    CASE(a_place_that_takes_no_writes_is_known_at_once),
	    cmocka_unit_test(the_nth_call_fails_and_no_other),
	    cmocka_unit_test(an_answer_can_be_lost_after_the_work_was_done),
	    cmocka_unit_test(after_a_kill_nothing_goes_through),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
