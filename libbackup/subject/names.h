/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_NAMES_H
#define LIBBACKUP_SUBJECT_NAMES_H

/*
 * How maps name tables and edges. The parts are written as SQL writes
 * identifiers: lower case letters, digits and '_' as they are, everything else
 * between double quotes; key words are not quoted, for every version of the
 * server has others.
 *
 *	public.orders
 *	public.orders(tenant_id, user_id) -> public.users(tenant_id, id)
 *
 * Several columns are sorted by the child's, so that an edge has one name in
 * whatever order its constraint was written.
 */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"

/* Appends an identifier. */
enum fmt_status bkp_subject_identifier(struct fmt_buf *out, const char *name);

/* Appends "schema.table". */
enum fmt_status bkp_subject_table(
    struct fmt_buf *out, const char *schema, const char *table);

/* A pair of columns of an edge; borrowed. */
struct bkp_subject_pair {
	const char *child, *parent;
	size_t at; /* the caller's */
};

/* Sorts the pairs and appends the edge between two tables, which are named as
 * above. */
enum fmt_status bkp_subject_edge(struct fmt_buf *out, const char *child,
    const char *parent, struct bkp_subject_pair *pairs, size_t count);

/* ---- as people write them: FMT_MALFORMED where it is none ---- */

/* Appends the name of a table as it should be written. */
enum fmt_status bkp_subject_read_table(struct fmt_buf *out, const char *text);

/* The same for an edge. */
enum fmt_status bkp_subject_read_edge(struct fmt_buf *out, const char *text);

/* "public.users(id, name)": appends the table's name, and the names of the
 * columns, without quotes, each with a NUL behind it. */
enum fmt_status bkp_subject_read_columns(struct fmt_buf *table,
    struct fmt_buf *columns, size_t *count, const char *text);

/*
 * NULL where the text is one SQL expression as far as brackets and quotes can
 * tell, so that "(<text>)" is one as well; else what is wrong with it.
 */
const char *bkp_subject_expression(const char *text);

/* True where the expression names the column, outside of quoted text. */
bool bkp_subject_mentions(const char *expression, const char *column);

#endif
