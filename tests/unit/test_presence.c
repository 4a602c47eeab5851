/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions whose process is gone are told from those that are at work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/process.h"
#include "libbackup/repository/prune.h"
#include "tests/unit/repository_fixture.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
must(int rc, const struct bkp_error *err)
{
	assert_string_equal(err->message, "");
	assert_int_equal(rc, 0);
}

/* ---- processes ---- */

/* A process of its own, which tells who it is and waits to be killed. */
static pid_t
start_process(const char *repository_id, struct fmt_process *out)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fmt_process self;

		if (bkp_process_self(repository_id, &self, NULL) < 0 ||
		    write(ends[1], &self, sizeof(self)) != sizeof(self))
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ends[0], out, sizeof(*out)), sizeof(*out));
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(close(ends[1]), 0);
	return pid;
}

/* Until somebody asks how it ended, it is still listed. */
static void
kill_process(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void
a_process_is_gone_once_it_was_killed(void **state)
{
	struct fmt_process self, other;
	pid_t pid;

	(void)state;
	assert_int_equal(bkp_process_self(ID, &self, NULL), 0);
	assert_int_equal(self.pid, getpid());
	pid = start_process(ID, &other);
	assert_int_equal(other.pid, pid);
	assert_string_equal(other.machine, self.machine);
	assert_false(bkp_process_is_gone(&self, &self));
	assert_false(bkp_process_is_gone(&self, &other));
	kill_process(pid);
	assert_true(bkp_process_is_gone(&self, &other));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(bkp_process_is_gone(&self, &other));
}

static void
one_that_was_started_at_another_time_is_another(void **state)
{
	struct fmt_process self, other;

	(void)state;
	assert_int_equal(bkp_process_self(ID, &self, NULL), 0);
	other = self;
	other.start--;
	assert_true(bkp_process_is_gone(&self, &other));
}

/* What cannot be known is taken for alive. */
static void
only_a_process_of_this_machine_is_gone(void **state)
{
	static const char first[] = "pid:[4026531836]", inner[] = "pid:[7]";
	static const struct {
		const char *self_space, *other_space;
		bool is_other_machine, is_other_boot, is_gone;
	} cases[] = {
	    {first, first, false, false, true},
	    {first, first, false, true, true},
	    {first, first, true, false, false},
	    {first, first, true, true, false},
	    {inner, inner, false, false, true},
	    {inner, inner, false, true, false},
	    {inner, first, false, true, false},
	    {first, inner, false, true, false},
	    {inner, first, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fmt_process self, other;

		assert_int_equal(bkp_process_self(ID, &self, NULL), 0);
		(void)snprintf(
		    self.space, sizeof(self.space), "%s", cases[i].self_space);
		other = self;
		other.start--;
		(void)snprintf(other.space, sizeof(other.space), "%s",
		    cases[i].other_space);
		if (cases[i].is_other_machine)
			other.machine[0] ^= 1;
		if (cases[i].is_other_boot)
			other.boot[0] ^= 1;
		assert_int_equal(
		    bkp_process_is_gone(&self, &other), cases[i].is_gone);
		other.pid = 0;
		assert_false(bkp_process_is_gone(&self, &other));
	}
}

static void
a_machine_is_another_one_for_each_state_directory(void **state)
{
	char *folder = strdup(getenv("BACKUP_STATE_DIR")), *other = NULL;
	struct fmt_process here, again, there, nowhere;

	(void)state;
	assert_non_null(folder);
	assert_int_equal(bkp_process_self(ID, &here, NULL), 0);
	assert_int_equal(bkp_process_self(ID, &again, NULL), 0);
	assert_memory_equal(&here, &again, sizeof(here));
	other = bkp_format(NULL, "%s/other", folder);
	assert_non_null(other);
	assert_int_equal(setenv("BACKUP_STATE_DIR", other, 1), 0);
	assert_int_equal(bkp_process_self(ID, &there, NULL), 0);
	assert_true(there.pid > 0);
	assert_string_not_equal(here.machine, there.machine);
	assert_int_equal(setenv("BACKUP_STATE_DIR", "/proc/nowhere", 1), 0);
	assert_int_equal(bkp_process_self(ID, &nowhere, NULL), 0);
	assert_int_equal(nowhere.pid, 0);
	assert_int_equal(setenv("BACKUP_STATE_DIR", folder, 1), 0);
	free(other);
	free(folder);
}

/* ---- sessions ---- */

/* As if another process had put it; no process where that is NULL. */
static void
put_session(struct bkp_repository *host, const char *id,
    const struct fmt_process *process)
{
	struct fmt_presence record = FMT_PRESENCE_INIT;
	struct fmt_buf stored = FMT_BUF_INIT, text = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[48];

	(void)snprintf(path, sizeof(path), "sessions/%s", id);
	must(
	    bkp_store_get(host->store, path, 0, BKP_STORE_WHOLE, &stored, &err),
	    &err);
	assert_int_equal(fmt_age_open(host->keys.metadata, host->keys.count,
			     stored.data, stored.len, &text),
	    FMT_OK);
	assert_int_equal(
	    fmt_presence_decode(text.data, text.len, &record), FMT_OK);
	record.process =
	    process != NULL ? *process : (struct fmt_process){.pid = 0};
	fmt_buf_clear(&text);
	fmt_buf_clear(&stored);
	assert_int_equal(
	    fmt_presence_encode(&record, host->keys.signing_seed, &text),
	    FMT_OK);
	assert_int_equal(fmt_age_seal(&host->keys.metadata_recipient, 1,
			     text.data, text.len, &stored),
	    FMT_OK);
	must(bkp_store_put(host->store, path, stored.data, stored.len, &err),
	    &err);
	fmt_presence_free(&record);
	fmt_buf_free(&stored);
	fmt_buf_free(&text);
}

static void
a_prune_that_was_killed_blocks_nobody_on_its_machine(void **state)
{
	static const struct bkp_prune_limits at_once = {.grace_s = 0};
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_presence *killed = NULL, *next = NULL;
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_process process;
	char *left;
	pid_t pid;

	must(bkp_prune_begin(host, &killed, &err), &err);
	pid = start_process(host->config.id, &process);
	put_session(host, bkp_presence_id(killed), &process);
	assert_int_equal(bkp_prune_begin(host, &next, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	kill_process(pid);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	err = (struct bkp_error)BKP_ERROR_INIT;
	assert_int_equal(bkp_prune_would_go_on(host, &err), 0);
	must(bkp_prune_begin(host, &next, &err), &err);
	must(
	    bkp_prune_collect(host, next, &at_once, &report, NULL, &err), &err);
	assert_int_equal(report.expired, 1);
	assert_int_equal(bkp_presence_check(killed, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	bkp_presence_end(next);
	bkp_presence_end(killed);
	left = fixture_names(*state, "sessions/");
	assert_string_equal(left, "");
	free(left);
	bkp_repository_close(host);
}

/* Of whom nothing is known but when he was heard of. */
static void
who_is_stopped_is_told_for_how_long(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_presence *first = NULL, *second = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	must(bkp_prune_begin(host, &first, &err), &err);
	put_session(host, bkp_presence_id(first), NULL);
	assert_int_equal(bkp_prune_begin(host, &second, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	assert_non_null(strstr(err.message, "a prune of host "));
	assert_non_null(strstr(err.message, "in the way for 30 more minutes"));
	err = (struct bkp_error)BKP_ERROR_INIT;
	assert_int_equal(bkp_prune_would_go_on(host, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	bkp_presence_end(first);
	bkp_repository_close(host);
}

/* Whoever holds the store can do that; a check could not tell it from a
 * session that has ended. */
static void
who_is_taken_away_commits_nothing(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_session *session = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	char name[BKP_OBJECT_NAME], *path;

	must(bkp_session_begin(host, &session, &err), &err);
	path = fixture_names(*state, "sessions/");
	path[strcspn(path, "\n")] = '\0';
	must(bkp_store_remove(host->store, path, &err), &err);
	free(path);
	snapshot.time_us = 1763500000000000;
	assert_int_equal(
	    bkp_session_commit(session, &snapshot, name, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	bkp_session_end(session);
	path = fixture_names(*state, "snapshots/");
	assert_string_equal(path, "");
	free(path);
	fmt_snapshot_free(&snapshot);
	bkp_repository_close(host);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_process_is_gone_once_it_was_killed),
	    CASE(one_that_was_started_at_another_time_is_another),
	    CASE(only_a_process_of_this_machine_is_gone),
	    CASE(a_machine_is_another_one_for_each_state_directory),
	    CASE(a_prune_that_was_killed_blocks_nobody_on_its_machine),
	    CASE(who_is_stopped_is_told_for_how_long),
	    CASE(who_is_taken_away_commits_nothing),
	};

	return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
