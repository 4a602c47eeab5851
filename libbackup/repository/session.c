/* SPDX-License-Identifier: Apache-2.0 */
/* A session from its beginning to the snapshot that it ends in. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/erasures.h"
#include "libbackup/repository/row_cache.h"
#include "libbackup/repository/session_own.h"

/* Packs on their way, and waiting: to a disk one is written while the other is
 * synced; a bucket is far away. */
#define UPLOAD_THREADS 2
#define BUCKET_UPLOAD_THREADS 4
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
		return bkp_repository_refuse_unsigned(repository,
		    "to write a backup, the key file of this host is needed",
		    err);
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

/* First it is said that we are at work, then the rest is read: a prune waits
 * for whoever may have seen the repository without its condemned list. */
static int
announce(struct bkp_session *session, struct bkp_error *err)
{
	struct bkp_repository *repository = session->repository;

	if (bkp_presence_begin(repository, "backup", &session->presence, err) <
		0 ||
	    bkp_condemned_load(repository, &session->condemned, err) < 0 ||
	    bkp_presence_heed(session->presence, &session->condemned, err) < 0)
		return -1;
	repository->index.keeps_copies = true;
	if (bkp_repository_load_good_index(repository, err) < 0 ||
	    bkp_repository_miss_index(repository, &session->condemned, err) < 0)
		return -1;
	return bkp_repository_prove_index(repository, true, err);
}

/* A pack that a check on this machine found damaged holds nothing to build
 * upon: what lies there is stored once more while its source still has it. */
int
bkp_session_shun_damaged(
    struct bkp_repository *repository, struct bkp_error *err)
{
	struct bkp_check_memory memory = {NULL, 0};
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = 0;

	if (bkp_check_memory_load(repository->config.id, &memory, &problem) <
	    0) {
		if (problem.code != BKP_NOMEM)
			return 0;
		return bkp_fail_nomem(err, "reading what was checked");
	}
	for (size_t i = 0; rc == 0 && i < memory.count; i++) {
		if (memory.items[i].read_us < 0)
			rc = bkp_index_set_lose(
			    &repository->index, memory.items[i].name, err);
	}
	bkp_check_memory_free(&memory);
	return rc;
}

int
bkp_session_begin(struct bkp_repository *repository, struct bkp_session **out,
    struct bkp_error *err)
{
	struct bkp_session *session = bkp_alloc(sizeof(*session), err);

	if (session == NULL)
		return -1;
	session->repository = repository;
	session->first = session;
	pthread_mutex_init(&session->lock, NULL);
	bkp_known_set_init(&session->known);
	if (bkp_archive_view_refuse(repository, "back up into", err) < 0 ||
	    check_writer(session, err) < 0 ||
	    set_up_chunker(session, err) < 0 ||
	    bkp_store_probe(repository->store, err) < 0 ||
	    announce(session, err) < 0 ||
	    bkp_index_set_check_packs(
		&repository->index, repository->store, err) < 0 ||
	    bkp_session_shun_damaged(repository, err) < 0 ||
	    bkp_background_start(
		bkp_store_is_bucket(repository->store->location)
		    ? BUCKET_UPLOAD_THREADS
		    : UPLOAD_THREADS,
		UPLOAD_DEPTH, &bkp_session_upload_ops, session,
		&session->uploads, err) < 0) {
		bkp_session_end(session);
		return -1;
	}
	*out = session;
	return 0;
}

int
bkp_session_check_index(struct bkp_session *session, struct bkp_error *err)
{
	return bkp_index_set_is_whole(&session->repository->index, err);
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
	for (size_t i = 0; i < session->row_count; i++)
		bkp_row_cache_free(session->rows[i]);
	free(session->rows);
	fmt_index_builder_free(session->builder);
	free_spare(session);
	bkp_known_set_free(&session->known);
	bkp_presence_end(session->presence);
	bkp_condemned_free(&session->condemned);
	bkp_history_free(&session->history);
	pthread_mutex_destroy(&session->lock);
	OPENSSL_cleanse(&session->chunker, sizeof(session->chunker));
	free(session);
}

/* ---- what is there ---- */

/* What this session is storing does not count: it may be a difference. */
bool
bkp_session_finds_whole(struct bkp_session *session,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out)
{
	struct bkp_index_set *index = &session->repository->index;

	for (size_t n = 0; bkp_index_set_find_copy(index, id, n, out); n++)
		if (!out->chunk.has_base &&
		    !bkp_condemned_has(&session->condemned, out->pack.name))
			return true;
	return false;
}

bool
bkp_session_finds(
    struct bkp_session *session, const unsigned char id[FMT_ID_SIZE])
{
	struct bkp_index_set *index = &session->repository->index;
	struct fmt_index_place place, base;

