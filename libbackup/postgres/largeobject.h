/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_LARGEOBJECT_H
#define LIBBACKUP_POSTGRES_LARGEOBJECT_H

/* The bytes of large objects, in slices. */

#include <stdint.h>

#include "libbackup/postgres/session.h"
#include "libbackup/repository.h"

/* Gives all bytes of an object to `take`. Holes come as zeros. */
int bkp_pg_lo_read(struct bkp_pg *pg, const char *oid, bkp_bytes_fn *take,
    void *arg, struct bkp_error *err);

/* Makes an empty object with this OID. */
int bkp_pg_lo_create(struct bkp_pg *pg, const char *oid, struct bkp_error *err);

/* Writes bytes at an offset. */
int bkp_pg_lo_write(struct bkp_pg *pg, const char *oid, uint64_t offset,
    const void *data, size_t len, struct bkp_error *err);

#endif
