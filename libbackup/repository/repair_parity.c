/* SPDX-License-Identifier: Apache-2.0 */
/* The first thing that is tried: the error correction that is stored beside an
 * object gives it back as it was. */
#include <stdio.h>

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

static int
mend(struct bkp_repair *repair, const char *object, struct bkp_error *err)
{
	struct bkp_store *store = repair->checker->repository->store;
	struct bkp_error problem = BKP_ERROR_INIT;
	enum bkp_parity_outcome outcome;

	if (bkp_presence_check(repair->presence, err) < 0)
		return -1;
	if (bkp_parity_repair(store, object, &outcome, &problem) == 0) {
		if (outcome != BKP_PARITY_REPAIRED)
			return 0;
		return bkp_repair_did(
		    repair, object, err, "made good by its error correction");
	}
	if (is_for_others(&problem))
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
plan(struct bkp_repair *repair, const char *object, struct bkp_error *err)
{
	struct bkp_store *store = repair->checker->repository->store;
	struct bkp_store_object found;
	char name[200];

	if (snprintf(name, sizeof(name), "parity/%s", object) >=
		(int)sizeof(name) ||
	    bkp_store_stat(store, name, &found, NULL) < 0)
		return 0;
	return bkp_repair_note(repair, BKP_REPAIR_PLANNED, object, err,
	    "its error correction is tried first");
}

int
bkp_repair_parity(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_finding_list *findings = &repair->checker->findings;

	for (size_t i = 0; i < findings->count; i++) {
		const char *object = findings->items[i].object;
		int rc;

		if (object == NULL || !bkp_store_is_name(object))
			continue;
		rc = repair->presence != NULL ? mend(repair, object, err)
					      : plan(repair, object, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}
