/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_lineage.h"
#include "libbackup/source/bucket_remove.h"

#define BATCH 1000

/* A bucket of a random name beside the real one. */
struct bucket_scratch {
	struct bkp_scratch base;
	struct bkp_bucket_access access;
	bool has_versions; /* what is deleted from it must be so for good */
};

/* Deletes what one page of a listing names. 1: there may be more. */
static int
delete_page(struct bkp_s3_connection *connection, const char *bucket)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	char *keys[BATCH];
	size_t count = 0;
	int rc;

	if (bkp_s3_list_open(connection, bucket, NULL, &listing, NULL) < 0)
		return -1;
	while (count < BATCH &&
	       (rc = bkp_s3_list_next(listing, &object, NULL)) == 1) {
		if ((keys[count] = strdup(object.key)) == NULL) {
			rc = -1;
			break;
		}
		count++;
	}
	bkp_s3_list_close(listing);
	if (count > 0)
		rc = bkp_s3_delete_many(
			 connection, bucket, keys, count, NULL) == 0
			 ? 1
			 : -1;
	for (size_t i = 0; i < count; i++)
		free(keys[i]);
	return rc;
}

/* Also where the run was cancelled: so with a connection of its own. */
static void
remove_bucket(struct bucket_scratch *scratch)
{
	const char *bucket = scratch->base.place.bucket.bucket;
	struct bkp_s3_connection *connection = NULL;

	if (bkp_s3_connect(scratch->access.s3, NULL, &connection, NULL) < 0)
		return;
	if (scratch->has_versions) {
		uint64_t removed = 0;

		(void)bkp_bucket_remove_versions(
		    connection, bucket, "", true, NULL, NULL, &removed, NULL);
	}
	while (delete_page(connection, bucket) == 1)
		;
	(void)bkp_s3_delete_bucket(connection, bucket, NULL);
	bkp_s3_disconnect(connection);
}

static void
close_scratch(struct bkp_scratch *base)
{
	struct bucket_scratch *scratch = (struct bucket_scratch *)base;

	remove_bucket(scratch);
	bkp_bucket_access_close(&scratch->access);
	bkp_source_config_free(&base->place);
	free(scratch);
}

static const struct bkp_scratch_ops scratch_ops = {.close = close_scratch};

static int
name_bucket(struct bkp_bucket_config *config, struct bkp_error *err)
{
	unsigned long long random;
	char *name;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return bkp_fail_errno(err, errno, "naming a scratch bucket");
	if ((name = bkp_format(err, "verify-%016llx", random)) == NULL)
		return -1;
	free(config->bucket);
	config->bucket = name;
	return 0;
}

static int
make_bucket(struct bucket_scratch *scratch, struct bkp_error *err)
{
	struct bkp_s3_connection *connection = scratch->access.own;
	const char *bucket = scratch->base.place.bucket.bucket;

	if (bkp_s3_create_bucket(connection, bucket, err) < 0)
		return -1;
	if (!scratch->has_versions || bkp_s3_set_versioning(connection, bucket,
					  BKP_S3_VERSIONING_ON, err) == 0)
		return 0;
	(void)bkp_s3_delete_bucket(connection, bucket, NULL);
	return -1;
}

int
bkp_bucket_scratch_open(const struct bkp_source_config *config,
    const json_t *info, const char *directory, struct bkp_run *run,
    struct bkp_scratch **out, struct bkp_error *err)
{
	struct bucket_scratch *scratch;

	(void)directory;
	/* Nobody's bucket is made where nobody asked for it. */
	*out = NULL;
	if (!config->bucket.has_scratch_bucket)
		return 0;
	if ((scratch = bkp_alloc(sizeof(*scratch), err)) == NULL)
		return -1;
	scratch->base.ops = &scratch_ops;
	scratch->has_versions = bkp_bucket_lineage_is_told(info);
	if (bkp_source_config_copy(config, &scratch->base.place, err) < 0) {
		free(scratch);
		return -1;
	}
	if (name_bucket(&scratch->base.place.bucket, err) < 0 ||
	    bkp_bucket_access_open(
		&scratch->access, &scratch->base.place.bucket, run, err) < 0 ||
	    make_bucket(scratch, err) < 0) {
		bkp_bucket_access_close(&scratch->access);
		bkp_source_config_free(&scratch->base.place);
		free(scratch);
		return bkp_fail_in(
		    err, "making a scratch bucket for %s", config->prefix);
	}
	*out = &scratch->base;
	return 0;
}
