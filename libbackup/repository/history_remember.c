/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine remembers of what it has seen. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/history_own.h"

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Removed with good reason, or never valid: nobody misses it. */
static bool
is_dismissed(const struct bkp_history *history, const char *name)
{
	if (bkp_checkpoint_has_removed(&history->checkpoint, name))
		return true;
	for (size_t i = 0; i < history->count; i++)
		if (history->findings[i].kind == BKP_HISTORY_VOID &&
		    strcmp(history->findings[i].name, name) == 0)
			return true;
	return false;
}

static bool
was_dismissed(const void *history, const char *name)
{
	return is_dismissed(history, name);
}

/* What is remembered and not seen now stays: it is missing, or another
 * process of this machine has seen it since. */
static void
keep_unseen(const struct bkp_history *history, const struct bkp_names *seen,
    struct bkp_remembered *remembered)
{
	size_t kept = 0;

	for (size_t i = 0; i < remembered->count; i++) {
		const char *name = remembered->tips[i].name;

		if (!bkp_names_has(seen, name) && !is_dismissed(history, name))
			remembered->tips[kept++] = remembered->tips[i];
	}
	remembered->count = kept;
}

/* Sorted. */
static int
name_all(const struct bkp_snapshots *snapshots, struct bkp_names *out,
    struct bkp_error *err)
{
	const struct bkp_snapshots counting = {
	    .items = snapshots->items, .count = snapshots->count};

	return bkp_history_present(&counting, out, err);
}

static int
remember_all(const struct bkp_snapshots *snapshots,
    const struct bkp_names *tips, struct bkp_remembered *remembered,
    struct bkp_error *err)
{
	for (size_t i = 0; i < snapshots->count; i++) {
		const struct bkp_named_snapshot *item = &snapshots->items[i];

		if (bkp_remembered_add(remembered, item->name,
			item->snapshot.host, item->snapshot.finished_us,
			!bkp_names_has(tips, item->name), err) < 0)
			return -1;
	}
	return 0;
}

static int
update_tips(const struct bkp_history *history,
    struct bkp_remembered *remembered, struct bkp_error *err)
{
	const struct bkp_snapshots *snapshots = &history->snapshots;
	struct bkp_names seen = BKP_NAMES_INIT, tips = BKP_NAMES_INIT;
	int rc = name_all(snapshots, &seen, err);

	if (rc == 0)
		rc = bkp_history_tips(snapshots, &tips.items, &tips.count, err);
	if (rc == 0) {
		if (tips.count > 1)
			qsort(tips.items, tips.count, sizeof(*tips.items),
			    compare_names);
		keep_unseen(history, &seen, remembered);
		rc = remember_all(snapshots, &tips, remembered, err);
	}
	bkp_names_free(&seen);
	bkp_names_free(&tips);
	return rc;
}

static int
update_remembered(
    void *arg, struct bkp_remembered *remembered, struct bkp_error *err)
{
	const struct bkp_history *history = arg;

	if (history->checkpoint.sequence > remembered->checkpoint)
		remembered->checkpoint = history->checkpoint.sequence;
	if (history->roster > remembered->roster)
		remembered->roster = history->roster;
	if (history->erasures > remembered->erasures)
		remembered->erasures = history->erasures;
	if (bkp_claims_join(&remembered->claims, history->claims.items,
		history->claims.count, err) < 0)
		return -1;
	bkp_claims_drop(&remembered->claims, was_dismissed, history);
	return update_tips(history, remembered, err);
}

int
bkp_history_remember(struct bkp_repository *repository,
    const struct bkp_history *history, struct bkp_error *err)
{
	if (repository->archive != NULL || repository->store->is_past)
		return 0;
	return bkp_remembered_change(repository->config.id, update_remembered,
	    (void *)(uintptr_t)history, err);
}

/* A machine without a place for it goes on, and says so. */
static int
remember(struct bkp_repository *repository, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct bkp_history_finding note = {
	    .kind = BKP_HISTORY_MACHINE,
	    .code = BKP_IO,
	    .is_note = true,
	};
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_history_remember(repository, history, &problem) == 0)
		return 0;
	if (problem.code == BKP_NOMEM) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	return bkp_history_add(history, note, err,
	    "what was seen is not remembered on this machine: %s",
	    problem.message);
}

int
bkp_history_look(struct bkp_repository *repository, struct bkp_history *out,
    struct bkp_proofs *proofs, struct bkp_error *err)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_proofs found = BKP_PROOFS_INIT;

	if (bkp_history_read(repository, &history, err) < 0 ||
	    bkp_proofs_load(repository, &found, err) < 0 ||
	    bkp_history_miss_proofs(&history, &found, err) < 0 ||
	    remember(repository, &history, err) < 0) {
		bkp_proofs_free(&found);
		bkp_history_free(&history);
		return -1;
	}
	*out = history;
	*proofs = found;
	return 0;
}
