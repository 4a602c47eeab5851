/* SPDX-License-Identifier: Apache-2.0 */
/* Why a snapshot stays, and why it goes. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/retention_impl.h"

/* Takes the text (NULL: there was no memory for it). */
static int
add_reason(
    struct bkp_retention_member *member, char *text, struct bkp_error *err)
{
	if (text == NULL ||
	    bkp_grow(&member->reasons, member->reason_count,
		&member->reason_cap, sizeof(*member->reasons), err) < 0) {
		free(text);
		return -1;
	}
	member->reasons[member->reason_count++] = text;
	return 0;
}

int
bkp_retention_keep(
    struct bkp_retention_member *member, char *text, struct bkp_error *err)
{
	member->is_kept = true;
	return add_reason(member, text, err);
}

static const char *
flaw_of(const struct bkp_candidate *c)
{
	return bkp_candidate_is_failed(c) ? "its verification failed"
					  : "something was left out of it";
}

/* ---- why it stays ---- */

/* " (2026-11-18)", or nothing where each is a division of its own. */
static const char *
in_brackets(size_t rule, const struct bkp_candidate *c,
    char text[BKP_RETENTION_TEXT + 3])
{
	text[0] = ' ';
	text[1] = '(';
	if (bkp_retention_division(rule, c->time_us, text + 2)[0] == '\0')
		text[0] = '\0';
	else
		memcpy(text + strlen(text), ")", 2);
	return text;
}

static int
keep_by_place(struct bkp_retention_member *member, size_t rule, unsigned limit,
    struct bkp_error *err)
{
	const struct bkp_retention_place *place = &member->places[rule];
	const char *name = bkp_retention_rule_name(rule);
	char text[BKP_RETENTION_TEXT + 3];

	(void)in_brackets(rule, member->candidate, text);
	if (place->outcome == BKP_PLACE_TAKEN)
		return bkp_retention_keep(member,
		    bkp_format(
			err, "%s %u of %u%s", name, place->number, limit, text),
		    err);
	if (place->outcome == BKP_PLACE_BESIDE)
		return bkp_retention_keep(member,
		    bkp_format(err,
			"%s, beside the %u%s: %s, and there is no better one "
			"of that time",
			name, limit, text, flaw_of(member->candidate)),
		    err);
	return 0;
}

static bool
is_within(const struct bkp_retention_course *course,
    const struct bkp_retention_group *group, const struct bkp_candidate *c)
{
	int64_t age_us;

	return course->within_us > 0 &&
	       !__builtin_sub_overflow(
		   group->members[0].candidate->time_us, c->time_us, &age_us) &&
	       age_us <= course->within_us;
}

/* What a guard may still go back to, and what it has replaced: rules would take
 * it away from under a command that runs, or from whoever has to finish. */
static int
keep_for_guard(const struct bkp_retention_course *course,
    struct bkp_retention_member *member, struct bkp_error *err)
{
	const struct bkp_candidate *c = member->candidate;
	int64_t age_us;

	if (__builtin_sub_overflow(course->now_us, c->time_us, &age_us) ||
	    age_us > BKP_RETENTION_GUARD_US)
		return 0;
	for (size_t t = 0; t < c->tag_count; t++)
		if (strcmp(c->tags[t], "guard") == 0 ||
		    strcmp(c->tags[t], "guard-failed") == 0)
			return bkp_retention_keep(member,
			    bkp_strdup("a guard's way back, for 7 days", err),
			    err);
	return 0;
}

static int
keep_by_rules(const struct bkp_retention_course *course,
    const struct bkp_retention_group *group,
    struct bkp_retention_member *member, struct bkp_error *err)
{
	const struct bkp_retention *retention = course->retention;
	const struct bkp_candidate *c = member->candidate;

	for (size_t r = 0; r < BKP_RETENTION_RULES; r++)
		if (keep_by_place(member, r,
			bkp_retention_rule_limit(retention, r), err) < 0)
			return -1;
	if (is_within(course, group, c) &&
	    bkp_retention_keep(member,
		bkp_format(
		    err, "within %s of the newest", retention->keep_within),
		err) < 0)
		return -1;
	for (size_t t = 0; t < c->tag_count; t++)
		for (size_t k = 0; k < retention->keep_tag_count; k++)
			if (strcmp(c->tags[t], retention->keep_tags[k]) == 0 &&
			    bkp_retention_keep(member,
				bkp_format(err, "tag %s", c->tags[t]), err) < 0)
				return -1;
	return keep_for_guard(course, member, err);
}

