/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_WAL_H
#define LIBBACKUP_POSTGRES_WAL_H

/*
 * What a server's summaries of its WAL (summarize_wal, PostgreSQL 17) tell of
 * the pages of heaps. Every function fails where anything is not as it has to
 * be; the error says why, and who asked reads all pages then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/postgres/session.h"

/* Every transaction with a number from `xid` on wrote its first WAL at `lsn`
 * or later. */
struct bkp_pg_wal_point {
	uint64_t lsn, xid;
};

#define BKP_PG_WAL_POINTS 2

/* One life of one server. */
struct bkp_pg_wal_server {
	uint64_t system;    /* identifier */
	int64_t started_us; /* when its postmaster was started */
	uint32_t timeline;
};

struct bkp_pg_wal {
	struct bkp_pg_wal_server server;
	struct bkp_pg_wal_point points[BKP_PG_WAL_POINTS]; /* newest first */
	uint64_t end;      /* summaries go so far at least */
	uint64_t boundary; /* where one of them ends, at `end` or later */
};

/* Before the snapshot: who the server is, and points. Takes a number for a
 * transaction, which nothing else could tell. */
int bkp_pg_wal_mark(
    struct bkp_pg *pg, struct bkp_pg_wal *wal, struct bkp_error *err);

bool bkp_pg_wal_is_server(
    const struct bkp_pg_wal_server *a, const struct bkp_pg_wal_server *b);

/* Fails where this session's server is not the one that was marked: a
 * connection string may name several. */
int bkp_pg_wal_check(
    struct bkp_pg *pg, const struct bkp_pg_wal *wal, struct bkp_error *err);

/* After the snapshot: asks for a checkpoint, where summaries end, and waits
 * until all is summarised that the snapshot sees. */
int bkp_pg_wal_summarise(
    struct bkp_pg *pg, struct bkp_pg_wal *wal, struct bkp_error *err);

/* A heap whose pages are asked about, in ranges; the last range is open. */
struct bkp_pg_wal_heap {
	uint32_t filenode, tablespace;
	uint64_t range_pages;   /* not 0 */
	size_t range_count;     /* not 0 */
	unsigned char *touched; /* a bit a range */
};

/*
 * Sets the bit of every range of the current database that WAL from `from` on
 * touches. Fails where summaries do not cover all of it, or where none of them
 * ends at `boundary`: then this WAL is not what was written then.
 */
int bkp_pg_wal_touched(struct bkp_pg *pg, const struct bkp_pg_wal *wal,
    uint64_t from, uint64_t boundary, struct bkp_pg_wal_heap *heaps,
    size_t count, struct bkp_error *err);

#endif
