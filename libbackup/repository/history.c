/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what is there, all of it at one moment. */
#include "libbackup/repository/history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/history_own.h"

#define TRIES 10 /* while others write checkpoints */

/* ---- names ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int
add_name(struct bkp_names *names, const char *name, struct bkp_error *err)
{
	if (bkp_grow(&names->items, names->count, &names->cap,
		sizeof(*names->items), err) < 0)
		return -1;
	memcpy(names->items[names->count++], name, BKP_OBJECT_NAME);
	return 0;
}

int
bkp_history_present(const struct bkp_snapshots *stored, struct bkp_names *out,
    struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < stored->count; i++)
		rc = add_name(&names, stored->items[i].name, err);
	for (size_t i = 0; rc == 0 && i < stored->damaged_count; i++)
		rc = add_name(&names, stored->damaged[i].name, err);
	if (rc < 0) {
		bkp_names_free(&names);
		return -1;
	}
	if (names.count > 1)
		qsort(names.items, names.count, sizeof(*names.items),
		    compare_names);
	*out = names;
	return 0;
}

/* ---- reading ---- */

/* Reads by its name whatever should be there and was not listed: it may have
 * come since, or the listing was short. */
static int
read_unlisted(
    struct bkp_history_view *view, size_t *found, struct bkp_error *err)
{
	struct bkp_expected_list expected = {NULL, 0, 0};
	struct bkp_names present = BKP_NAMES_INIT, asked = BKP_NAMES_INIT;
	size_t before = view->stored.count + view->stored.damaged_count;
	int rc = -1;

	if (bkp_history_expect(view, &expected, err) < 0 ||
	    bkp_history_present(&view->stored, &present, err) < 0)
		goto out;
	/* What is added moves the snapshots that the list borrows from. */
	for (size_t i = 0; i < expected.count; i++) {
		const char *name = expected.items[i].name;

		if ((i == 0 || strcmp(expected.items[i - 1].name, name) != 0) &&
		    !bkp_names_has(&present, name) &&
		    add_name(&asked, name, err) < 0)
			goto out;
	}
	rc = 0;
	for (size_t i = 0; rc == 0 && i < asked.count; i++)
		rc = bkp_snapshots_add(view->repository, view->roster,
		    asked.items[i], &view->stored, err);
	*found = view->stored.count + view->stored.damaged_count - before;
out:
	free(expected.items);
	bkp_names_free(&present);
	bkp_names_free(&asked);
	return rc;
}

static int
read_snapshots(struct bkp_history_view *view, struct bkp_error *err)
{
	size_t found = 0;

	if (bkp_snapshots_read_stored(
		view->repository, view->roster, &view->stored, err) < 0)
		return -1;
	do {
		if (read_unlisted(view, &found, err) < 0)
			return -1;
	} while (found > 0);
	return 0;
}

static bool
are_same(const struct bkp_names *a, const struct bkp_names *b)
{
	return a->count == b->count &&
	       (a->count == 0 || memcmp(a->items, b->items,
				     a->count * sizeof(*a->items)) == 0);
}

static void
forget_read(struct bkp_history_view *view)
{
	bkp_checkpoint_free(&view->checkpoint);
	bkp_snapshots_free(&view->stored);
}

/* Reads it once; *is_steady where no checkpoint came or went meanwhile. */
static int
read_once(struct bkp_history_view *view, bool *is_steady, struct bkp_error *err)
{
	struct bkp_store *store = view->repository->store;
	struct bkp_names before = BKP_NAMES_INIT, after = BKP_NAMES_INIT;
	int rc = -1;

	if (bkp_copies_names(store, "checkpoints", &before, err) == 0 &&
	    bkp_checkpoint_load_as(
		view->repository, view->roster, &view->checkpoint, err) == 0 &&
	    read_snapshots(view, err) == 0 &&
	    bkp_copies_names(store, "checkpoints", &after, err) == 0) {
		*is_steady = are_same(&before, &after);
		rc = 0;
	}
	bkp_names_free(&before);
	bkp_names_free(&after);
	return rc;
}

