/* SPDX-License-Identifier: Apache-2.0 */
/* Files and commands through a whole repository, by the public calls alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libbackup/libbackup.h>

static char folder[32];
static bool is_disk_full;

/* Stands in front of the C library's, for libarchive too: large writes fail on
 * demand, and everything around them goes on, as on a disk that is full. */
__attribute__((visibility("default"))) ssize_t
write(int fd, const void *data, size_t len)
{
	if (is_disk_full && len >= 60000) {
		errno = ENOSPC;
		return -1;
	}
	return (ssize_t)syscall(SYS_write, fd, data, len);
}

/* Of this size, a file changes whenever it is read. */
#define RESTLESS 300001
static bool is_restless;

__attribute__((visibility("default"))) ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	static time_t now = 1000000;
	struct stat st;

	if (is_restless && fstat(fd, &st) == 0 && st.st_size == RESTLESS) {
		now++;
		(void)futimens(
		    fd, (struct timespec[2]){{.tv_sec = now}, {.tv_sec = now}});
	}
	return (ssize_t)syscall(SYS_pread64, fd, data, len, offset);
}

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
expect_text(const char *path, const char *text)
{
	char buffer[128] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		fail_msg("%s is not there", path);
	assert_true(read(fd, buffer, sizeof(buffer) - 1) >= 0);
	assert_string_equal(buffer, text);
	close(fd);
}

static const char configuration[] = "repository: repo\n"
				    "key_file: host.key\n"
				    "identity_file: admin.key\n"
				    "workers: 2\n"
				    "sources:\n"
				    "  - files: t\n"
				    "    paths: [tree]\n"
				    "  - command: c\n"
				    "    run: [cat, input]\n"
				    "    restore: [sh, -c, 'cat > output']\n"
				    "    output: out\n";

/* A folder with a repository, a tree and a configuration; the current one. */
static int
enter_folder(void **state)
{
	struct bkp_init_options options = BKP_INIT_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char recipient[63];
	const char *recipients[1] = {recipient};

	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/bkp-whole-XXXXXX");
	if (mkdtemp(folder) == NULL || chdir(folder) < 0 ||
	    mkdir("tree", 0755) < 0 || mkdir("tree/sub", 0755) < 0)
		return -1;
	write_text("tree/a", "content of a");
	write_text("tree/sub/b", "content of b");
	write_text("input", "from a command");
	write_text("backup.yaml", configuration);
	options.recipients = recipients;
	options.recipient_count = 1;
	options.key_file = "host.key";
	if (bkp_identity_create("admin.key", recipient, &err) < 0 ||
	    bkp_repository_init("repo", &options, &err) < 0) {
		print_error("%s\n", err.message);
		return -1;
	}
	return 0;
}

static int
leave_folder(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static struct bkp_config *
load(void)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	if (bkp_config_load("backup.yaml", &config, &err) < 0)
		fail_msg("%s", err.message);
	return config;
}

static int
back_up(struct bkp_backup_result *result, struct bkp_error *err)
{
	struct bkp_backup_options options = BKP_BACKUP_OPTIONS_INIT;
	struct bkp_config *config = load();
	int rc;

	options.config = config;
	rc = bkp_backup(&options, result, err);
	bkp_config_free(config);
	return rc;
}

static int
restore(
    const char *path, const char *to, int is_overwrite, struct bkp_error *err)
{
	struct bkp_restore_options options = BKP_RESTORE_OPTIONS_INIT;
	struct bkp_restore_result result = {.entries = 0};
	struct bkp_config *config = load();
	int rc;

	options.config = config;
	options.snapshot = "latest";
	options.path = path;
	options.to = to;
	options.is_overwrite = is_overwrite;
	rc = bkp_restore(&options, &result, err);
	bkp_restore_result_free(&result);
	bkp_config_free(config);
	return rc;
}

static void
verify(enum bkp_verify_mode mode, struct bkp_verify_result *result)
{
	struct bkp_verify_options options = BKP_VERIFY_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = load();

	options.config = config;
	options.snapshot = "latest";
	options.mode = mode;
	options.scratch_directory = folder;
	if (bkp_verify(&options, result, &err) < 0)
		fail_msg("%s", err.message);
	bkp_config_free(config);
}

