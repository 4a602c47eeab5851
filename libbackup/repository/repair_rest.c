/* SPDX-License-Identifier: Apache-2.0 */
/* What is left over once packs and index have been seen to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/repair.h"

static bool
is_kind(const struct bkp_finding_item *item, const char *kind)
{
	return strcmp(item->kind, kind) == 0;
}

/* An index object that cannot be read and is missed by nobody: what snapshots
 * need is known without it. */
static int
drop_index(struct bkp_repair *repair, const struct bkp_finding_item *item,
    struct bkp_error *err)
{
	if (item->hurt_total > 0)
		return 0;
	if (repair->presence != NULL &&
	    bkp_repair_set_aside(repair, item->object, err) < 0)
		return -1;
	return bkp_repair_did(repair, item->object, err,
	    "taken away, for nobody misses what it knew; it is kept "
	    "as " BKP_DAMAGED_FOLDER "/%s",
	    item->object);
}

/* Small objects that nothing depends on. */
static int
drop_small(struct bkp_repair *repair, const struct bkp_finding_item *item,
    struct bkp_error *err)
{
	if (repair->presence != NULL &&
	    bkp_repair_set_aside(repair, item->object, err) < 0)
		return -1;
	return bkp_repair_did(repair, item->object, err,
	    "taken away, for nothing depends on it; it is kept "
	    "as " BKP_DAMAGED_FOLDER "/%s",
	    item->object);
}

/* An entry of the ledger of erasures that says nothing, and its copy. */
static int
drop_erasure(struct bkp_repair *repair, const struct bkp_finding_item *item,
    struct bkp_error *err)
{
	struct bkp_store *store = repair->checker->repository->store;
	char second[BKP_PACK_PATH + sizeof(BKP_COPIES)];
	struct bkp_store_object object;

	if (!repair->accepts_loss)
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, item->object,
		    err,
		    "bring it back from a copy of the repository, or put it "
		    "aside with --accept-loss");
	(void)snprintf(second, sizeof(second), BKP_COPIES "%s", item->object);
	if (is_kind(item, "erasure-forged") && repair->presence != NULL &&
	    bkp_store_stat(store, second, &object, NULL) == 0 &&
	    bkp_repair_set_aside(repair, second, err) < 0)
		return -1;
	return drop_small(repair, item, err);
}

/* ---- snapshots that are given up ---- */

static bool
can_be_given_up(const struct bkp_history_finding *finding)
{
	return finding->kind == BKP_HISTORY_DAMAGED ||
	       finding->kind == BKP_HISTORY_FORGED ||
	       finding->kind == BKP_HISTORY_MISSING ||
	       finding->kind == BKP_HISTORY_ROLLED_BACK;
}

/* What a checkpoint ends that says what is there now. */
static bool
is_about_records(const struct bkp_history_finding *finding)
{
	return finding->kind == BKP_HISTORY_RECORD ||
	       finding->kind == BKP_HISTORY_HELD_BACK ||
	       finding->kind == BKP_HISTORY_REORDERED ||
	       (finding->kind == BKP_HISTORY_ROLLED_BACK &&
		   finding->name[0] == '\0');
}

/* Whether a step of the plan makes it whole already. */
static bool
is_planned(const struct bkp_repair *repair, const char *path)
{
	for (size_t i = 0; repair->presence == NULL && i < repair->count; i++)
		if (repair->items[i].state == BKP_REPAIR_PLANNED &&
		    strcmp(repair->items[i].object, path) == 0)
			return true;
	return false;
}

static int
give_up(struct bkp_repair *repair, const struct bkp_history_finding *finding,
    struct bkp_error *err)
{
	const char *name = finding->name;
	struct bkp_checkpoint *checkpoint =
	    &repair->checker->history.checkpoint;
	const struct bkp_roster *roster = &repair->checker->repository->roster;
	char path[BKP_PACK_PATH];

	(void)snprintf(path, sizeof(path), "snapshots/%s", name);
	if (is_planned(repair, path))
		return 0;
	if (!repair->accepts_loss && finding->kind == BKP_HISTORY_FORGED)
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, path, err,
		    "find out who put it there, and set it aside with "
		    "--accept-loss");
	if (!repair->accepts_loss)
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, path, err,
		    "bring it back from a copy of the repository, or give it "
		    "up with --accept-loss");
	/* While writers are not known, what they signed looks forged. */
	if (roster->number == 0 || roster->damaged > 0)
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, path, err,
		    "not given up while a roster is damaged, which may be all "
		    "that is wrong; see to that first");
	if (bkp_checkpoint_remove(checkpoint, name, err) < 0)
		return -1;
	return bkp_repair_did(repair, path, err,
	    "given up: nobody misses it any more; where it is damaged it is "
	    "kept as " BKP_DAMAGED_FOLDER "/%s",
	    path);
}

