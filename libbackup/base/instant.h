/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_INSTANT_H
#define LIBBACKUP_BASE_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A time as people write it: "2026-11-20", "2026-11-20 12:00" or
 * "2026-11-20T12:00:05", with 'Z' or "+01:00" behind it, or of this machine's
 * time zone. *us, microseconds since 1970 UTC, is the end of what was written:
 * of that day, minute, second or fraction. False where it is none.
 */
bool bkp_instant_read(const char *text, int64_t *us);

#endif
