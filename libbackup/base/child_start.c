/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program from a process that has threads. Everything that may
 * allocate or take a lock (finding the program, the user, the environment) is
 * done before fork; between fork and exec only async-signal-safe calls run. A
 * pipe that exec closes brings back the step that failed and its errno.
 */
#include "libbackup/base/child_start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libbackup/base/fail.h"

extern char **environ;

enum step { STEP_STREAMS, STEP_USER, STEP_DIRECTORY, STEP_EXEC };

struct failure {
	enum step step;
	int errnum;
};

/* All that the child needs, made before fork. */
struct plan {
	char *program;
	char *const *argv;
	char **env; /* owned array of borrowed strings */
	const char *directory;
	bool has_user;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned */
	int group_count;
	int streams[3]; /* become 0, 1, 2 */
	int report;     /* where a failure is written */
	int death_signal;
	pid_t parent;
};

/* ---- before fork ---- */

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

char *
bkp_child_find(const char *program, struct bkp_error *err)
{
	const char *path = getenv("PATH");

	if (strchr(program, '/') != NULL)
		return bkp_strdup(program, err);
	if (path == NULL || path[0] == '\0')
		path = "/usr/local/bin:/usr/bin:/bin";
	while (program[0] != '\0') {
		size_t len = strcspn(path, ":");
		char *candidate = bkp_format(
		    err, "%.*s/%s", (int)len, len > 0 ? path : ".", program);

		if (len == 0 && candidate != NULL) {
			free(candidate);
			candidate = bkp_format(err, "./%s", program);
		}
		if (candidate == NULL || is_program(candidate))
			return candidate;
		free(candidate);
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	(void)bkp_fail(err, BKP_NOTFOUND,
	    "there is no program '%s' in PATH; install it or give its whole "
	    "path",
	    program);
	return NULL;
}

/* True where `entry` ("NAME=value") is the variable that `change` names. */
static bool
is_same_variable(const char *entry, const char *change)
{
	size_t len = strcspn(change, "=");

	return strncmp(entry, change, len) == 0 && entry[len] == '=';
}

static bool
is_changed(const char *entry, const char *const *changes)
{
	for (; changes != NULL && *changes != NULL; changes++)
		if (is_same_variable(entry, *changes))
			return true;
	return false;
}

/* Borrows every string, so that no copy of a secret is made. */
static char **
make_environment(const char *const *changes, struct bkp_error *err)
{
	size_t count = 0, n = 0;
	char **env;

	for (char **e = environ; e != NULL && *e != NULL; e++)
		count++;
	for (const char *const *c = changes; c != NULL && *c != NULL; c++)
		count++;
	if ((env = bkp_alloc_array(count + 1, sizeof(*env), err)) == NULL)
		return NULL;
	for (char **e = environ; e != NULL && *e != NULL; e++)
		if (!is_changed(*e, changes))
			env[n++] = *e;
	for (const char *const *c = changes; c != NULL && *c != NULL; c++)
		if (strchr(*c, '=') != NULL)
			memcpy(&env[n++], c, sizeof(*c));
	return env;
}

static int
look_up_groups(struct plan *plan, const char *user, struct bkp_error *err)
{
	int count = 64;

	for (;;) {
		int room = count;

		free(plan->groups);
		plan->groups =
		    bkp_alloc_array((size_t)count, sizeof(gid_t), err);
		if (plan->groups == NULL)
			return -1;
		if (getgrouplist(user, plan->gid, plan->groups, &count) >= 0)
			break;
		if (count <= room)
			count = room * 2;
	}
	plan->group_count = count;
	return 0;
}

static int
look_up_user(struct plan *plan, const char *user, struct bkp_error *err)
{
	char buffer[4096];
	struct passwd entry, *found = NULL;
	int error;

	error = getpwnam_r(user, &entry, buffer, sizeof(buffer), &found);
	if (error != 0)
		return bkp_fail_errno(err, error, "looking up user %s", user);
	if (found == NULL)
		return bkp_fail(
		    err, BKP_NOTFOUND, "there is no user '%s'", user);
	plan->uid = entry.pw_uid;
	plan->gid = entry.pw_gid;
	plan->has_user = true;
	return look_up_groups(plan, user, err);
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Moves a descriptor above 2, so that no dup2 in the child hits another. */
static int
lift(int fd)
{
	int lifted;

	if (fd < 0 || fd > 2)
		return fd;
	lifted = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)close(fd);
	return lifted;
}

static int
make_pipe(int *read_end, int *write_end, struct bkp_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bkp_fail_errno(err, errno, "making a pipe");
	*read_end = lift(ends[0]);
	*write_end = lift(ends[1]);
	if (*read_end < 0 || *write_end < 0)
		return bkp_fail_errno(err, errno, "making a pipe");
	return 0;
}

static int
set_nonblocking(int fd, struct bkp_error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return bkp_fail_errno(err, errno, "setting up a pipe");
	return 0;
}

static int
use_null(int *fd, struct bkp_error *err)
{
	*fd = lift(open("/dev/null", O_RDWR | O_CLOEXEC));
	if (*fd < 0)
		return bkp_fail_errno(err, errno, "/dev/null");
	return 0;
}

static int
use_copy(int *fd, int from, struct bkp_error *err)
{
	*fd = fcntl(from, F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		return bkp_fail_errno(err, errno, "duplicating a descriptor");
	return 0;
}

static int
make_streams(const struct bkp_child_options *options, struct plan *plan,
    struct child_pipes *ours, struct bkp_error *err)
{
	int *theirs = plan->streams, rc;

	rc = options->has_input ? make_pipe(&theirs[0], &ours->in, err)
				: use_null(&theirs[0], err);
	if (rc < 0)
		return -1;
	if (options->output != NULL)
		rc = make_pipe(&ours->out, &theirs[1], err);
	else if (options->output_fd > 0)
		rc = use_copy(&theirs[1], options->output_fd, err);
	else
		rc = use_null(&theirs[1], err);
	if (rc < 0)
		return -1;
	rc = options->errors_fd > 0
		 ? use_copy(&theirs[2], options->errors_fd, err)
		 : make_pipe(&ours->err, &theirs[2], err);
	if (rc < 0)
		return -1;
	if (ours->in >= 0 && set_nonblocking(ours->in, err) < 0)
		return -1;
	if (ours->out >= 0 && set_nonblocking(ours->out, err) < 0)
		return -1;
	if (ours->err >= 0 && set_nonblocking(ours->err, err) < 0)
		return -1;
	return 0;
}

/* ---- between fork and exec: async-signal-safe calls only ---- */

static void
reset_signals(void)
{
	struct sigaction action;
	sigset_t none;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &action, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
become_user(const struct plan *plan)
{
	return setgroups((size_t)plan->group_count, plan->groups) == 0 &&
	       setresgid(plan->gid, plan->gid, plan->gid) == 0 &&
	       setresuid(plan->uid, plan->uid, plan->uid) == 0;
}

static enum step
prepare_child(const struct plan *plan)
{
	for (int i = 0; i < 3; i++)
		if (dup2(plan->streams[i], i) < 0)
			return STEP_STREAMS;
	if (plan->has_user && !become_user(plan))
		return STEP_USER;
	/* After the change of user, which would clear it. */
	(void)prctl(PR_SET_PDEATHSIG, plan->death_signal);
	if (getppid() != plan->parent)
		_exit(127);
	if (plan->directory != NULL && chdir(plan->directory) < 0)
		return STEP_DIRECTORY;
	return STEP_EXEC;
}

static void
run_child(const struct plan *plan)
{
	struct failure failure = {STEP_EXEC, 0};
	ssize_t n;

	(void)setpgid(0, 0);
	failure.step = prepare_child(plan);
	if (failure.step == STEP_EXEC) {
		/* Whatever a library opened without close-on-exec. */
		(void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
		reset_signals();
		(void)execve(plan->program, plan->argv, plan->env);
	}
	failure.errnum = errno;
	n = write(plan->report, &failure, sizeof(failure));
	_exit(n == (ssize_t)sizeof(failure) ? 127 : 126);
}

/* ---- after fork ---- */

static int
say_failure(const struct bkp_child_options *options,
    const struct failure *failure, struct bkp_error *err)
{
	const char *program = options->argv[0];

	switch (failure->step) {
	case STEP_USER:
		return bkp_fail_errno(err, failure->errnum,
		    "starting %s as user %s", program, options->user);
	case STEP_DIRECTORY:
		return bkp_fail_errno(err, failure->errnum, "starting %s in %s",
		    program, options->directory);
	case STEP_STREAMS:
	case STEP_EXEC:
		break;
	}
	return bkp_fail_errno(err, failure->errnum, "starting %s", program);
}

/* Reads what the child reports; end of file means that exec has happened. */
static int
await_exec(const struct bkp_child_options *options, int report, pid_t pid,
    struct bkp_error *err)
{
	struct failure failure;
	ssize_t n;

	do {
		n = read(report, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(failure))
		return bkp_fail(
		    err, BKP_IO, "starting %s failed", options->argv[0]);
	return say_failure(options, &failure, err);
}

/* Forks with every signal blocked, so that no handler of the application runs
 * in the child. */
static pid_t
fork_child(const struct plan *plan)
{
	sigset_t all, old;
	pid_t pid;
	int error;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		run_child(plan);
	error = errno;
	if (pid > 0)
		(void)setpgid(pid, pid);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return pid;
}

static int
make_plan(const struct bkp_child_options *options, struct plan *plan,
    struct bkp_error *err)
{
	memcpy(&plan->argv, &options->argv, sizeof(plan->argv));
	plan->directory = options->directory;
	plan->death_signal =
	    options->death_signal > 0 ? options->death_signal : SIGKILL;
	plan->parent = getpid();
	if ((plan->program = bkp_child_find(options->argv[0], err)) == NULL)
		return -1;
	if ((plan->env = make_environment(options->env, err)) == NULL)
		return -1;
	if (options->user != NULL)
		return look_up_user(plan, options->user, err);
	return 0;
}

int
bkp_child_launch(const struct bkp_child_options *options, pid_t *pid_out,
    struct child_pipes *pipes, struct bkp_error *err)
{
	struct plan plan = {.streams = {-1, -1, -1}, .report = -1};
	struct child_pipes ours = {-1, -1, -1};
	int report = -1, rc = -1;
	pid_t pid;

	if (make_plan(options, &plan, err) < 0 ||
	    make_streams(options, &plan, &ours, err) < 0 ||
	    make_pipe(&report, &plan.report, err) < 0)
		goto out;
	if ((pid = fork_child(&plan)) < 0) {
		(void)bkp_fail_errno(
		    err, errno, "starting %s", options->argv[0]);
		goto out;
	}
	close_fd(&plan.report);
	if (await_exec(options, report, pid, err) < 0)
		goto out;
	*pid_out = pid;
	*pipes = ours;
	ours = (struct child_pipes){-1, -1, -1};
	rc = 0;
out:
	for (int i = 0; i < 3; i++)
		close_fd(&plan.streams[i]);
	close_fd(&plan.report);
	close_fd(&report);
	close_fd(&ours.in);
	close_fd(&ours.out);
	close_fd(&ours.err);
	free(plan.groups);
	free(plan.env);
	free(plan.program);
	return rc;
}
