/* SPDX-License-Identifier: Apache-2.0 */
/* Index objects without the packs that are lost, and for those that none
 * names any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/known_set.h"
#include "libbackup/repository/prover.h"
#include "libbackup/repository/repair.h"

#define CHUNKS_MAX 1000000 /* of an index object that is written */

int
bkp_repair_put_index(struct bkp_repair *repair,
    struct fmt_index_builder *builder, struct bkp_error *err)
{
	struct bkp_repository *repository = repair->checker->repository;
	struct fmt_buf encoded = FMT_BUF_INIT;
	char name[BKP_OBJECT_NAME];
	enum fmt_status status;
	int rc;

	status = fmt_index_builder_encode(
	    builder, repository->keys.signing_seed, &encoded);
	fmt_index_builder_free(builder);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing an index");
	else
		rc = bkp_object_seal(repository->store, "index",
		    &repository->keys.metadata_recipient, 1, encoded.data,
		    encoded.len, name, NULL, err);
	fmt_buf_free(&encoded);
	return rc;
}

/* ---- without some packs ---- */

static bool
is_dropped(const struct bkp_repair *repair, const unsigned char pack[32])
{
	char hex[BKP_OBJECT_NAME];

	fmt_hex(pack, 32, hex);
	return bkp_names_has(&repair->dropped, hex);
}

static bool
names_dropped(const struct bkp_repair *repair, const struct fmt_index *view)
{
	struct fmt_index_pack pack;

	for (uint32_t n = 0; n < view->pack_count; n++) {
		fmt_index_pack_at(view, n, &pack);
		if (is_dropped(repair, pack.name))
			return true;
	}
	return false;
}

/* An index object as packs with their chunks, in the order of packs. */
struct grouped {
	uint64_t *records; /* owned: numbers of records, pack after pack */
	uint64_t *starts;  /* owned: pack_count + 1 */
};

static void
free_grouped(struct grouped *grouped)
{
	free(grouped->records);
	free(grouped->starts);
}

static int
group(const struct fmt_index *view, struct grouped *out, struct bkp_error *err)
{
	size_t packs = view->pack_count;
	uint64_t *at;

	out->starts = bkp_alloc_array(packs + 2, sizeof(*out->starts), err);
	out->records = bkp_alloc_array(
	    (size_t)view->chunk_count + 1, sizeof(*out->records), err);
	if (out->starts == NULL || out->records == NULL)
		return -1;
	/* starts[n + 1] counts, then is where pack n begins, then ends. */
	at = out->starts + 1;
	for (uint64_t i = 0; i < view->chunk_count; i++)
		at[fmt_index_pack_of(view, i) + 1]++;
	for (size_t n = 1; n <= packs; n++)
		at[n] += at[n - 1];
	for (uint64_t i = 0; i < view->chunk_count; i++)
		out->records[at[fmt_index_pack_of(view, i)]++] = i;
	return 0;
}

static int
add_pack(struct fmt_index_builder *builder, const struct fmt_index *view,
    const struct grouped *grouped, uint32_t n, struct bkp_error *err)
{
	size_t count = (size_t)(grouped->starts[n + 1] - grouped->starts[n]);
	struct fmt_pack_chunk *chunks;
	enum fmt_status status = FMT_OK;
	struct fmt_index_place place;
	struct fmt_index_pack pack;

	chunks = bkp_alloc_array(count + 1, sizeof(*chunks), err);
	if (chunks == NULL)
		return -1;
	fmt_index_pack_at(view, n, &pack);
	for (size_t i = 0; status == FMT_OK && i < count; i++) {
		status = fmt_index_at(
		    view, grouped->records[grouped->starts[n] + i], &place);
		chunks[i] = place.chunk;
	}
	if (status == FMT_OK)
		status = fmt_index_builder_add(builder, &pack, chunks, count);
	free(chunks);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing an index anew");
	return 0;
}

static int
new_builder(struct fmt_index_builder **out, struct bkp_error *err)
{
	enum fmt_status status = fmt_index_builder_new(out);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing an index");
	return 0;
}

