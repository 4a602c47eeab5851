/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PGJSON_H
#define FORMATS_PGJSON_H

/*
 * PostgreSQL's text of a value as JSON that keeps its meaning (pgjson.md):
 *
 *   int2, int4, oid      a number
 *   int8, numeric        a string of its digits: readers of JSON count in
 *                        doubles, and a string survives them
 *   float4, float8       a number, shortest exact; "NaN", "Infinity"
 *   boolean              true, false
 *   date                 "2026-11-20"
 *   timestamp            "2026-11-20T12:00:00.5"
 *   timestamptz          "2026-11-20T12:00:00.5Z" (the session is in UTC)
 *   bytea                base64
 *   json, jsonb          as it is, on one line
 *   arrays               arrays, nested as they are, null for NULL
 *   everything else      a string
 * Dates out of ISO 8601's reach ("infinity", years BC) stay PostgreSQL's text.
 */

#include <stddef.h>

#include "formats/buf.h"
#include "formats/status.h"

enum fmt_pgjson {
	FMT_PGJSON_TEXT,
	FMT_PGJSON_BOOLEAN,
	FMT_PGJSON_INTEGER,
	FMT_PGJSON_EXACT,
	FMT_PGJSON_FLOAT,
	FMT_PGJSON_BYTES,
	FMT_PGJSON_DATE,
	FMT_PGJSON_TIMESTAMP,
	FMT_PGJSON_TIMESTAMPTZ,
	FMT_PGJSON_JSON
};

/* Appends one value; `text` has `len` bytes and need not end in a NUL. What is
 * no value of its kind is FMT_MALFORMED. Bytes that are no UTF-8 become U+FFFD
 * (*is_changed, which may be NULL, tells). */
enum fmt_status fmt_pgjson_value(struct fmt_buf *out, enum fmt_pgjson kind,
    const char *text, size_t len, int *is_changed);

/* Appends an array of such; delimiter is ',' but for box. */
enum fmt_status fmt_pgjson_array(struct fmt_buf *out, enum fmt_pgjson element,
    char delimiter, const char *text, size_t len, int *is_changed);

/* Appends a JSON string with its quotes. */
enum fmt_status fmt_pgjson_string(
    struct fmt_buf *out, const char *text, size_t len, int *is_changed);

#endif
