/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_COLLATIONS_H
#define LIBBACKUP_POSTGRES_COLLATIONS_H

/* Which libraries say in what order text stands. */

#include <jansson.h>

#include "libbackup/postgres/session.h"

/*
 * The collation of the database ("default") and those that columns and indexes
 * use, as [{"name", "provider", "version", "actual"}, ...]: the version of the
 * library that the server noted when they were made, and the one that it has
 * now; null where it knows none. *out is the caller's.
 */
int bkp_pg_describe_collations(
    struct bkp_pg *pg, json_t **out, struct bkp_error *err);

#endif