/* Writes what is left of an index object, as one or several. */
static int
write_rest(struct bkp_repair *repair, const struct fmt_index *view,
    const struct grouped *grouped, struct bkp_error *err)
{
	struct fmt_index_builder *builder = NULL;
	uint64_t chunks = 0;
	int rc = 0;

	for (uint32_t n = 0; rc == 0 && n < view->pack_count; n++) {
		struct fmt_index_pack pack;

		fmt_index_pack_at(view, n, &pack);
		if (is_dropped(repair, pack.name))
			continue;
		if (builder == NULL && (rc = new_builder(&builder, err)) < 0)
			break;
		rc = add_pack(builder, view, grouped, n, err);
		chunks += grouped->starts[n + 1] - grouped->starts[n];
		if (rc == 0 && chunks >= CHUNKS_MAX) {
			rc = bkp_repair_put_index(repair, builder, err);
			builder = NULL;
			chunks = 0;
		}
	}
	if (rc == 0 && builder != NULL)
		return bkp_repair_put_index(repair, builder, err);
	fmt_index_builder_free(builder);
	return rc;
}

static int
drop_from(struct bkp_repair *repair, const struct bkp_index_file *file,
    struct bkp_error *err)
{
	struct grouped grouped = {NULL, NULL};
	char path[BKP_PACK_PATH];
	int rc;

	rc = group(&file->view, &grouped, err);
	if (rc == 0)
		rc = write_rest(repair, &file->view, &grouped, err);
	free_grouped(&grouped);
	(void)snprintf(path, sizeof(path), "index/%s", file->name);
	return rc < 0 ? -1 : bkp_repair_remove(repair, path, err);
}

