/* SPDX-License-Identifier: Apache-2.0 */
/* What is left over once packs and index have been seen to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repair.h"

static bool
is_kind(const struct bkp_finding_item *item, const char *kind)
{
	return strcmp(item->kind, kind) == 0;
}

/* An index object that cannot be read and is missed by nobody: what snapshots
 * need is known without it. */
static int
drop_index(struct bkp_repair *repair, const struct bkp_finding_item *item,
    struct bkp_error *err)
{
	if (item->hurt_total > 0)
		return 0;
	if (repair->presence != NULL &&
	    bkp_repair_set_aside(repair, item->object, err) < 0)
		return -1;
	return bkp_repair_did(repair, item->object, err,
	    "taken away, for nobody misses what it knew; it is kept "
	    "as " BKP_DAMAGED_FOLDER "/%s",
	    item->object);
}

/* A list that nobody can read condemns nothing. */
static int
drop_condemned(struct bkp_repair *repair, const struct bkp_finding_item *item,
    struct bkp_error *err)
{
	if (repair->presence != NULL &&
	    bkp_repair_set_aside(repair, item->object, err) < 0)
		return -1;
	return bkp_repair_did(repair, item->object, err,
	    "taken away, for nobody can act on it; backup-prune makes "
	    "another; it is kept as " BKP_DAMAGED_FOLDER "/%s",
	    item->object);
}

int
bkp_repair_rest(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_finding_list *findings = &repair->checker->findings;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < findings->count; i++) {
		const struct bkp_finding_item *item = &findings->items[i];

		if (is_kind(item, "index-damaged"))
			rc = drop_index(repair, item, err);
		else if (is_kind(item, "condemned-damaged"))
			rc = drop_condemned(repair, item, err);
	}
	return rc;
}
