/* SPDX-License-Identifier: Apache-2.0 */
/* What is there against what should be there. */
#include "libbackup/repository/history_own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/presence.h"

/* ---- what should be there ---- */

static int
compare_expected(const void *a, const void *b)
{
	const struct bkp_expected *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (int)x->reason - (int)y->reason;
}

static int
add_expected(const struct bkp_history_view *view,
    struct bkp_expected_list *list, struct bkp_expected expected,
    struct bkp_error *err)
{
	if (bkp_checkpoint_has_removed(&view->checkpoint, expected.name))
		return 0;
	if (bkp_grow(&list->items, list->count, &list->cap,
		sizeof(*list->items), err) < 0)
		return -1;
	list->items[list->count++] = expected;
	return 0;
}

static int
expect_of_snapshot(const struct bkp_history_view *view,
    const struct bkp_named_snapshot *item, struct bkp_expected_list *list,
    struct bkp_error *err)
{
	const struct fmt_snapshot *snapshot = &item->snapshot;
	struct bkp_expected expected = {
	    .name = snapshot->previous,
	    .reason = BKP_BY_SNAPSHOT,
	    .snapshot = item,
	};

	if (snapshot->previous[0] != '\0' &&
	    add_expected(view, list, expected, err) < 0)
		return -1;
	for (size_t i = 0; i < snapshot->seen_count; i++) {
		expected.name = snapshot->seen[i];
		if (add_expected(view, list, expected, err) < 0)
			return -1;
	}
	return 0;
}

static int
expect_all(const struct bkp_history_view *view, struct bkp_expected_list *list,
    struct bkp_error *err)
{
	const struct bkp_checkpoint *checkpoint = &view->checkpoint;

