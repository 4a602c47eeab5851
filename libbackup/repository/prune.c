/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving back what nothing refers to: condemn, wait, look again, delete. The
 * steps P3 to P7 of prune.md, which says why they are in this order.
 */
#include "libbackup/repository/prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/prune_own.h"
#include "libbackup/repository/reserve.h"
#include "libbackup/repository/shares.h"

struct prune {
	struct bkp_repository *repository;
	struct bkp_presence *presence;
	const struct bkp_prune_limits *limits;
	struct bkp_prune_report *report;
	const struct bkp_cancel *cancel;
	struct bkp_survey survey;
	struct bkp_presence_info *sessions; /* owned: others */
	size_t session_count;
	int64_t now_us; /* server's clock */
};

static int
go_on(struct prune *prune, struct bkp_error *err)
{
	if (bkp_cancel_is_requested(prune->cancel))
		return bkp_fail(err, BKP_CANCELLED, "cancelled");
	return prune->presence != NULL
		   ? bkp_presence_touch(prune->presence, err)
		   : 0;
}

static void
add_amount(struct bkp_prune_amount *amount, uint64_t bytes)
{
	amount->packs++;
	amount->bytes += bytes;
}

/* ---- sessions ---- */

/* Of what a newer version announced nobody here knows when it is over. */
static bool
is_unknown(const struct bkp_presence_info *session)
{
	return session->is_newer && !session->is_given_up;
}

static bool
is_alive(const struct bkp_presence_info *session)
{
	if (is_unknown(session))
		return true;
	return !session->is_ended && !session->is_expired &&
	       !session->is_given_up;
}

static int
list_sessions(struct prune *prune, struct bkp_error *err)
{
	free(prune->sessions);
	prune->sessions = NULL;
	prune->session_count = 0;
	return bkp_presence_list(prune->repository, prune->presence,
	    &prune->sessions, &prune->session_count, &prune->now_us, err);
}

static const struct bkp_presence_info *
oldest_session(const struct prune *prune)
{
	const struct bkp_presence_info *oldest = NULL;

	for (size_t i = 0; i < prune->session_count; i++) {
		const struct bkp_presence_info *session = &prune->sessions[i];

		if (is_alive(session) &&
		    (oldest == NULL || session->began_us < oldest->began_us))
			oldest = session;
	}
	return oldest;
}

/* Gives up those whose lease is over, or which an earlier run began to give
 * up, and takes away what is left of those that have ended. */
static int
clear_sessions(struct prune *prune, struct bkp_error *err)
{
	struct bkp_presence_info *gone =
	    bkp_alloc_array(prune->session_count + 1, sizeof(*gone), err);
	size_t count = 0, alive = 0;
	int rc = gone == NULL ? -1 : 0;

	prune->report->newer = 0;
	for (size_t i = 0; rc == 0 && i < prune->session_count; i++) {
		struct bkp_presence_info *session = &prune->sessions[i];

		prune->report->newer +=
		    is_unknown(session) && session->is_expired;
		if (is_alive(session))
			prune->sessions[alive++] = *session;
		else if (session->is_ended && !session->is_given_up)
			rc = bkp_presence_forget(
			    prune->repository, session->id, err);
		else
			gone[count++] = *session;
	}
	if (rc == 0)
		rc = bkp_prune_give_up(prune->repository, gone, count, err);
	prune->session_count = rc == 0 ? alive : 0;
	prune->report->expired += count;
	free(gone);
	return rc;
}

/* ---- P3: condemning ---- */

/* What came while somebody is at work may be his, and not be named yet. That
 * he is waited for makes it safe; this makes it worth the while. */
static bool
is_young(const struct prune *prune, const struct bkp_stored_pack *stored)
{
	const struct bkp_presence_info *oldest = oldest_session(prune);

	return stored != NULL && oldest != NULL &&
	       stored->modified_us >= oldest->began_us;
}

static int
condemn(struct prune *prune, const unsigned char name[32],
    const struct bkp_stored_pack *stored, struct bkp_condemned_list *list,
    struct bkp_error *err)
{
	if (bkp_grow(&list->packs, list->count, &list->cap,
		sizeof(*list->packs), err) < 0)
		return -1;
	fmt_hex(name, 32, list->packs[list->count++]);
	if (stored != NULL)
		add_amount(&prune->report->condemned, stored->size);
	return 0;
}

