/* SPDX-License-Identifier: Apache-2.0 */
/* Packs as they are stored, and sets of them. */
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/prune_own.h"

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

/* ---- stored ---- */

static int
note_pack(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct bkp_stored_packs *packs = arg;
	const char *slash = strrchr(object->name, '/');
	struct bkp_stored_pack pack = {
	    .size = object->size, .modified_us = object->modified_us};

	if (slash == NULL || fmt_unhex(slash + 1, pack.name, 32) != FMT_OK)
		return 0; /* not a pack */
	if (bkp_grow(&packs->items, packs->count, &packs->cap,
		sizeof(*packs->items), err) < 0)
		return -1;
	packs->items[packs->count++] = pack;
	packs->bytes += pack.size;
	return 0;
}

int
bkp_stored_packs_list(struct bkp_store *store, struct bkp_stored_packs *out,
    struct bkp_error *err)
{
	struct bkp_stored_packs packs = {.items = NULL};

	if (bkp_store_list(store, "packs/", note_pack, &packs, err) < 0) {
		bkp_stored_packs_free(&packs);
		return -1;
	}
	*out = packs;
	return 0;
}

void
bkp_stored_packs_free(struct bkp_stored_packs *packs)
{
	free(packs->items);
	*packs = (struct bkp_stored_packs){.items = NULL};
}

const struct bkp_stored_pack *
bkp_stored_packs_find(
    const struct bkp_stored_packs *packs, const unsigned char name[32])
{
	return packs->count > 0 ? bsearch(name, packs->items, packs->count,
				      sizeof(*packs->items), compare_names)
				: NULL;
}

/* ---- sets ---- */

int
bkp_pack_set_add(struct bkp_pack_set *set, const unsigned char name[32],
    struct bkp_error *err)
{
	if (bkp_grow(&set->items, set->count, &set->cap, sizeof(*set->items),
		err) < 0)
		return -1;
	memcpy(set->items[set->count++], name, 32);
	return 0;
}

void
bkp_pack_set_sort(struct bkp_pack_set *set)
{
	size_t kept = 0;

	if (set->count < 2)
		return;
	qsort(set->items, set->count, sizeof(*set->items), compare_names);
	for (size_t i = 1; i < set->count; i++)
		if (memcmp(set->items[kept], set->items[i], 32) != 0)
			memmove(set->items[++kept], set->items[i], 32);
	set->count = kept + 1;
}

bool
bkp_pack_set_has(const struct bkp_pack_set *set, const unsigned char name[32])
{
	return set->count > 0 &&
	       bsearch(name, set->items, set->count, sizeof(*set->items),
		   compare_names) != NULL;
}

void
bkp_pack_set_free(struct bkp_pack_set *set)
{
	free(set->items);
	*set = (struct bkp_pack_set){.items = NULL};
}
