/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"

static int
collect(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	if (fmt_buf_append(arg, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "collecting");
	return 0;
}

static int
refuse(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)arg;
	(void)data;
	(void)len;
	return bkp_fail(err, BKP_CORRUPT, "do not want it");
}

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static void
output_and_arguments_arrive_as_they_are(void **state)
{
	const char *const argv[] = {"printf", "%s|", "a b", "$HOME", "", NULL};
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_child_options options = {
	    .argv = argv, .output = collect, .output_arg = &out};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_child_run(&options, &err), 0);
	assert_string_equal(fmt_buf_text(&out), "a b|$HOME||");
	fmt_buf_free(&out);
}

static void
environment_is_added_replaced_and_removed(void **state)
{
	const char *const env[] = {"BKP_A=new", "BKP_B", "BKP_C=x=y", NULL};
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_child_options options = {
	    .argv = SH("echo \"$BKP_A,${BKP_B-none},$BKP_C\""),
	    .env = env,
	    .output = collect,
	    .output_arg = &out};

	(void)state;
	setenv("BKP_A", "old", 1);
	setenv("BKP_B", "old", 1);
	assert_int_equal(bkp_child_run(&options, NULL), 0);
	assert_string_equal(fmt_buf_text(&out), "new,none,x=y\n");
	unsetenv("BKP_A");
	unsetenv("BKP_B");
	fmt_buf_free(&out);
}

static void
a_megabyte_goes_in_and_comes_out_without_blocking(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_child_options options = {
	    .argv = (const char *const[]){"cat", NULL},
	    .has_input = true,
	    .output = collect,
	    .output_arg = &out};
	struct bkp_child *child = NULL;
	size_t len = 1 << 20;
	unsigned char *data = malloc(len);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)(i * 31 >> 3);
	assert_int_equal(bkp_child_start(&options, &child, NULL), 0);
	assert_int_equal(bkp_child_write(child, data, len, NULL), 0);
	assert_int_equal(bkp_child_finish(child, NULL), 0);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, data, len);
	bkp_child_free(child);
	fmt_buf_free(&out);
	free(data);
}

static void
a_bad_exit_status_is_an_error_with_the_last_lines(void **state)
{
	struct bkp_child_options options = {
	    .argv = SH("seq 1 20000 >&2; echo no such table >&2; exit 7")};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_IO);
	assert_non_null(strstr(err.message, "sh: exit status 7: "));
	assert_non_null(strstr(err.message, " 20000 no such table"));
	assert_null(strstr(err.message, " 1 2 3 "));
}

static void
death_by_a_signal_is_an_error_that_names_it(void **state)
{
	struct bkp_child_options options = {.argv = SH("kill -SEGV $$")};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_IO);
	assert_non_null(strstr(err.message, "signal 11 (Segmentation fault)"));
}

static void
a_missing_program_is_not_found_before_anything_runs(void **state)
{
	struct bkp_child_options options = {
	    .argv = (const char *const[]){"bkp-no-such-program", NULL}};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, "bkp-no-such-program"));
	options.argv = (const char *const[]){"/no/such/program", NULL};
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	options.argv = (const char *const[]){"/etc/passwd", NULL};
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	options.argv = SH("true");
	options.directory = "/no/such/folder";
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_non_null(strstr(err.message, "/no/such/folder"));
}

static void
a_program_that_ends_before_its_input_is_an_error(void **state)
{
	struct bkp_child_options options = {
	    .argv = SH("echo disk full >&2; exit 3"), .has_input = true};
	struct bkp_child *child = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	static char data[1 << 20];

	(void)state;
	assert_int_equal(bkp_child_start(&options, &child, NULL), 0);
	assert_int_equal(bkp_child_write(child, data, sizeof(data), &err), -1);
	assert_non_null(strstr(err.message, "exit status 3: disk full"));
	bkp_child_free(child);

	options.argv = SH("exit 0");
	assert_int_equal(bkp_child_start(&options, &child, NULL), 0);
	assert_int_equal(bkp_child_write(child, data, sizeof(data), &err), -1);
	assert_int_equal(err.code, BKP_IO);
	bkp_child_free(child);
}

static void
an_error_of_the_output_callback_stops_the_program(void **state)
{
	struct bkp_child_options options = {
	    .argv = (const char *const[]){"yes", NULL}, .output = refuse};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_string_equal(err.message, "do not want it");
}

static int
cancel_on_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)data;
	(void)len;
	(void)err;
	bkp_cancel_request(arg);
	return 0;
}

/* The grandchild holds the write end of a pipe: its end is seen when we can
 * read the end of file. */
static void
cancel_stops_the_program_and_what_it_started(void **state)
{
	struct bkp_cancel cancel = BKP_CANCEL_INIT;
	struct bkp_child_options options = {
	    .argv = SH("sleep 1000 & echo up; wait"),
	    .output = cancel_on_output,
	    .output_arg = &cancel,
	    .cancel = &cancel};
	struct bkp_error err = BKP_ERROR_INIT;
	struct pollfd end;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	options.errors_fd = ends[1];
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_CANCELLED);
	close(ends[1]);
	end = (struct pollfd){.fd = ends[0], .events = POLLIN};
	assert_int_equal(poll(&end, 1, 10000), 1);
	assert_int_equal(end.revents & POLLIN, 0);
	assert_int_not_equal(end.revents & POLLHUP, 0);
	close(ends[0]);
}