/* Whether a pack is worth being written anew, and can be. */
static bool
is_hardly_used(const struct prune *prune, const struct bkp_reach_pack *pack,
    const struct bkp_stored_pack *stored)
{
	unsigned below = prune->limits->repack_below;

	if (!prune->limits->may_repack || stored == NULL ||
	    stored->size != pack->stored_size ||
	    (pack->kind == FMT_PACK_DATA &&
		!prune->repository->keys.has_data) ||
	    bkp_condemned_has(&prune->survey.condemned, pack->name) ||
	    is_young(prune, stored))
		return false;
	return pack->used_bytes * 100 < pack->bytes * (below > 0 ? below : 50);
}

/* Writes what is needed of the chosen packs anew, and condemns these. */
static int
repack(struct prune *prune, struct bkp_pack_set *chosen,
    struct bkp_condemned_list *list, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	bkp_pack_set_sort(chosen);
	if (chosen->count > 0 && !prune->limits->is_dry_run &&
	    bkp_prune_repack(prune->repository, prune->presence,
		prune->survey.reach, chosen, &prune->report->repacked_to,
		prune->cancel, &problem) < 0) {
		/* That takes room before it gives some back. */
		if (bkp_reserve_is_full(&problem))
			return 0;
		if (err != NULL)
			*err = problem;
		return -1;
	}
	for (size_t i = 0; i < chosen->count; i++) {
		const struct bkp_stored_pack *stored = bkp_stored_packs_find(
		    &prune->survey.stored, chosen->items[i]);

		add_amount(&prune->report->repacked, stored->size);
		if (condemn(prune, chosen->items[i], stored, list, err) < 0)
			return -1;
	}
	return 0;
}

/* Packs of the index that nothing refers to. One that is not there any more
 * is named for the sake of the index. */
static int
condemn_unused(struct prune *prune, struct bkp_condemned_list *list,
    struct bkp_pack_set *hardly_used, struct bkp_error *err)
{
	const struct bkp_survey *survey = &prune->survey;

	for (size_t i = 0; i < survey->pack_count; i++) {
		const struct bkp_reach_pack *pack = &survey->packs[i];
		const struct bkp_stored_pack *stored =
		    bkp_stored_packs_find(&survey->stored, pack->name);

		if (pack->used_chunks > 0) {
			if (is_hardly_used(prune, pack, stored)) {
				if (bkp_pack_set_add(
					hardly_used, pack->name, err) < 0)
					return -1;
			} else if (pack->used_bytes < pack->bytes)
				add_amount(&prune->report->held,
				    pack->bytes - pack->used_bytes);
			continue;
		}
		if (bkp_condemned_has(&survey->condemned, pack->name) ||
		    is_young(prune, stored))
			continue;
		if (condemn(prune, pack->name, stored, list, err) < 0)
			return -1;
	}
	return 0;
}

/* Packs that no index names. While something is missing they may hold it. */
static int
condemn_orphans(
    struct prune *prune, struct bkp_condemned_list *list, struct bkp_error *err)
{
	const struct bkp_survey *survey = &prune->survey;
	const uint64_t grace_us = prune->limits->grace_s * 1000000;

