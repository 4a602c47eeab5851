/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_HEAPS_H
#define LIBBACKUP_POSTGRES_HEAPS_H

/*
 * What else than its pages decides what COPY writes of a table: where its rows
 * lie, the version of every row of the catalogue that has to do with its
 * columns and their types, and the settings of the session. While all of that
 * and the pages are the same, so is the text.
 *
 * A row of the catalogue is told by its place and its transaction, not by its
 * content alone: a label of an enum that was renamed and renamed back is not
 * what it was, for rows may have been read in between.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/postgres/session.h"

struct bkp_pg_heap {
	uint32_t oid, filenode, tablespace;
	/* A logged heap, and every type is of the server's own, of which it is
	 * known that a value and the settings alone make the text; or is an
	 * enum, a domain, an array, a range or a row of such. */
	bool is_plain;
	char print[65]; /* SHA-256 of all that */
};

struct bkp_pg_heaps {
	struct bkp_pg_heap *items; /* owned; by OID */
	size_t count;
	uint32_t database;
	uint64_t xmin; /* of the snapshot: older transactions have ended */
};

#define BKP_PG_HEAPS_INIT                                                      \
	{                                                                      \
		NULL, 0, 0, 0                                                  \
	}

/* In a session that has imported the snapshot. */
int bkp_pg_heaps_read(
    struct bkp_pg *pg, struct bkp_pg_heaps *out, struct bkp_error *err);
void bkp_pg_heaps_free(struct bkp_pg_heaps *heaps);

/* NULL: there is none. */
const struct bkp_pg_heap *bkp_pg_heaps_find(
    const struct bkp_pg_heaps *heaps, uint32_t oid);

#endif
