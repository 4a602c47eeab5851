/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_BUF_H
#define FORMATS_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "formats/status.h"

/*
 * A growing run of bytes: the one buffer type of formats/ and libbackup/.
 * Starts as FMT_BUF_INIT (or FMT_BUF_SECRET_INIT: wiped before every free and
 * move). The owner frees it; a freed buffer is an empty one and can be used
 * again. A failed call leaves the content as it was.
 */
struct fmt_buf {
	unsigned char *data; /* owned; NULL while cap is 0 */
	size_t len;
	size_t cap;
	bool is_secret;
};

#define FMT_BUF_INIT {NULL, 0, 0, false}
#define FMT_BUF_SECRET_INIT {NULL, 0, 0, true}

/* Makes room for `extra` more bytes after len. FMT_NOMEM on failure. */
enum fmt_status fmt_buf_reserve(struct fmt_buf *buf, size_t extra);

/* Appends bytes, a C string (without its NUL) or one byte. */
enum fmt_status fmt_buf_append(
    struct fmt_buf *buf, const void *data, size_t len);
enum fmt_status fmt_buf_append_text(struct fmt_buf *buf, const char *text);
enum fmt_status fmt_buf_append_byte(struct fmt_buf *buf, unsigned char byte);

/* Appends printf output. */
enum fmt_status fmt_buf_printf(struct fmt_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ensures a NUL after the content (not counted in len); returns data as a
 * string borrowed until the next change, or NULL when out of memory. */
const char *fmt_buf_text(struct fmt_buf *buf);

/* Empties the buffer and keeps its memory. */
void fmt_buf_clear(struct fmt_buf *buf);

/* Frees the memory; wipes it first where is_secret. */
void fmt_buf_free(struct fmt_buf *buf);

#endif
