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
#include <unistd.h>

#include "libbackup/source/source.h"
#include "tests/unit/fake_sink.h"

static char folder[32], to[48], file[64];

static int
enter_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/bkp-command-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(to, sizeof(to), "%s/a/b", folder);
	(void)snprintf(file, sizeof(file), "%s/out.txt", to);
	return 0;
}

static int
leave_folder(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command) == 0 ? 0 : -1;
}

/* A source that runs `script`, and takes back with `restore` (or NULL). */
struct scene {
	struct bkp_source_config config;
	char *run[4], *restore[4];
	char script[256], restore_script[256];
};

static void
set(struct scene *scene, const char *script, const char *restore)
{
	static char sh[] = "sh", c[] = "-c", name[] = "t", output[] = "out.txt";
	static char prefix[] = "command/t";

	memset(scene, 0, sizeof(*scene));
	(void)snprintf(scene->script, sizeof(scene->script), "%s", script);
	scene->run[0] = scene->restore[0] = sh;
	scene->run[1] = scene->restore[1] = c;
	scene->run[2] = scene->script;
	scene->restore[2] = scene->restore_script;
	scene->config.kind = BKP_KIND_COMMAND;
	scene->config.name = name;
	scene->config.prefix = prefix;
	scene->config.command.output = output;
	scene->config.command.run = (struct bkp_strings){scene->run, 3};
	if (restore == NULL)
		return;
	(void)snprintf(scene->restore_script, sizeof(scene->restore_script),
	    "%s", restore);
	scene->config.command.restore = (struct bkp_strings){scene->restore, 3};
}

static void
expect_file(const char *path, const char *text)
{
	char buffer[64] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, buffer, sizeof(buffer) - 1) >= 0);
	assert_string_equal(buffer, text);
	close(fd);
}

static void
the_output_is_the_content_of_one_entry(void **state)
{
	struct bkp_sink sink;
	struct scene scene;

	(void)state;
	set(&scene, "echo to nobody >&2; echo hello", NULL);
	fake_sink_init(&sink, NULL, NULL);
	assert_int_equal(
	    fake_backup(&sink, &bkp_kind_command, &scene.config, NULL), 0);
	assert_int_equal(sink.entry_count, 1);
	assert_string_equal(sink.entries[0].path, "command/t/out.txt");
	assert_string_equal(sink.entries[0].kind, "command.output");
	assert_int_equal(sink.entries[0].size, 6);
	assert_memory_equal(
	    fake_bytes(&sink, &sink.entries[0])->data, "hello\n", 6);
	assert_int_equal(fake_omissions(&sink), 0);
	fake_sink_free(&sink);
}

static void
expect_no_backup(const char *script, int code, const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink;
	struct scene scene;

	set(&scene, script, NULL);
	fake_sink_init(&sink, NULL, NULL);
	assert_int_equal(
	    fake_backup(&sink, &bkp_kind_command, &scene.config, &err), -1);
	assert_int_equal(err.code, code);
	if (strstr(err.message, text) == NULL)
		fail_msg("'%s' is not in '%s'", text, err.message);
	assert_int_equal(sink.entry_count, 0);
	fake_sink_free(&sink);
}

static void
a_command_that_fails_is_no_backup_whatever_it_printed(void **state)
{
	(void)state;
	expect_no_backup("echo much; echo cannot connect >&2; exit 4", BKP_IO,
	    "sh: exit status 4: cannot connect");
	expect_no_backup("echo much; kill -9 $$", BKP_IO, "signal 9");
}

static void
a_command_that_is_not_there_is_told_before_anything_runs(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink;
	struct scene scene;
	char missing[] = "bkp-no-such-program";

	(void)state;
	set(&scene, "true", NULL);
	scene.run[0] = missing;
	fake_sink_init(&sink, NULL, NULL);
	assert_int_equal(
	    fake_backup(&sink, &bkp_kind_command, &scene.config, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, missing));
	fake_sink_free(&sink);
}

static void
note_warning(
    void *arg, enum bkp_level level, const char *path, const char *text)
{
	(void)path;
	if (level == BKP_WARNING)
		(void)snprintf(arg, 128, "%s", text);
}

static void
empty_output_is_kept_and_warned_of(void **state)
{
	char warning[128] = "";
	struct bkp_events events = {.arg = warning, .message = note_warning};
	struct bkp_sink sink;
	struct scene scene;

	(void)state;
	set(&scene, "true", NULL);
	fake_sink_init(&sink, &events, NULL);
	assert_int_equal(
	    fake_backup(&sink, &bkp_kind_command, &scene.config, NULL), 0);
	assert_int_equal(sink.entry_count, 1);
	assert_true(sink.entries[0].has_content);
	assert_int_equal(sink.entries[0].size, 0);
	assert_non_null(strstr(warning, "printed nothing"));
	assert_int_equal(fake_omissions(&sink), 0);
	fake_sink_free(&sink);
}

