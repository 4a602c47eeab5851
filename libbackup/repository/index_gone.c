/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index objects that this machine has a copy of and the store has not any more.
 *
 * Most of them were replaced by a prune, which takes an index object away after
 * it has put another one that names the same packs, but for those on a list of
 * condemned ones. So where a pack is stored, is not condemned and is named by
 * nothing but the copy, somebody else took the object away, and no other
 * machine could find what lies there.
 */
#include <string.h>
#include <unistd.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/index_set_own.h"
#include "libbackup/repository/prune_own.h"

struct search {
	struct bkp_repository *repository;
	const struct bkp_condemned *condemned;
	struct bkp_names known; /* owned: that are in the store */
	struct bkp_stored_packs packs;
	bool has_packs;
	bool has_healed;
};

/* ---- what is named ---- */

static int
list_known(struct search *search, struct bkp_error *err)
{
	const struct bkp_index_set *set = &search->repository->index;

	for (size_t i = 0; i < set->count; i++)
		if (bkp_names_add(&search->known, set->files[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < set->damaged_count; i++)
		if (bkp_names_add(&search->known, set->damaged[i].name, err) <
		    0)
			return -1;
	return 0;
}

static bool
is_named(const struct bkp_index_set *set, const unsigned char name[32])
{
	for (size_t i = 0; i < set->count; i++)
		for (uint32_t n = 0; n < set->files[i].view.pack_count; n++) {
			struct fmt_index_pack pack;

			fmt_index_pack_at(&set->files[i].view, n, &pack);
			if (memcmp(pack.name, name, 32) == 0)
				return true;
		}
	return false;
}

/* How many packs nobody else would find. */
static int
count_alone(struct search *search, const struct bkp_index_file *file,
    size_t *count, struct bkp_error *err)
{
	struct bkp_repository *repository = search->repository;

	if (!search->has_packs &&
	    bkp_stored_packs_list(repository->store, &search->packs, err) < 0)
		return -1;
	search->has_packs = true;
	*count = 0;
	for (uint32_t n = 0; n < file->view.pack_count; n++) {
		const struct bkp_stored_pack *stored;
		struct fmt_index_pack pack;

		fmt_index_pack_at(&file->view, n, &pack);
		stored = bkp_stored_packs_find(&search->packs, pack.name);
		*count += stored != NULL && stored->size == pack.stored_size &&
			  !bkp_condemned_has(search->condemned, pack.name) &&
			  !is_named(&repository->index, pack.name);
	}
	return 0;
}

/* ---- each copy ---- */

static int
tell(struct search *search, const struct bkp_index_file *file, size_t alone,
    struct bkp_error *err)
{
	struct bkp_repository *repository = search->repository;
	struct bkp_error problem = BKP_ERROR_INIT;
	bool is_healed = bkp_index_store_again(repository, file);

	(void)bkp_fail(&problem, BKP_CORRUPT,
	    "%s: index/%s is gone, and %s that nothing else names %s there; %s",
	    repository->store->location, file->name,
	    bkp_counted(alone, "pack").text, bkp_are(alone),
	    is_healed ? "it was stored again from the copy on this machine"
		      : "the copy on this machine could not be stored again");
	search->has_healed |= is_healed;
	/* Then the copy is kept for the next time. */
	if (!is_healed && bkp_names_add(&search->known, file->name, err) < 0)
		return -1;
	return bkp_index_set_note_damage(
	    &repository->index, file->name, &problem, err);
}

static int
look_at(struct search *search, const char *name, struct bkp_error *err)
{
	struct bkp_index_cache *cache = &search->repository->index.cache;
	struct bkp_index_file file = {.map = NULL};
	size_t alone = 0;
	uint64_t len;
	int fd = bkp_index_cache_get(cache, name, &len), rc = 0;

	if (fd < 0)
		return 0;
	memcpy(file.name, name, sizeof(file.name));
	if (bkp_index_file_map(fd, len, &file, NULL) == 0) {
		rc = count_alone(search, &file, &alone, err);
		if (rc == 0 && alone > 0)
			rc = tell(search, &file, alone, err);
	}
	(void)close(fd);
	bkp_index_file_free(&file);
	return rc;
}

static int
look_at_all(struct search *search, struct bkp_error *err)
{
	struct bkp_index_cache *cache = &search->repository->index.cache;
	struct bkp_names gone = BKP_NAMES_INIT;
	int rc = bkp_index_cache_others(cache, &search->known, &gone, err);

	for (size_t i = 0; rc == 0 && i < gone.count; i++)
		rc = look_at(search, gone.items[i], err);
	if (rc == 0 && search->has_healed)
		rc = bkp_repository_load_good_index(search->repository, err);
	if (rc == 0)
		bkp_index_cache_sweep(cache, &search->known);
	bkp_names_free(&gone);
	return rc;
}

int
bkp_repository_miss_index(struct bkp_repository *repository,
    const struct bkp_condemned *condemned, struct bkp_error *err)
{
	struct search search = {
	    .repository = repository, .condemned = condemned};
	int rc = list_known(&search, err);

	if (rc == 0)
		rc = look_at_all(&search, err);
	bkp_names_free(&search.known);
	bkp_stored_packs_free(&search.packs);
	return rc;
}
