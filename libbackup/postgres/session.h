/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_SESSION_H
#define LIBBACKUP_POSTGRES_SESSION_H

/*
 * One connection to a server, with every setting pinned that could change the
 * text of a row or end a long transaction. Waiting looks at the run's cancel
 * five times a second: a statement that runs then is cancelled on the server.
 *
 * Names and SQL are UTF-8 (raw bytes where the database is SQL_ASCII); rows
 * are copied in the encoding of the database, which COPY is told.
 *
 * Thread rule: one session, one thread at a time.
 */

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/run.h"

struct bkp_pg {
	PGconn *conn;
	struct bkp_run *run;     /* borrowed; NULL: cannot be cancelled */
	bool is_ticking;         /* of the calling thread: tells progress */
	const atomic_bool *stop; /* borrowed; NULL, or true where somebody
				    else's failure ends this, too */
	uint64_t came;           /* bytes of rows, since the last COPY began */
	char state[6];           /* SQLSTATE of the last failure, or "" */
};

#define BKP_PG_INIT                                                            \
	{                                                                      \
		.conn = NULL                                                   \
	}

/* Connects to `database` (NULL: the one that conninfo names). A pooler in
 * transaction mode is refused. */
int bkp_pg_open(struct bkp_pg *pg, const struct bkp_postgres_config *config,
    const char *database, struct bkp_run *run, struct bkp_error *err);
void bkp_pg_close(struct bkp_pg *pg); /* BKP_PG_INIT is fine */

/* Major version: 15. */
unsigned bkp_pg_major(const struct bkp_pg *pg);

/* "UTF8", of the database; borrowed until close. */
const char *bkp_pg_encoding(const struct bkp_pg *pg);
/* "UTF8" or "SQL_ASCII", of names in this session: for a program that is to
 * understand them. */
const char *bkp_pg_name_encoding(const struct bkp_pg *pg);

/* ---- statements ---- */

/* Runs SQL of our own making (several statements are fine); rows are
 * dropped. */
int bkp_pg_do(struct bkp_pg *pg, const char *sql, struct bkp_error *err);

/* Runs a single statement with text parameters; the caller clears *out. */
int bkp_pg_query(struct bkp_pg *pg, const char *sql, int count,
    const char *const *values, PGresult **out, struct bkp_error *err);

/* Runs a single statement and gives its rows one by one, each as the only row
 * of a result that is gone afterwards: for answers that are long. `take` may
 * not use the session. */
typedef int bkp_pg_row_fn(
    void *arg, const PGresult *row, struct bkp_error *err);

int bkp_pg_each(struct bkp_pg *pg, const char *sql, bkp_pg_row_fn *take,
    void *arg, struct bkp_error *err);

/* Runs a single statement whose rows are not wanted: text that came
 * out of a snapshot cannot smuggle in a second one. */
int bkp_pg_statement(struct bkp_pg *pg, const char *sql, struct bkp_error *err);

/* The same, written as bkp_pg_sql writes it (names.h). */
int bkp_pg_run(
    struct bkp_pg *pg, struct bkp_error *err, const char *format, ...);

/* The first column of the only row as a new string; NULL becomes "". */
char *bkp_pg_text(struct bkp_pg *pg, const char *sql, struct bkp_error *err);

/* ---- for those who speak to libpq themselves ---- */

/* Tells how far the run is; -1 where it is cancelled. */
int bkp_pg_check(struct bkp_pg *pg, struct bkp_error *err);

/* Waits until the socket can be read (or written, where is_write); -1 where
 * the run is cancelled. */
int bkp_pg_wait(struct bkp_pg *pg, bool is_write, struct bkp_error *err);

/* The next result without blocking beyond cancel; NULL in *out at the end. */
int bkp_pg_result(struct bkp_pg *pg, PGresult **out, struct bkp_error *err);

/* Sends a cancel request for what runs and reads until it has ended. */
void bkp_pg_interrupt(struct bkp_pg *pg);

/* Fills err from a failed result (or the connection where it is NULL): the
 * server's message with its detail and hint. Returns -1. */
int bkp_pg_fail(
    struct bkp_pg *pg, const PGresult *result, struct bkp_error *err);

/* What the last failure was. */
bool bkp_pg_is_locked(const struct bkp_pg *pg);   /* a lock was not to be had */
bool bkp_pg_is_conflict(const struct bkp_pg *pg); /* with a standby's replay */
bool bkp_pg_is_elsewhere(const struct bkp_pg *pg); /* of another server, that
						      a foreign table is of */

/* What to do about such a conflict: for messages of programs, which do not
 * know. */
extern const char bkp_pg_conflict_advice[];

/* True where the SQLSTATE of the result is this one. */
bool bkp_pg_is_state(const PGresult *result, const char *state);

#endif
