/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of scratch places, and whether there is room in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libbackup/base/temporary.h"
#include "libbackup/operations/scratch.h"

static char base[64];
static char told[1024];

static void
message(void *arg, enum bkp_level level, const char *path, const char *text)
{
	(void)arg;
	(void)level;
	(void)path;
	(void)snprintf(told, sizeof(told), "%s", text);
}

static int
set_up(void **state)
{
	(void)state;
	told[0] = '\0';
	(void)snprintf(base, sizeof(base), "/tmp/test-scratch-XXXXXX");
	return mkdtemp(base) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	bkp_temporary_remove(base);
	return 0;
}

static struct bkp_run *
new_run(void)
{
	const struct bkp_events events = {.message = message};
	struct bkp_run *run = NULL;

	assert_int_equal(bkp_run_new(1, &events, NULL, &run, NULL), 0);
	return run;
}

/* ---- the folder ---- */

static void
open_folder(struct bkp_scratch_folder *folder)
{
	struct bkp_run *run = new_run();

	assert_int_equal(
	    bkp_scratch_folder_open(folder, base, "drill", run, NULL), 0);
	bkp_run_free(run);
}

static void
a_folder_is_ours_alone_and_gone_afterwards(void **state)
{
	struct bkp_scratch_folder folder = BKP_SCRATCH_FOLDER_INIT;
	struct stat st;

	(void)state;
	open_folder(&folder);
	assert_int_equal(stat(folder.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	bkp_scratch_folder_close(&folder);
	assert_null(folder.path);
	assert_int_equal(rmdir(base), 0);
	assert_int_equal(mkdir(base, 0700), 0);
	bkp_scratch_folder_close(&folder);
}

static void
a_folder_in_use_is_left_alone(void **state)
{
	struct bkp_scratch_folder one = BKP_SCRATCH_FOLDER_INIT;
	struct bkp_scratch_folder two = BKP_SCRATCH_FOLDER_INIT;

	(void)state;
	open_folder(&one);
	open_folder(&two);
	assert_int_equal(access(one.path, F_OK), 0);
	assert_string_equal(told, "");
	bkp_scratch_folder_close(&two);
	bkp_scratch_folder_close(&one);
}

/* What is in `path` after a process that worked there was killed. */
static void
leave_behind(char path[256])
{
	struct bkp_scratch_folder folder = BKP_SCRATCH_FOLDER_INIT;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		open_folder(&folder);
		if (write(ends[1], folder.path, strlen(folder.path) + 1) < 0)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_true(read(ends[0], path, 255) > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
what_a_killed_run_left_is_removed_and_told(void **state)
{
	struct bkp_scratch_folder folder = BKP_SCRATCH_FOLDER_INIT;
	char path[256] = "", below[300];

	(void)state;
	leave_behind(path);
	(void)snprintf(below, sizeof(below), "%s/postgres", path);
	assert_int_equal(mkdir(below, 0700), 0);
	open_folder(&folder);
	assert_int_equal(access(path, F_OK), -1);
	assert_non_null(strstr(told, "was left by a drill that was killed"));
	assert_non_null(strstr(told, path));
	bkp_scratch_folder_close(&folder);
}

/* Another program's, and one whose maker has not come so far as to lock it. */
static void
what_nobody_knows_of_is_left_alone(void **state)
{
	struct bkp_scratch_folder folder = BKP_SCRATCH_FOLDER_INIT;
	char other[128], fresh[128], lock[160];
	FILE *file;

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/drill-abcdef", base);
	(void)snprintf(fresh, sizeof(fresh), "%s/drill-ghijkl", base);
	(void)snprintf(lock, sizeof(lock), "%s/.in-use", fresh);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(mkdir(fresh, 0700), 0);
	assert_non_null(file = fopen(lock, "w"));
	assert_int_equal(fclose(file), 0);
	open_folder(&folder);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(access(fresh, F_OK), 0);
	assert_string_equal(told, "");
	bkp_scratch_folder_close(&folder);
}

static void
a_folder_that_is_not_there_is_told(void **state)
{
	struct bkp_scratch_folder folder = BKP_SCRATCH_FOLDER_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_run *run = new_run();

	(void)state;
	assert_int_equal(bkp_scratch_folder_open(
			     &folder, "/nowhere/at/all", "drill", run, &err),
	    -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, "--scratch-directory"));
	bkp_scratch_folder_close(&folder);
	bkp_run_free(run);
}

/* ---- room ---- */

#define MIB ((uint64_t)1 << 20)

/* What a part of a snapshot with this `info` needs. */
static uint64_t
need(const struct bkp_kind *kind, const char *info, const char *selection,
    uint64_t bytes, const char *directory, struct bkp_error *err)
{
	char prefix[] = "postgres/app";
	struct fmt_snapshot_source source = {
	    .prefix = prefix, .info = json_loads(info, 0, NULL)};
	const struct bkp_chosen chosen = {
	    .source = &source, .kind = kind, .selection = selection};
	const struct bkp_amount amount = {10, bytes};
	uint64_t need = bkp_scratch_need(&chosen, &amount);

	if (directory != NULL)
		assert_int_equal(
		    bkp_scratch_check_room(&chosen, &amount, directory, err),
		    err != NULL ? -1 : 0);
	json_decref(source.info);
	return need;
}

#define DATABASES                                                              \
	"{\"databases\":[{\"path\":\"postgres/app/a\",\"bytes\":104857600},"   \
	"{\"path\":\"postgres/app/b\",\"bytes\":4294967296}]}"

static void
databases_need_what_they_took_and_a_log(void **state)
{
	(void)state;
	/* Of a large one not all of the log is there at a time. */
	assert_int_equal(need(&bkp_kind_postgres, DATABASES, "postgres/app",
			     MIB, NULL, NULL),
	    64 * MIB + 100 * MIB + 4096 * MIB + 1024 * MIB);
	assert_int_equal(need(&bkp_kind_postgres, DATABASES, "postgres/app/a",
			     MIB, NULL, NULL),
	    64 * MIB + 100 * MIB + 100 * MIB);
}

/* By an older version. */
static void
what_was_not_recorded_is_guessed(void **state)
{
	(void)state;
	assert_int_equal(need(&bkp_kind_postgres,
			     "{\"databases\":[{\"path\":\"postgres/app/a\"}]}",
			     "postgres/app", 100 * MIB, NULL, NULL),
	    64 * MIB + 2 * 200 * MIB);
}

static void
only_what_is_put_into_folders_needs_room(void **state)
{
	(void)state;
	assert_int_equal(
	    need(&bkp_kind_files, "{}", "files/x", MIB, NULL, NULL),
	    MIB + 10 * 4096);
	assert_int_equal(
	    need(&bkp_kind_bucket, "{}", "bucket/x", MIB, NULL, NULL), 0);
	assert_int_equal(
	    need(&bkp_kind_command, "{}", "command/x", MIB, NULL, NULL), 0);
}

static void
a_lack_of_room_is_told_with_both_figures(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	(void)need(&bkp_kind_files, "{}", "files/x", 1, "/tmp", NULL);
	(void)need(
	    &bkp_kind_files, "{}", "files/x", (uint64_t)9 << 60, "/tmp", &err);
	assert_int_equal(err.code, BKP_IO);
	assert_non_null(strstr(err.message,
	    "files/x takes about 10376.3 PB in a scratch place, and /tmp has "
	    "room for "));
	assert_non_null(strstr(err.message, "--scratch-directory"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_folder_is_ours_alone_and_gone_afterwards),
	    TEST(a_folder_in_use_is_left_alone),
	    TEST(what_a_killed_run_left_is_removed_and_told),
	    TEST(what_nobody_knows_of_is_left_alone),
	    TEST(a_folder_that_is_not_there_is_told),
	    TEST(databases_need_what_they_took_and_a_log),
	    TEST(what_was_not_recorded_is_guessed),
	    TEST(only_what_is_put_into_folders_needs_room),
	    TEST(a_lack_of_room_is_told_with_both_figures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
