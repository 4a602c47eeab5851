/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a guard: the command, the health check, stop and start. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/child.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/operations/guard_impl.h"

#define PAUSE_MS 100
#define GONE_TRIES 20   /* pauses */
#define GRACE_TRIES 100 /* between SIGTERM and SIGKILL, and after it */
#define STEP_MS 600000  /* for stopping or starting an application */

static int
run_program(struct guard *guard, struct bkp_child_options *options,
    struct bkp_child **out, struct bkp_error *err)
{
	char *snapshot = bkp_format(
	    err, "BACKUP_GUARD_SNAPSHOT=%s", bkp_guard_text(guard, "snapshot"));
	const char *env[] = {snapshot, NULL};
	int rc = -1;

	if (snapshot == NULL)
		return -1;
	options->env = env;
	options->output_fd = guard->options->output_fd;
	options->errors_fd = STDERR_FILENO;
	rc = bkp_child_start(options, out, err);
	free(snapshot);
	return rc;
}

static int
run_shell(struct guard *guard, const char *text, uint64_t limit_ms,
    const struct bkp_cancel *cancel, struct bkp_error *err)
{
	const char *argv[] = {"/bin/sh", "-c", text, NULL};
	struct bkp_child_options options = {
	    .argv = argv, .limit_ms = limit_ms, .cancel = cancel};
	struct bkp_child *child = NULL;
	int rc = run_program(guard, &options, &child, err);

	if (rc == 0)
		rc = bkp_child_finish(child, err);
	bkp_child_free(child);
	return rc;
}

/* ---- the command ---- */

/* Which boot of the machine a process group belongs to. */
static json_t *
boot_id(void)
{
	struct fmt_buf text = FMT_BUF_INIT;
	json_t *id = NULL;

	if (bkp_place_read("/proc/sys/kernel/random/boot_id", &text, NULL) ==
		0 &&
	    text.len >= 36)
		id = json_stringn((const char *)text.data, 36);
	fmt_buf_free(&text);
	return id != NULL ? id : json_string("");
}

/* The group is in the journal as soon as there is one; that the command may
 * have been started was there before. */
static void
note_group(struct guard *guard, pid_t group)
{
	if (bkp_guard_set(guard, "group", json_integer(group), NULL) == 0 &&
	    bkp_guard_set(guard, "boot", boot_id(), NULL) == 0)
		bkp_guard_journal_note(guard, GUARD_COMMAND);
}

/* ---- what it leaves at work ---- */

/* "123 (name) S 1 123 ...": whether it is of the group, and not only waits for
 * somebody to ask how it ended. The name may hold anything. */
static bool
is_at_work(const char *process, pid_t group)
{
	struct fmt_buf text = FMT_BUF_INIT;
	char path[300], state = 'Z';
	const char *at = NULL;
	int parent, its = -1;

	(void)snprintf(path, sizeof(path), "/proc/%s/stat", process);
	if (bkp_place_read(path, &text, NULL) == 0 &&
	    fmt_buf_text(&text) != NULL)
		at = strrchr((const char *)text.data, ')');
	if (at == NULL ||
	    sscanf(at + 1, " %c %d %d", &state, &parent, &its) != 3)
		its = -1;
	fmt_buf_free(&text);
	return its == group && state != 'Z' && state != 'X';
}

static bool
has_members(pid_t group)
{
	DIR *processes;
	const struct dirent *process;
	bool has = false;

	if (kill(-group, 0) < 0 && errno == ESRCH)
		return false;
	if ((processes = opendir("/proc")) == NULL)
		return true;
	while (!has && (process = readdir(processes)) != NULL)
		has = process->d_name[0] >= '1' && process->d_name[0] <= '9' &&
		      is_at_work(process->d_name, group);
	(void)closedir(processes);
	return has;
}

