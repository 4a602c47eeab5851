/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/reserve.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

int
bkp_reserve_keep(struct bkp_store *store, struct bkp_error *err)
{
	struct bkp_store_object object;
	unsigned char *bytes;
	int rc = -1;

	if (bkp_store_is_bucket(store->location) ||
	    (bkp_store_stat(store, BKP_RESERVE, &object, NULL) == 0 &&
		object.size == BKP_RESERVE_SIZE))
		return 0;
	bytes = bkp_alloc(BKP_RESERVE_SIZE, err);
	if (bytes == NULL)
		return -1;
	if (RAND_bytes(bytes, (int)BKP_RESERVE_SIZE) != 1)
		(void)bkp_fail(err, BKP_IO, "making random bytes failed");
	else
		rc = bkp_store_put(
		    store, BKP_RESERVE, bytes, BKP_RESERVE_SIZE, err);
	free(bytes);
	return rc;
}

bool
bkp_reserve_is_full(const struct bkp_error *err)
{
	return err->code == BKP_IO &&
	       (err->sys == ENOSPC || err->sys == EDQUOT);
}

bool
bkp_reserve_release(struct bkp_store *store, struct bkp_error *err)
{
	if (!bkp_reserve_is_full(err))
		return false;
	if (bkp_store_remove(store, BKP_RESERVE, NULL) == 0) {
		*err = (struct bkp_error)BKP_ERROR_INIT;
		return true;
	}
	(void)bkp_fail_in(err,
	    "a prune needs some room before it may delete anything, and none "
	    "was kept back; make room for %u MiB on that disk, then run it "
	    "again with --grace 0",
	    (unsigned)(4 * BKP_RESERVE_SIZE >> 20));
	return false;
}
