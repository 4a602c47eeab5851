/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What packs hold by the index, and what of it is left where one is damaged:
 * only those entries are hurt whose chunks cannot be read any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/prover.h"

/* ---- what packs hold ---- */

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static struct bkp_pack_content *
find_content(struct bkp_pack_contents *contents, const unsigned char name[32])
{
	return bsearch(name, contents->items, contents->count,
	    sizeof(*contents->items), compare_names);
}

static int
add_chunk(struct bkp_pack_content *content, const struct fmt_pack_chunk *chunk,
    struct bkp_error *err)
{
	if (bkp_grow(&content->chunks, content->count, &content->cap,
		sizeof(*content->chunks), err) < 0)
		return -1;
	content->chunks[content->count++] = *chunk;
	return 0;
}

static int
compare_chunks(const void *a, const void *b)
{
	const struct fmt_pack_chunk *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* In the order of the pack; what two index objects tell is told once. */
static void
sort_chunks(struct bkp_pack_content *content)
{
	struct fmt_pack_chunk *chunks = content->chunks;
	size_t kept = 0;

	if (content->count < 2)
		return;
	qsort(chunks, content->count, sizeof(*chunks), compare_chunks);
	for (size_t i = 1; i < content->count; i++) {
		if (chunks[i].offset != chunks[kept].offset)
			chunks[++kept] = chunks[i];
	}
	content->count = kept + 1;
}

int
bkp_pack_contents_add(struct bkp_pack_contents *contents,
    const struct bkp_check_pack *pack, struct bkp_error *err)
{
	struct bkp_pack_content content = {
	    .kind = pack->kind, .size = pack->indexed_size};

	if (bkp_grow(&contents->items, contents->count, &contents->cap,
		sizeof(*contents->items), err) < 0)
		return -1;
	memcpy(content.name, pack->name, sizeof(content.name));
	contents->items[contents->count++] = content;
	return 0;
}

int
bkp_pack_contents_fill(struct bkp_pack_contents *contents,
    struct bkp_index_set *set, struct bkp_error *err)
{
	for (size_t f = 0; contents->count > 0 && f < set->count; f++) {
		const struct fmt_index *view = &set->files[f].view;

		for (uint64_t i = 0; i < view->chunk_count; i++) {
			struct bkp_pack_content *content;
			struct fmt_index_place place;

			if (fmt_index_at(view, i, &place) != FMT_OK)
				return bkp_fail(err, BKP_CORRUPT,
				    "index/%s: a record names no pack",
				    set->files[f].name);
			content = find_content(contents, place.pack.name);
			if (content != NULL &&
			    add_chunk(content, &place.chunk, err) < 0)
				return -1;
		}
	}
	bkp_index_set_relax(set);
	for (size_t i = 0; i < contents->count; i++)
		sort_chunks(&contents->items[i]);
	return 0;
}

void
bkp_pack_contents_free(struct bkp_pack_contents *contents)
{
	for (size_t i = 0; i < contents->count; i++)
		free(contents->items[i].chunks);
	free(contents->items);
	*contents = (struct bkp_pack_contents){NULL, 0, 0};
}

int
bkp_check_damaged_packs(struct bkp_checker *checker,
    struct bkp_pack_contents *out, struct bkp_error *err)
{
	const struct bkp_check_packs *packs = &checker->packs;
	struct bkp_pack_contents contents = {NULL, 0, 0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < packs->count; i++) {
		const struct bkp_check_pack *pack = &packs->items[i];

		if (pack->is_stored && pack->is_indexed &&
		    pack->state != BKP_PACK_GOOD &&
		    bkp_prover_opens(checker->repository, pack->kind))
			rc = bkp_pack_contents_add(&contents, pack, err);
	}
	if (rc == 0)
		rc = bkp_pack_contents_fill(
		    &contents, &checker->repository->index, err);
	if (rc < 0)
		bkp_pack_contents_free(&contents);
	else
		*out = contents;
	return rc;
}

int
bkp_check_get_damaged(struct bkp_checker *checker, const unsigned char name[32],
    struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	char path[BKP_PACK_PATH];

	bkp_pack_path(name, path);
	fmt_buf_clear(out);
	if (bkp_store_get(checker->repository->store, path, 0, BKP_STORE_WHOLE,
		out, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND || problem.sys == EIO)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* ---- what is left ---- */

struct salvage {
	struct bkp_checker *checker;
	struct bkp_check_pack *pack;
	size_t left;
};

static int
note_chunk(void *arg, const struct fmt_pack_chunk *chunk,
    const unsigned char *frame, struct bkp_error *err)
{
	struct salvage *salvage = arg;

	if (frame == NULL)
		return bkp_check_bad_chunk(
		    salvage->checker, salvage->pack, chunk->id, err);
	salvage->left++;
	return 0;
}

static int
look_at(struct bkp_checker *checker, struct bkp_prover *prover,
    const struct bkp_pack_content *content, struct fmt_buf *stored,
    struct bkp_error *err)
{
	struct salvage salvage = {
	    checker, bkp_check_packs_find(&checker->packs, content->name), 0};

	if (bkp_run_check(checker->run, err) < 0 ||
	    bkp_check_get_damaged(checker, content->name, stored, err) < 0)
		return -1;
	salvage.pack->state = BKP_PACK_PARTLY;
	if (bkp_salvage(prover, content->kind, stored, content->size,
		content->chunks, content->count, note_chunk, &salvage, err) < 0)
		return -1;
	return bkp_finding_append(&checker->findings, salvage.pack->finding,
	    err, "; %zu of its %s can still be read", salvage.left,
	    bkp_counted(content->count, "chunk").text);
}

/* Where no key opens them, every chunk of theirs may be lost. */
static int
tell_closed(struct bkp_checker *checker, struct bkp_error *err)
{
	for (size_t i = 0; i < checker->packs.count; i++) {
		const struct bkp_check_pack *pack = &checker->packs.items[i];

		if (pack->is_stored && pack->is_indexed && pack->finding != 0 &&
		    !bkp_prover_opens(checker->repository, pack->kind) &&
		    bkp_finding_append(&checker->findings, pack->finding, err,
			"; which of its chunks can still be read is known with "
			"an identity or the passphrase (--identity-file) "
			"only") < 0)
			return -1;
	}
	return 0;
}

int
bkp_check_salvage(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_pack_contents contents = {NULL, 0, 0};
	struct bkp_prover prover = {.repository = NULL};
	struct fmt_buf stored = FMT_BUF_INIT;
	int rc = bkp_check_damaged_packs(checker, &contents, err);

	if (rc == 0 && contents.count > 0)
		rc = bkp_prover_init(&prover, checker->repository, err);
	for (size_t i = 0; rc == 0 && i < contents.count; i++)
		rc =
		    look_at(checker, &prover, &contents.items[i], &stored, err);
	if (rc == 0)
		rc = tell_closed(checker, err);
	bkp_prover_free(&prover);
	fmt_buf_free(&stored);
	bkp_pack_contents_free(&contents);
	return rc;
}