/* True where somebody knew a newer roster than we do, or there is a snapshot
 * that ours does not believe. */
static bool
may_be_newer_roster(const struct bkp_history_view *view)
{
	if (view->remembered.roster > view->roster->number ||
	    view->checkpoint.damage.code == BKP_AUTH)
		return true;
	for (size_t i = 0; i < view->stored.count; i++)
		if (view->stored.items[i].snapshot.roster >
		    view->roster->number)
			return true;
	for (size_t i = 0; i < view->stored.damaged_count; i++)
		if (view->stored.damaged[i].problem.code == BKP_AUTH)
			return true;
	return false;
}

/* A host may have been let in since the repository was opened. *has_come where
 * there is a newer roster to go by. */
static int
look_for_roster(
    struct bkp_history_view *view, bool *has_come, struct bkp_error *err)
{
	struct bkp_roster found = BKP_ROSTER_INIT;

	if (!may_be_newer_roster(view))
		return 0;
	if (bkp_roster_load(view->repository->store, &view->repository->keys,
		&found, err) < 0)
		return -1;
	*has_come = found.number > view->roster->number;
	if (!*has_come) {
		bkp_roster_free(&found);
		return 0;
	}
	bkp_roster_free(&view->newer);
	view->newer = found;
	view->roster = &view->newer;
	return 0;
}

/*
 * A prune writes a checkpoint, then deletes; a backup adds what no checkpoint
 * knows. So where the checkpoint is the same before and after, what it keeps
 * was there all the time and what is gone is in its list of removed ones.
 */
static int
read_steady(struct bkp_history_view *view, struct bkp_error *err)
{
	for (int n = 0; n < TRIES; n++) {
		bool is_steady = false, has_come = false;

		if (read_once(view, &is_steady, err) < 0 ||
		    look_for_roster(view, &has_come, err) < 0)
			return -1;
		if (is_steady && !has_come)
			return 0;
		forget_read(view);
	}
	return bkp_fail(err, BKP_RETRY,
	    "%s: snapshots are removed faster than they can be listed; try "
	    "again later",
	    view->repository->store->location);
}

/* What was remembered is read before anything else: another process of this
 * machine may remember what comes later. */
static int
recall(struct bkp_history_view *view, struct bkp_history *history,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	const struct bkp_history_finding note = {
	    .kind = BKP_HISTORY_MACHINE,
	    .code = BKP_IO,
	    .is_note = true,
	};

	/* As of a time there is less than was seen since, and rightly so. */
	if (view->repository->store->is_past)
		return 0;
	if (bkp_remembered_load(
		view->repository->config.id, &view->remembered, &problem) == 0)
		return 0;
	if (problem.code == BKP_NOMEM) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	return bkp_history_add(history, note, err,
	    "what this machine has seen of the repository cannot be read, so "
	    "it would not be noticed if the whole repository had been put "
	    "back to an earlier state: %s",
	    problem.message);
}

/* So that the next one is above all that anybody knew. */
static void
raise_number(struct bkp_history_view *view)
{
	uint64_t *number = &view->checkpoint.sequence;

	if (view->remembered.checkpoint > *number)
		*number = view->remembered.checkpoint;
	for (size_t i = 0; i < view->stored.count; i++) {
		const struct fmt_snapshot *snapshot =
		    &view->stored.items[i].snapshot;

		if (snapshot->checkpoint > *number)
			*number = snapshot->checkpoint;
	}
}

/* An archive is one snapshot alone: nothing else should be there. */
static int
read_archive(struct bkp_repository *repository, struct bkp_history *out,
    struct bkp_error *err)
{
	struct bkp_history history = BKP_HISTORY_INIT;

