/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/files_fixture.h"

static void
entries_come_in_byte_order_of_their_paths(void **state)
{
	static const char *const names[] = {"/d", "/d/a", "/d/a b", "/d/a b/x",
	    "/d/a-", "/d/a-/x", "/d/a.txt", "/d/a/b", "/d/a/b.c", "/d/a/b/c",
	    "/d/a0", "/d/b", "/d/\xc3\xa4", "/d/\xff"};
	struct bkp_sink sink;
	char path[64];

	(void)state;
	make_folder(at(tree, "/d"));
	make_folder(at(tree, "/d/a"));
	make_folder(at(tree, "/d/a b"));
	make_folder(at(tree, "/d/a-"));
	make_folder(at(tree, "/d/a/b"));
	write_text(at(tree, "/d/a b/x"), "");
	write_text(at(tree, "/d/a-/x"), "1");
	write_text(at(tree, "/d/a.txt"), "2");
	write_text(at(tree, "/d/a/b.c"), "3");
	write_text(at(tree, "/d/a/b/c"), "4");
	write_text(at(tree, "/d/a0"), "5");
	write_text(at(tree, "/d/b"), "6");
	write_text(at(tree, "/d/\xc3\xa4"), "7");
	write_text(at(tree, "/d/\xff"), "8");
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_int_equal(sink.entry_count, sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < sink.entry_count; i++) {
		(void)snprintf(path, sizeof(path), "files/t%s", names[i]);
		assert_string_equal(sink.entries[i].path, path);
	}
	assert_int_equal(fake_omissions(&sink), 0);
	restore(&sink, NULL, false);
	expect_equal(&sink);
	fake_sink_free(&sink);
}

static void
several_paths_are_merged_and_covered_ones_dropped(void **state)
{
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	make_folder(at(tree, "/d-e"));
	make_folder(at(tree, "/d/f"));
	write_text(at(tree, "/d/f/x"), "1");
	write_text(at(tree, "/d-e/y"), "2");
	paths[1] = strdup("/d/f");
	paths[2] = strdup("/d-e");
	paths[3] = strdup("/gone");
	config.files.paths.count = 4;
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_int_equal(sink.entry_count, 5);
	assert_string_equal(sink.entries[1].path, "files/t/d-e");
	assert_string_equal(sink.entries[3].path, "files/t/d/f");
	assert_int_equal(fake_omissions(&sink), 1);
	assert_non_null(
	    strstr(fake_omission(&sink, "files/t/gone"), "vanished"));
	fake_sink_free(&sink);
}

static void
the_whole_of_a_root_is_backed_up_by_its_slash(void **state)
{
	struct bkp_sink sink;

	(void)state;
	free(paths[0]);
	paths[0] = strdup("/");
	write_text(at(tree, "/x"), "1");
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_int_equal(sink.entry_count, 2);
	assert_string_equal(sink.entries[0].path, "files/t");
	assert_string_equal(sink.entries[1].path, "files/t/x");
	restore(&sink, NULL, false);
	expect_text(at(back, "/x"), "1");
	expect_equal(&sink);
	fake_sink_free(&sink);
}
/* Gives the entries the change times that a settled file has. */
static void
settle(struct bkp_sink *sink)
{
	for (size_t i = 0; i < sink->entry_count; i++) {
		struct fmt_entry *entry = &sink->entries[i];
		struct stat st;

		assert_int_equal(
		    lstat(at(tree, entry->path + strlen("files/t")), &st), 0);
		json_object_set_new(entry->attrs, "ctime",
		    json_sprintf("%lld.%09ld", (long long)st.st_ctim.tv_sec,
			st.st_ctim.tv_nsec));
	}
}

static void
unchanged_files_are_taken_over_without_reading(void **state)
{
	struct bkp_sink first, second;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "one");
	write_text(at(tree, "/d/b"), "two");
	write_text(at(tree, "/d/gone"), "x");
	write_text(at(tree, "/d/same size"), "123");
	fake_sink_init(&first, NULL, NULL);
	back_up(&first);
	assert_int_equal(first.begun, 4);
	/* Files that were written a moment ago are not trusted. */
	assert_null(fake_text(fake_entry(&first, "files/t/d/a"), "ctime"));
	settle(&first);
	assert_int_equal(unlink(at(tree, "/d/gone")), 0);
	write_text(at(tree, "/d/new"), "new");
	write_text(at(tree, "/d/same size"), "456");
	fake_sink_init(&second, NULL, NULL);
	second.previous = &first;
	back_up(&second);
	assert_int_equal(second.begun, 2);
	assert_int_equal(second.entry_count, 5);
	assert_null(fake_entry(&second, "files/t/d/gone"));
	restore(&second, NULL, false);
	expect_text(at(back, "/d/a"), "one");
	expect_text(at(back, "/d/same size"), "456");
	expect_equal(&second);
	fake_sink_free(&second);
	fake_sink_free(&first);
}