	for (size_t i = 0; i < view->stored.count; i++) {
		const struct bkp_named_snapshot *item = &view->stored.items[i];

		if (!bkp_checkpoint_is_void(checkpoint, item) &&
		    expect_of_snapshot(view, item, list, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < checkpoint->kept_count; i++) {
		const struct bkp_expected expected = {
		    .name = checkpoint->kept[i], .reason = BKP_BY_CHECKPOINT};

		if (add_expected(view, list, expected, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < view->remembered.count; i++) {
		const struct bkp_expected expected = {
		    .name = view->remembered.tips[i].name,
		    .reason = BKP_BY_MACHINE,
		    .tip = &view->remembered.tips[i],
		};

		if (add_expected(view, list, expected, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_history_expect(const struct bkp_history_view *view,
    struct bkp_expected_list *out, struct bkp_error *err)
{
	struct bkp_expected_list list = {NULL, 0, 0};

	if (expect_all(view, &list, err) < 0) {
		free(list.items);
		return -1;
	}
	if (list.count > 1)
		qsort(list.items, list.count, sizeof(*list.items),
		    compare_expected);
	*out = list;
	return 0;
}

const struct bkp_expected *
bkp_expected_find(const struct bkp_expected_list *list, const char *name)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(list->items[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->count && strcmp(list->items[low].name, name) == 0
		   ? &list->items[low]
		   : NULL;
}

/* ---- texts ---- */

#define TIME_TEXT 40

static const char *
time_text(int64_t us, char text[TIME_TEXT])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(text, TIME_TEXT, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		(void)snprintf(text, TIME_TEXT, "an unknown time");
	return text;
}

static struct bkp_history_finding
finding_of(
    enum bkp_history_kind kind, enum bkp_error_code code, const char *name)
{
	struct bkp_history_finding finding = {.kind = kind, .code = code};

	memcpy(finding.name, name, strlen(name) + 1);
	return finding;
}

/* ---- missing ones ---- */

static int
tell_one_missing(const struct bkp_expected *expected,
    struct bkp_history *history, struct bkp_error *err)
{
	struct bkp_history_finding finding =
	    finding_of(BKP_HISTORY_MISSING, BKP_CORRUPT, expected->name);
	char when[TIME_TEXT];

	switch (expected->reason) {
	case BKP_BY_SNAPSHOT:
		return bkp_history_add(history, finding, err,
		    "snapshots/%s is missing: snapshot %.12s of %s (%s) came "
		    "after it and names it; " BKP_BRING_BACK,
		    expected->name, expected->snapshot->name,
		    expected->snapshot->snapshot.host,
		    time_text(expected->snapshot->snapshot.time_us, when));
	case BKP_BY_CHECKPOINT:
		finding.may_be_newest = true;
		return bkp_history_add(history, finding, err,
		    "snapshots/%s is missing: the newest checkpoint says that "
		    "it was kept; " BKP_BRING_BACK,
		    expected->name);
	default:
		/* Whatever came after it is there, or told of itself. */
		if (expected->tip->is_behind)
			return bkp_history_add(history, finding, err,
			    "snapshots/%s is missing: this machine saw it (of "
			    "%s, %s), and what named it is missing, "
			    "too; " BKP_BRING_BACK,
			    expected->name, expected->tip->host,
			    time_text(expected->tip->finished_us, when));
		finding.kind = BKP_HISTORY_ROLLED_BACK;
		finding.may_be_newest = true;
		return bkp_history_add(history, finding, err,
		    "snapshots/%s is missing: this machine saw it (of %s, %s), "
		    "and it was not removed by a prune; the repository may "
		    "have been put back to an earlier state: " BKP_BRING_BACK,
		    expected->name, expected->tip->host,
		    time_text(expected->tip->finished_us, when));
	}
}

static int
tell_missing(const struct bkp_history_view *view,
    const struct bkp_expected_list *expected, struct bkp_history *history,
    struct bkp_error *err)
{
	struct bkp_names present = BKP_NAMES_INIT;
	int rc = bkp_history_present(&view->stored, &present, err);

	for (size_t i = 0; rc == 0 && i < expected->count; i++) {
		const struct bkp_expected *item = &expected->items[i];

		if ((i == 0 || strcmp(item[-1].name, item->name) != 0) &&
		    !bkp_names_has(&present, item->name))
			rc = tell_one_missing(item, history, err);
	}
	bkp_names_free(&present);
	return rc;
}

/* ---- checkpoints and rosters ---- */

/* Numbered records, of which the newest may have been taken away. */
struct numbered {
	const char *what;   /* "checkpoint" */
	const char *folder; /* "checkpoints/" */
	const char *means;  /* what may be wrong then */
	const char *accept; /* what to do where it is not to be had back */
	bool hides_newest;
	uint64_t there, remembered;
	uint64_t (*known_by)(const struct fmt_snapshot *snapshot);
};

static uint64_t
checkpoint_of(const struct fmt_snapshot *snapshot)
{
	return snapshot->checkpoint;
}

static uint64_t
roster_of(const struct fmt_snapshot *snapshot)
{
	return snapshot->roster;
}

static const struct bkp_named_snapshot *
who_knew_most(
    const struct bkp_history_view *view, const struct numbered *numbered)
{
	const struct bkp_named_snapshot *most = NULL;

	for (size_t i = 0; i < view->stored.count; i++) {
		const struct bkp_named_snapshot *item = &view->stored.items[i];

		if (most == NULL || numbered->known_by(&item->snapshot) >
					numbered->known_by(&most->snapshot))
			most = item;
	}
	return most;
}

static int
tell_numbers(const struct bkp_history_view *view,
    const struct numbered *numbered, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct bkp_named_snapshot *most = who_knew_most(view, numbered);
	struct bkp_history_finding finding =
	    finding_of(BKP_HISTORY_RECORD, BKP_CORRUPT, "");
	uint64_t known = most != NULL ? numbered->known_by(&most->snapshot) : 0;

	finding.may_be_newest = numbered->hides_newest;
	if (known > numbered->there)
		return bkp_history_add(history, finding, err,
		    "%s number %" PRIu64 " is missing: snapshot %.12s of %s "
		    "knew it, and the newest that is there is number %" PRIu64
		    ", so %s; bring the folder %s back from a copy of the "
		    "repository, or %s",
		    numbered->what, known, most->name, most->snapshot.host,
		    numbered->there, numbered->means, numbered->folder,
		    numbered->accept);
	finding.kind = BKP_HISTORY_ROLLED_BACK;
	if (numbered->remembered > numbered->there)
		return bkp_history_add(history, finding, err,
		    "%s number %" PRIu64 " is missing: this machine saw it, "
		    "and the newest that is there is number %" PRIu64
		    ", so %s, or the whole repository was put back to an "
		    "earlier state; bring the folder %s back from a copy of "
		    "the repository, or %s",
		    numbered->what, numbered->remembered, numbered->there,
		    numbered->means, numbered->folder, numbered->accept);
	return 0;
}

static int
tell_records(const struct bkp_history_view *view, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct bkp_checkpoint *checkpoint = &view->checkpoint;
	const struct numbered checkpoints = {
	    .what = "checkpoint",
	    .folder = "checkpoints/",
	    .means = "what was removed may be back and what was kept may be "
		     "gone",
	    .accept = "accept what is there with backup-check --repair "
		      "--accept-loss",
	    .hides_newest = true,
	    .there = checkpoint->sequence,
	    .remembered = view->remembered.checkpoint,
	    .known_by = checkpoint_of,
	};
	const struct numbered rosters = {
	    .what = "roster",
	    .folder = "roster/",
	    .means = "a host or person who was shut out may be let in again",
	    .accept = "look at who is let in with backup-key, and change there "
		      "what is wrong",
	    .there = view->roster->number,
	    .remembered = view->remembered.roster,
	    .known_by = roster_of,
	};
	struct bkp_history_finding finding =
	    finding_of(BKP_HISTORY_RECORD, BKP_CORRUPT, "");

	finding.may_be_newest = true;
	if (checkpoint->damaged > 0 &&
	    checkpoint->damage.code == BKP_UNSUPPORTED) {
		finding.code = BKP_UNSUPPORTED;
		if (bkp_history_add(history, finding, err,
			"a record of which snapshots there are is of a newer "
			"version than this libbackup knows (1): "
			"%s; " BKP_USE_NEWER,
			checkpoint->damage.message) < 0)
			return -1;
	} else if (checkpoint->damaged > 0 &&
		   bkp_history_add(history, finding, err,
		       "a record of which snapshots there are and which were "
		       "removed "
		       "cannot be read: %s; bring it back from a copy of the "
		       "repository, or accept what is there with backup-check "
		       "--repair "
		       "--accept-loss",
		       checkpoint->damage.message) < 0)
		return -1;
	if (tell_numbers(view, &checkpoints, history, err) < 0)
		return -1;
	return tell_numbers(view, &rosters, history, err);
}

/* ---- each that is there ---- */

/* The stored ones by name. */
struct by_name {
	const struct bkp_named_snapshot **items; /* owned */
	size_t count;
};

static int
compare_by_name(const void *a, const void *b)
{
	const struct bkp_named_snapshot *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
sort_by_name(const struct bkp_snapshots *stored, struct by_name *out,
    struct bkp_error *err)
{
	out->items = bkp_alloc_array(stored->count, sizeof(*out->items), err);
	if (out->items == NULL)
		return -1;
	for (out->count = 0; out->count < stored->count; out->count++)
		out->items[out->count] = &stored->items[out->count];
	if (out->count > 1)
		qsort(out->items, out->count, sizeof(*out->items),
		    compare_by_name);
	return 0;
}

/* NULL where it is not there. */
static const struct bkp_named_snapshot *
find_stored(const struct by_name *stored, const char *name)
{
	size_t low = 0, high = stored->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(stored->items[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < stored->count &&
		       strcmp(stored->items[low]->name, name) == 0
		   ? stored->items[low]
		   : NULL;
}

static int
tell_order(const struct bkp_history_view *view, const struct by_name *stored,
    const struct bkp_named_snapshot *item, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct fmt_snapshot *snapshot = &item->snapshot;
	const struct bkp_named_snapshot *before =
	    snapshot->previous[0] != '\0'
		? find_stored(stored, snapshot->previous)
		: NULL;

	/* What a checkpoint keeps has been accepted. */
	if (before == NULL ||
	    bkp_checkpoint_has_kept(&view->checkpoint, item->name) ||
	    (memcmp(before->snapshot.signer, snapshot->signer, 32) == 0 &&
		before->snapshot.sequence < snapshot->sequence))
		return 0;
	return bkp_history_add(history,
	    finding_of(BKP_HISTORY_REORDERED, BKP_CORRUPT, item->name), err,
	    "snapshot %s of %s (number %" PRIu64 ") names %.12s of %s (number "
	    "%" PRIu64 ") as the one before it, which cannot be: whoever has "
	    "the key of that host signed what no backup writes; look at the "
	    "host, revoke its key where it is not to be trusted, then accept "
	    "what is there with backup-check --repair --accept-loss",
	    item->name, snapshot->host, snapshot->sequence, before->name,
	    before->snapshot.host, before->snapshot.sequence);
}

/* Older than the checkpoint by more than any session lives, and unknown to it
 * as the checkpoint was to the snapshot. */
static int
tell_held_back(const struct bkp_history_view *view,
    const struct bkp_named_snapshot *item, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct bkp_checkpoint *checkpoint = &view->checkpoint;
	const struct fmt_snapshot *snapshot = &item->snapshot;
	const int64_t lease_us = (int64_t)BKP_PRESENCE_LEASE_S * 1000000;
	char finished[TIME_TEXT], made[TIME_TEXT];

	if (checkpoint->sequence <= snapshot->checkpoint ||
	    bkp_checkpoint_has_kept(checkpoint, item->name) ||
	    snapshot->finished_us >= checkpoint->time_us - lease_us)
		return 0;
	return bkp_history_add(history,
	    finding_of(BKP_HISTORY_HELD_BACK, BKP_CORRUPT, item->name), err,
	    "snapshot %s of %s was finished at %s, but the checkpoint of %s "
	    "does not know it: it was not shown then, or was put in "
	    "afterwards, and what it needs may have been deleted; prove it "
	    "with backup-verify %.12s, then accept it with backup-check "
	    "--repair --accept-loss",
	    item->name, snapshot->host,
	    time_text(snapshot->finished_us, finished),
	    time_text(checkpoint->time_us, made), item->name);
}

static int
tell_void(const struct bkp_history_view *view, const char *name,
    struct bkp_history *history, struct bkp_error *err)
{
	bool is_removed = bkp_checkpoint_has_removed(&view->checkpoint, name);
	struct bkp_history_finding finding =
	    finding_of(is_removed ? BKP_HISTORY_RETURNED : BKP_HISTORY_VOID,
		BKP_CORRUPT, name);

	finding.is_note = true;
	return bkp_history_add(history, finding, err,
	    is_removed
		? "snapshots/%s was removed and is still, or again, there; it "
		  "does not count, and the next prune deletes it"
		: "snapshots/%s was made by a session that had been given up "
		  "for lost; it does not count, and the next prune deletes it",
	    name);
}

static int
tell_stored(const struct bkp_history_view *view, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct bkp_snapshots *stored = &view->stored;
	struct by_name by_name = {NULL, 0};
	int rc = sort_by_name(stored, &by_name, err);

	for (size_t i = 0; rc == 0 && i < stored->count; i++) {
		const struct bkp_named_snapshot *item = &stored->items[i];

		if (bkp_checkpoint_is_void(&view->checkpoint, item))
			rc = tell_void(view, item->name, history, err);
		else if ((rc = tell_order(
			      view, &by_name, item, history, err)) == 0)
			rc = tell_held_back(view, item, history, err);
	}
	for (size_t i = 0; rc == 0 && i < stored->damaged_count; i++)
		if (bkp_checkpoint_has_removed(
			&view->checkpoint, stored->damaged[i].name))
			rc = tell_void(
			    view, stored->damaged[i].name, history, err);
	free(by_name.items);
	return rc;
}

/* ---- proofs ---- */

static int
tell_proof(const struct fmt_claim *claim, struct bkp_history *history,
    struct bkp_error *err)
{
	bool is_proof = claim->proven_us > claim->failed_us;
	char when[TIME_TEXT];

	return bkp_history_add(history,
	    finding_of(BKP_HISTORY_PROOF, BKP_CORRUPT, claim->snapshot), err,
	    "snapshot %s %s on %s, and what was found then is not in proofs/ "
	    "any more: whoever holds the store may have taken it away; a "
	    "prune goes by it all the same; backup-verify %.12s makes the next "
	    "one",
	    claim->snapshot, is_proof ? "was proven" : "failed a verification",
	    time_text(is_proof ? claim->proven_us : claim->failed_us, when),
	    claim->snapshot);
}

int
bkp_history_miss_proofs(struct bkp_history *history,
    const struct bkp_proofs *proofs, struct bkp_error *err)
{
	for (size_t i = 0; i < history->claims.count; i++)
		if (bkp_claim_is_missed(&history->claims.items[i], proofs) &&
		    tell_proof(&history->claims.items[i], history, err) < 0)
			return -1;
	return bkp_history_claim_proofs(history, proofs, err);
}

int
bkp_history_compare(const struct bkp_history_view *view,
    struct bkp_history *history, struct bkp_error *err)
{
	struct bkp_expected_list expected = {NULL, 0, 0};
	int rc = bkp_history_expect(view, &expected, err);

	if (rc == 0)
		rc = tell_records(view, history, err);
	if (rc == 0)
		rc = bkp_history_compare_damaged(view, &expected, history, err);
	if (rc == 0)
		rc = tell_missing(view, &expected, history, err);
	if (rc == 0)
		rc = tell_stored(view, history, err);
	if (rc == 0)
		rc = bkp_history_compare_erasures(view, history, err);
	free(expected.items);
	return rc;
}
