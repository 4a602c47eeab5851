/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_MODEL_OWN_H
#define LIBBACKUP_SUBJECT_MODEL_OWN_H

/* What the parts of the catalogue's reader share. */

#include "libbackup/subject/model.h"

/* Every table and partition that there is. */
struct model_relation {
	unsigned oid;
	unsigned above; /* OID of what it is a partition of; 0: of nothing */
	char kind;      /* pg_class.relkind */
	char *id;       /* owned */
	size_t table;   /* of the model: its root's */
};

/* A table that inherits from another, no partition. */
struct model_child {
	size_t table, parent;
};

struct model_reader {
	struct bkp_pg *pg;
	struct bkp_model *model;
	struct model_relation *relations; /* sorted by OID */
	size_t relation_count, relation_cap;
	struct model_child *children; /* sorted by table */
	size_t child_count, child_cap;
};

/* A row of an answer. */
struct model_row {
	const PGresult *result;
	int number;
};

const char *bkp_model_row_text(const struct model_row *row, int column);
unsigned bkp_model_row_oid(const struct model_row *row, int column);
bool bkp_model_row_is(const struct model_row *row, int column); /* a boolean */

/* A copy, or NULL in *out where it is NULL. */
int bkp_model_row_copy(
    const struct model_row *row, int column, char **out, struct bkp_error *err);

/* Runs a query and calls `each` for its rows; arg is passed on. */
int bkp_model_each(struct model_reader *r, const char *sql,
    int (*each)(struct model_reader *r, const struct model_row *row, void *arg,
	struct bkp_error *err),
    void *arg, struct bkp_error *err);

/* NULL: of the system, of an extension, temporary. */
const struct model_relation *bkp_model_relation(
    const struct model_reader *r, unsigned oid);

/* What schemas and tables a model is of, over pg_class c and pg_namespace
 * n. */
#define MODEL_FROM                                                             \
	"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"             \
	" AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"       \
	" AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'"

/* The steps, in this order. */
int bkp_model_read_tables(struct model_reader *r, struct bkp_error *err);
int bkp_model_read_columns(struct model_reader *r, struct bkp_error *err);
int bkp_model_read_edges(struct model_reader *r, struct bkp_error *err);
int bkp_model_read_indexes(struct model_reader *r, struct bkp_error *err);

#endif