/* Changes the file the first `arg` times that it is read. */
static void
change_file(struct bkp_sink *sink, const char *path)
{
	int *left = sink->arg;
	int fd;

	if (strcmp(path, "files/t/d/busy") != 0 || (*left)-- <= 0)
		return;
	fd = open(at(tree, "/d/busy"), O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void
a_file_that_changes_is_read_again_once(void **state)
{
	struct bkp_sink sink;
	int left = 1;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/busy"), "1234");
	fake_sink_init(&sink, NULL, NULL);
	sink.on_write = change_file;
	sink.arg = &left;
	back_up(&sink);
	assert_int_equal(sink.begun, 2);
	assert_int_equal(fake_omissions(&sink), 0);
	assert_int_equal(fake_entry(&sink, "files/t/d/busy")->size, 5);
	fake_sink_free(&sink);

	left = 10;
	fake_sink_init(&sink, NULL, NULL);
	sink.on_write = change_file;
	sink.arg = &left;
	back_up(&sink);
	assert_int_equal(sink.begun, 2);
	assert_non_null(strstr(fake_omission(&sink, "files/t/d/busy"),
	    "changed while being read"));
	assert_non_null(fake_entry(&sink, "files/t/d/busy"));
	assert_null(fake_text(fake_entry(&sink, "files/t/d/busy"), "ctime"));
	fake_sink_free(&sink);
}

static void
remove_other(struct bkp_sink *sink, const char *path)
{
	(void)sink;
	if (strcmp(path, "files/t/d/a") == 0)
		(void)unlink(at(tree, "/d/b"));
}

static void
a_file_that_vanishes_is_an_omission_by_name(void **state)
{
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "1");
	fake_sink_init(&sink, NULL, NULL);
	/* Many between the two, so that `b` is not read before `a`. */
	for (int i = 0; i < 200; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "/d/a%03d", i);
		assert_int_equal(symlink("x", at(tree, name)), 0);
	}
	write_text(at(tree, "/d/b"), "2");
	sink.on_write = remove_other;
	back_up(&sink);
	assert_int_equal(fake_omissions(&sink), 1);
	assert_non_null(
	    strstr(fake_omission(&sink, "files/t/d/b"), "vanished"));
	assert_null(fake_entry(&sink, "files/t/d/b"));
	assert_int_equal(sink.entry_count, 202);
	fake_sink_free(&sink);
}

static void
what_cannot_be_read_is_an_omission_and_the_rest_is_kept(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct bkp_sink sink;
	int fd;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "1");
	(void)snprintf(
	    address.sun_path, sizeof(address.sun_path), "%s/d/s", tree);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	if (geteuid() != 0) {
		write_text(at(tree, "/d/b"), "secret");
		assert_int_equal(chmod(at(tree, "/d/b"), 0), 0);
		assert_int_equal(link(at(tree, "/d/b"), at(tree, "/d/c")), 0);
	}
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_non_null(strstr(fake_omission(&sink, "files/t/d/s"), "socket"));
	if (geteuid() != 0) {
		assert_non_null(strstr(
		    fake_omission(&sink, "files/t/d/b"), "Permission denied"));
		assert_non_null(fake_omission(&sink, "files/t/d/c"));
	}
	assert_int_equal(sink.entry_count, 2);
	fake_sink_free(&sink);
}

static void
excluded_names_and_paths_are_not_looked_at(void **state)
{
	char *exclude[] = {
	    (char[]){"*.tmp"}, (char[]){"/d/cache"}, (char[]){"/d/*/log"}};
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	make_folder(at(tree, "/d/cache"));
	write_text(at(tree, "/d/cache/x"), "1");
	make_folder(at(tree, "/d/e"));
	write_text(at(tree, "/d/e/log"), "1");
	write_text(at(tree, "/d/e/cache"), "1");
	write_text(at(tree, "/d/e/x.tmp"), "1");
	config.files.exclude = (struct bkp_strings){exclude, 3};
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_int_equal(sink.entry_count, 3);
	assert_non_null(fake_entry(&sink, "files/t/d/e/cache"));
	assert_int_equal(fake_omissions(&sink), 0);
	fake_sink_free(&sink);
}

static void
note_message(
    void *arg, enum bkp_level level, const char *path, const char *text)
{
	char *message = arg;

	(void)level;
	(void)snprintf(message, 256, "%s %s", path, text);
}

