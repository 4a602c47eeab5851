/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_REVIEW_OWN_H
#define LIBBACKUP_SUBJECT_REVIEW_OWN_H

/* What the parts of a review share. */

#include "libbackup/subject/review.h"

/* An edge that could be followed: a foreign key with what the map says of it
 * (NULL: nothing), or a declared reference. */
struct review_edge {
	const struct bkp_model_edge *key; /* NULL: declared */
	const struct bkp_map_edge *map;
	size_t child, parent; /* SIZE_MAX: no such table */
};

struct reviewer {
	struct bkp_pg *pg;
	const struct bkp_model *model;
	const struct bkp_map *map;
	struct bkp_review *out;
	struct review_edge *edges; /* foreign keys first, as in the model */
	size_t edge_count, edge_cap;
	size_t subject;    /* SIZE_MAX: no such table */
	bool is_read_only; /* the transaction is */
};

/* Adds a finding. */
int bkp_review_add(struct reviewer *r, enum bkp_review_level level,
    const char *kind, const char *what, unsigned line, struct bkp_error *err,
    const char *format, ...) __attribute__((format(printf, 7, 8)));

/* Adds one about a column of a table; `what` is "public.users.name". */
int bkp_review_column_gone(struct reviewer *r,
    const struct bkp_model_table *table, const char *column, unsigned line,
    struct bkp_error *err);

/* True where rows of the table are the subject's, or shared. */
bool bkp_review_is_held(const struct reviewer *r, size_t table);

/* The reason that the map gives for leaving the table out, or NULL. */
const char *bkp_review_skip(const struct reviewer *r, size_t table);

/* A plain child column of an edge by its name; false for an expression. */
bool bkp_review_has_column(const struct reviewer *r,
    const struct review_edge *edge, const char *column);

/* The parts, in this order. */
int bkp_review_edges(struct reviewer *r, struct bkp_error *err);
int bkp_review_tables(struct reviewer *r, struct bkp_error *err);
int bkp_review_likeness(struct reviewer *r, struct bkp_error *err);
int bkp_review_server(struct reviewer *r, struct bkp_error *err);

/* Advises an index for a declared reference that the server takes. */
int bkp_review_index(
    struct reviewer *r, const struct review_edge *edge, struct bkp_error *err);

/* ---- what columns look like (likeness.c) ---- */

enum bkp_likeness {
	BKP_LIKE_NOTHING,
	BKP_LIKE_REFERENCE,
	BKP_LIKE_OBJECT, /* the key of an object in a bucket */
};

/* True where a word of the name ("user_id", "userId": user, id) is in the list,
 * which ends with NULL. */
bool bkp_subject_has_word(const char *name, const char *const *words);

/* *target: the table that it may refer to, or SIZE_MAX. */
enum bkp_likeness bkp_subject_likeness(
    const struct bkp_model *model, size_t table, size_t column, size_t *target);

#endif
