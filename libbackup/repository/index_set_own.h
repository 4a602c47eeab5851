/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_INDEX_SET_OWN_H
#define LIBBACKUP_REPOSITORY_INDEX_SET_OWN_H

/* What the files of the set share: index_set.c,
 * index_gone.c, index_load.c, index_prove.c. */

#include "libbackup/repository/index_set.h"
#include "libbackup/repository/repository_own.h"

/* Takes the file, also on failure. Under `loading`. */
int bkp_index_set_append(struct bkp_index_set *set, struct bkp_index_file *file,
    struct bkp_error *err);

/* Stores the copy of one again, under the name that it then gets. */
bool bkp_index_store_again(
    struct bkp_repository *repository, const struct bkp_index_file *file);

/* Notes an object in `damaged`. */
int bkp_index_set_note_damage(struct bkp_index_set *set, const char *name,
    const struct bkp_error *problem, struct bkp_error *err);

/* Makes the files that were appended findable. Only who holds `loading`
 * changes the array of files, so that reading it takes no lock. */
int bkp_index_set_note_new(struct bkp_index_set *set, struct bkp_error *err);

#endif
