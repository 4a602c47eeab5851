/* SPDX-License-Identifier: Apache-2.0 */
/* Object lock: what keeps a version from being deleted until a day. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/s3/request.h"

#define DATE_SIZE 40 /* "2026-11-21T00:00:00Z" and its NUL, and more */

static const char *
mode_name(enum bkp_s3_lock_mode mode)
{
	return mode == BKP_S3_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE";
}

static enum bkp_s3_lock_mode
mode_of(const char *name)
{
	if (strcmp(name, "COMPLIANCE") == 0)
		return BKP_S3_LOCK_COMPLIANCE;
	if (strcmp(name, "GOVERNANCE") == 0)
		return BKP_S3_LOCK_GOVERNANCE;
	return BKP_S3_LOCK_NONE;
}

static int
format_date(int64_t seconds, char out[DATE_SIZE], struct bkp_error *err)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL ||
	    strftime(out, DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return bkp_fail(err, BKP_INVALID,
		    "%lld seconds since 1970 is no date to lock an object "
		    "until",
		    (long long)seconds);
	return 0;
}

/* ---- of a version ---- */

int
bkp_s3_add_lock(struct bkp_s3_fields *headers, const struct bkp_s3_lock *lock,
    struct bkp_error *err)
{
	char date[DATE_SIZE];

	if (lock->mode != BKP_S3_LOCK_NONE &&
	    (format_date(lock->until, date, err) < 0 ||
		bkp_s3_fields_add(headers, "x-amz-object-lock-mode",
		    mode_name(lock->mode), err) < 0 ||
		bkp_s3_fields_add(headers,
		    "x-amz-object-lock-retain-until-date", date, err) < 0))
		return -1;
	if (!lock->has_legal_hold)
		return 0;
	return bkp_s3_fields_add(
	    headers, "x-amz-object-lock-legal-hold", "ON", err);
}

int
bkp_s3_read_lock(const struct bkp_s3_fields *headers, struct bkp_s3_lock *lock,
    struct bkp_error *err)
{
	const char *mode = bkp_s3_fields_get(headers, "x-amz-object-lock-mode");
	const char *until =
	    bkp_s3_fields_get(headers, "x-amz-object-lock-retain-until-date");
	const char *hold =
	    bkp_s3_fields_get(headers, "x-amz-object-lock-legal-hold");
	struct bkp_s3_lock found = {BKP_S3_LOCK_NONE, 0, false};
	int64_t us;

	if (mode != NULL && *mode != '\0') {
		found.mode = mode_of(mode);
		if (found.mode == BKP_S3_LOCK_NONE || until == NULL ||
		    !bkp_instant_read(until, &us))
			return bkp_fail(err, BKP_CORRUPT,
			    "the server tells of a retention that is none: "
			    "mode \"%s\", until \"%s\"",
			    mode, until != NULL ? until : "");
		found.until = us / 1000000;
	}
	found.has_legal_hold = hold != NULL && strcmp(hold, "ON") == 0;
	*lock = found;
	return 0;
}

/* The root is "Retention", and "ObjectLockRetention" of versitygw. */
static int
take_lock(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	struct bkp_s3_lock *lock = arg;
	const char *name = strchr(path, '/');
	int64_t us;

	(void)len;
	if (name == NULL)
		return 0;
	if (strcmp(name, "/Mode") == 0) {
		lock->mode = mode_of(text);
	} else if (strcmp(name, "/RetainUntilDate") == 0) {
		if (!bkp_instant_read(text, &us))
			return bkp_fail(err, BKP_CORRUPT,
			    "the server tells of a retention until \"%.40s\"",
			    text);
		lock->until = us / 1000000;
	} else if (strcmp(name, "/Status") == 0) {
		lock->has_legal_hold = strcmp(text, "ON") == 0;
	}
	return 0;
}

int
bkp_s3_get_lock(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, struct bkp_s3_lock *out,
    struct bkp_error *err)
{
	static const char *const questions[] = {"retention", "legal-hold"};
	struct bkp_s3_lock found = {.mode = BKP_S3_LOCK_NONE};

	for (size_t i = 0; i < 2; i++) {
		struct bkp_error why = BKP_ERROR_INIT;

		if (bkp_s3_ask_document(connection, bucket, key, version_id,
			questions[i], take_lock, &found, &why) == 0)
			continue;
		if (why.code == BKP_NOTFOUND || why.code == BKP_UNSUPPORTED)
			continue;
		if (err != NULL)
			*err = why;
		return -1;
	}
	*out = found;
	return 0;
}

