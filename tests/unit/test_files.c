/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/compare.h"
#include "libbackup/source/files_impl.h"
#include "tests/unit/failing_alloc.h"
#include "tests/unit/fake_sink.h"

/* Each test has a folder: `tree` in it is backed up as "/", `back` is where it
 * is restored to. */
static char folder[32], tree[48], back[48], outside[48];
static char *paths[4];
static struct bkp_source_config config;

static const struct bkp_kind *
kind(void)
{
	return geteuid() == 0 ? &bkp_kind_files : &bkp_kind_files_unprivileged;
}

static int
enter_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/bkp-files-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(tree, sizeof(tree), "%s/tree", folder);
	(void)snprintf(back, sizeof(back), "%s/back", folder);
	(void)snprintf(outside, sizeof(outside), "%s/outside", folder);
	memset(&config, 0, sizeof(config));
	config.kind = BKP_KIND_FILES;
	config.name = strdup("t");
	config.prefix = strdup("files/t");
	config.files.root = tree;
	paths[0] = strdup("/d");
	paths[1] = paths[2] = NULL;
	config.files.paths = (struct bkp_strings){paths, 1};
	return mkdir(tree, 0755) == 0 && mkdir(outside, 0755) == 0 ? 0 : -1;
}

static int
leave_folder(void **state)
{
	char command[128];

	(void)state;
	free(config.name);
	free(config.prefix);
	for (size_t i = 0; i < 4; i++)
		free(paths[i]);
	memset(paths, 0, sizeof(paths));
	(void)snprintf(command, sizeof(command),
	    "chmod -R u+rwx '%s'; rm -rf '%s'", folder, folder);
	return system(command) == 0 ? 0 : -1;
}

/* A path below the folder; four may be in use at once. */
static const char *
at(const char *base, const char *path)
{
	static char text[4][256];
	static int n;

	n = (n + 1) % 4;
	(void)snprintf(text[n], sizeof(text[n]), "%s%s", base, path);
	return text[n];
}

static void
write_bytes(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
write_text(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text), 0644);
}

static void
make_folder(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void
expect_text(const char *path, const char *text)
{
	char buffer[256] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, buffer, sizeof(buffer) - 1) >= 0);
	assert_string_equal(buffer, text);
	close(fd);
}

static void
set_time(const char *path, time_t seconds, long nanoseconds)
{
	struct timespec times[2] = {{1, 0}, {seconds, nanoseconds}};

	assert_int_equal(
	    utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void
back_up(struct bkp_sink *sink)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (fake_backup(sink, kind(), &config, &err) < 0)
		fail_msg("%s", err.message);
}

static void
restore(struct bkp_sink *sink, const char *selection, bool is_overwrite)
{
	struct bkp_supply supply = {
	    .from = sink, .prefix = "files/t", .selection = selection};
	struct bkp_target_options options = {
	    .to = back, .is_overwrite = is_overwrite};
	struct bkp_error err = BKP_ERROR_INIT;

	if (fake_restore(&supply, kind(), &config, &options, &err) < 0)
		fail_msg("%s", err.message);
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

static const struct bkp_comparison *
comparison_of(const char *name)
{
	const struct bkp_comparison *c = kind()->comparisons;

	while (c->entry_kind != NULL && strcmp(c->entry_kind, name) != 0)
		c++;
	assert_non_null(c->entry_kind);
	return c;
}

/* What is in `back` must be what was recorded. */
static void
expect_equal(const struct bkp_sink *recorded)
{
	struct bkp_sink found;

	fake_sink_init(&found, NULL, NULL);
	found.is_digest_only = true;
	config.files.root = back;
	back_up(&found);
	config.files.root = tree;
	for (size_t i = 0; i < recorded->entry_count; i++) {
		const struct fmt_entry *entry = &recorded->entries[i];
		const struct fmt_entry *twin = fake_entry(&found, entry->path);
		struct fmt_buf what = FMT_BUF_INIT;

		if (twin == NULL)
			fail_msg("%s is missing", entry->path);
		if (bkp_compare_entries(entry, twin, comparison_of(entry->kind),
			&what, NULL) != 1)
			fail_msg("%s: %s", entry->path, fmt_buf_text(&what));
		fmt_buf_free(&what);
	}
	assert_int_equal(found.entry_count, recorded->entry_count);
	assert_int_equal(fake_omissions(&found), 0);
	fake_sink_free(&found);
}

/* ---- cases ---- */

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

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(entries_come_in_byte_order_of_their_paths),
	    CASE(several_paths_are_merged_and_covered_ones_dropped),
	    CASE(the_whole_of_a_root_is_backed_up_by_its_slash),
	    CASE(everything_comes_back_as_it_was),
	    CASE(unchanged_files_are_taken_over_without_reading),
	    CASE(a_file_that_changes_is_read_again_once),
	    CASE(a_file_that_vanishes_is_an_omission_by_name),
	    CASE(what_cannot_be_read_is_an_omission_and_the_rest_is_kept),
	    CASE(excluded_names_and_paths_are_not_looked_at),
	    CASE(the_repository_is_not_backed_up_into_itself),
	    CASE(links_are_not_followed),
	    CASE(existing_files_are_left_alone_unless_told),
	    CASE(overwriting_a_link_does_not_write_through_it),
	    CASE(a_path_that_escapes_restores_nothing),
	    CASE(nothing_is_written_through_a_link),
	    CASE(a_hard_link_alone_becomes_a_file),
	    CASE(a_damaged_content_leaves_no_half_file),
	    CASE(other_names_of_a_lost_file_are_lost_and_name_nothing_else),
	    CASE(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
	    CASE(other_file_systems_are_entered_only_where_asked),
	    CASE(a_scratch_place_proves_the_same_entries),
	    CASE(cancel_stops_a_walk),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
