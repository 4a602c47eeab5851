/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "tests/unit/files_fixture.h"

static void
set_time(const char *path, time_t seconds, long nanoseconds)
{
	struct timespec times[2] = {{1, 0}, {seconds, nanoseconds}};

	assert_int_equal(
	    utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}
/* Restoring must fail before anything is touched. */
static void
refuse(struct bkp_sink *sink, int code, const char *text)
{
	struct bkp_supply supply = {.from = sink, .prefix = "files/t"};
	struct bkp_target_options options = {.to = back};
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(
	    fake_restore(&supply, kind(), &config, &options, &err), -1);
	assert_int_equal(err.code, code);
	if (strstr(err.message, text) == NULL)
		fail_msg("'%s' is not in '%s'", text, err.message);
}

static const unsigned char acl[] = {2, 0, 0, 0, /* version, then entries */
    1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 4, 0, 0x39, 0x30, 0, 0, 4, 0, 4,
    0, 0xff, 0xff, 0xff, 0xff, 0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0,
    0, 0, 0xff, 0xff, 0xff, 0xff};

static void
make_one_of_each(void)
{
	static char data[300000];
	int fd;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 >> 2);
	make_folder(at(tree, "/d"));
	write_bytes(at(tree, "/d/file"), data, sizeof(data), 04751);
	set_time(at(tree, "/d/file"), 1234567890, 123456789);
	write_bytes(at(tree, "/d/empty"), "", 0, 0600);
	assert_int_equal(symlink("../\xff/no where", at(tree, "/d/link")), 0);
	set_time(at(tree, "/d/link"), 1000000000, 5);
	assert_int_equal(link(at(tree, "/d/file"), at(tree, "/d/zz")), 0);
	assert_int_equal(mkfifo(at(tree, "/d/fifo"), 0640), 0);
	set_time(at(tree, "/d/fifo"), 1100000000, 7);
	make_folder(at(tree, "/d/closed"));
	write_text(at(tree, "/d/closed/in"), "inside");
	fd = open(at(tree, "/d/sparse"), O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "middle", 6, 8 << 20), 6);
	assert_int_equal(ftruncate(fd, 16 << 20), 0);
	close(fd);
	assert_int_equal(
	    setxattr(at(tree, "/d/file"), "user.note", "a\0b", 3, 0), 0);
	assert_int_equal(
	    setxattr(at(tree, "/d/closed"), "user.e", "", 0, 0), 0);
	assert_int_equal(setxattr(at(tree, "/d/empty"),
			     "system.posix_acl_access", acl, sizeof(acl), 0),
	    0);
	assert_int_equal(setxattr(at(tree, "/d/closed"),
			     "system.posix_acl_default", acl, sizeof(acl), 0),
	    0);
	if (geteuid() == 0)
		assert_int_equal(
		    chown(at(tree, "/d/closed/in"), 12345, 54321), 0);
	assert_int_equal(chmod(at(tree, "/d/closed"), 0500), 0);
	set_time(at(tree, "/d/closed"), 1200000000, 999999999);
	set_time(at(tree, "/d"), 900000000, 1);
}

static void
check_one_of_each(const struct bkp_sink *sink)
{
	const struct fmt_entry *entry = fake_entry(sink, "files/t/d/file");

	assert_string_equal(entry->kind, "files.file");
	assert_string_equal(fake_text(entry, "mode"), "4751");
	assert_string_equal(fake_text(entry, "mtime"), "1234567890.123456789");
	assert_string_equal(
	    json_string_value(json_object_get(
		json_object_get(entry->attrs, "xattrs"), "user.note")),
	    "YQBi");
	entry = fake_entry(sink, "files/t/d/link");
	assert_string_equal(entry->kind, "files.symlink");
	assert_string_equal(fake_text(entry, "target"), "../%FF/no where");
	entry = fake_entry(sink, "files/t/d/zz");
	assert_string_equal(entry->kind, "files.hardlink");
	assert_string_equal(fake_text(entry, "link"), "files/t/d/file");
	assert_false(entry->has_content);
	entry = fake_entry(sink, "files/t/d/fifo");
	assert_string_equal(entry->kind, "files.fifo");
	entry = fake_entry(sink, "files/t/d/sparse");
	assert_int_equal(entry->size, 16 << 20);
	assert_true(
	    json_array_size(json_object_get(entry->attrs, "sparse")) >= 2);
	entry = fake_entry(sink, "files/t/d/empty");
	assert_non_null(strstr(fake_text(entry, "acl"), "user:"));
	assert_non_null(strstr(fake_text(entry, "acl"), "12345"));
	entry = fake_entry(sink, "files/t/d/closed");
	assert_non_null(strstr(fake_text(entry, "acl"), "default:"));
}

