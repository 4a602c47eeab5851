/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of a retention are, and how they hand out their places. */
#include <string.h>
#include <time.h>

#include "libbackup/operations/retention_impl.h"

/* ---- rules ---- */

enum { LAST, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY };

static const struct {
	const char *name;
	size_t limit; /* where the number lies in struct bkp_retention */
} rules[BKP_RETENTION_RULES] = {
    [LAST] = {"last", offsetof(struct bkp_retention, keep_last)},
    [HOURLY] = {"hourly", offsetof(struct bkp_retention, keep_hourly)},
    [DAILY] = {"daily", offsetof(struct bkp_retention, keep_daily)},
    [WEEKLY] = {"weekly", offsetof(struct bkp_retention, keep_weekly)},
    [MONTHLY] = {"monthly", offsetof(struct bkp_retention, keep_monthly)},
    [YEARLY] = {"yearly", offsetof(struct bkp_retention, keep_yearly)},
};

const char *
bkp_retention_rule_name(size_t rule)
{
	return rules[rule].name;
}

unsigned
bkp_retention_rule_limit(const struct bkp_retention *retention, size_t rule)
{
	return *(const unsigned *)((const char *)retention + rules[rule].limit);
}

bool
bkp_retention_has_rule(const struct bkp_retention *retention)
{
	for (size_t r = 0; r < BKP_RETENTION_RULES; r++)
		if (bkp_retention_rule_limit(retention, r) > 0)
			return true;
	return retention->keep_within != NULL;
}

/* ---- times ---- */

/* Floored, also before 1970. */
static struct tm
utc(int64_t us)
{
	time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0));
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&seconds, &tm);
	return tm;
}

const char *
bkp_retention_division(size_t rule, int64_t us, char text[BKP_RETENTION_TEXT])
{
	const size_t size = BKP_RETENTION_TEXT;
	struct tm tm = utc(us);
	size_t len = 0;

	switch (rule) {
	case HOURLY:
		len = strftime(text, size, "%Y-%m-%d %H:00", &tm);
		break;
	case DAILY:
		len = strftime(text, size, "%Y-%m-%d", &tm);
		break;
	case WEEKLY:
		len = strftime(text, size, "%G-W%V", &tm);
		break;
	case MONTHLY:
		len = strftime(text, size, "%Y-%m", &tm);
		break;
	case YEARLY:
		len = strftime(text, size, "%Y", &tm);
		break;
	default:
		break;
	}
	text[len] = '\0';
	return text;
}

const char *
bkp_retention_minute(int64_t us, char text[BKP_RETENTION_TEXT])
{
	struct tm tm = utc(us);

	text[strftime(text, BKP_RETENTION_TEXT, "%Y-%m-%d %H:%M UTC", &tm)] =
	    '\0';
	return text;
}

/* ---- snapshots ---- */

bool
bkp_candidate_is_failed(const struct bkp_candidate *c)
{
	return c->failed_us != 0 && c->failed_us >= c->proven_us;
}

bool
bkp_candidate_is_good(const struct bkp_candidate *c)
{
	return c->omission_count == 0 && !bkp_candidate_is_failed(c);
}

bool
bkp_candidate_is_proven(const struct bkp_candidate *c)
{
	return c->proven_us != 0 && !bkp_candidate_is_failed(c);
}

/* ---- places ---- */

static bool
is_same_division(
    size_t rule, const struct bkp_candidate *a, const struct bkp_candidate *b)
{
	char left[BKP_RETENTION_TEXT], right[BKP_RETENTION_TEXT];

	return rule != LAST &&
	       strcmp(bkp_retention_division(rule, a->time_us, left),
		   bkp_retention_division(rule, b->time_us, right)) == 0;
}

struct places {
	unsigned limit, taken, beside;
};

/* One division: `members` are all that it has, newest first. */
static void
hand_out(struct places *places, size_t rule,
    struct bkp_retention_member *members, size_t count)
{
	struct bkp_retention_place rest = {.outcome = BKP_PLACE_FULL};
	size_t best = 0;

	while (best < count && !bkp_candidate_is_good(members[best].candidate))
		best++;
	if (best < count && places->taken < places->limit) {
		rest.outcome = BKP_PLACE_TAKEN;
		rest.number = ++places->taken;
	} else if (best == count && places->taken < places->limit &&
		   places->beside < places->limit) {
		best = 0;
		rest.outcome = BKP_PLACE_BESIDE;
		rest.number = ++places->beside;
	}
	if (rest.outcome != BKP_PLACE_FULL) {
		members[best].places[rule] = rest;
		rest.outcome = BKP_PLACE_HELD;
		rest.holder = members[best].candidate->name;
	}
	for (size_t i = 0; i < count; i++)
		if (rest.outcome == BKP_PLACE_FULL || i != best)
			members[i].places[rule] = rest;
}

static void
apply_rule(const struct bkp_retention *retention, size_t rule,
    const struct bkp_retention_group *group)
{
	struct places places = {
	    .limit = bkp_retention_rule_limit(retention, rule)};
	size_t end;

	if (places.limit == 0)
		return;
	for (size_t i = 0; i < group->count; i = end) {
		const struct bkp_candidate *first = group->members[i].candidate;

		end = i + 1;
		while (end < group->count && is_same_division(rule, first,
						 group->members[end].candidate))
			end++;
		hand_out(&places, rule, &group->members[i], end - i);
	}
}

void
bkp_retention_hand_out(const struct bkp_retention *retention,
    const struct bkp_retention_group *group)
{
	for (size_t r = 0; r < BKP_RETENTION_RULES; r++)
		apply_rule(retention, r, group);
}
