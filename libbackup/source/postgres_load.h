/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_LOAD_H
#define LIBBACKUP_SOURCE_POSTGRES_LOAD_H

/*
 * The rows of a database, cut into pieces that several workers load at once,
 * each over a connection of its own.
 */

#include <stdatomic.h>

#include "libbackup/source/postgres_target.h"

struct bkp_pg_load;

/* Reads which tables there are; what it is given is borrowed until close. */
int bkp_pg_load_open(struct bkp_pg_target *target, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, const atomic_bool *stop,
    struct bkp_pg_load **out, struct bkp_error *err);
void bkp_pg_load_close(struct bkp_pg_load *load); /* NULL is fine */

struct bkp_pg_load_table {
	const char *schema, *name; /* borrowed until close */
	uint64_t bytes, rows;
	uint64_t pieces; /* at least 1 */
	bool is_of_extension;
};

size_t bkp_pg_load_count(const struct bkp_pg_load *load);
void bkp_pg_load_table(const struct bkp_pg_load *load, size_t table,
    struct bkp_pg_load_table *out);

/* Loads one piece on the connection of a worker. */
int bkp_pg_load_piece(struct bkp_pg_load *load, unsigned worker, size_t table,
    uint64_t piece, struct bkp_error *err);

/* Loads all pieces of a table at once, as the one who made it: rows are frozen
 * and seen by everybody, so that nothing has to be written about them later,
 * and a server with wal_level=minimal does not log them. */
int bkp_pg_load_whole(struct bkp_pg_load *load, unsigned worker, size_t table,
    struct bkp_error *err);

/* Every piece is in: compares with what the backup recorded, and notes what is
 * lost. Any thread. */
int bkp_pg_load_settle(
    struct bkp_pg_load *load, size_t table, struct bkp_error *err);

/* Tells what there is to say when all is loaded; calling thread. */
void bkp_pg_load_tell(struct bkp_pg_load *load);

/* True where the server chose among partitions, for rows no longer fitted
 * theirs. */
bool bkp_pg_load_has_moved(const struct bkp_pg_load *load);

#endif
