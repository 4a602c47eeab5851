/* SPDX-License-Identifier: Apache-2.0 */
/* A session from its beginning to the snapshot that it ends in. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/session_own.h"

#define UPLOAD_THREADS 2
#define UPLOAD_DEPTH 2
#define CHUNKER_LABEL "libbackup chunker 1"

/* ---- beginning ---- */

/* Who signs, and whether that one is let in: a backup that nobody will believe
 * is not begun. */
static int
check_writer(struct bkp_session *session, struct bkp_error *err)
{
	const struct bkp_repository *repository = session->repository;
	const struct bkp_roster *roster = &repository->roster;
	enum fmt_status status;

	if (!repository->keys.has_signing)
		return bkp_fail(err, BKP_AUTH,
		    "%s: to write a backup, the key file of this host is "
		    "needed",
		    repository->store->location);
	status =
	    fmt_sign_public(repository->keys.signing_seed, session->public_key);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "preparing to sign");
	if (bkp_roster_may_write(roster, session->public_key))
		return 0;
	if (bkp_roster_writer(roster, session->public_key) != NULL)
		return bkp_fail(err, BKP_AUTH,
		    "%s: the key of this host (%s) has been revoked; an "
		    "administrator makes a new one by backup-key host",
		    repository->store->location, repository->keys.writer);
	if (roster->damage.code == BKP_OK)
		return bkp_fail(err, BKP_AUTH,
		    "%s: the key of this host (%s) is not among the writers of "
		    "the repository",
		    repository->store->location, repository->keys.writer);
	if (err != NULL)
		*err = roster->damage;
	return bkp_fail_in(err, "the key of this host (%s) is not known",
	    repository->keys.writer);
}

static int
set_up_chunker(struct bkp_session *session, struct bkp_error *err)
{
	unsigned char key[32];
	enum fmt_status status;

	if (bkp_key_ring_derive(
		&session->repository->keys, CHUNKER_LABEL, key, err) < 0)
		return -1;
	status = fmt_chunker_init(&session->chunker, key, FMT_CHUNKER_MIN,
	    FMT_CHUNKER_AVG, FMT_CHUNKER_MAX);
	OPENSSL_cleanse(key, sizeof(key));
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "setting up the chunker");
	return 0;
}

int
bkp_session_begin(struct bkp_repository *repository, struct bkp_session **out,
    struct bkp_error *err)
{
	struct bkp_session *session = bkp_alloc(sizeof(*session), err);

	if (session == NULL)
		return -1;
	session->repository = repository;
	pthread_mutex_init(&session->lock, NULL);
	bkp_known_set_init(&session->known);
	if (check_writer(session, err) < 0 ||
	    set_up_chunker(session, err) < 0 ||
	    bkp_store_probe(repository->store, err) < 0 ||
	    bkp_repository_load_good_index(repository, err) < 0 ||
	    bkp_index_set_check_packs(
		&repository->index, repository->store, err) < 0 ||
	    bkp_background_start(UPLOAD_THREADS, UPLOAD_DEPTH,
		&bkp_session_upload_ops, session, &session->uploads, err) < 0) {
		bkp_session_end(session);
		return -1;
	}
	*out = session;
	return 0;
}

static void
free_spare(struct bkp_session *session)
{
	while (session->spare != NULL) {
		struct bkp_pack *pack = session->spare;

		session->spare = pack->next;
		bkp_pack_free(pack);
	}
}

void
bkp_session_end(struct bkp_session *session)
{
	if (session == NULL)
		return;
	bkp_background_stop(session->uploads);
	bkp_chunk_writer_free(session->lists);
	fmt_index_builder_free(session->builder);
	free_spare(session);
	bkp_known_set_free(&session->known);
	pthread_mutex_destroy(&session->lock);
	OPENSSL_cleanse(&session->chunker, sizeof(session->chunker));
	free(session);
}

/* ---- what is there ---- */

bool
bkp_session_has_entry(
    struct bkp_session *session, const struct fmt_entry *entry)
{
	struct bkp_index_set *index = &session->repository->index;
	struct fmt_index_place place;

