/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_ERASE_OWN_H
#define LIBBACKUP_SUBJECT_ERASE_OWN_H

/* What the parts of an erasure share. */

#include "libbackup/subject/erase.h"
#include "libbackup/subject/walk_impl.h"

/* Rows that stay and refer to erased ones stand in temporary tables, one a
 * child table:
 *
 *	pg_temp.erase_<table> (rel oid, tid tid, edge int)
 */
struct eraser {
	struct bkp_walk *walk;
	struct bkp_erased *out;
	bool *has_references; /* owned, a table each: the one above is there */
	bool is_replica;      /* the server's own checks rest */
	PGresult *resting;    /* owned: what must be woken */
};

/* Runs what was written into `sql` and empties it. */
int bkp_erase_execute(struct eraser *e, struct fmt_buf *sql,
    enum fmt_status status, uint64_t *rows, struct bkp_error *err);

/* ---- erase_quiet.c ---- */

/* Puts triggers and rules of the tables that are written to to rest, and what
 * checks foreign keys, where the role may. */
int bkp_erase_quiet(struct eraser *e, struct bkp_error *err);
int bkp_erase_wake(struct eraser *e, struct bkp_error *err);

/* ---- erase_references.c ---- */

/* Finds the rows that refer to erased ones and stay. */
int bkp_erase_find(struct eraser *e, struct bkp_error *err);

/* Clears the references, or tells that they stay. */
int bkp_erase_clear(struct eraser *e, struct bkp_error *err);

/* Fails where a foreign key would be left that refers to nothing. */
int bkp_erase_prove(struct eraser *e, struct bkp_error *err);

/* ---- erase_clear.c ---- */

/* Appends "a = NULL, b = NULL": what clears the edge in the row of its child,
 * which goes by its bare name. *why: it cannot be done, and nothing was
 * appended. */
enum fmt_status bkp_erase_append_cleared(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    const char **why);

/* ---- erase_objects.c ---- */

/* Notes the objects that erased rows name, before the rows are gone, and which
 * of them others name, after that. */
int bkp_erase_note_objects(struct eraser *e, struct bkp_error *err);
int bkp_erase_keep_objects(struct eraser *e, struct bkp_error *err);

#endif
