/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of a backup that several processes make. A share stores packs and
 * index objects as every session does, and ends without a snapshot; the leader
 * looks at what is stored once more before it commits. prune.md says why that
 * is enough.
 */
#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/session_own.h"

const char *
bkp_session_id(const struct bkp_session *session)
{
	return bkp_presence_id(session->presence);
}

int
bkp_session_touch(struct bkp_session *session, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_presence_touch(session->presence, &problem) == 0 ||
	    problem.code != BKP_RETRY)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_session_settle(struct bkp_session *session, struct bkp_error *err)
{
	if (session->lists != NULL &&
	    bkp_chunk_writer_flush(session->lists, err) < 0)
		return -1;
	if (bkp_background_drain(session->uploads, err) < 0 ||
	    bkp_session_check_whole(session, err) < 0)
		return -1;
	return bkp_session_write_index(session, err);
}

int
bkp_session_look_again(struct bkp_session *session, struct bkp_error *err)
{
	struct bkp_repository *repository = session->repository;

	if (bkp_repository_load_good_index(repository, err) < 0 ||
	    bkp_index_set_check_packs(
		&repository->index, repository->store, err) < 0)
		return -1;
	return bkp_session_shun_damaged(repository, err);
}

bool
bkp_session_has_chunk(struct bkp_session *session,
    const unsigned char id[FMT_ID_SIZE], uint64_t len)
{
	struct bkp_index_set *index = &session->repository->index;
	struct fmt_index_place place;

	for (size_t n = 0; bkp_index_set_find_copy(index, id, n, &place); n++)
		if (place.chunk.raw_len != len)
			return false;
	return bkp_session_finds(session, id);
}

int
bkp_session_entries(struct bkp_session *session,
    const struct fmt_chunk_ref *list, size_t list_count,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	return bkp_entry_stream_open(
	    session->repository, list, list_count, NULL, out, err);
}

void
bkp_session_counts(struct bkp_session *session, uint64_t *new_chunks,
    uint64_t *known_chunks, uint64_t *stored_bytes)
{
	*new_chunks = atomic_load(&session->new_chunks);
	*known_chunks = atomic_load(&session->known_chunks);
	pthread_mutex_lock(&session->lock);
	*stored_bytes = session->stored_bytes;
	pthread_mutex_unlock(&session->lock);
}

void
bkp_session_count(struct bkp_session *session, uint64_t new_chunks,
    uint64_t known_chunks, uint64_t stored_bytes)
{
	atomic_fetch_add(&session->new_chunks, new_chunks);
	atomic_fetch_add(&session->known_chunks, known_chunks);
	pthread_mutex_lock(&session->lock);
	session->stored_bytes += stored_bytes;
	pthread_mutex_unlock(&session->lock);
}
