/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_moment.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"

#define SECOND 1000000

/* A second turns within 50 of these pauses, but for those that a busy machine
 * makes longer. */
#define PAUSE_NS (20 * 1000000L)
#define QUESTIONS_MAX 75

/* As many dates tell whether all of them are of whole seconds. */
#define DATES 1000

/* As many objects tell whether versions may be read. */
#define TRIED 3

/* ---- the server's clock ---- */

void
bkp_bucket_clock_take(struct bkp_bucket_clock *clock, int64_t asked,
    int64_t answered, const struct bkp_s3_time *time, bool is_first)
{
	int64_t min = time->from - answered;
	int64_t max = time->to - asked;

	clock->looked_at = answered;
	if (is_first) {
		clock->ahead_min = min;
		clock->ahead_max = max;
	} else if (max < clock->ahead_min || min > clock->ahead_max) {
		/* Servers with different clocks, or one that was set. */
		clock->ahead_min =
		    min < clock->ahead_min ? min : clock->ahead_min;
		clock->ahead_max =
		    max > clock->ahead_max ? max : clock->ahead_max;
	} else {
		if (min > clock->ahead_min)
			clock->ahead_min = min;
		if (max < clock->ahead_max)
			clock->ahead_max = max;
	}
}

static int
ask_time(struct bkp_s3_connection *connection, const char *bucket,
    const struct bkp_run *run, struct bkp_bucket_clock *clock,
    struct bkp_error *err)
{
	const struct timespec pause = {.tv_sec = 0, .tv_nsec = PAUSE_NS};
	struct bkp_s3_time time = {0, 0};
	int64_t first = 0;

	for (int i = 0; i < QUESTIONS_MAX && time.from == first; i++) {
		int64_t asked, answered;

		if (i > 0)
			(void)nanosleep(&pause, NULL);
		if (bkp_run_check(run, err) < 0)
			return -1;
		asked = bkp_run_clock_us();
		if (bkp_s3_get_time(connection, bucket, &time, err) < 0)
			return -1;
		answered = bkp_run_clock_us();
		bkp_bucket_clock_take(clock, asked, answered, &time, i == 0);
		if (i == 0)
			first = time.from;
	}
	return 0;
}

/* Whether versions may be read by their ids, as one tells that may be read
 * without: 1; 0 where this one may be read in neither way; or -1. */
static int
try_version(struct bkp_s3_connection *connection, const char *bucket,
    const struct bkp_s3_version *version, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_s3_head_version(connection, bucket, version->key,
		     version->version_id, 0, &headers, &why) == 0
		     ? 1
		     : -1;

	if (rc < 0 && (why.code != BKP_AUTH || why.sys != 403 ||
			  bkp_s3_head(connection, bucket, version->key, 0,
			      &headers, NULL) < 0))
		rc = 0; /* it is told when it is this one's turn */
	bkp_s3_fields_free(&headers);
	if (rc < 0 && err != NULL)
		*err = why;
	return rc;
}

static int
look_at_versions(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, bool *has_whole_seconds, struct bkp_error *err)
{
	struct bkp_s3_versions *versions = NULL;
	struct bkp_s3_version version;
	int rc =
	    bkp_s3_versions_open(connection, bucket, prefix, &versions, err);
	int tried = 0;

	*has_whole_seconds = true;
	for (int i = 0; rc == 0 && i < DATES && *has_whole_seconds; i++) {
		rc = bkp_s3_versions_next(versions, &version, err);
		if (rc != 1)
			break;
		rc = 0;
		if (!version.is_delete_marker && version.is_latest &&
		    tried < TRIED) {
			int tells =
			    try_version(connection, bucket, &version, err);

			if (tells < 0)
				rc = -1;
			tried = tells == 1 ? TRIED : tried + 1;
		}
		/* "34.000Z" ends with the last microsecond of that. */
		*has_whole_seconds = version.modified_us % SECOND < 1000 ||
				     version.modified_us % SECOND == 999999;
	}
	bkp_s3_versions_close(versions);
	return rc;
}

int
bkp_bucket_clock_look(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, const struct bkp_run *run,
    struct bkp_bucket_clock *clock, struct bkp_error *err)
{
	if (look_at_versions(
		connection, bucket, prefix, &clock->has_whole_seconds, err) < 0)
		return -1;
	return ask_time(connection, bucket, run, clock, err);
}

