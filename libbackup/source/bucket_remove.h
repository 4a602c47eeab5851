/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_REMOVE_H
#define LIBBACKUP_SOURCE_BUCKET_REMOVE_H

/* Taking back what a restore has put. */

#include "libbackup/s3/s3.h"
#include "libbackup/source/source.h"

/* Borrowed, all of it. */
struct bkp_bucket_removal {
	struct bkp_s3_connection *connection;
	const char *bucket;
	struct bkp_supply *supply;
	/* Every version was put; of the keys that the snapshot has, every one
	 * goes. */
	bool has_versions;
	bool *is_version_told;
};

/* As the member `remove` of a target. */
int bkp_bucket_remove(const struct bkp_bucket_removal *removal,
    const char *name, bool is_prefix, uint64_t *removed, struct bkp_error *err);

/* Deletes every version of a key, or of all keys that begin so, for good. Adds
 * the keys to *removed. kept: as of bkp_s3_delete_versions. */
int bkp_bucket_remove_versions(struct bkp_s3_connection *connection,
    const char *bucket, const char *name, bool is_prefix, bkp_s3_kept_fn *kept,
    void *arg, uint64_t *removed, struct bkp_error *err);

#endif
