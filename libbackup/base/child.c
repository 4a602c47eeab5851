/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to a program that runs (contract in child.h). */
#include "libbackup/base/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/child_start.h"
#include "libbackup/base/fail.h"

#define CANCEL_MS 100  /* how long a request to stop may go unseen */
#define NO_PIDFD_MS 10 /* how often an old kernel is asked for the end */
#define GRACE_MS 5000  /* between SIGTERM and SIGKILL */
#define TAIL_SIZE 4096
#define READ_SIZE (64 * 1024)

struct bkp_child {
	char *name; /* owned: the program without its folder, for messages */
	pid_t pid;
	int pidfd; /* -1 where the kernel has none: then we ask now and then */
	struct child_pipes pipes;
	bkp_bytes_fn *output;
	void *output_arg;
	const struct bkp_cancel *cancel;
	uint64_t limit_ms, began_ms;
	bool is_running;
	int status;
	size_t tail_len;
	char tail[TAIL_SIZE + 1];
	unsigned char buffer[READ_SIZE];
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int
bkp_child_start(const struct bkp_child_options *options, struct bkp_child **out,
    struct bkp_error *err)
{
	const char *slash = strrchr(options->argv[0], '/');
	struct bkp_child *child = bkp_alloc(sizeof(*child), err);

	if (child == NULL)
		return -1;
	child->pidfd = -1;
	child->pipes = (struct child_pipes){-1, -1, -1};
	child->status = -1;
	child->output = options->output;
	child->output_arg = options->output_arg;
	child->cancel = options->cancel;
	child->limit_ms = options->limit_ms;
	child->began_ms = now_ms();
	child->name =
	    bkp_strdup(slash != NULL ? slash + 1 : options->argv[0], err);
	if (child->name == NULL ||
	    bkp_child_launch(options, &child->pid, &child->pipes, err) < 0) {
		bkp_child_free(child);
		return -1;
	}
	child->is_running = true;
	child->pidfd = pidfd_open(child->pid, 0);
	*out = child;
	return 0;
}

/* Keeps the last TAIL_SIZE bytes. */
static void
keep_tail(struct bkp_child *child, const unsigned char *data, size_t len)
{
	size_t keep;

	if (len > TAIL_SIZE) {
		data += len - TAIL_SIZE;
		len = TAIL_SIZE;
	}
	keep = child->tail_len;
	if (keep > TAIL_SIZE - len)
		keep = TAIL_SIZE - len;
	memmove(child->tail, child->tail + child->tail_len - keep, keep);
	memcpy(child->tail + keep, data, len);
	child->tail_len = keep + len;
	child->tail[child->tail_len] = '\0';
}

/* One read of a stream. 1: bytes came; 0: none now, or the end (closed). */
static int
read_some(struct bkp_child *child, int *fd, size_t *len, struct bkp_error *err)
{
	ssize_t n = read(*fd, child->buffer, sizeof(child->buffer));

	if (n > 0) {
		*len = (size_t)n;
		return 1;
	}
	if (n == 0) {
		close_fd(fd);
		return 0;
	}
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return bkp_fail_errno(err, errno, "reading from %s", child->name);
}

static int
take_errors(struct bkp_child *child, struct bkp_error *err)
{
	/* Bounded, so that a program that never stops complaining does not keep
	 * us from seeing that we are to stop. */
	for (int i = 0; i < 16 && child->pipes.err >= 0; i++) {
		size_t len = 0;
		int rc = read_some(child, &child->pipes.err, &len, err);

		if (rc < 0)
			return -1;
		if (rc == 0)
			break;
		keep_tail(child, child->buffer, len);
	}
	return 0;
}

static int
take_output(struct bkp_child *child, struct bkp_error *err)
{
	size_t len = 0;
	int rc = read_some(child, &child->pipes.out, &len, err);

	if (rc <= 0)
		return rc;
	return child->output(child->output_arg, child->buffer, len, err);
}

/* Writes without SIGPIPE: a library must not end its application, nor change
 * what the application does with the signal. */
static ssize_t
write_quietly(int fd, const void *data, size_t len)
{
	struct timespec now = {0, 0};
	sigset_t pipe_only, old, pending;
	bool was_pending;
	ssize_t n;
	int error;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	(void)pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
	n = write(fd, data, len);
	error = errno;
	if (n < 0 && error == EPIPE && !was_pending)
		while (
		    sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
			;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return n;
}

/* What is still to be given to stdin. */
struct input {
	const unsigned char *data;
	size_t len;
};

/* Gives as much as the pipe takes. A closed pipe is -1 with errno EPIPE and no
 * message: the caller finds out why. */
static int
give_input(struct bkp_child *child, struct input *input)
{
	ssize_t n = write_quietly(child->pipes.in, input->data, input->len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	input->data += n;
	input->len -= (size_t)n;
	return 0;
}

/* Notes the end of the program, without waiting for it. */
static int
collect(struct bkp_child *child, struct bkp_error *err)
{
	int status = 0;
	pid_t pid;

	if (!child->is_running)
		return 0;
	pid = waitpid(child->pid, &status, WNOHANG);
	if (pid == child->pid) {
		child->is_running = false;
		child->status = status;
	} else if (pid < 0 && errno != EINTR) {
		child->is_running = false;
		return bkp_fail_errno(err, errno,
		    "learning how %s ended (is SIGCHLD ignored?)", child->name);
	}
	return 0;
}

/* Waits until a stream is ready, the program ended or a moment passed, and
 * moves what there is. *is_broken: stdin was closed by the other side. */
static int
move_streams(struct bkp_child *child, struct input *input, bool *is_broken,
    struct bkp_error *err)
{
	bool has_input = input != NULL && input->len > 0;
	struct pollfd fds[4] = {
	    {.fd = has_input ? child->pipes.in : -1, .events = POLLOUT},
	    {.fd = child->pipes.out, .events = POLLIN},
	    {.fd = child->pipes.err, .events = POLLIN},
	    {.fd = child->is_running ? child->pidfd : -1, .events = POLLIN}};
	bool must_ask = child->is_running && child->pidfd < 0;

	if (bkp_cancel_is_requested(child->cancel))
		return bkp_fail(
		    err, BKP_CANCELLED, "%s: stopped on request", child->name);
	if (child->limit_ms > 0 &&
	    now_ms() - child->began_ms >= child->limit_ms)
		return bkp_fail(err, BKP_IO,
		    "%s: has not ended within %llu s, and is stopped",
		    child->name, (unsigned long long)child->limit_ms / 1000);
	if (poll(fds, 4, must_ask ? NO_PIDFD_MS : CANCEL_MS) < 0)
		return errno == EINTR ? 0
				      : bkp_fail_errno(err, errno,
					    "waiting for %s", child->name);
	if (fds[1].revents != 0 && take_output(child, err) < 0)
		return -1;
	if (fds[2].revents != 0 && take_errors(child, err) < 0)
		return -1;
	if (fds[0].revents != 0 && give_input(child, input) < 0)
		*is_broken = true;
	if (must_ask || fds[3].revents != 0)
		return collect(child, err);
	return 0;
}

int
bkp_child_write(struct bkp_child *child, const void *data, size_t len,
    struct bkp_error *err)
{
	struct input input = {data, len};
	bool is_broken = child->pipes.in < 0;

	while (!is_broken && input.len > 0)
		if (move_streams(child, &input, &is_broken, err) < 0)
			return -1;
	if (!is_broken)
		return 0;
	if (bkp_child_finish(child, err) < 0)
		return -1;
	return bkp_fail(err, BKP_IO,
	    "%s ended with status 0 before it had read all its input",
	    child->name);
}

/* The last lines of stderr that fit a message, from the start of a line. */
static const char *
last_lines(struct bkp_child *child)
{
	const char *text = bkp_child_errors(child);
	size_t len = strlen(text);
	const char *from, *line;

	if (len <= BKP_ERROR_MESSAGE / 2)
		return text;
	from = text + len - BKP_ERROR_MESSAGE / 2;
	line = strchr(from, '\n');
	return line != NULL && line[1] != '\0' ? line + 1 : from;
}

/* Believes the exit status. */
static int
judge(struct bkp_child *child, struct bkp_error *err)
{
	const char *text = last_lines(child);
	const char *colon = text[0] != '\0' ? ": " : "";
	char name[64];
	int number;

	if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0)
		return 0;
	if (WIFEXITED(child->status))
		return bkp_fail(err, BKP_IO, "%s: exit status %d%s%s",
		    child->name, WEXITSTATUS(child->status), colon, text);
	number = WTERMSIG(child->status);
	(void)snprintf(name, sizeof(name), "%s",
	    sigdescr_np(number) != NULL ? sigdescr_np(number) : "unknown");
	return bkp_fail(err, BKP_IO, "%s: ended by signal %d (%s)%s%s",
	    child->name, number, name, colon, text);
}

int
bkp_child_finish(struct bkp_child *child, struct bkp_error *err)
{
	close_fd(&child->pipes.in);
	while (child->is_running || child->pipes.out >= 0)
		if (move_streams(child, NULL, NULL, err) < 0)
			return -1;
	if (take_errors(child, err) < 0)
		return -1;
	if (child->status == -1)
		return bkp_fail(
		    err, BKP_IO, "how %s ended is not known", child->name);
	return judge(child, err);
}

void
bkp_child_wait_for(struct bkp_child *child, uint64_t limit_ms,
    const struct bkp_cancel *cancel)
{
	child->cancel = cancel;
	child->limit_ms =
	    limit_ms > 0 ? now_ms() - child->began_ms + limit_ms : 0;
}

void
bkp_child_signal(struct bkp_child *child, int signal)
{
	if (!bkp_child_has_ended(child))
		(void)kill(-child->pid, signal);
}

bool
bkp_child_has_ended(struct bkp_child *child)
{
	(void)take_errors(child, NULL);
	(void)collect(child, NULL);
	return !child->is_running;
}

/* True where the program is a zombie: its number is still taken, so its group
 * can be signalled without hitting a stranger. */
static bool
is_zombie(const struct bkp_child *child)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)child->pid, &info,
		WEXITED | WNOHANG | WNOWAIT) < 0)
		return errno != EINTR;
	return info.si_pid == child->pid;
}

