/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_ROWS_IMPL_H
#define LIBBACKUP_SUBJECT_ROWS_IMPL_H

/* What the files of rows share. */

#include "libbackup/subject/rows.h"
#include "libbackup/subject/walk_impl.h"

/* A reference to the subject's table in a shared row: the server tells what
 * it names, and its values. */
struct bkp_rows_reference {
	const struct bkp_walk_edge *edge;
	size_t field; /* of the state; the values stand behind it */
};

/* A column of shared rows that belongs to a reference. */
struct bkp_rows_link {
	size_t column;    /* of the rows */
	size_t reference; /* of the rows */
	size_t pair;
	char *realm; /* owned */
};

/* How a column's value is made. */
struct bkp_rows_maker {
	uint64_t lists;      /* actor, lookup: of these */
	struct fmt_buf made; /* what replaces the value of this row */
};

struct bkp_rows {
	struct bkp_walk *walk;       /* borrowed */
	const unsigned char *secret; /* borrowed */
	uint64_t limit;              /* 0: none */
	size_t table;
	enum bkp_decided decided;
	struct bkp_rows_column *columns;
	struct bkp_rows_maker *makers; /* one a column */
	size_t column_count, column_cap, maker_cap;
	struct bkp_rows_reference *references;
	size_t reference_count, reference_cap;
	struct bkp_rows_link *links;
	size_t link_count, link_cap;
	size_t field_count;            /* of a line that comes */
	struct bkp_rows_value *fields; /* of the present line */
	struct bkp_rows_value *values; /* what is answered */
	char *line;                    /* libpq's */
	struct fmt_buf room;           /* for HMAC */
	uint64_t came;
	bool is_coming; /* the COPY runs */
};

/* ---- rows_sql.c ---- */

/* A line begins with the row's lists, where they may differ; then come the
 * columns, then for each reference its state and its values. */
bool bkp_rows_has_lists(const struct bkp_rows *rows);

/* Last, of owned and looked up rows: where they stand, the leaf only where
 * there are several. */
bool bkp_rows_has_places(const struct bkp_rows *rows);
bool bkp_rows_has_leaves(const struct bkp_rows *rows);

/* Behind that: what they hang on. */
bool bkp_rows_has_parents(const struct bkp_rows *rows);

/* Appends the COPY; `leaves` are those of the table that have such rows. */
enum fmt_status bkp_rows_append_sql(struct fmt_buf *out,
    const struct bkp_rows *rows, const struct bkp_model_leaf *const *leaves,
    size_t count);

/* ---- rows_replace.c ---- */

/* Replaces the values of the present row that are not shown as they are. */
int bkp_rows_replace(struct bkp_rows *rows, struct bkp_error *err);

#endif
