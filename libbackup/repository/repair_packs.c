/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of damaged packs is stored anew: each chunk whose segments
 * still decrypt and whose id fits goes, as it is, into a new pack. Then an
 * index of these, then the old packs leave the index, and last the store.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/pack_builder.h"
#include "libbackup/repository/prover.h"
#include "libbackup/repository/repair.h"

/* The pack being written, of one kind. */
struct rescue {
	struct bkp_repair *repair;
	struct bkp_prover prover;
	struct fmt_buf stored;
	struct bkp_pack *packs[3]; /* owned; by kind, NULL: none begun */
	struct fmt_index_builder *builder;
	bool has_news; /* in the builder */
	/* of the damaged pack at hand */
	const struct bkp_pack_content *content;
	size_t saved, elsewhere, lost;
};

static void
end_rescue(struct rescue *rescue)
{
	for (size_t i = 0; i < 3; i++)
		bkp_pack_free(rescue->packs[i]);
	fmt_index_builder_free(rescue->builder);
	bkp_prover_free(&rescue->prover);
	fmt_buf_free(&rescue->stored);
}

/* ---- new packs ---- */

static int
store_pack(
    struct rescue *rescue, enum fmt_pack_kind kind, struct bkp_error *err)
{
	struct bkp_pack *pack = rescue->packs[kind];
	struct fmt_index_pack indexed = {.kind = kind};
	enum fmt_status status;
	char path[BKP_PACK_PATH];

	if (pack == NULL || pack->count == 0)
		return 0;
	if (bkp_pack_finish(pack, err) < 0)
		return -1;
	bkp_pack_path(pack->name, path);
	if (bkp_presence_touch(rescue->repair->presence, err) < 0 ||
	    bkp_store_put(rescue->repair->checker->repository->store, path,
		pack->sealed.data, pack->sealed.len, err) < 0)
		return -1;
	memcpy(indexed.name, pack->name, sizeof(indexed.name));
	indexed.stored_size = pack->sealed.len;
	status = fmt_index_builder_add(
	    rescue->builder, &indexed, pack->chunks, pack->count);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "noting a pack");
	rescue->has_news = true;
	bkp_pack_free(pack);
	rescue->packs[kind] = NULL;
	return 0;
}

static int
begin_pack(
    struct rescue *rescue, enum fmt_pack_kind kind, struct bkp_error *err)
{
	const struct bkp_key_ring *keys =
	    &rescue->repair->checker->repository->keys;
	struct bkp_pack *pack = NULL;

	if (bkp_pack_new(&pack, err) < 0)
		return -1;
	rescue->packs[kind] = pack;
	return bkp_pack_begin(pack, kind,
	    kind == FMT_PACK_DATA ? &keys->data_recipient
				  : &keys->metadata_recipient,
	    err);
}

/* A chunk that is whole in another pack needs no rescue. */
static bool
is_elsewhere(struct rescue *rescue, const struct fmt_pack_chunk *chunk)
{
	struct bkp_checker *checker = rescue->repair->checker;
	struct bkp_index_set *set = &checker->repository->index;
	struct fmt_index_place place;

	for (size_t n = 0; bkp_index_set_find_copy(set, chunk->id, n, &place);
	     n++) {
		const struct bkp_check_pack *pack =
		    bkp_check_packs_find(&checker->packs, place.pack.name);

		if (pack != NULL && pack->state == BKP_PACK_GOOD &&
		    !place.chunk.has_base)
			return true;
	}
	return false;
}

static int
rescue_chunk(void *arg, const struct fmt_pack_chunk *chunk,
    const unsigned char *frame, struct bkp_error *err)
{
	struct rescue *rescue = arg;
	enum fmt_pack_kind kind = rescue->content->kind;

	if (is_elsewhere(rescue, chunk)) {
		rescue->elsewhere++;
		return 0;
	}
	if (frame == NULL) {
		rescue->lost++;
		return 0;
	}
	rescue->saved++;
	if (rescue->repair->presence == NULL)
		return 0;
	if (rescue->packs[kind] != NULL &&
	    bkp_pack_is_full(rescue->packs[kind], chunk->stored_len) &&
	    store_pack(rescue, kind, err) < 0)
		return -1;
	if (rescue->packs[kind] == NULL && begin_pack(rescue, kind, err) < 0)
		return -1;
	return bkp_pack_add(
	    rescue->packs[kind], chunk, frame, chunk->stored_len, err);
}

