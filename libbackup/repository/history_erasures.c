/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of erasures against what snapshots and this machine knew of it. */
#include <inttypes.h>

#include "libbackup/repository/erasures.h"
#include "libbackup/repository/history_own.h"

static const struct bkp_named_snapshot *
who_knew_most(const struct bkp_snapshots *snapshots)
{
	const struct bkp_named_snapshot *most = &snapshots->items[0];

	for (size_t i = 1; i < snapshots->count; i++)
		if (snapshots->items[i].snapshot.erasures >
		    most->snapshot.erasures)
			most = &snapshots->items[i];
	return most;
}

static int
tell(const struct bkp_history_view *view, uint64_t known, uint64_t listed,
    struct bkp_history *history, struct bkp_error *err)
{
	const struct bkp_history_finding finding = {
	    .kind = BKP_HISTORY_ERASURES,
	    .code = BKP_CORRUPT,
	};
	const char *advice =
	    "a restore would bring back whom they were about: bring the "
	    "folder erasures/ back from a copy of the repository, or record "
	    "them once more with backup-export forget";
	const struct bkp_named_snapshot *most;

	if (view->remembered.erasures == known)
		return bkp_history_add(history, finding, err,
		    "%" PRIu64 " of the erasures that were recorded here are "
		    "missing: this machine has seen %" PRIu64
		    ", and there are %" PRIu64 "; %s",
		    known - listed, known, listed, advice);
	most = who_knew_most(&view->stored);
	return bkp_history_add(history, finding, err,
	    "%" PRIu64 " of the erasures that were recorded here are missing: "
	    "snapshot %.12s of %s knew of %" PRIu64 ", and there are %" PRIu64
	    "; %s",
	    known - listed, most->name, most->snapshot.host, known, listed,
	    advice);
}

/* Entries are never removed, so that a listing which is made after the
 * snapshots were read has all that they knew. */
int
bkp_history_compare_erasures(const struct bkp_history_view *view,
    struct bkp_history *history, struct bkp_error *err)
{
	uint64_t known = bkp_erasures_expected(&view->stored), listed;

	if (view->remembered.erasures > known)
		known = view->remembered.erasures;
	if (bkp_erasures_count(
		view->repository, known, &listed, &history->erasures, err) < 0)
		return -1;
	return listed >= known ? 0 : tell(view, known, listed, history, err);
}
