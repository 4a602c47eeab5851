/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_PACKED_H
#define LIBBACKUP_BASE_PACKED_H

/*
 * Bytes that wait in memory until they are wanted again, compressed meanwhile:
 * the schema of a database with very many tables takes a tenth. Written once
 * from its beginning to its end, then read as often as anybody likes.
 *
 * Thread rule: one thread while it is written; then any number may read.
 */

#include <stddef.h>
#include <stdint.h>

#include "libbackup/error.h"
#include "libbackup/repository.h"

struct bkp_packed;

int bkp_packed_new(struct bkp_packed **out, struct bkp_error *err);

/* Appends; a bkp_bytes_fn. */
int bkp_packed_write(
    void *packed, const void *data, size_t len, struct bkp_error *err);

/* Nothing more comes. */
int bkp_packed_end(struct bkp_packed *packed, struct bkp_error *err);

void bkp_packed_free(struct bkp_packed *packed); /* wiped; NULL is fine */

/* Gives all of it to `take`, in portions. */
int bkp_packed_read(const struct bkp_packed *packed, bkp_bytes_fn *take,
    void *arg, struct bkp_error *err);

/* The same for who asks for it. */
struct bkp_unpacked;

/* From the beginning; `packed` is borrowed until free. */
int bkp_unpacked_new(const struct bkp_packed *packed, struct bkp_unpacked **out,
    struct bkp_error *err);

/* The next portion, valid until the next call; *len is 0 at the end. */
int bkp_unpacked_next(struct bkp_unpacked *unpacked, const void **data,
    size_t *len, struct bkp_error *err);

void bkp_unpacked_free(struct bkp_unpacked *unpacked); /* NULL is fine */

#endif