	for (size_t n = 0; bkp_index_set_find_copy(index, id, n, &place); n++)
		if (!bkp_condemned_has(&session->condemned, place.pack.name) &&
		    (!place.chunk.has_base || bkp_session_finds_whole(session,
						  place.chunk.base, &base)))
			return true;
	return false;
}

bool
bkp_session_knows(
    struct bkp_session *session, const unsigned char id[FMT_ID_SIZE])
{
	return bkp_session_finds(session, id) ||
	       bkp_known_set_has(&session->known, id);
}

const struct fmt_chunker *
bkp_session_chunker(const struct bkp_session *session)
{
	return &session->chunker;
}

/* ---- commit ---- */

int
bkp_session_check_whole(struct bkp_session *session, struct bkp_error *err)
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

/* The place in this writer's chain, and what it comes after. A damaged
 * snapshot does not keep backups from being made: the chain goes on from the
 * newest that can be read. */
static int
find_place(struct bkp_session *session, struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	struct bkp_history *history = &session->history;

	bkp_history_free(history);
	if (bkp_history_read(session->repository, history, err) < 0)
		return -1;
	snapshot->sequence = 1;
	snapshot->previous[0] = '\0';
	for (size_t i = 0; i < history->snapshots.count; i++) {
		const struct bkp_named_snapshot *item =
		    &history->snapshots.items[i];

		if (memcmp(item->snapshot.signer, session->public_key, 32) !=
			0 ||
		    item->snapshot.sequence < snapshot->sequence)
			continue;
		snapshot->sequence = item->snapshot.sequence + 1;
		memcpy(snapshot->previous, item->name, BKP_OBJECT_NAME);
	}
	snapshot->checkpoint = history->checkpoint.sequence;
	snapshot->roster = session->repository->roster.number;
	free(snapshot->seen);
	snapshot->seen = NULL;
	snapshot->seen_count = 0;
	return bkp_history_tips(
	    &history->snapshots, &snapshot->seen, &snapshot->seen_count, err);
}

/* Says which proofs there are, so that they are missed where they go. That
 * they cannot be read now is no reason to lose a backup. */
static int
claim_proofs(struct bkp_session *session, struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	struct bkp_history *history = &session->history;
	struct bkp_proofs proofs = BKP_PROOFS_INIT;
	struct bkp_claims claims = BKP_CLAIMS_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = 0;

	if (bkp_proofs_load(session->repository, &proofs, &problem) == 0)
		rc = bkp_history_claim_proofs(history, &proofs, err);
	else if (problem.code == BKP_NOMEM)
		rc = bkp_fail_nomem(err, "reading the proofs");
	if (rc == 0)
		rc = bkp_claims_join(
		    &claims, history->claims.items, history->claims.count, err);
	bkp_proofs_free(&proofs);
	free(snapshot->claims);
	snapshot->claims = claims.items;
	snapshot->claim_count = claims.count;
	return rc;
}

/* As many as are there, and as there should be by what snapshots and this
 * machine know: that some are missing stays known until they are back, or
 * recorded once more. */
static int
count_erasures(struct bkp_session *session, struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	uint64_t listed;

	return bkp_erasures_count(session->repository,
	    session->history.erasures, &listed, &snapshot->erasures, err);
}

