/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of several repositories that are alike, written into at once. The
 * writers of the first one write into all (chunk_writer.c); here is what that
 * needs of the sessions: which of them go on, and what all of them have.
 */
#include "libbackup/base/fail.h"
#include "libbackup/repository/joined.h"
#include "libbackup/repository/row_cache.h"
#include "libbackup/repository/session_own.h"

int
bkp_session_join(
    struct bkp_session *first, struct bkp_session *other, struct bkp_error *err)
{
	struct bkp_session *last = first;

	if (!bkp_repository_is_like(first->repository, other->repository))
		return bkp_fail(err, BKP_INVALID,
		    "%s names its chunks in another way than %s",
		    other->repository->store->location,
		    first->repository->store->location);
	while (last->next != NULL)
		last = last->next;
	last->next = other;
	other->first = first;
	return 0;
}

bool
bkp_session_is_joined(const struct bkp_session *session)
{
	return session->first->next != NULL;
}

static bool
is_any_left(const struct bkp_session *session)
{
	for (; session != NULL; session = session->next)
		if (!atomic_load(&session->is_lost))
			return true;
	return false;
}

int
bkp_session_lose(struct bkp_session *session, const struct bkp_error *problem,
    struct bkp_error *err)
{
	bool is_common =
	    problem->code == BKP_CANCELLED || problem->code == BKP_NOMEM;

	atomic_store(&session->has_failed, true);
	if (!is_common) {
		pthread_mutex_lock(&session->lock);
		if (!atomic_load(&session->is_lost))
			session->lost = *problem;
		atomic_store(&session->is_lost, true);
		pthread_mutex_unlock(&session->lock);
		if (is_any_left(session->first))
			return 0;
	}
	if (err != NULL)
		*err = *problem;
	return -1;
}

const struct bkp_error *
bkp_session_lost(const struct bkp_session *session)
{
	return atomic_load(&session->is_lost) ? &session->lost : NULL;
}

/* ---- what all of them have ---- */

static bool
knows_entry(struct bkp_session *session, const struct fmt_entry *entry)
{
	/* That it is not heard matters at the end, and is told there. */
	(void)bkp_presence_touch(session->presence, NULL);
	for (size_t i = 0; i < entry->chunk_count; i++)
		if (!bkp_session_knows(session, entry->chunks[i].id))
			return false;
	return true;
}

bool
bkp_session_has_entry(
    struct bkp_session *session, const struct fmt_entry *entry)
{
	bool is_there = true;

	for (; is_there && session != NULL; session = session->next)
		is_there = atomic_load(&session->is_lost) ||
			   knows_entry(session, entry);
	return is_there;
}

static int
open_rows(struct bkp_session *session, const char *database,
    struct bkp_row_cache **out, struct bkp_error *err)
{
	*out = NULL;
	if (bkp_grow(&session->rows, session->row_count, &session->row_cap,
		sizeof(*session->rows), err) < 0 ||
	    bkp_row_cache_open(session->repository, database, out, err) < 0)
		return -1;
	if (*out != NULL)
		session->rows[session->row_count++] = *out;
	return 0;
}

/* Each repository has a cache of its own, for each knows of other bases. */
int
bkp_session_rows(struct bkp_session *session, const char *database,
    struct bkp_row_cache **out, struct bkp_error *err)
{
	struct bkp_row_cache *first = NULL, *cache;

	*out = NULL;
	for (; session != NULL; session = session->next) {
		if (atomic_load(&session->is_lost))
			continue;
		if (open_rows(session, database, &cache, err) < 0)
			return -1;
		if (first == NULL)
			first = cache;
		else if (cache != NULL)
			bkp_row_cache_join(first, cache);
	}
	*out = first;
	return 0;
}
