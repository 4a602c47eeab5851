/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_WALK_H
#define LIBBACKUP_SUBJECT_WALK_H

/*
 * Which rows are the subject's: set after set to a fixpoint, on the server, in
 * one REPEATABLE READ snapshot with row_security off.
 *
 * A row is known by its table's OID and its ctid, which no other row of the
 * snapshot has and which stay while the transaction is open (its locks keep
 * VACUUM FULL and CLUSTER away): tables without a key, keys of many columns,
 * partitions and cycles are one code path. The rows that were reached stand in
 * temporary tables of the session, one a table of the model:
 *
 *	pg_temp.walk_<table> (rel oid, tid tid, decided smallint, edge int,
 *	    from_rel oid, from_tid tid, round int)
 *
 * (rel, tid) is unique. It has an index in the subject's table and where a row
 * can be reached by more than one way; a table that one foreign key leads to
 * goes without.
 *
 * The order: owned rows to a fixpoint, then shared, acted, looked up.
 */

#include "libbackup/subject/map.h"
#include "libbackup/subject/model.h"

struct bkp_walk;

struct bkp_walk_table {
	size_t table; /* of the model */
	enum bkp_decided decided;
	uint64_t rows; /* reached, of this table and decision */
};

/* Nobody knows before the rows are read; there may be none. */
#define BKP_WALK_ROWS_UNKNOWN UINT64_MAX

/*
 * The session begins its transaction and reads the model; everything is
 * locked in ACCESS SHARE. Borrows config, map and run until closed.
 */
int bkp_walk_open(const struct bkp_postgres_config *config,
    const char *database, const struct bkp_map *map, struct bkp_run *run,
    struct bkp_walk **out, struct bkp_error *err);
void bkp_walk_close(struct bkp_walk *walk); /* NULL is fine */

/* The same for an erasure (erase.h): what it reaches is what is to be deleted,
 * all of it as `own`, and its transaction may write. */
int bkp_walk_open_erasing(const struct bkp_postgres_config *config,
    const char *database, const struct bkp_map *map, struct bkp_run *run,
    struct bkp_walk **out, struct bkp_error *err);

/* The same where rows are only to be read (rows.h): of a table that foreign
 * keys alone lead to, from the subject down, no place is put down, and how many
 * rows it has is not known before. There is nothing to explain. A table that
 * the role may not read is gone without, but for the subject's: the run is told
 * of it, and of every table that has rows which are reached by way of it, as
 * omissions. Opened in the other ways, such a walk fails. */
int bkp_walk_open_reading(const struct bkp_postgres_config *config,
    const char *database, const struct bkp_map *map, struct bkp_run *run,
    struct bkp_walk **out, struct bkp_error *err);

struct bkp_pg *bkp_walk_session(struct bkp_walk *walk);
const struct bkp_model *bkp_walk_model(const struct bkp_walk *walk);
const char *bkp_walk_lsn(const struct bkp_walk *walk);
const char *bkp_walk_time(const struct bkp_walk *walk); /* RFC 3339, UTC */

/* True where rows of this table may be in the export, or lead to some. */
bool bkp_walk_uses(const struct bkp_walk *walk, size_t table);

/*
 * Walks from the subject whose key has these values, as text. BKP_NOTFOUND:
 * there is no such row. The map must have passed bkp_review.
 */
int bkp_walk_run(struct bkp_walk *walk, const char *const *key,
    size_t key_count, struct bkp_error *err);

/* The same from several subjects at once, whose keys stand one behind the
 * other. None may be there twice. */
int bkp_walk_run_many(struct bkp_walk *walk, const char *const *keys,
    size_t key_count, size_t subject_count, struct bkp_error *err);

/* What was reached, sorted by table and decision. Borrowed until close. */
const struct bkp_walk_table *bkp_walk_tables(
    const struct bkp_walk *walk, size_t *count);

/* One step of how a row came in; the subject's row has no edge. */
struct bkp_walk_step {
	size_t table;
	char *row;        /* owned: key=value of the primary key, or the ctid */
	const char *edge; /* borrowed: by which it came in, or NULL */
	enum bkp_decided decided;
};

struct bkp_walk_path {
	struct bkp_walk_step *steps; /* from the subject to the row */
	size_t count, cap;
};

/* By which edges a row came in. BKP_NOTFOUND: it did not. */
int bkp_walk_explain(struct bkp_walk *walk, size_t table,
    const char *const *key, size_t key_count, struct bkp_walk_path *out,
    struct bkp_error *err);
void bkp_walk_path_free(struct bkp_walk_path *path);

#endif