/* What is said of the check whose name ends like this. */
static const struct bkp_check *
check_of(const struct bkp_verify_result *result, const char *end)
{
	for (size_t i = 0; i < result->check_count; i++) {
		const char *name = result->checks[i].name;
		size_t len = strlen(name);

		if (len >= strlen(end) &&
		    strcmp(name + len - strlen(end), end) == 0)
			return &result->checks[i];
	}
	fail_msg("no check of %s", end);
	return NULL;
}

static void
must(int rc, const struct bkp_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->message);
}

static void
what_was_lost_comes_back_and_is_proven(void **state)
{
	struct bkp_backup_result first, second;
	struct bkp_verify_result verdict;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	must(back_up(&first, &err), &err);
	assert_int_equal(first.omission_count, 0);
	must(back_up(&second, &err), &err);
	assert_int_equal(second.new_chunks, 0);
	assert_int_equal(system("rm -r tree input"), 0);
	must(restore(NULL, NULL, 0, &err), &err);
	expect_text("tree/a", "content of a");
	expect_text("tree/sub/b", "content of b");
	expect_text("output", "from a command");
	verify(BKP_VERIFY_SCRATCH, &verdict);
	assert_true(verdict.is_proven);
	assert_int_equal(verdict.failed, 0);
	assert_int_equal(verdict.files, 2);
	bkp_verify_result_free(&verdict);
	verify(BKP_VERIFY_LIVE, &verdict);
	assert_true(verdict.is_proven);
	bkp_verify_result_free(&verdict);
}

static void
a_live_comparison_names_what_differs(void **state)
{
	struct bkp_backup_result result;
	struct bkp_verify_result verdict;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	must(back_up(&result, &err), &err);
	write_text("tree/a", "content of x");
	assert_int_equal(unlink("tree/sub/b"), 0);
	write_text("tree/new", "");
	verify(BKP_VERIFY_LIVE, &verdict);
	assert_false(verdict.is_proven);
	assert_int_equal(check_of(&verdict, "/tree/a")->status, BKP_CHECK_FAIL);
	assert_non_null(strstr(check_of(&verdict, "/tree/a")->what, "SHA-256"));
	assert_non_null(
	    strstr(check_of(&verdict, "/sub/b")->what, "was not found"));
	assert_non_null(
	    strstr(check_of(&verdict, "/new")->what, "not in the snapshot"));
	bkp_verify_result_free(&verdict);
}

