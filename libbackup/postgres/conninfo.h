/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_CONNINFO_H
#define LIBBACKUP_POSTGRES_CONNINFO_H

/* Connection parameters: for libpq with the password, for the command lines of
 * children without. */

#include "libbackup/base/config_impl.h"
#include "libbackup/error.h"

/* NULL-ended arrays as PQconnectdbParams takes them. Values may be secrets:
 * free wipes. */
struct bkp_conninfo {
	char **keywords; /* owned */
	char **values;   /* owned */
	size_t count;
};

#define BKP_CONNINFO_INIT                                                      \
	{                                                                      \
		NULL, NULL, 0                                                  \
	}

/* What the configuration says, with `database` instead of its own where that
 * is not NULL, and our defaults for what it leaves open. */
int bkp_conninfo_make(const struct bkp_postgres_config *config,
    const char *database, struct bkp_conninfo *out, struct bkp_error *err);
void bkp_conninfo_free(struct bkp_conninfo *info);

/* The parameters as text without any secret, and what the environment of a
 * child must hold instead (NULL ended; "NAME" alone removes). */
struct bkp_pg_access {
	char *conninfo; /* owned */
	char **env;     /* owned, wiped */
};

#define BKP_PG_ACCESS_INIT                                                     \
	{                                                                      \
		NULL, NULL                                                     \
	}

int bkp_pg_access_make(const struct bkp_postgres_config *config,
    const char *database, struct bkp_pg_access *out, struct bkp_error *err);
/* The same for a program that reads for long and does not put limits of time
 * off by itself, as pg_dump does: a database may have them. And what it is told
 * and tells is in this encoding, whatever that of the database is. */
int bkp_pg_access_make_untimed(const struct bkp_postgres_config *config,
    const char *database, const char *encoding, struct bkp_pg_access *out,
    struct bkp_error *err);
void bkp_pg_access_free(struct bkp_pg_access *access);

#endif
