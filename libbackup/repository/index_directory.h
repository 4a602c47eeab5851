/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_INDEX_DIRECTORY_H
#define LIBBACKUP_REPOSITORY_INDEX_DIRECTORY_H

/*
 * Which of the loaded index objects may know a chunk, without asking each: a
 * table in memory of 4 bytes a slot, each the number of a file and 12 bits of
 * an id. Open addressing with linear probing, at most 7/8 full.
 *
 * A slot's place follows from the first 64 bits of the id and grows with it,
 * so that the sorted records of a file go in from front to back. Ids are
 * keyed hashes: spread evenly.
 *
 * Memory: about 6 bytes a chunk.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/index.h"
#include "libbackup/error.h"

#define BKP_INDEX_DIRECTORY_FILES ((1u << 20) - 1)

struct bkp_index_directory {
	uint32_t *slots; /* owned; 0: free */
	size_t count, cap;
};

/* Empty, with room for that many chunks and half as many more. */
int bkp_index_directory_init(struct bkp_index_directory *directory,
    uint64_t chunks, struct bkp_error *err);
void bkp_index_directory_free(struct bkp_index_directory *directory);

bool bkp_index_directory_has_room(
    const struct bkp_index_directory *directory, uint64_t chunks);

/* Notes that a file (below BKP_INDEX_DIRECTORY_FILES) has a chunk; there must
 * be room. */
void bkp_index_directory_add(struct bkp_index_directory *directory,
    const unsigned char id[FMT_ID_SIZE], uint32_t file);

/* The files that may have a chunk, one a call, in the order they were added:
 * *at begins as bkp_index_directory_home. False: there are no more. */
size_t bkp_index_directory_home(const struct bkp_index_directory *directory,
    const unsigned char id[FMT_ID_SIZE]);
bool bkp_index_directory_next(const struct bkp_index_directory *directory,
    const unsigned char id[FMT_ID_SIZE], size_t *at, uint32_t *file);

#endif