	for (size_t i = 0; survey->missing == 0 && i < survey->stored.count;
	     i++) {
		const struct bkp_stored_pack *stored = &survey->stored.items[i];

		if (bkp_survey_find(survey, stored->name) != NULL ||
		    bkp_condemned_has(&survey->condemned, stored->name) ||
		    is_young(prune, stored) ||
		    prune->now_us - stored->modified_us < (int64_t)grace_us)
			continue;
		add_amount(&prune->report->orphans, stored->size);
		if (condemn(prune, stored->name, stored, list, err) < 0)
			return -1;
	}
	return 0;
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int
condemn_all(struct prune *prune, struct bkp_error *err)
{
	struct bkp_condemned_list list = {.packs = NULL};
	struct bkp_pack_set hardly_used = {.items = NULL};
	char name[BKP_OBJECT_NAME];
	int rc;

	rc = condemn_unused(prune, &list, &hardly_used, err);
	if (rc == 0)
		rc = condemn_orphans(prune, &list, err);
	if (rc == 0)
		rc = repack(prune, &hardly_used, &list, err);
	if (rc == 0 && list.count > 0 && !prune->limits->is_dry_run) {
		qsort(
		    list.packs, list.count, sizeof(*list.packs), compare_text);
		rc = bkp_condemned_put(prune->repository, &list, name, err);
	}
	bkp_pack_set_free(&hardly_used);
	free(list.packs);
	return rc;
}

/* ---- P4: which lists may be acted on ---- */

static void
note_waiting(struct prune *prune, const struct bkp_presence_info *session)
{
	struct bkp_prune_report *report = prune->report;

	if (report->sessions > 0 &&
	    session->began_us >= report->session_since_us)
		return;
	memcpy(
	    report->session_what, session->what, sizeof(report->session_what));
	memcpy(
	    report->session_host, session->host, sizeof(report->session_host));
	report->session_since_us = session->began_us;
}

/* Whoever announced himself before the list may build upon its packs. */
static bool
is_heeded(struct prune *prune, const char *list)
{
	bool answer = true;
	size_t waiting = 0;

	for (size_t i = 0; i < prune->session_count; i++) {
		if (bkp_presence_heeds(&prune->sessions[i], list))
			continue;
		note_waiting(prune, &prune->sessions[i]);
		waiting++;
		answer = false;
	}
	if (waiting > prune->report->sessions)
		prune->report->sessions = waiting;
	return answer;
}

static bool
is_due(struct prune *prune, const struct bkp_condemned_list *list)
{
	const uint64_t grace_s = prune->limits->grace_s;
	int64_t age_us = prune->now_us - list->stored_us;
	uint64_t age_s = age_us > 0 ? (uint64_t)age_us / 1000000 : 0;
	uint64_t left_s;

	if (grace_s == 0 || age_s >= grace_s)
		return true;
	left_s = grace_s - age_s;
	if (prune->report->grace_left_s == 0 ||
	    left_s < prune->report->grace_left_s)
		prune->report->grace_left_s = left_s;
	return false;
}

/* Names of the lists that are old enough and that everybody heeds. Lists first,
 * then sessions: whoever comes after that reads them. */
static int
choose_lists(
    struct prune *prune, struct bkp_names *chosen, struct bkp_error *err)
{
	struct bkp_condemned lists = BKP_CONDEMNED_INIT;
	int rc;

	if (bkp_condemned_load(prune->repository, &lists, err) < 0)
		return -1;
	rc = list_sessions(prune, err);
	if (rc == 0)
		rc = clear_sessions(prune, err);
	for (size_t i = 0; rc == 0 && i < lists.count; i++)
		if (is_due(prune, &lists.lists[i]) &&
		    is_heeded(prune, lists.lists[i].name))
			rc = bkp_names_add(chosen, lists.lists[i].name, err);
	bkp_condemned_free(&lists);
	return rc;
}

/* ---- P4 to P7: looking again, and deleting ---- */

static const struct bkp_condemned_list *
find_list(const struct bkp_condemned *condemned, const char *name)
{
	for (size_t i = 0; i < condemned->count; i++)
		if (strcmp(condemned->lists[i].name, name) == 0)
			return &condemned->lists[i];
	return NULL;
}

/* What of the chosen lists nothing refers to, by a new look. */
static int
find_dead(struct prune *prune, const struct bkp_names *chosen,
    struct bkp_pack_set *dead, struct bkp_error *err)
{
	const struct bkp_condemned *condemned = &prune->survey.condemned;

