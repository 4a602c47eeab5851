/* SPDX-License-Identifier: Apache-2.0 */
/* Packs and index objects on their way into the store. */
#include <stdio.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/session_own.h"

#define SPARE_MAX (2u * BKP_PACK_SIZE) /* larger buffers are not kept */

/* ---- packs to use again ---- */

int
bkp_session_take_pack(struct bkp_session *session, enum fmt_pack_kind kind,
    struct bkp_pack **out, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &session->repository->keys;
	struct bkp_pack *pack;

	pthread_mutex_lock(&session->lock);
	if ((pack = session->spare) != NULL)
		session->spare = pack->next;
	pthread_mutex_unlock(&session->lock);
	if (pack == NULL && bkp_pack_new(&pack, err) < 0)
		return -1;
	if (bkp_pack_begin(pack, kind,
		kind == FMT_PACK_DATA ? &keys->data_recipient
				      : &keys->metadata_recipient,
		err) < 0) {
		bkp_pack_free(pack);
		return -1;
	}
	*out = pack;
	return 0;
}

static void
discard_pack(void *arg, void *item)
{
	struct bkp_session *session = arg;
	struct bkp_pack *pack = item;

	if (pack->sealed.cap > SPARE_MAX) {
		bkp_pack_free(pack);
		return;
	}
	pthread_mutex_lock(&session->lock);
	pack->next = session->spare;
	session->spare = pack;
	pthread_mutex_unlock(&session->lock);
}

/* ---- index objects ---- */

/* What an index object holds need not be remembered besides. */
static int
forget_indexed(struct bkp_session *session, const struct fmt_buf *encoded,
    struct bkp_error *err)
{
	struct fmt_index_place place;
	struct fmt_index index;
	enum fmt_status status;

	status = fmt_index_open(encoded->data, encoded->len, &index);
	for (uint64_t i = 0; status == FMT_OK && i < index.chunk_count; i++) {
		status = fmt_index_at(&index, i, &place);
		if (status == FMT_OK)
			bkp_known_set_remove(&session->known, place.chunk.id);
	}
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "reading a new index");
	return 0;
}

static int
put_index(struct bkp_session *session, const struct fmt_buf *encoded,
    struct bkp_error *err)
{
	struct bkp_repository *repository = session->repository;
	char name[BKP_OBJECT_NAME];
	uint64_t stored_size;

	if (bkp_object_seal(repository->store, "index",
		&repository->keys.metadata_recipient, 1, encoded->data,
		encoded->len, name, &stored_size, err) < 0)
		return -1;
	/* First known by the index, then forgotten by the set: never by
	 * neither. */
	if (bkp_index_set_add(&repository->index, name, encoded->data,
		encoded->len, err) < 0 ||
	    forget_indexed(session, encoded, err) < 0)
		return -1;
	pthread_mutex_lock(&session->lock);
	session->stored_bytes += stored_size;
	pthread_mutex_unlock(&session->lock);
	return 0;
}

static int
write_builder(struct bkp_session *session, struct fmt_index_builder *builder,
    struct bkp_error *err)
{
	struct fmt_buf encoded = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	status = fmt_index_builder_encode(
	    builder, session->repository->keys.signing_seed, &encoded);
	fmt_index_builder_free(builder);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing an index");
	else
		rc = put_index(session, &encoded, err);
	fmt_buf_free(&encoded);
	return rc;
}

int
bkp_session_write_index(struct bkp_session *session, struct bkp_error *err)
{
	struct fmt_index_builder *builder;

	pthread_mutex_lock(&session->lock);
	builder = session->builder;
	session->builder = NULL;
	session->builder_chunks = 0;
	pthread_mutex_unlock(&session->lock);
	return builder != NULL ? write_builder(session, builder, err) : 0;
}

/* ---- packs ---- */

/* Notes a stored pack; *is_due: time for an index object. */
static int
note_stored(struct bkp_session *session, const struct bkp_pack *pack,
    bool *is_due, struct bkp_error *err)
{
	struct fmt_index_pack stored = {
	    .stored_size = pack->sealed.len, .kind = pack->kind};
	enum fmt_status status = FMT_OK;

	memcpy(stored.name, pack->name, sizeof(stored.name));
	pthread_mutex_lock(&session->lock);
	if (session->builder == NULL)
		status = fmt_index_builder_new(&session->builder);
	if (status == FMT_OK)
		status = fmt_index_builder_add(
		    session->builder, &stored, pack->chunks, pack->count);
	if (status == FMT_OK) {
		session->builder_chunks += pack->count;
		session->stored_bytes += pack->sealed.len;
	}
	*is_due = session->builder_chunks >= BKP_INDEX_CHUNKS;
	pthread_mutex_unlock(&session->lock);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "noting a pack");
	return 0;
}

static int
store_pack(void *arg, void *item, struct bkp_error *err)
{
	struct bkp_session *session = arg;
	const struct bkp_pack *pack = item;
	char hex[BKP_OBJECT_NAME], path[96];
	struct bkp_error problem = BKP_ERROR_INIT;
	bool is_due = false;

	/* One that we are not heard with is tried again; one that does not
	 * count any more needs no more packs. */
	(void)bkp_presence_touch(session->presence, &problem);
	if (problem.code == BKP_RETRY) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	fmt_hex(pack->name, sizeof(pack->name), hex);
	(void)snprintf(path, sizeof(path), "packs/%.2s/%s", hex, hex);
	if (bkp_store_put(session->repository->store, path, pack->sealed.data,
		pack->sealed.len, err) < 0 ||
	    note_stored(session, pack, &is_due, err) < 0)
		return -1;
	return is_due ? bkp_session_write_index(session, err) : 0;
}

const struct bkp_background_ops bkp_session_upload_ops = {
    .work = store_pack,
    .discard = discard_pack,
};

int
bkp_session_submit(
    struct bkp_session *session, struct bkp_pack *pack, struct bkp_error *err)
{
	return bkp_background_submit(session->uploads, pack, err);
}
