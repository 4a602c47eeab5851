/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_DUMP_H
#define LIBBACKUP_POSTGRES_DUMP_H

/* PostgreSQL's own programs, for the only two things that they know best: what
 * a schema is, and what the roles are. */

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/packed.h"
#include "libbackup/base/run.h"

/* The three programs of one major version; owned paths. */
struct bkp_pg_programs {
	char *dump, *dumpall, *restore;
};

#define BKP_PG_PROGRAMS_INIT                                                   \
	{                                                                      \
		NULL, NULL, NULL                                               \
	}

int bkp_pg_programs_find(const char *bindir, unsigned major,
    struct bkp_pg_programs *out, struct bkp_error *err);
void bkp_pg_programs_free(struct bkp_pg_programs *programs);

/* pg_dump -Fc --schema-only --create under an exported snapshot; the caller
 * frees *out. It waits two seconds for a lock that somebody else wants, and
 * then fails. */
int bkp_pg_dump_schema(const struct bkp_pg_programs *programs,
    const struct bkp_postgres_config *config, const char *database,
    const char *snapshot, const char *encoding, struct bkp_run *run,
    struct bkp_packed **out, struct bkp_error *err);

/* Gives the schema archive to `take` as text, in an order of its own
 * (sqlcatalogue.h). */
int bkp_pg_dump_catalogue(const struct bkp_pg_programs *programs,
    const struct bkp_packed *archive, struct bkp_run *run, bkp_bytes_fn *take,
    void *arg, struct bkp_error *err);

/* pg_dumpall --globals-only. It runs from start on, on its own; finish waits
 * for its end, on the same thread, and appends a statement a line to `out`,
 * those about tablespaces to `tablespaces`. Free: always, NULL is fine. */
struct bkp_pg_globals;
int bkp_pg_globals_start(const struct bkp_pg_programs *programs,
    const struct bkp_postgres_config *config, const char *database,
    bool has_passwords, struct bkp_run *run, struct bkp_pg_globals **out,
    struct bkp_error *err);
int bkp_pg_globals_finish(struct bkp_pg_globals *globals, struct fmt_buf *out,
    struct fmt_buf *tablespaces, struct bkp_error *err);
void bkp_pg_globals_free(struct bkp_pg_globals *globals);

/* Runs one of the programs against `database`: argv[at] is filled with
 * --dbname. What it prints is appended to `out`; NULL: dropped. */
int bkp_pg_run_program(const char **argv, size_t at,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_run *run, struct fmt_buf *out, struct bkp_error *err);

#endif
