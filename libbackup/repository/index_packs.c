/* SPDX-License-Identifier: Apache-2.0 */
/* Packs that the index names and the store does not have. */
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/index_set.h"

struct stored_pack {
	unsigned char name[32];
	uint64_t size;
};

struct stored_packs {
	struct stored_pack *items; /* owned, in the order of names */
	size_t count, cap;
};

static int
add_stored(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct stored_packs *packs = arg;
	const char *slash = strrchr(object->name, '/');
	struct stored_pack pack = {.size = object->size};

	if (slash == NULL || fmt_unhex(slash + 1, pack.name, 32) != FMT_OK)
		return 0; /* not a pack */
	if (bkp_grow(&packs->items, packs->count, &packs->cap,
		sizeof(*packs->items), err) < 0)
		return -1;
	packs->items[packs->count++] = pack;
	return 0;
}

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static int
check_packs_of(struct bkp_index_set *set, const struct fmt_index *view,
    const struct stored_packs *packs, struct bkp_error *err)
{
	for (uint32_t n = 0; n < view->pack_count; n++) {
		const struct stored_pack *found = NULL;
		struct fmt_index_pack pack;

		fmt_index_pack_at(view, n, &pack);
		if (packs->count > 0)
			found = bsearch(pack.name, packs->items, packs->count,
			    sizeof(*packs->items), compare_names);
		if (found != NULL && found->size == pack.stored_size)
			continue;
		if (bkp_grow(&set->lost, set->lost_count, &set->lost_cap,
			sizeof(*set->lost), err) < 0)
			return -1;
		memcpy(set->lost[set->lost_count++], pack.name, 32);
	}
	return 0;
}

int
bkp_index_set_check_packs(
    struct bkp_index_set *set, struct bkp_store *store, struct bkp_error *err)
{
	struct stored_packs packs = {NULL, 0, 0};
	int rc = bkp_store_list(store, "packs/", add_stored, &packs, err);

	pthread_rwlock_wrlock(&set->lock);
	set->lost_count = 0;
	for (size_t i = 0; rc == 0 && i < set->count; i++)
		rc = check_packs_of(set, &set->files[i].view, &packs, err);
	if (set->lost_count > 0)
		qsort(set->lost, set->lost_count, sizeof(*set->lost),
		    compare_names);
	pthread_rwlock_unlock(&set->lock);
	free(packs.items);
	return rc;
}

int
bkp_index_set_lose(struct bkp_index_set *set, const unsigned char pack[32],
    struct bkp_error *err)
{
	size_t at = 0;
	int rc = 0;

	pthread_rwlock_wrlock(&set->lock);
	if (!bkp_index_set_is_lost(set, pack))
		rc = bkp_grow(&set->lost, set->lost_count, &set->lost_cap,
		    sizeof(*set->lost), err);
	if (rc == 0 && !bkp_index_set_is_lost(set, pack)) {
		while (
		    at < set->lost_count && memcmp(set->lost[at], pack, 32) < 0)
			at++;
		memmove(&set->lost[at + 1], &set->lost[at],
		    (set->lost_count++ - at) * sizeof(*set->lost));
		memcpy(set->lost[at], pack, 32);
	}
	pthread_rwlock_unlock(&set->lock);
	return rc;
}

bool
bkp_index_set_is_lost(
    const struct bkp_index_set *set, const unsigned char pack[32])
{
	return set->lost_count > 0 &&
	       bsearch(pack, set->lost, set->lost_count, sizeof(*set->lost),
		   compare_names) != NULL;
}
