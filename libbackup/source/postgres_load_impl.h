/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_LOAD_IMPL_H
#define LIBBACKUP_SOURCE_POSTGRES_LOAD_IMPL_H

/*
 * What loading a whole database and loading into tables that exist have in
 * common: the tables of a snapshot, and one COPY (postgres_load_table.c).
 */

#include <pthread.h>

#include "formats/rowhash.h"
#include "libbackup/base/arena.h"
#include "libbackup/source/postgres_load.h"

/* Chunks that cannot be read any more. */
struct bkp_pg_loss {
	size_t count;
	struct bkp_error why; /* of the first */
};

/* A table to load; what it points at is the load's. There may be 100,000. */
struct bkp_pg_loaded {
	struct fmt_entry entry; /* of its chunks those with rows; no
				   attributes, no kind */
	enum fmt_copy_form form;
	const char *quoted, *schema, *name, *encoding;
	const char **columns;
	const char **types; /* NULL: none are recorded */
	size_t column_count;
	struct fmt_rowhash expected, loaded;
	struct bkp_pg_loss *loss; /* owned; NULL: nothing is lost */
	size_t *cuts; /* the first chunk of each piece, and the end */
	size_t cut_count;
	bool is_of_extension;
	bool had_path;    /* it took the search path of the database */
	const char *root; /* rows went in through it; NULL: none did */
};

/* Chunks of a table, while they are being loaded. */
struct bkp_pg_piece {
	const struct bkp_pg_loaded *table; /* borrowed */
	size_t first, last;                /* chunks */
	bool is_frozen; /* the table was emptied by this transaction */
	struct fmt_rowhash hash;
	struct bkp_pg_loss loss;
	bool had_path;
	char *root; /* owned: the table that its rows go in through, quoted;
		       NULL: that which they were in */
};

struct bkp_pg_loader {
	struct bkp_pg pg;
	struct fmt_buf chunk;
};

struct bkp_pg_load {
	struct bkp_pg_target *target;
	struct bkp_supply *supply;
	struct bkp_run *run;
	const char *database;    /* to connect to */
	const json_t *facts;     /* borrowed */
	const atomic_bool *stop; /* borrowed, or NULL */
	struct bkp_pg_loader *workers;
	struct bkp_arena arena;
	struct bkp_pg_loaded *tables; /* largest first */
	size_t table_count, table_cap;
	struct bkp_pg_there there; /* where a part was chosen */
	pthread_mutex_t mutex;     /* of what the pieces of a table come to */
};

/* Collects the tables that are selected. Where this fails fini is due, too. */
int bkp_pg_load_init(struct bkp_pg_load *load,
    const struct bkp_pg_target_database *database, struct bkp_error *err);
void bkp_pg_load_fini(struct bkp_pg_load *load);

/* Loads the chunks of a piece with one COPY, but for those that are lost. */
int bkp_pg_load_chunks(struct bkp_pg_load *load, struct bkp_pg *pg,
    unsigned worker, struct bkp_pg_piece *piece, struct bkp_error *err);

/* Adds what a piece came to to its table. */
int bkp_pg_load_add(struct bkp_pg_loaded *table,
    const struct bkp_pg_piece *piece, struct bkp_error *err);

/* 0: the table has all its rows; 1: it has not, and that was noted, after
 * `became`. */
int bkp_pg_load_settle_table(struct bkp_pg_load *load,
    const struct bkp_pg_loaded *table, const char *became,
    struct bkp_error *err);

#endif
