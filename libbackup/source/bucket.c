/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_source.h"

/* Told in a snapshot, but another bucket gives its own. */
static const char *const ignored[] = {"etag_opaque", "last_modified",
    "storage_class", "version_id", "lock_mode", "lock_until", "legal_hold",
    NULL};

/* A bucket that encrypts makes ETags that tell nothing of the bytes, and of
 * parts; another one that does not, and holds the same, makes others. */
static const char *const if_both[] = {
    "etag", "part_size", "part_count", "part_sizes", NULL};

static const struct bkp_comparison comparisons[] = {
    {.entry_kind = BKP_BUCKET_OBJECT,
	.has_content_compared = true,
	.is_counted = true,
	.ignored = ignored,
	.if_both = if_both},
    {.entry_kind = BKP_BUCKET_VERSION,
	.has_content_compared = true,
	.is_counted = true,
	.ignored = ignored,
	.if_both = if_both},
    {.entry_kind = BKP_BUCKET_MARKER, .is_counted = true, .ignored = ignored},
    {.entry_kind = NULL},
};

const struct bkp_kind bkp_kind_bucket = {
    .kind = BKP_KIND_BUCKET,
    .name = "bucket",
    .source_open = bkp_bucket_source_open,
    .share = bkp_bucket_share,
    .target_open = bkp_bucket_target_open,
    .scratch_open = bkp_bucket_scratch_open,
    .comparisons = comparisons,
};

/* What a processor has to do for an object is a part of what there is to wait
 * for, the more so the farther away the server is. Each may have a body of
 * 16 MiB at hand. */
#define CONNECTIONS_PER_WORKER 4
#define CONNECTIONS_MAX 16

static unsigned
connection_count(unsigned workers)
{
	unsigned count = workers * CONNECTIONS_PER_WORKER;

	if (count > CONNECTIONS_MAX)
		count = CONNECTIONS_MAX;
	return count > workers ? count : workers;
}

int
bkp_bucket_access_open(struct bkp_bucket_access *access,
    const struct bkp_bucket_config *config, struct bkp_run *run,
    struct bkp_error *err)
{
	const struct bkp_s3_options options = bkp_s3_options_of(config);
	const struct bkp_cancel *cancel = bkp_run_cancel(run);
	unsigned count = connection_count(bkp_run_workers(run));

	access->connections =
	    bkp_alloc_array(count, sizeof(*access->connections), err);
	if (access->connections == NULL ||
	    bkp_slots_open(&access->slots, bkp_run_workers(run), err) < 0 ||
	    bkp_s3_new(&options, &access->s3, err) < 0 ||
	    bkp_s3_connect(access->s3, cancel, &access->own, err) < 0)
		goto fail;
	for (unsigned i = 0; i < BKP_BUCKET_LISTERS; i++)
		if (bkp_s3_connect(
			access->s3, cancel, &access->listers[i], err) < 0)
			goto fail;
	for (; access->count < count; access->count++)
		if (bkp_s3_connect(access->s3, cancel,
			&access->connections[access->count], err) < 0)
			goto fail;
	return 0;
fail:
	bkp_bucket_access_close(access);
	return -1;
}

void
bkp_bucket_access_close(struct bkp_bucket_access *access)
{
	for (unsigned i = 0; i < access->count; i++)
		bkp_s3_disconnect(access->connections[i]);
	free(access->connections);
	for (unsigned i = 0; i < BKP_BUCKET_LISTERS; i++)
		bkp_s3_disconnect(access->listers[i]);
	bkp_s3_disconnect(access->own);
	bkp_s3_free(access->s3);
	bkp_slots_close(&access->slots);
	*access = (struct bkp_bucket_access){.s3 = NULL};
}

static bool
is_about_object(const struct bkp_error *why)
{
	switch (why->code) {
	case BKP_AUTH:
		return why->sys == 401 || why->sys == 403 ||
		       why->sys == BKP_S3_LOCKED;
	case BKP_RETRY:
		return why->sys == 429 || why->sys >= 500;
	case BKP_UNSUPPORTED:
		return why->sys >= 400;
	default:
		return false;
	}
}

/* What is permitted for a prefix only, a question about the bucket as such is
 * not part of. */
static int
list_one(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, struct bkp_error *err)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	int rc = bkp_s3_list_open(connection, bucket, prefix, &listing, err);

	if (rc == 0)
		rc = bkp_s3_list_next(listing, &object, err);
	bkp_s3_list_close(listing);
	return rc < 0 ? -1 : 0;
}

int
bkp_bucket_is_there(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_s3_head_bucket(connection, bucket, &why) == 0)
		return 0;
	if (why.code == BKP_AUTH && why.sys == 403 && prefix != NULL &&
	    prefix[0] != '\0')
		return list_one(connection, bucket, prefix, err);
	if (err != NULL)
		*err = why;
	return -1;
}

bool
bkp_bucket_is_refused(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, const struct bkp_error *why)
{
	return is_about_object(why) &&
	       bkp_bucket_is_there(connection, bucket, prefix, NULL) == 0;
}

void
bkp_bucket_tell_clock(const struct bkp_bucket_access *access,
    struct bkp_run *run, const char *prefix)
{
	int64_t offset;

	if (access->s3 == NULL ||
	    (offset = bkp_s3_clock_offset(access->s3)) == 0)
		return;
	bkp_run_message(run, BKP_WARNING, prefix,
	    "%s refused this machine's time, which is %lld seconds %s its "
	    "own; its own was used: set this machine's clock",
	    bkp_s3_endpoint(access->s3),
	    (long long)(offset < 0 ? -offset : offset),
	    offset < 0 ? "ahead of" : "behind");
}
