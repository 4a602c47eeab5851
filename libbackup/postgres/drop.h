/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_DROP_H
#define LIBBACKUP_POSTGRES_DROP_H

#include "libbackup/postgres/session.h"

/*
 * Drops a database that was restored, if it is there. `front` is connected to
 * another one of that server. Subscriptions, which the server does not drop
 * with a database, go first, and the slots that they name stay: those are of
 * the database that was backed up.
 */
int bkp_pg_drop_restored(struct bkp_pg *front,
    const struct bkp_postgres_config *config, const char *name,
    struct bkp_error *err);

#endif