/* True where it is gone before so many pauses are over. */
static bool
await_end(pid_t group, int pauses)
{
	const struct timespec pause = {0, PAUSE_MS * 1000000L};

	for (int i = 0; i < pauses; i++) {
		if (!has_members(group))
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return !has_members(group);
}

int
bkp_guard_check_ended(const struct guard *guard, struct bkp_error *err)
{
	pid_t group = (pid_t)bkp_guard_number(guard, "group");
	json_t *boot = boot_id();
	bool is_same;

	is_same = boot != NULL && strcmp(json_string_value(boot),
				      bkp_guard_text(guard, "boot")) == 0;
	json_decref(boot);
	/* What was killed with us may need a moment. */
	if (group <= 0 || !is_same || await_end(group, GONE_TRIES))
		return 0;
	return bkp_fail(err, BKP_RETRY,
	    "something that %s started is still at work (process group %d, "
	    "'pgrep -a -g %d' shows it): wait for its end or end it "
	    "('kill -- -%d'), then run this again",
	    bkp_guard_text(guard, "command"), (int)group, (int)group,
	    (int)group);
}

/* Whoever still writes would do so into what is put back. */
int
bkp_guard_end_group(struct guard *guard, struct bkp_error *err)
{
	const char *command = bkp_guard_text(guard, "command");
	pid_t group = guard->group;

	guard->group = 0;
	if (group <= 0 || !has_members(group))
		return 0;
	bkp_run_message(guard->run, BKP_WARNING, NULL,
	    "something that %s started is still at work (process group %d): it "
	    "is ended",
	    command, (int)group);
	(void)kill(-group, SIGTERM);
	if (await_end(group, GRACE_TRIES))
		return 0;
	bkp_run_message(guard->run, BKP_WARNING, NULL,
	    "process group %d does not end when asked to: it is killed",
	    (int)group);
	(void)kill(-group, SIGKILL);
	if (await_end(group, GRACE_TRIES))
		return 0;
	return bkp_fail(err, BKP_RETRY,
	    "something that %s started cannot be ended (process group %d), so "
	    "that nothing is put back",
	    command, (int)group);
}

int
bkp_guard_run_command(struct guard *guard, struct bkp_error *err)
{
	struct bkp_child_options options = {.argv = guard->options->command,
	    .limit_ms = bkp_guard_number(guard, "timeout_ms"),
	    .cancel = guard->options->cancel};
	struct bkp_child *child = NULL;
	int rc = run_program(guard, &options, &child, err);

	if (rc == 0) {
		guard->has_started = true;
		guard->group = bkp_child_pid(child);
		note_group(guard, guard->group);
		rc = bkp_child_finish(child, err);
	}
	bkp_child_free(child);
	/* From its end on the number may be given to others. */
	if (guard->group > 0 && !has_members(guard->group))
		guard->group = 0;
	return rc;
}

/* ---- the application ---- */

int
bkp_guard_run_shell(struct guard *guard, const char *name, const char *what,
    struct bkp_error *err)
{
	const char *text = bkp_guard_text(guard, name);

	if (text[0] == '\0')
		return 0;
	bkp_run_message(guard->run, BKP_INFO, NULL, "running %s", what);
	if (run_shell(guard, text, STEP_MS, NULL, err) < 0)
		return bkp_fail_in(err, "%s failed", what);
	return 0;
}

/* -1: somebody asked to stop. */
static int
pause_for(uint64_t ms, const struct bkp_cancel *cancel)
{
	const struct timespec pause = {0, PAUSE_MS * 1000000L};

	for (uint64_t waited = 0; waited < ms; waited += PAUSE_MS) {
		if (bkp_cancel_is_requested(cancel))
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return bkp_cancel_is_requested(cancel) ? -1 : 0;
}

int
bkp_guard_run_health(struct guard *guard, unsigned tries,
    const struct bkp_cancel *cancel, struct bkp_error *err)
{
	const char *text = bkp_guard_text(guard, "health");
	uint64_t limit_ms = bkp_guard_number(guard, "health_timeout_ms");
	struct bkp_error why = BKP_ERROR_INIT;
	unsigned tried = 0;

	if (text[0] == '\0')
		return 0;
	while (tried < tries) {
		if (tried > 0 &&
		    pause_for(bkp_guard_number(guard, "health_interval_ms"),
			cancel) < 0)
			break;
		tried++;
		if (run_shell(guard, text, limit_ms, cancel, &why) == 0) {
			bkp_run_message(guard->run, BKP_INFO, NULL,
			    "the health check says that all is well (try %u)",
			    tried);
			return 0;
		}
		if (why.code == BKP_CANCELLED)
			break;
	}
	return bkp_fail(err, BKP_IO,
	    "the health check fails (%s; tried %u times)", why.message, tried);
}