/* PUT ?what of a version. */
static int
put_document(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, const char *what,
    const struct fmt_buf *text, struct bkp_error *err)
{
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_request request = {
	    .method = "PUT", .bucket = bucket, .key = key, .query = &query};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	int rc = bkp_s3_fields_add(&query, what, "", err);

	if (rc == 0)
		rc = bkp_s3_add_version(&query, version_id, err);
	if (rc == 0)
		rc = bkp_s3_send_document(
		    connection, &request, text, &response, err);
	bkp_s3_fields_free(&query);
	bkp_s3_response_free(&response);
	return rc;
}

int
bkp_s3_put_retention(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, enum bkp_s3_lock_mode mode,
    int64_t until, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	char date[DATE_SIZE];
	int rc = -1;

	if (format_date(until, date, err) < 0)
		return -1;
	if (fmt_buf_printf(&text,
		"<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate>"
		"</Retention>",
		mode_name(mode), date) != FMT_OK)
		(void)bkp_fail_nomem(err, "building a request");
	else
		rc = put_document(connection, bucket, key, version_id,
		    "retention", &text, err);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_s3_put_legal_hold(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, bool is_on, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = -1;

	if (fmt_buf_printf(&text,
		"<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Status>%s</Status></LegalHold>",
		is_on ? "ON" : "OFF") != FMT_OK)
		(void)bkp_fail_nomem(err, "building a request");
	else
		rc = put_document(connection, bucket, key, version_id,
		    "legal-hold", &text, err);
	fmt_buf_free(&text);
	return rc;
}

/* ---- of a bucket ---- */

static int
take_rule(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	static const char rule[] =
	    "ObjectLockConfiguration/Rule/DefaultRetention/";
	struct bkp_s3_lock_rule *out = arg;

	(void)len;
	(void)err;
	if (strcmp(path, "ObjectLockConfiguration/ObjectLockEnabled") == 0)
		out->is_enabled = strcmp(text, "Enabled") == 0;
	if (strncmp(path, rule, sizeof(rule) - 1) != 0)
		return 0;
	path += sizeof(rule) - 1;
	if (strcmp(path, "Mode") == 0)
		out->mode = mode_of(text);
	else if (strcmp(path, "Days") == 0)
		out->days = (unsigned)strtoul(text, NULL, 10);
	else if (strcmp(path, "Years") == 0)
		out->years = (unsigned)strtoul(text, NULL, 10);
	return 0;
}

int
bkp_s3_get_lock_rule(struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_s3_lock_rule *out, struct bkp_error *err)
{
	struct bkp_s3_lock_rule found = {.mode = BKP_S3_LOCK_NONE};
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = bkp_s3_ask_document(connection, bucket, NULL, NULL,
	    "object-lock", take_rule, &found, &why);

	if (rc < 0 && why.code == BKP_UNSUPPORTED)
		rc = 0;
	if (rc == 0)
		*out = found;
	else if (err != NULL)
		*err = why;
	return rc;
}

static enum fmt_status
write_rule(const struct bkp_s3_lock_rule *rule, struct fmt_buf *out)
{
	enum fmt_status status = fmt_buf_append_text(out,
	    "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/"
	    "2006-03-01/\"><ObjectLockEnabled>Enabled</ObjectLockEnabled>");

	if (status == FMT_OK && rule->mode != BKP_S3_LOCK_NONE)
		status = fmt_buf_printf(out,
		    "<Rule><DefaultRetention><Mode>%s</Mode><%s>%u</%s>"
		    "</DefaultRetention></Rule>",
		    mode_name(rule->mode), rule->years > 0 ? "Years" : "Days",
		    rule->years > 0 ? rule->years : rule->days,
		    rule->years > 0 ? "Years" : "Days");
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "</ObjectLockConfiguration>");
	return status;
}

int
bkp_s3_set_lock_rule(struct bkp_s3_connection *connection, const char *bucket,
    const struct bkp_s3_lock_rule *rule, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = -1;

	if (write_rule(rule, &text) != FMT_OK)
		(void)bkp_fail_nomem(err, "building a request");
	else
		rc = put_document(
		    connection, bucket, NULL, NULL, "object-lock", &text, err);
	fmt_buf_free(&text);
	return rc;
}