static void
a_command_that_fails_leaves_no_snapshot(void **state)
{
	struct bkp_backup_result result;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(unlink("input"), 0);
	assert_int_equal(back_up(&result, &err), -1);
	assert_int_equal(err.code, BKP_IO);
	assert_non_null(strstr(err.message, "command/c: cat: exit status 1"));
	assert_int_equal(restore(NULL, NULL, 1, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	write_text("input", "back again");
	must(back_up(&result, &err), &err);
}

static void
what_exists_is_not_touched_unless_told(void **state)
{
	struct bkp_backup_result result;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	must(back_up(&result, &err), &err);
	write_text("tree/sub/b", "newer");
	assert_int_equal(unlink("tree/a"), 0);
	assert_int_equal(restore("files/t", NULL, 0, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_int_equal(access("tree/a", F_OK), -1);
	expect_text("tree/sub/b", "newer");
	must(restore("files/t", NULL, 1, &err), &err);
	expect_text("tree/a", "content of a");
	expect_text("tree/sub/b", "content of b");
}

static void
one_path_goes_to_another_folder(void **state)
{
	struct bkp_backup_result result;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[96];

	(void)state;
	must(back_up(&result, &err), &err);
	(void)snprintf(path, sizeof(path), "files/t%s/tree/sub", folder);
	must(restore(path, "elsewhere/deep", 0, &err), &err);
	(void)snprintf(
	    path, sizeof(path), "elsewhere/deep%s/tree/sub/b", folder);
	expect_text(path, "content of b");
	(void)snprintf(path, sizeof(path), "elsewhere/deep%s/tree/a", folder);
	assert_int_equal(access(path, F_OK), -1);
	must(restore("command/c", "elsewhere", 0, &err), &err);
	expect_text("elsewhere/out", "from a command");
}

/* The largest totals that were told. */
static void
note_totals(void *arg, const struct bkp_progress *progress)
{
	struct bkp_progress *largest = arg;

	if (progress->bytes_total > largest->bytes_total)
		largest->bytes_total = progress->bytes_total;
	if (progress->items_total > largest->items_total)
		largest->items_total = progress->items_total;
}

static void
a_part_is_verified_with_totals_of_its_own(void **state)
{
	struct bkp_verify_options options = BKP_VERIFY_OPTIONS_INIT;
	struct bkp_progress largest = {.bytes_total = 0};
	struct bkp_config *config = load();
	struct bkp_backup_result backup;
	struct bkp_verify_result verdict;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[96];

	(void)state;
	must(back_up(&backup, &err), &err);
	(void)snprintf(path, sizeof(path), "files/t%s/tree/sub/b", folder);
	options.config = config;
	options.snapshot = "latest";
	options.path = path;
	options.scratch_directory = folder;
	options.events.arg = &largest;
	options.events.progress = note_totals;
	must(bkp_verify(&options, &verdict, &err), &err);
	assert_true(verdict.is_proven);
	assert_int_equal(verdict.files, 1);
	assert_int_equal(largest.bytes_total, strlen("content of b"));
	assert_int_equal(largest.items_total, 1);
	bkp_verify_result_free(&verdict);
	path[strlen(path) - 1] = 'c';
	assert_int_equal(bkp_verify(&options, &verdict, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, path));
	bkp_config_free(config);
}

/* Counts what is said about folders of killed verifications. */
static void
note_leftover(
    void *arg, enum bkp_level level, const char *path, const char *text)
{
	(void)path;
	if (level == BKP_WARNING && strstr(text, "rm -r") != NULL &&
	    strstr(text, "backup-verify-oldone") != NULL)
		++*(int *)arg;
	else if (strstr(text, "backup-verify-newone") != NULL)
		*(int *)arg += 100;
}

static void
the_folder_of_a_killed_verification_is_told(void **state)
{
	struct bkp_verify_options options = BKP_VERIFY_OPTIONS_INIT;
	struct bkp_config *config = load();
	struct bkp_backup_result backup;
	struct bkp_verify_result verdict;
	struct bkp_error err = BKP_ERROR_INIT;
	int told = 0;

	(void)state;
	must(back_up(&backup, &err), &err);
	assert_int_equal(system("mkdir backup-verify-oldone "
				"backup-verify-newone && touch -d '2 days ago' "
				"backup-verify-oldone"),
	    0);
	options.config = config;
	options.snapshot = "latest";
	options.scratch_directory = folder;
	options.events.arg = &told;
	options.events.message = note_leftover;
	must(bkp_verify(&options, &verdict, &err), &err);
	assert_int_equal(told, 1);
	assert_int_equal(access("backup-verify-oldone", F_OK), 0);
	bkp_verify_result_free(&verdict);
	bkp_config_free(config);
}

static void
what_was_left_out_is_said_and_said_again(void **state)
{
	struct bkp_backup_result result;
	struct bkp_verify_result verdict;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	write_text("backup.yaml",
	    "repository: repo\nkey_file: host.key\nidentity_file: admin.key\n"
	    "sources:\n  - files: t\n    paths: [tree, gone]\n");
	must(back_up(&result, &err), &err);
	assert_int_equal(result.omission_count, 1);
	verify(BKP_VERIFY_SCRATCH, &verdict);
	assert_int_equal(verdict.failed, 0);
	assert_true(verdict.is_proven);
	assert_int_equal(verdict.omission_count, 1);
	assert_int_equal(check_of(&verdict, "/gone")->status, BKP_CHECK_SKIP);
	bkp_verify_result_free(&verdict);
	verify(BKP_VERIFY_LIVE, &verdict);
	assert_true(verdict.is_proven);
	assert_int_equal(verdict.omission_count, 1);
	bkp_verify_result_free(&verdict);
}

/* What the backup told of a file excuses no loss of it. */
static void
a_loss_of_what_was_told_when_it_was_stored_is_a_failure(void **state)
{
	struct bkp_backup_result result;
	struct bkp_verify_result verdict;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(system("head -c 300001 /dev/urandom > tree/a"), 0);
	is_restless = true;
	must(back_up(&result, &err), &err);
	is_restless = false;
	assert_int_equal(result.omission_count, 1);
	verify(BKP_VERIFY_SCRATCH, &verdict);
	assert_true(verdict.is_proven);
	assert_int_equal(verdict.omission_count, 1);
	bkp_verify_result_free(&verdict);
	assert_int_equal(system("find repo/packs -size +100k -delete"), 0);
	verify(BKP_VERIFY_SCRATCH, &verdict);
	assert_false(verdict.is_proven);
	assert_int_equal(check_of(&verdict, "/a")->status, BKP_CHECK_FAIL);
	bkp_verify_result_free(&verdict);
}

static void
a_file_that_a_full_disk_cuts_short_is_an_error_and_not_left(void **state)
{
	struct bkp_backup_result result;
	struct bkp_error err = BKP_ERROR_INIT;
	int rc;

	(void)state;
	assert_int_equal(system("head -c 3000000 /dev/urandom > tree/a"), 0);
	must(back_up(&result, &err), &err);
	is_disk_full = true;
	rc = restore("files/t", "elsewhere", 0, &err);
	is_disk_full = false;
	assert_int_equal(rc, -1);
	assert_non_null(strstr(err.message, "No space left"));
	assert_int_not_equal(system("find elsewhere -name a | grep -q ."), 0);
}

/* The chain of backups must not end because an old one was damaged. */
static void
a_damaged_snapshot_does_not_stop_the_next_backup(void **state)
{
	struct bkp_backup_result result;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	must(back_up(&result, &err), &err);
	assert_int_equal(system("f=$(ls repo/snapshots/*) && chmod u+w $f && "
				"printf x >> $f"),
	    0);
	must(back_up(&result, &err), &err);
	assert_int_equal(result.omission_count, 0);
}

/* What an earlier backup stored and somebody lost must not be counted on. */
static void
what_lay_in_a_lost_pack_is_stored_again(void **state)
{
	static const char *const losses[] = {
	    "find repo/packs -size +100k -delete",
	    "chmod -R u+w repo && find repo/packs -size +100k -exec truncate "
	    "-s -1 {} +"};
	struct bkp_backup_result result;
	struct bkp_verify_result verdict;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(system("head -c 300000 /dev/urandom > tree/a"), 0);
	must(back_up(&result, &err), &err);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(system(losses[i]), 0);
		must(back_up(&result, &err), &err);
		assert_true(result.new_chunks > 0);
		verify(BKP_VERIFY_SCRATCH, &verdict);
		assert_true(verdict.is_proven);
		bkp_verify_result_free(&verdict);
		must(back_up(&result, &err), &err);
		assert_int_equal(result.new_chunks, 0);
	}
}

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_was_lost_comes_back_and_is_proven),
	    CASE(a_live_comparison_names_what_differs),
	    CASE(a_command_that_fails_leaves_no_snapshot),
	    CASE(what_exists_is_not_touched_unless_told),
	    CASE(one_path_goes_to_another_folder),
	    CASE(a_part_is_verified_with_totals_of_its_own),
	    CASE(the_folder_of_a_killed_verification_is_told),
	    CASE(what_was_left_out_is_said_and_said_again),
	    CASE(a_loss_of_what_was_told_when_it_was_stored_is_a_failure),
	    CASE(a_file_that_a_full_disk_cuts_short_is_an_error_and_not_left),
	    CASE(a_damaged_snapshot_does_not_stop_the_next_backup),
	    CASE(what_lay_in_a_lost_pack_is_stored_again),
	};

	return cmocka_run_group_tests_name("files whole", tests, NULL, NULL);
}
