/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_INCREMENTAL_H
#define LIBBACKUP_SOURCE_POSTGRES_INCREMENTAL_H

/*
 * Rows that need not be read again (incremental.md beside this file says why
 * that is safe). For every range of pages of a table the host remembers, in
 * its cache, what the backup before made of it; where nothing has touched the
 * range since, that is taken over. Anything unknown means that all is read,
 * and one in sixteen ranges is read all the same and compared.
 *
 * Thread rule: find and put from any thread, the rest from the calling one.
 * Memory: 160 bytes a table, a bit a range.
 */

#include "formats/rowhash.h"
#include "libbackup/source/postgres_source.h"

struct bkp_pg_incremental;

/* What COPY made of a range. */
struct bkp_pg_range {
	uint32_t oid;
	uint64_t first, last; /* pages; last 0: to the end */
	uint64_t bytes;
	struct fmt_rowhash hash;
	const struct fmt_chunk_ref *refs; /* borrowed */
	size_t ref_count;
};

/* Before any snapshot is taken. What goes wrong is kept for those below. */
int bkp_pg_incremental_mark(
    struct bkp_pg_source *source, struct bkp_pg *pg, struct bkp_error *err);

/* Once all snapshots are taken. */
int bkp_pg_incremental_begin(
    struct bkp_pg_source *source, struct bkp_run *run, struct bkp_error *err);

/* For a database whose ranges have been chosen; *out is NULL where nothing is
 * to be taken over or remembered. */
int bkp_pg_incremental_open(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_row_cache *rows,
    struct bkp_run *run, struct bkp_pg_incremental **out,
    struct bkp_error *err);
void bkp_pg_incremental_free(struct bkp_pg_incremental *incremental);

/* True where a range (oid, first and last are set) is known and untouched;
 * the refs lie in `room`. *is_checked: it is to be read all the same. */
bool bkp_pg_incremental_find(struct bkp_pg_incremental *incremental,
    struct fmt_buf *room, struct bkp_pg_range *range, bool *is_checked);

/* Counts a range, and remembers it. */
int bkp_pg_incremental_put(struct bkp_pg_incremental *incremental,
    const struct bkp_pg_range *range, bool is_reused, struct bkp_error *err);

/* A range that was known came otherwise: forget all, and read all. */
int bkp_pg_incremental_distrust(struct bkp_pg_incremental *incremental,
    struct bkp_run *run, struct bkp_error *err);

/* All ranges have been put. Adds what was read and what not to `facts`. */
int bkp_pg_incremental_finish(struct bkp_pg_incremental *incremental,
    struct bkp_run *run, json_t *facts, struct bkp_error *err);

/* All databases are done: adds what was taken over of all to the facts. */
int bkp_pg_incremental_sum(struct bkp_pg_source *source, struct bkp_error *err);

#endif
