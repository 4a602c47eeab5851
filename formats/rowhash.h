/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_ROWHASH_H
#define FORMATS_ROWHASH_H

/*
 * The order-independent hash of a table's rows: the XXH3 128-bit hash of every
 * row (of COPY text without its newline), summed modulo 2^128.
 * Equal tables have equal sums whatever the order and the chunks; a duplicated
 * row changes the sum (unlike XOR). It finds accidents, not attackers: against
 * those stand the signed snapshot and SHA-256. formats/rowhash.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/pgcopy.h"
#include "formats/status.h"

#define FMT_ROWHASH_TEXT 33 /* 32 hex digits, big-endian, and a NUL */

struct fmt_rowhash {
	uint64_t low, high;
	uint64_t rows;
};

#define FMT_ROWHASH_INIT                                                       \
	{                                                                      \
		0, 0, 0                                                        \
	}

/* Adds one row; one of COPY text is given without its newline. */
void fmt_rowhash_add(struct fmt_rowhash *hash, const void *row, size_t len);

/* Adds every row of a run of rows, none split. FMT_TRUNCATED where the last
 * row does not end (text: with a newline), FMT_MALFORMED where something is no
 * row; nothing is added then. */
enum fmt_status fmt_rowhash_add_rows(struct fmt_rowhash *hash,
    enum fmt_copy_form form, const void *rows, size_t len);

/* Adds the sum and count of `other`. */
void fmt_rowhash_merge(
    struct fmt_rowhash *hash, const struct fmt_rowhash *other);

bool fmt_rowhash_is_equal(
    const struct fmt_rowhash *a, const struct fmt_rowhash *b);

/* The sum as hex text, and back (the row count is not part of the text). */
void fmt_rowhash_text(
    const struct fmt_rowhash *hash, char out[FMT_ROWHASH_TEXT]);
enum fmt_status fmt_rowhash_parse(const char *text, struct fmt_rowhash *out);

#endif
