/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of object names that are kept in order. */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/object.h"

/* The first place whose name is not before this one. */
static size_t
place_of(const struct bkp_names *names, const char *name)
{
	size_t low = 0, high = names->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(names->items[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
bkp_names_has(const struct bkp_names *names, const char *name)
{
	size_t at = place_of(names, name);

	return at < names->count && strcmp(names->items[at], name) == 0;
}

int
bkp_names_add(struct bkp_names *names, const char *name, struct bkp_error *err)
{
	size_t at = place_of(names, name);

	if (at < names->count && strcmp(names->items[at], name) == 0)
		return 0;
	if (bkp_grow(&names->items, names->count, &names->cap,
		sizeof(*names->items), err) < 0)
		return -1;
	memmove(&names->items[at + 1], &names->items[at],
	    (names->count++ - at) * sizeof(*names->items));
	memcpy(names->items[at], name, BKP_OBJECT_NAME);
	return 0;
}

int
bkp_names_join(struct bkp_names *names, const struct bkp_names *other,
    struct bkp_error *err)
{
	for (size_t i = 0; i < other->count; i++) {
		if (bkp_names_add(names, other->items[i], err) < 0)
			return -1;
	}
	return 0;
}
