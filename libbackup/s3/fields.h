/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_FIELDS_H
#define LIBBACKUP_S3_FIELDS_H

/* A list of names and values: headers, query parameters, metadata, tags. */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"
#include "libbackup/error.h"

struct bkp_s3_field {
	char *name;  /* owned */
	char *value; /* owned; "" where there is none */
};

struct bkp_s3_fields {
	struct bkp_s3_field *items; /* owned */
	size_t count, cap;
};

#define BKP_S3_FIELDS_INIT                                                     \
	{                                                                      \
		NULL, 0, 0                                                     \
	}

/* Adds a copy at the end. add_len takes a value that is not NUL ended. */
int bkp_s3_fields_add(struct bkp_s3_fields *fields, const char *name,
    const char *value, struct bkp_error *err);
int bkp_s3_fields_add_len(struct bkp_s3_fields *fields, const char *name,
    size_t name_len, const char *value, size_t value_len,
    struct bkp_error *err);

/* The first value of a name (case does not matter), borrowed, or NULL. */
const char *bkp_s3_fields_get(
    const struct bkp_s3_fields *fields, const char *name);

/* Sorts by the bytes of name, then value. */
void bkp_s3_fields_sort(struct bkp_s3_fields *fields);

/* Frees the contents (wiped, as a header may hold a token); leaves INIT. */
void bkp_s3_fields_free(struct bkp_s3_fields *fields);

/* Appends text percent-encoded as SigV4 wants it: everything but letters,
 * digits, "-._~", and "/" where keep_slash. */
enum fmt_status bkp_s3_encode(
    const char *text, bool keep_slash, struct fmt_buf *out);

/* Undoes form encoding ("+" is a space where is_form). Appends; FMT_MALFORMED
 * where a "%" is not followed by two hexadecimal digits. */
enum fmt_status bkp_s3_decode(
    const char *text, size_t len, bool is_form, struct fmt_buf *out);

/* Appends "a=1&b=2", encoded, sorted by encoded name, then value. */
int bkp_s3_encode_query(const struct bkp_s3_fields *fields, struct fmt_buf *out,
    struct bkp_error *err);

#endif
