/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_FORMER_H
#define LIBBACKUP_SOURCE_POSTGRES_FORMER_H

/* Databases that restores leave beside others, known by their names alone:
 *
 *     shop.before-20261121T100203Z    in the place before a swap
 *     shop.restored-20261121T100203Z  whole, and not in its place
 *     shop.incomplete-1a2b3c4d        lacks what a restore named
 *     shop.restoring-1a2b3c4d         of a restore that runs, or was killed
 *     shop.replaced-1a2b3c4d          was to be dropped, and is not
 */

#include <stddef.h>

#include "libbackup/operations.h"
#include "libbackup/postgres/session.h"

/* "<name>.<what>-<now>", the name cut where it would be too long; where there
 * is one of that name, of the next second that is free. */
char *bkp_pg_former_name(struct bkp_pg *pg, const char *name, const char *what,
    struct bkp_error *err);

/* Puts `in` into the place `name`; what is there is kept and told. `path` is
 * for the message. */
int bkp_pg_former_exchange(const struct bkp_postgres_config *config,
    struct bkp_run *run, const char *path, const char *name, const char *in,
    struct bkp_error *err);

/* All of a server, by name; *out is one block that free() frees. */
int bkp_pg_former_list(const struct bkp_postgres_config *config,
    struct bkp_run *run, struct bkp_former **out, size_t *count,
    struct bkp_error *err);

/* Puts one into the place that a component of a path names. */
int bkp_pg_former_put(const struct bkp_postgres_config *config,
    struct bkp_run *run, const char *path, const char *component,
    const char *name, struct bkp_error *err);

int bkp_pg_former_drop(const struct bkp_postgres_config *config,
    struct bkp_run *run, const char *name, struct bkp_error *err);

#endif
