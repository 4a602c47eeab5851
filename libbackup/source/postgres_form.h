/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_FORM_H
#define LIBBACKUP_SOURCE_POSTGRES_FORM_H

/* Tables whose rows are stored in COPY's binary form, and those stored as
 * text: which are, what is recorded of them, and what loading has to know. */

#include "formats/entry.h"
#include "formats/pgcopy.h"
#include "formats/rowhash.h"
#include "libbackup/postgres/catalogue.h"
#include "libbackup/postgres/session.h"

/*
 * The form to read a table in. `known` is the one that was recorded of it (a
 * string), or NULL. Rows that were stored in one form are stored whole again in
 * another, so a table stays what it was until somebody says otherwise; and
 * what is only compared is read in the form that was recorded.
 */
enum fmt_copy_form bkp_pg_form_choose(const struct bkp_pg_table *table,
    const struct bkp_postgres_config *config, const char *encoding,
    bool is_compared, const json_t *known);

/* The attributes of a table's entry; NULL: a name is not UTF-8, or memory is
 * short. */
json_t *bkp_pg_form_describe(const struct bkp_pg_table *table,
    const struct fmt_rowhash *hash, const char *encoding);

/* Reads the form of a table's rows from its entry, and takes from the entry
 * the chunks that hold none: what comes before and after the rows in the
 * binary form. */
int bkp_pg_form_read(
    struct fmt_entry *entry, enum fmt_copy_form *out, struct bkp_error *err);

/* Whether the table that is there can take the rows: in the binary form only
 * columns of the types that were recorded, since the bytes of one type may
 * pass for a value of another. `quoted` names it; `types` NULL: the rows are
 * text, and COPY itself says what it cannot take. */
int bkp_pg_form_check(struct bkp_pg *pg, const char *quoted,
    const char *const *columns, const char *const *types, size_t count,
    struct bkp_error *err);

/* What a COPY of that form begins and ends with. */
int bkp_pg_form_begin(
    struct bkp_pg *pg, enum fmt_copy_form form, struct bkp_error *err);
int bkp_pg_form_end(
    struct bkp_pg *pg, enum fmt_copy_form form, struct bkp_error *err);

#endif
