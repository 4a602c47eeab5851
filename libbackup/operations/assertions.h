/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_ASSERTIONS_H
#define LIBBACKUP_OPERATIONS_ASSERTIONS_H

/*
 * What the configuration asserts of a restored place: queries that must give
 * no row or one value, and commands that must end with status 0.
 */

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/run.h"

struct bkp_assertion {
	const struct bkp_assertion_config *config; /* borrowed */
	char *name;                                /* owned: "assertions/..." */
	char *sql;                                 /* owned; NULL: a command */
	bool is_judged; /* has its line in the verdict */
};

struct bkp_assertions {
	struct bkp_assertion *items;
	size_t count;
};

/* Reads the files and looks for the programs: what cannot be run is BKP_INVALID
 * with its line. */
int bkp_assertions_new(const struct bkp_config *config,
    struct bkp_assertions *out, struct bkp_error *err);
void bkp_assertions_free(struct bkp_assertions *assertions);

/*
 * Each answers 1 where the assertion holds, 0 where it does not, and appends
 * to `what`; -1: cancelled, or out of memory.
 */

/* In a transaction that may only read and is rolled back. (assertion_sql.c) */
int bkp_assertion_ask(const struct bkp_assertion *assertion,
    const struct bkp_postgres_config *place, struct bkp_run *run,
    struct fmt_buf *what, struct bkp_error *err);

/* With the place in its environment. (assertion_command.c) */
int bkp_assertion_run(const struct bkp_assertion *assertion,
    const struct bkp_source_config *place, const char *snapshot,
    struct bkp_run *run, struct fmt_buf *what, struct bkp_error *err);

/* ---- for tests ---- */

/* The environment of a command, NULL ended, as struct bkp_child_options takes
 * it; free wipes. */
int bkp_assertion_environment(const struct bkp_assertion_config *config,
    const struct bkp_source_config *place, const char *snapshot, char ***out,
    struct bkp_error *err);
void bkp_assertion_environment_free(char **env);

#endif