static void
request_stop(struct bkp_sink *sink, const char *path)
{
	(void)path;
	bkp_cancel_request(sink->arg);
}

static void
cancel_ends_a_command_that_would_never_end(void **state)
{
	struct bkp_cancel cancel = BKP_CANCEL_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_sink sink;
	struct scene scene;

	(void)state;
	set(&scene, "echo begun; sleep 1000", NULL);
	fake_sink_init(&sink, NULL, &cancel);
	sink.on_write = request_stop;
	sink.arg = &cancel;
	assert_int_equal(
	    fake_backup(&sink, &bkp_kind_command, &scene.config, &err), -1);
	assert_int_equal(err.code, BKP_CANCELLED);
	assert_int_equal(sink.entry_count, 0);
	fake_sink_free(&sink);
}

/* Restores "hello\n"; 0 or the error's code. */
static int
put_back(const char *restore, const char *where, bool is_overwrite,
    int damage_at, struct bkp_error *err)
{
	struct bkp_target_options options = {
	    .to = where, .is_overwrite = is_overwrite};
	struct bkp_supply supply = {
	    .prefix = "command/t", .damage_at = damage_at};
	struct bkp_sink sink;
	struct scene scene;
	int rc;

	set(&scene, "true", restore);
	fake_sink_init(&sink, NULL, NULL);
	fake_add(&sink, "command/t/out.txt", "command.output", NULL, "hello\n");
	supply.from = &sink;
	rc = fake_restore(
	    &supply, &bkp_kind_command, &scene.config, &options, err);
	fake_sink_free(&sink);
	if (rc == 0 && supply.lost > 0)
		return BKP_CORRUPT;
	return rc < 0 ? err->code : 0;
}

static void
the_bytes_go_into_the_restore_command(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char script[128], path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/in", folder);
	(void)snprintf(script, sizeof(script), "cat > %s", path);
	assert_int_equal(put_back(script, NULL, false, 0, &err), 0);
	expect_file(path, "hello\n");
}

static void
a_restore_command_that_fails_fails_the_restore(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(put_back("cat >/dev/null; echo broken >&2; exit 2",
			     NULL, false, 0, &err),
	    BKP_IO);
	assert_non_null(strstr(err.message, "exit status 2: broken"));
	assert_int_equal(
	    put_back("cat >/dev/null", NULL, false, 1, &err), BKP_CORRUPT);
}

static void
without_a_command_it_becomes_a_file_in_the_folder_named(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(put_back(NULL, NULL, false, 0, &err), BKP_INVALID);
	assert_non_null(strstr(err.message, "--to"));
	assert_int_equal(put_back(NULL, to, false, 0, &err), 0);
	expect_file(file, "hello\n");
	assert_int_equal(put_back(NULL, to, false, 0, &err), BKP_EXISTS);
	assert_non_null(strstr(err.message, "out.txt exists already"));
	assert_int_equal(put_back(NULL, to, true, 0, &err), 0);
}

static void
damage_leaves_neither_a_half_file_nor_harms_the_old_one(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(put_back(NULL, to, false, 1, &err), BKP_CORRUPT);
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(rmdir(to), 0); /* nothing else is there either */
}

static void
a_restore_command_gets_all_of_it_or_is_not_started(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char script[128], path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/in", folder);
	(void)snprintf(script, sizeof(script), "cat > %s", path);
	assert_int_equal(put_back(script, NULL, false, 1, &err), BKP_CORRUPT);
	assert_int_equal(access(path, F_OK), -1);
}

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(the_output_is_the_content_of_one_entry),
	    CASE(a_command_that_fails_is_no_backup_whatever_it_printed),
	    CASE(a_command_that_is_not_there_is_told_before_anything_runs),
	    CASE(empty_output_is_kept_and_warned_of),
	    CASE(cancel_ends_a_command_that_would_never_end),
	    CASE(the_bytes_go_into_the_restore_command),
	    CASE(a_restore_command_that_fails_fails_the_restore),
	    CASE(without_a_command_it_becomes_a_file_in_the_folder_named),
	    CASE(damage_leaves_neither_a_half_file_nor_harms_the_old_one),
	    CASE(a_restore_command_gets_all_of_it_or_is_not_started),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
