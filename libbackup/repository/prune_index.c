/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index objects without the packs that go, and many small ones as one. What a
 * new one holds is stored before the old ones are removed; a crash between the
 * two leaves what is known twice.
 *
 * A chunk may be known in several packs, and an index object holds each id
 * once. All of them stay known: another prune may be about to delete the pack
 * that we would have taken. A pack goes into an object as a whole, and into
 * another one where it does not fit.
 *
 * Memory: about 250 bytes for each chunk of the objects that are joined, at
 * most BKP_INDEX_CHUNKS or as many as a single one has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/prune_own.h"
#include "libbackup/repository/session_own.h"

#define SMALL (BKP_INDEX_CHUNKS / 2) /* chunks; worth joining below */
#define SMALL_MANY 8                 /* objects, from which it is done */

struct record {
	struct fmt_pack_chunk chunk;
	size_t pack; /* of the array of packs */
	bool is_written;
};

struct group {
	struct bkp_repository *repository;
	const struct bkp_pack_set *dead;
	struct bkp_names names;       /* of the objects that are joined */
	struct fmt_index_pack *packs; /* owned, by name once sorted */
	size_t pack_count, pack_cap;
	struct record *records; /* owned */
	size_t record_count, record_cap;
	uint64_t chunks; /* of the objects */
	bool has_dead;
};

static void
empty_group(struct group *group)
{
	bkp_names_free(&group->names);
	free(group->packs);
	free(group->records);
	*group = (struct group){
	    .repository = group->repository, .dead = group->dead};
}

/* ---- gathering ---- */

static int
compare_packs(const void *a, const void *b)
{
	const struct fmt_index_pack *x = a, *y = b;

	return memcmp(x->name, y->name, sizeof(x->name));
}

static size_t
pack_place(const struct group *group, const unsigned char name[32])
{
	struct fmt_index_pack key;
	const struct fmt_index_pack *found;

	memcpy(key.name, name, sizeof(key.name));
	found = bsearch(&key, group->packs, group->pack_count,
	    sizeof(*group->packs), compare_packs);
	return found != NULL ? (size_t)(found - group->packs) : SIZE_MAX;
}

static int
gather_packs(
    struct group *group, const struct fmt_index *view, struct bkp_error *err)
{
	for (uint32_t n = 0; n < view->pack_count; n++) {
		struct fmt_index_pack pack;

		fmt_index_pack_at(view, n, &pack);
		if (bkp_pack_set_has(group->dead, pack.name))
			continue;
		if (bkp_grow(&group->packs, group->pack_count, &group->pack_cap,
			sizeof(*group->packs), err) < 0)
			return -1;
		group->packs[group->pack_count++] = pack;
	}
	return 0;
}

static void
sort_packs(struct group *group)
{
	size_t kept = 0;

	if (group->pack_count < 2)
		return;
	qsort(group->packs, group->pack_count, sizeof(*group->packs),
	    compare_packs);
	for (size_t i = 1; i < group->pack_count; i++)
		if (compare_packs(&group->packs[kept], &group->packs[i]) != 0)
			group->packs[++kept] = group->packs[i];
	group->pack_count = kept + 1;
}

static int
gather_records(
    struct group *group, const struct fmt_index *view, struct bkp_error *err)
{
	for (uint64_t n = 0; n < view->chunk_count; n++) {
		struct fmt_index_place place;
		enum fmt_status status = fmt_index_at(view, n, &place);
		size_t pack;

		if (status != FMT_OK)
			return bkp_fail_format(err, status, "reading an index");
		if ((pack = pack_place(group, place.pack.name)) == SIZE_MAX)
			continue;
		if (bkp_grow(&group->records, group->record_count,
			&group->record_cap, sizeof(*group->records), err) < 0)
			return -1;
		group->records[group->record_count++] =
		    (struct record){.chunk = place.chunk, .pack = pack};
	}
	return 0;
}

/* By pack and place in it, so that what is known twice lies side by side. */
static int
compare_records(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	if (x->chunk.offset != y->chunk.offset)
		return x->chunk.offset < y->chunk.offset ? -1 : 1;
	return memcmp(x->chunk.id, y->chunk.id, FMT_ID_SIZE);
}

static void
sort_records(struct group *group)
{
	struct record *records = group->records;
	size_t kept = 0;

	if (group->record_count < 2)
		return;
	qsort(records, group->record_count, sizeof(*records), compare_records);
	for (size_t i = 1; i < group->record_count; i++)
		if (compare_records(&records[kept], &records[i]) != 0)
			records[++kept] = records[i];
	group->record_count = kept + 1;
}

static const struct fmt_index *
view_of(const struct group *group, const char *name)
{
	const struct bkp_index_set *set = &group->repository->index;

	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->files[i].name, name) == 0)
			return &set->files[i].view;
	return NULL;
}

static int
gather(struct group *group, struct bkp_error *err)
{
	const struct fmt_index *view;

	for (size_t i = 0; i < group->names.count; i++) {
		view = view_of(group, group->names.items[i]);
		if (view != NULL && gather_packs(group, view, err) < 0)
			return -1;
	}
	sort_packs(group);
	for (size_t i = 0; group->pack_count > 0 && i < group->names.count;
	     i++) {
		view = view_of(group, group->names.items[i]);
		if (view != NULL && gather_records(group, view, err) < 0)
			return -1;
	}
	sort_records(group);
	return 0;
}

/* ---- writing ---- */

static bool
knows_any(
    struct bkp_known_set *known, const struct record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bkp_known_set_has(known, records[i].chunk.id))
			return true;
	return false;
}

