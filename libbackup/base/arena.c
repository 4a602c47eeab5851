/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "libbackup/base/fail.h"

#define BLOCK_BYTES (64u * 1024u)
#define ALIGNMENT _Alignof(max_align_t)

/* At the start of each block. */
struct block {
	_Alignas(max_align_t) void *before;
};

static int
add_block(struct bkp_arena *arena, size_t size, struct bkp_error *err)
{
	size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct block *block;

	if (cap > SIZE_MAX - sizeof(*block))
		return bkp_fail(err, BKP_NOMEM, "out of memory");
	if ((block = bkp_alloc(sizeof(*block) + cap, err)) == NULL)
		return -1;
	block->before = arena->block;
	arena->block = block;
	arena->used = 0;
	arena->cap = cap;
	return 0;
}

static char *
take(struct bkp_arena *arena, size_t size, size_t alignment,
    struct bkp_error *err)
{
	size_t at = (arena->used + alignment - 1) / alignment * alignment;

	if (arena->block == NULL || at > arena->cap || size > arena->cap - at) {
		if (add_block(arena, size, err) < 0)
			return NULL;
		at = 0;
	}
	arena->used = at + size;
	return (char *)((struct block *)arena->block + 1) + at;
}

void *
bkp_arena_room(struct bkp_arena *arena, size_t size, struct bkp_error *err)
{
	return take(arena, size, ALIGNMENT, err);
}

char *
bkp_arena_text(struct bkp_arena *arena, const char *text, size_t len,
    struct bkp_error *err)
{
	char *copy = take(arena, len + 1, 1, err);

	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* ---- what is there once ---- */

/* The place of a text, or the empty one where it belongs. The table is never
 * full. */
static const char **
find(const char **strings, size_t cap, const char *text)
{
	size_t at = (size_t)XXH3_64bits(text, strlen(text)) & (cap - 1);

	while (strings[at] != NULL && strcmp(strings[at], text) != 0)
		at = (at + 1) & (cap - 1);
	return &strings[at];
}

static int
make_room(struct bkp_arena *arena, struct bkp_error *err)
{
	size_t cap = arena->string_cap == 0 ? 256 : 2 * arena->string_cap;
	const char **strings;

	if (arena->string_count < arena->string_cap / 2)
		return 0;
	strings = bkp_alloc_array(cap, sizeof(*strings), err);
	if (strings == NULL)
		return -1;
	for (size_t i = 0; i < arena->string_cap; i++)
		if (arena->strings[i] != NULL)
			*find(strings, cap, arena->strings[i]) =
			    arena->strings[i];
	free(arena->strings);
	arena->strings = strings;
	arena->string_cap = cap;
	return 0;
}

const char *
bkp_arena_string(
    struct bkp_arena *arena, const char *text, struct bkp_error *err)
{
	const char **place;

	if (make_room(arena, err) < 0)
		return NULL;
	place = find(arena->strings, arena->string_cap, text);
	if (*place == NULL) {
		*place = bkp_arena_text(arena, text, strlen(text), err);
		arena->string_count += *place != NULL ? 1 : 0;
	}
	return *place;
}

void
bkp_arena_free(struct bkp_arena *arena)
{
	struct block *block = arena->block;

	while (block != NULL) {
		struct block *before = block->before;

		free(block);
		block = before;
	}
	free(arena->strings);
	*arena = (struct bkp_arena)BKP_ARENA_INIT;
}