/* ---- damaged packs ---- */

static int
rescue_pack(struct rescue *rescue, const struct bkp_pack_content *content,
    struct bkp_error *err)
{
	struct bkp_repair *repair = rescue->repair;
	char hex[BKP_OBJECT_NAME], path[BKP_PACK_PATH];

	rescue->content = content;
	rescue->saved = rescue->elsewhere = rescue->lost = 0;
	if (bkp_run_check(repair->checker->run, err) < 0 ||
	    bkp_check_get_damaged(
		repair->checker, content->name, &rescue->stored, err) < 0 ||
	    bkp_salvage(&rescue->prover, content->kind, &rescue->stored,
		content->size, content->chunks, content->count, rescue_chunk,
		rescue, err) < 0)
		return -1;
	fmt_hex(content->name, 32, hex);
	bkp_pack_path(content->name, path);
	if (bkp_names_add(&repair->dropped, hex, err) < 0)
		return -1;
	return bkp_repair_did(repair, path, err,
	    "%zu of its %s stored anew%s, %zu lost; it is kept "
	    "as " BKP_DAMAGED_FOLDER "/%s",
	    rescue->saved, bkp_counted(content->count, "chunk").text,
	    rescue->elsewhere > 0 ? " (others are elsewhere, too)" : "",
	    rescue->lost, path);
}

static int
set_aside(struct bkp_repair *repair, const struct bkp_pack_contents *contents,
    struct bkp_error *err)
{
	char path[BKP_PACK_PATH];

	for (size_t i = 0; i < contents->count; i++) {
		bkp_pack_path(contents->items[i].name, path);
		if (bkp_repair_set_aside(repair, path, err) < 0)
			return -1;
	}
	return 0;
}

static int
finish(struct rescue *rescue, const struct bkp_pack_contents *contents,
    struct bkp_error *err)
{
	struct bkp_repair *repair = rescue->repair;
	struct fmt_index_builder *builder = rescue->builder;

	if (repair->presence == NULL)
		return 0;
	if (store_pack(rescue, FMT_PACK_DATA, err) < 0 ||
	    store_pack(rescue, FMT_PACK_METADATA, err) < 0)
		return -1;
	if (rescue->has_news) {
		rescue->builder = NULL;
		if (bkp_repair_put_index(repair, builder, err) < 0)
			return -1;
	}
	if (bkp_repair_drop(repair, err) < 0)
		return -1;
	return set_aside(repair, contents, err);
}

static int
tell_closed(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_checker *checker = repair->checker;

	for (size_t i = 0; i < checker->packs.count; i++) {
		const struct bkp_check_pack *pack = &checker->packs.items[i];
		char path[BKP_PACK_PATH];

		if (!pack->is_stored || pack->state == BKP_PACK_GOOD ||
		    !pack->is_indexed ||
		    bkp_prover_opens(checker->repository, pack->kind))
			continue;
		bkp_pack_path(pack->name, path);
		if (bkp_repair_note(repair, BKP_REPAIR_NEEDS, path, err,
			"to save what is left of its content, an identity or "
			"the passphrase is needed (--identity-file)") < 0)
			return -1;
	}
	return 0;
}

int
bkp_repair_packs(struct bkp_repair *repair, struct bkp_error *err)
{
	struct bkp_pack_contents contents = {NULL, 0, 0};
	struct rescue rescue = {.repair = repair};
	enum fmt_status status = FMT_OK;
	int rc = bkp_check_damaged_packs(repair->checker, &contents, err);

	if (rc == 0 && contents.count > 0)
		rc = bkp_prover_init(
		    &rescue.prover, repair->checker->repository, err);
	if (rc == 0 &&
	    (status = fmt_index_builder_new(&rescue.builder)) != FMT_OK)
		rc = bkp_fail_format(err, status, "writing an index");
	for (size_t i = 0; rc == 0 && i < contents.count; i++)
		rc = rescue_pack(&rescue, &contents.items[i], err);
	if (rc == 0 && contents.count > 0)
		rc = finish(&rescue, &contents, err);
	if (rc == 0)
		rc = tell_closed(repair, err);
	end_rescue(&rescue);
	bkp_pack_contents_free(&contents);
	return rc;
}
