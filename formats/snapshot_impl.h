/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_SNAPSHOT_IMPL_H
#define FORMATS_SNAPSHOT_IMPL_H

/* What the writer and the reader of snapshots must agree on. */

#include <stdbool.h>
#include <stddef.h>

#define FMT_SNAPSHOT_VERSION 1
#define FMT_SNAPSHOT_CONTEXT "libbackup snapshot v1"

/* Exactly so many lower-case hex digits. */
bool fmt_snapshot_is_hex(const char *text, size_t digits);

#endif
