/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_DURATION_H
#define LIBBACKUP_BASE_DURATION_H

#include <stdint.h>

#include "libbackup/error.h"

/* "36h", "30d", "2w", "6m", "1y6m" in microseconds, up to a thousand years; a
 * month is 31 days and a year 366, so that what is kept for it does not go
 * early. BKP_INVALID. */
int bkp_duration_read(const char *text, int64_t *us, struct bkp_error *err);

#endif
