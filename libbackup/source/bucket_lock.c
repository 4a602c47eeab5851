/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

/* Whether versions can have locks at all: asked once, but for workers that ask
 * at the same time. */
static int
look_at_rule(struct bkp_s3_connection *connection,
    struct bkp_bucket_origin *origin, int *locking, struct bkp_error *err)
{
	struct bkp_s3_lock_rule rule;
	struct bkp_error why = BKP_ERROR_INIT;

	*locking = atomic_load(&origin->locking);
	if (*locking != BKP_BUCKET_LOCKING_UNKNOWN)
		return 0;
	if (bkp_s3_get_lock_rule(
		connection, origin->config->bucket, &rule, &why) == 0) {
		*locking = rule.is_enabled ? BKP_BUCKET_LOCKING_ON
					   : BKP_BUCKET_LOCKING_OFF;
	} else if (why.code == BKP_AUTH || why.code == BKP_NOTFOUND ||
		   why.code == BKP_INVALID || why.code == BKP_UNSUPPORTED) {
		/* Servers that tell locks in headers leave them out, too; and
		 * the object is there, whatever is not. */
		*locking = BKP_BUCKET_LOCKING_OFF;
	} else {
		if (err != NULL)
			*err = why;
		return -1;
	}
	atomic_store(&origin->locking, *locking);
	return 0;
}

int
bkp_bucket_read_lock(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, json_t *attrs,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_s3_lock lock;

	if (bkp_s3_get_lock(connection, bucket, key, version_id, &lock, &why) ==
	    0)
		return bkp_bucket_attrs_add_lock(attrs, &lock, err);
	if (why.code == BKP_AUTH)
		return 0;
	if (err != NULL)
		*err = why;
	return -1;
}

int
bkp_bucket_ask_lock(struct bkp_s3_connection *connection,
    struct bkp_bucket_origin *origin, const struct bkp_bucket_item *item,
    json_t *attrs, struct bkp_error *err)
{
	struct bkp_s3_lock lock;
	int locking;

	if (item->version_id == NULL ||
	    !bkp_s3_is_time_ordered(item->version_id) ||
	    bkp_bucket_attrs_lock(attrs, &lock))
		return 0;
	if (look_at_rule(connection, origin, &locking, err) < 0)
		return -1;
	if (locking == BKP_BUCKET_LOCKING_OFF)
		return 0;
	return bkp_bucket_read_lock(connection, origin->config->bucket,
	    item->key, item->version_id, attrs, err);
}
