/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lines that say nothing of what a snapshot holds and much of what it is
 * worth: how much would be lost now (its age), and how long people would wait.
 */
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/operations/verify_impl.h"

/* As far as the clocks of two machines may be apart. */
#define CLOCKS_APART_US (INT64_C(300) * 1000000)

/* An old snapshot that somebody names, and a place that was restored from one,
 * are not to be blamed for their age but where that is asked for. */
static uint64_t
age_limit(const struct bkp_verify *verify)
{
	const struct bkp_verify_options *options = verify->options;
	bool is_latest = options->snapshot == NULL ||
			 strcmp(options->snapshot, "latest") == 0;

	if (options->max_age != NULL)
		return verify->limits.max_age_ms;
	return is_latest && options->mode == BKP_VERIFY_SCRATCH
		   ? verify->limits.max_age_ms
		   : 0;
}

static int
tell_age(struct bkp_verify *verify, struct bkp_error *err)
{
	const struct fmt_snapshot *snapshot = &verify->opened.snapshot;
	uint64_t age = bkp_snapshot_age_ms(snapshot);
	uint64_t limit = age_limit(verify);

	if (snapshot->time_us > bkp_clock_utc_us() + CLOCKS_APART_US)
		return bkp_verdict_add_about(verify->verdict,
		    limit > 0 ? BKP_CHECK_FAIL : BKP_CHECK_PASS, err, "age",
		    "of a time to come: a clock is wrong, here or where the "
		    "backup was made, and nobody knows how old it is");
	if (limit > 0 && age > limit)
		return bkp_verdict_add_about(verify->verdict, BKP_CHECK_FAIL,
		    err, "age",
		    "%s old, and at most %s is allowed: look whether backups "
		    "still run",
		    bkp_span(age).text, bkp_span(limit).text);
	if (limit > 0)
		return bkp_verdict_add_about(verify->verdict, BKP_CHECK_PASS,
		    err, "age", "%s old, of at most %s", bkp_span(age).text,
		    bkp_span(limit).text);
	return bkp_verdict_add_about(verify->verdict, BKP_CHECK_PASS, err,
	    "age", "%s old", bkp_span(age).text);
}

/* What took too long in part takes too long as a whole, but not the other way
 * round. */
static int
tell_recovery(struct bkp_verify *verify, struct bkp_error *err)
{
	uint64_t took = verify->recovery_ms;
	uint64_t limit = verify->limits.max_recovery_ms;
	const char *path = verify->options->path;
	bool is_part = (path != NULL && path[0] != '\0') || verify->is_partial;
	const char *what =
	    is_part ? "what was restored was back in" : "back in";

	if (took == 0 && limit == 0)
		return 0;
	if (limit > 0 && took > limit)
		return bkp_verdict_add_about(verify->verdict, BKP_CHECK_FAIL,
		    err, "recovery", "%s %s, and at most %s is allowed", what,
		    bkp_span(took).text, bkp_span(limit).text);
	if (limit > 0 && (is_part || took == 0))
		return bkp_verdict_add_about(verify->verdict, BKP_CHECK_SKIP,
		    err, "recovery",
		    "not all was restored, so nobody knows whether that takes "
		    "more than %s",
		    bkp_span(limit).text);
	if (limit > 0)
		return bkp_verdict_add_about(verify->verdict, BKP_CHECK_PASS,
		    err, "recovery", "%s %s, of at most %s", what,
		    bkp_span(took).text, bkp_span(limit).text);
	return bkp_verdict_add_about(verify->verdict, BKP_CHECK_PASS, err,
	    "recovery", "%s %s", what, bkp_span(took).text);
}

int
bkp_verify_times(struct bkp_verify *verify, struct bkp_error *err)
{
	if (tell_age(verify, err) < 0)
		return -1;
	return verify->options->mode == BKP_VERIFY_SCRATCH
		   ? tell_recovery(verify, err)
		   : 0;
}