/* Adds the pack whose records begin at `at`, whole, unless that is done or
 * this object has one of its ids already: an object that named a part of a
 * pack would hide from a repair that the rest is known to nobody any more.
 * *at becomes where the next pack begins. */
static int
add_pack(struct group *group, struct fmt_index_builder *builder,
    struct bkp_known_set *known, size_t *at, size_t *added,
    struct bkp_error *err)
{
	const struct record *records = &group->records[*at];
	size_t pack = records->pack, end = *at, count = 0;
	struct fmt_pack_chunk *chunks;
	enum fmt_status status;

	while (end < group->record_count && group->records[end].pack == pack)
		end++;
	if (records->is_written || knows_any(known, records, end - *at)) {
		*at = end;
		return 0;
	}
	chunks = bkp_alloc_array(end - *at, sizeof(*chunks), err);
	if (chunks == NULL)
		return -1;
	for (; *at < end; (*at)++) {
		struct record *record = &group->records[*at];
		bool is_new;

		if (bkp_known_set_add(known, record->chunk.id, &is_new, err) <
		    0) {
			free(chunks);
			return -1;
		}
		record->is_written = true;
		chunks[count++] = record->chunk;
	}
	status =
	    fmt_index_builder_add(builder, &group->packs[pack], chunks, count);
	free(chunks);
	*added += count;
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "writing an index");
}

static int
put_builder(struct group *group, struct fmt_index_builder *builder,
    struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &group->repository->keys;
	struct fmt_buf encoded = FMT_BUF_INIT;
	char name[BKP_OBJECT_NAME];
	enum fmt_status status =
	    fmt_index_builder_encode(builder, keys->signing_seed, &encoded);
	int rc;

	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing an index");
	else
		rc = bkp_object_seal(group->repository->store, "index",
		    &keys->metadata_recipient, 1, encoded.data, encoded.len,
		    name, NULL, err);
	fmt_buf_free(&encoded);
	return rc;
}

/* One object with each id once. *added: the records in it. */
static int
write_one(struct group *group, size_t *added, struct bkp_error *err)
{
	struct fmt_index_builder *builder = NULL;
	struct bkp_known_set known;
	int rc = 0;

	*added = 0;
	if (fmt_index_builder_new(&builder) != FMT_OK)
		return bkp_fail_nomem(err, "writing an index");
	bkp_known_set_init(&known);
	for (size_t at = 0; rc == 0 && at < group->record_count;)
		rc = add_pack(group, builder, &known, &at, added, err);
	if (rc == 0 && *added > 0)
		rc = put_builder(group, builder, err);
	bkp_known_set_free(&known);
	fmt_index_builder_free(builder);
	return rc;
}

static int
remove_old(struct group *group, struct bkp_error *err)
{
	for (size_t i = 0; i < group->names.count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		char path[96];

		(void)snprintf(
		    path, sizeof(path), "index/%s", group->names.items[i]);
		if (bkp_store_remove(group->repository->store, path, &problem) <
			0 &&
		    problem.code != BKP_NOTFOUND) {
			if (err != NULL)
				*err = problem;
			return bkp_fail_in(
			    err, "removing an index object that was rewritten");
		}
	}
	return 0;
}

/* Writes the group and empties it. One alone that needs no change stays. */
static int
flush(struct group *group, struct bkp_error *err)
{
	size_t written = 0, added;
	int rc = 0;

	if (group->names.count == 0 ||
	    (group->names.count == 1 && !group->has_dead)) {
		empty_group(group);
		return 0;
	}
	rc = gather(group, err);
	while (rc == 0 && written < group->record_count) {
		rc = write_one(group, &added, err);
		written += added;
	}
	if (rc == 0)
		rc = remove_old(group, err);
	empty_group(group);
	return rc;
}

/* ---- choosing ---- */

static bool
names_dead(const struct fmt_index *view, const struct bkp_pack_set *dead)
{
	for (uint32_t n = 0; dead->count > 0 && n < view->pack_count; n++) {
		struct fmt_index_pack pack;

		fmt_index_pack_at(view, n, &pack);
		if (bkp_pack_set_has(dead, pack.name))
			return true;
	}
	return false;
}

static size_t
count_small(const struct bkp_index_set *set)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++)
		count += set->files[i].view.chunk_count < SMALL;
	return count;
}

int
bkp_prune_rewrite_index(struct bkp_repository *repository,
    struct bkp_presence *presence, const struct bkp_pack_set *dead,
    const struct bkp_cancel *cancel, struct bkp_error *err)
{
	const struct bkp_index_set *set = &repository->index;
	struct group group = {.repository = repository, .dead = dead};
	bool join = count_small(set) >= SMALL_MANY;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < set->count; i++) {
		const struct bkp_index_file *file = &set->files[i];
		bool has_dead = names_dead(&file->view, dead);

		if (!has_dead && (!join || file->view.chunk_count >= SMALL))
			continue;
		if (group.chunks + file->view.chunk_count > BKP_INDEX_CHUNKS)
			rc = flush(&group, err);
		if (rc == 0 && bkp_cancel_is_requested(cancel))
			rc = bkp_fail(err, BKP_CANCELLED, "cancelled");
		if (rc == 0)
			rc = bkp_presence_touch(presence, err);
		if (rc == 0)
			rc = bkp_names_add(&group.names, file->name, err);
		group.chunks += file->view.chunk_count;
		group.has_dead = group.has_dead || has_dead;
	}
	if (rc == 0)
		rc = flush(&group, err);
	empty_group(&group);
	return rc;
}
