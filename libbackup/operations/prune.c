/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A prune:
 *
 *   announce it
 *   read the history, and go no further where something is wrong with it
 *   decide which snapshots stay
 *   remove the others, and what was found about them
 *   give back what only they used
 *
 * A dry run announces nothing and writes nothing.
 */
#include "libbackup/operations.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/locks.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/retention.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/proofs.h"
#include "libbackup/repository/prune.h"
#include "libbackup/repository/repository_impl.h"
#include "libbackup/repository/reserve.h"

#define GRACE_S ((uint64_t)24 * 3600)

struct prune {
	const struct bkp_prune_options *options;
	struct bkp_retention retention;
	uint64_t grace_s;
	struct bkp_run *run;
	struct bkp_repository *repository;
	struct bkp_presence *presence; /* NULL in a dry run */
	struct bkp_history history;
	const char **sources; /* owned: all prefixes, borrowed from history */
	struct bkp_candidate *candidates; /* owned */
	struct bkp_decisions decisions;
	size_t missed; /* proofs that others knew, and that are not there */
	struct bkp_decisions by_claims; /* where they count all the same */
	/* Owned: what goes, by decision and then what is given up. */
	char (*names)[BKP_OBJECT_NAME];
	size_t name_count, name_cap, given_up;
	struct bkp_prune_report report;
	struct bkp_lock_faults lock_faults;
};

/* ---- what was asked for ---- */

void
bkp_config_retention(const struct bkp_config *config, struct bkp_retention *out)
{
	const struct bkp_retention_config *from = &config->retention;

	*out = (struct bkp_retention){.size = sizeof(*out),
	    .keep_last = from->keep_last,
	    .keep_hourly = from->keep_hourly,
	    .keep_daily = from->keep_daily,
	    .keep_weekly = from->keep_weekly,
	    .keep_monthly = from->keep_monthly,
	    .keep_yearly = from->keep_yearly,
	    .keep_within = from->keep_within,
	    .keep_tags = (const char *const *)from->keep_tags.items,
	    .keep_tag_count = from->keep_tags.count};
}

int
bkp_is_duration(const char *text)
{
	int64_t us;

	return bkp_duration_read(text, &us, NULL) == 0;
}

static int
read_options(struct prune *prune, struct bkp_error *err)
{
	const struct bkp_prune_options *options = prune->options;
	int64_t grace_us = 0;

	if (options->retention != NULL)
		prune->retention = *options->retention;
	else
		bkp_config_retention(options->config, &prune->retention);
	prune->grace_s = GRACE_S;
	if (options->grace == NULL)
		return 0;
	if (strcmp(options->grace, "0") != 0 &&
	    bkp_duration_read(options->grace, &grace_us, err) < 0)
		return bkp_fail_in(err, "the grace");
	prune->grace_s = (uint64_t)grace_us / 1000000;
	return 0;
}

/* A dry run goes on where a real one would stop, and says so. */
static int
tell_block(struct prune *prune, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_prune_would_go_on(prune->repository, &problem) == 0)
		return 0;
	if (problem.code != BKP_RETRY) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	bkp_run_message(prune->run, BKP_WARNING, NULL,
	    "without --dry-run this would stop here: %s", problem.message);
	return 0;
}

static int
open_repository(struct prune *prune, struct bkp_error *err)
{
	const struct bkp_config *config = prune->options->config;
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (config->repository == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no repository is named; give 'repository:' in the "
		    "configuration or --repository");
	bkp_config_keys(config, &keys);
	if (bkp_repository_open(
		config->repository, &keys, &prune->repository, err) < 0 ||
	    bkp_archive_view_refuse(prune->repository, "prune", err) < 0)
		return -1;
	if (prune->options->is_dry_run)
		return tell_block(prune, err);
	if (bkp_repository_keep_parity(
		prune->repository, config->error_correction, err) < 0)
		return -1;
	return bkp_prune_begin(prune->repository, &prune->presence, err);
}

/* ---- the history ---- */

/* What has a name and cannot be had back: from now on nobody misses it. What
 * was forged stays where it is; it counts for nothing. */
static bool
is_given_up(const struct bkp_history_finding *finding)
{
	return !finding->is_note && finding->name[0] != '\0' &&
	       (finding->kind == BKP_HISTORY_DAMAGED ||
		   finding->kind == BKP_HISTORY_MISSING ||
		   finding->kind == BKP_HISTORY_ROLLED_BACK);
}