static void
the_repository_is_not_backed_up_into_itself(void **state)
{
	char message[256] = "", repository[96];
	struct bkp_events events = {.arg = message, .message = note_message};
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	make_folder(at(tree, "/d/repo"));
	write_text(at(tree, "/d/repo/config"), "1");
	(void)snprintf(repository, sizeof(repository), "%s/d/repo", tree);
	config.files.repository = repository;
	fake_sink_init(&sink, &events, NULL);
	back_up(&sink);
	assert_int_equal(sink.entry_count, 1);
	assert_int_equal(fake_omissions(&sink), 0);
	assert_string_equal(
	    message, "/d/repo is the repository itself and is left out");
	fake_sink_free(&sink);
}

static void
links_are_not_followed(void **state)
{
	char message[256] = "";
	struct bkp_events events = {.arg = message, .message = note_message};
	struct bkp_sink sink;

	(void)state;
	write_text(at(outside, "/x"), "1");
	assert_int_equal(symlink(outside, at(tree, "/d")), 0);
	fake_sink_init(&sink, &events, NULL);
	back_up(&sink);
	assert_int_equal(sink.entry_count, 1);
	assert_string_equal(sink.entries[0].kind, "files.symlink");
	assert_non_null(strstr(message, "symbolic link"));
	fake_sink_free(&sink);
}

/* Memory fails on the calling thread, which walks, decides and hands over. */
static void
running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state)
{
	struct bkp_target_options options = {.to = back, .is_overwrite = true};
	struct bkp_supply supply = {.prefix = "files/t"};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink, whole;
	int rc, n;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "1");
	assert_int_equal(link(at(tree, "/d/a"), at(tree, "/d/b")), 0);
	assert_int_equal(symlink("a", at(tree, "/d/c")), 0);
	fake_sink_init(&whole, NULL, NULL);
	back_up(&whole);
	settle(&whole);
	for (n = 0;; n++) {
		fake_sink_init(&sink, NULL, NULL);
		sink.previous = &whole;
		failing_alloc_at(n);
		rc = fake_backup(&sink, kind(), &config, &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
		fake_sink_free(&sink);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(sink.entry_count, 4);
	assert_true(n > 30);
	fake_sink_free(&sink);
	supply.from = &whole;
	for (n = 0;; n++) {
		failing_alloc_at(n);
		rc = fake_restore(&supply, kind(), &config, &options, &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 20);
	expect_text(at(back, "/d/b"), "1");
	fake_sink_free(&whole);
}

static void
other_file_systems_are_entered_only_where_asked(void **state)
{
	static char dev[] = "/dev", shm[] = "/dev/shm";
	char *both[2] = {dev, shm},
	     *skip[] = {(char[]){"/dev/[!s]*"}, (char[]){"/dev/s[!h]*"}};
	char name[64], entry[96];
	struct stat above, below;
	struct bkp_sink sink;
	bool is_other;

	(void)state;
	assert_int_equal(stat(dev, &above), 0);
	assert_int_equal(stat(shm, &below), 0);
	is_other = above.st_dev != below.st_dev;
	(void)snprintf(name, sizeof(name), "%s/bkp-%d", shm, (int)getpid());
	(void)snprintf(entry, sizeof(entry), "files/t%s", name);
	write_text(name, "x");
	config.files.root = NULL;
	config.files.one_file_system = true;
	config.files.exclude = (struct bkp_strings){skip, 2};
	config.files.paths = (struct bkp_strings){both, 1};
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_non_null(fake_entry(&sink, "files/t/dev/shm"));
	assert_true((fake_entry(&sink, entry) == NULL) == is_other);
	fake_sink_free(&sink);
	config.files.paths.count = 2;
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_non_null(fake_entry(&sink, entry));
	fake_sink_free(&sink);
	assert_int_equal(unlink(name), 0);
}

static void
cancel_stops_a_walk(void **state)
{
	struct bkp_cancel cancel = BKP_CANCEL_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "1");
	fake_sink_init(&sink, NULL, &cancel);
	bkp_cancel_request(&cancel);
	assert_int_equal(fake_backup(&sink, kind(), &config, &err), -1);
	assert_int_equal(err.code, BKP_CANCELLED);
	fake_sink_free(&sink);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(entries_come_in_byte_order_of_their_paths),
	    CASE(several_paths_are_merged_and_covered_ones_dropped),
	    CASE(the_whole_of_a_root_is_backed_up_by_its_slash),
	    CASE(unchanged_files_are_taken_over_without_reading),
	    CASE(a_file_that_changes_is_read_again_once),
	    CASE(a_file_that_vanishes_is_an_omission_by_name),
	    CASE(what_cannot_be_read_is_an_omission_and_the_rest_is_kept),
	    CASE(excluded_names_and_paths_are_not_looked_at),
	    CASE(the_repository_is_not_backed_up_into_itself),
	    CASE(links_are_not_followed),
	    CASE(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
	    CASE(other_file_systems_are_entered_only_where_asked),
	    CASE(cancel_stops_a_walk),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
