/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever has something to do goes first. */
#include "tools/cli.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ioprio_set(2), which has no wrapper. */
#define WHO_PROCESS 1
#define CLASS_IDLE 3
#define CLASS_SHIFT 13

#define NICEST 19

void
cli_yield(struct cli *cli)
{
	/* Before any thread is started: both are of the calling thread, and
	 * handed down. */
	if (setpriority(PRIO_PROCESS, 0, NICEST) < 0)
		cli_say(cli, "warning: the priority stays as it is: %s",
		    strerror(errno));
	if (syscall(SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE << CLASS_SHIFT) <
	    0)
		cli_say(cli,
		    "warning: the priority at disks stays as it is: %s",
		    strerror(errno));
}
