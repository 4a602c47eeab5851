/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_JSON_H
#define FORMATS_JSON_H

/*
 * What the formats written as JSON share: parsing that tells bad text from
 * missing memory, one way of writing, and lists of chunks as
 * [["<hex id>",<length>],...].
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/entry.h"
#include "formats/status.h"

/* Parses one JSON object. Keys given twice are FMT_MALFORMED. *out is the
 * caller's reference. */
enum fmt_status fmt_json_parse(const char *text, size_t len, json_t **out);

/* Appends a value in its one form: no spaces, keys sorted. */
enum fmt_status fmt_json_append(const json_t *value, struct fmt_buf *out);

/* The integer at `key`, which must be there and within 0..INT64_MAX. */
enum fmt_status fmt_json_get_uint(
    const json_t *object, const char *key, uint64_t *out);

/* Any integer at `key`. */
enum fmt_status fmt_json_get_int(
    const json_t *object, const char *key, int64_t *out);

/* The lower-case hex at `key`, exactly so many digits and a NUL. */
enum fmt_status fmt_json_get_hex(
    const json_t *object, const char *key, size_t digits, char *out);

/* Sets `key` to `value`, which is taken also where that fails: *failed is set
 * then. NULL stands for a value, or an object, that could not be made. */
void fmt_json_set(json_t *object, const char *key, json_t *value, bool *failed);

/* Reads one [id, length] pair. A chunk of no bytes is malformed. */
enum fmt_status fmt_json_get_ref(const json_t *pair, struct fmt_chunk_ref *out);

/* Appends [["<hex>",<length>],...]. */
enum fmt_status fmt_json_append_refs(
    const struct fmt_chunk_ref *refs, size_t count, struct fmt_buf *out);

/* A pair, and an array of pairs; NULL where memory is short. */
json_t *fmt_json_ref(const struct fmt_chunk_ref *ref);
json_t *fmt_json_refs(const struct fmt_chunk_ref *refs, size_t count);

/* Reads an array of pairs, which must be there. *refs is the caller's
 * (free()), left alone where there are none; also on failure. */
enum fmt_status fmt_json_get_refs(const json_t *object, const char *key,
    struct fmt_chunk_ref **refs, size_t *count);

/* An array of names, `count` strings of `digits` characters, each with a NUL
 * behind it; NULL where memory is short. */
json_t *fmt_json_names(const void *items, size_t count, size_t digits);

/* Reads such an array, which must be there: *items is a char (**)[digits + 1],
 * the caller's (free()), left alone where there are none; also on failure.
 * Only their lengths are checked. */
enum fmt_status fmt_json_get_names(const json_t *object, const char *key,
    size_t digits, void *items, size_t *count);

/* True where the names are lower-case hex and, with is_sorted, strictly
 * increasing. */
bool fmt_json_are_names(
    const void *items, size_t count, size_t digits, bool is_sorted);

/* How many bytes the UTF-8 character at `bytes` has; 0 where there is no valid
 * one within `len`. */
size_t fmt_utf8_length(const unsigned char *bytes, size_t len);

/* True where the whole string is valid UTF-8. */
bool fmt_utf8_is_valid(const char *text);

#endif
