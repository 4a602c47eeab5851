/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PGJSON_IMPL_H
#define FORMATS_PGJSON_IMPL_H

/* What the files of pgjson share (pgjson.md). */

#include "formats/pgjson.h"

/* The server's own limit of dimensions. */
#define FMT_PGJSON_DIMENSIONS 6

/* How many bytes stand in a string as they are. */
size_t fmt_pgjson_plain(const char *at, const char *end);

/* Appends one character of a string at *text and moves behind it: as it is,
 * escaped, or as U+FFFD. Quotes and backslashes are the caller's. */
enum fmt_status fmt_pgjson_character(
    struct fmt_buf *out, const char **text, const char *end, int *is_changed);

/* Appends a json value that was checked, on one line. */
enum fmt_status fmt_pgjson_document(
    struct fmt_buf *out, const char *text, size_t len, int *is_changed);

/* How many bytes of text are a number as JSON writes it; 0: it does not begin
 * with one. */
size_t fmt_pgjson_number(const char *text, size_t len);

#endif
