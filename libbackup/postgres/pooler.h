/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_POOLER_H
#define LIBBACKUP_POSTGRES_POOLER_H

#include "libbackup/postgres/conninfo.h"
#include "libbackup/postgres/session.h"

/*
 * Fails where a pooler gives each transaction another server process. Before
 * any SET: through such a pooler it would change the sessions of others.
 */
int bkp_pg_refuse_pooler(
    struct bkp_pg *pg, const struct bkp_conninfo *info, struct bkp_error *err);

#endif
