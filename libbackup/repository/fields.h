/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_FIELDS_H
#define LIBBACKUP_REPOSITORY_FIELDS_H

/*
 * Reads the flat JSON objects that hold secrets: members are strings without
 * escapes, or whole numbers. It copies nothing, so there is nothing to wipe
 * but the text itself; a general JSON parser leaves copies behind.
 */

#include <stdbool.h>
#include <stddef.h>

#define BKP_FIELDS_MAX 16

struct bkp_field {
	const char *name, *value; /* borrowed from the text, not NUL ended */
	size_t name_len, value_len;
	bool is_number;
};

struct bkp_fields {
	struct bkp_field items[BKP_FIELDS_MAX];
	size_t count;
};

/* False where the text is not such an object (white space around it is
 * fine). */
bool bkp_fields_parse(const char *text, size_t len, struct bkp_fields *out);

/* The field, or NULL. */
const struct bkp_field *bkp_fields_find(
    const struct bkp_fields *fields, const char *name);

/* True where the field is there and has exactly this value. */
bool bkp_fields_has(
    const struct bkp_fields *fields, const char *name, const char *value);

/* Exactly 2 * len hex digits into `out`. */
bool bkp_fields_hex(
    const struct bkp_fields *fields, const char *name, void *out, size_t len);

#endif
