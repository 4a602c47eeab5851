/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_ANALYZE_H
#define LIBBACKUP_POSTGRES_ANALYZE_H

#include "libbackup/postgres/session.h"

/* Lists what a plain ANALYZE takes, the largest first: name for a statement,
 * pages; that of a partitioned table takes in its partitions. What has parts
 * that are foreign tables is left out, for a sample of it is one of those too,
 * and its other parts are listed: no other server is asked for anything. */
extern const char bkp_pg_analyzed[];

/* Takes the statistics of them all. */
int bkp_pg_analyze(struct bkp_pg *pg, struct bkp_error *err);

#endif
