/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_RESTORE_LEFT_H
#define LIBBACKUP_OPERATIONS_RESTORE_LEFT_H

/* In which order sources go back, and which of them somebody has still to give
 * back when a restore is over. */

#include "libbackup/operations.h"
#include "libbackup/operations/opened.h"

#define BKP_TURN_LAST 2

/* 0 for what goes back first, up to BKP_TURN_LAST. */
int bkp_restore_turn(enum bkp_source_kind kind);

enum bkp_left {
	BKP_LEFT_UNTRIED, /* it was not chosen */
	BKP_LEFT_FAILED,
	BKP_LEFT_NOTHING
};

/* Fills left, left_count and memory of the result; `states` has one for each
 * source of the snapshot. */
int bkp_restore_find_left(const struct bkp_opened *opened,
    const struct bkp_config *config, const enum bkp_left *states,
    struct bkp_restore_result *result, struct bkp_error *err);

#endif
