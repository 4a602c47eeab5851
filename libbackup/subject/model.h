/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_MODEL_H
#define LIBBACKUP_SUBJECT_MODEL_H

/*
 * The tables of a database and the foreign keys between them, as a walk needs
 * them: a partitioned table is one table, however many partitions hold its
 * rows and its constraints. A child of plain inheritance is a table of its
 * own, and its parent is read without it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/pgjson.h"
#include "libbackup/postgres/session.h"

struct bkp_model_column {
	char *name;           /* owned */
	char *type;           /* owned: format_type's "numeric(10,2)" */
	unsigned type_oid;    /* of the base type, for pairing */
	enum fmt_pgjson kind; /* how a value is read; domains
				count as what they are made of */
	bool is_array;        /* of elements of that kind */
	bool is_composite;    /* a row or range, or an array of such: the
				 server's own to_json writes it */
	bool is_not_null;
	bool is_generated;
	char *comment; /* owned, or NULL */
};

/* One heap: a table itself, or a partition of it. */
struct bkp_model_leaf {
	unsigned oid;
	char *quoted; /* owned */
};

/* What the role may read of a table and its partitions. */
enum bkp_access {
	BKP_ACCESS_ALL,
	BKP_ACCESS_SOME, /* policies hide rows from it */
	BKP_ACCESS_NONE
};

struct bkp_model_table {
	char *schema, *name; /* owned */
	char *id;            /* owned: "public.users", as maps name it */
	char *quoted;        /* owned */
	unsigned oid;
	struct bkp_model_leaf *leaves; /* where rows are; never none but for a
					  partitioned table without any */
	size_t leaf_count, leaf_cap;
	struct bkp_model_column *columns; /* in their order, none dropped */
	size_t column_count, column_cap;
	size_t
	    *key; /* owned: columns of the primary key; NULL: there is none */
	size_t key_count;
	double rows; /* the planner's estimate, all leaves; -1: never counted */
	uint64_t bytes;
	bool is_foreign; /* a foreign table or a leaf of it: no ctid to go by */
	enum bkp_access access;
	char *parent;  /* owned: id of the table it inherits from, or NULL */
	char *comment; /* owned, or NULL */
};

/* Foreign keys with the same columns on both sides are one edge. */
struct bkp_model_edge {
	size_t child, parent;   /* tables */
	size_t *child_columns;  /* owned */
	size_t *parent_columns; /* owned, the same number */
	size_t column_count;
	char *constraint;      /* owned: a name, for messages */
	char *id;              /* owned: "public.rentals(customer_id) ->
				  public.customers(id)", as maps name it */
	bool is_child_indexed; /* on every leaf an index begins with them */
	bool is_cascade;       /* ON DELETE CASCADE */
	bool is_match_full;    /* all its columns are NULL, or none */
};

/* Partitions (or children of a table) that do not agree on a foreign key. */
struct bkp_model_split {
	size_t edge;
	bool is_inherited;    /* `without` is a table of its own, a child by
				 inheritance of the edge's child table */
	char *with, *without; /* owned: "public.payment_1, public.payment_2" */
};

struct bkp_model {
	struct bkp_model_table *tables; /* sorted by id */
	size_t table_count, table_cap;
	struct bkp_model_edge *edges; /* sorted by id */
	size_t edge_count, edge_cap;
	struct bkp_model_split *splits;
	size_t split_count, split_cap;
	bool is_for_advice; /* sizes and indexes were read, too */
};

#define BKP_MODEL_INIT                                                         \
	{                                                                      \
		NULL, 0, 0, NULL, 0, 0, NULL, 0, 0, false                      \
	}

/* Reads it in the transaction of `pg`. Tables of extensions and of the system
 * are left out; a table that cannot be read stays, for leaving it out must be
 * somebody's decision. */
int bkp_model_read(
    struct bkp_pg *pg, struct bkp_model *out, struct bkp_error *err);

/* The same without what advice alone is made of: no table has a size, and every
 * reference counts as served by an index. */
int bkp_model_read_for_rows(
    struct bkp_pg *pg, struct bkp_model *out, struct bkp_error *err);
void bkp_model_free(struct bkp_model *model);

/* Why not all rows of a table can be read, and what to do; NULL: they can. */
const char *bkp_model_unreadable(const struct bkp_model_table *table);

/* SIZE_MAX: there is none. */
size_t bkp_model_table(const struct bkp_model *model, const char *id);
size_t bkp_model_edge(const struct bkp_model *model, const char *id);
size_t bkp_model_column(const struct bkp_model_table *table, const char *name);

/* True where the value is a column with an array of the parent's type, so that
 * a GIN index finds an element. */
bool bkp_model_is_array_of(const struct bkp_model_table *table,
    const char *value, const struct bkp_model_column *parent);

/* Appends a value that a map names as SQL: a column of the table by its name,
 * quoted, or an expression between brackets. */
enum fmt_status bkp_model_value(struct fmt_buf *out,
    const struct bkp_model_table *table, const char *value);

#endif
