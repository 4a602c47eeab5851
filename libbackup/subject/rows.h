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
};

/* One value as the server writes it, or NULL. */
struct bkp_rows_value {
	const char *text;
	size_t len;
};

struct bkp_rows;

/*
 * The rows of a table that are decided so. profile: `portability` leaves out
 * what is derived, tables and columns. Masked and pseudonymised values are
 * replaced already; omitted columns are not read. In shared rows the columns
 * of an edge to the subject's table are pseudonyms where they do not name the
 * subject ("self" where they do and the column is one of a shared edge).
 */
enum bkp_profile { BKP_PROFILE_ACCESS, BKP_PROFILE_PORTABILITY };

/* `secret` makes pseudonyms (HMAC-SHA256, 16 hex digits): stable within one
 * export, and across exports where the caller keeps it. Borrowed. */
int bkp_rows_open(struct bkp_walk *walk, size_t table, enum bkp_decided decided,
    enum bkp_profile profile, const unsigned char secret[32],
    struct bkp_rows **out, struct bkp_error *err);
void bkp_rows_close(struct bkp_rows *rows); /* NULL is fine */

const struct bkp_rows_column *bkp_rows_columns(
    const struct bkp_rows *rows, size_t *count);

/* 1: *values, one a column, valid until the next call; 0: the end; -1. */
int bkp_rows_next(struct bkp_rows *rows, const struct bkp_rows_value **values,
    struct bkp_error *err);

#endif
