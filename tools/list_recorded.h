/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_LIST_RECORDED_H
#define TOOLS_LIST_RECORDED_H

/* What the sources of a snapshot recorded: the moments of databases, and how
 * many keys that rows name had no object. */

#include <jansson.h>

#include "libbackup/repository.h"

/* A line for each, below the snapshot. */
void list_recorded_print(const struct bkp_snapshot *s);

/* Adds it to the member of the source `prefix`; `snapshot` is its whole JSON,
 * or NULL. */
void list_recorded_add(
    const json_t *snapshot, const char *prefix, json_t *source);

#endif
