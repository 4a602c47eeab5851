/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CHILD_START_H
#define LIBBACKUP_BASE_CHILD_START_H

/* The half of child.h that forks; child.c has the half that talks. */

#include "libbackup/base/child.h"

/* Our ends, -1 where there is no pipe; non-blocking, close-on-exec. */
struct child_pipes {
	int in;  /* we write */
	int out; /* we read */
	int err; /* we read */
};

/* Forks and executes. On success *pid runs the program (exec has happened) and
 * the pipes are the caller's. */
int bkp_child_launch(const struct bkp_child_options *options, pid_t *pid,
    struct child_pipes *pipes, struct bkp_error *err);

#endif
