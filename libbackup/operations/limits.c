/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/limits.h"

#include <string.h>

#include "libbackup/base/config_verification.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"

static int
read_span(
    const char *what, const char *text, uint64_t *ms, struct bkp_error *err)
{
	if (text == NULL || bkp_span_read(text, ms, err) == 0)
		return 0;
	return bkp_fail_in(err, "%s", what);
}

static int
apply(const struct bkp_verify_options *options,
    struct bkp_verification_config *limits, struct bkp_error *err)
{
	if (options->level != NULL &&
	    !bkp_level_read(options->level, &limits->level))
		return bkp_fail(err, BKP_INVALID,
		    "'%.40s' is no level: give quick, sample or full",
		    options->level);
	if (options->max_drop != NULL &&
	    !bkp_drop_read(options->max_drop, &limits->max_drop))
		return bkp_fail(err, BKP_INVALID,
		    "max_drop: '%.40s' is no percentage from 1%% to 100%%",
		    options->max_drop);
	if (read_span("budget", options->budget, &limits->budget_ms, err) < 0 ||
	    read_span("max_age", options->max_age, &limits->max_age_ms, err) <
		0 ||
	    read_span("max_recovery", options->max_recovery,
		&limits->max_recovery_ms, err) < 0)
		return -1;
	return 0;
}

int
bkp_limits_of(const struct bkp_verify_options *options,
    struct bkp_verification_config *out, struct bkp_error *err)
{
	struct bkp_verification_config limits = options->config->verification;

	if (apply(options, &limits, err) < 0)
		return -1;
	if (limits.level == BKP_LEVEL_UNSET)
		limits.level = BKP_LEVEL_FULL;
	/* What is in its place is compared as a whole. */
	if (options->mode == BKP_VERIFY_LIVE) {
		limits.level = BKP_LEVEL_FULL;
		limits.budget_ms = 0;
	}
	*out = limits;
	return 0;
}

int
bkp_verify_check(
    const struct bkp_verify_options *options, struct bkp_error *err)
{
	struct bkp_verification_config limits;

	memset(&limits, 0, sizeof(limits));
	return apply(options, &limits, err);
}

uint64_t
bkp_snapshot_age_ms(const struct fmt_snapshot *snapshot)
{
	int64_t age_us = bkp_clock_utc_us() - snapshot->time_us;

	return age_us > 0 ? (uint64_t)age_us / 1000 : 0;
}
