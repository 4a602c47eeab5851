/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_COPY_H
#define LIBBACKUP_POSTGRES_COPY_H

/*
 * Rows as COPY text or in COPY's binary form, out of a server and into one. No
 * row is ever decoded: only where it ends is looked at.
 */

#include <stdint.h>

#include "formats/buf.h"
#include "formats/pgcopy.h"
#include "libbackup/postgres/session.h"
#include "libbackup/repository.h"

/* Appends "COPY (SELECT ... ) TO STDOUT" for the columns of `quoted`; where
 * last > 0 for the pages from first to before last, where last is 0 and first
 * is not for the pages from first on. `filter` is "" or "WHERE ...", and then
 * the pages must be 0. In the binary form text comes in the encoding of the
 * session, whatever `encoding` says: it must be the same. */
enum fmt_status bkp_pg_copy_out_sql(struct fmt_buf *out, const char *quoted,
    const char *const *columns, size_t column_count, const char *filter,
    uint64_t first, uint64_t last, const char *encoding,
    enum fmt_copy_form form);

/* Appends "COPY ... FROM STDIN". */
enum fmt_status bkp_pg_copy_in_sql(struct fmt_buf *out, const char *quoted,
    const char *const *columns, size_t column_count, const char *encoding,
    enum fmt_copy_form form);

/* Runs a COPY TO of that form. The rows come to `take` in runs of whole rows of
 * up to FMT_CHUNKER_MAX bytes (or one longer row), without what a stream in the
 * binary form begins and ends with; `room` is memory for that. *rows: how many
 * the server sent. */
int bkp_pg_copy_out(struct bkp_pg *pg, const char *sql, enum fmt_copy_form form,
    struct fmt_buf *room, bkp_bytes_fn *take, void *arg, uint64_t *rows,
    struct bkp_error *err);

/* Fails where `sent` rows are not the `hashed` ones. */
int bkp_pg_copy_compare(uint64_t sent, uint64_t hashed, struct bkp_error *err);

/*
 * COPY text a row at a time, for those who decode it: begin; row until it
 * answers 0 instead of 1; end, which compares how many came. *row has its
 * newline, and the caller frees it with PQfreemem. After a failure the COPY
 * is over; who stops before the end calls bkp_pg_interrupt, which ends the
 * transaction as well.
 */
int bkp_pg_copy_out_begin(
    struct bkp_pg *pg, const char *sql, struct bkp_error *err);
int bkp_pg_copy_out_row(
    struct bkp_pg *pg, char **row, size_t *len, struct bkp_error *err);
int bkp_pg_copy_out_end(
    struct bkp_pg *pg, uint64_t came, struct bkp_error *err);

/* A COPY FROM: begin, put any number of times, end. After a failure of any of
 * them the COPY is over. In the binary form a first put is of fmt_copy_header
 * and the last of fmt_copy_trailer. *rows: how many the server took. */
int bkp_pg_copy_in_begin(
    struct bkp_pg *pg, const char *sql, struct bkp_error *err);
int bkp_pg_copy_in_put(
    struct bkp_pg *pg, const void *data, size_t len, struct bkp_error *err);
int bkp_pg_copy_in_end(
    struct bkp_pg *pg, uint64_t *rows, struct bkp_error *err);

/* Ends it without keeping a row, where the data could not be had. */
void bkp_pg_copy_in_abort(struct bkp_pg *pg);

#endif
