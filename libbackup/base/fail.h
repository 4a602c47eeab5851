/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_FAIL_H
#define LIBBACKUP_BASE_FAIL_H

/*
 * How the library fills a struct bkp_error. Each call returns -1, so that
 * `return bkp_fail(...)` reads well; err may be NULL everywhere.
 */

#include <stddef.h>

#include "formats/status.h"
#include "libbackup/error.h"

/* Sets code and message; sys becomes 0. Too long a message is cut. */
int bkp_fail(struct bkp_error *err, enum bkp_error_code code,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Sets the message to "<formatted>: <strerror>" and the code by errno value:
 * ENOENT NOTFOUND, EEXIST EXISTS, ENOMEM NOMEM, EACCES/EPERM AUTH, else IO. */
int bkp_fail_errno(struct bkp_error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the message to "<formatted>: <status text>" and the code by status. */
int bkp_fail_format(struct bkp_error *err, enum fmt_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<formatted>: " in front of the message that is there. */
int bkp_fail_in(struct bkp_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Out of memory while `doing` (a phrase: "reading the configuration"). */
int bkp_fail_nomem(struct bkp_error *err, const char *doing);

/* ---- allocation that reports ---- */

/* Zeroed memory, a copy of a string, printf into new memory. The caller
 * frees with free(). NULL on failure, with err set. */
void *bkp_alloc(size_t size, struct bkp_error *err);
void *bkp_alloc_array(size_t count, size_t size, struct bkp_error *err);
char *bkp_strdup(const char *text, struct bkp_error *err);
char *bkp_format(struct bkp_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes room for one more element at the end of a growing array: *items holds
 * `count` elements of `size` bytes with room for *cap. 0 or -1. */
int bkp_grow(void *items_pointer, size_t count, size_t *cap, size_t size,
    struct bkp_error *err);

/* For qsort and bsearch of strings: a and b point at `char *`s. */
int bkp_compare_strings(const void *a, const void *b);

#endif
