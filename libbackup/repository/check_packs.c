/* SPDX-License-Identifier: Apache-2.0 */
/* The packs that are stored beside those that the index names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"

void
bkp_pack_path(const unsigned char name[32], char path[BKP_PACK_PATH])
{
	char hex[BKP_OBJECT_NAME];

	fmt_hex(name, 32, hex);
	(void)snprintf(path, BKP_PACK_PATH, "packs/%.2s/%s", hex, hex);
}

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

struct bkp_check_pack *
bkp_check_packs_find(
    const struct bkp_check_packs *packs, const unsigned char name[32])
{
	if (packs->count == 0)
		return NULL;
	return bsearch(name, packs->items, packs->count, sizeof(*packs->items),
	    compare_names);
}

static int
add_pack(struct bkp_check_packs *packs, const struct bkp_check_pack *pack,
    struct bkp_error *err)
{
	if (bkp_grow(&packs->items, packs->count, &packs->cap,
		sizeof(*packs->items), err) < 0)
		return -1;
	packs->items[packs->count++] = *pack;
	return 0;
}

static void
sort_packs(struct bkp_check_packs *packs)
{
	if (packs->count > 1)
		qsort(packs->items, packs->count, sizeof(*packs->items),
		    compare_names);
}

/* ---- stored ---- */

static int
add_stored(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct bkp_checker *checker = arg;
	const char *slash = strrchr(object->name, '/');
	struct bkp_check_pack pack = {.is_stored = true};
	char path[BKP_PACK_PATH];

	if (slash == NULL || fmt_unhex(slash + 1, pack.name, 32) != FMT_OK)
		path[0] = '\0';
	else
		bkp_pack_path(pack.name, path);
	if (strcmp(path, object->name) != 0)
		return bkp_check_stranger(checker, object->name, err);
	pack.stored_size = object->size;
	checker->packs.stored++;
	checker->packs.stored_bytes += object->size;
	return add_pack(&checker->packs, &pack, err);
}

/* ---- indexed ---- */

static void
note_indexed(struct bkp_check_pack *pack, const struct fmt_index_pack *indexed)
{
	/* Of two that differ, the one that fits what is stored is right. */
	if (pack->is_indexed && pack->indexed_size == pack->stored_size)
		return;
	pack->is_indexed = true;
	pack->indexed_size = indexed->stored_size;
	pack->kind = indexed->kind;
}

/* What is indexed and not stored is put behind `sorted`, perhaps twice. */
static int
add_indexed(struct bkp_checker *checker, const struct fmt_index *view,
    size_t sorted, struct bkp_error *err)
{
	struct bkp_check_packs *packs = &checker->packs;

	for (uint32_t n = 0; n < view->pack_count; n++) {
		struct bkp_check_packs stored = {
		    .items = packs->items, .count = sorted};
		struct fmt_index_pack indexed;
		struct bkp_check_pack *pack, lost = {.state = BKP_PACK_LOST};

		fmt_index_pack_at(view, n, &indexed);
		pack = bkp_check_packs_find(&stored, indexed.name);
		if (pack != NULL) {
			note_indexed(pack, &indexed);
			continue;
		}
		memcpy(lost.name, indexed.name, sizeof(lost.name));
		note_indexed(&lost, &indexed);
		if (add_pack(packs, &lost, err) < 0)
			return -1;
	}
	return 0;
}

static void
drop_doubles(struct bkp_check_packs *packs)
{
	size_t kept = 0;

	for (size_t i = 1; i < packs->count; i++) {
		if (memcmp(packs->items[kept].name, packs->items[i].name, 32) !=
		    0)
			packs->items[++kept] = packs->items[i];
	}
	if (packs->count > 0)
		packs->count = kept + 1;
}

/* ---- sizes ---- */

/* Perhaps it is another one. */
static int
look_for_owner(struct bkp_checker *checker, const struct bkp_check_pack *pack,
    struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT;
	unsigned char digest[32];
	int rc = bkp_check_get_damaged(checker, pack->name, &stored, err);

	if (rc == 0 && stored.len > 0 &&
	    fmt_sha256(stored.data, stored.len, digest) == FMT_OK)
		rc = bkp_check_misplaced_pack(checker, pack, digest, err);
	fmt_buf_free(&stored);
	return rc;
}

static int
check_size(struct bkp_checker *checker, struct bkp_check_pack *pack,
    struct bkp_error *err)
{
	char path[BKP_PACK_PATH];

	if (!pack->is_stored || !pack->is_indexed ||
	    pack->stored_size == pack->indexed_size)
		return 0;
	pack->state = BKP_PACK_LOST;
	bkp_pack_path(pack->name, path);
	if (bkp_finding_add(&checker->findings, &pack->finding,
		BKP_FINDING_WARNING, "pack-damaged", path, err,
		"%s: it has %llu bytes, and %llu were stored", path,
		(unsigned long long)pack->stored_size,
		(unsigned long long)pack->indexed_size) < 0)
		return -1;
	return look_for_owner(checker, pack, err);
}

int
bkp_check_list_packs(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_repository *repository = checker->repository;
	struct bkp_check_packs *packs = &checker->packs;
	size_t sorted;

	if (bkp_store_list(
		repository->store, "packs/", add_stored, checker, err) < 0)
		return -1;
	sort_packs(packs);
	sorted = packs->count;
	for (size_t i = 0; i < repository->index.count; i++) {
		if (add_indexed(checker, &repository->index.files[i].view,
			sorted, err) < 0)
			return -1;
	}
	sort_packs(packs);
	drop_doubles(packs);
	for (size_t i = 0; i < packs->count; i++) {
		packs->orphans +=
		    packs->items[i].is_stored && !packs->items[i].is_indexed;
		if (check_size(checker, &packs->items[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- bad chunks ---- */

static void
chunk_key(const struct bkp_check_pack *pack,
    const unsigned char id[FMT_ID_SIZE], unsigned char key[FMT_ID_SIZE])
{
	for (size_t i = 0; i < FMT_ID_SIZE; i++)
		key[i] = id[i] ^ pack->name[i];
}

int
bkp_check_bad_chunk(struct bkp_checker *checker, struct bkp_check_pack *pack,
    const unsigned char id[FMT_ID_SIZE], struct bkp_error *err)
{
	unsigned char key[FMT_ID_SIZE];
	bool is_new;

	chunk_key(pack, id, key);
	if (pack->state == BKP_PACK_GOOD)
		pack->state = BKP_PACK_PARTLY;
	return bkp_known_set_add(&checker->bad_chunks, key, &is_new, err);
}

bool
bkp_check_is_bad_chunk(struct bkp_checker *checker,
    const struct bkp_check_pack *pack, const unsigned char id[FMT_ID_SIZE])
{
	unsigned char key[FMT_ID_SIZE];

	if (pack->state == BKP_PACK_GOOD)
		return false;
	chunk_key(pack, id, key);
	return pack->state == BKP_PACK_LOST ||
	       bkp_known_set_has(&checker->bad_chunks, key);
}
