/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_SHARE_IMPL_H
#define FORMATS_SHARE_IMPL_H

/* What the records of a shared backup are read with. */

#include <jansson.h>

#include "formats/share.h"

/* A text that the caller frees. */
enum fmt_status fmt_share_get_new_text(
    const json_t *object, const char *key, char **out);

/* A text of at most size - 1 bytes. */
bool fmt_share_get_text(
    const json_t *object, const char *key, char *out, size_t size);

/* Room for as many items as the array at `key` has, zeroed: *items is a
 * pointer to them, the caller's, left alone where there are none. */
enum fmt_status fmt_share_get_array(const json_t *object, const char *key,
    size_t item_size, void *items, size_t *count);

enum fmt_status fmt_share_get_u32(const json_t *value, uint32_t *out);

/* ---- what a plan says of buckets (share_ranges.c) ---- */

bool fmt_share_has_valid_ranges(const struct fmt_share_plan *plan);

/* NULL: no memory. */
json_t *fmt_share_buckets_value(const struct fmt_share_plan *plan);
json_t *fmt_share_ranges_value(const struct fmt_share_plan *plan);

enum fmt_status fmt_share_get_ranges(
    const json_t *root, struct fmt_share_plan *out);

#endif
