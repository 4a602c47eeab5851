/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_LOAD_OWN_H
#define LIBBACKUP_SUBJECT_LOAD_OWN_H

/* What the steps of loading share. */

#include "libbackup/subject/load.h"
#include "libbackup/subject/model.h"

/* A column of the target table. */
struct load_column {
	const struct bkp_model_column *model; /* borrowed */
	bool is_loaded;                       /* the export has it, as it was */
	bool is_replaced;  /* the export has something else in its place */
	bool has_default;  /* or is an identity, or its type has one */
	bool is_key;       /* of the primary key */
	bool is_referring; /* stands in a foreign key to a loaded table */
	bool is_linked;    /* stands at either end of such a foreign key */
	bool is_changed;   /* has other values than in the export */
	unsigned sequence; /* OID; 0: none gives its default */
	bool is_named;    /* names the subject and other people: load_named.c */
	char *self;       /* owned: SQL of the subject's value; or NULL */
	const char *fill; /* borrowed: SQL of the value of each row; or NULL */
	char *fresh;      /* owned: SQL of a new key; NULL: there is none */
};

/* A table of the export that is loaded. */
struct load_table {
	const struct bkp_unpack_table *from; /* borrowed */
	size_t model;                        /* the target */
	const struct bkp_model_table *to;    /* borrowed */
	struct load_column *columns;         /* owned: as in the model */
	size_t member;                       /* its place among the members */
	unsigned number;                     /* pg_temp.load_<n>, rows_<n> */
	bool is_stored;  /* rows_<n> is a table, and no view */
	uint64_t before; /* rows of the target that were there */
	uint64_t inserted;
};

struct load_trigger {
	char *table, *name; /* owned: quoted */
	bool is_always;
};

struct load_constraint {
	char *table, *name; /* owned: quoted */
};

struct bkp_load {
	struct bkp_pg *pg;
	struct bkp_unpack *unpack;
	struct bkp_run *run;
	struct bkp_load_options options;
	struct bkp_model model;
	struct load_table *tables; /* once ordered: parents first */
	size_t count;
	struct load_trigger *triggers; /* switched off */
	size_t trigger_count, trigger_cap;
	struct load_constraint *constraints; /* made deferrable */
	size_t constraint_count, constraint_cap;
	struct load_soft *softs; /* owned: load_soft.h */
	size_t soft_count;
	size_t open; /* references that cannot be loaded, and the first */
	struct bkp_error first_open;
	struct bkp_load_counts counts;
	bool is_open; /* the transaction */
};

/* ---- the steps, in this order ---- */

/* load_choose.c */
bool bkp_load_is_left(const struct bkp_load *load, const char *id);
int bkp_load_choose(struct bkp_load *load, struct bkp_error *err);
/* load_compare.c */
int bkp_load_compare(struct bkp_load *load, struct bkp_error *err);
/* load_order.c: order, locks, triggers, circles */
int bkp_load_order(struct bkp_load *load, struct bkp_error *err);
int bkp_load_lock(struct bkp_load *load, struct bkp_error *err);
int bkp_load_switch_off(struct bkp_load *load, struct bkp_error *err);
int bkp_load_switch_on(struct bkp_load *load, struct bkp_error *err);
/* load_stage.c */
int bkp_load_stage(struct bkp_load *load, struct bkp_error *err);
int bkp_load_check_lines(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err);
int bkp_load_type(struct bkp_load *load, const struct load_table *table,
    struct bkp_error *err);
/* load_named.c: those of shared rows */
int bkp_load_name(struct bkp_load *load, struct bkp_error *err);
enum fmt_status bkp_load_append_other(
    struct fmt_buf *sql, const struct load_column *column, const char *value);
enum fmt_status bkp_load_append_named(
    struct fmt_buf *sql, const struct load_column *column);
/* load_keys.c */
/* Whether rows of the table get new keys: those that are the subject's, and
 * what is looked up in the same table, whose keys would stand in their way. */
bool bkp_load_is_remapped(
    const struct bkp_load *load, const struct load_table *table);
int bkp_load_remap(struct bkp_load *load, struct bkp_error *err);
int bkp_load_sequences(struct bkp_load *load, struct bkp_error *err);
/* load_soft.c: references that are no foreign keys, where keys change */
int bkp_load_soft_read(struct bkp_load *load, struct bkp_error *err);
int bkp_load_soft_follow(struct bkp_load *load, struct bkp_error *err);
void bkp_load_soft_free(struct bkp_load *load);
/* load_resolve.c: references to rows that nobody has */
void bkp_load_tell_open(struct bkp_load *load, const char *edge,
    const struct load_table *child, uint64_t open, bool is_nullable);
void bkp_load_tell_null(struct bkp_load *load, const char *edge, uint64_t rows);
/* Makes rows_<n> a table, which can be changed. */
int bkp_load_store(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err);
int bkp_load_resolve(struct bkp_load *load, struct bkp_error *err);
/* load_lookup.c */
/* Without its primary key a looked-up row is left out. */
bool bkp_load_has_key(const struct load_table *table);
int bkp_load_lookup(
    struct bkp_load *load, struct load_table *table, struct bkp_error *err);

/* ---- for the steps ---- */

/* Runs one query that answers one number. */
int bkp_load_number(struct bkp_load *load, struct fmt_buf *sql, uint64_t *out,
    struct bkp_error *err);
/* Runs one statement; *rows (may be NULL): how many it concerned. Takes the
 * content of `sql`. */
int bkp_load_do(struct bkp_load *load, struct fmt_buf *sql, uint64_t *rows,
    struct bkp_error *err);

/* Appends ", "-separated names of the columns that are loaded or filled: quoted
 * in the target, or c0, c1... of the staged rows. */
enum fmt_status bkp_load_append_columns(
    struct fmt_buf *sql, const struct load_table *table, bool is_staged);

#endif
