/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks records of the index. A chunk that is stored more than once is marked
 * in one pack that is not condemned; where there is none, in all of them, so
 * that two prunes which see different things cannot each leave it to the
 * other's copy.
 */
#include "libbackup/repository/reach.h"

#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/condemned.h"
#include "libbackup/repository/known_set.h"

#define RESIDENT ((size_t)96 << 20) /* bytes of maps; a mark touches 64 KiB */
#define MARKS 1024

enum state { GOOD, CONDEMNED, LOST };

/* An index object. */
struct part {
	struct fmt_index view; /* borrowed from the index set */
	unsigned char *used;   /* owned: a bit for each record */
	unsigned char *states; /* owned: enum state of each pack */
};

struct bkp_reach {
	struct bkp_repository *repository;
	struct part *parts; /* owned */
	size_t count;
	uint64_t marks;
	struct bkp_known_set lists;      /* list chunks that were read */
	struct bkp_chunk_reader *reader; /* owned */
	struct fmt_buf plain;
};

/* ---- beginning ---- */

static int
add_part(struct bkp_reach *reach, const struct fmt_index *view,
    const struct bkp_condemned *condemned, struct bkp_error *err)
{
	struct part *part = &reach->parts[reach->count];
	struct bkp_index_set *set = &reach->repository->index;

	part->used = bkp_alloc((size_t)(view->chunk_count / 8 + 1), err);
	part->states = bkp_alloc((size_t)view->pack_count + 1, err);
	part->view = *view;
	reach->count++;
	if (part->used == NULL || part->states == NULL)
		return -1;
	for (uint32_t n = 0; n < view->pack_count; n++) {
		struct fmt_index_pack pack;

		fmt_index_pack_at(view, n, &pack);
		if (bkp_index_set_is_lost(set, pack.name))
			part->states[n] = LOST;
		else if (bkp_condemned_has(condemned, pack.name))
			part->states[n] = CONDEMNED;
	}
	return 0;
}

int
bkp_reach_new_under(struct bkp_repository *repository,
    const struct bkp_condemned *condemned, struct bkp_reach **out,
    struct bkp_error *err)
{
	struct bkp_index_set *set = &repository->index;
	struct bkp_reach *reach = bkp_alloc(sizeof(*reach), err);

	if (reach == NULL)
		return -1;
	reach->repository = repository;
	bkp_known_set_init(&reach->lists);
	reach->parts =
	    bkp_alloc_array(set->count + 1, sizeof(*reach->parts), err);
	if (reach->parts == NULL)
		goto fail;
	for (size_t i = 0; i < set->count; i++)
		if (add_part(reach, &set->files[i].view, condemned, err) < 0)
			goto fail;
	if (bkp_chunk_reader_new_of(
		repository, FMT_PACK_METADATA, &reach->reader, err) < 0)
		goto fail;
	*out = reach;
	return 0;
fail:
	bkp_reach_free(reach);
	return -1;
}

int
bkp_reach_new(struct bkp_repository *repository, struct bkp_reach **out,
    struct bkp_error *err)
{
	struct bkp_condemned condemned = BKP_CONDEMNED_INIT;
	int rc = bkp_condemned_load(repository, &condemned, err);

	if (rc == 0)
		rc = bkp_reach_new_under(repository, &condemned, out, err);
	bkp_condemned_free(&condemned);
	return rc;
}

void
bkp_reach_free(struct bkp_reach *reach)
{
	if (reach == NULL)
		return;
	for (size_t i = 0; i < reach->count; i++) {
		free(reach->parts[i].used);
		free(reach->parts[i].states);
	}
	free(reach->parts);
	bkp_known_set_free(&reach->lists);
	bkp_chunk_reader_free(reach->reader);
	fmt_buf_free(&reach->plain);
	free(reach);
}

/* ---- marking ---- */

static bool
is_used(const struct part *part, uint64_t n)
{
	return (part->used[n / 8] >> (n % 8) & 1) != 0;
}

static enum state
state_of(const struct part *part, uint64_t n)
{
	return (enum state)part->states[fmt_index_pack_of(&part->view, n)];
}

