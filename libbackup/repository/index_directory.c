/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/index_directory.h"

#include <stdlib.h>

#include "formats/bytes.h"
#include "libbackup/base/fail.h"

#define ID_BITS 12
#define ID_MASK ((1u << ID_BITS) - 1)

int
bkp_index_directory_init(struct bkp_index_directory *directory, uint64_t chunks,
    struct bkp_error *err)
{
	uint64_t cap = chunks + chunks / 2 + 1024;

	*directory = (struct bkp_index_directory){.slots = NULL};
	directory->slots =
	    bkp_alloc_array((size_t)cap, sizeof(*directory->slots), err);
	if (directory->slots == NULL)
		return -1;
	directory->cap = (size_t)cap;
	return 0;
}

void
bkp_index_directory_free(struct bkp_index_directory *directory)
{
	free(directory->slots);
	*directory = (struct bkp_index_directory){.slots = NULL};
}

bool
bkp_index_directory_has_room(
    const struct bkp_index_directory *directory, uint64_t chunks)
{
	return directory->count + chunks <= directory->cap / 8 * 7;
}

static size_t
next_slot(const struct bkp_index_directory *directory, size_t at)
{
	return at + 1 < directory->cap ? at + 1 : 0;
}

/* Bits that the place says nothing about. */
static uint32_t
bits_of(const unsigned char *id)
{
	return ((uint32_t)id[8] << 8 | id[9]) & ID_MASK;
}

size_t
bkp_index_directory_home(const struct bkp_index_directory *directory,
    const unsigned char id[FMT_ID_SIZE])
{
	return (size_t)((unsigned __int128)fmt_load_be64(id) * directory->cap >>
			64);
}

void
bkp_index_directory_add(struct bkp_index_directory *directory,
    const unsigned char id[FMT_ID_SIZE], uint32_t file)
{
	size_t at = bkp_index_directory_home(directory, id);

	while (directory->slots[at] != 0)
		at = next_slot(directory, at);
	directory->slots[at] = (file + 1) << ID_BITS | bits_of(id);
	directory->count++;
}

bool
bkp_index_directory_next(const struct bkp_index_directory *directory,
    const unsigned char id[FMT_ID_SIZE], size_t *at, uint32_t *file)
{
	const uint32_t bits = bits_of(id);

	if (directory->cap == 0)
		return false;
	for (;;) {
		uint32_t slot = directory->slots[*at];

		if (slot == 0)
			return false;
		*at = next_slot(directory, *at);
		if ((slot & ID_MASK) == bits) {
			*file = (slot >> ID_BITS) - 1;
			return true;
		}
	}
}
