/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_PROGRAMS_H
#define LIBBACKUP_POSTGRES_PROGRAMS_H

#include "libbackup/error.h"

/*
 * Finds a program of PostgreSQL ("pg_dump") of exactly this major version: in
 * `bindir` (may be NULL), in the versioned directories of the distributions,
 * then in PATH. *out is a new string. BKP_NOTFOUND names what was found
 * instead and the package to install.
 */
int bkp_pg_program(const char *bindir, const char *program, unsigned major,
    char **out, struct bkp_error *err);

/* Another program of the version that `known` (an answer of the above) is of.
 * Where that lies in a distribution's folder for this one version, what lies
 * beside it need not be asked. */
int bkp_pg_program_like(const char *known, const char *bindir,
    const char *program, unsigned major, char **out, struct bkp_error *err);

/* "pg_dump (PostgreSQL) 15.20 (Debian ...)" to 15; 0 where it is not that. */
unsigned bkp_pg_program_major(const char *version);

#endif
