/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_TOC_LINE_H
#define LIBBACKUP_POSTGRES_TOC_LINE_H

/* What a line of pg_restore --list tells, such as
 *
 *     3345; 2606 16402 CONSTRAINT app account account_pkey owner
 *
 * Names in it may hold spaces, so only its ends are certain. */

#include <stddef.h>

/* A piece of a text, borrowed from it. */
struct bkp_pg_view {
	const char *text; /* NULL: none */
	size_t len;
};

/* The next line with its newline; *at, which is before `end`, moves on. */
struct bkp_pg_view bkp_pg_next_line(const char **at, const char *end);

/* The number at *at, which moves behind it; 0 where there is none. */
unsigned long bkp_pg_read_number(const char **at, const char *end);

/* The same of the next number, wherever it is. */
unsigned long bkp_pg_next_number(const char **at, const char *end);

/* What follows the numbers of a line: "FK CONSTRAINT app a a_b_fkey owner". */
size_t bkp_pg_kind_at(const char *line, size_t len);

/* What it asks of the role that restores it. */
enum bkp_pg_need {
	BKP_PG_NEED_NONE,
	BKP_PG_NEED_LEAF, /* a superuser on most servers; can be left out */
	BKP_PG_NEED_BASE  /* a superuser on most servers; others need it */
};

enum bkp_pg_need bkp_pg_need_of(const char *line, size_t len);

/* The thing that a line names, from its kind on and without its owner: a part
 * of the line. */
const char *bkp_pg_line_name(const char *line, size_t len, size_t *name_len);

/* The owner at its end: a part of the line; *owner_len 0: it has none. */
const char *bkp_pg_line_owner(const char *line, size_t len, size_t *owner_len);

#endif
