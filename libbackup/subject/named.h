/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_NAMED_H
#define LIBBACKUP_SUBJECT_NAMED_H

/* The objects of buckets that rows name, by an entry of the map's `files`. */

#include "libbackup/subject/walk.h"

/* Appends the query of what the rows of one leaf name, as (key, name): those
 * that the walk decided so, or where that is UNDECIDED every row. An array
 * names each of its elements. */
enum fmt_status bkp_named_append(struct fmt_buf *out,
    const struct bkp_walk *walk, const struct bkp_map_file *file,
    const struct bkp_model_leaf *leaf, bool is_array, enum bkp_decided decided);

/* Whether the SQL of the entry gives an array. */
int bkp_named_ask_array(struct bkp_walk *walk, const struct bkp_map_file *file,
    bool *out, struct bkp_error *err);

/* Calls `each` for what rows that the walk decided so name; it may come twice.
 * Key (a prefix, where the entry has one) and name (or NULL) are borrowed. */
int bkp_named_each(struct bkp_walk *walk, const struct bkp_map_file *file,
    enum bkp_decided decided,
    int (*each)(
	void *arg, const char *key, const char *name, struct bkp_error *err),
    void *arg, struct bkp_error *err);

#endif
