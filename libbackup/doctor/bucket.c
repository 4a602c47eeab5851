/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket that is backed up. Names of objects are told nowhere. */
#include "libbackup/doctor/bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/redact.h"
#include "libbackup/operations/opened.h"

#define TRIES 2
#define SKEW_NOTE_S 5
#define SKEW_BAD_S 60
#define DAY_US ((int64_t)86400 * 1000000)

struct ward {
	struct bkp_exam_s3 s3;
	char *first; /* owned: a key; NULL: there is none */
};

static struct ward *
ward_of(struct bkp_exam *exam)
{
	return exam->state;
}

static const struct bkp_bucket_config *
config_of(const struct bkp_exam *exam)
{
	return &exam->source->bucket;
}

int
bkp_exam_s3_open(struct bkp_exam_s3 *s3, const struct bkp_bucket_config *config,
    const char *bucket, const struct bkp_cancel *cancel, struct bkp_error *err)
{
	struct bkp_s3_options options = bkp_s3_options_of(config);

	options.tries = TRIES;
	s3->bucket = bkp_format(err, "%.*s", (int)strcspn(bucket, "/"), bucket);
	if (s3->bucket == NULL || bkp_s3_new(&options, &s3->s3, err) < 0 ||
	    bkp_s3_connect(s3->s3, cancel, &s3->connection, err) < 0)
		return -1;
	return bkp_s3_head_bucket(s3->connection, s3->bucket, err);
}

void
bkp_exam_s3_close(struct bkp_exam_s3 *s3)
{
	if (s3->connection != NULL)
		bkp_s3_disconnect(s3->connection);
	if (s3->s3 != NULL)
		bkp_s3_free(s3->s3);
	free(s3->bucket);
	*s3 = (struct bkp_exam_s3){.s3 = NULL};
}

int
bkp_exam_s3_clock(
    struct bkp_exam *exam, struct bkp_exam_s3 *s3, struct bkp_error *err)
{
	int64_t before = bkp_clock_utc_us() / 1000000, after, date, skew = 0;

	if (bkp_s3_get_date(s3->connection, s3->bucket, &date, err) < 0)
		return -1;
	after = bkp_clock_utc_us() / 1000000;
	if (date > after)
		skew = date - after;
	else if (date < before)
		skew = before - date;
	if (skew <= SKEW_NOTE_S)
		return bkp_exam_ok(
		    exam, err, "its clock agrees with this machine's");
	return bkp_exam_tell(exam,
	    skew > SKEW_BAD_S ? BKP_HEALTH_WARNING : BKP_HEALTH_NOTE, NULL,
	    "let both keep their clocks by NTP: requests that are a quarter of "
	    "an hour off are refused, and ages are wrong",
	    err, "the clock of the server is %s %s that of this machine",
	    bkp_span((uint64_t)skew * 1000).text,
	    date > after ? "ahead of" : "behind");
}

/* ---- the checks ---- */

static int
check_reachable(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_bucket_config *config = config_of(exam);
	struct bkp_error reason = BKP_ERROR_INIT;
	struct ward *ward = ward_of(exam);

	if (bkp_exam_s3_open(&ward->s3, config, config->bucket,
		exam->options->cancel, &reason) == 0)
		return bkp_exam_ok(
		    exam, err, "%s answers", bkp_s3_endpoint(ward->s3.s3));
	return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
	    reason.code == BKP_NOTFOUND
		? "correct `bucket_name:`, or make the bucket"
		: "look at endpoint, credentials and what they may do",
	    err, BKP_SAID, reason.message);
}

static int
check_list(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	struct ward *ward = ward_of(exam);
	int rc;

	rc = bkp_s3_list_open(ward->s3.connection, ward->s3.bucket,
	    config_of(exam)->prefix, &listing, err);
	if (rc == 0 && (rc = bkp_s3_list_next(listing, &object, err)) == 1) {
		free(ward->first);
		ward->first = bkp_strdup(object.key, err);
		rc = ward->first != NULL ? 1 : -1;
	}
	bkp_s3_list_close(listing);
	if (rc < 0)
		return -1;
	if (rc == 1)
		return bkp_exam_ok(exam, err, "its objects can be listed");
	return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
	    "look whether `prefix:` is right, where there should be some", err,
	    "it has no object%s",
	    config_of(exam)->prefix != NULL ? " below the prefix" : "");
}

static int
drop_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)arg;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

/* Errors of requests name the key. */
static int
tell_refused(struct bkp_exam *exam, const char *what, const char *permission,
    const struct bkp_error *reason, struct bkp_error *err)
{
	return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL, permission, err,
	    "%s of an object cannot be read: %s (HTTP %d)", what,
	    reason->code == BKP_AUTH ? "it is not allowed" : "the server fails",
	    reason->sys);
}

static int
check_read(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_s3_get_options options = {.len = 1, .write = drop_bytes};
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error reason = BKP_ERROR_INIT;
	struct ward *ward = ward_of(exam);
	const char *server;
	int rc;

	if (ward->first == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "there is no object to try");
	if (bkp_s3_head(ward->s3.connection, ward->s3.bucket, ward->first, 0,
		&headers, &reason) < 0) {
		bkp_s3_fields_free(&headers);
		return tell_refused(exam, "headers",
		    "grant s3:GetObject on the bucket's objects", &reason, err);
	}
	server = bkp_s3_fields_get(&headers, "content-length");
	if (server != NULL && strcmp(server, "0") != 0 &&
	    bkp_s3_get(ward->s3.connection, ward->s3.bucket, ward->first,
		&options, &reason) < 0) {
		rc = tell_refused(exam, "bytes",
		    "grant s3:GetObject on the bucket's objects", &reason, err);
	} else {
		server = bkp_s3_fields_get(&headers, "server");
		rc = bkp_exam_ok(exam, err,
		    "objects can be read; the server "
		    "calls itself %s",
		    server != NULL ? server : "nothing");
	}
	bkp_s3_fields_free(&headers);
	return rc;
}

