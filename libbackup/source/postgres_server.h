/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_SERVER_H
#define LIBBACKUP_SOURCE_POSTGRES_SERVER_H

#include "libbackup/source/source.h"

/*
 * Scratch databases on a server that is there, under names of their own; they
 * are dropped when it is closed. Refuses the server that the backup is of, or
 * one of which nobody can tell, unless it may be: a copy of its files is the
 * same. Its roles are its own: what is restored needs them to be there.
 */
int bkp_pg_server_open(const struct bkp_source_config *config,
    const json_t *info, const char *conninfo, bool may_be_source,
    struct bkp_run *run, struct bkp_scratch **out, struct bkp_error *err);

#endif
