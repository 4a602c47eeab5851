/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_DELTA_IMPL_H
#define FORMATS_DELTA_IMPL_H

/* The text of a difference, which delta.c reads and delta_make.c writes. */

#include "formats/delta.h"

#define FMT_DELTA_MAGIC "libbackup delta "
#define FMT_DELTA_TEXT "1 "   /* ops count lines */
#define FMT_DELTA_BINARY "2 " /* ops count bytes */

/* What comes next: `count` lines (or bytes) of the base from line (or byte)
 * `first` (from 0), or `count` of them that stand in the text, `len` bytes at
 * `lines`. */
struct fmt_delta_op {
	bool is_copy;
	uint32_t first, count;
	const unsigned char *lines;
	size_t len;
};

/* Reads the op at *at and moves *at behind it and its lines. */
enum fmt_status fmt_delta_op(const unsigned char **at, const unsigned char *end,
    enum fmt_copy_form form, struct fmt_delta_op *out);

#endif
