/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/jobs/program.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "formats/buf.h"
#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"

#define LINE_MAX_BYTES ((size_t)1024 * 1024) /* more is cut */

struct listener {
	const struct job_program *program;
	struct fmt_buf line;
};

static int
hand_on(struct listener *listener, struct bkp_error *err)
{
	if (fmt_buf_append(&listener->line, "", 1) != FMT_OK)
		return bkp_fail_nomem(err, "reading what a command says");
	if (listener->program->line != NULL)
		listener->program->line(
		    listener->program->arg, (const char *)listener->line.data);
	listener->line.len = 0;
	return 0;
}

static int
on_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct listener *listener = arg;
	const char *at = data, *end = at + len;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t piece = (size_t)((stop != NULL ? stop : end) - at);

		if (listener->line.len + piece > LINE_MAX_BYTES)
			piece = LINE_MAX_BYTES - listener->line.len;
		if (fmt_buf_append(&listener->line, at, piece) != FMT_OK)
			return bkp_fail_nomem(
			    err, "reading what a command says");
		if (stop == NULL)
			break;
		if (hand_on(listener, err) < 0)
			return -1;
		at = stop + 1;
	}
	return 0;
}

static bool
is_running(const struct bkp_child *child)
{
	return bkp_child_status(child) == -1;
}

/* Asks it to end, listens to its last words, and insists. */
static void
end_it(struct bkp_child *child, const struct job_program *program,
    struct job_ending *ending)
{
	bkp_child_signal(child, SIGTERM);
	bkp_child_wait_for(child, program->grace_ms, NULL);
	(void)bkp_child_finish(child, NULL);
	if (bkp_child_has_ended(child)) {
		/* What it started may be there still, and keeps the group. */
		(void)kill(-bkp_child_pid(child), SIGKILL);
		return;
	}
	ending->is_killed = true;
	(void)bkp_child_stop(child, SIGKILL, 0, NULL);
}

static void
note_ending(struct bkp_child *child, struct job_ending *ending)
{
	int status = bkp_child_status(child);
	const char *errors = bkp_child_errors(child);
	size_t len = strlen(errors);

	if (len >= sizeof(ending->errors))
		errors += len - sizeof(ending->errors) + 1;
	len = strlen(errors);
	while (len > 0 && strchr(" \t\r\n", errors[len - 1]) != NULL)
		len--;
	memcpy(ending->errors, errors, len);
	ending->errors[len] = '\0';
	if (status != -1 && WIFEXITED(status))
		ending->exit_status = WEXITSTATUS(status);
	else if (status != -1 && WIFSIGNALED(status))
		ending->signal_number = WTERMSIG(status);
}

int
bkp_job_program_run(const struct job_program *program, struct job_ending *out,
    struct bkp_error *err)
{
	struct listener listener = {.program = program};
	const struct bkp_child_options options = {.argv = program->argv,
	    .env = program->env,
	    .output = on_output,
	    .output_arg = &listener,
	    .errors_fd = program->errors_fd,
	    .limit_ms = program->limit_ms,
	    .cancel = program->cancel};
	struct job_ending ending = {.exit_status = -1};
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_child *child = NULL;
	int rc = 0;

	if (bkp_child_start(&options, &child, err) < 0) {
		*out = ending;
		return -1;
	}
	if (bkp_child_finish(child, &problem) < 0 && is_running(child)) {
		ending.is_cancelled = problem.code == BKP_CANCELLED;
		ending.is_overdue =
		    !ending.is_cancelled && program->limit_ms > 0;
		end_it(child, program, &ending);
		if (!ending.is_cancelled && !ending.is_overdue) {
			*err = problem;
			rc = -1;
		}
	}
	if (listener.line.len > 0)
		(void)hand_on(&listener, NULL);
	note_ending(child, &ending);
	bkp_child_free(child);
	fmt_buf_free(&listener.line);
	*out = ending;
	return rc;
}