static int
fill_snapshot(struct bkp_session *session, struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	const struct bkp_repository *repository = session->repository;

	if (snapshot->host == NULL &&
	    (snapshot->host = bkp_strdup(repository->keys.writer, err)) == NULL)
		return -1;
	if (find_place(session, snapshot, err) < 0 ||
	    claim_proofs(session, snapshot, err) < 0 ||
	    count_erasures(session, snapshot, err) < 0)
		return -1;
	memcpy(snapshot->repository, repository->config.id,
	    sizeof(snapshot->repository));
	(void)snprintf(snapshot->session, sizeof(snapshot->session), "%s",
	    bkp_presence_id(session->presence));
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

/* Whoever is revoked while a backup runs must not be told that there is one.
 * A roster that cannot be read says nothing against us. */
static int
check_standing(
    const struct bkp_session *session, const char *name, struct bkp_error *err)
{
	const struct bkp_repository *repository = session->repository;
	const unsigned char *key = session->public_key;
	struct bkp_roster now = BKP_ROSTER_INIT;
	int rc =
	    bkp_roster_load(repository->store, &repository->keys, &now, err);

	if (rc < 0)
		return bkp_fail_in(err, "looking for a change of keys");
	if (bkp_roster_writer(&now, key) != NULL &&
	    !bkp_roster_may_write(&now, key) &&
	    !bkp_roster_believes_snapshot(&now, key, name))
		rc = bkp_fail(err, BKP_AUTH,
		    "%s: the key of this host (%s) was revoked while the "
		    "backup ran, so that it would not count; an administrator "
		    "makes a new one by backup-key host, then run it again",
		    repository->store->location, repository->keys.writer);
	bkp_roster_free(&now);
	return rc;
}

/* The only step that counts. Where its outcome is not known, our place among
 * the sessions is kept: somebody may still find the snapshot. */
static int
put_and_check(struct bkp_session *session, const struct fmt_snapshot *snapshot,
    char name[65], struct bkp_error *err)
{
	if (bkp_presence_check(session->presence, err) < 0)
		return -1;
	if (put_snapshot(session, snapshot, name, err) < 0) {
		bkp_presence_leave(session->presence);
		return -1;
	}
	if (bkp_presence_check(session->presence, err) < 0 ||
	    check_standing(session, name, err) < 0) {
		bkp_presence_leave(session->presence);
		return bkp_fail_in(
		    err, "the snapshot %.12s may not count", name);
	}
	return 0;
}

int
bkp_session_commit(struct bkp_session *session, struct fmt_snapshot *snapshot,
    char name[65], struct bkp_error *err)
{
	struct bkp_session *first = session->first;
	char new_name[BKP_OBJECT_NAME];

	if (first->lists != NULL &&
	    bkp_chunk_writer_flush(first->lists, err) < 0)
		return -1;
	if (atomic_load(&session->is_lost)) {
		if (err != NULL)
			*err = session->lost;
		return -1;
	}
	/* What went wrong while storing tells more than that something is
	 * missing. */
	if (bkp_background_drain(session->uploads, err) < 0 ||
	    bkp_session_check_whole(session, err) < 0 ||
	    check_standing(session, "", err) < 0 ||
	    bkp_session_write_index(session, err) < 0 ||
	    fill_snapshot(session, snapshot, err) < 0 ||
	    put_and_check(session, snapshot, new_name, err) < 0)
		return -1;
	memcpy(name, new_name, sizeof(new_name));
	session->is_committed = true;
	for (size_t i = 0; i < session->row_count; i++)
		bkp_row_cache_keep(session->rows[i]);
	return 0;
}

/* Ids are of contents, so that equal lists are of equal entries. */
static bool
is_same_source(
    const struct fmt_snapshot_source *a, const struct fmt_snapshot_source *b)
{
	if (strcmp(a->prefix, b->prefix) != 0 || a->entries != b->entries ||
	    a->bytes != b->bytes || a->list_count != b->list_count)
		return false;
	for (size_t i = 0; i < a->list_count; i++)
		if (memcmp(a->list[i].id, b->list[i].id, FMT_ID_SIZE) != 0)
			return false;
	return true;
}

static bool
is_same(const struct fmt_snapshot *a, const struct fmt_snapshot *b)
{
	if (a->time_us != b->time_us || strcmp(a->host, b->host) != 0 ||
	    a->source_count != b->source_count)
		return false;
	for (size_t i = 0; i < a->source_count; i++)
		if (!is_same_source(&a->sources[i], &b->sources[i]))
			return false;
	return true;
}

int
bkp_session_find_same(struct bkp_session *session,
    const struct fmt_snapshot *snapshot, bool *is_there, char name[65],
    struct bkp_error *err)
{
	struct bkp_snapshots snapshots = BKP_SNAPSHOTS_INIT;

	*is_there = false;
	if (atomic_load(&session->new_chunks) > 0)
		return 0;
	if (bkp_snapshots_read(session->repository, &snapshots, err) < 0)
		return -1;
	for (size_t i = 0; i < snapshots.count && !*is_there; i++) {
		if (!is_same(&snapshots.items[i].snapshot, snapshot))
			continue;
		memcpy(name, snapshots.items[i].name, BKP_OBJECT_NAME);
		*is_there = true;
	}
	bkp_snapshots_free(&snapshots);
	return 0;
}

int
bkp_session_remember(struct bkp_session *session,
    const struct fmt_snapshot *snapshot, const char *name,
    struct bkp_error *err)
{
	struct bkp_snapshots *snapshots = &session->history.snapshots;
	struct bkp_named_snapshot *item;
	int rc;

	if (bkp_grow(&snapshots->items, snapshots->count, &snapshots->cap,
		sizeof(*snapshots->items), err) < 0)
		return -1;
	/* Borrowed until it is taken off again. */
	item = &snapshots->items[snapshots->count++];
	item->snapshot = *snapshot;
	memcpy(item->name, name, BKP_OBJECT_NAME);
	rc = bkp_history_remember(session->repository, &session->history, err);
	snapshots->count--;
	return rc;
}
