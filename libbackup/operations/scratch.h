/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_SCRATCH_H
#define LIBBACKUP_OPERATIONS_SCRATCH_H

/* A part of a snapshot, restored where nobody else is: for a verification, and
 * for an export of what once was. */

#include "libbackup/operations/opened.h"

/* Makes "<base>/<command>-XXXXXX" (base NULL: the temporary folder), the
 * caller's name of it, to be removed by bkp_temporary_remove. Tells which ones
 * were left by runs of that command that were killed. */
char *bkp_scratch_folder(const char *base, const char *command,
    struct bkp_run *run, struct bkp_error *err);

/* Makes an empty scratch place for a source below `directory`, also where the
 * configuration does not know the source; *out is NULL where its kind has
 * none. The caller closes it. */
int bkp_scratch_make(const struct bkp_chosen *chosen, const char *directory,
    struct bkp_run *run, struct bkp_scratch **out, struct bkp_error *err);

/* Restores what the supply selects, which is `amount`, into the place. */
int bkp_scratch_restore(const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_amount *amount,
    const struct bkp_source_config *place, struct bkp_error *err);

#endif
