/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_ENTRY_IMPL_H
#define FORMATS_ENTRY_IMPL_H

/* What the writer and the reader of entry lists must agree on. */

#include <stdbool.h>

#include "formats/entry.h"

/* Bytes of a line with its newline, and chunks in it. */
#define FMT_ENTRY_MAX_LINE ((size_t)16 * 1024 * 1024)
#define FMT_ENTRY_LINE_CHUNKS ((size_t)512)

#define FMT_ENTRY_MAX_KIND ((size_t)64)

/* Letters, digits, '.', '_' and '-', at least one. */
bool fmt_entry_kind_is_valid(const char *kind);

/* What one line says: an entry with such chunks as are in the line. A line that
 * goes on with an entry has no kind, and nothing but a path and chunks. */
struct fmt_entry_line {
	struct fmt_entry entry;
	bool more; /* another line of this entry must follow */
};

#define FMT_ENTRY_LINE_INIT                                                    \
	{                                                                      \
		FMT_ENTRY_INIT, false                                          \
	}

/* Reads a line without its newline. What more than one line decides (order,
 * sizes, what goes on with what) is the reader's to check. line->entry is the
 * caller's. */
enum fmt_status fmt_entry_line_read(
    const char *text, size_t len, struct fmt_entry_line *line);

#endif