	if (bkp_snapshots_read_stored(
		repository, &repository->roster, &history.snapshots, err) < 0)
		return -1;
	*out = history;
	return 0;
}

static const struct bkp_named_snapshot *
find_snapshot(const struct bkp_history *history, const char *name)
{
	for (size_t i = 0; i < history->snapshots.count; i++)
		if (strcmp(history->snapshots.items[i].name, name) == 0)
			return &history->snapshots.items[i];
	return NULL;
}

static bool
is_not_there(const void *history, const char *name)
{
	return find_snapshot(history, name) == NULL;
}

/* What snapshots, checkpoint and this machine know of proofs. */
static int
gather_claims(const struct bkp_history_view *view, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct bkp_snapshots *snapshots = &history->snapshots;
	const struct bkp_claims *stated = &history->checkpoint.claims;
	const struct bkp_claims *seen = &view->remembered.claims;
	struct bkp_claims *claims = &history->claims;

	for (size_t i = 0; i < snapshots->count; i++) {
		const struct fmt_snapshot *s = &snapshots->items[i].snapshot;

		if (bkp_claims_join(claims, s->claims, s->claim_count, err) < 0)
			return -1;
	}
	if (bkp_claims_join(claims, stated->items, stated->count, err) < 0 ||
	    bkp_claims_join(claims, seen->items, seen->count, err) < 0)
		return -1;
	bkp_claims_drop(claims, is_not_there, history);
	return 0;
}

int
bkp_history_claim_proofs(struct bkp_history *history,
    const struct bkp_proofs *proofs, struct bkp_error *err)
{
	int rc = bkp_claims_join_proofs(&history->claims, proofs, err);

	bkp_claims_drop(&history->claims, is_not_there, history);
	return rc;
}

int
bkp_history_read(struct bkp_repository *repository, struct bkp_history *out,
    struct bkp_error *err)
{
	struct bkp_history_view view = {
	    .repository = repository, .roster = &repository->roster};
	struct bkp_history history = BKP_HISTORY_INIT;
	int rc = -1;

	if (repository->archive != NULL)
		return read_archive(repository, out, err);
	if (recall(&view, &history, err) < 0 || read_steady(&view, err) < 0)
		goto out;
	bkp_snapshots_sort(&view.stored);
	if (bkp_history_compare(&view, &history, err) < 0)
		goto out;
	raise_number(&view);
	history.roster = view.roster->number;
	bkp_snapshots_drop_void(&view.stored, &view.checkpoint);
	history.snapshots = view.stored;
	history.checkpoint = view.checkpoint;
	view.stored = (struct bkp_snapshots)BKP_SNAPSHOTS_INIT;
	memset(&view.checkpoint, 0, sizeof(view.checkpoint));
	if (gather_claims(&view, &history, err) < 0)
		goto out;
	*out = history;
	rc = 0;
out:
	forget_read(&view);
	bkp_remembered_free(&view.remembered);
	bkp_roster_free(&view.newer);
	if (rc < 0)
		bkp_history_free(&history);
	return rc;
}

void
bkp_history_free(struct bkp_history *history)
{
	bkp_snapshots_free(&history->snapshots);
	bkp_checkpoint_free(&history->checkpoint);
	bkp_claims_free(&history->claims);
	for (size_t i = 0; i < history->count; i++)
		free(history->findings[i].text);
	free(history->findings);
	*history = (struct bkp_history)BKP_HISTORY_INIT;
}

size_t
bkp_history_problems(const struct bkp_history *history)
{
	size_t problems = 0;

	for (size_t i = 0; i < history->count; i++)
		problems += !history->findings[i].is_note;
	return problems;
}

int
bkp_history_accept(struct bkp_repository *repository,
    struct bkp_history *history, struct bkp_error *err)
{
	struct bkp_checkpoint *checkpoint = &history->checkpoint;

