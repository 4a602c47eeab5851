/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_CATALOGUE_H
#define LIBBACKUP_POSTGRES_CATALOGUE_H

/*
 * What of a database is copied: the tables with the columns and ranges, and
 * what is left out. Read in the holder's transaction. Objects are the ones
 * that pg_dump takes: everything outside the system schemas but for what
 * belongs to an extension, except for the configuration tables of extensions
 * with their filter.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/pgcopy.h"
#include "libbackup/base/arena.h"
#include "libbackup/postgres/session.h"

/* One heap that rows are read from. */
struct bkp_pg_part {
	const char *quoted; /* "public"."users" */
	uint32_t oid;
	uint64_t pages; /* of the heap, now */
};

/* One entry of rows. Usually its only part is the table itself. Where rows may
 * not go back into the partition that they came from (hash partitions on an
 * enum: the hash is of the value's OID) the parts are the leaves of a tree
 * and the table is its root. All that it points at is the catalogue's. */
struct bkp_pg_table {
	const char *schema, *name;
	const char *quoted;
	const char *path;      /* component below data/ */
	const char *extension; /* whose configuration it is, or NULL */
	const char *filter;    /* "WHERE ...", or "" */
	uint32_t oid;
	bool is_unlogged;
	bool is_root;         /* of a tree that is loaded through it */
	bool has_ranges;      /* may be read by ctid */
	bool is_by_name;      /* columns in the order of their names */
	uint64_t bytes;       /* of heap and TOAST */
	uint64_t range_pages; /* pages a range; 0: read as a whole */
	const char **columns;
	const char **types; /* of each; "" where its binary form is not one of
			       those that are known to be the same everywhere
			       (bkp_pg_types) */
	size_t column_count;
	bool has_binary;         /* every column's type is known so */
	enum fmt_copy_form form; /* that it is to be read in */
	struct bkp_pg_part *parts;
	size_t part_count;
};

/* Why the rows of a foreign table are left out: as snapshots have recorded it,
 * and so not to be changed. */
#define BKP_PG_SKIPPED_FOREIGN "foreign table: its rows live on another server"

struct bkp_pg_skipped {
	const char *path; /* as that of a table */
	const char *reason;
};

/* There may be 100,000 tables: they take some 400 bytes each. */
struct bkp_pg_catalogue {
	struct bkp_arena arena;
	struct bkp_pg_table *tables; /* sorted by path */
	size_t table_count, table_cap;
	struct bkp_pg_skipped *skipped;
	size_t skipped_count, skipped_cap;
};

/*
 * SQL: a query of "type", the OID of a type, and "name", what is recorded of a
 * column of it: the name of one of the server's own types, or "enum"; through
 * all domains. Types that are not in it carry what
 * means something else on another server, such as OIDs, or have no binary form
 * that stays the same.
 */
extern const char bkp_pg_types[];

#define BKP_PG_CATALOGUE_INIT                                                  \
	{                                                                      \
		BKP_ARENA_INIT, NULL, 0, 0, NULL, 0, 0                         \
	}

/* Reads it. Row-level security that would hide rows is an error that names the
 * tables. */
int bkp_pg_catalogue_read(
    struct bkp_pg *pg, struct bkp_pg_catalogue *out, struct bkp_error *err);
void bkp_pg_catalogue_free(struct bkp_pg_catalogue *catalogue);

/* The pages a range of a table should have so that it holds about 1 MiB of
 * heap and TOAST: a power of two. `before` is what an earlier backup took (0:
 * none): it is kept while it is not off by more than a factor of three, for
 * a range that keeps its boundaries is a chunk that is known. */
uint64_t bkp_pg_range_pages(uint64_t pages, uint64_t bytes, uint64_t before);

#endif
