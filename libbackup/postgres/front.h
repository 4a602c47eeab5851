/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_FRONT_H
#define LIBBACKUP_POSTGRES_FRONT_H

#include "libbackup/postgres/session.h"

/* Connects to any database of the server: the one of conninfo, which may not
 * be there (yet or any more), "postgres" or "template1". */
int bkp_pg_open_front(struct bkp_pg *pg,
    const struct bkp_postgres_config *config, struct bkp_run *run,
    struct bkp_error *err);

/* The same, but never to `busy` (a database that is to be renamed). */
int bkp_pg_open_beside(struct bkp_pg *pg,
    const struct bkp_postgres_config *config, const char *busy,
    struct bkp_run *run, struct bkp_error *err);

#endif