static int
add_name(struct prune *prune, const char *name, struct bkp_error *err)
{
	for (size_t i = 0; i < prune->name_count; i++)
		if (strcmp(prune->names[i], name) == 0)
			return 0;
	if (bkp_grow(&prune->names, prune->name_count, &prune->name_cap,
		sizeof(*prune->names), err) < 0)
		return -1;
	memcpy(prune->names[prune->name_count++], name, BKP_OBJECT_NAME);
	return 0;
}

static int
read_history(struct prune *prune, struct bkp_error *err)
{
	struct bkp_history *history = &prune->history;
	size_t problems;

	bkp_run_phase(prune->run, 0, 0, "reading snapshots");
	if (bkp_history_read(prune->repository, history, err) < 0)
		return -1;
	for (size_t i = 0; i < history->count; i++) {
		const struct bkp_history_finding *finding =
		    &history->findings[i];

		bkp_run_message(prune->run,
		    finding->is_note ? BKP_INFO : BKP_WARNING, NULL, "%s",
		    finding->text);
		if (is_given_up(finding) &&
		    add_name(prune, finding->name, err) < 0)
			return -1;
	}
	prune->given_up = prune->name_count;
	problems = bkp_history_problems(history);
	if (problems == 0 || prune->options->is_acknowledged)
		return 0;
	return bkp_fail(err, BKP_CORRUPT,
	    "nothing was removed: the snapshots are not all as they should be "
	    "(%zu told above), and what is needed cannot be known; look into "
	    "it with backup-check, or give up what is missing or damaged with "
	    "--acknowledge",
	    problems);
}

/* ---- the decisions ---- */

static void
describe(struct prune *prune, size_t n, const char **sources,
    const struct bkp_proofs *proofs)
{
	const struct bkp_named_snapshot *from =
	    &prune->history.snapshots.items[n];
	const struct fmt_snapshot *snapshot = &from->snapshot;
	struct bkp_candidate *c = &prune->candidates[n];

	for (size_t i = 0; i < snapshot->source_count; i++)
		sources[i] = snapshot->sources[i].prefix;
	*c = (struct bkp_candidate){.name = from->name,
	    .host = snapshot->host,
	    .time_us = snapshot->time_us,
	    .finished_us = snapshot->finished_us,
	    .sources = sources,
	    .source_count = snapshot->source_count,
	    .tags = (const char *const *)snapshot->tags,
	    .tag_count = snapshot->tag_count,
	    .omission_count = json_array_size(snapshot->omissions)};
	bkp_proofs_of(proofs, from->name, &c->proven_us, &c->failed_us);
}

/* A proof that is missing is told, and counted. */
static void
tell_missed(struct prune *prune, const struct bkp_proofs *proofs)
{
	const struct bkp_claims *claims = &prune->history.claims;

	for (size_t i = 0; i < claims->count; i++) {
		const struct fmt_claim *claim = &claims->items[i];

		if (!bkp_claim_is_missed(claim, proofs))
			continue;
		prune->missed++;
		bkp_run_message(prune->run, BKP_WARNING, NULL,
		    "what a verification of snapshot %.12s found was known, "
		    "and is not in the repository any more; nothing is removed "
		    "that would stay if it were: run backup-verify %.12s",
		    claim->snapshot, claim->snapshot);
	}
}

static int
describe_all(struct prune *prune, struct bkp_error *err)
{
	const struct bkp_snapshots *snapshots = &prune->history.snapshots;
	struct bkp_proofs proofs = BKP_PROOFS_INIT;
	size_t sources = 0;
	int rc = -1;

	if (bkp_proofs_load(prune->repository, &proofs, err) < 0)
		return -1;
	for (size_t i = 0; i < snapshots->count; i++)
		sources += snapshots->items[i].snapshot.source_count;
	prune->sources = bkp_alloc_array(sources, sizeof(*prune->sources), err);
	prune->candidates =
	    bkp_alloc_array(snapshots->count, sizeof(*prune->candidates), err);
	if (prune->sources == NULL || prune->candidates == NULL)
		goto out;
	sources = 0;
	for (size_t i = 0; i < snapshots->count; i++) {
		describe(prune, i, &prune->sources[sources], &proofs);
		sources += snapshots->items[i].snapshot.source_count;
	}
	if (proofs.damaged > 0)
		bkp_run_message(prune->run, BKP_WARNING, NULL,
		    "%s cannot be read and %s for nothing: %s",
		    bkp_counted(proofs.damaged, "proof").text,
		    proofs.damaged == 1 ? "counts" : "count",
		    proofs.damage.message);
	tell_missed(prune, &proofs);
	rc = 0;
out:
	bkp_proofs_free(&proofs);
	return rc;
}

