/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leader of a backup that several processes make. It holds the moment of
 * all databases and the session that is committed; what others have read it
 * takes as if its own workers had.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/shares.h"
#include "libbackup/operations/sink.h"

#define KEEP_MS 15000 /* between signs of life of the moment */

struct led {
	struct bkp_source *source;
	struct bkp_sink *sink;
};

struct bkp_lead {
	struct bkp_repository *repository;
	struct bkp_session *session;
	struct bkp_run *run;
	struct bkp_share_planning planning;
	struct led *led; /* owned; what it points at is not */
	size_t led_count, led_cap;
	struct bkp_share_collection collection;
	struct bkp_shared shared;
	uint64_t began_ms, kept_ms;
	uint64_t limit_ms; /* 0: none */
	bool is_published;
};

int
bkp_lead_begin(const char *run_name, const char *time_limit,
    struct bkp_repository *repository, struct bkp_session *session,
    struct bkp_run *run, struct bkp_lead **out, struct bkp_error *err)
{
	struct bkp_lead *lead;
	uint64_t limit_ms = 0;

	if (time_limit != NULL && bkp_span_read(time_limit, &limit_ms, err) < 0)
		return bkp_fail_in(err, "time limit");
	if (!fmt_share_is_run(run_name))
		return bkp_fail(err, BKP_INVALID,
		    "'%s' cannot be the name of a run: 1 to %d letters, "
		    "digits, '.', '_' and '-', the first a letter or a digit",
		    run_name, FMT_SHARE_NAME_MAX);
	if ((lead = bkp_alloc(sizeof(*lead), err)) == NULL)
		return -1;
	lead->repository = repository;
	lead->session = session;
	lead->run = run;
	lead->limit_ms = limit_ms;
	lead->began_ms = lead->kept_ms = bkp_clock_ms();
	memcpy(lead->planning.plan.run, run_name, strlen(run_name) + 1);
	memcpy(lead->planning.plan.session, bkp_session_id(session),
	    sizeof(lead->planning.plan.session));
	*out = lead;
	return 0;
}

void
bkp_lead_free(struct bkp_lead *lead)
{
	if (lead == NULL)
		return;
	bkp_share_collect_end(&lead->collection);
	fmt_share_plan_free(&lead->planning.plan);
	free(lead->led);
	free(lead);
}

/* ---- the plan ---- */

int
bkp_lead_add(struct bkp_lead *lead, struct bkp_source *source,
    struct bkp_sink *sink, bool *is_led, struct bkp_error *err)
{
	size_t count = fmt_share_plan_count(&lead->planning.plan);

	*is_led = false;
	if (source->ops->plan == NULL)
		return 0;
	if (bkp_grow(&lead->led, lead->led_count, &lead->led_cap,
		sizeof(*lead->led), err) < 0)
		return -1;
	lead->led[lead->led_count++] = (struct led){source, sink};
	if (source->ops->plan(source, sink, &lead->planning, err) < 0)
		return -1;
	/* Where there is nothing for others it need not wait for them. */
	*is_led = source->ops->keep != NULL ||
		  fmt_share_plan_count(&lead->planning.plan) > count;
	return 0;
}

int
bkp_lead_publish(struct bkp_lead *lead, struct bkp_error *err)
{
	struct fmt_share_plan *plan = &lead->planning.plan;
	size_t count = fmt_share_plan_count(plan);
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += fmt_share_plan_bytes(plan, i);
	if (bkp_shares_replace_plan(lead->repository, plan, err) < 0)
		return bkp_fail_in(err, "run %s", plan->run);
	lead->is_published = true;
	bkp_run_message(lead->run, BKP_INFO, NULL,
	    "run %s: %zu tasks of about %llu MB are ready to be shared: "
	    "backup-create --run %s --share 0/N to N-1/N",
	    plan->run, count, (unsigned long long)(bytes / 1000000), plan->run);
	return bkp_share_collect_begin(
	    lead->repository, plan, &lead->collection, err);
}

/* ---- waiting ---- */

static int
keep_moments(struct bkp_lead *lead, struct bkp_error *err)
{
	if (bkp_session_touch(lead->session, err) < 0)
		return -1;
	if (bkp_clock_ms() - lead->kept_ms < KEEP_MS)
		return 0;
	lead->kept_ms = bkp_clock_ms();
	for (size_t i = 0; i < lead->led_count; i++) {
		struct bkp_source *source = lead->led[i].source;

		if (source->ops->keep != NULL &&
		    source->ops->keep(source, err) < 0)
			return bkp_fail_in(err, "%s", source->prefix);
	}
	return 0;
}

static int
fail_late(const struct bkp_lead *lead, struct bkp_error *err)
{
	const struct bkp_share_collection *collection = &lead->collection;
	char *missing;

	if (collection->missing == 0)
		return bkp_fail(err, BKP_RETRY,
		    "run %s: the time limit (%s) is over, and nobody has run "
		    "backup-create --finish, though all shares are there",
		    lead->planning.plan.run, bkp_span(lead->limit_ms).text);
	if ((missing = bkp_share_missing(collection, err)) == NULL)
		return -1;
	(void)bkp_fail(err, BKP_RETRY,
	    "run %s: the time limit (%s) is over, and shares are missing: %s",
	    lead->planning.plan.run, bkp_span(lead->limit_ms).text, missing);
	free(missing);
	return -1;
}