static int
check_tags(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_s3_fields tags = BKP_S3_FIELDS_INIT;
	struct bkp_error reason = BKP_ERROR_INIT;
	struct ward *ward = ward_of(exam);
	int rc;

	if (ward->first == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "there is no object to try");
	if (bkp_s3_get_tags(ward->s3.connection, ward->s3.bucket, ward->first,
		&tags, &reason) == 0)
		rc = bkp_exam_ok(exam, err, "tags can be read");
	else if (reason.code == BKP_UNSUPPORTED || reason.sys == 501)
		rc = bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL, NULL, err,
		    "the server has no tags");
	else
		rc = tell_refused(exam, "tags",
		    "grant s3:GetObjectTagging on the bucket's objects",
		    &reason, err);
	bkp_s3_fields_free(&tags);
	return rc;
}

static int
check_versioning(struct bkp_exam *exam, struct bkp_error *err)
{
	struct ward *ward = ward_of(exam);
	bool wants_all = config_of(exam)->has_all_versions;
	enum bkp_s3_versioning state;

	if (bkp_s3_get_versioning(
		ward->s3.connection, ward->s3.bucket, &state, err) < 0)
		return -1;
	if (state == BKP_S3_VERSIONING_ON)
		return bkp_exam_ok(exam, err,
		    "versions are kept: its objects are of one moment with the "
		    "databases");
	if (state == BKP_S3_VERSIONING_UNKNOWN)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "grant s3:GetBucketVersioning, where the server has "
		    "versions",
		    err, "whether versions are kept is not told");
	return bkp_exam_tell(exam,
	    wants_all ? BKP_HEALTH_WARNING : BKP_HEALTH_NOTE, NULL,
	    "switch versioning on: then the objects are of one moment with the "
	    "databases, and what was overwritten can be had back",
	    err, "versions are %s%s",
	    state == BKP_S3_VERSIONING_SUSPENDED ? "suspended" : "not kept",
	    wants_all ? ", and `versions: all` asks for them" : "");
}

static int
check_lock(struct bkp_exam *exam, struct bkp_error *err)
{
	struct ward *ward = ward_of(exam);
	struct bkp_s3_lock_rule rule = {.is_enabled = false};

	if (bkp_s3_get_lock_rule(
		ward->s3.connection, ward->s3.bucket, &rule, err) < 0)
		return -1;
	return bkp_exam_ok(
	    exam, err, "object lock is %s", rule.is_enabled ? "on" : "off");
}

static int
count_uploads(struct bkp_exam *exam, int64_t now_us, uint64_t *old,
    uint64_t *all, struct bkp_error *err)
{
	struct bkp_s3_uploads *uploads = NULL;
	struct bkp_s3_leftover leftover;
	struct ward *ward = ward_of(exam);
	int rc = bkp_s3_uploads_open(ward->s3.connection, ward->s3.bucket,
	    config_of(exam)->prefix, &uploads, err);

	while (rc == 0 &&
	       (rc = bkp_s3_uploads_next(uploads, &leftover, err)) == 1) {
		(*all)++;
		if (leftover.begun_us < now_us - DAY_US)
			(*old)++;
		rc = 0;
	}
	bkp_s3_uploads_close(uploads);
	return rc;
}

static int
check_uploads(struct bkp_exam *exam, struct bkp_error *err)
{
	struct ward *ward = ward_of(exam);
	uint64_t old = 0, all = 0;
	int64_t date;

	if (bkp_s3_get_date(ward->s3.connection, ward->s3.bucket, &date, err) <
		0 ||
	    count_uploads(exam, date * 1000000, &old, &all, err) < 0)
		return -1;
	if (old > 0 && config_of(exam)->abort_uploads == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "`abort_uploads: 7d` has backups take them away", err,
		    "%llu uploads were begun more than a day ago and never "
		    "finished; they take room that no listing shows",
		    (unsigned long long)old);
	if (all > 0)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL, NULL, err,
		    "%llu uploads are not finished", (unsigned long long)all);
	return bkp_exam_ok(exam, err, "no upload was left unfinished");
}

static int
check_clock(struct bkp_exam *exam, struct bkp_error *err)
{
	return bkp_exam_s3_clock(exam, &ward_of(exam)->s3, err);
}

static void
close_ward(struct bkp_exam *exam)
{
	struct ward *ward = ward_of(exam);

	bkp_exam_s3_close(&ward->s3);
	free(ward->first);
}

static const struct bkp_exam_check checks[] = {
    {"bucket-reachable", check_reachable, BKP_EXAM_DOOR},
    {"bucket-list", check_list, BKP_EXAM_DOOR},
    {"bucket-read", check_read, BKP_EXAM_INSIDE},
    {"bucket-tags", check_tags, BKP_EXAM_INSIDE},
    {"bucket-versioning", check_versioning, BKP_EXAM_INSIDE},
    {"bucket-lock", check_lock, BKP_EXAM_INSIDE},
    {"bucket-uploads", check_uploads, BKP_EXAM_INSIDE},
    {"bucket-clock", check_clock, BKP_EXAM_INSIDE},
    {NULL, NULL, BKP_EXAM_NONE},
};

const struct bkp_exam_kind bkp_exam_bucket = {
    checks, sizeof(struct ward), close_ward};
