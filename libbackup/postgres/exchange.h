/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_EXCHANGE_H
#define LIBBACKUP_POSTGRES_EXCHANGE_H

/*
 * One database takes the place of another, in one transaction: whenever the
 * machine, the server or this process dies, the name leads to the one or to
 * the other, and both are whole and open.
 *
 * The server waits with a rename until nobody is connected, and lets nobody in
 * meanwhile; a second session ends those who are. Nothing is closed by a
 * setting, which would stay where this process is killed.
 */

#include <stdint.h>

#include "libbackup/postgres/session.h"

struct bkp_pg_exchange {
	const char *name;  /* the place */
	const char *in;    /* the database that gets this name */
	const char *aside; /* the name that the present one gets; NULL: there
			      is none */
	uint64_t took_ms;  /* out: for so long nobody could connect */
};

/* -1: everything is as it was. BKP_RETRY where connections could not be
 * ended; the error names them. */
int bkp_pg_exchange(const struct bkp_postgres_config *config,
    struct bkp_pg_exchange *exchange, struct bkp_error *err);

#endif