static bool
wait_for_zombie(struct bkp_child *child, unsigned grace_ms)
{
	uint64_t until = now_ms() + grace_ms;

	while (!is_zombie(child)) {
		struct pollfd fds[2] = {{.fd = child->pidfd, .events = POLLIN},
		    {.fd = child->pipes.err, .events = POLLIN}};

		if (now_ms() >= until)
			return false;
		(void)poll(fds, 2, NO_PIDFD_MS);
		(void)take_errors(child, NULL);
	}
	return true;
}

/* Kills what is left of the group and collects the program. */
static void
kill_group(struct bkp_child *child)
{
	int status = 0;
	pid_t pid;

	(void)kill(-child->pid, SIGKILL);
	do {
		pid = waitpid(child->pid, &status, 0);
	} while (pid < 0 && errno == EINTR);
	if (pid == child->pid)
		child->status = status;
	child->is_running = false;
	(void)take_errors(child, NULL);
}

int
bkp_child_stop(struct bkp_child *child, int signal, unsigned grace_ms,
    struct bkp_error *err)
{
	bool is_in_time;

	if (bkp_child_has_ended(child))
		return 0;
	close_fd(&child->pipes.in);
	(void)kill(child->pid, signal);
	is_in_time = wait_for_zombie(child, grace_ms);
	kill_group(child);
	if (!is_in_time)
		return bkp_fail(err, BKP_IO,
		    "%s did not end within %u ms and was killed", child->name,
		    grace_ms);
	return 0;
}

