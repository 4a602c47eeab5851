/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_PIECES_H
#define LIBBACKUP_SOURCE_POSTGRES_PIECES_H

/* Ranges of tables, and the workers that copy them: for a backup, and for a
 * share of one. */

#include <pthread.h>
#include <stdatomic.h>

#include "libbackup/source/postgres_incremental.h"
#include "libbackup/source/postgres_source.h"

/* One COPY. */
struct bkp_pg_piece {
	size_t table; /* in the catalogue */
	const struct bkp_pg_part *part;
	uint64_t first, last;       /* pages; last 0: to the end */
	struct fmt_chunk_ref *refs; /* owned */
	size_t ref_count, ref_cap;
	uint64_t bytes;
	struct fmt_rowhash hash;
	bool is_reused; /* of an earlier backup */
	bool is_left;   /* not read: by a share, which has no lock */
};

struct bkp_pg_copier {
	struct bkp_pg pg;
	const struct bkp_pg_part *locked; /* the lock on it is held */
	unsigned table_count;             /* since the transaction began */
	bool is_swollen;                  /* by a row longer than ROW_MAX */
	struct fmt_buf room;
	struct fmt_buf known; /* of an earlier backup, of the piece */
	struct bkp_content *content;
};

struct bkp_pg_copying {
	struct bkp_pg_source *source;
	struct bkp_pg_source_database *database;
	struct bkp_run *run;
	struct bkp_pg_copier *workers; /* one each */
	struct fmt_entry *entries; /* one a table, as in the catalogue; named
				      when they are handed over */
	struct fmt_rowhash *hashes;
	const char *encoding;
	bool is_compared;                       /* and not stored */
	struct bkp_row_cache *rows;             /* borrowed; may be NULL */
	struct bkp_pg_incremental *incremental; /* owned; may be NULL */
	_Atomic bool is_refuted; /* what was known is not what is there */

	/* What others have read for a leader (bkp_pg_shared_open); what a
	 * share cannot read it leaves to him. */
	struct bkp_pg_shared *shared; /* owned; may be NULL */
	bool is_share;

	/* What the content of a table in the binary form begins and ends with:
	 * all of it is what COPY sends. */
	struct fmt_chunk_ref header, trailer;

	/* Where `next` is. */
	size_t *order; /* tables, largest first */
	size_t at_table, at_part;
	uint64_t at_page;
	uint64_t piece_count;

	/* The holder's connection, lent to a worker that cannot get a lock. */
	pthread_mutex_t holder_lock;
};

struct bkp_pg_table *bkp_pg_copying_table(
    struct bkp_pg_copying *tables, size_t n);

/* A worker each of the run; `stop` also where start failed, or was not
 * called. */
int bkp_pg_copying_start(struct bkp_pg_copying *tables, struct bkp_sink *sink,
    struct bkp_error *err);
void bkp_pg_copying_stop(struct bkp_pg_copying *tables);

/* For a pipeline of pieces; arg is the copying. */
int bkp_pg_piece_work(
    void *arg, unsigned number, void *item, struct bkp_error *err);
void bkp_pg_piece_discard(void *arg, void *item);

/* What came of a piece; borrows from it. */
struct bkp_pg_range bkp_pg_piece_range(const struct bkp_pg_piece *piece);

/* ---- reading together (postgres_share.c) ---- */

/* Finds the tables of a database in what others have read; *out is NULL where
 * nobody has. */
int bkp_pg_shared_open(const struct bkp_shared *shared,
    struct bkp_pg_source_database *database, struct bkp_pg_shared **out,
    struct bkp_error *err);
void bkp_pg_shared_free(struct bkp_pg_shared *shared);

/* What came of a piece; NULL: it is to be read here. Any thread. */
const struct fmt_share_piece *bkp_pg_shared_find(
    const struct bkp_pg_shared *shared, const struct bkp_pg_table *table,
    const struct bkp_pg_piece *piece);

#endif
