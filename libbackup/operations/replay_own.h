/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPLAY_OWN_H
#define LIBBACKUP_OPERATIONS_REPLAY_OWN_H

/* What the parts of a replay share. */

#include "libbackup/operations/replay.h"
#include "libbackup/repository/erasures.h"

/* An entry, opened. */
struct bkp_replay_known {
	bool is_open;
	unsigned char key[FMT_ERASURE_KEY];
	size_t map; /* of the replay's */
};

struct bkp_replay {
	const struct bkp_opened *opened;
	struct bkp_run *run;
	struct bkp_erasures erasures;
	struct bkp_replay_known *known; /* owned: as many */
	struct bkp_map *maps;           /* owned; no two of one digest */
	size_t map_count, map_cap;
	struct bkp_map instead; /* of theirs, where it has a path */
};

/* Opens an entry and takes its map in. */
int bkp_replay_know(
    struct bkp_replay *replay, size_t entry, struct bkp_error *err);

/* Whether an entry is about a database, and later than what was backed up. */
bool bkp_replay_concerns(const struct bkp_replay *replay, size_t entry,
    const struct fmt_snapshot_source *source, const char *database);

#endif
