/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_WALK_IMPL_H
#define LIBBACKUP_SUBJECT_WALK_IMPL_H

/* What the files of the walk, and rows.h, share. */

#include "formats/buf.h"
#include "libbackup/subject/walk.h"

/* A foreign key or declared reference between two tables of the model. */
struct bkp_walk_edge {
	const char *id; /* borrowed, of the map or the model */
	enum bkp_decided decided;
	bool is_up; /* rows are found from the child's side */
	size_t child, parent;
	const struct bkp_model_edge *key; /* NULL: it is declared */
	const struct bkp_map_edge *map;   /* NULL: nothing is decided */
	uint64_t list;                    /* actor, lookup: its columns, as a
					     bit of bkp_walk_list */
};

/* Columns that an actor or lookup edge gives. Edges into one table that give
 * the same have one bit. */
struct bkp_walk_list {
	size_t table;
	enum bkp_decided decided;
	uint64_t bit;
	const struct bkp_strings *columns; /* borrowed */
};

/* How a type that is not the system's own is compared: with an empty
 * search_path "=" does not find the operator of an extension's type. */
struct bkp_walk_operator {
	unsigned type;
	char *equals; /* owned: "OPERATOR(public.=)" */
	char *name;   /* owned: of the type, for casts */
};

struct bkp_walk_collation {
	unsigned table;
	char *column, *name; /* owned */
};

/* The rows of a table. */
struct bkp_walk_set {
	bool is_used;                      /* rows of it may be reached */
	const struct bkp_walk_edge *chain; /* the only edge to it, where there
					is no temporary table; or NULL */
	bool has_edge;                     /* some edge leads to it */
	bool is_unique;              /* a row may be reached twice: an index
					keeps it from being there twice */
	uint64_t rows;               /* all */
	uint64_t of[BKP_LOOKUP + 1]; /* by decision */
	bool is_merged;   /* some were reached again: `of` is too many */
	uint64_t last;    /* of the last round */
	uint64_t now;     /* of the round that runs */
	uint64_t counted; /* when the planner was told */
};

struct bkp_walk {
	struct bkp_pg pg;
	struct bkp_run *run;       /* borrowed */
	const struct bkp_map *map; /* borrowed */
	bool is_erasing;           /* own is what an erasure deletes */
	bool is_reading;           /* rows are read by chains, too */
	struct bkp_model model;
	char *lsn, *time;
	size_t subject;              /* table */
	PGresult *subject_row;       /* owned: what chains hang on, or NULL */
	struct bkp_walk_edge *edges; /* of the map, and keys not decided */
	size_t edge_count, edge_cap;
	struct bkp_walk_list *lists;
	size_t list_count, list_cap;
	struct bkp_walk_operator *operators;
	size_t operator_count, operator_cap;
	struct bkp_walk_collation *collations;
	size_t collation_count, collation_cap;
	struct bkp_walk_set *sets; /* one a table of the model */
	unsigned round;
	struct bkp_walk_table *tables; /* what bkp_walk_tables answers */
	size_t table_count, table_cap;
};

/* True where rows of this edge are wanted: it is decided so, and the table
 * that it leads to is not left out. */
bool bkp_walk_is_decided(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge);

/* True where they are, and can be had. */
bool bkp_walk_is_followed(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge);

/* The tables that an edge comes from and leads to. */
size_t bkp_walk_source(const struct bkp_walk_edge *edge);
size_t bkp_walk_target(const struct bkp_walk_edge *edge);

size_t bkp_walk_pair_count(const struct bkp_walk_edge *edge);
bool bkp_walk_is_partitioned(const struct bkp_model_table *table);

/* ---- walk_edges.c ---- */

/* The edges of map and model, and their lists of columns. */
int bkp_walk_read_edges(struct bkp_walk *walk, struct bkp_error *err);

/* How values are compared where "=" does not say it. */
int bkp_walk_read_operators(struct bkp_walk *walk, struct bkp_error *err);

/* ---- walk_sql.c: all appended ---- */

/* The index of the parent's column of a pair; SIZE_MAX: it has none such. */
size_t bkp_walk_parent_column(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t pair);

/* True where the child's value of a pair is a column and not an expression;
 * *column is its index. */
