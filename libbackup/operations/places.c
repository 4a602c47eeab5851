/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/places.h"

#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/locks.h"
#include "libbackup/operations/opened.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/reserve.h"

/* ---- which ones ---- */

static int
add(struct bkp_places *places, const struct bkp_config *config,
    const char *name, bool is_one_of_many, struct bkp_error *err)
{
	struct bkp_place *place = &places->items[places->count];

	if (strlen(name) >= sizeof(place->result.name))
		return bkp_fail(err, BKP_INVALID,
		    "the name '%s' of a repository is too long", name);
	places->count++;
	place->name = name;
	place->config = config;
	memcpy(place->result.name, name, strlen(name) + 1);
	if (!is_one_of_many)
		return 0;
	if (bkp_config_of_repository(config, name, &place->own_config, err) < 0)
		return -1;
	place->own_config->storage.has_others = true;
	place->config = place->own_config;
	return 0;
}

int
bkp_places_init(struct bkp_places *places,
    const struct bkp_backup_options *options, struct bkp_error *err)
{
	const struct bkp_config *config = options->config;
	const char *name;

	places->count = 0;
	if (!options->is_everywhere || options->run != NULL ||
	    bkp_config_repository_name(config, 1) == NULL)
		return add(places, config, bkp_config_repository_used(config),
		    false, err);
	for (size_t i = 0;
	     (name = bkp_config_repository_name(config, i)) != NULL; i++) {
		if (places->count == BKP_BACKUP_REPOSITORIES)
			return bkp_fail(err, BKP_INVALID,
			    "a backup goes into %d repositories at most",
			    BKP_BACKUP_REPOSITORIES);
		if (add(places, config, name, true, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- opening ---- */

static bool
is_lost(const struct bkp_place *place)
{
	return place->lost.code != BKP_OK;
}

static bool
is_common(const struct bkp_error *problem)
{
	return problem->code == BKP_CANCELLED || problem->code == BKP_NOMEM;
}

/* Where it is the disk of the repository that is full, and no other one. */
static void
advise_room(const struct bkp_place *place, struct bkp_error *err)
{
	static const char words[] = "no room is left where the repository is";

	if (place->repository == NULL || !bkp_reserve_is_full(err) ||
	    strncmp(err->message, words, strlen(words)) == 0 ||
	    strstr(err->message, place->repository->store->location) == NULL)
		return;
	(void)bkp_fail_in(err,
	    "%s (backup-prune --grace 0 gives back at once what no snapshot "
	    "needs, on a full disk, too)",
	    words);
}

static void
lose(struct bkp_place *place, const struct bkp_error *problem)
{
	if (is_lost(place))
		return;
	place->lost = *problem;
	advise_room(place, &place->lost);
	place->result.why = place->lost;
}

static void
tell(struct bkp_place *place, struct bkp_run *run)
{
	if (!is_lost(place) || place->is_told)
		return;
	place->is_told = true;
	bkp_run_message(run, BKP_WARNING, place->name,
	    "there is no new snapshot in this repository: %s",
	    place->lost.message);
}

/* Why the first one is lost, where all are. */
static int
fail_first(const struct bkp_place *place, bool is_alone, struct bkp_error *err)
{
	if (err == NULL)
		return -1;
	*err = place->lost;
	return is_alone ? -1 : bkp_fail_in(err, "%s", place->name);
}

/* How often the sources will be read. */
static size_t
count_groups(const struct bkp_places *places)
{
	size_t count = 0;

	for (size_t i = 0; i < places->count; i++) {
		const struct bkp_place *place = &places->items[i];
		bool is_new = !is_lost(place);

		for (size_t k = 0; is_new && k < i; k++)
			is_new = is_lost(&places->items[k]) ||
				 !bkp_repository_is_like(place->repository,
				     places->items[k].repository);
		count += is_new;
	}
	return count;
}

/* A bucket that nobody answers for takes its time. */
static void
tell_opening(const struct bkp_places *places, size_t n, struct bkp_run *run)
{
	const struct bkp_place *place = &places->items[n];
	const char *what =
	    places->count > 1 || place->config->repository == NULL
		? place->name
		: place->config->repository;

	bkp_run_phase(run, 0, 0, "opening %s", what);
	bkp_run_show(run);
}

int
bkp_places_open(
    struct bkp_places *places, struct bkp_run *run, struct bkp_error *err)
{
	size_t open = 0, groups;

	for (size_t i = 0; i < places->count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		struct bkp_place *place = &places->items[i];

		tell_opening(places, i, run);
		if (bkp_opened_for_writing(
			place->config, &place->repository, &problem) == 0) {
			open++;
			continue;
		}
		lose(place, &problem);
		if (is_common(&problem))
			return fail_first(place, places->count == 1, err);
		if (places->count > 1)
			tell(place, run);
	}
	if (open == 0)
		return fail_first(&places->items[0], places->count == 1, err);
	if ((groups = count_groups(places)) > 1)
		bkp_run_message(run, BKP_INFO, NULL,
		    "the sources are read %zu times, for the repositories name "
		    "chunks in different ways; one that backup-init --like "
		    "makes reads with the other",
		    groups);
	return 0;
}

bool
bkp_places_next(struct bkp_places *places, struct bkp_group *out)
{
	out->count = 0;
	out->is_alone = places->count == 1;
	for (size_t i = 0; i < places->count; i++) {
		struct bkp_place *place = &places->items[i];

		if (place->is_done || is_lost(place) ||
		    (out->count > 0 &&
			!bkp_repository_is_like(
			    out->items[0]->repository, place->repository)))
			continue;
		place->is_done = true;
		out->items[out->count++] = place;
	}
	return out->count > 0;
}

void
bkp_places_fini(struct bkp_places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		struct bkp_place *place = &places->items[i];

		bkp_repository_close(place->repository);
		bkp_config_free(place->own_config);
	}
	places->count = 0;
}

/* ---- a group ---- */

struct bkp_place *
bkp_group_first(const struct bkp_group *group)
{
	for (size_t i = 0; i < group->count; i++)
		if (!is_lost(group->items[i]))
			return group->items[i];
	return NULL;
}

struct bkp_session *
bkp_group_session(const struct bkp_group *group)
{
	for (size_t i = 0; i < group->count; i++)
		if (group->items[i]->session != NULL)
			return group->items[i]->session;
	return NULL;
}

/* -1: none is left, or it is no matter of this one alone. */
static int
lose_of(struct bkp_group *group, struct bkp_place *place,
    const struct bkp_error *problem, struct bkp_run *run, struct bkp_error *err)
{
	lose(place, problem);
	if (!group->is_alone)
		tell(place, run);
	if (is_common(problem))
		return fail_first(place, group->is_alone, err);
	if (bkp_group_first(group) == NULL)
		return fail_first(group->items[0], group->is_alone, err);
	return 0;
}

static int
begin(struct bkp_place *place, struct bkp_session *first, struct bkp_error *err)
{
	struct bkp_repository *repository = place->repository;
	struct bkp_session *session = NULL;

	/* Not for us; a disk that is full by now says so soon enough. */
	(void)bkp_reserve_keep(repository->store, NULL);
	if (bkp_session_begin(repository, &session, err) < 0)
		return -1;
	if (first != NULL && bkp_session_join(first, session, err) < 0) {
		bkp_session_end(session);
		return -1;
	}
	place->session = session;
	return 0;
}

int
bkp_group_begin(
    struct bkp_group *group, struct bkp_run *run, struct bkp_error *err)
{
	for (size_t i = 0; i < group->count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		struct bkp_place *place = group->items[i];

		if (begin(place, bkp_group_session(group), &problem) < 0 &&
		    lose_of(group, place, &problem, run, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- earlier snapshots ---- */

/* Earlier snapshots only save work: that one of them is damaged or missing
 * must not keep new ones from being made. But whoever reads the log is told. */
static int
list(struct bkp_place *place, const char *name, struct bkp_run *run,
    struct bkp_snapshot_list *out, struct bkp_error *err)
{
	const struct bkp_snapshot_problem *problem;
	struct bkp_error damage = BKP_ERROR_INIT;
	size_t *count = &place->result.problem_count;

	if (bkp_session_check_index(place->session, &damage) < 0) {
		bkp_run_message(run, BKP_WARNING, name,
		    "an index object is damaged or gone, so that more may be "
		    "stored than has changed: %s; backup-check --repair puts "
		    "the index right",
		    damage.message);
		(*count)++;
	}
	*count += bkp_locks_remind(place->repository, place->config, run);
	if (bkp_snapshot_list(place->repository, out, err) < 0)
		return -1;
	for (size_t i = 0;
	     (problem = bkp_snapshot_list_problem(out, i)) != NULL; i++) {
		/* That there is none is over with this one. */
		bool is_note =
		    problem->is_note ||
		    strcmp(problem->kind,
			bkp_history_kind_name(BKP_HISTORY_NONE)) == 0;

		bkp_run_message(run, is_note ? BKP_INFO : BKP_WARNING, name,
		    "%s", problem->text);
		*count += !is_note;
	}
	return 0;
}

int
bkp_group_list(struct bkp_group *group, struct bkp_run *run,
    struct bkp_snapshot_list *out, struct bkp_error *err)
{
	bool has_list = false;

	for (size_t i = 0; i < group->count; i++) {
		struct bkp_snapshot_list snapshots = BKP_SNAPSHOT_LIST_INIT;
		struct bkp_error problem = BKP_ERROR_INIT;
		struct bkp_place *place = group->items[i];

		if (is_lost(place))
			continue;
		if (list(place, group->is_alone ? NULL : place->name, run,
			&snapshots, &problem) < 0) {
			(void)bkp_session_lose(place->session, &problem, NULL);
			if (lose_of(group, place, &problem, run, err) < 0) {
				bkp_snapshot_list_free(out);
				return -1;
			}
			continue;
		}
		if (has_list)
			bkp_snapshot_list_free(&snapshots);
		else
			*out = snapshots;
		has_list = true;
	}
	return 0;
}

/* ---- the end ---- */

void
bkp_group_tell(struct bkp_group *group, struct bkp_run *run)
{
	if (group->is_alone)
		return;
	for (size_t i = 0; i < group->count; i++) {
		struct bkp_place *place = group->items[i];
		const struct bkp_error *why = NULL;

		if (place->session != NULL)
			why = bkp_session_lost(place->session);
		if (why != NULL)
			lose(place, why);
		tell(place, run);
	}
}

/* The snapshot is made; that this machine cannot miss it costs no backup. */
static void
remember(struct bkp_place *place, const struct fmt_snapshot *snapshot,
    struct bkp_run *run)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_session_remember(
		place->session, snapshot, place->result.snapshot, &problem) < 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "the new snapshot is not remembered on this machine, so "
		    "it would not be missed here: %s",
		    problem.message);
}

int
bkp_group_commit(struct bkp_group *group, struct fmt_snapshot *snapshot,
    size_t omission_count, struct bkp_run *run, struct bkp_error *err)
{
	bkp_group_tell(group, run);
	for (size_t i = 0; i < group->count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		struct bkp_place *place = group->items[i];
		char name[65];

		if (is_lost(place))
			continue;
		if (bkp_session_commit(
			place->session, snapshot, name, &problem) < 0) {
			lose(place, &problem);
			if (!group->is_alone)
				tell(place, run);
			continue;
		}
		memcpy(place->result.snapshot, name, sizeof(name));
		place->result.stored_bytes = snapshot->stored_bytes;
		place->result.new_chunks = snapshot->new_chunks;
		place->result.known_chunks = snapshot->known_chunks;
		place->result.omission_count = omission_count;
		remember(place, snapshot, run);
	}
	return bkp_group_first(group) != NULL
		   ? 0
		   : fail_first(group->items[0], group->is_alone, err);
}

void
bkp_group_advise(const struct bkp_group *group, struct bkp_error *err)
{
	for (size_t i = 0; err != NULL && i < group->count; i++)
		advise_room(group->items[i], err);
}

void
bkp_group_fail(struct bkp_group *group, struct bkp_run *run,
    const struct bkp_error *problem)
{
	for (size_t i = 0; i < group->count; i++) {
		if (group->items[i]->result.snapshot[0] != '\0')
			continue;
		lose(group->items[i], problem);
		tell(group->items[i], run);
	}
}

void
bkp_group_end(struct bkp_group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		bkp_session_end(group->items[i]->session);
		group->items[i]->session = NULL;
	}
}
