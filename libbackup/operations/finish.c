/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a backup that several processes make: asks the leader for the
 * snapshot when all has been read, and tells what became of it. Whether there
 * is one is told by the repository alone.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/shares.h"
#include "libbackup/repository/repository_own.h"

#define LEADER_MS 5000 /* between two looks whether it is there */

struct finish {
	const struct bkp_share_options *options;
	struct bkp_run *run;
	struct bkp_repository *repository;
	struct fmt_share_plan plan;
	struct bkp_share_collection collection;
	uint64_t wait_ms, began_ms, looked_ms;
	bool has_asked;
	char snapshot[65]; /* "" until it is known */
};

/* ---- how it ended ---- */

/* The leader's session is over, or nobody hears of it. */
static int
conclude(struct finish *finish, const char *why, struct bkp_error *err)
{
	if (bkp_share_find_snapshot(finish->repository, finish->plan.session,
		finish->snapshot, err) < 0)
		return -1;
	if (finish->snapshot[0] != '\0')
		return 0;
	return bkp_fail(err, BKP_NOTFOUND,
	    "run %s: its leader (host %s) %s, so that there is no snapshot; "
	    "begin again with a new backup-create --plan",
	    finish->plan.run, finish->plan.host, why);
}

/* What the leader said; where it said nothing the snapshots are asked. */
static int
read_end(struct finish *finish, struct bkp_error *err)
{
	struct fmt_share_note note = FMT_SHARE_NOTE_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	if (bkp_shares_get_end(
		finish->repository, finish->plan.session, &note, &problem) < 0)
		return conclude(finish, "has ended", err);
	if (strcmp(note.what, "failed") == 0)
		rc = bkp_fail(err, BKP_RETRY,
		    "run %s: its leader (host %s) has failed: %s",
		    finish->plan.run, finish->plan.host, note.text);
	else
		rc =
		    conclude(finish, "says that it made one that is gone", err);
	fmt_share_note_free(&note);
	return rc;
}

static int
check_leader(struct finish *finish, struct bkp_error *err)
{
	struct bkp_presence_info *sessions = NULL, *leader = NULL;
	const char *why = NULL;
	size_t count = 0;
	int64_t now_us = 0;

	if (bkp_clock_ms() - finish->looked_ms < LEADER_MS)
		return 0;
	finish->looked_ms = bkp_clock_ms();
	if (bkp_presence_list(
		finish->repository, NULL, &sessions, &count, &now_us, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (strcmp(sessions[i].id, finish->plan.session) == 0)
			leader = &sessions[i];
	if (leader == NULL || leader->is_ended)
		why = "has ended";
	else if (leader->is_expired || leader->is_given_up || leader->is_gone)
		why = "is gone without a word";
	else if (!bkp_presence_is_at_work(leader, now_us))
		why = "was not heard of for half an hour";
	free(sessions);
	return why != NULL ? conclude(finish, why, err) : 0;
}

/* ---- waiting ---- */

static int
fail_missing(const struct finish *finish, struct bkp_error *err)
{
	char *missing = bkp_share_missing(&finish->collection, err);

	if (missing == NULL)
		return -1;
	(void)bkp_fail(err, BKP_RETRY,
	    "run %s: shares are missing: %s (waited %s); run them, or run them "
	    "again, then finish once more; --wait waits longer",
	    finish->plan.run, missing, bkp_span(finish->wait_ms).text);
	free(missing);
	return -1;
}

/* One look; until the snapshot is known. */
static int
look(struct finish *finish, struct bkp_error *err)
{
	struct bkp_share_collection *collection = &finish->collection;
	size_t missing = collection->missing;

	if (bkp_share_collect(collection, finish->run, err) < 0)
		return -1;
	bkp_run_count(finish->run, 0, missing - collection->missing);
	if (collection->has_end || !collection->has_plan)
		return read_end(finish, err);
	if (collection->missing > 0 &&
	    bkp_clock_ms() - finish->began_ms >= finish->wait_ms)
		return fail_missing(finish, err);
	if (collection->missing == 0 && !finish->has_asked) {
		if (bkp_shares_put_note(finish->repository,
			finish->plan.session, "finish", "", err) < 0)
			return -1;
		finish->has_asked = true;
		bkp_run_phase(finish->run, 0, 0,
		    "run %s: waiting for its leader to commit",
		    finish->plan.run);
	}
	return check_leader(finish, err);
}

static int
wait_for_snapshot(struct finish *finish, struct bkp_error *err)
{
	unsigned pauses = 0;

	bkp_run_phase(finish->run, 0, fmt_share_plan_count(&finish->plan),
	    "run %s: waiting for shares", finish->plan.run);
	for (;;) {
		if (look(finish, err) < 0)
			return -1;
		if (finish->snapshot[0] != '\0')
			return 0;
		if (bkp_share_pause(finish->run, &pauses, err) < 0)
			return -1;
	}
}

/* ---- the whole ---- */

static int
fill_result(struct finish *finish, struct bkp_backup_result *result,
    struct bkp_error *err)
{
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;

	if (bkp_repository_snapshot(
		finish->repository, finish->snapshot, &snapshot, err) < 0)
		return -1;
	memset(result, 0, sizeof(*result));
	memcpy(result->snapshot, finish->snapshot, sizeof(result->snapshot));
	for (size_t i = 0; i < snapshot.source_count; i++) {
		result->entries += snapshot.sources[i].entries;
		result->bytes += snapshot.sources[i].bytes;
	}
	result->stored_bytes = snapshot.stored_bytes;
	result->new_chunks = snapshot.new_chunks;
	result->known_chunks = snapshot.known_chunks;
	result->omission_count = json_array_size(snapshot.omissions);
	result->duration_ms = bkp_clock_ms() - finish->began_ms;
	fmt_snapshot_free(&snapshot);
	return 0;
}

static int
run_finish(struct finish *finish, struct bkp_backup_result *result,
    struct bkp_error *err)
{
	const struct bkp_share_options *options = finish->options;

	if (options->run == NULL || !fmt_share_is_run(options->run))
		return bkp_fail(err, BKP_INVALID,
		    "'%s' cannot be the name of a run",
		    options->run != NULL ? options->run : "");
	if (bkp_share_wait_ms(options, &finish->wait_ms, err) < 0 ||
	    bkp_opened_for_writing(options->config, &finish->repository, err) <
		0 ||
	    /* Who is at work has made no snapshot yet: one that is found in the
	     * end is of this run. */
	    bkp_share_wait_plan(finish->repository, options->run, true,
		finish->wait_ms, finish->run, &finish->plan, err) < 0 ||
	    bkp_share_collect_begin(finish->repository, &finish->plan,
		&finish->collection, err) < 0 ||
	    wait_for_snapshot(finish, err) < 0)
		return -1;
	/* Nobody else asks for it. */
	(void)bkp_shares_remove(
	    finish->repository, finish->plan.session, false, NULL);
	return fill_result(finish, result, err);
}

int
bkp_backup_finish(const struct bkp_share_options *options,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	struct finish finish = {.options = options, .began_ms = bkp_clock_ms()};
	int rc =
	    bkp_run_new(1, &options->events, options->cancel, &finish.run, err);

	if (rc == 0)
		rc = run_finish(&finish, result, err);
	bkp_share_collect_end(&finish.collection);
	fmt_share_plan_free(&finish.plan);
	bkp_repository_close(finish.repository);
	bkp_run_free(finish.run);
	return rc;
}
