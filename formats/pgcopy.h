/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PGCOPY_H
#define FORMATS_PGCOPY_H

/*
 * Where the rows of PostgreSQL's COPY end, in its text form and in its binary
 * one: so much has to be known of rows to keep them whole, to count them and
 * to compare them. No value is ever decoded. formats/pgcopy.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/status.h"

enum fmt_copy_form { FMT_COPY_TEXT, FMT_COPY_BINARY };

/* What a stream in the binary form begins and ends with. */
#define FMT_COPY_HEADER_LEN 19
#define FMT_COPY_TRAILER_LEN 2
extern const unsigned char fmt_copy_header[FMT_COPY_HEADER_LEN];
extern const unsigned char fmt_copy_trailer[FMT_COPY_TRAILER_LEN];

/* The most fields a row may have: a bound, and no more than that. */
#define FMT_COPY_FIELDS_MAX 1664

/* "text" and "binary"; static storage. */
const char *fmt_copy_form_name(enum fmt_copy_form form);

/* False: no form has this name (NULL has none). */
bool fmt_copy_form_parse(const char *name, enum fmt_copy_form *out);

/* The bytes of the row that the data begins with; in the text form with its
 * newline. FMT_TRUNCATED where it does not end there; FMT_MALFORMED where no
 * row begins so. */
enum fmt_status fmt_copy_row(enum fmt_copy_form form, const unsigned char *data,
    size_t len, size_t *row_len);

#endif