pid_t
bkp_child_pid(const struct bkp_child *child)
{
	return child->pid;
}

int
bkp_child_status(const struct bkp_child *child)
{
	return child->status;
}

const char *
bkp_child_errors(struct bkp_child *child)
{
	(void)take_errors(child, NULL);
	/* A NUL in the middle would hide what comes after it. */
	for (size_t i = 0; i < child->tail_len; i++)
		if (child->tail[i] == '\0')
			child->tail[i] = '?';
	return child->tail;
}

void
bkp_child_free(struct bkp_child *child)
{
	if (child == NULL)
		return;
	if (child->is_running) {
		close_fd(&child->pipes.in);
		close_fd(&child->pipes.out);
		(void)kill(-child->pid, SIGTERM);
		(void)wait_for_zombie(child, GRACE_MS);
		kill_group(child);
	}
	close_fd(&child->pipes.in);
	close_fd(&child->pipes.out);
	close_fd(&child->pipes.err);
	close_fd(&child->pidfd);
	free(child->name);
	free(child);
}

int
bkp_child_run(const struct bkp_child_options *options, struct bkp_error *err)
{
	struct bkp_child *child = NULL;
	int rc;

	if (bkp_child_start(options, &child, err) < 0)
		return -1;
	rc = bkp_child_finish(child, err);
	bkp_child_free(child);
	return rc;
}
