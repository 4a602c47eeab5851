/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_KEYS_H
#define LIBBACKUP_SUBJECT_KEYS_H

/* All the subjects that a database holds, by their keys. */

#include "libbackup/subject/map.h"
#include "libbackup/subject/model.h"

/*
 * Calls `each` with the key of every row of the map's subject, as text as the
 * server writes it, in the order of the map; one that is NULL in part is
 * nobody's. In the transaction of `pg`. BKP_NOTFOUND: there is no such table or
 * column.
 */
int bkp_subject_keys(struct bkp_pg *pg, const struct bkp_model *model,
    const struct bkp_map *map,
    int (*each)(void *arg, const char *const *values, struct bkp_error *err),
    void *arg, struct bkp_error *err);

#endif
