/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_SQLTEXT_H
#define LIBBACKUP_POSTGRES_SQLTEXT_H

/*
 * Text that PostgreSQL's programs write, cut and put in order, so that two
 * dumps of equal things are equal text. Nothing is understood beyond quotes,
 * brackets and the comments that the programs put between statements.
 */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"

/* One statement: a view of the text, without white space around it and with
 * its ';'. */
struct bkp_sql_statement {
	const char *text;
	size_t len;
};

/* The next statement from *at, or false at the end. Comments between
 * statements and lines of psql commands (\restrict) are skipped. */
bool bkp_sql_next(
    const char **at, const char *end, struct bkp_sql_statement *out);

/* True where the statement begins with these words; *rest is what follows. */
bool bkp_sql_begins(const struct bkp_sql_statement *statement,
    const char *words, const char **rest);

/* Reads an identifier, quoted or not, at *at into `out` (cleared first) and
 * moves behind it. False where there is none. */
bool bkp_sql_identifier(const char **at, const char *end, struct fmt_buf *out);

/* A statement a line of pg_dumpall --globals-only without the settings;
 * statements about tablespaces go to `tablespaces`. Both appended. */
enum fmt_status bkp_sql_globals(const char *text, size_t len,
    struct fmt_buf *out, struct fmt_buf *tablespaces);

/*
 * Appends text with "(ARRAY[a, b])::t[]" written as "ARRAY[(a)::t, (b)::t]".
 * The server prints the first until the expression has been dumped and made
 * again, and the second ever after: the same thing.
 */
enum fmt_status bkp_sql_settle(
    const char *text, size_t len, struct fmt_buf *out);

/*
 * Appends a line of a catalogue without what the server itself adds or leaves
 * out when it has read its own words: the name that a cast gives to a column
 * without one ("'y'::text" becomes "'y'::text AS text"), and the highest value
 * of an identity that LIKE has copied. For two lines that should be one.
 */
enum fmt_status bkp_sql_steady(
    const char *line, size_t len, struct fmt_buf *out);

#endif
