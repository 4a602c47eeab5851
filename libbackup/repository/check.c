/* SPDX-License-Identifier: Apache-2.0 */
/* A check from its beginning to what is known at its end. */
#include <stdlib.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"

void
bkp_checker_init(struct bkp_checker *checker, struct bkp_repository *repository,
    struct bkp_run *run)
{
	*checker = (struct bkp_checker){
	    .repository = repository,
	    .run = run,
	    .history = BKP_HISTORY_INIT,
	};
	bkp_known_set_init(&checker->bad_chunks);
}

void
bkp_checker_free(struct bkp_checker *checker)
{
	bkp_finding_list_free(&checker->findings);
	bkp_history_free(&checker->history);
	bkp_known_set_free(&checker->bad_chunks);
	free(checker->packs.items);
	free(checker->covered.items);
	free(checker->earlier.items);
	free(checker->misplaced);
}

/* ---- what is no damage ---- */

/* What hurts nobody is no damage, as where a pack is gone that nobody needs.
 * But that one nobody builds upon, and this one is there. */
static int
note_unneeded(struct bkp_checker *checker, const struct bkp_check_pack *pack,
    struct bkp_error *err)
{
	if (pack->finding == 0 || !pack->is_stored ||
	    checker->findings.items[pack->finding - 1].hurt_total > 0)
		return 0;
	return bkp_finding_append(&checker->findings, pack->finding, err, "%s",
	    pack->is_indexed
		? "; no snapshot that can be read needs it, or what it holds "
		  "is elsewhere, too, but a backup might build upon it: "
		  "backup-check --repair puts it aside"
		: "; no index object names it and no snapshot that can be read "
		  "needs it: backup-prune takes it away");
}

static int
note_packs(struct bkp_checker *checker, struct bkp_error *err)
{
	const struct bkp_check_packs *packs = &checker->packs;
	size_t ghosts = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < packs->count; i++) {
		const struct bkp_check_pack *pack = &packs->items[i];

		if (pack->is_stored && !pack->is_indexed) {
			bytes += pack->stored_size;
		}
		ghosts += !pack->is_stored && !pack->is_needed;
		if (note_unneeded(checker, pack, err) < 0)
			return -1;
	}
	if (packs->orphans > 0 &&
	    bkp_finding_add(&checker->findings, NULL, BKP_FINDING_NOTE,
		"orphans", "packs/", err,
		"%s with %llu bytes %s in no index object; a backup "
		"that goes on, or one that was cut off, leaves such, and "
		"backup-prune removes them",
		bkp_counted(packs->orphans, "pack").text,
		(unsigned long long)bytes, bkp_are(packs->orphans)) < 0)
		return -1;
	if (ghosts == 0)
		return 0;
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_NOTE,
	    "ghosts", "index/", err,
	    "the index names %s that %s not there, and no snapshot needs %s",
	    bkp_counted(ghosts, "pack").text, bkp_are(ghosts),
	    ghosts == 1 ? "it" : "them");
}

struct kept {
	size_t count;
	uint64_t bytes;
};

static int
count_kept(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct kept *kept = arg;

	(void)err;
	kept->count++;
	kept->bytes += object->size;
	return 0;
}

static int
note_kept(struct bkp_checker *checker, struct bkp_error *err)
{
	struct kept kept = {0, 0};

	if (bkp_store_list(checker->repository->store, BKP_DAMAGED_FOLDER "/",
		count_kept, &kept, err) < 0)
		return -1;
	if (kept.count == 0)
		return 0;
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_NOTE,
	    "kept", BKP_DAMAGED_FOLDER "/", err,
	    "%s with %llu bytes %s kept from repairs; the "
	    "folder may be deleted when everything that can be had back is "
	    "back",
	    bkp_counted(kept.count, "damaged object").text,
	    (unsigned long long)kept.bytes, bkp_are(kept.count));
}

int
bkp_check_sum_up(struct bkp_checker *checker, struct bkp_error *err)
{
	if (checker->history.snapshots.count == 0 &&
	    bkp_finding_add(&checker->findings, NULL, BKP_FINDING_WARNING,
		bkp_history_kind_name(BKP_HISTORY_NONE), "snapshots/", err,
		"%s",
		bkp_history_none(checker->repository->index.count > 0)) < 0)
		return -1;
	if (note_kept(checker, err) < 0 ||
	    bkp_check_more_strangers(checker, err) < 0)
		return -1;
	return note_packs(checker, err);
}

/* ---- the story ---- */

int
bkp_checker_run(struct bkp_checker *checker, struct bkp_error *err)
{
	bkp_run_phase(checker->run, 0, 0, "checking what lies beside packs");
	if (bkp_check_strays(checker, err) < 0 ||
	    bkp_check_sessions(checker, err) < 0 ||
	    bkp_check_objects(checker, err) < 0 ||
	    bkp_check_snapshots(checker, err) < 0 ||
	    bkp_check_index(checker, err) < 0 ||
	    bkp_check_list_packs(checker, err) < 0 ||
	    bkp_check_parity(checker, err) < 0 ||
	    bkp_check_read_packs(checker, err) < 0 ||
	    bkp_check_salvage(checker, err) < 0 ||
	    bkp_check_walk(checker, err) < 0)
		return -1;
	return bkp_check_sum_up(checker, err);
}
