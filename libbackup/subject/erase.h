/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_ERASE_H
#define LIBBACKUP_SUBJECT_ERASE_H

/*
 * Erases what a walk has found, in the walk's own transaction:
 *
 *   what refers to it    rows that refer to erased ones and stay have the
 *                        reference cleared: columns become NULL, elements
 *                        leave their array, a member of a jsonb becomes null
 *   the objects          that erased rows name and no row that stays does
 *   the rows             all at once, so that their order does not matter
 *
 * No trigger and no rule of the application fires meanwhile: they would write
 * what was just erased into a history, or send mail. Where the role may, the
 * server's own checks rest, too, and what they would have found is looked for
 * set by set; else the server checks at the end of the statement.
 *
 * A foreign key that cannot be cleared is an error that names it. A declared
 * reference that cannot stays, and is told.
 */

#include "libbackup/subject/walk.h"

struct bkp_erased_table {
	char *table; /* owned; so below */
	uint64_t rows;
};

struct bkp_erased_reference {
	char *edge;
	uint64_t rows;   /* of the child */
	const char *why; /* it stays; NULL: it was cleared */
	bool is_wanted;  /* the map says that it stays */
};

struct bkp_erased_object {
	char *bucket; /* as the map names it */
	char *key;
	bool is_prefix; /* everything below it */
	bool is_kept;   /* rows that stay name it, too */
};

struct bkp_erased {
	struct bkp_erased_table *tables; /* that rows were deleted from */
	size_t table_count, table_cap;
	struct bkp_erased_reference *references;
	size_t reference_count, reference_cap;
	struct bkp_erased_object *objects;
	size_t object_count, object_cap;
	uint64_t rows, cleared, stayed; /* all of them */
};

#define BKP_ERASED_INIT                                                        \
	{                                                                      \
		.tables = NULL                                                 \
	}

/* The walk was opened by bkp_walk_open_erasing and has run. Commits, and the
 * walk is of no more use. Adds to `out`, also of a walk before; where it fails
 * nothing is erased, and what was added means nothing. */
int bkp_erase(
    struct bkp_walk *walk, struct bkp_erased *out, struct bkp_error *err);
void bkp_erased_free(struct bkp_erased *erased);

/* Whether the foreign key's columns can be NULL. */
bool bkp_erase_can_clear(
    const struct bkp_model *model, const struct bkp_model_edge *key);

#endif
