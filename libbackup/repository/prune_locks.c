/* SPDX-License-Identifier: Apache-2.0 */
/* Object locks: what is needed stays locked, whether or not anything can be
 * pruned. */
#include <string.h>

#include "formats/sign.h"
#include "libbackup/repository/prune_own.h"
#include "libbackup/repository/repository_impl.h"

/* A pack that a backup under way has built upon is needed all the same; and of
 * which that is so, nobody knows where something is missing. */
static bool
is_condemned(void *arg, const char *name)
{
	const struct bkp_survey *survey = arg;
	const struct bkp_reach_pack *used;
	unsigned char pack[32];

	if (strncmp(name, "parity/", 7) == 0)
		name += 7;
	if (strncmp(name, "packs/", 6) != 0 || strlen(name) != 73 ||
	    fmt_unhex(name + 9, pack, sizeof(pack)) != FMT_OK ||
	    !bkp_condemned_has(&survey->condemned, pack))
		return false;
	used = bkp_survey_find(survey, pack);
	return survey->missing == 0 && (used == NULL || used->used_chunks == 0);
}

static bool
is_nothing_condemned(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return false;
}

/* What was removed goes for good only where all is there that should be: it may
 * be somebody else who removed it. And not what this run removed: until the
 * next one has looked, nothing is lost by a mistake. */
int
bkp_prune_tend(struct bkp_repository *repository, struct bkp_survey *survey,
    int64_t began_us, const struct bkp_prune_limits *limits,
    struct bkp_store_tended *out, const struct bkp_cancel *cancel,
    struct bkp_error *err)
{
	const struct bkp_store_tending tending = {
	    .is_condemned = is_condemned,
	    .arg = survey,
	    .may_purge = survey->missing == 0 && !limits->is_acknowledged,
	    .before_us = began_us,
	    .cancel = cancel,
	    .fault = limits->lock_fault,
	    .fault_arg = limits->lock_fault_arg,
	};

	return bkp_store_tend(repository->store, &tending, out, err);
}

int
bkp_prune_keep_locks(struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, bool keeps_removed,
    struct bkp_store_tended *out, const struct bkp_cancel *cancel,
    struct bkp_error *err)
{
	const struct bkp_store_tending tending = {
	    .is_condemned = is_nothing_condemned,
	    .keeps_removed = keeps_removed,
	    .cancel = cancel,
	    .fault = limits->lock_fault,
	    .fault_arg = limits->lock_fault_arg,
	};

	return bkp_store_tend(repository->store, &tending, out, err);
}
