/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_ENTRY_IMPL_H
#define FORMATS_ENTRY_IMPL_H

/* What the writer and the reader of entry lists must agree on. */

#include <stdbool.h>

/* Bytes of a line with its newline, and chunks in it. */
#define FMT_ENTRY_MAX_LINE ((size_t)16 * 1024 * 1024)
#define FMT_ENTRY_LINE_CHUNKS ((size_t)512)

#define FMT_ENTRY_MAX_KIND ((size_t)64)

/* Letters, digits, '.', '_' and '-', at least one. */
bool fmt_entry_kind_is_valid(const char *kind);

#endif