	for (size_t i = 0; i < chosen->count; i++) {
		const struct bkp_condemned_list *list =
		    find_list(condemned, chosen->items[i]);

		for (size_t k = 0; list != NULL && k < list->count; k++) {
			const struct bkp_reach_pack *pack;
			unsigned char name[32];

			(void)fmt_unhex(list->packs[k], name, sizeof(name));
			pack = bkp_survey_find(&prune->survey, name);
			if (pack != NULL && pack->used_chunks > 0)
				continue;
			/* What is missing may lie in a pack that no index
			 * names. */
			if (pack == NULL && prune->survey.missing > 0)
				continue;
			if (bkp_pack_set_add(dead, name, err) < 0)
				return -1;
		}
	}
	bkp_pack_set_sort(dead);
	return 0;
}

static int
remove_object(struct prune *prune, const char *path, bool *was_there,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	*was_there =
	    bkp_store_remove(prune->repository->store, path, &problem) == 0;
	if (*was_there || problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return bkp_fail_in(err, "deleting what nothing refers to");
}

static int
delete_packs(
    struct prune *prune, const struct bkp_pack_set *dead, struct bkp_error *err)
{
	for (size_t i = 0; i < dead->count; i++) {
		const struct bkp_stored_pack *stored = bkp_stored_packs_find(
		    &prune->survey.stored, dead->items[i]);
		char hex[BKP_OBJECT_NAME], path[96];
		bool was_there;

		fmt_hex(dead->items[i], 32, hex);
		(void)snprintf(path, sizeof(path), "packs/%.2s/%s", hex, hex);
		if (go_on(prune, err) < 0 ||
		    remove_object(prune, path, &was_there, err) < 0)
			return -1;
		if (was_there && stored != NULL)
			add_amount(&prune->report->deleted, stored->size);
	}
	return 0;
}

/* What a list still names when its other packs have gone: a list of that, and
 * then the old one goes. A pack never stops being condemned. */
static int
put_rest(struct prune *prune, const struct bkp_condemned_list *list,
    const struct bkp_pack_set *dead, size_t *rest_count, struct bkp_error *err)
{
	struct bkp_condemned_list rest = {.packs = NULL};
	char name[BKP_OBJECT_NAME];
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < list->count; k++) {
		unsigned char pack[32];

		(void)fmt_unhex(list->packs[k], pack, sizeof(pack));
		if (bkp_pack_set_has(dead, pack))
			continue;
		rc = bkp_grow(&rest.packs, rest.count, &rest.cap,
		    sizeof(*rest.packs), err);
		if (rc == 0)
			memcpy(rest.packs[rest.count++], list->packs[k],
			    sizeof(*rest.packs));
	}
	if (rc == 0 && rest.count > 0 && rest.count < list->count)
		rc = bkp_condemned_put(prune->repository, &rest, name, err);
	*rest_count = rest.count;
	free(rest.packs);
	return rc;
}

static int
end_lists(struct prune *prune, const struct bkp_names *chosen,
    const struct bkp_pack_set *dead, struct bkp_error *err)
{
	for (size_t i = 0; i < chosen->count; i++) {
		const struct bkp_condemned_list *list =
		    find_list(&prune->survey.condemned, chosen->items[i]);
		char path[96];
		bool was_there;
		size_t rest;

		if (list == NULL) /* another prune has finished it */
			continue;
		if (put_rest(prune, list, dead, &rest, err) < 0)
			return -1;
		if (rest == list->count)
			continue;
		(void)snprintf(
		    path, sizeof(path), "condemned/%s", chosen->items[i]);
		if (remove_object(prune, path, &was_there, err) < 0)
			return -1;
	}
	return 0;
}

static int
look_again(struct prune *prune, struct bkp_error *err)
{
	bkp_survey_free(&prune->survey);
	/* Snapshots of sessions that were given up are stated as removed
	 * before anything goes that they may need. */
	if (bkp_prune_remove(prune->repository, prune->presence, NULL, 0, err) <
	    0)
		return -1;
	return bkp_survey_make(prune->repository, prune->limits, prune->cancel,
	    &prune->survey, err);
}

/* The index first; but where the store is full, the packs make room for it.
 * Either order is safe (prune.pml): entries of packs that are not there are
 * passed over. */
static int
give_back(
    struct prune *prune, const struct bkp_pack_set *dead, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_prune_rewrite_index(prune->repository, prune->presence, dead,
		prune->cancel, &problem) == 0)
		return delete_packs(prune, dead, err);
	if (!bkp_reserve_is_full(&problem)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (delete_packs(prune, dead, err) < 0)
		return -1;
	return bkp_prune_rewrite_index(
	    prune->repository, prune->presence, dead, prune->cancel, err);
}

static int
act(struct prune *prune, struct bkp_pack_set *dead, struct bkp_error *err)
{
	struct bkp_names chosen = BKP_NAMES_INIT;
	int rc = choose_lists(prune, &chosen, err);

	if (rc == 0)
		rc = look_again(prune, err);
	if (rc == 0)
		rc = find_dead(prune, &chosen, dead, err);
	if (rc == 0)
		rc = bkp_presence_check(prune->presence, err);
	if (rc == 0)
		rc = give_back(prune, dead, err);
	if (rc == 0)
		rc = end_lists(prune, &chosen, dead, err);
	bkp_names_free(&chosen);
	return rc;
}

/* ---- the report ---- */

/* Of what is condemned and was not deleted: what waits and what is needed. */
static void
count_condemned(struct prune *prune, const struct bkp_pack_set *dead)
{
	const struct bkp_condemned *condemned = &prune->survey.condemned;

	for (size_t i = 0; i < condemned->pack_count; i++) {
		const unsigned char *name = condemned->packs[i];
		const struct bkp_stored_pack *stored =
		    bkp_stored_packs_find(&prune->survey.stored, name);
		const struct bkp_reach_pack *pack =
		    bkp_survey_find(&prune->survey, name);

		if (stored == NULL || bkp_pack_set_has(dead, name) ||
		    (i > 0 && memcmp(name, condemned->packs[i - 1], 32) == 0))
			continue;
		add_amount(pack != NULL && pack->used_chunks > 0
			       ? &prune->report->rescued
			       : &prune->report->waiting,
		    stored->size);
	}
}

static void
count_stored(struct prune *prune)
{
	const struct bkp_survey *survey = &prune->survey;

	prune->report->stored.packs = survey->stored.count;
	prune->report->stored.bytes = survey->stored.bytes;
	prune->report->snapshots = survey->history.snapshots.count;
	prune->report->missing = survey->missing;
	prune->report->indexes_before = prune->repository->index.count;
}

static int
count_indexes(struct prune *prune, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;

	if (bkp_object_names(
		prune->repository->store, "index", "", &names, err) < 0)
		return -1;
	prune->report->indexes_after = names.count;
	bkp_names_free(&names);
	return 0;
}

/* ---- the whole ---- */

static int
run(struct prune *prune, struct bkp_error *err)
{
	struct bkp_pack_set dead = {.items = NULL};
	int rc = list_sessions(prune, err);

	if (rc == 0)
		rc = bkp_survey_make(prune->repository, prune->limits,
		    prune->cancel, &prune->survey, err);
	if (rc < 0)
		return -1;
	count_stored(prune);
	rc = condemn_all(prune, err);
	if (rc == 0 && !prune->limits->is_dry_run)
		rc = act(prune, &dead, err);
	if (rc == 0 && !prune->limits->is_dry_run)
		rc = bkp_shares_clear(prune->repository, prune->presence, err);
	if (rc == 0) {
		count_condemned(prune, &dead);
		rc = count_indexes(prune, err);
	}
	if (rc == 0 && !prune->limits->is_dry_run)
		rc = bkp_prune_tend(prune->repository, &prune->survey,
		    bkp_presence_began_us(prune->presence), prune->limits,
		    &prune->report->locks, prune->cancel, err);
	bkp_pack_set_free(&dead);
	return rc;
}

int
bkp_prune_collect(struct bkp_repository *repository,
    struct bkp_presence *presence, const struct bkp_prune_limits *limits,
    struct bkp_prune_report *report, const struct bkp_cancel *cancel,
    struct bkp_error *err)
{
	struct bkp_prune_report done = {.snapshots = 0};
	struct prune prune = {.repository = repository,
	    .presence = presence,
	    .limits = limits,
	    .report = &done,
	    .cancel = cancel};
	int rc = run(&prune, err);

	/* The index on hand names what is not there any more. */
	if (!limits->is_dry_run)
		bkp_index_set_clear(&repository->index);
	bkp_survey_free(&prune.survey);
	free(prune.sessions);
	if (rc == 0)
		*report = done;
	return rc;
}
