/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention, group by group:
 *
 *   sort by host, sources and time, newest first
 *   for each group
 *     set aside what is from the future
 *     let each rule hand out its places
 *     keep what no rule may take
 *     say why the others go
 */
#include "libbackup/operations/retention.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/retention_impl.h"

/* ---- the order ---- */

static int
compare_groups(const struct bkp_candidate *a, const struct bkp_candidate *b)
{
	int order = strcmp(a->host, b->host);

	for (size_t i = 0; order == 0; i++) {
		if (i == a->source_count || i == b->source_count)
			return (a->source_count > i) - (b->source_count > i);
		order = strcmp(a->sources[i], b->sources[i]);
	}
	return order;
}

static int
compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* Newest first in each group; the name settles what is left. */
static int
compare_members(const void *x, const void *y)
{
	const struct bkp_candidate *a =
	    ((const struct bkp_retention_member *)x)->candidate;
	const struct bkp_candidate *b =
	    ((const struct bkp_retention_member *)y)->candidate;
	int order = compare_groups(a, b);

	if (order == 0)
		order = compare_numbers(b->time_us, a->time_us);
	if (order == 0)
		order = compare_numbers(b->finished_us, a->finished_us);
	return order != 0 ? order : strcmp(b->name, a->name);
}

/* ---- groups ---- */

static bool
has_text(const char *const *items, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(items[i], text) == 0)
			return true;
	return false;
}

/* Why a group is not asked about, in new memory; *out NULL: it is. */
static int
leave_out(const struct bkp_retention_scope *scope,
    const struct bkp_candidate *c, char **out, struct bkp_error *err)
{
	*out = NULL;
	if (scope == NULL)
		return 0;
	if (scope->host_count > 0 &&
	    !has_text(scope->hosts, scope->host_count, c->host)) {
		*out = bkp_format(err, "not asked about: of host %s", c->host);
		return *out != NULL ? 0 : -1;
	}
	for (size_t i = 0; scope->source_count > 0 && i < c->source_count; i++)
		if (!has_text(
			scope->sources, scope->source_count, c->sources[i])) {
			*out = bkp_format(
			    err, "not asked about: it holds %s", c->sources[i]);
			return *out != NULL ? 0 : -1;
		}
	return 0;
}

static int
keep_future(struct bkp_retention_member *member, struct bkp_error *err)
{
	char text[BKP_RETENTION_TEXT];

	return bkp_retention_keep(member,
	    bkp_format(err,
		"from the future (%s): the clock of %s, or of this machine, "
		"is wrong",
		bkp_retention_minute(member->candidate->time_us, text),
		member->candidate->host),
	    err);
}

/* True in *is_left_out where nobody asked about the group: all of it stays. */
static int
keep_left_out(const struct bkp_retention_course *course,
    const struct bkp_retention_group *group, bool *is_left_out,
    struct bkp_error *err)
{
	char *reason = NULL;
	int rc = 0;

	if (leave_out(
		course->scope, group->members[0].candidate, &reason, err) < 0)
		return -1;
	*is_left_out = reason != NULL;
	for (size_t i = 0; reason != NULL && rc == 0 && i < group->count; i++)
		rc = bkp_retention_keep(
		    &group->members[i], bkp_strdup(reason, err), err);
	free(reason);
	return rc;
}

/* Takes those from the future out of the group. */
static int
set_future_aside(const struct bkp_retention_course *course,
    struct bkp_retention_group *group, struct bkp_error *err)
{
	while (group->count > 0 && group->members[0].candidate->time_us >
				       course->now_us + BKP_RETENTION_SKEW_US) {
		if (keep_future(&group->members[0], err) < 0)
			return -1;
		group->members++;
		group->count--;
	}
	return 0;
}

static int
decide_group(const struct bkp_retention_course *course,
    struct bkp_retention_group group, struct bkp_error *err)
{
	bool is_left_out = false;

	if (keep_left_out(course, &group, &is_left_out, err) < 0)
		return -1;
	if (is_left_out)
		return 0;
	if (set_future_aside(course, &group, err) < 0)
		return -1;
	if (group.count == 0)
		return 0;
	bkp_retention_hand_out(course->retention, &group);
	return bkp_retention_judge(course, &group, err);
}

