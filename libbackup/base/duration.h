/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_DURATION_H
#define LIBBACKUP_BASE_DURATION_H

#include <stdint.h>

#include "libbackup/error.h"

/* "36h", "30d", "2w", "6m", "1y6m" in microseconds, up to a thousand years; a
 * month is 31 days and a year 366, so that what is kept for it does not go
 * early. BKP_INVALID. */
int bkp_duration_read(const char *text, int64_t *us, struct bkp_error *err);

/* How long something takes or may be old: "90s", "30m", "26h", "1h30m", "2d",
 * "1w" in milliseconds, up to ten years; m is a minute here. BKP_INVALID. */
int bkp_span_read(const char *text, uint64_t *ms, struct bkp_error *err);

struct bkp_span {
	char text[48];
};

/* The same for messages, rounded down to two units: "2 d 3 h", "1 h 30 min",
 * "45 s", "320 ms". */
struct bkp_span bkp_span(uint64_t ms);

#endif
