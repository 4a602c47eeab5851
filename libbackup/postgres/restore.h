/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_RESTORE_H
#define LIBBACKUP_POSTGRES_RESTORE_H

/* A schema archive goes back into a database, by pg_restore. */

#include "libbackup/postgres/dump.h"

/* Told of a foreign key that cannot be made: its line of pg_restore --list,
 * from its kind on ("FK CONSTRAINT app comment comment_author_fkey owner"). */
typedef int bkp_pg_refused_fn(void *arg, const char *name,
    const struct bkp_error *why, struct bkp_error *err);

/* What is restored and by what; all borrowed. */
struct bkp_pg_restore {
	const char *program; /* pg_restore */
	const struct bkp_postgres_config *config;
	const struct fmt_buf *archive;
	bool has_tablespaces;       /* false: everything into the default one */
	bkp_pg_refused_fn *refused; /* where rows are missing: foreign keys are
				       made one by one; NULL: any error ends */
	void *refused_arg;
};

enum bkp_pg_section {
	BKP_PG_PRE_DATA, /* what rows need: types, tables, functions */
	BKP_PG_POST_DATA /* what needs rows: indexes, constraints, triggers */
};

/* Restores one section with `jobs` connections, ending at the first error. */
int bkp_pg_restore_schema(const struct bkp_pg_restore *what,
    const char *database, enum bkp_pg_section section, unsigned jobs,
    struct bkp_run *run, struct bkp_error *err);

/* In which step of post-data a line of pg_restore --list goes back. */
enum bkp_pg_step {
	BKP_PG_STEP_INDEXES,
	BKP_PG_STEP_ATTACH,
	BKP_PG_STEP_FOREIGN_KEYS,
	BKP_PG_STEP_REST,
	BKP_PG_STEPS
};

enum bkp_pg_step bkp_pg_step_of(const char *line, size_t len);

#endif