static void
a_server_is_asked_to_stop_and_then_killed(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_child_options options = {
	    .argv = SH("trap 'exit 0' INT; while :; do sleep 0.01; done")};
	struct bkp_child *child = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_child_start(&options, &child, NULL), 0);
	assert_int_equal(bkp_child_status(child), -1);
	assert_false(bkp_child_has_ended(child));
	assert_int_equal(bkp_child_stop(child, SIGINT, 10000, &err), 0);
	assert_true(bkp_child_has_ended(child));
	assert_int_not_equal(bkp_child_status(child), -1);
	bkp_child_free(child);

	/* `exec` so that nothing but the deaf one is there. */
	options.argv = SH("trap '' TERM; exec sleep 1000");
	assert_int_equal(bkp_child_start(&options, &child, NULL), 0);
	/* Wait until the trap is set: sleep runs. */
	for (int i = 0; i < 1000; i++) {
		char path[64], name[32] = "";
		int fd, n = 0;

		(void)snprintf(path, sizeof(path), "/proc/%d/comm",
		    (int)bkp_child_pid(child));
		if ((fd = open(path, O_RDONLY)) >= 0) {
			n = (int)read(fd, name, sizeof(name) - 1);
			close(fd);
		}
		if (n > 0 && strcmp(name, "sleep\n") == 0)
			break;
		(void)poll(NULL, 0, 5);
	}
	assert_int_equal(bkp_child_stop(child, SIGTERM, 50, &err), -1);
	assert_int_equal(err.code, BKP_IO);
	assert_true(WIFSIGNALED(bkp_child_status(child)));
	assert_int_equal(WTERMSIG(bkp_child_status(child)), SIGKILL);
	bkp_child_free(child);
	fmt_buf_free(&out);
}

static void
only_the_three_streams_are_inherited_and_signals_are_at_their_defaults(
    void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_child_options options = {
	    .argv = SH("ls /proc/self/fd | wc -l; "
		       "grep -E '^Sig(Blk|Ign)' /proc/self/status | "
		       "while read name mask; do "
		       "echo $((0x$mask & 0x7fffffff)); done"),
	    .output = collect,
	    .output_arg = &out};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	int leaked = open("/dev/null", O_RDONLY);

	(void)state;
	assert_true(leaked >= 0);
	assert_int_equal(sigaction(SIGPIPE, &ignore, &old), 0);
	assert_int_equal(bkp_child_run(&options, NULL), 0);
	assert_int_equal(sigaction(SIGPIPE, &old, NULL), 0);
	/* 0, 1, 2 and the folder that ls reads. Of the signals the first 31:
	 * glibc keeps two of the others for itself. */
	assert_string_equal(fmt_buf_text(&out), "4\n0\n0\n");
	close(leaked);
	fmt_buf_free(&out);
}

/* So is what it started: the pipe ends with the last of them. */
static void
a_program_that_takes_too_long_is_given_up(void **state)
{
	struct bkp_child_options options = {
	    .argv = SH("sleep 600 & sleep 600"), .limit_ms = 1};
	struct bkp_error err = BKP_ERROR_INIT;
	struct pollfd end = {.events = POLLIN};
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	options.output_fd = ends[1];
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_IO);
	assert_non_null(strstr(err.message, "has not ended within"));
	close(ends[1]);
	end.fd = ends[0];
	assert_int_equal(poll(&end, 1, 60000), 1);
	assert_int_not_equal(end.revents & POLLHUP, 0);
	close(ends[0]);
	options.limit_ms = 600000;
	options.argv = SH("true");
	options.output_fd = 0;
	assert_int_equal(bkp_child_run(&options, &err), 0);
}

static void
another_user_is_taken_on_with_its_groups(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_child_options options = {.argv = SH("id -un; id -G"),
	    .user = "nobody",
	    .output = collect,
	    .output_arg = &out};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	if (geteuid() == 0) {
		assert_int_equal(bkp_child_run(&options, &err), 0);
		assert_string_equal(fmt_buf_text(&out), "nobody\n65534\n");
	} else {
		assert_int_equal(bkp_child_run(&options, &err), -1);
		assert_int_equal(err.code, BKP_AUTH);
		assert_int_equal(out.len, 0);
	}
	options.user = "bkp-no-such-user";
	assert_int_equal(bkp_child_run(&options, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	fmt_buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(output_and_arguments_arrive_as_they_are),
	    cmocka_unit_test(environment_is_added_replaced_and_removed),
	    cmocka_unit_test(a_megabyte_goes_in_and_comes_out_without_blocking),
	    cmocka_unit_test(a_bad_exit_status_is_an_error_with_the_last_lines),
	    cmocka_unit_test(death_by_a_signal_is_an_error_that_names_it),
	    cmocka_unit_test(
		a_missing_program_is_not_found_before_anything_runs),
	    cmocka_unit_test(a_program_that_ends_before_its_input_is_an_error),
	    cmocka_unit_test(an_error_of_the_output_callback_stops_the_program),
	    cmocka_unit_test(cancel_stops_the_program_and_what_it_started),
	    cmocka_unit_test(a_server_is_asked_to_stop_and_then_killed),
	    cmocka_unit_test(
		only_the_three_streams_are_inherited_and_signals_are_at_their_defaults),
	    cmocka_unit_test(a_program_that_takes_too_long_is_given_up),
	    cmocka_unit_test(another_user_is_taken_on_with_its_groups),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
