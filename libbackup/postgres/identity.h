/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_IDENTITY_H
#define LIBBACKUP_POSTGRES_IDENTITY_H

/* Which server it is, whatever name and port it is reached by. */

#include "libbackup/postgres/session.h"

/* The number that initdb gave to the cluster: a standby and a copy of its
 * files have the same. *out is the caller's; NULL where this role may not ask.
 * Outside of transactions. */
int bkp_pg_identity(struct bkp_pg *pg, char **out, struct bkp_error *err);

#endif
