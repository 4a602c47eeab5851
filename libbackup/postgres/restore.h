/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_RESTORE_H
#define LIBBACKUP_POSTGRES_RESTORE_H

/* A schema archive goes back into a database, by pg_restore. */

#include "libbackup/postgres/dump.h"
#include "libbackup/postgres/toc.h"
#include "libbackup/postgres/toc_choice.h"

/* Told of something that cannot be made: its line of pg_restore --list, from
 * its kind on ("FK CONSTRAINT app comment comment_author_fkey owner"). */
typedef int bkp_pg_refused_fn(void *arg, const char *name,
    const struct bkp_error *why, struct bkp_error *err);

/* What is restored and by what; all borrowed. */
struct bkp_pg_restore {
	const char *program; /* pg_restore */
	const struct bkp_postgres_config *config;
	const char *archive;        /* a file that lasts as long */
	bool has_tablespaces;       /* false: everything into the default one */
	bkp_pg_refused_fn *refused; /* where rows are missing: foreign keys are
				       made one by one; NULL: any error ends */
	bkp_pg_refused_fn *privileged; /* what nothing depends on, and most
					  servers keep for superusers, is made
					  one by one; NULL: any error ends */
	void *refused_arg;             /* of both */
	const char *role; /* everything is made by this role; NULL: by the one
			     that is connected */
	bool has_no_owner, has_no_privileges;
	const struct bkp_pg_choice *choice; /* NULL: everything */
};

/* One schema, or a table of it. */
struct bkp_pg_only {
	char *schema, *table; /* table NULL: all of the schema */
};

/* Restores what rows need: types, tables, functions. */
int bkp_pg_restore_schema(const struct bkp_pg_restore *what,
    const char *database, struct bkp_run *run, struct bkp_error *err);

/* Reads what is to be made once the rows are in. */
int bkp_pg_restore_toc(const struct bkp_pg_restore *what, struct bkp_run *run,
    struct bkp_pg_toc *out, struct bkp_error *err);

/* Makes what of it is late, with `jobs` connections, ending at the first
 * error. */
int bkp_pg_restore_late(const struct bkp_pg_restore *what, const char *database,
    struct bkp_pg_toc *toc, unsigned jobs, struct bkp_run *run,
    struct bkp_error *err);

/* What an item is called, as a new string ("INDEX app account_email owner"). */
char *bkp_pg_restore_name(
    const struct bkp_pg_item *item, struct bkp_error *err);

/* An item could not be made, and that ends the restore. Returns -1. */
int bkp_pg_restore_fail(const struct bkp_pg_item *item,
    const struct bkp_error *why, struct bkp_error *err);

/* An item could not be made, and the rest goes on without it: tells whoever is
 * to be told of such items, which must be somebody, and marks it. */
int bkp_pg_restore_refuse(const struct bkp_pg_restore *what,
    struct bkp_pg_item *item, const struct bkp_error *why,
    struct bkp_error *err);

/* Makes the choice of these names, each of which must be there. */
int bkp_pg_restore_choose(const struct bkp_pg_restore *what,
    const struct bkp_pg_only *only, size_t count, struct bkp_run *run,
    struct bkp_pg_choice *out, struct bkp_error *err);

/* Each line of pg_restore --list that is not a remark, with its newline. */
typedef int bkp_pg_line_fn(
    void *arg, const char *line, size_t len, struct bkp_error *err);

int bkp_pg_restore_list(const struct bkp_pg_restore *what, struct bkp_run *run,
    bkp_pg_line_fn *fn, void *arg, struct bkp_error *err);

#endif