/* The newest member that a question is true of, or NULL. */
static struct bkp_retention_member *
newest(const struct bkp_retention_group *group,
    bool (*is_such)(const struct bkp_candidate *))
{
	for (size_t i = 0; i < group->count; i++)
		if (is_such(group->members[i].candidate))
			return &group->members[i];
	return NULL;
}

static bool
is_whole_and_proven(const struct bkp_candidate *c)
{
	return bkp_candidate_is_good(c) && bkp_candidate_is_proven(c);
}

static bool
was_ever_proven(const struct bkp_candidate *c)
{
	return c->proven_us != 0;
}

static bool
is_not_failed(const struct bkp_candidate *c)
{
	return !bkp_candidate_is_failed(c);
}

/* The last proof, whatever came after it: what holds now before what held
 * once, and what is whole before what is not. */
static int
keep_the_proof(const struct bkp_retention_group *group, struct bkp_error *err)
{
	struct bkp_retention_member *proven =
	    newest(group, is_whole_and_proven);
	const struct bkp_retention_member *failed =
	    newest(group, bkp_candidate_is_failed);
	char text[BKP_RETENTION_TEXT];

	if (proven == NULL)
		proven = newest(group, bkp_candidate_is_proven);
	if (proven == NULL)
		proven = newest(group, was_ever_proven);
	if (proven == NULL)
		return 0;
	(void)bkp_retention_minute(proven->candidate->proven_us, text);
	if (failed == NULL || failed > proven)
		return bkp_retention_keep(proven,
		    bkp_format(err, "the last one that was proven (%s)", text),
		    err);
	return bkp_retention_keep(proven,
	    bkp_format(err,
		"the last one that was proven (%s): the verification of "
		"%.12s failed",
		text, failed->candidate->name),
	    err);
}

/* What no rule may take. */
static int
keep_the_last(const struct bkp_retention_group *group, struct bkp_error *err)
{
	struct bkp_retention_member *good =
	    newest(group, bkp_candidate_is_good);
	const char *what = "the last good one";

	if (bkp_retention_keep(&group->members[0],
		bkp_format(
		    err, "the newest of %s", group->members[0].candidate->host),
		err) < 0)
		return -1;
	if (good == NULL) {
		good = newest(group, is_not_failed);
		what = "the last one whose verification did not fail";
	}
	if (good != NULL &&
	    bkp_retention_keep(good, bkp_strdup(what, err), err) < 0)
		return -1;
	return keep_the_proof(group, err);
}

/* ---- why it goes ---- */

static int
explain_place(struct bkp_retention_member *member, size_t rule, unsigned limit,
    struct bkp_error *err)
{
	const struct bkp_retention_place *place = &member->places[rule];
	const char *name = bkp_retention_rule_name(rule);
	char division[BKP_RETENTION_TEXT];

	if (place->outcome == BKP_PLACE_HELD) {
		(void)bkp_retention_division(
		    rule, member->candidate->time_us, division);
		return add_reason(member,
		    bkp_format(err, "%s: %.12s is kept for %s", name,
			place->holder, division),
		    err);
	}
	if (place->outcome != BKP_PLACE_FULL)
		return 0;
	if (!bkp_candidate_is_good(member->candidate))
		return add_reason(member,
		    bkp_format(err, "%s: %s, and newer ones are enough", name,
			flaw_of(member->candidate)),
		    err);
	return add_reason(member,
	    limit == 1
		? bkp_format(err, "%s: the one place is a newer one's", name)
		: bkp_format(
		      err, "%s: the %u places are newer ones'", name, limit),
	    err);
}

static int
explain(const struct bkp_retention_course *course,
    struct bkp_retention_member *member, struct bkp_error *err)
{
	for (size_t r = 0; r < BKP_RETENTION_RULES; r++)
		if (explain_place(member, r,
			bkp_retention_rule_limit(course->retention, r),
			err) < 0)
			return -1;
	if (course->within_us == 0)
		return 0;
	return add_reason(member,
	    bkp_format(err, "within: older than %s before the newest",
		course->retention->keep_within),
	    err);
}

int
bkp_retention_judge(const struct bkp_retention_course *course,
    const struct bkp_retention_group *group, struct bkp_error *err)
{
	for (size_t i = 0; i < group->count; i++)
		if (keep_by_rules(course, group, &group->members[i], err) < 0)
			return -1;
	if (keep_the_last(group, err) < 0)
		return -1;
	for (size_t i = 0; i < group->count; i++)
		if (!group->members[i].is_kept &&
		    explain(course, &group->members[i], err) < 0)
			return -1;
	return 0;
}