int
bkp_repair_drop(struct bkp_repair *repair, struct bkp_error *err)
{
	struct bkp_index_set *set = &repair->checker->repository->index;

	if (repair->presence == NULL || repair->dropped.count == 0)
		return 0;
	for (size_t i = 0; i < set->count; i++) {
		if (names_dropped(repair, &set->files[i].view) &&
		    drop_from(repair, &set->files[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- packs that are not there ---- */

static int
is_gone(struct bkp_repair *repair, const struct bkp_check_pack *pack, bool *out,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_store_object object;
	char path[BKP_PACK_PATH];

	bkp_pack_path(pack->name, path);
	*out = false;
	if (bkp_store_stat(repair->checker->repository->store, path, &object,
		&problem) == 0)
		return 0;
	*out = problem.code == BKP_NOTFOUND;
	if (*out)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* A listing that was short would be a disaster: each is asked for by itself. */
int
bkp_repair_lost_packs(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_check_packs *packs = &repair->checker->packs;
	size_t before = repair->dropped.count;

	for (size_t i = 0; i < packs->count; i++) {
		const struct bkp_check_pack *pack = &packs->items[i];
		char hex[BKP_OBJECT_NAME], path[BKP_PACK_PATH];
		bool is_lost;

		if (pack->is_stored || !pack->is_indexed)
			continue;
		if (is_gone(repair, pack, &is_lost, err) < 0)
			return -1;
		fmt_hex(pack->name, 32, hex);
		bkp_pack_path(pack->name, path);
		if (!is_lost)
			continue;
		if (bkp_names_add(&repair->dropped, hex, err) < 0 ||
		    bkp_repair_did(repair, path, err,
			pack->is_needed
			    ? "taken out of the index: it is not there, and "
			      "the next backup stores again what it still "
			      "finds of its content"
			    : "taken out of the index: it is not there, and "
			      "nobody needs it") < 0)
			return -1;
	}
	return repair->dropped.count > before ? bkp_repair_drop(repair, err)
					      : 0;
}

/* ---- packs that no index names ---- */

struct orphans {
	struct bkp_repair *repair;
	struct bkp_prover prover;
	struct fmt_index_builder *builder;
	struct bkp_known_set known; /* the ids in it */
	struct fmt_buf stored;
	uint64_t packs, chunks;
	size_t closed, damaged;
};

static int
put_orphans(struct orphans *orphans, struct bkp_error *err)
{
	struct fmt_index_builder *builder = orphans->builder;

	orphans->builder = NULL;
	bkp_known_set_free(&orphans->known);
	bkp_known_set_init(&orphans->known);
	return bkp_repair_put_index(orphans->repair, builder, err);
}

/* An object holds an id once and names packs as a whole: one that shares an id
 * with those before it begins another. */
static int
add_orphan(struct orphans *orphans, const struct fmt_index_pack *pack,
    const struct fmt_pack_chunk *chunks, size_t count, struct bkp_error *err)
{
	enum fmt_status status;
	bool is_new;

	for (size_t i = 0; i < count; i++) {
		if (!bkp_known_set_has(&orphans->known, chunks[i].id))
			continue;
		if (put_orphans(orphans, err) < 0 ||
		    new_builder(&orphans->builder, err) < 0)
			return -1;
		break;
	}
	for (size_t i = 0; i < count; i++)
		if (bkp_known_set_add(
			&orphans->known, chunks[i].id, &is_new, err) < 0)
			return -1;
	status = fmt_index_builder_add(orphans->builder, pack, chunks, count);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing an index");
	orphans->packs++;
	orphans->chunks += count;
	return 0;
}

/* Proves an orphan as a pack of one kind and adds it to the builder. 1; 0: it
 * is none; -1. */
static int
take_as(struct orphans *orphans, enum fmt_pack_kind kind,
    const struct bkp_check_pack *pack, struct bkp_error *err)
{
	struct fmt_index_pack indexed = {
	    .stored_size = orphans->stored.len, .kind = kind};
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_pack_chunk *chunks = NULL;
	size_t count = 0;
	int rc;

	if (bkp_prove_content(&orphans->prover, kind, pack->name,
		&orphans->stored, &chunks, &count, &problem) < 0) {
		if (bkp_check_is_damage(&problem))
			return 0;
		if (err != NULL)
			*err = problem;
		return -1;
	}
	memcpy(indexed.name, pack->name, sizeof(indexed.name));
	rc = add_orphan(orphans, &indexed, chunks, count, err);
	free(chunks);
	return rc < 0 ? -1 : 1;
}

static int
take_orphan(struct orphans *orphans, const struct bkp_check_pack *pack,
    struct bkp_error *err)
{
	struct bkp_checker *checker = orphans->repair->checker;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	if (bkp_check_get_damaged(checker, pack->name, &orphans->stored, err) <
	    0)
		return -1;
	if (bkp_prove_name(&orphans->stored, pack->name, NULL, &problem) < 0) {
		orphans->damaged++;
		return 0;
	}
	rc = take_as(orphans, FMT_PACK_METADATA, pack, err);
	if (rc == 0 && checker->repository->keys.has_data)
		rc = take_as(orphans, FMT_PACK_DATA, pack, err);
	orphans->closed += rc == 0;
	return rc < 0 ? -1 : 0;
}

static int
tell_orphans(struct orphans *orphans, struct bkp_error *err)
{
	struct bkp_repair *repair = orphans->repair;

	if (orphans->packs > 0 &&
	    bkp_repair_did(repair, "index/", err,
		"made anew for %s with %s that no index "
		"object names",
		bkp_counted(orphans->packs, "pack").text,
		bkp_counted(orphans->chunks, "chunk").text) < 0)
		return -1;
	if (orphans->closed == 0)
		return 0;
	return bkp_repair_note(repair, BKP_REPAIR_NEEDS, "index/", err,
	    repair->checker->repository->keys.has_data
		? "%s that no index object names cannot be opened"
		: "%s with content, that no index object names: to make "
		  "their part of the index anew, an identity or the "
		  "passphrase is needed (--identity-file)",
	    bkp_counted(orphans->closed, "pack").text);
}

/* Whether chunks are missed that such packs may hold. */
static bool
misses_chunks(const struct bkp_checker *checker)
{
	return checker->unknown != 0;
}

/* Planned is what is known without reading the packs. */
static int
plan_orphans(struct bkp_repair *repair, size_t count, struct bkp_error *err)
{
	return bkp_repair_did(repair, "index/", err,
	    "made anew for those of %s in no index object that can be "
	    "opened%s",
	    bkp_counted(count, "pack").text,
	    repair->checker->repository->keys.has_data
		? ""
		: " (those with content need --identity-file)");
}

int
bkp_repair_orphans(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_check_packs *packs = &repair->checker->packs;
	struct orphans orphans = {.repair = repair};
	size_t count = 0;
	int rc = 0;

	if (!misses_chunks(repair->checker))
		return 0;
	for (size_t i = 0; i < packs->count; i++)
		count +=
		    packs->items[i].is_stored && !packs->items[i].is_indexed;
	if (count == 0)
		return 0;
	if (repair->presence == NULL)
		return plan_orphans(repair, count, err);
	bkp_known_set_init(&orphans.known);
	if (bkp_prover_init(&orphans.prover, repair->checker->repository, err) <
		0 ||
	    new_builder(&orphans.builder, err) < 0)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < packs->count; i++) {
		if (packs->items[i].is_stored && !packs->items[i].is_indexed)
			rc = take_orphan(&orphans, &packs->items[i], err);
	}
	if (rc == 0 && orphans.packs > 0)
		rc = put_orphans(&orphans, err);
	if (rc == 0)
		rc = tell_orphans(&orphans, err);
	fmt_index_builder_free(orphans.builder);
	bkp_known_set_free(&orphans.known);
	bkp_prover_free(&orphans.prover);
	fmt_buf_free(&orphans.stored);
	return rc;
}
