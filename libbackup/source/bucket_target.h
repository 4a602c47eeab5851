/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_TARGET_H
#define LIBBACKUP_SOURCE_BUCKET_TARGET_H

/*
 * A bucket that objects go back into: what is asked before and looked at
 * afterwards (bucket_target.c), and the objects on their way
 * (bucket_target_put.c).
 */

#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_lineage.h"
#include "libbackup/source/bucket_walk.h"

struct bkp_bucket_target {
	struct bkp_target base;
	const struct bkp_bucket_config *config; /* borrowed */
	struct bkp_target_options options;      /* strings borrowed */
	const char *bucket; /* borrowed: where the objects go */
	struct bkp_bucket_access access;
	bool exists;   /* the bucket was there at check */
	bool can_lock; /* and has object lock, which was asked for */
	enum bkp_bucket_lineage_mode lineage; /* what becomes of versions */

	/* while it runs */
	struct bkp_supply *supply;
	struct bkp_bucket_walk walk;
	char **left_out; /* paths of what was not put, in order; owned */
	size_t left_count, left_cap;
	uint64_t put, there, refused; /* objects; there: already */
	uint64_t hidden;              /* that were put and are not listed */
	bool is_version_told;
};

/* Puts the supply's objects into the bucket, which is there by now, in order;
 * existed: some of them may be there already. What is not put is noted, and
 * its path is in left_out. */
int bkp_bucket_target_put(
    struct bkp_bucket_target *target, bool existed, struct bkp_error *err);

/* The same of every version. */
int bkp_bucket_target_put_versions(
    struct bkp_bucket_target *target, bool existed, struct bkp_error *err);

#endif
