/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs that are hardly used, written anew. Frames are copied as they are, each
 * after it was proven to give its chunk. The new packs and their index object
 * are stored before the old packs are condemned; a crash in between leaves
 * what is needed twice, and the next prune condemns one of the two.
 *
 * Memory: a pack of each kind, for whole chunks and for differences: 64 MiB;
 * the index as in session_own.h.
 */
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/prune_own.h"
#include "libbackup/repository/session_own.h"

#define KINDS 2

struct repack {
	struct bkp_repository *repository;
	struct bkp_presence *presence;
	const struct bkp_pack_set *chosen;
	const struct bkp_cancel *cancel;
	struct bkp_chunk_reader *readers[KINDS]; /* owned */
	struct bkp_pack *packs[KINDS][2]; /* owned: whole chunks, differences */
	bool is_begun[KINDS][2];
	struct fmt_index_builder *builder; /* owned */
	size_t chunks;                     /* in the builder */
	uint64_t stored;
};

/* ---- storing ---- */

static int
write_index(struct repack *repack, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &repack->repository->keys;
	struct fmt_buf encoded = FMT_BUF_INIT;
	char name[BKP_OBJECT_NAME];
	enum fmt_status status;
	int rc;

	if (repack->builder == NULL)
		return 0;
	status = fmt_index_builder_encode(
	    repack->builder, keys->signing_seed, &encoded);
	fmt_index_builder_free(repack->builder);
	repack->builder = NULL;
	repack->chunks = 0;
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing an index");
	else
		rc = bkp_object_seal(repack->repository->store, "index",
		    &keys->metadata_recipient, 1, encoded.data, encoded.len,
		    name, NULL, err);
	fmt_buf_free(&encoded);
	return rc;
}

static int
note_stored(
    struct repack *repack, const struct bkp_pack *pack, struct bkp_error *err)
{
	struct fmt_index_pack stored = {
	    .stored_size = pack->sealed.len, .kind = pack->kind};
	enum fmt_status status = FMT_OK;

	memcpy(stored.name, pack->name, sizeof(stored.name));
	if (repack->builder == NULL)
		status = fmt_index_builder_new(&repack->builder);
	if (status == FMT_OK)
		status = fmt_index_builder_add(
		    repack->builder, &stored, pack->chunks, pack->count);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "noting a pack");
	repack->chunks += pack->count;
	repack->stored += pack->sealed.len;
	return repack->chunks >= BKP_INDEX_CHUNKS ? write_index(repack, err)
						  : 0;
}

static int
store_pack(struct repack *repack, size_t kind, bool is_difference,
    struct bkp_error *err)
{
	struct bkp_pack *pack = repack->packs[kind][is_difference];
	char hex[BKP_OBJECT_NAME], path[96];

	if (!repack->is_begun[kind][is_difference])
		return 0;
	repack->is_begun[kind][is_difference] = false;
	if (bkp_pack_finish(pack, err) < 0 ||
	    bkp_presence_touch(repack->presence, err) < 0)
		return -1;
	fmt_hex(pack->name, sizeof(pack->name), hex);
	(void)snprintf(path, sizeof(path), "packs/%.2s/%s", hex, hex);
	if (bkp_store_put(repack->repository->store, path, pack->sealed.data,
		pack->sealed.len, err) < 0)
		return -1;
	return note_stored(repack, pack, err);
}

/* ---- copying ---- */

/* The pack that takes a frame of this length. */
static struct bkp_pack *
pack_for(struct repack *repack, size_t kind, bool is_difference,
    size_t frame_len, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &repack->repository->keys;
	struct bkp_pack **pack = &repack->packs[kind][is_difference];
	bool *is_begun = &repack->is_begun[kind][is_difference];

	if (*is_begun && bkp_pack_is_full(*pack, frame_len) &&
	    store_pack(repack, kind, is_difference, err) < 0)
		return NULL;
	if (*is_begun)
		return *pack;
	if (*pack == NULL && bkp_pack_new(pack, err) < 0)
		return NULL;
	if (bkp_pack_begin(*pack, kind == 0 ? FMT_PACK_DATA : FMT_PACK_METADATA,
		kind == 0 ? &keys->data_recipient : &keys->metadata_recipient,
		err) < 0)
		return NULL;
	*is_begun = true;
	return *pack;
}

static bool
is_chosen(void *arg, const unsigned char name[32])
{
	const struct repack *repack = arg;

	return bkp_pack_set_has(repack->chosen, name);
}

static int
copy_chunk(
    void *arg, const struct fmt_index_place *place, struct bkp_error *err)
{
	struct repack *repack = arg;
	size_t kind = place->pack.kind == FMT_PACK_DATA ? 0 : 1;
	struct fmt_pack_chunk chunk = place->chunk;
	const unsigned char *frame;
	struct bkp_pack *pack;

	if (bkp_cancel_is_requested(repack->cancel))
		return bkp_fail(err, BKP_CANCELLED, "cancelled");
	if (repack->readers[kind] == NULL &&
	    bkp_chunk_reader_new_of(repack->repository, place->pack.kind,
		&repack->readers[kind], err) < 0)
		return -1;
	frame = bkp_chunk_reader_frame(repack->readers[kind], place, err);
	if (frame == NULL)
		return -1;
	/* The directory of a pack tells how long a difference is. */
	if (chunk.has_base)
		chunk.delta_len =
		    (uint32_t)ZSTD_getFrameContentSize(frame, chunk.stored_len);
	pack = pack_for(repack, kind, chunk.has_base, chunk.stored_len, err);
	if (pack == NULL)
		return -1;
	return bkp_pack_add(pack, &chunk, frame, chunk.stored_len, err);
}

int
bkp_prune_repack(struct bkp_repository *repository,
    struct bkp_presence *presence, struct bkp_reach *reach,
    const struct bkp_pack_set *chosen, uint64_t *stored,
    const struct bkp_cancel *cancel, struct bkp_error *err)
{
	struct repack repack = {.repository = repository,
	    .presence = presence,
	    .chosen = chosen,
	    .cancel = cancel};
	int rc =
	    bkp_reach_each_used(reach, is_chosen, copy_chunk, &repack, err);

	for (size_t kind = 0; kind < KINDS; kind++) {
		for (size_t k = 0; k < 2; k++) {
			if (rc == 0)
				rc = store_pack(&repack, kind, k == 1, err);
			bkp_pack_free(repack.packs[kind][k]);
		}
		bkp_chunk_reader_free(repack.readers[kind]);
	}
	if (rc == 0)
		rc = write_index(&repack, err);
	fmt_index_builder_free(repack.builder);
	if (rc < 0)
		return bkp_fail_in(err,
		    "writing packs anew that are hardly used (--no-repack "
		    "leaves them; where something of them is damaged, "
		    "backup-check --repair sees to it)");
	*stored = repack.stored;
	return 0;
}
