/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_COMPARE_H
#define LIBBACKUP_OPERATIONS_COMPARE_H

/* Whether what was restored is what was recorded, told in words. Pure: entries
 * and texts in, a sentence out. */

#include "libbackup/source/source.h"

/*
 * Compares two entries of one path: kind, attributes (but the ignored ones)
 * and, as the comparison says, size and SHA-256. `comparison` NULL compares
 * everything. 1: equal; 0: they differ and what was appended to `what`, such
 * as "rows: recorded 10, found 9"; -1: error.
 */
int bkp_compare_entries(const struct fmt_entry *recorded,
    const struct fmt_entry *found, const struct bkp_comparison *comparison,
    struct fmt_buf *what, struct bkp_error *err);

/* Compares two texts as multisets of lines; appends how many are missing and
 * extra, and the first of each. Where they are the same, and the texts are
 * catalogues, their order counts as well. What is JSON is told by member. As
 * above. */
int bkp_compare_texts(const struct fmt_buf *recorded,
    const struct fmt_buf *found, struct fmt_buf *what, struct bkp_error *err);

/* Compares two descriptions in JSON, whatever the order of what they hold;
 * false: they are none. *equal is as above. (compare_json.c) */
bool bkp_compare_json(const struct fmt_buf *recorded,
    const struct fmt_buf *found, struct fmt_buf *what, int *equal,
    struct bkp_error *err);

/* Whether the lines of each object of two catalogues come in the same order. As
 * above. (compare_order.c) */
int bkp_compare_order(const struct fmt_buf *recorded,
    const struct fmt_buf *found, struct fmt_buf *what, struct bkp_error *err);

/* Whether an object of a catalogue begins here. (compare_order.c) */
bool bkp_compare_is_heading(const char *at, const char *end);

/*
 * Whether this object of a catalogue, from its heading on, is a table that
 * inherits. Its columns have no order of their own: those that it shares with
 * its parents come first once it has been made again, whatever the order was
 * that it was made with. So the comma that is behind all but the last tells
 * nothing either. (compare_order.c)
 */
bool bkp_compare_is_heir(const char *heading, const char *end);

/* Of one section of a text: `what` is how much is equal, or the differences. */
typedef int bkp_tell_part_fn(void *arg, const char *section, bool is_equal,
    const char *what, struct bkp_error *err);

/* Compares two texts thing by thing, as next_part cuts them, and tells of each
 * section that is in one of them, by name. */
int bkp_compare_by_part(const struct fmt_buf *recorded,
    const struct fmt_buf *found, bkp_next_part_fn *next_part,
    bkp_tell_part_fn *tell, void *arg, struct bkp_error *err);

#endif
