/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_LIMITS_H
#define LIBBACKUP_OPERATIONS_LIMITS_H

/* What a verification asks of a snapshot beside being whole. */

#include "formats/snapshot.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/operations.h"

/* What the options say, and where they say nothing the configuration; the level
 * is never unset. BKP_INVALID. */
int bkp_limits_of(const struct bkp_verify_options *options,
    struct bkp_verification_config *out, struct bkp_error *err);

/* Of the recovery point, now; 0 where the clock is behind it. */
uint64_t bkp_snapshot_age_ms(const struct fmt_snapshot *snapshot);

#endif
