/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_LONGEST_H
#define LIBBACKUP_POSTGRES_LONGEST_H

/*
 * A row goes over the wire in one message, and a message has at most 1 GB. As
 * text a bytea has two digits a byte, so one of 512 MB can be stored and not
 * be read as text.
 */

#include <stdint.h>

#include "formats/pgcopy.h"
#include "libbackup/postgres/session.h"

/* After reading pages `first` up to `last` (0: to the end) of a table has
 * failed in this session of the snapshot, which may be broken by that: where
 * its longest row there is as long as that, says which row and what to do. */
void bkp_pg_explain_length(struct bkp_pg *pg, const char *snapshot,
    const char *quoted, enum fmt_copy_form form, uint64_t first, uint64_t last,
    struct bkp_error *err);

#endif