static void
everything_comes_back_as_it_was(void **state)
{
	struct stat st, first;
	struct bkp_sink sink;
	unsigned char value[sizeof(acl) + 8];

	(void)state;
	make_one_of_each();
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	assert_int_equal(fake_omissions(&sink), 0);
	check_one_of_each(&sink);
	restore(&sink, NULL, false);
	assert_int_equal(fake_omissions(&sink), 0);
	expect_equal(&sink);

	/* Seen without our own eyes as well. */
	assert_int_equal(lstat(at(back, "/d"), &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 900000000);
	assert_int_equal(st.st_mtim.tv_nsec, 1);
	assert_int_equal(lstat(at(back, "/d/closed"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0500);
	assert_int_equal(st.st_mtim.tv_nsec, 999999999);
	assert_int_equal(lstat(at(back, "/d/file"), &first), 0);
	assert_int_equal(first.st_mode & 07777, 04751);
	assert_int_equal(first.st_nlink, 2);
	assert_int_equal(lstat(at(back, "/d/zz"), &st), 0);
	assert_int_equal(st.st_ino, first.st_ino);
	assert_int_equal(lstat(at(back, "/d/sparse"), &st), 0);
	assert_int_equal(st.st_size, 16 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_int_equal(
	    getxattr(at(back, "/d/file"), "user.note", value, sizeof(value)),
	    3);
	assert_int_equal(getxattr(at(back, "/d/empty"),
			     "system.posix_acl_access", value, sizeof(value)),
	    sizeof(acl));
	assert_memory_equal(value, acl, sizeof(acl));
	assert_int_equal(lstat(at(back, "/d/closed/in"), &st), 0);
	if (geteuid() == 0) {
		assert_int_equal(st.st_uid, 12345);
		assert_int_equal(st.st_gid, 54321);
	}
	fake_sink_free(&sink);
}

static void
existing_files_are_left_alone_unless_told(void **state)
{
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "new a");
	write_text(at(tree, "/d/b"), "new b");
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	make_folder(back);
	make_folder(at(back, "/d"));
	write_text(at(back, "/d/b"), "old b");
	refuse(&sink, BKP_EXISTS, "/back/d/b exists already");
	expect_text(at(back, "/d/b"), "old b");
	assert_int_equal(access(at(back, "/d/a"), F_OK), -1);
	restore(&sink, NULL, true);
	expect_text(at(back, "/d/b"), "new b");
	expect_equal(&sink);
	fake_sink_free(&sink);
}

static void
overwriting_a_link_does_not_write_through_it(void **state)
{
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "new a");
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	make_folder(back);
	make_folder(at(back, "/d"));
	write_text(at(outside, "/victim"), "precious");
	assert_int_equal(symlink(at(outside, "/victim"), at(back, "/d/a")), 0);
	restore(&sink, NULL, true);
	expect_text(at(outside, "/victim"), "precious");
	expect_text(at(back, "/d/a"), "new a");
	fake_sink_free(&sink);
}

static json_t *
plain(void)
{
	return json_pack("{s:s, s:i, s:i, s:s}", "mode", "0644", "uid",
	    (int)getuid(), "gid", (int)getgid(), "mtime", "1.000000000");
}

static void
a_path_that_escapes_restores_nothing(void **state)
{
	static const char *const bad[] = {"files/t/../x", "files/t/d/../../x",
	    "files/t//x", "files/t/./x", "files/t/..", "files/t/d/",
	    "files/tx"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bkp_sink sink;

		fake_sink_init(&sink, NULL, NULL);
		fake_add(&sink, "files/t/a", "files.file", plain(), "good");
		fake_add(&sink, bad[i], "files.file", plain(), "evil");
		if (strcmp(bad[i], "files/tx") != 0)
			refuse(&sink, BKP_CORRUPT, "leads out of its source");
		else
			restore(&sink, NULL, false); /* not selected */
		assert_int_equal(access(at(folder, "/x"), F_OK), -1);
		assert_int_equal(access(at(back, "/x"), F_OK), -1);
		if (strcmp(bad[i], "files/tx") != 0)
			assert_int_equal(access(back, F_OK), -1);
		fake_sink_free(&sink);
	}
}

static json_t *
link_to(const char *target)
{
	json_t *attrs = plain();

	json_object_set_new(attrs, "target", json_string(target));
	return attrs;
}

static void
nothing_is_written_through_a_link(void **state)
{
	struct bkp_sink sink;

	(void)state;
	/* One that the snapshot brings. */
	fake_sink_init(&sink, NULL, NULL);
	fake_add(&sink, "files/t/l", "files.symlink", link_to(outside), NULL);
	fake_add(&sink, "files/t/l/x", "files.file", plain(), "evil");
	refuse(&sink, BKP_CORRUPT, "which is no folder");
	assert_int_equal(access(at(outside, "/x"), F_OK), -1);
	fake_sink_free(&sink);

	/* One that is there already. */
	make_folder(back);
	assert_int_equal(symlink(outside, at(back, "/l")), 0);
	fake_sink_init(&sink, NULL, NULL);
	fake_add(&sink, "files/t/l/x", "files.file", plain(), "evil");
	fake_add(&sink, "files/t/m", "files.file", plain(), "good");
	restore(&sink, NULL, false);
	assert_int_equal(access(at(outside, "/x"), F_OK), -1);
	assert_non_null(fake_omission(&sink, "files/t/l/x"));
	expect_text(at(back, "/m"), "good");
	fake_sink_free(&sink);
}

static void
a_hard_link_alone_becomes_a_file(void **state)
{
	struct bkp_sink sink;
	struct stat st, other;

	(void)state;
	make_folder(at(tree, "/d"));
	make_folder(at(tree, "/d/a"));
	make_folder(at(tree, "/d/b"));
	write_text(at(tree, "/d/a/first"), "content");
	assert_int_equal(
	    link(at(tree, "/d/a/first"), at(tree, "/d/b/second")), 0);
	assert_int_equal(
	    link(at(tree, "/d/a/first"), at(tree, "/d/b/third")), 0);
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	restore(&sink, "files/t/d/b", false);
	expect_text(at(back, "/d/b/second"), "content");
	assert_int_equal(lstat(at(back, "/d/b/second"), &st), 0);
	assert_int_equal(lstat(at(back, "/d/b/third"), &other), 0);
	assert_int_equal(st.st_ino, other.st_ino);
	assert_int_equal(access(at(back, "/d/a"), F_OK), -1);
	fake_sink_free(&sink);
}

static void
other_names_of_a_lost_file_are_lost_and_name_nothing_else(void **state)
{
	struct bkp_supply supply = {.prefix = "files/t", .damage_at = 1};
	struct bkp_target_options options = {.to = back, .is_overwrite = true};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink;
	size_t count;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "content");
	assert_int_equal(link(at(tree, "/d/a"), at(tree, "/d/c")), 0);
	make_folder(back);
	make_folder(at(back, "/d"));
	write_text(at(back, "/d/a"), "precious");
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	supply.from = &sink;
	assert_int_equal(
	    fake_restore(&supply, kind(), &config, &options, &err), 0);
	expect_text(at(back, "/d/a"), "precious");
	assert_int_equal(access(at(back, "/d/c"), F_OK), -1);
	(void)bkp_run_omissions(sink.run, &count);
	assert_int_equal(count, 2);
	assert_int_equal(supply.restored, 0);
	fake_sink_free(&sink);
}

static void
a_damaged_content_leaves_no_half_file(void **state)
{
	struct bkp_supply supply = {.prefix = "files/t", .damaged = "/d/a"};
	struct bkp_target_options options = {.to = back};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink;

	(void)state;
	make_folder(at(tree, "/d"));
	write_text(at(tree, "/d/a"), "content");
	write_text(at(tree, "/d/b"), "other");
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	supply.from = &sink;
	assert_int_equal(
	    fake_restore(&supply, kind(), &config, &options, &err), 0);
	assert_int_equal(supply.lost, 1);
	assert_int_equal(supply.restored, 1); /* the other file */
	assert_int_equal(access(at(back, "/d/a"), F_OK), -1);
	expect_text(at(back, "/d/b"), "other");
	assert_int_equal(unlink(at(back, "/d/b")), 0);
	assert_int_equal(rmdir(at(back, "/d")), 0); /* nor anything else */

	/* What was there before is there afterwards. */
	make_folder(at(back, "/d"));
	write_text(at(back, "/d/a"), "precious");
	options.is_overwrite = true;
	assert_int_equal(
	    fake_restore(&supply, kind(), &config, &options, &err), 0);
	assert_int_equal(supply.lost, 2);
	expect_text(at(back, "/d/a"), "precious");
	fake_sink_free(&sink);
}

static void
a_scratch_place_proves_the_same_entries(void **state)
{
	const struct bkp_target_options options = {.is_scratch = true};
	struct bkp_source_config bare = {.kind = BKP_KIND_FILES,
	    .name = config.name,
	    .prefix = config.prefix};
	struct bkp_supply supply = {.prefix = "files/t"};
	struct bkp_scratch *scratch = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink, seen;

	(void)state;
	make_one_of_each();
	fake_sink_init(&sink, NULL, NULL);
	back_up(&sink);
	supply.from = &sink;
	assert_int_equal(kind()->scratch_open(&bare, sink.info, outside,
			     sink.run, &scratch, &err),
	    0);
	if (fake_restore(&supply, kind(), &scratch->place, &options, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(fake_omissions(&sink), 0);
	fake_sink_init(&seen, NULL, NULL);
	seen.is_digest_only = true;
	assert_int_equal(fake_backup(&seen, kind(), &scratch->place, &err), 0);
	assert_int_equal(seen.entry_count, sink.entry_count);
	for (size_t i = 0; i < seen.entry_count; i++) {
		struct fmt_buf what = FMT_BUF_INIT;

		if (bkp_compare_entries(&sink.entries[i], &seen.entries[i],
			comparison_of(seen.entries[i].kind), &what, NULL) != 1)
			fail_msg("%s: %s", seen.entries[i].path,
			    fmt_buf_text(&what));
		fmt_buf_free(&what);
	}
	scratch->ops->close(scratch);
	fake_sink_free(&seen);
	fake_sink_free(&sink);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(everything_comes_back_as_it_was),
	    CASE(existing_files_are_left_alone_unless_told),
	    CASE(overwriting_a_link_does_not_write_through_it),
	    CASE(a_path_that_escapes_restores_nothing),
	    CASE(nothing_is_written_through_a_link),
	    CASE(a_hard_link_alone_becomes_a_file),
	    CASE(a_damaged_content_leaves_no_half_file),
	    CASE(other_names_of_a_lost_file_are_lost_and_name_nothing_else),
	    CASE(a_scratch_place_proves_the_same_entries),
	};

	return cmocka_run_group_tests_name("files restore", tests, NULL, NULL);
}
