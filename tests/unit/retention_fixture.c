/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/retention_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

const char *const stack[2] = {"files/etc", "postgres/app"};

/* "2026-11-18 02:00" in microseconds. */
int64_t
at(const char *text)
{
	struct tm tm = {.tm_mday = 1};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (int64_t)timegm(&tm) * SECOND;
}

struct story
begin(void)
{
	struct story story;

	memset(&story, 0, sizeof(story));
	story.retention.size = sizeof(story.retention);
	return story;
}

/* Returns the snapshot, to be changed. */
struct bkp_candidate *
add(struct story *story, const char *host, const char *time)
{
	struct bkp_candidate *c = &story->items[story->count];

	(void)snprintf(
	    story->names[story->count], 65, "%012zx%052d", story->count, 0);
	*c = (struct bkp_candidate){.name = story->names[story->count],
	    .host = host,
	    .time_us = at(time),
	    .finished_us = at(time) + SECOND,
	    .sources = stack,
	    .source_count = 2};
	story->count++;
	return c;
}

void
decide(struct story *story)
{
	struct bkp_error err = BKP_ERROR_INIT;
	int64_t now = story->now_us;

	for (size_t i = 0; story->now_us == 0 && i < story->count; i++)
		if (story->items[i].time_us >= now)
			now = story->items[i].time_us + 60 * SECOND;
	if (bkp_retention_decide(&story->retention, &story->scope, story->items,
		story->count, now, &story->decisions, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(story->decisions.count, story->count);
	for (size_t i = 0; i < story->count; i++)
		assert_ptr_equal(
		    story->decisions.items[i].snapshot, story->items[i].name);
}

static bool
has_reason(const struct story *story, size_t n, const char *reason)
{
	const struct bkp_decision *d = &story->decisions.items[n];

	for (size_t i = 0; i < d->reason_count; i++)
		if (strcmp(d->reasons[i], reason) == 0)
			return true;
	return false;
}

void
expect(struct story *story, size_t n, int is_kept, const char *reason)
{
	const struct bkp_decision *d = &story->decisions.items[n];

	assert_true(d->reason_count > 0);
	if (d->is_kept == is_kept && has_reason(story, n, reason))
		return;
	print_message("snapshot %zu is kept: %d\n", n, d->is_kept);
	for (size_t i = 0; i < d->reason_count; i++)
		print_message("  %s\n", d->reasons[i]);
	fail_msg("not: %s", reason);
}

/* Decides and gives a letter each: k or g. */
const char *
outcome(struct story *story, char text[65])
{
	decide(story);
	for (size_t i = 0; i < story->count; i++)
		text[i] = story->decisions.items[i].is_kept ? 'k' : 'g';
	text[story->count] = '\0';
	return text;
}

void
end(struct story *story)
{
	bkp_decisions_free(&story->decisions);
	assert_null(story->decisions.items);
}
