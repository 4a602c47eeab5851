/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_NAMES_H
#define LIBBACKUP_POSTGRES_NAMES_H

/*
 * Names in paths and in SQL.
 *
 * A name becomes one component of a path. Control characters, '/' and '=' are
 * written as "=" and two upper-case hex digits, and so are the dots of a schema
 * or table name (a dot stands between the two) and of a database called ".",
 * ".." or "globals.sql". Everything else stays as it is:
 *
 *     database  a/b            ->  a=2Fb
 *     table     public.my.tab  ->  public.my=2Etab
 */

#include <stdarg.h>

#include "formats/buf.h"

/* Appends the component for a database. */
enum fmt_status bkp_pg_path_database(struct fmt_buf *out, const char *name);

/* Appends "<schema>.<table>". */
enum fmt_status bkp_pg_path_table(
    struct fmt_buf *out, const char *schema, const char *name);

/* Appends a quoted identifier or literal (E'' where it needs one). */
enum fmt_status bkp_pg_quote(struct fmt_buf *out, const char *name);
enum fmt_status bkp_pg_literal(struct fmt_buf *out, const char *text);

/*
 * printf for SQL, appended: %I is a name quoted, %L a literal, %s text as it
 * is, %u an unsigned, %llu an unsigned long long. Nothing else.
 */
enum fmt_status bkp_pg_sql(struct fmt_buf *out, const char *format, ...);
enum fmt_status bkp_pg_vsql(
    struct fmt_buf *out, const char *format, va_list *ap);

#endif
