/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_SCRATCH_H
#define LIBBACKUP_SOURCE_POSTGRES_SCRATCH_H

#include "libbackup/source/source.h"

/*
 * A throwaway cluster of the major version that the backup is of: below
 * `directory`, reachable through a socket in a folder of its own and nowhere
 * else, fast and unsafe. It ends with the process that made it, however that
 * ends. Where we are root it runs as "postgres" or "nobody".
 */
int bkp_pg_scratch_open(const struct bkp_source_config *config,
    const json_t *info, const char *directory, struct bkp_run *run,
    struct bkp_scratch **out, struct bkp_error *err);

/* Fills in an empty place for all databases of a source. Takes `conninfo`,
 * which is allocated; NULL: there was no memory for it. */
int bkp_pg_scratch_place(struct bkp_source_config *place,
    const struct bkp_source_config *config, char *conninfo,
    struct bkp_error *err);

#endif
