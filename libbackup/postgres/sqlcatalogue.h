/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_SQLCATALOGUE_H
#define LIBBACKUP_POSTGRES_SQLCATALOGUE_H

/*
 * The schema that pg_restore writes, its objects in an order of their own, so
 * that two dumps of equal databases are equal text. It comes and goes in
 * portions. What waits to be sorted waits compressed, for a database may have
 * 100,000 tables: memory is 16 MiB, and beyond that a tenth of the text.
 */

#include "libbackup/error.h"
#include "libbackup/repository.h"

struct bkp_sql_catalogue;

int bkp_sql_catalogue_new(
    struct bkp_sql_catalogue **out, struct bkp_error *err);

/* Takes a portion, cut anywhere; a bkp_bytes_fn. */
int bkp_sql_catalogue_write(
    void *catalogue, const void *data, size_t len, struct bkp_error *err);

/* The text has ended: gives it to `take` in its order. */
int bkp_sql_catalogue_finish(struct bkp_sql_catalogue *catalogue,
    bkp_bytes_fn *take, void *arg, struct bkp_error *err);

void bkp_sql_catalogue_free(struct bkp_sql_catalogue *catalogue);

#endif
