/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine remembers of what it has seen. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/history_own.h"

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
keep_unseen(
    const struct bkp_history *history, struct bkp_remembered *remembered)
{
	size_t kept = 0;

	for (size_t i = 0; i < remembered->count; i++) {
		const char *name = remembered->tips[i].name;

		if (bkp_history_find(history, name) == NULL &&
		    !is_dismissed(history, name))
			remembered->tips[kept++] = remembered->tips[i];
	}
	remembered->count = kept;
}

static int
update_remembered(
    void *arg, struct bkp_remembered *remembered, struct bkp_error *err)
{
	const struct bkp_history *history = arg;
	char(*tips)[65] = NULL;
	size_t count = 0;
	int rc;

	if (history->checkpoint.sequence > remembered->checkpoint)
		remembered->checkpoint = history->checkpoint.sequence;
	if (history->roster > remembered->roster)
		remembered->roster = history->roster;
	if (history->erasures > remembered->erasures)
		remembered->erasures = history->erasures;
	keep_unseen(history, remembered);
	if (bkp_claims_join(&remembered->claims, history->claims.items,
		history->claims.count, err) < 0)
		return -1;
	bkp_claims_drop(&remembered->claims, was_dismissed, history);
	rc = bkp_history_tips(&history->snapshots, &tips, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct bkp_named_snapshot *item =
		    bkp_history_find(history, tips[i]);

		if (item != NULL)
			rc = bkp_remembered_add(remembered, tips[i],
			    item->snapshot.host, item->snapshot.finished_us,
			    err);
	}
	free(tips);
	return rc;
}

int
bkp_history_remember(struct bkp_repository *repository,
    const struct bkp_history *history, struct bkp_error *err)
{
	if (repository->archive != NULL)
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
