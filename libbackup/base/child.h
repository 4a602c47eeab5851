/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CHILD_H
#define LIBBACKUP_BASE_CHILD_H

/*
 * Programs that we start: pg_dump, a scratch server, a command of the
 * configuration.
 *
 *     bkp_child_start     starts it
 *     bkp_child_write     gives it input (has_input)
 *     bkp_child_finish    waits for the end and believes its exit status
 *     bkp_child_stop      a server: asks it to end, then insists
 *     bkp_child_free      always; stops what still runs
 *
 * What holds for every child:
 *   - no shell: argv goes to execve as it is; argv[0] without a '/' is looked
 *     up in PATH. Secrets belong in `env`, never in argv;
 *   - it leads a process group of its own, so a Ctrl-C on the terminal does
 *     not reach it and stopping it stops what it started;
 *   - signals are at their defaults, no descriptor but 0, 1 and 2 is passed;
 *   - it gets `death_signal` when the THREAD that started it ends (that is how
 *     Linux defines it), so that a killed backup leaves nothing running: start
 *     a child on the thread that will also wait for it;
 *   - write and finish move all three streams at once, so neither side can
 *     block the other. They look at `cancel` ten times a second and then fail
 *     with BKP_CANCELLED; free does the killing;
 *   - SIGPIPE never reaches the application.
 *
 * Thread rule: one child, one thread at a time. Different children may be
 * started from different threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libbackup/cancel.h"
#include "libbackup/error.h"
#include "libbackup/repository.h"

struct bkp_child;

/* Everything is borrowed until start returns; output_arg and cancel until
 * free. What is zero has its default. */
struct bkp_child_options {
	const char *const *argv; /* NULL ended */
	const char *const *env;  /* NULL ended, or NULL: "NAME=value" adds or
				    replaces, "NAME" alone removes */
	const char *directory;   /* to run in; NULL: ours */
	const char *user; /* NULL: ours. Needs root; takes the user's groups */
	bool has_input;   /* stdin is what write gives; else /dev/null */
	/* stdout: to the callback (on the thread that calls write or finish;
	 * -1 makes that call fail with its error), else to output_fd where
	 * that is above 0, else to /dev/null. */
	bkp_bytes_fn *output;
	void *output_arg;
	int output_fd;
	/* stderr: to errors_fd where that is above 0, else the last lines are
	 * kept for messages. */
	int errors_fd;
	int death_signal; /* 0: SIGKILL */
	/* How long write and finish wait in all, from the start on; then they
	 * fail, and free does the killing. 0: for ever. */
	uint64_t limit_ms;
	const struct bkp_cancel *cancel;
};

/* Starts the program. BKP_NOTFOUND: there is no such program (nothing has run);
 * BKP_AUTH: not allowed to run it, or as that user. The caller owns *out. */
int bkp_child_start(const struct bkp_child_options *options,
    struct bkp_child **out, struct bkp_error *err);

/* Gives bytes to stdin, all of them. Where the program ended or closed its
 * input early the error tells its exit status. */
int bkp_child_write(struct bkp_child *child, const void *data, size_t len,
    struct bkp_error *err);

/* Closes stdin, passes the rest of stdout on and waits for the end. Anything
 * but exit status 0 is BKP_IO: "pg_dump: exit status 1: <last lines of
 * stderr>". It returns when stdout has ended as well, so a program that leaves
 * a daemon behind holding its stdout is waited for. */
int bkp_child_finish(struct bkp_child *child, struct bkp_error *err);

/* True where the program has ended (without waiting; also collects stderr). */
bool bkp_child_has_ended(struct bkp_child *child);

/* Sends `signal` to the program alone (a server ends its own children in good
 * order), gives it `grace_ms`, then kills the whole group. 0 where it ended by
 * itself in time, whatever its status; -1 (BKP_IO) where it had to be
 * killed. */
int bkp_child_stop(struct bkp_child *child, int signal, unsigned grace_ms,
    struct bkp_error *err);

/* From now on write and finish wait for so long, and look at this. 0 and NULL:
 * for ever, at nothing. So a program that was asked to end is listened to while
 * it does. */
void bkp_child_wait_for(struct bkp_child *child, uint64_t limit_ms,
    const struct bkp_cancel *cancel);

/* Sends a signal to all of its group, and waits for nothing. */
void bkp_child_signal(struct bkp_child *child, int signal);

pid_t bkp_child_pid(const struct bkp_child *child);

/* The wait status as waitpid gives it; -1 before the end is known. */
int bkp_child_status(const struct bkp_child *child);

/* The last lines (up to 4 KiB) of stderr so far; borrowed until the next call
 * on the child. Also worth a look after success: warnings. */
const char *bkp_child_errors(struct bkp_child *child);

/* Stops the group where the program still runs (SIGTERM, five seconds,
 * SIGKILL) and frees. NULL is fine. */
void bkp_child_free(struct bkp_child *child);

/* Start, finish and free in one. */
int bkp_child_run(
    const struct bkp_child_options *options, struct bkp_error *err);

/* Where argv[0] would be found: a new string, or NULL with BKP_NOTFOUND. */
char *bkp_child_find(const char *program, struct bkp_error *err);

#endif
