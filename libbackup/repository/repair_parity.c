/* SPDX-License-Identifier: Apache-2.0 */
/* The first thing that is tried: the error correction that is stored beside an
 * object gives it back as it was. */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repair.h"
#include "libbackup/store/store_parity.h"

/* An object that there is no parity for, or too little, is for the others to
 * repair. */
static bool
is_for_others(const struct bkp_error *err)
{
	return err->code == BKP_NOTFOUND || err->code == BKP_CORRUPT ||
	       err->code == BKP_UNSUPPORTED;
}

/* Of config the error correction alone tells what it should be, so it is not
 * asked: there is a copy, which a repair of keys takes. */
static int
try_config(struct bkp_repair *repair, enum bkp_parity_outcome *outcome,
    struct bkp_error *err)
{
	struct bkp_repository *repository = repair->checker->repository;
	struct bkp_error problem = BKP_ERROR_INIT;
	unsigned char digest[32];

	*outcome = BKP_PARITY_FINE;
	if (!bkp_check_config_digest(repository, digest) ||
	    bkp_parity_check(repository->store, "config", digest, &problem) ==
		0)
		return 0;
	if (problem.code != BKP_CORRUPT) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	*outcome = BKP_PARITY_REMADE;
	return bkp_parity_renew(repository->store, "config", err);
}

static int
mend(struct bkp_repair *repair, const char *object, struct bkp_error *err)
{
	struct bkp_store *store = repair->checker->repository->store;
	struct bkp_error problem = BKP_ERROR_INIT;
	enum bkp_parity_outcome outcome;
	char path[BKP_PARITY_NAME];
	int rc;

	if (bkp_presence_check(repair->presence, err) < 0)
		return -1;
	if (strcmp(object, "config") == 0)
		rc = try_config(repair, &outcome, &problem);
	else
		rc = bkp_parity_repair(store, object, &outcome, &problem);
	if (rc == 0 && outcome == BKP_PARITY_FINE)
		return 0;
	if (rc == 0 && outcome == BKP_PARITY_REPAIRED)
		return bkp_repair_did(
		    repair, object, err, "made good by its error correction");
	if (rc == 0)
		return bkp_parity_name_of(object, path)
			   ? bkp_repair_did(
				 repair, path, err, "made anew from its object")
			   : 0;
	if (is_for_others(&problem))
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* Is of no use where nobody misses its object. */
static bool
is_missed(const struct bkp_repair *repair, const char *name)
{
	const struct bkp_finding_list *findings = &repair->checker->findings;

	for (size_t i = 0; i < findings->count; i++) {
		if (findings->items[i].level == BKP_FINDING_DAMAGE &&
		    strcmp(findings->items[i].object, name) == 0)
			return true;
	}
	return false;
}

static int
put_away(struct bkp_repair *repair, const struct bkp_finding_item *item,
    struct bkp_error *err)
{
	const char *name = item->object + strlen(BKP_PARITY_FOLDER);
	bool is_snapshot = item->level == BKP_FINDING_WARNING;
	struct bkp_store_object found;

	if (is_missed(repair, name) || (is_snapshot && !repair->accepts_loss) ||
	    bkp_store_stat(
		repair->checker->repository->store, name, &found, NULL) == 0)
		return 0;
	if (repair->presence != NULL &&
	    bkp_repair_set_aside(repair, item->object, err) < 0)
		return -1;
	return bkp_repair_did(repair, item->object, err,
	    "taken away, for its object is gone; it is kept "
	    "as " BKP_DAMAGED_FOLDER "/%s",
	    item->object);
}

static int
plan(struct bkp_repair *repair, const char *object, bool is_damaged_parity,
    struct bkp_error *err)
{
	struct bkp_store *store = repair->checker->repository->store;
	struct bkp_store_object found;
	char path[BKP_PARITY_NAME];

	if (!bkp_parity_name_of(object, path) ||
	    bkp_store_stat(store, path, &found, NULL) < 0)
		return 0;
	if (is_damaged_parity)
		return bkp_repair_note(repair, BKP_REPAIR_PLANNED, path, err,
		    "made anew, where its object is good");
	return bkp_repair_note(repair, BKP_REPAIR_PLANNED, object, err,
	    "its error correction is tried first");
}

static bool
is_kind(const struct bkp_finding_item *item, const char *kind)
{
	return strcmp(item->kind, kind) == 0;
}

/* The object that a finding is about, or whose error correction it is about. */
static int
see_to(struct bkp_repair *repair, const struct bkp_finding_item *item,
    struct bkp_error *err)
{
	const char *object = item->object;
	bool is_parity =
	    is_kind(item, "parity-damaged") || is_kind(item, "parity-left");
	size_t before = repair->done;

	if (is_parity)
		object += strlen(BKP_PARITY_FOLDER);
	if (!bkp_store_is_name(object) || is_kind(item, "parity-missing") ||
	    is_kind(item, BKP_FINDING_NEWER) || is_kind(item, "stranger"))
		return 0;
	/* What a prune removed is not to come back. */
	if (is_kind(item, "parity-left") && item->level == BKP_FINDING_NOTE)
		return put_away(repair, item, err);
	if (repair->presence == NULL)
		return plan(repair, object, is_parity, err);
	if (mend(repair, object, err) < 0)
		return -1;
	if (!is_kind(item, "parity-left") || repair->done > before)
		return 0;
	return put_away(repair, item, err);
}

int
bkp_repair_parity(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_finding_list *findings = &repair->checker->findings;

	for (size_t i = 0; i < findings->count; i++) {
		if (see_to(repair, &findings->items[i], err) < 0)
			return -1;
	}
	return 0;
}