	for (size_t i = 0; i < history->snapshots.count; i++)
		if (bkp_checkpoint_keep(
			checkpoint, history->snapshots.items[i].name, err) < 0)
			return -1;
	if (bkp_checkpoint_do_without(checkpoint, err) < 0)
		return -1;
	return bkp_checkpoint_put(repository, checkpoint, err);
}

/* ---- what nothing came after ---- */

static int
list_named(const struct bkp_snapshots *snapshots, struct bkp_names *out,
    struct bkp_error *err)
{
	for (size_t i = 0; i < snapshots->count; i++) {
		const struct fmt_snapshot *snapshot =
		    &snapshots->items[i].snapshot;

		if (snapshot->previous[0] != '\0' &&
		    add_name(out, snapshot->previous, err) < 0)
			return -1;
		for (size_t k = 0; k < snapshot->seen_count; k++)
			if (add_name(out, snapshot->seen[k], err) < 0)
				return -1;
	}
	if (out->count > 1)
		qsort(
		    out->items, out->count, sizeof(*out->items), compare_names);
	return 0;
}

int
bkp_history_tips(const struct bkp_snapshots *snapshots, char (**out)[65],
    size_t *count, struct bkp_error *err)
{
	struct bkp_names named = BKP_NAMES_INIT, tips = BKP_NAMES_INIT;
	int rc = list_named(snapshots, &named, err);

	for (size_t i = 0; rc == 0 && i < snapshots->count; i++)
		if (!bkp_names_has(&named, snapshots->items[i].name))
			rc = add_name(&tips, snapshots->items[i].name, err);
	bkp_names_free(&named);
	if (rc < 0) {
		bkp_names_free(&tips);
		return -1;
	}
	*out = tips.items;
	*count = tips.count;
	return 0;
}

/* ---- findings ---- */

const char *
bkp_history_kind_name(enum bkp_history_kind kind)
{
	static const char *const names[] = {
	    [BKP_HISTORY_DAMAGED] = "snapshot-damaged",
	    [BKP_HISTORY_FORGED] = "snapshot-forged",
	    [BKP_HISTORY_MISSING] = "snapshot-missing",
	    [BKP_HISTORY_ROLLED_BACK] = "rolled-back",
	    [BKP_HISTORY_REORDERED] = "snapshot-reordered",
	    [BKP_HISTORY_HELD_BACK] = "snapshot-held-back",
	    [BKP_HISTORY_RECORD] = "record-damaged",
	    [BKP_HISTORY_PROOF] = "proof-missing",
	    [BKP_HISTORY_ERASURES] = "erasure-missing",
	    [BKP_HISTORY_RETURNED] = "snapshot-returned",
	    [BKP_HISTORY_NONE] = "no-snapshot",
	    [BKP_HISTORY_COPY] = "snapshot-copy",
	    [BKP_HISTORY_VOID] = "snapshot-void",
	    [BKP_HISTORY_MACHINE] = "not-remembered",
	};

	return names[kind];
}

int
bkp_history_add(struct bkp_history *history, struct bkp_history_finding finding,
    struct bkp_error *err, const char *format, ...)
{
	va_list ap;
	int len;

	if (bkp_grow(&history->findings, history->count, &history->cap,
		sizeof(*history->findings), err) < 0)
		return -1;
	va_start(ap, format);
	len = vasprintf(&finding.text, format, ap);
	va_end(ap);
	if (len < 0)
		return bkp_fail_nomem(err, "telling what was found");
	history->findings[history->count++] = finding;
	return 0;
}

/* Who deletes all snapshots leaves the rest, as a first backup does that was
 * cut off. */
const char *
bkp_history_none(bool has_index)
{
	return has_index
		   ? "there is no snapshot, so nothing could be restored, "
		     "though there are index objects: no backup has ended, or "
		     "its snapshots were deleted, which a copy of the "
		     "repository brings back; backup-create makes one"
		   : "there is no snapshot, so nothing could be restored; "
		     "backup-create makes one";
}
