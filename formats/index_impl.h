/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_INDEX_IMPL_H
#define FORMATS_INDEX_IMPL_H

/* Where what lies in an encoded index; formats/index.md has the table. */

#include <stddef.h>
#include <stdint.h>

#include "formats/index.h"

#define FMT_INDEX_MAGIC "bkpindex"
#define FMT_INDEX_VERSION 1u
#define FMT_INDEX_CONTEXT "libbackup index v1"

/* The head, a pack, a chunk, a base and the signature: multiples of 16, so that
 * in a mapped file every integer is aligned. */
#define FMT_INDEX_HEAD ((size_t)64)
#define FMT_INDEX_PACK ((size_t)48)
#define FMT_INDEX_CHUNK ((size_t)48)
#define FMT_INDEX_BASE ((size_t)64)
#define FMT_INDEX_TAIL ((size_t)64)

#define FMT_INDEX_MAX_CHUNKS (UINT64_C(1) << 32)

/* The digest that the signature is over: of all before the signature. */
enum fmt_status fmt_index_digest(
    const unsigned char *data, size_t len, unsigned char out[32]);

#endif
