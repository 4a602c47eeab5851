/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_HOLDER_H
#define LIBBACKUP_POSTGRES_HOLDER_H

/*
 * The one transaction of a database that everything else imports: it exports
 * the snapshot and holds ACCESS SHARE on every table, so that nobody can
 * change a table's shape before it is read. When it ends, so does the backup.
 */

#include <stdint.h>

#include "libbackup/postgres/catalogue.h"
#include "libbackup/postgres/session.h"

struct bkp_pg_holder {
	struct bkp_pg pg;
	char *database; /* owned: its real name */
	char *snapshot; /* owned: for SET TRANSACTION SNAPSHOT */
	char *lsn;      /* owned: "0/16B3748" */
	char *time;     /* owned: "2026-11-20T12:00:00.000000Z" */
	int64_t time_us;
	int64_t from_us, to_us; /* by bkp_run_clock_us: it was taken between */
	struct bkp_pg_catalogue catalogue;
};

#define BKP_PG_HOLDER_INIT                                                     \
	{                                                                      \
		BKP_PG_INIT, NULL, NULL, NULL, NULL, 0, 0, 0,                  \
		    BKP_PG_CATALOGUE_INIT                                      \
	}

/*
 * Connects, takes the snapshot, reads the catalogue and locks the tables. A
 * table that somebody has locked is waited for as long as lock_timeout of the
 * connection says (60 s unless its options set it); the error names the table
 * and who holds it.
 */
int bkp_pg_holder_open(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_run *run, struct bkp_error *err);

/* The same on a connection that is there and idle, which is taken over whatever
 * comes of it. */
int bkp_pg_holder_take(struct bkp_pg_holder *holder, struct bkp_pg *pg,
    const struct bkp_postgres_config *config, struct bkp_error *err);

/* Says who holds the lock that was waited for, by a new connection, for the
 * transaction that waited is broken. Returns -1. */
int bkp_pg_fail_locked(const struct bkp_postgres_config *config,
    const char *database, struct bkp_run *run, struct bkp_error *err);

/*
 * True where somebody waits for an exclusive lock on a table. Whoever wants to
 * read such a table now waits behind him, and he waits for the holder: only
 * letting go of the moment helps.
 */
bool bkp_pg_holder_is_waited_for(struct bkp_pg_holder *holder);

/* -1 where the transaction is gone. */
int bkp_pg_holder_ping(struct bkp_pg_holder *holder, struct bkp_error *err);

/* When all is read: -1 where the transaction is gone, or where a name does not
 * mean what it meant, for a schema can be renamed behind every lock. */
int bkp_pg_holder_finish(struct bkp_pg_holder *holder, struct bkp_error *err);

/* After something failed under this moment. Where a standby's replay ended the
 * moment that is the reason, and takes the place of what came of it; where a
 * program ran out of locks it is said how many there should be. */
void bkp_pg_holder_explain(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, struct bkp_error *err);

void bkp_pg_holder_close(struct bkp_pg_holder *holder);

/* Another session of the same moment, read only. */
int bkp_pg_import(struct bkp_pg *pg, const struct bkp_postgres_config *config,
    const char *database, const char *snapshot, struct bkp_run *run,
    struct bkp_error *err);

/* Begins (or begins again, which lets go of the locks) the transaction of such
 * a session. */
int bkp_pg_import_again(
    struct bkp_pg *pg, const char *snapshot, struct bkp_error *err);

#endif
