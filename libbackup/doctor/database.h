/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_DATABASE_H
#define LIBBACKUP_DOCTOR_DATABASE_H

/* What the checks of a server share. */

#include "libbackup/doctor/exam.h"
#include "libbackup/doctor/redact.h"
#include "libbackup/postgres/session.h"

struct bkp_exam_server {
	struct bkp_pg pg;             /* to the database that is asked first */
	struct bkp_strings databases; /* owned: that are backed up and there */
	bool is_superuser;
	uint64_t bytes;  /* of these databases */
	uint64_t tables; /* in them */
};

/* A single row; the caller clears it. -1 where there is none. */
int bkp_exam_row(
    struct bkp_pg *pg, const char *sql, PGresult **out, struct bkp_error *err);

/* A number of the only row. */
uint64_t bkp_exam_number(const PGresult *row, int column);
bool bkp_exam_is_true(const PGresult *row, int column);

/* Each of the databases by a session of its own, which is closed again.
 * `subject` is "postgres/app/shop". */
typedef int bkp_exam_database_fn(struct bkp_exam *exam, struct bkp_pg *pg,
    const char *subject, struct bkp_error *err);
int bkp_exam_each_database(
    struct bkp_exam *exam, bkp_exam_database_fn *look, struct bkp_error *err);

/* The names in the first column, as many as fit into a line. */
#define BKP_EXAM_NAMES 400
const char *bkp_exam_names(const PGresult *result, char text[BKP_EXAM_NAMES]);

/* Tells of what a query names in its first column, where it names something.
 */
int bkp_exam_tell_names(struct bkp_exam *exam, struct bkp_pg *pg,
    const char *subject, const char *sql, enum bkp_health health,
    const char *what, const char *advice, struct bkp_error *err);

/* ---- database_pooler.c ---- */

int bkp_exam_pooler(struct bkp_exam *exam, struct bkp_error *err);

/* ---- database_role.c ---- */

int bkp_exam_role(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_tables(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_row_security(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_large_objects(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_can_restore(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_timeouts(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_connections(struct bkp_exam *exam, struct bkp_error *err);

/* ---- database_state.c ---- */

int bkp_exam_locks(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_wal(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_transactions(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_prepared(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_slots(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_wraparound(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_unlogged(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_indexes(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_collations(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_extensions(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_checksums(struct bkp_exam *exam, struct bkp_error *err);

/* ---- database_standby.c ---- */

int bkp_exam_standby(struct bkp_exam *exam, struct bkp_error *err);

/* Whether a source is of the same server as `own`, by what both say of it, and
 * backs that database up. */
int bkp_exam_backs_up(const struct bkp_postgres_config *source,
    const struct bkp_postgres_config *own, const char *database, bool *answer,
    struct bkp_error *err);

#endif
