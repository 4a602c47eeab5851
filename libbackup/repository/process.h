/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_PROCESS_H
#define LIBBACKUP_REPOSITORY_PROCESS_H

/*
 * Whether the process behind a session is gone. Only the machine that it ran
 * on can know, and says so only where there is no doubt: everything else is
 * taken for alive, and its lease runs out in the end.
 */

#include <stdbool.h>

#include "formats/presence.h"
#include "libbackup/error.h"

/* This process; out->pid is 0 where not all of it can be told. Makes the file
 * "machine" in the state directory where there is none: 32 random hex digits,
 * so that no two machines are taken for one. Fails for want of memory only. */
int bkp_process_self(
    const char *repository_id, struct fmt_process *out, struct bkp_error *err);

/* True where `other` ran on the machine of `self` and does not any more: the
 * machine was booted since, or no process has this id, or one that was started
 * at another time. */
bool bkp_process_is_gone(
    const struct fmt_process *self, const struct fmt_process *other);

#endif