/* A host or source that no snapshot has was misspelt. */
static int
check_scope(const struct prune *prune, const struct bkp_retention_scope *scope,
    struct bkp_error *err)
{
	size_t count = prune->history.snapshots.count;

	for (size_t h = 0; h < scope->host_count; h++) {
		size_t i = 0;

		while (i < count &&
		       strcmp(prune->candidates[i].host, scope->hosts[h]) != 0)
			i++;
		if (i == count)
			return bkp_fail(err, BKP_NOTFOUND,
			    "no snapshot is of host '%s'; backup-list shows "
			    "the hosts",
			    scope->hosts[h]);
	}
	for (size_t s = 0; s < scope->source_count; s++) {
		bool is_there = false;

		for (size_t i = 0; i < count; i++)
			for (size_t k = 0;
			     k < prune->candidates[i].source_count; k++)
				is_there |=
				    strcmp(prune->candidates[i].sources[k],
					scope->sources[s]) == 0;
		if (!is_there)
			return bkp_fail(err, BKP_NOTFOUND,
			    "no snapshot holds '%s'; backup-list shows the "
			    "sources",
			    scope->sources[s]);
	}
	return 0;
}

/* As if what is claimed of proofs were there. */
static void
believe_claims(const struct prune *prune, struct bkp_candidate *candidate)
{
	const struct fmt_claim *claim =
	    bkp_claims_find(&prune->history.claims, candidate->name);

	if (claim == NULL)
		return;
	if (claim->proven_us > candidate->proven_us)
		candidate->proven_us = claim->proven_us;
	if (claim->failed_us > candidate->failed_us)
		candidate->failed_us = claim->failed_us;
}

/* What is claimed was not signed by the administrators, and what is there may
 * be half of the truth; so a snapshot goes only where both say so. */
static int
decide_by_claims(struct prune *prune, const struct bkp_retention_scope *scope,
    struct bkp_error *err)
{
	size_t count = prune->history.snapshots.count;
	struct bkp_candidate *candidates =
	    bkp_alloc_array(count, sizeof(*candidates), err);
	int rc = -1;

	if (candidates == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		candidates[i] = prune->candidates[i];
		believe_claims(prune, &candidates[i]);
	}
	if (bkp_retention_decide(&prune->retention, scope, candidates, count,
		bkp_clock_utc_us(), &prune->by_claims, err) == 0)
		rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (!prune->decisions.items[i].is_kept)
			prune->decisions.items[i] = prune->by_claims.items[i];
	free(candidates);
	return rc;
}

static int
decide(struct prune *prune, struct bkp_error *err)
{
	const struct bkp_prune_options *options = prune->options;
	const struct bkp_retention_scope scope = {.hosts = options->hosts,
	    .host_count = options->host_count,
	    .sources = options->sources,
	    .source_count = options->source_count};

	if (describe_all(prune, err) < 0 ||
	    check_scope(prune, &scope, err) < 0 ||
	    bkp_retention_decide(&prune->retention, &scope, prune->candidates,
		prune->history.snapshots.count, bkp_clock_utc_us(),
		&prune->decisions, err) < 0)
		return -1;
	if (prune->missed > 0 && decide_by_claims(prune, &scope, err) < 0)
		return -1;
	for (size_t i = 0; i < prune->decisions.count; i++)
		if (!prune->decisions.items[i].is_kept &&
		    add_name(prune, prune->decisions.items[i].snapshot, err) <
			0)
			return -1;
	return 0;
}

/* ---- doing it ---- */

static int
remove_snapshots(struct prune *prune, struct bkp_error *err)
{
	const char(*names)[BKP_OBJECT_NAME] =
	    (const char(*)[BKP_OBJECT_NAME])prune->names;
	struct bkp_error error = BKP_ERROR_INIT;
	struct bkp_history after;

	bkp_run_phase(prune->run, 0, prune->name_count, "removing snapshots");
	if (bkp_run_check(prune->run, err) < 0)
		return -1;
	/* That was acknowledged, or it would not have come so far. */
	if (bkp_history_problems(&prune->history) > 0 &&
	    (bkp_presence_check(prune->presence, err) < 0 ||
		bkp_history_accept(prune->repository, &prune->history, err) <
		    0))
		return -1;
	if (bkp_prune_remove(prune->repository, prune->presence, names,
		prune->name_count, err) < 0 ||
	    bkp_proofs_remove(
		prune->repository, names, prune->name_count, err) < 0)
		return -1;
	/* This machine knows that they went, and misses none of them. */
	memset(&after, 0, sizeof(after));
	if (bkp_history_read(prune->repository, &after, err) < 0)
		return -1;
	if (bkp_history_remember(prune->repository, &after, &error) < 0)
		bkp_run_message(prune->run, BKP_WARNING, NULL,
		    "what there is now is not remembered on this machine, so "
		    "it would not be noticed here if the repository were put "
		    "back to an earlier state: %s",
		    error.message);
	bkp_history_free(&after);
	return 0;
}

