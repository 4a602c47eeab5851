/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_LOAD_SOFT_H
#define LIBBACKUP_SUBJECT_LOAD_SOFT_H

/* References that are no foreign keys, followed where keys change. */

#include "libbackup/subject/load_own.h"
#include "libbackup/subject/load_words.h"

struct load_soft {
	const struct bkp_unpack_reference *from; /* borrowed */
	size_t child, parent;                    /* of the model */
	struct load_words *values;               /* owned; as many as in from */
	size_t *parent_columns;                  /* owned; so many, too */
	bool is_understood;
};

/* One portion of rows that have the reference. */
struct load_soft_child {
	const struct bkp_load *load;
	const struct load_soft *soft;
	struct load_table *table;
};

/* Whether these rows may be what it refers to. */
bool bkp_load_soft_is_parent(
    const struct load_soft *soft, const struct load_table *table);

/* load_soft_sql.c: rows that refer to a row that has a new key follow it; how
 * many refer to none of them; and these refer to nothing. */
enum fmt_status bkp_load_soft_append_update(
    struct fmt_buf *sql, const struct load_soft_child *child);
enum fmt_status bkp_load_soft_append_count(
    struct fmt_buf *sql, const struct load_soft_child *child);
enum fmt_status bkp_load_soft_append_null(
    struct fmt_buf *sql, const struct load_soft_child *child);

#endif
