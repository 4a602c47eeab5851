/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_RENAMED_H
#define LIBBACKUP_POSTGRES_RENAMED_H

/*
 * Databases of a snapshot that are on a server under other names, for as long
 * as they are looked at there. Whoever connects names them as the snapshot
 * does (bkp_conninfo_make); only those who write SQL about a database need to
 * ask what it is called.
 */

#include <stddef.h>

#include "libbackup/error.h"

struct bkp_pg_renamed {
	char **recorded, **real; /* owned, in pairs */
	size_t count;
};

/* "<name>.drill-1a2b3c4d" for one more name. */
int bkp_pg_renamed_add(struct bkp_pg_renamed *renamed, const char *recorded,
    struct bkp_error *err);
void bkp_pg_renamed_free(struct bkp_pg_renamed *renamed);

/* What it is called on the server, and the other way round. `renamed` NULL, and
 * names that it does not know: as they are. */
const char *bkp_pg_real_name(
    const struct bkp_pg_renamed *renamed, const char *recorded);
/* NULL: nothing that the snapshot has; `renamed` NULL: as it is. */
const char *bkp_pg_recorded_name(
    const struct bkp_pg_renamed *renamed, const char *real);

/* "<name>.<what>-1a2b3c4d", with the name cut between characters where it
 * would be too long for a server. The caller's. */
char *bkp_pg_new_name(
    const char *name, const char *what, struct bkp_error *err);

#endif
