/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_EXAMINE_H
#define LIBBACKUP_SOURCE_POSTGRES_EXAMINE_H

#include "libbackup/postgres/session.h"
#include "libbackup/source/source.h"

/* One database that is looked at. */
struct bkp_pg_examined {
	const struct bkp_postgres_config *config; /* of the place */
	struct bkp_supply *supply;
	const json_t *facts;  /* recorded of it, in the snapshot's info */
	const char *database; /* its name on the server */
	const char *path;     /* "postgres/app/shop" */
	bool is_scratch;
	bkp_remark_fn *tell;
	void *arg;
};

/* The member `examine` of the kind. */
int bkp_pg_examine(const struct bkp_source_config *place,
    struct bkp_supply *supply, bool is_scratch, bkp_remark_fn *tell, void *arg,
    struct bkp_error *err);

/* Tells of "<path>/<check>". */
int bkp_pg_remark(const struct bkp_pg_examined *in, enum bkp_remark remark,
    const char *check, const char *what, struct bkp_error *err);

/* Lets pg_amcheck look at every table and index of a scratch database, which
 * gets the extension for as long as that takes. (postgres_amcheck.c) */
int bkp_pg_amcheck(
    const struct bkp_pg_examined *in, struct bkp_pg *pg, struct bkp_error *err);

#endif
