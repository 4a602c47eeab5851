/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_COLLATIONS_H
#define LIBBACKUP_POSTGRES_COLLATIONS_H

/* Which libraries say in what order text stands. */

#include <jansson.h>

#include "libbackup/postgres/session.h"

/*
 * The collation of the database ("default") and those that columns, indexes
 * and partitions use, as [{"name", "locale", "provider", "version", "actual",
 * "ranges"}, ...]: the version of the library that the server noted when they
 * were made, and the one that it has now; null where it knows none. "ranges"
 * names the tables that are cut into ranges in the order of it. *out is the
 * caller's.
 */
int bkp_pg_describe_collations(
    struct bkp_pg *pg, json_t **out, struct bkp_error *err);

/* Of such a list from another server, what this one would use for each, as
 * [{"name", "actual"}, ...] in the same order: null where it has none, or
 * knows no version of it. Any database of the server will do. */
int bkp_pg_find_collations(struct bkp_pg *pg, const json_t *recorded,
    json_t **out, struct bkp_error *err);

#endif
