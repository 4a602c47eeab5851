/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of buckets as they are. */
#include "libbackup/subject/objects.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

struct live {
	struct bkp_objects base;
	const struct bkp_config *config;
	struct bkp_run *run;
	const struct bkp_bucket_config *bucket; /* that access is open for */
	struct bkp_bucket_access access;
};

/* Opens the bucket of this name, unless it is the one that is open. */
static int
turn_to(struct bkp_objects *base, const char *name, struct bkp_error *err)
{
	struct live *live = (struct live *)base;
	const struct bkp_config *config = live->config;
	const struct bkp_bucket_config *found = NULL;

	for (size_t i = 0; i < config->source_count; i++)
		if (config->sources[i].kind == BKP_KIND_BUCKET &&
		    strcmp(config->sources[i].name, name) == 0)
			found = &config->sources[i].bucket;
	if (found == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the map names files in bucket '%s', and the configuration "
		    "has no bucket source of that name; add one, or export "
		    "with --no-files",
		    name);
	if (found == live->bucket)
		return 0;
	if (live->bucket != NULL)
		bkp_bucket_access_close(&live->access);
	live->bucket = NULL;
	if (bkp_bucket_access_open(&live->access, found, live->run, err) < 0)
		return -1;
	live->bucket = found;
	return 0;
}

/* ---- an object ---- */

struct fetching {
	const struct bkp_objects_taker *taker;
	struct bkp_error failure; /* of the taker */
	bool has_failed;
};

/* "Sat, 21 Nov 2026 07:00:00 GMT" as RFC 3339; NULL where it is no time. */
static const char *
read_time(const char *header, char text[32])
{
	time_t when = header != NULL ? curl_getdate(header, NULL) : -1;
	struct tm tm;

	if (when == -1 || gmtime_r(&when, &tm) == NULL ||
	    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return NULL;
	return text;
}

/* What the taker refuses is no problem of the object. */
static int
note(struct fetching *fetching, int rc, struct bkp_error *err)
{
	if (rc == 0)
		return 0;
	fetching->has_failed = true;
	if (err != NULL)
		*err = fetching->failure;
	return -1;
}

static int
begin_object(
    void *arg, const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	struct fetching *fetching = arg;
	char text[32];

	return note(fetching,
	    fetching->taker->begin(fetching->taker->arg,
		bkp_s3_fields_get(headers, "content-type"),
		read_time(bkp_s3_fields_get(headers, "last-modified"), text),
		&fetching->failure),
	    err);
}

static int
write_object(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct fetching *fetching = arg;

	return note(fetching,
	    fetching->taker->write(
		fetching->taker->arg, data, len, &fetching->failure),
	    err);
}

static int
get(struct bkp_objects *base, const char *key,
    const struct bkp_objects_taker *taker, struct bkp_error *problem,
    struct bkp_error *err)
{
	struct live *live = (struct live *)base;
	struct fetching fetching = {.taker = taker, .failure = BKP_ERROR_INIT};
	const struct bkp_s3_get_options options = {
	    .begin = begin_object, .write = write_object, .arg = &fetching};

	if (bkp_s3_get(live->access.own, live->bucket->bucket, key, &options,
		problem) == 0)
		return 0;
	if (fetching.has_failed) {
		if (err != NULL)
			*err = fetching.failure;
		return -1;
	}
	return bkp_run_check(live->run, err) < 0 ? -1 : 1;
}

/* ---- a listing ---- */

static int
list(struct bkp_objects *base, const char *prefix, bkp_objects_key_fn *each,
    void *arg, struct bkp_error *problem, struct bkp_error *err)
{
	struct live *live = (struct live *)base;
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	int got = bkp_s3_list_open(
	    live->access.own, live->bucket->bucket, prefix, &listing, problem);

	while (got >= 0 &&
	       (got = bkp_s3_list_next(listing, &object, problem)) == 1)
		if (each(arg, object.key, err) < 0) {
			bkp_s3_list_close(listing);
			return -1;
		}
	bkp_s3_list_close(listing);
	if (got == 0)
		return 0;
	return bkp_run_check(live->run, err) < 0 ? -1 : 1;
}

static void
close_live(struct bkp_objects *base)
{
	struct live *live = (struct live *)base;

	if (live->bucket != NULL)
		bkp_bucket_access_close(&live->access);
	free(live);
}

static const struct bkp_objects_ops live_ops = {
    .turn_to = turn_to, .get = get, .list = list, .close = close_live};

int
bkp_objects_live(const struct bkp_config *config, struct bkp_run *run,
    struct bkp_objects **out, struct bkp_error *err)
{
	struct live *live = bkp_alloc(sizeof(*live), err);

	if (live == NULL)
		return -1;
	live->base.ops = &live_ops;
	live->config = config;
	live->run = run;
	*out = &live->base;
	return 0;
}
