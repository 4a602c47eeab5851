/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_INDEX_H
#define FORMATS_INDEX_H

/*
 * The index: which chunk lies where. Sorted records of fixed size that are
 * searched in place (memory-mapped), so opening costs nothing however many
 * there are. A signature of the writer ends it. formats/index.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/pack.h"
#include "formats/status.h"

enum fmt_pack_kind { FMT_PACK_DATA = 1, FMT_PACK_METADATA = 2 };

struct fmt_index_pack {
	unsigned char name[32]; /* SHA-256 of the stored object */
	uint64_t stored_size;   /* of the stored object (the age file) */
	enum fmt_pack_kind kind;
};

/* Where a chunk is. */
struct fmt_index_place {
	struct fmt_index_pack pack;
	struct fmt_pack_chunk chunk;
};

/* Builds an index in memory. Not thread safe. */
struct fmt_index_builder;

enum fmt_status fmt_index_builder_new(struct fmt_index_builder **out);
void fmt_index_builder_free(struct fmt_index_builder *builder);

/* Adds a pack and its chunks (copied), with their bases. */
enum fmt_status fmt_index_builder_add(struct fmt_index_builder *builder,
    const struct fmt_index_pack *pack, const struct fmt_pack_chunk *chunks,
    size_t count);

/* Appends the encoded index, signed with an Ed25519 seed, to `out`. An id that
 * was added twice is kept once: the one that is no difference, else the first.
 */
enum fmt_status fmt_index_builder_encode(struct fmt_index_builder *builder,
    const unsigned char seed[32], struct fmt_buf *out);

/* A view of an encoded index; borrows `data` until it is no longer used. */
struct fmt_index {
	const unsigned char *data;
	size_t len;
	uint32_t pack_count;
	uint64_t chunk_count;
	uint64_t base_count;      /* of the chunks stored as a difference */
	unsigned char signer[32]; /* Ed25519 public key that signed it */
};

/* Checks the frame (magic, version, sizes) in constant time and sets up the
 * view. The signature is not checked here. */
enum fmt_status fmt_index_open(
    const void *data, size_t len, struct fmt_index *out);

/* Checks every record (order, ranges) and the signature, reading it all. */
enum fmt_status fmt_index_check(const struct fmt_index *index);

/* Looks an id up by binary search; false where it is not there. */
bool fmt_index_find(const struct fmt_index *index,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out);

/* The same, and which record it is. */
bool fmt_index_lookup(const struct fmt_index *index,
    const unsigned char id[FMT_ID_SIZE], uint64_t *n);

/* The base of a chunk that is stored as a difference, which must be had to
 * read it; false where it is stored whole, or not here. The places that find
 * and at give tell the same. */
bool fmt_index_base(const struct fmt_index *index,
    const unsigned char id[FMT_ID_SIZE], unsigned char base[FMT_ID_SIZE]);

/* The n-th record and pack in order, n below the counts. FMT_MALFORMED where a
 * record names a pack that is not there. */
enum fmt_status fmt_index_at(
    const struct fmt_index *index, uint64_t n, struct fmt_index_place *out);
/* The id alone, of the n-th record and of the n-th that has a base; borrowed
 * from the index. */
const unsigned char *fmt_index_id_at(const struct fmt_index *index, uint64_t n);
const unsigned char *fmt_index_base_id_at(
    const struct fmt_index *index, uint64_t n);
void fmt_index_pack_at(
    const struct fmt_index *index, uint32_t n, struct fmt_index_pack *out);

/* The number of the pack that the n-th record names, of an index that has been
 * checked. */
uint32_t fmt_index_pack_of(const struct fmt_index *index, uint64_t n);

/*
 * For whoever reads records out of a file instead of mapping all of it: where
 * the n-th one lies (n the count: where they end), and the searches above in
 * `count` records that were read. Of the place, the base is not looked for.
 */
uint64_t fmt_index_offset(const struct fmt_index *index, uint64_t n);
uint64_t fmt_index_base_offset(const struct fmt_index *index, uint64_t n);
bool fmt_index_find_among(const struct fmt_index *index, const void *records,
    size_t count, const unsigned char id[FMT_ID_SIZE],
    struct fmt_index_place *out);
bool fmt_index_base_among(const void *records, size_t count,
    const unsigned char id[FMT_ID_SIZE], unsigned char base[FMT_ID_SIZE]);

#endif
