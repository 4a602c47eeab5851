/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_CLUSTER_H
#define LIBBACKUP_SOURCE_POSTGRES_CLUSTER_H

/* Empty clusters, for scratch servers. */

#include <stdbool.h>

#include "libbackup/base/run.h"
#include "libbackup/error.h"

struct bkp_pg_cluster {
	struct bkp_run *run;
	const char *initdb, *postgres; /* paths */
	const char *superuser;
	const char *user;   /* whose it is to be; NULL: ours */
	const char *folder; /* its own: "data" is made in it */
	const char *const *env;
};

/* initdb takes as much of the processor as restoring a small database, and
 * what it makes is the same every time: that is kept in the cache, and the next
 * cluster is unpacked from it, unless a program, or what the machine knows of
 * locales, has changed. *is_kept: it was unpacked. */
int bkp_pg_cluster_make(
    const struct bkp_pg_cluster *cluster, bool *is_kept, struct bkp_error *err);

/* The server does not start in what was unpacked: the next is made anew. */
void bkp_pg_cluster_forget(const struct bkp_pg_cluster *cluster);

#endif
