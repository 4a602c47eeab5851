/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_LIMIT_H
#define LIBBACKUP_STORE_STORE_LIMIT_H

#include "libbackup/base/rate.h"
#include "libbackup/store/store.h"

/* A store that writes and reads no faster than the limits say (buckets see to
 * that in their requests). Once somebody asked to stop nothing waits, and what
 * is long to write, as packs are, fails with BKP_CANCELLED. Takes `inner`,
 * which is closed also where this fails; limits and cancel (may be NULL) are
 * borrowed until close. */
int bkp_store_limit_new(struct bkp_store *inner, struct bkp_limits *limits,
    const struct bkp_cancel *cancel, struct bkp_store **out,
    struct bkp_error *err);

#endif