static int
look(struct bkp_lead *lead, struct bkp_error *err)
{
	struct bkp_share_collection *collection = &lead->collection;
	size_t missing = collection->missing;

	if (bkp_share_collect(collection, lead->run, err) < 0)
		return -1;
	bkp_run_count(lead->run, 0, missing - collection->missing);
	if (collection->has_plan)
		return 0;
	return bkp_fail(err, BKP_RETRY,
	    "run %s: its plan was taken away, as another backup-create --plan "
	    "of the same name has begun",
	    lead->planning.plan.run);
}

static int
wait_for_shares(struct bkp_lead *lead, bool finishes, struct bkp_error *err)
{
	struct bkp_share_collection *collection = &lead->collection;
	bool is_told = false;
	unsigned pauses = 0;

	bkp_run_phase(lead->run, 0, fmt_share_plan_count(&lead->planning.plan),
	    "run %s: waiting for shares", lead->planning.plan.run);
	for (;;) {
		if (look(lead, err) < 0)
			return -1;
		if (collection->missing == 0 &&
		    (finishes || collection->has_finish))
			return 0;
		if (collection->missing == 0 && !is_told) {
			bkp_run_phase(lead->run, 0, 0,
			    "run %s: waiting for backup-create --finish",
			    lead->planning.plan.run);
			is_told = true;
		}
		if (lead->limit_ms > 0 &&
		    bkp_clock_ms() - lead->began_ms >= lead->limit_ms)
			return fail_late(lead, err);
		if (keep_moments(lead, err) < 0 ||
		    bkp_share_pause(lead->run, &pauses, err) < 0)
			return -1;
	}
}

/* ---- what came of it ---- */

/* By what this session may build upon (prune.md), not by what the share saw. */
static int
check_piece(struct bkp_lead *lead, const struct fmt_share_piece *piece,
    struct bkp_error *err)
{
	for (size_t i = 0; i < piece->ref_count; i++)
		if (!bkp_session_has_chunk(
			lead->session, piece->refs[i].id, piece->refs[i].len))
			return bkp_fail(err, BKP_RETRY,
			    "run %s: what a share has stored is not there any "
			    "more, or is not as long as it said; run all of it "
			    "again",
			    lead->planning.plan.run);
	return 0;
}

static int
adopt(struct bkp_lead *lead, struct bkp_error *err)
{
	struct bkp_share_collection *collection = &lead->collection;
	const struct fmt_share_plan *plan = &lead->planning.plan;

	if (bkp_session_look_again(lead->session, err) < 0)
		return -1;
	for (size_t i = 0; i < fmt_share_plan_count(plan); i++) {
		const struct fmt_share_done *done = &collection->done[i];

		for (size_t k = 0; k < done->piece_count; k++)
			if (check_piece(lead, &done->pieces[k], err) < 0)
				return -1;
	}
	bkp_session_count(lead->session, collection->new_chunks,
	    collection->known_chunks, collection->stored_bytes);
	lead->shared.plan = plan;
	lead->shared.done = collection->done;
	for (size_t i = 0; i < lead->led_count; i++)
		bkp_sink_share(lead->led[i].sink, &lead->shared);
	return 0;
}

int
bkp_lead_wait(struct bkp_lead *lead, bool finishes, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (wait_for_shares(lead, finishes, err) < 0)
		return -1;
	/* A share that is run once more knows by it why the moment is over. */
	if (!lead->collection.has_finish &&
	    bkp_shares_put_note(lead->repository, lead->planning.plan.session,
		"finish", "", &problem) < 0)
		bkp_run_message(lead->run, BKP_INFO, NULL,
		    "run %s: that it commits could not be written: %s",
		    lead->planning.plan.run, problem.message);
	return adopt(lead, err);
}

/* ---- the end ---- */

static void
warn(struct bkp_lead *lead, const struct bkp_error *problem)
{
	bkp_run_message(lead->run, BKP_WARNING, NULL,
	    "run %s: the others may not hear how it ended: %s",
	    lead->planning.plan.run, problem->message);
}

void
bkp_lead_end(
    struct bkp_lead *lead, const char *name, const struct bkp_error *why)
{
	const char *session = lead->planning.plan.session;
	struct bkp_error problem = BKP_ERROR_INIT;
	bool keeps_end = name == NULL || lead->collection.has_finish;

	if (!lead->is_published)
		return;
	if (keeps_end && bkp_shares_put_note(lead->repository, session,
			     name != NULL ? "made" : "failed",
			     name != NULL  ? name
			     : why != NULL ? why->message
					   : "",
			     &problem) < 0)
		warn(lead, &problem);
	if (bkp_shares_remove(lead->repository, session, keeps_end, &problem) <
	    0)
		bkp_run_message(lead->run, BKP_INFO, NULL,
		    "run %s: what its processes met by could not be removed "
		    "(%s); a prune does that",
		    lead->planning.plan.run, problem.message);
}
