/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_MAP_H
#define LIBBACKUP_SUBJECT_MAP_H

/*
 * The map: what an export of one subject holds, decided by people, kept with
 * the application as YAML (backup-export-map(5)).
 *
 *	version: 1
 *	subject:
 *	  table: public.users
 *	  key: [id]
 *	  label: Your account
 *	edges:
 *	  "public.orders(user_id) -> public.users(id)": own
 *	  "public.orders(product_id) -> public.products(id)":
 *	    lookup: [name, price]
 *	  "public.users(address_id) -> public.addresses(id)":
 *	    own: up
 *	  "public.blocks(creator_id) -> public.users(id)":
 *	    actor: [id, created_at]
 *	  "public.audit(user_id) -> public.users(id)":
 *	    skip: kept for tax law, no more than ten years
 *	references:                      # edges that are no foreign keys
 *	  - from: public.events
 *	    columns: ["(payload->>'user_id')::bigint"]
 *	    to: public.users(id)
 *	    when: "kind = 'user'"
 *	    own: down
 *	files:
 *	  - table: public.users
 *	    bucket: uploads
 *	    key: avatar_key              # or prefix: an expression
 *	  - {table: public.photos, bucket: uploads, key: file, of: shared}
 *	tables:
 *	  public.users:
 *	    label: Account
 *	    purpose: running your account
 *	    origin: provided             # or observed, derived
 *	    columns:
 *	      password_hash: {omit: a credential}
 *	      phone: {mask: true}
 *	      invited_by: {pseudonym: users}
 *	      ref: {plain: true}         # looks like a reference, is none
 *	      state: {label: State, values: {a: active, b: blocked}}
 *	  public.migrations:
 *	    skip: holds no personal data
 *
 * Decisions. A row is owned, shared, acted or looked up; one that is reached
 * in several ways counts as the first of these.
 *	own     the child's rows are the subject's as the parent's are; the walk
 *	        goes on from them ("up": the parent's row is the subject's as
 *	        the child's is). Followed from owned rows only.
 *	shared  the same, but the rows are other people's too: followed from
 *	        owned and shared rows, and gives shared rows, in which every
 *	        reference to somebody else's row of the subject's table is a
 *	        pseudonym.
 *	actor   the subject did something to what is not the subject's: these
 *	        columns of the child's rows, nothing beyond. From owned rows.
 *	lookup  these columns of the parent's row explain the child's. From rows
 *	        of every kind.
 *	skip    not followed, for the reason given.
 * What no decision reaches is not exported.
 *
 * An edge may say what an erasure makes of the rows that refer to erased ones
 * (erase.h): "{actor: [id], erase: delete}". Where it does not, what is own is
 * erased with what it hangs on, and every other reference is cleared.
 *
 * "undecided" may stand for every decision: the file is read, and review.h
 * fails on it. SQL of a map is one expression over the columns of its table,
 * which may be qualified with the table's bare name; it is put between
 * brackets, which the reader makes sure that it cannot leave.
 */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_yaml.h"

enum bkp_decided {
	BKP_UNDECIDED,
	BKP_OWN,
	BKP_SHARED,
	BKP_ACTOR,
	BKP_LOOKUP,
	BKP_SKIP
};

enum bkp_erase {
	BKP_ERASE_DEFAULT, /* own: delete; else clear */
	BKP_ERASE_DELETE,  /* the child's row is erased, too */
	BKP_ERASE_CLEAR,   /* it stays, and refers to nothing */
	BKP_ERASE_KEEP     /* of a declared reference: it stays as it is; of
			      "own: up": the parent's row stays */
};

/* A foreign key, or a reference that the map declares. */
struct bkp_map_edge {
	char *id; /* as the model names it; of a declared
		     reference the same form is made up */
	enum bkp_decided decided;
	bool is_up;                 /* own, shared: from child to parent */
	char *reason;               /* of skip */
	struct bkp_strings columns; /* of actor and lookup */
	enum bkp_erase erase;
	/* declared references only: */
	bool is_declared;
	char *child, *parent;              /* ids of tables */
	struct bkp_strings child_values;   /* columns or SQL expressions over
					      the child's columns */
	struct bkp_strings parent_columns; /* as many */
	char *when;    /* SQL condition over the child's columns, or NULL */
	bool is_array; /* the only child value is an array of references */
	unsigned line;
};

enum bkp_treatment {
	BKP_KEEP,
	BKP_OMIT, /* with a reason */
	BKP_MASK, /* "***" where it is not null */
	BKP_PSEUDONYM
};

enum bkp_origin {
	BKP_ORIGIN_UNKNOWN,
	BKP_PROVIDED, /* by the person */
	BKP_OBSERVED, /* of what the person did */
	BKP_DERIVED   /* made from the others; not in `portability` */
};

struct bkp_map_value {
	char *value, *label;
};

struct bkp_map_column {
	char *name;
	char *label; /* or NULL; so below */
	enum bkp_treatment treatment;
	char *reason;      /* of omit */
	char *realm;       /* of pseudonym: equal values of a realm become equal
			      pseudonyms, whatever their columns */
	bool is_plain;     /* is no reference, whatever it looks like */
	bool is_undecided; /* "undecided" stands there */
	enum bkp_origin origin; /* UNKNOWN: the table's */
	struct bkp_map_value *values;
	size_t value_count, value_cap;
	unsigned line;
};

struct bkp_map_table {
	char *id;
	char *label, *purpose, *retention; /* plain words, or NULL */
	char *skip;                        /* the reason, or NULL */
	bool is_undecided;                 /* "undecided" stands there */
	enum bkp_origin origin;
	struct bkp_map_column *columns;
	size_t column_count, column_cap;
	unsigned line;
};

struct bkp_map_file {
	char *table;
	char *bucket;   /* the name of a bucket source: "uploads" */
	char *key;      /* SQL over the row: a key, or an array of keys; or */
	char *prefix;   /* SQL: every object below it */
	char *name;     /* SQL: what the person calls it, or NULL */
	char *when;     /* or NULL */
	bool is_shared; /* shared rows name objects that are given, too */
	unsigned line;
};

struct bkp_map {
	char *path;
	char sha256[65]; /* of the file's bytes */
	char *table;     /* of the subject */
	struct bkp_strings key;
	char *label;
	struct bkp_map_edge *edges; /* sorted by id */
	size_t edge_count, edge_cap;
	struct bkp_map_table *tables; /* sorted by id */
	size_t table_count, table_cap;
	struct bkp_map_file *files;
	size_t file_count, file_cap;
};

#define BKP_MAP_INIT                                                           \
	{                                                                      \
		.path = NULL                                                   \
	}

/* Reads a map; a mistake is BKP_INVALID with file and line, and an unknown key
 * names the one that may have been meant. Nothing is compared with a database:
 * review.h does. */
int bkp_map_load(const char *path, struct bkp_map *out, struct bkp_error *err);
/* Appends the bytes of the file, unread. */
int bkp_map_text(const char *path, struct fmt_buf *out, struct bkp_error *err);
int bkp_map_parse(const char *name, const void *data, size_t len,
    struct bkp_map *out, struct bkp_error *err);
void bkp_map_free(struct bkp_map *map);

/* NULL: the map does not have it. */
const struct bkp_map_edge *bkp_map_edge(
    const struct bkp_map *map, const char *id);
const struct bkp_map_table *bkp_map_table(
    const struct bkp_map *map, const char *id);
const struct bkp_map_column *bkp_map_column(
    const struct bkp_map_table *table, const char *name);

const char *bkp_decided_name(enum bkp_decided decided);
const char *bkp_erase_name(enum bkp_erase erase);

#endif
