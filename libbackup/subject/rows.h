/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_ROWS_H
#define LIBBACKUP_SUBJECT_ROWS_H

/*
 * The rows that a walk reached, out of the server: column by column as the map
 * says, streamed, sorted by the primary key (by ctid where there is none).
 */

#include "libbackup/subject/walk.h"

struct bkp_rows_column {
	size_t column;    /* of the table in the model */
	const char *name; /* borrowed */
	enum bkp_treatment treatment;
	const struct bkp_map_column *map; /* borrowed, or NULL */
	bool names_others; /* shared rows: it stands in a reference to the
			      subject's table */
};

/* What the text of a value is. */
enum bkp_rows_form {
	BKP_ROWS_TYPED,   /* what the server writes for the column's type; JSON
			     where the column is_composite */
	BKP_ROWS_STRING,  /* a string, whatever the type: a mask, a pseudonym,
			     "self" */
	BKP_ROWS_STRINGS, /* PostgreSQL's text of an array of such */
	BKP_ROWS_ABSENT   /* the edges by which the row came in do not give
			     this column; it says nothing, not even NULL */
};

/* One value, or NULL; there is a NUL behind it. */
struct bkp_rows_value {
	const char *text;
	size_t len;
	enum bkp_rows_form form;
};

struct bkp_rows;

/*
 * The rows of a table that are decided so. profile: `portability` leaves out
 * what is derived, tables and columns. Masked and pseudonymised values are
 * replaced already; omitted and masked columns are not read.
 *
 * In shared rows the columns of an edge to the subject's table, decided or
 * not, are pseudonyms where they name a row that is not owned ("self" where
 * they name the subject and the edge is shared). The columns that an
 * expression mentions are replaced as a whole, by the pseudonym of its value.
 * Their realm is "public.users(id)": the parent's table and column.
 */
enum bkp_profile { BKP_PROFILE_ACCESS, BKP_PROFILE_PORTABILITY };

/* One at a time, and nothing else may be asked of the session until it is
 * closed; closing it before its end ends the transaction of the walk.
 *
 * `secret` makes pseudonyms (the first 16 hex digits of HMAC-SHA256 over the
 * realm, a zero byte and the value's text): stable within one export, and
 * across exports where the caller keeps it. Borrowed. `limit`: the first so
 * many rows; 0: all. */
int bkp_rows_open(struct bkp_walk *walk, size_t table, enum bkp_decided decided,
    enum bkp_profile profile, const unsigned char secret[32], uint64_t limit,
    struct bkp_rows **out, struct bkp_error *err);
void bkp_rows_close(struct bkp_rows *rows); /* NULL is fine */

const struct bkp_rows_column *bkp_rows_columns(
    const struct bkp_rows *rows, size_t *count);

/* Where a row stands: nothing else of the snapshot has it. */
struct bkp_rows_place {
	unsigned rel; /* OID of the table or partition */
	uint64_t tid; /* block << 16 | number in it */
};

/* Of the row that bkp_rows_next gave, where it is owned or looked up. */
struct bkp_rows_place bkp_rows_place(const struct bkp_rows *rows);

/* Of the row that it hangs on by the only edge to its table, where the foreign
 * keys alone tell the rows; 0 and 0 where that is the subject's. */
struct bkp_rows_place bkp_rows_parent(const struct bkp_rows *rows);

/* "(12,3)" */
uint64_t bkp_rows_tid(const char *text);

/* 1: *values, one a column, valid until the next call; 0: the end; -1. */
int bkp_rows_next(struct bkp_rows *rows, const struct bkp_rows_value **values,
    struct bkp_error *err);

#endif
