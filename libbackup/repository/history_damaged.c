/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots that are there and cannot be read, or are not believed. */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/history_own.h"

/* True where a snapshot that counts came after it. */
static bool
is_older(const struct bkp_expected_list *expected, const char *name)
{
	const struct bkp_expected *found = bkp_expected_find(expected, name);

	return found != NULL && found->reason == BKP_BY_SNAPSHOT;
}

/* The bytes of another one, under a name that nobody knows, are a stray:
 * whoever copied them put no other's in their place, as far as anybody can
 * tell. */
static int
tell_copy(const struct bkp_history_view *view,
    const struct bkp_expected_list *expected, const char *name,
    struct bkp_history *history, bool *is_copy, struct bkp_error *err)
{
	struct bkp_history_finding note = {
	    .kind = BKP_HISTORY_COPY, .code = BKP_CORRUPT, .is_note = true};
	const struct bkp_named_snapshot *original;
	struct bkp_error problem = BKP_ERROR_INIT;

	*is_copy = false;
	if (bkp_expected_find(expected, name) != NULL ||
	    bkp_snapshots_copied(view->repository, &view->stored, name,
		&original, &problem) < 0 ||
	    original == NULL) {
		/* It cannot be read: it is damaged. */
		return problem.code == BKP_NOMEM
			   ? bkp_fail_nomem(err, "reading a snapshot")
			   : 0;
	}
	*is_copy = true;
	memcpy(note.name, name, sizeof(note.name));
	return bkp_history_add(history, note, err,
	    "%s/snapshots/%s: it holds the bytes of snapshot %.12s, which is "
	    "there, and nobody knows of one with this name: it counts for "
	    "nothing, and backup-check --repair puts it aside",
	    view->repository->store->location, name, original->name);
}

int
bkp_history_compare_damaged(const struct bkp_history_view *view,
    const struct bkp_expected_list *expected, struct bkp_history *history,
    struct bkp_error *err)
{
	for (size_t i = 0; i < view->stored.damaged_count; i++) {
		const struct bkp_damaged_snapshot *damaged =
		    &view->stored.damaged[i];
		bool is_forged = damaged->problem.code == BKP_AUTH;
		bool is_newer = damaged->problem.code == BKP_UNSUPPORTED;
		bool is_copy = false;
		struct bkp_history_finding finding = {
		    .kind =
			is_forged ? BKP_HISTORY_FORGED : BKP_HISTORY_DAMAGED,
		    .code = (enum bkp_error_code)damaged->problem.code,
		    .may_be_newest = !is_older(expected, damaged->name)};

		if (bkp_checkpoint_has_removed(
			&view->checkpoint, damaged->name))
			continue; /* told as returned */
		if (damaged->problem.code == BKP_CORRUPT &&
		    tell_copy(view, expected, damaged->name, history, &is_copy,
			err) < 0)
			return -1;
		if (is_copy)
			continue;
		memcpy(finding.name, damaged->name, sizeof(finding.name));
		if (bkp_history_add(history, finding, err,
			is_forged
			    ? "%s; it is not used: find out who put it there, "
			      "and let backup-check --repair --accept-loss set "
			      "it aside"
			: is_newer ? "%s; " BKP_USE_NEWER
				   : "%s; " BKP_BRING_BACK,
			damaged->problem.message) < 0)
			return -1;
	}
	return 0;
}
