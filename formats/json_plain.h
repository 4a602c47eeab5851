/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_JSON_PLAIN_H
#define FORMATS_JSON_PLAIN_H

/*
 * JSON as this project writes it: no white space, keys sorted, no fractions,
 * few escapes. It reads and writes that several times faster than jansson,
 * for lists of millions of entries, and takes no part in deciding what is
 * valid: whatever is not plain, valid or not, is FMT_MALFORMED here, and the
 * caller asks jansson about it (formats/json.h).
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

/* What is left to read. */
struct fmt_plain {
	const char *at;
	const char *end;
	struct fmt_buf unescaped; /* owned: the last string that had escapes */
};

#define FMT_PLAIN_INIT(text, len)                                              \
	{                                                                      \
		(text), (text) + (len), FMT_BUF_INIT                           \
	}

void fmt_plain_free(struct fmt_plain *in);

/* Passes over `token` and is true where it stands next. */
bool fmt_plain_take(struct fmt_plain *in, const char *token);

/* A string without its quotes; valid UTF-8, no NUL in it, none at its end.
 * *text is borrowed until the next string is read. */
enum fmt_status fmt_plain_string(
    struct fmt_plain *in, const char **text, size_t *len);

/* A string of 2 * len hex digits, for at most 32 bytes. */
enum fmt_status fmt_plain_hex(struct fmt_plain *in, void *out, size_t len);

/* An integer of at most 18 digits. */
enum fmt_status fmt_plain_uint(struct fmt_plain *in, uint64_t *out);

/* An object; *out is the caller's reference. */
enum fmt_status fmt_plain_object(struct fmt_plain *in, json_t **out);

/* Appends what jansson would, with sorted keys. Where it fails, some of it may
 * have been appended. */
enum fmt_status fmt_plain_append(const json_t *value, struct fmt_buf *out);
enum fmt_status fmt_plain_append_uint(uint64_t value, struct fmt_buf *out);

#endif
