/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_SPOOL_H
#define LIBBACKUP_ARCHIVE_SPOOL_H

/*
 * Bytes set aside until their turn comes: written once, then read once from
 * the beginning. A few (256 KiB) are in memory, more in a file without a name,
 * encrypted with a key that nobody but this object ever has.
 */

#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/error.h"

struct bkp_spool;

int bkp_spool_new(struct bkp_spool **out, struct bkp_error *err);
void bkp_spool_free(struct bkp_spool *spool); /* NULL is fine */

int bkp_spool_write(struct bkp_spool *spool, const void *data, size_t len,
    struct bkp_error *err);
/* Bytes written. */
uint64_t bkp_spool_size(const struct bkp_spool *spool);

/* Ends the writing; reading begins. */
int bkp_spool_rewind(struct bkp_spool *spool, struct bkp_error *err);
/* Appends exactly `len` bytes more. */
int bkp_spool_read(struct bkp_spool *spool, size_t len, struct fmt_buf *out,
    struct bkp_error *err);

#endif
