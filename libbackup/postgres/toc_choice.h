/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_TOC_CHOICE_H
#define LIBBACKUP_POSTGRES_TOC_CHOICE_H

/*
 * A part of a schema archive: what was asked for, what that needs (types,
 * functions, extensions, the tables of a view), and what belongs to the tables
 * among it (indexes, constraints, triggers, policies, privileges, comments).
 * What belongs to several tables, such as a foreign key, is in where all of
 * them are.
 */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"
#include "libbackup/error.h"
#include "libbackup/postgres/toc_line.h"

/* What an entry is for others. */
enum bkp_pg_role {
	BKP_PG_ROLE_PLAIN,  /* in where it is asked for or needed */
	BKP_PG_ROLE_TABLE,  /* the same, with what belongs to it */
	BKP_PG_ROLE_PART,   /* belongs to what it depends on */
	BKP_PG_ROLE_ATTACH, /* of a partition, which belongs to its parent */
	BKP_PG_ROLE_NEVER   /* of the whole database */
};

struct bkp_pg_chosen {
	unsigned long id;
	enum bkp_pg_role role;
	bool is_in;
	struct bkp_pg_view line;
	size_t first_need, need_count;
	unsigned long parent; /* of a partition; 0: it is none */
};

struct bkp_pg_choice {
	struct fmt_buf list;           /* owned */
	struct bkp_pg_chosen *entries; /* owned; by id when it has been read */
	size_t count, cap;
	unsigned long *needs; /* owned */
	size_t need_count, need_cap;
};

#define BKP_PG_CHOICE_INIT                                                     \
	{                                                                      \
		.list = FMT_BUF_INIT                                           \
	}

void bkp_pg_choice_free(struct bkp_pg_choice *choice);

/* Reads choice->list, the verbose list of everything, which the caller has
 * filled. */
int bkp_pg_choice_read(struct bkp_pg_choice *choice, struct bkp_error *err);

/* Takes in what stands in a list of pg_restore; how much that was. */
size_t bkp_pg_choice_take(
    struct bkp_pg_choice *choice, const struct fmt_buf *list);

/* Takes in what that needs and what belongs to it. */
void bkp_pg_choice_complete(struct bkp_pg_choice *choice);

/* Whether the entry of a line of any list is in. */
bool bkp_pg_choice_has(
    const struct bkp_pg_choice *choice, const char *line, size_t len);

/* Whether something is not in for it belongs to a table that is, and to
 * another that is not. */
bool bkp_pg_choice_is_torn(
    const struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry);

#endif