/* It is waited for as long as it is there. */
static void
tell_newer(struct prune *prune)
{
	if (prune->report.newer > 0)
		bkp_run_message(prune->run, BKP_WARNING, NULL,
		    "sessions/: %s of a newer version of libbackup gave no "
		    "sign of life for a day; when it is over is not known "
		    "here, so what it may need stays: prune with that version",
		    bkp_counted(prune->report.newer, "session").text);
}

static struct bkp_prune_limits
limits_of(struct prune *prune, bool is_dry_run)
{
	const struct bkp_prune_options *options = prune->options;

	return (struct bkp_prune_limits){.grace_s = prune->grace_s,
	    .is_dry_run = is_dry_run,
	    .may_repack = !options->has_no_repack,
	    .is_acknowledged = options->is_acknowledged,
	    .without = (const char(*)[BKP_OBJECT_NAME])prune->names,
	    .without_count = is_dry_run ? prune->name_count : 0,
	    .lock_fault = bkp_lock_faults_note,
	    .lock_fault_arg = &prune->lock_faults};
}

/* Where what is to stay lacks something, what is to go may be the last that is
 * whole. */
static int
look_at_kept(struct prune *prune, struct bkp_error *err)
{
	const struct bkp_prune_limits limits = limits_of(prune, true);
	struct bkp_prune_report report = {.snapshots = 0};

	if (prune->name_count == 0)
		return 0;
	bkp_run_phase(prune->run, 0, 0, "looking at what stays");
	return bkp_prune_collect(prune->repository, prune->presence, &limits,
	    &report, prune->options->cancel, err);
}

static int
collect(struct prune *prune, struct bkp_error *err)
{
	const struct bkp_prune_options *options = prune->options;
	const struct bkp_prune_limits limits =
	    limits_of(prune, options->is_dry_run);

	bkp_run_phase(prune->run, 0, 0, "looking for what nobody needs");
	if (bkp_prune_collect(prune->repository, prune->presence, &limits,
		&prune->report, options->cancel, err) == 0) {
		tell_newer(prune);
		return bkp_lock_faults_end(&prune->lock_faults, err);
	}
	if (options->is_dry_run || prune->name_count == 0)
		return -1;
	return bkp_fail_in(err,
	    "%s %s removed, and the next prune gives back what only %s used",
	    bkp_counted(prune->name_count, "snapshot").text,
	    bkp_are(prune->name_count), prune->name_count == 1 ? "it" : "they");
}

/* For the prune that finds the disk full. */
static void
keep_reserve(struct prune *prune)
{
	struct bkp_error error = BKP_ERROR_INIT;

	if (bkp_reserve_keep(prune->repository->store, &error) < 0)
		bkp_run_message(prune->run, BKP_WARNING, NULL,
		    "no room is kept back for a prune of a full disk: %s",
		    error.message);
}

/* ---- the result ---- */

struct result_memory {
	struct bkp_history history;
	const char **sources;
	struct bkp_candidate *candidates;
	struct bkp_decisions decisions, by_claims;
	char *waiting_for;
};

static void
free_memory(struct result_memory *memory)
{
	bkp_decisions_free(&memory->decisions);
	bkp_decisions_free(&memory->by_claims);
	free(memory->candidates);
	free(memory->sources);
	free(memory->waiting_for);
	bkp_history_free(&memory->history);
	free(memory);
}

/* A phrase, in new memory; *out NULL: nothing waits. */
static int
tell_waiting(const struct prune *prune, char **out, struct bkp_error *err)
{
	const struct bkp_prune_report *report = &prune->report;
	uint64_t minutes = (report->grace_left_s + 59) / 60;

	*out = NULL;
	if (report->waiting.packs == 0 || prune->options->is_dry_run)
		return 0;
	if (report->grace_left_s > 0)
		*out = bkp_format(err,
		    "the grace: a prune in %llu:%02llu hours or later deletes "
		    "it",
		    (unsigned long long)minutes / 60,
		    (unsigned long long)minutes % 60);
	else if (report->sessions > 0)
		*out = bkp_format(err,
		    "%s at work (%s on %s): the first prune after it deletes "
		    "it",
		    report->sessions == 1 ? "a session" : "sessions",
		    report->session_what, report->session_host);
	else
		*out = bkp_strdup("the next prune", err);
	return *out != NULL ? 0 : -1;
}

