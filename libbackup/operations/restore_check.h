/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_RESTORE_CHECK_H
#define LIBBACKUP_OPERATIONS_RESTORE_CHECK_H

#include "libbackup/operations.h"
#include "libbackup/operations/opened.h"

/* BKP_INVALID where the options contradict each other, or what was chosen; and
 * chooses older versions where all are to go back. */
int bkp_restore_check(const struct bkp_restore_options *options,
    struct bkp_opened *opened, struct bkp_error *err);

#endif