struct bkp_bucket_window
bkp_bucket_window_of(
    const struct bkp_bucket_clock *clock, const struct bkp_run *run)
{
	int64_t from = clock->looked_at, to = clock->looked_at, slack;

	(void)bkp_run_moment(run, &from, &to);
	/* Clocks do not run alike: a thousandth is more than they differ. */
	slack = 1000 + llabs(to - clock->looked_at) / 1000;
	return (struct bkp_bucket_window){
	    .from = from + clock->ahead_min - slack,
	    .to = to + clock->ahead_max + slack,
	    .has_whole_seconds = clock->has_whole_seconds};
}

struct bkp_bucket_window
bkp_bucket_window_now(void)
{
	return (struct bkp_bucket_window){.from = INT64_MAX, .to = INT64_MAX};
}

/* ---- which version ---- */

/* One date may be of a whole second beside others that are finer. */
static bool
has_whole_seconds(const struct bkp_bucket_window *window,
    const struct bkp_s3_version *version)
{
	return window->has_whole_seconds ||
	       (version->modified_us % SECOND == SECOND - 1 &&
		   version->last_modified != NULL &&
		   strchr(version->last_modified, '.') == NULL);
}

enum bkp_bucket_verdict
bkp_bucket_judge(const struct bkp_bucket_window *window,
    const struct bkp_s3_version *version)
{
	int64_t unit = has_whole_seconds(window, version) ? SECOND : 1000;
	int64_t begin = version->modified_us - version->modified_us % unit;
	int64_t end = begin + unit - 1;

	if (begin > window->to)
		return BKP_BUCKET_LATER;
	if (!version->is_delete_marker)
		return BKP_BUCKET_TAKEN;
	return end < window->from ? BKP_BUCKET_GONE : BKP_BUCKET_LATER;
}

struct bkp_bucket_past {
	struct bkp_s3_versions *versions;
	struct bkp_bucket_window window;
	char *decided; /* owned: the key whose other versions are older */
	bkp_bucket_older_fn *older; /* NULL: they are passed over */
	void *older_arg;
};

int
bkp_bucket_past_open(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, const struct bkp_bucket_window *window,
    struct bkp_bucket_past **out, struct bkp_error *err)
{
	struct bkp_bucket_past *past = bkp_alloc(sizeof(*past), err);

	if (past == NULL)
		return -1;
	past->window = *window;
	if (bkp_s3_versions_open(
		connection, bucket, prefix, &past->versions, err) < 0) {
		free(past);
		return -1;
	}
	*out = past;
	return 0;
}

void
bkp_bucket_past_ask_metadata(struct bkp_bucket_past *past)
{
	bkp_s3_versions_ask_metadata(past->versions);
}

void
bkp_bucket_past_close(struct bkp_bucket_past *past)
{
	if (past == NULL)
		return;
	bkp_s3_versions_close(past->versions);
	free(past->decided);
	free(past);
}

void
bkp_bucket_past_tell_older(
    struct bkp_bucket_past *past, bkp_bucket_older_fn *fn, void *arg)
{
	past->older = fn;
	past->older_arg = arg;
}

static int
tell_older(struct bkp_bucket_past *past, const struct bkp_s3_version *version,
    struct bkp_error *err)
{
	return past->older != NULL ? past->older(past->older_arg, version, err)
				   : 0;
}

int
bkp_bucket_past_next(struct bkp_bucket_past *past,
    struct bkp_s3_version *version, struct bkp_error *err)
{
	int rc;

	while ((rc = bkp_s3_versions_next(past->versions, version, err)) == 1) {
		enum bkp_bucket_verdict verdict;

		if (past->decided != NULL &&
		    strcmp(past->decided, version->key) == 0) {
			if (tell_older(past, version, err) < 0)
				return -1;
			continue;
		}
		verdict = bkp_bucket_judge(&past->window, version);
		if (verdict == BKP_BUCKET_LATER)
			continue;
		free(past->decided);
		past->decided = bkp_strdup(version->key, err);
		if (past->decided == NULL)
			return -1;
		if (verdict == BKP_BUCKET_TAKEN)
			return 1;
		if (tell_older(past, version, err) < 0)
			return -1;
	}
	return rc;
}
