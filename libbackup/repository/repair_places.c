/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that lie under a wrong name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repair.h"

/* What lay under the wrong name has been put back, or is there besides: then
 * the wrong name holds nothing of its own. Whether something is missed that
 * had this name is told by what names it. */
int
bkp_repair_places(struct bkp_repair *repair, struct bkp_error *err)
{
	struct bkp_checker *checker = repair->checker;

	for (size_t i = 0; i < checker->misplaced_count; i++) {
		const struct bkp_misplaced *item = &checker->misplaced[i];

		if (item->is_there)
			continue;
		if (repair->presence != NULL &&
		    bkp_repair_copy(repair, item->wrong, item->right, err) < 0)
			return -1;
		if (bkp_repair_did(repair, item->right, err,
			"put back from %s, which holds its bytes",
			item->wrong) < 0)
			return -1;
	}
	return 0;
}
