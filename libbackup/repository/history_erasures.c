/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of erasures against what snapshots knew of it. */
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

/* Entries are never removed, so that a listing which is made after the
 * snapshots were read has all that they knew. */
int
bkp_history_compare_erasures(const struct bkp_history_view *view,
    struct bkp_history *history, struct bkp_error *err)
{
	const struct bkp_history_finding finding = {
	    .kind = BKP_HISTORY_ERASURES,
	    .code = BKP_CORRUPT,
	};
	const struct bkp_named_snapshot *most;
	uint64_t listed, expected;

	if (bkp_erasures_count(
		view->repository, &view->stored, &listed, &expected, err) < 0)
		return -1;
	history->erasures = expected;
	if (listed >= expected)
		return 0;
	most = who_knew_most(&view->stored);
	return bkp_history_add(history, finding, err,
	    "%" PRIu64 " of the erasures that were recorded here are missing: "
	    "snapshot %.12s of %s knew of %" PRIu64 ", and there are %" PRIu64
	    "; a restore would bring back whom they were about: bring the "
	    "folder erasures/ back from a copy of the repository, or record "
	    "them once more with backup-export forget",
	    expected - listed, most->name, most->snapshot.host, expected,
	    listed);
}
