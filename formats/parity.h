/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PARITY_H
#define FORMATS_PARITY_H

/*
 * Error correction for one stored object: Reed-Solomon shards beside it, so
 * that a medium which rots here and there costs nothing. parity.md.
 *
 * The arithmetic is Intel's ISA-L; a build without it can look at a parity,
 * and neither make nor use one (FMT_UNSUPPORTED).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

#define FMT_PARITY_MAX_PERCENT 50u

struct fmt_parity {
	uint64_t object_len;
	unsigned char object_digest[32]; /* SHA-256 of the object */
	uint32_t shard_len;
	unsigned data_shards, parity_shards; /* together at most 255 */
};

bool fmt_parity_is_available(void);

/* Appends the parity of an object (up to 2^32 bytes): at least `percent` (1 to
 * FMT_PARITY_MAX_PERCENT) of it, and at least two shards. */
enum fmt_status fmt_parity_make(
    const void *object, size_t len, unsigned percent, struct fmt_buf *out);

/* What a parity says of its object; damaged heads are made up for by the copy
 * at the end. FMT_MALFORMED: neither is good. */
enum fmt_status fmt_parity_open(
    const void *parity, size_t parity_len, struct fmt_parity *out);

/* Whether a parity of an object so long can have that length, whatever the
 * percentage was. */
bool fmt_parity_fits(uint64_t object_len, uint64_t parity_len);

/* FMT_OK where the parity itself is whole; FMT_AUTH where a part of it is
 * damaged. */
enum fmt_status fmt_parity_check(const void *parity, size_t parity_len);

/*
 * Appends the object as it was, made from what is there of it and of the
 * parity. *damaged (may be NULL): how many of its shards were not as they
 * should be. FMT_LIMIT: more is damaged than the parity makes up for. Nothing
 * is appended then.
 */
enum fmt_status fmt_parity_repair(const void *parity, size_t parity_len,
    const void *object, size_t len, struct fmt_buf *out, unsigned *damaged);

#endif
