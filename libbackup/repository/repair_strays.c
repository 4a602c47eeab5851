/* SPDX-License-Identifier: Apache-2.0 */
/* What is no object of a repository, and sessions of nobody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/prune_own.h"
#include "libbackup/repository/repair.h"

#define LARGEST ((uint64_t)64 << 20) /* that is copied in one piece */

/* ---- what is no object ---- */

static int
move_stray(struct bkp_repair *repair, const char *path, struct bkp_error *err)
{
	struct bkp_store *store = repair->checker->repository->store;
	struct bkp_store_object found;

	if (!bkp_check_may_move_stray(path) ||
	    bkp_store_stat(store, path, &found, NULL) < 0)
		return 0;
	if (found.size > LARGEST || strlen(path) >= BKP_PACK_PATH)
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, path, err,
		    "too large, or of too long a name, to be moved away by "
		    "this; do it by hand");
	if (repair->presence != NULL &&
	    bkp_repair_set_aside(repair, path, err) < 0)
		return -1;
	return bkp_repair_did(repair, path, err,
	    "taken away, for it is no object of a repository; it is kept "
	    "as " BKP_DAMAGED_FOLDER "/%s",
	    path);
}

/* The bytes of a snapshot under a wrong name. */
static int
move_copy(struct bkp_repair *repair, const char *path, struct bkp_error *err)
{
	if (repair->presence != NULL &&
	    bkp_repair_set_aside(repair, path, err) < 0)
		return -1;
	return bkp_repair_did(repair, path, err,
	    "taken away, for it is a copy of another one; it is kept "
	    "as " BKP_DAMAGED_FOLDER "/%s",
	    path);
}

/* ---- sessions of nobody ---- */

/* As a prune does it: a session that somebody holds after all is told. */
static int
give_up(struct bkp_repair *repair, const struct bkp_presence_info *session,
    const char *path, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (repair->presence != NULL &&
	    bkp_prune_give_up(
		repair->checker->repository, session, 1, &problem) < 0) {
		if (problem.code != BKP_AUTH) {
			if (err != NULL)
				*err = problem;
			return -1;
		}
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, path, err,
		    "a host that may prune, or an administrator, takes it "
		    "away: %s",
		    problem.message);
	}
	return bkp_repair_did(repair, path, err,
	    "given up: nobody knows whose it was, and it had not been heard of "
	    "for a day");
}

/* Until its lease is over it may be somebody's who is at work. */
static int
see_to_session(struct bkp_repair *repair,
    const struct bkp_presence_info *session, struct bkp_error *err)
{
	char path[64];

	if (!bkp_check_is_unreadable_session(session) || session->is_ended ||
	    session->is_newer)
		return 0;
	(void)snprintf(path, sizeof(path), "sessions/%s", session->id);
	if (session->is_expired)
		return give_up(repair, session, path, err);
	return bkp_repair_note(repair, BKP_REPAIR_NEEDS, path, err,
	    "kept, as somebody might be at work; remove it where nobody is, or "
	    "repair again when it has not changed for a day");
}

static int
see_to_sessions(struct bkp_repair *repair, struct bkp_error *err)
{
	struct bkp_presence_info *sessions = NULL;
	size_t count = 0;
	int64_t now_us;
	int rc = bkp_presence_list(repair->checker->repository,
	    repair->presence, &sessions, &count, &now_us, err);

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = see_to_session(repair, &sessions[i], err);
	free(sessions);
	return rc;
}

int
bkp_repair_strays(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_finding_list *findings = &repair->checker->findings;
	bool has_sessions = false;

	for (size_t i = 0; i < findings->count; i++) {
		const struct bkp_finding_item *item = &findings->items[i];

		if (strcmp(item->kind, "session-damaged") == 0)
			has_sessions = true;
		if (strcmp(item->kind, "stranger") == 0 &&
		    move_stray(repair, item->object, err) < 0)
			return -1;
		if (strcmp(item->kind, "snapshot-copy") == 0 &&
		    move_copy(repair, item->object, err) < 0)
			return -1;
	}
	return has_sessions ? see_to_sessions(repair, err) : 0;
}