/* The records of a chunk, one a call; *at begins as the home of its id. */
static struct part *
next_copy(const struct bkp_reach *reach, const unsigned char *id, size_t *at,
    uint64_t *n)
{
	const struct bkp_index_set *set = &reach->repository->index;
	uint32_t file;

	while (bkp_index_directory_next(&set->directory, id, at, &file))
		if (file < reach->count &&
		    fmt_index_lookup(&reach->parts[file].view, id, n))
			return &reach->parts[file];
	return NULL;
}

static size_t
home_of(const struct bkp_reach *reach, const unsigned char *id)
{
	return bkp_index_directory_home(
	    &reach->repository->index.directory, id);
}

static void
set_used(struct part *part, uint64_t n)
{
	part->used[n / 8] |= (unsigned char)(1u << n % 8);
}

/* Marks a copy that is stored whole: a good one, or else all of them. */
static bool
mark_whole(struct bkp_reach *reach, const unsigned char *id)
{
	size_t at = home_of(reach, id);
	unsigned char base[FMT_ID_SIZE];
	bool is_found = false;
	struct part *part;
	uint64_t n;

	while ((part = next_copy(reach, id, &at, &n)) != NULL)
		if (state_of(part, n) == GOOD &&
		    !fmt_index_base(&part->view, id, base)) {
			set_used(part, n);
			return true;
		}
	at = home_of(reach, id);
	while ((part = next_copy(reach, id, &at, &n)) != NULL)
		if (state_of(part, n) == CONDEMNED &&
		    !fmt_index_base(&part->view, id, base)) {
			set_used(part, n);
			is_found = true;
		}
	return is_found;
}

static bool
has_good_whole(const struct bkp_reach *reach, const unsigned char *id)
{
	size_t at = home_of(reach, id);
	unsigned char base[FMT_ID_SIZE];
	const struct part *part;
	uint64_t n;

	while ((part = next_copy(reach, id, &at, &n)) != NULL)
		if (state_of(part, n) == GOOD &&
		    !fmt_index_base(&part->view, id, base))
			return true;
	return false;
}

/* True where neither the pack nor that of what it is a difference to is to
 * go. */
static bool
is_firm(const struct bkp_reach *reach, const struct part *part, uint64_t n,
    const unsigned char *id)
{
	unsigned char base[FMT_ID_SIZE];

	return state_of(part, n) == GOOD &&
	       (!fmt_index_base(&part->view, id, base) ||
		   has_good_whole(reach, base));
}

/* With what it is a difference to; false where that is nowhere. */
static bool
mark_record(struct bkp_reach *reach, struct part *part, uint64_t n,
    const unsigned char *id)
{
	unsigned char base[FMT_ID_SIZE];

	if (fmt_index_base(&part->view, id, base) && !mark_whole(reach, base))
		return false;
	set_used(part, n);
	return true;
}

/* Every copy that there is. */
static bool
mark_all(struct bkp_reach *reach, const unsigned char *id)
{
	size_t at = home_of(reach, id);
	bool is_found = false;
	struct part *part;
	uint64_t n;

	while ((part = next_copy(reach, id, &at, &n)) != NULL)
		if (state_of(part, n) != LOST &&
		    mark_record(reach, part, n, id))
			is_found = true;
	return is_found;
}

/* False where no pack has it, or not what it is a difference to. */
static bool
mark(struct bkp_reach *reach, const unsigned char *id)
{
	size_t at = home_of(reach, id);
	struct part *part;
	uint64_t n;

	while ((part = next_copy(reach, id, &at, &n)) != NULL)
		if (is_firm(reach, part, n, id) &&
		    mark_record(reach, part, n, id))
			return true;
	return mark_all(reach, id);
}

/* The maps of a large index go back to the page cache from time to time. */
static bool
mark_and_relax(struct bkp_reach *reach, const unsigned char *id)
{
	struct bkp_index_set *set = &reach->repository->index;

	if (set->mapped > RESIDENT && ++reach->marks % MARKS == 0)
		bkp_index_set_relax(set);
	return mark(reach, id);
}

/* ---- walking ---- */

struct walk {
	struct bkp_reach *reach;
	const char *snapshot;
	bkp_reach_missing_fn *missing; /* may be NULL */
	void *arg;
	bool has_missed;       /* something of this list chunk */
	struct bkp_error *err; /* where the callback's error goes */
};