/* What is there is said in a checkpoint; then nothing else is missed. */
static int
state_what_is_there(struct bkp_repair *repair, struct bkp_error *err)
{
	struct bkp_checker *checker = repair->checker;
	struct bkp_history *history = &checker->history;

	for (size_t i = 0; i < history->snapshots.count; i++) {
		if (bkp_checkpoint_keep(&history->checkpoint,
			history->snapshots.items[i].name, err) < 0)
			return -1;
	}
	if (bkp_presence_check(repair->presence, err) < 0)
		return -1;
	return bkp_checkpoint_put(
	    checker->repository, &history->checkpoint, err);
}

/* A snapshot that was given up, where it is there, and a checkpoint that was
 * replaced by that which gives it up. */
static int
put_aside_given_up(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_history *history = &repair->checker->history;

	for (size_t i = 0; i < history->count; i++) {
		const struct bkp_history_finding *finding =
		    &history->findings[i];
		char path[BKP_PACK_PATH];

		if (finding->kind != BKP_HISTORY_DAMAGED &&
		    finding->kind != BKP_HISTORY_FORGED)
			continue;
		(void)snprintf(
		    path, sizeof(path), "snapshots/%s", finding->name);
		if (bkp_repair_set_aside(repair, path, err) < 0)
			return -1;
	}
	return 0;
}

static int
repair_records(struct bkp_repair *repair, struct bkp_error *err)
{
	if (!repair->accepts_loss)
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, "checkpoints/",
		    err,
		    "to take what is there for what should be there, give "
		    "--accept-loss");
	return bkp_repair_did(repair, "checkpoints/", err,
	    "written anew: what is there now is what should be there");
}

/* What is not understood is not judged either. */
static bool
has_newer(const struct bkp_history *history)
{
	for (size_t i = 0; i < history->count; i++)
		if (history->findings[i].code == BKP_UNSUPPORTED)
			return true;
	return false;
}

static int
repair_history(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_history *history = &repair->checker->history;
	size_t before = repair->done;
	bool has_records = false;
	int rc = 0;

	if (has_newer(history))
		return bkp_repair_note(repair, BKP_REPAIR_NEEDS, "snapshots/",
		    err,
		    "a newer libbackup wrote here, and what it wrote is left "
		    "alone: repair with that one");
	for (size_t i = 0; rc == 0 && i < history->count; i++) {
		const struct bkp_history_finding *finding =
		    &history->findings[i];

		if (finding->is_note)
			continue;
		if (can_be_given_up(finding) && finding->name[0] != '\0')
			rc = give_up(repair, finding, err);
		else if (is_about_records(finding))
			has_records = true;
		else if (finding->kind == BKP_HISTORY_ERASURES)
			rc = bkp_repair_note(repair, BKP_REPAIR_NEEDS,
			    "erasures/", err,
			    "bring the folder back from a copy of the "
			    "repository, or record the erasures once more "
			    "with backup-export forget");
	}
	if (rc == 0 && has_records)
		rc = repair_records(repair, err);
	if (rc < 0 || repair->presence == NULL || repair->done == before)
		return rc;
	if (state_what_is_there(repair, err) < 0)
		return -1;
	return put_aside_given_up(repair, err);
}

/* ---- all of it ---- */

int
bkp_repair_rest(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_finding_list *findings = &repair->checker->findings;
	int rc = repair_history(repair, err);

	for (size_t i = 0; rc == 0 && i < findings->count; i++) {
		const struct bkp_finding_item *item = &findings->items[i];

		if (is_kind(item, "index-damaged"))
			rc = drop_index(repair, item, err);
		else if (is_kind(item, "condemned-damaged") ||
			 is_kind(item, "proof-damaged") ||
			 (is_kind(item, "checkpoint-damaged") &&
			     repair->accepts_loss))
			rc = drop_small(repair, item, err);
		else if (item->level == BKP_FINDING_DAMAGE &&
			 (is_kind(item, "erasure-damaged") ||
			     is_kind(item, "erasure-forged")))
			rc = drop_erasure(repair, item, err);
	}
	return rc;
}
