/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_ARENA_H
#define LIBBACKUP_BASE_ARENA_H

/*
 * Many small things that are all freed at once: strings and arrays of a
 * catalogue of 100,000 tables. They lie one behind the other in large blocks,
 * so that each costs its bytes and nothing else.
 */

#include <stddef.h>

#include "libbackup/error.h"

struct bkp_arena {
	void *block;          /* owned; the newest */
	size_t used, cap;     /* of that */
	const char **strings; /* owned; a table of those that are there once */
	size_t string_count, string_cap;
};

#define BKP_ARENA_INIT                                                         \
	{                                                                      \
		NULL, 0, 0, NULL, 0, 0                                         \
	}

/* Zeroed room, fit for anything. Borrowed until free. */
void *bkp_arena_room(
    struct bkp_arena *arena, size_t size, struct bkp_error *err);

/* A copy of a text, ended by a NUL. */
char *bkp_arena_text(struct bkp_arena *arena, const char *text, size_t len,
    struct bkp_error *err);

/* The same for what comes again and again, such as names of columns: equal
 * texts are one, which nobody may change. */
const char *bkp_arena_string(
    struct bkp_arena *arena, const char *text, struct bkp_error *err);

void bkp_arena_free(struct bkp_arena *arena); /* leaves INIT */

#endif