static int
miss(struct walk *walk, const char *path, const struct fmt_chunk_ref *ref)
{
	char hex[2 * FMT_ID_SIZE + 1];
	struct fmt_buf text = FMT_BUF_INIT;

	walk->has_missed = true;
	if (walk->missing != NULL)
		return walk->missing(
		    walk->arg, walk->snapshot, path, ref, walk->err);
	fmt_hex(ref->id, FMT_ID_SIZE, hex);
	if (path != NULL)
		(void)fmt_path_escape(path, &text);
	(void)bkp_fail(walk->err, BKP_CORRUPT,
	    "%s: snapshot %.12s: %s: chunk %.12s is not there any more; run "
	    "backup-check",
	    walk->reach->repository->store->location, walk->snapshot,
	    path == NULL        ? "its entry list"
	    : text.data != NULL ? fmt_buf_text(&text)
				: "an entry",
	    hex);
	fmt_buf_free(&text);
	return -1;
}

static enum fmt_status
take_refs(void *arg, const char *path, bool is_first,
    const struct fmt_chunk_ref *refs, size_t count)
{
	struct walk *walk = arg;

	(void)is_first;
	for (size_t i = 0; i < count; i++)
		if (!mark_and_relax(walk->reach, refs[i].id) &&
		    miss(walk, path, &refs[i]) < 0)
			return FMT_LIMIT; /* walk->err tells */
	return FMT_OK;
}

static bool
is_damage(const struct bkp_error *problem)
{
	return problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	       problem->code == BKP_UNSUPPORTED;
}

/* Reads a list chunk and marks what is in it. */
static int
walk_lines(
    struct walk *walk, const struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	struct bkp_reach *reach = walk->reach;
	struct bkp_error problem = BKP_ERROR_INIT;
	enum fmt_status status;

	reach->plain.len = 0;
	if (bkp_chunk_reader_get(reach->reader, ref, &reach->plain, &problem) <
	    0) {
		if (is_damage(&problem) && walk->missing != NULL)
			return miss(walk, NULL, ref);
		if (err != NULL)
			*err = problem;
		return bkp_fail_in(
		    err, "snapshot %.12s: its entry list", walk->snapshot);
	}
	walk->err = &problem;
	status = fmt_entry_refs(
	    reach->plain.data, reach->plain.len, take_refs, walk);
	walk->err = err;
	if (problem.code != BKP_OK) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (status != FMT_OK)
		return bkp_fail_format(err, status,
		    "snapshot %.12s: reading its entry list", walk->snapshot);
	return 0;
}

/* A chunk of which something is missing is read again for each snapshot, so
 * that all that are hurt are told. */
static int
walk_list_chunk(
    struct walk *walk, const struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	struct bkp_known_set *lists = &walk->reach->lists;
	bool is_new;

	if (bkp_known_set_has(lists, ref->id))
		return 0;
	walk->has_missed = false;
	if (!mark_and_relax(walk->reach, ref->id))
		return miss(walk, NULL, ref);
	if (walk_lines(walk, ref, err) < 0)
		return -1;
	return walk->has_missed
		   ? 0
		   : bkp_known_set_add(lists, ref->id, &is_new, err);
}

int
bkp_reach_add(struct bkp_reach *reach,
    const struct bkp_named_snapshot *snapshot, bkp_reach_missing_fn *missing,
    void *arg, struct bkp_error *err)
{
	struct walk walk = {.reach = reach,
	    .snapshot = snapshot->name,
	    .missing = missing,
	    .arg = arg,
	    .err = err};

	for (size_t i = 0; i < snapshot->snapshot.source_count; i++) {
		const struct fmt_snapshot_source *source =
		    &snapshot->snapshot.sources[i];

		for (size_t k = 0; k < source->list_count; k++)
			if (walk_list_chunk(&walk, &source->list[k], err) < 0)
				return -1;
	}
	return 0;
}

/* ---- what came out ---- */

static int
count_part(const struct part *part, struct bkp_reach_pack *packs,
    struct bkp_error *err)
{
	struct fmt_index_place place;

