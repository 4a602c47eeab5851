/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_SNAPSHOT_IMPL_H
#define FORMATS_SNAPSHOT_IMPL_H

/* What the writer and the reader of snapshots must agree on. */

#define FMT_SNAPSHOT_VERSION 1
#define FMT_SNAPSHOT_CONTEXT "libbackup snapshot v1"

#endif
