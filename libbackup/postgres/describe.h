/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_DESCRIBE_H
#define LIBBACKUP_POSTGRES_DESCRIBE_H

/* What belongs to a database and is neither schema nor rows. */

#include <jansson.h>

#include "formats/buf.h"
#include "libbackup/postgres/session.h"

/*
 * The database as JSON, without its name and without numbers that differ from
 * server to server: owner, encoding, locale, connection limit, comment, ACL,
 * settings, extensions, materialised views. *out is the caller's.
 */
int bkp_pg_describe_database(
    struct bkp_pg *pg, json_t **out, struct bkp_error *err);

/* What may differ in a faithful restore: tablespace, collation version,
 * versions of server and extensions. */
int bkp_pg_describe_versions(
    struct bkp_pg *pg, json_t **out, struct bkp_error *err);

/* Appends one setval statement a line for each sequence, sorted. Sequences are
 * outside of transactions: read them after the snapshot was taken. */
int bkp_pg_describe_sequences(
    struct bkp_pg *pg, struct fmt_buf *out, struct bkp_error *err);

#endif