	for (uint32_t n = 0; n < part->view.pack_count; n++) {
		struct fmt_index_pack pack;

		fmt_index_pack_at(&part->view, n, &pack);
		memcpy(packs[n].name, pack.name, sizeof(packs[n].name));
		packs[n].stored_size = pack.stored_size;
		packs[n].kind = pack.kind;
	}
	for (uint64_t n = 0; n < part->view.chunk_count; n++) {
		enum fmt_status status = fmt_index_at(&part->view, n, &place);
		struct bkp_reach_pack *pack;

		if (status != FMT_OK)
			return bkp_fail_format(err, status, "reading an index");
		pack = &packs[fmt_index_pack_of(&part->view, n)];
		pack->chunks++;
		pack->bytes += place.chunk.stored_len;
		if (is_used(part, n)) {
			pack->used_chunks++;
			pack->used_bytes += place.chunk.stored_len;
		}
	}
	return 0;
}

static int
compare_packs(const void *a, const void *b)
{
	const struct bkp_reach_pack *x = a, *y = b;

	return memcmp(x->name, y->name, sizeof(x->name));
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A pack that two index objects name has its chunks in both, as a rule, and
 * each chunk is marked in one of them. */
static size_t
join_packs(struct bkp_reach_pack *packs, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct bkp_reach_pack *pack = &packs[kept];

		if (i == 0 || compare_packs(pack, &packs[i]) != 0) {
			if (i > 0)
				kept++;
			packs[kept] = packs[i];
			continue;
		}
		pack->chunks = most(pack->chunks, packs[i].chunks);
		pack->bytes = most(pack->bytes, packs[i].bytes);
		pack->used_chunks = least(
		    pack->used_chunks + packs[i].used_chunks, pack->chunks);
		pack->used_bytes =
		    least(pack->used_bytes + packs[i].used_bytes, pack->bytes);
	}
	return count > 0 ? kept + 1 : 0;
}

int
bkp_reach_packs(struct bkp_reach *reach, struct bkp_reach_pack **out,
    size_t *count, struct bkp_error *err)
{
	struct bkp_reach_pack *packs;
	size_t total = 0, at = 0;

	for (size_t i = 0; i < reach->count; i++)
		total += reach->parts[i].view.pack_count;
	packs = bkp_alloc_array(total + 1, sizeof(*packs), err);
	if (packs == NULL)
		return -1;
	for (size_t i = 0; i < reach->count; i++) {
		if (count_part(&reach->parts[i], &packs[at], err) < 0) {
			free(packs);
			return -1;
		}
		at += reach->parts[i].view.pack_count;
	}
	if (total > 1)
		qsort(packs, total, sizeof(*packs), compare_packs);
	*count = join_packs(packs, total);
	*out = packs;
	return 0;
}

/* ---- marked records ---- */

struct places {
	struct fmt_index_place *items; /* owned */
	size_t count, cap;
};

static int
compare_places(const void *a, const void *b)
{
	const struct fmt_index_place *x = a, *y = b;
	int order = memcmp(x->pack.name, y->pack.name, sizeof(x->pack.name));

	if (order != 0)
		return order;
	return x->chunk.offset < y->chunk.offset
		   ? -1
		   : x->chunk.offset > y->chunk.offset;
}

static int
gather_used(const struct part *part, bkp_reach_wants_fn *wants, void *arg,
    struct places *places, struct bkp_error *err)
{
	struct fmt_index_place place;

	for (uint64_t n = 0; n < part->view.chunk_count; n++) {
		if (!is_used(part, n) ||
		    fmt_index_at(&part->view, n, &place) != FMT_OK ||
		    !wants(arg, place.pack.name))
			continue;
		if (bkp_grow(&places->items, places->count, &places->cap,
			sizeof(*places->items), err) < 0)
			return -1;
		places->items[places->count++] = place;
	}
	if (places->count > 1)
		qsort(places->items, places->count, sizeof(*places->items),
		    compare_places);
	return 0;
}

int
bkp_reach_each_used(struct bkp_reach *reach, bkp_reach_wants_fn *wants,
    bkp_reach_used_fn *fn, void *arg, struct bkp_error *err)
{
	struct places places = {NULL, 0, 0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < reach->count; i++) {
		places.count = 0;
		rc = gather_used(&reach->parts[i], wants, arg, &places, err);
		for (size_t k = 0; rc == 0 && k < places.count; k++)
			rc = fn(arg, &places.items[k], err);
	}
	free(places.items);
	return rc;
}