static int
decide_all(const struct bkp_retention_course *course, struct bkp_error *err)
{
	struct bkp_retention_group group;

	for (size_t i = 0; i < course->count; i += group.count) {
		group.members = &course->members[i];
		group.count = 1;
		while (i + group.count < course->count &&
		       compare_groups(group.members[0].candidate,
			   group.members[group.count].candidate) == 0)
			group.count++;
		if (decide_group(course, group, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the answer ---- */

static char *
join_sources(const struct bkp_candidate *c, struct bkp_error *err)
{
	size_t len = 1;
	char *text, *end;

	for (size_t i = 0; i < c->source_count; i++)
		len += strlen(c->sources[i]) + 2;
	if ((text = end = bkp_alloc(len, err)) == NULL)
		return NULL;
	for (size_t i = 0; i < c->source_count; i++) {
		size_t size = strlen(c->sources[i]);

		if (i > 0) {
			memcpy(end, ", ", 2);
			end += 2;
		}
		memcpy(end, c->sources[i], size);
		end += size;
	}
	return text;
}

static void
free_members(struct bkp_retention_member *members, size_t count)
{
	for (size_t i = 0; members != NULL && i < count; i++) {
		for (size_t r = 0; r < members[i].reason_count; r++)
			free(members[i].reasons[r]);
		free(members[i].reasons);
		free(members[i].sources);
	}
	free(members);
}

static struct bkp_decision *
make_items(const struct bkp_retention_course *course, struct bkp_error *err)
{
	struct bkp_decision *items =
	    bkp_alloc_array(course->count, sizeof(*items), err);

	for (size_t i = 0; items != NULL && i < course->count; i++) {
		struct bkp_retention_member *member = &course->members[i];
		const struct bkp_candidate *c = member->candidate;

		if ((member->sources = join_sources(c, err)) == NULL) {
			free(items);
			return NULL;
		}
		items[member->at] = (struct bkp_decision){.snapshot = c->name,
		    .host = c->host,
		    .sources = member->sources,
		    .time_us = c->time_us,
		    .is_kept = member->is_kept,
		    .reasons = (const char *const *)member->reasons,
		    .reason_count = member->reason_count};
	}
	return items;
}

int
bkp_retention_check(
    const struct bkp_retention *retention, struct bkp_error *err)
{
	int64_t us;

	if (!bkp_retention_has_rule(retention))
		return bkp_fail(err, BKP_INVALID,
		    "nothing says what to keep, so nothing is removed: give "
		    "rules under 'retention:' in the configuration "
		    "(keep_daily: 7, for example), or as options%s",
		    retention->keep_tag_count > 0
			? "; tags alone would keep nothing else"
			: "");
	return retention->keep_within == NULL
		   ? 0
		   : bkp_duration_read(retention->keep_within, &us, err);
}

int
bkp_retention_decide(const struct bkp_retention *retention,
    const struct bkp_retention_scope *scope,
    const struct bkp_candidate *candidates, size_t count, int64_t now_us,
    struct bkp_decisions *out, struct bkp_error *err)
{
	struct bkp_retention_course course = {.retention = retention,
	    .scope = scope,
	    .now_us = now_us,
	    .count = count};
	struct bkp_decision *items = NULL;

	if (bkp_retention_check(retention, err) < 0)
		return -1;
	if (retention->keep_within != NULL &&
	    bkp_duration_read(retention->keep_within, &course.within_us, err) <
		0)
		return -1;
	course.members = bkp_alloc_array(count, sizeof(*course.members), err);
	if (course.members == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		course.members[i].candidate = &candidates[i];
		course.members[i].at = i;
	}
	qsort(course.members, count, sizeof(*course.members), compare_members);
	if (decide_all(&course, err) < 0 ||
	    (items = make_items(&course, err)) == NULL) {
		free_members(course.members, count);
		return -1;
	}
	*out = (struct bkp_decisions){
	    .items = items, .count = count, .memory = course.members};
	return 0;
}

void
bkp_decisions_free(struct bkp_decisions *decisions)
{
	free(decisions->items);
	free_members(decisions->memory, decisions->count);
	*decisions = (struct bkp_decisions)BKP_DECISIONS_INIT;
}
