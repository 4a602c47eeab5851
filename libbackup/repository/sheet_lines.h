/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_SHEET_LINES_H
#define LIBBACKUP_REPOSITORY_SHEET_LINES_H

/*
 * The lines of a recovery sheet that are typed in again: groups of four
 * characters, and at the end of each line a checksum of it. Lines 1 and 2 have
 * the repository's id, 3 to 6 the identity without its "AGE-SECRET-KEY-1",
 * and line 7 a checksum of all of them.
 *
 * A checksum is the first characters of SHA-256, five bits each, in the
 * alphabet of age's own keys, over the label, the line's digit and its
 * characters in small letters.
 */

#include "formats/age.h"
#include "libbackup/error.h"

#define BKP_SHEET_ID 33                            /* with its NUL */
#define BKP_SHEET_PREFIX "AGE-SECRET-KEY-1"        /* is not typed */
#define BKP_SHEET_KEY (FMT_AGE_IDENTITY_TEXT - 16) /* the rest, with a NUL */

/* What they hold. Secret; small letters. */
struct bkp_sheet_lines {
	char id[BKP_SHEET_ID];
	char key[BKP_SHEET_KEY];
};

/* Appends the seven lines. */
int bkp_sheet_lines_write(const struct bkp_sheet_lines *lines,
    struct fmt_buf *out, struct bkp_error *err);

/* Finds them in a text; all else in it is passed over, and so is the case of
 * letters and what people take for one another (O and 0; I, l and 1).
 * BKP_CORRUPT: err names every line that is wrong or missing. */
int bkp_sheet_lines_read(const char *text, size_t len,
    struct bkp_sheet_lines *out, struct bkp_error *err);

#endif