	for (size_t i = 0; i < entry->chunk_count; i++) {
		const unsigned char *id = entry->chunks[i].id;

		if (!bkp_index_set_find(index, id, &place) &&
		    !bkp_known_set_has(&session->known, id))
			return false;
	}
	return true;
}

const struct fmt_chunker *
bkp_session_chunker(const struct bkp_session *session)
{
	return &session->chunker;
}

/* ---- commit ---- */

static int
check_whole(struct bkp_session *session, struct bkp_error *err)
{
	unsigned unflushed = atomic_load(&session->unflushed);

	if (session->is_committed)
		return bkp_fail(
		    err, BKP_INVALID, "the session has been committed");
	if (unflushed > 0)
		return bkp_fail(err, BKP_INVALID,
		    "%u chunk writers still hold chunks", unflushed);
	if (atomic_load(&session->has_failed))
		return bkp_fail(err, BKP_INVALID,
		    "a chunk of this session could not be stored");
	return 0;
}

/* The place in this writer's chain. A damaged snapshot does not keep backups
 * from being made: the chain goes on from the newest that can be read. */
static int
find_place(struct bkp_session *session, struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	struct bkp_snapshots all = BKP_SNAPSHOTS_INIT;

	if (bkp_snapshots_read(session->repository, &all, err) < 0)
		return -1;
	snapshot->sequence = 1;
	snapshot->previous[0] = '\0';
	for (size_t i = 0; i < all.count; i++) {
		const struct bkp_named_snapshot *item = &all.items[i];

		if (memcmp(item->snapshot.signer, session->public_key, 32) !=
			0 ||
		    item->snapshot.sequence < snapshot->sequence)
			continue;
		snapshot->sequence = item->snapshot.sequence + 1;
		memcpy(snapshot->previous, item->name, BKP_OBJECT_NAME);
	}
	bkp_snapshots_free(&all);
	return 0;
}

static int
fill_snapshot(struct bkp_session *session, struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	const struct bkp_repository *repository = session->repository;

	if (snapshot->host == NULL &&
	    (snapshot->host = bkp_strdup(repository->keys.writer, err)) == NULL)
		return -1;
	if (find_place(session, snapshot, err) < 0)
		return -1;
	memcpy(snapshot->repository, repository->config.id,
	    sizeof(snapshot->repository));
	snapshot->finished_us = bkp_now_us();
	snapshot->new_chunks = atomic_load(&session->new_chunks);
	snapshot->known_chunks = atomic_load(&session->known_chunks);
	pthread_mutex_lock(&session->lock);
	snapshot->stored_bytes = session->stored_bytes;
	pthread_mutex_unlock(&session->lock);
	return 0;
}

static int
put_snapshot(struct bkp_session *session, const struct fmt_snapshot *snapshot,
    char name[65], struct bkp_error *err)
{
	const struct bkp_repository *repository = session->repository;
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	char new_name[BKP_OBJECT_NAME];
	enum fmt_status status;
	int rc;

	status =
	    fmt_snapshot_encode(snapshot, repository->keys.signing_seed, &text);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing the snapshot");
	else
		rc = bkp_object_seal(repository->store, "snapshots",
		    &repository->keys.metadata_recipient, 1, text.data,
		    text.len, new_name, NULL, err);
	if (rc == 0)
		memcpy(name, new_name, sizeof(new_name));
	fmt_buf_free(&text);
	return rc;
}

int
bkp_session_commit(struct bkp_session *session, struct fmt_snapshot *snapshot,
    char name[65], struct bkp_error *err)
{
	if (session->lists != NULL &&
	    bkp_chunk_writer_flush(session->lists, err) < 0)
		return -1;
	/* What went wrong while storing tells more than that something is
	 * missing. */
	if (bkp_background_drain(session->uploads, err) < 0 ||
	    check_whole(session, err) < 0 ||
	    bkp_session_write_index(session, err) < 0 ||
	    fill_snapshot(session, snapshot, err) < 0 ||
	    put_snapshot(session, snapshot, name, err) < 0)
		return -1;
	session->is_committed = true;
	return 0;
}