static int
fill_result(struct prune *prune, uint64_t began_ms,
    struct bkp_prune_result *result, struct bkp_error *err)
{
	const struct bkp_prune_report *report = &prune->report;
	struct bkp_prune_amount freed = report->deleted;
	struct result_memory *memory = bkp_alloc(sizeof(*memory), err);

	if (memory == NULL)
		return -1;
	/* What waits already goes with what a real run would condemn. */
	if (prune->options->is_dry_run) {
		freed.packs = report->condemned.packs + report->waiting.packs;
		freed.bytes = report->condemned.bytes + report->waiting.bytes;
	}
	if (tell_waiting(prune, &memory->waiting_for, err) < 0) {
		free(memory);
		return -1;
	}
	*result = (struct bkp_prune_result){.decisions = prune->decisions.items,
	    .decision_count = prune->decisions.count,
	    .kept =
		prune->decisions.count + prune->given_up - prune->name_count,
	    .removed = prune->name_count,
	    .given_up = prune->given_up,
	    .freed_packs = freed.packs,
	    .freed_bytes = freed.bytes,
	    .waiting_packs = report->waiting.packs,
	    .waiting_bytes = report->waiting.bytes,
	    .held_bytes = report->held.bytes,
	    .stored_bytes = report->stored.bytes,
	    .waiting_for = memory->waiting_for,
	    .renewed_objects = report->locks.renewed,
	    .purged_objects = report->locks.purged,
	    .locked_objects = report->locks.locked,
	    .locked_bytes = report->locks.locked_bytes,
	    .failed_locks = report->locks.failed,
	    .duration_ms = bkp_clock_ms() - began_ms,
	    .memory = memory};
	memory->history = prune->history;
	memory->sources = prune->sources;
	memory->candidates = prune->candidates;
	memory->decisions = prune->decisions;
	memory->by_claims = prune->by_claims;
	memset(&prune->history, 0, sizeof(prune->history));
	prune->sources = NULL;
	prune->candidates = NULL;
	prune->decisions = (struct bkp_decisions)BKP_DECISIONS_INIT;
	prune->by_claims = (struct bkp_decisions)BKP_DECISIONS_INIT;
	return 0;
}

void
bkp_prune_result_free(struct bkp_prune_result *result)
{
	if (result->memory != NULL)
		free_memory(result->memory);
	memset(result, 0, sizeof(*result));
}

static void
end_prune(struct prune *prune)
{
	bkp_presence_end(prune->presence);
	bkp_decisions_free(&prune->decisions);
	bkp_decisions_free(&prune->by_claims);
	bkp_history_free(&prune->history);
	free(prune->candidates);
	free(prune->sources);
	free(prune->names);
	bkp_repository_close(prune->repository);
	bkp_run_free(prune->run);
}

/* What there is must not lose its locks because nothing can be pruned. */
static void
keep_locks(struct prune *prune, const struct bkp_error *reason)
{
	const struct bkp_prune_limits limits = limits_of(prune, false);

	if (prune->presence != NULL)
		bkp_locks_keep(prune->repository, &limits, prune->run, reason);
}

/* Up to where nothing can go wrong any more. */
static int
run_prune(struct prune *prune, struct bkp_error *err)
{
	const struct bkp_prune_options *options = prune->options;

	if (read_history(prune, err) < 0 || decide(prune, err) < 0)
		return -1;
	if (!options->is_dry_run &&
	    (look_at_kept(prune, err) < 0 || remove_snapshots(prune, err) < 0))
		return -1;
	return collect(prune, err);
}

int
bkp_prune(const struct bkp_prune_options *options,
    struct bkp_prune_result *result, struct bkp_error *err)
{
	struct prune prune = {.options = options};
	struct bkp_error problem = BKP_ERROR_INIT;
	uint64_t began_ms = bkp_clock_ms();
	int rc = -1;

	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &prune.run, err) < 0)
		goto out;
	prune.lock_faults.run = prune.run;
	if (read_options(&prune, err) < 0 ||
	    bkp_retention_check(&prune.retention, err) < 0 ||
	    open_repository(&prune, err) < 0)
		goto out;
	if (run_prune(&prune, &problem) < 0) {
		keep_locks(&prune, &problem);
		if (err != NULL)
			*err = problem;
		goto out;
	}
	if (!options->is_dry_run)
		keep_reserve(&prune);
	rc = fill_result(&prune, began_ms, result, err);
out:
	end_prune(&prune);
	return rc;
}