bool bkp_walk_child_column(const struct bkp_walk *walk,
    const struct bkp_walk_edge *edge, size_t pair, size_t *column);

/* A child's value, its columns qualified by the table's bare name. Where it
 * is_guarded, the condition is looked at before the value is made. */
enum fmt_status bkp_walk_append_value(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t pair,
    bool is_guarded);

/* The same for what a reference stands in: of an array of them the array. The
 * condition is looked at first. */
enum fmt_status bkp_walk_append_array_or_value(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t pair);

/* The most that a row can be from which an edge of this kind is followed. */
enum bkp_decided bkp_walk_reaches_from(enum bkp_decided decided);

/* "<left> = <right>" for a pair, `right` being the parent's column. */
enum fmt_status bkp_walk_append_equal(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t pair,
    const char *left, const char *alias);

/* " =", as the type of the column wants it. */
enum fmt_status bkp_walk_append_operator(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_model_column *column);

/* "(SELECT rel, tid, v0, ... FROM the child)"; leaf NULL: all of it. */
enum fmt_status bkp_walk_append_child(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    const struct bkp_model_leaf *leaf, bool is_guarded);

/* "v0 = p.a AND v1 = p.b" with v of `alias`. */
enum fmt_status bkp_walk_append_join(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    const char *alias);

/* The statement that follows an edge from one leaf of its source. */
enum fmt_status bkp_walk_append_follow(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t leaf,
    bool is_first, bool is_guarded);

/* True where other edges give other columns of the same rows. */
bool bkp_walk_is_merged(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge);

/* "SELECT DISTINCT c.rel, c.tid ...": the rows that refer by the edge to what
 * was reached in a leaf of its parent and were not reached themselves. */
enum fmt_status bkp_walk_append_referring(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    const struct bkp_model_leaf *leaf);

/* "FROM ..." for all the rows of a table, by its bare name. */
enum fmt_status bkp_walk_append_from(
    struct fmt_buf *out, const struct bkp_model_table *table);

/* The same with a value of the parent's column, as text. */
enum fmt_status bkp_walk_append_equal_value(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t pair,
    const char *left, const char *value);

/* ---- walk_chain.c ---- */

/* True where the rows of a table are told by the foreign keys above it. */
bool bkp_walk_is_chain(const struct bkp_walk *walk, size_t table);
void bkp_walk_find_chains(struct bkp_walk *walk);

/* True where a chain's edge comes from the subject's one row. */
bool bkp_walk_hangs_on_subject(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge);

/* True where the walk, which has run, reached nothing that it hangs on. */
bool bkp_walk_is_chain_empty(const struct bkp_walk *walk, size_t table);

/* Reads what chains hang on. */
int bkp_walk_read_subject(struct bkp_walk *walk, struct bkp_error *err);

/* " FROM ... WHERE ..." for the rows of a table, by its bare name; what it
 * hangs on, where that is not the subject, is CHAIN_PARENT there. */
#define BKP_WALK_CHAIN_PARENT "\"walk 1\""
enum fmt_status bkp_walk_append_chain(
    struct fmt_buf *out, const struct bkp_walk *walk, size_t table);

/* "c.a = p.b AND ...": a row of the table, c, hangs on p. */
enum fmt_status bkp_walk_append_chain_link(
    struct fmt_buf *out, const struct bkp_walk *walk, size_t table);

/* ---- walk_types.c ---- */

/* Tells of rows that refer to what was reached, with a type that none of the
 * references by the same column is for. */
int bkp_walk_report_types(struct bkp_walk *walk, struct bkp_error *err);

/* ---- walk_unread.c ---- */

/* False where rows are only to be read, and the role may not read both of its
 * tables. */
bool bkp_walk_can_read(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge);

/* Tells which tables lack what for it, of a walk that has run. */
int bkp_walk_tell_unread(struct bkp_walk *walk, struct bkp_error *err);

/* ---- */

/* Runs one statement that was written into `sql`; *rows (may be NULL) is what
 * it says to have changed. */
int bkp_walk_execute(struct bkp_walk *walk, struct fmt_buf *sql,
    enum fmt_status status, uint64_t *rows, struct bkp_error *err);

#endif
