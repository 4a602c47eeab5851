/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"

struct check {
	enum bkp_check_status status;
	char *name, *what;
	uint64_t count, duration_ms;
};

struct bkp_verdict {
	struct check *checks;
	size_t count, cap;
	uint64_t told_ms; /* when the last was, by the monotonic clock */
	uint64_t passed, failed, skipped;
	uint64_t about_passed, about_failed; /* of these */
	struct bkp_check *shown;             /* what the result points to */
	struct bkp_snapshot_list history;    /* the same */
};

int
bkp_verdict_new(struct bkp_verdict **out, struct bkp_error *err)
{
	struct bkp_verdict *verdict = bkp_alloc(sizeof(*verdict), err);

	if (verdict == NULL)
		return -1;
	verdict->told_ms = bkp_clock_ms();
	*out = verdict;
	return 0;
}

void
bkp_verdict_free(struct bkp_verdict *verdict)
{
	if (verdict == NULL)
		return;
	for (size_t i = 0; i < verdict->count; i++) {
		free(verdict->checks[i].name);
		free(verdict->checks[i].what);
	}
	free(verdict->checks);
	free(verdict->shown);
	bkp_snapshot_list_free(&verdict->history);
	free(verdict);
}

static int __attribute__((format(printf, 5, 0)))
add(struct bkp_verdict *verdict, enum bkp_check_status status,
    struct bkp_error *err, const char *name, const char *format, va_list ap)
{
	uint64_t now_ms = bkp_clock_ms();
	struct check check = {.status = status,
	    .count = 1,
	    .duration_ms = now_ms - verdict->told_ms};
	char text[2048];

	(void)vsnprintf(text, sizeof(text), format, ap);
	check.name = bkp_strdup(name, err);
	check.what = bkp_strdup(text, err);
	if (check.name == NULL || check.what == NULL ||
	    bkp_grow(&verdict->checks, verdict->count, &verdict->cap,
		sizeof(*verdict->checks), err) < 0) {
		free(check.name);
		free(check.what);
		return -1;
	}
	verdict->checks[verdict->count++] = check;
	verdict->told_ms = now_ms;
	if (status == BKP_CHECK_PASS)
		verdict->passed++;
	else if (status == BKP_CHECK_FAIL)
		verdict->failed++;
	else
		verdict->skipped++;
	return 0;
}

int
bkp_verdict_add(struct bkp_verdict *verdict, enum bkp_check_status status,
    struct bkp_error *err, const char *name, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = add(verdict, status, err, name, format, ap);
	va_end(ap);
	return rc;
}

int
bkp_verdict_add_about(struct bkp_verdict *verdict, enum bkp_check_status status,
    struct bkp_error *err, const char *name, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = add(verdict, status, err, name, format, ap);
	va_end(ap);
	if (rc == 0 && status == BKP_CHECK_PASS)
		verdict->about_passed++;
	else if (rc == 0 && status == BKP_CHECK_FAIL)
		verdict->about_failed++;
	return rc;
}

int
bkp_verdict_add_agreed(struct bkp_verdict *verdict, struct bkp_error *err,
    const char *name, uint64_t count, const char *what)
{
	if (count == 0)
		return 0;
	if (bkp_verdict_add(verdict, BKP_CHECK_PASS, err, name, "%llu %s %s",
		(unsigned long long)count, count == 1 ? "entry" : "entries",
		what) < 0)
		return -1;
	verdict->checks[verdict->count - 1].count = count;
	verdict->passed += count - 1;
	return 0;
}

int
bkp_verdict_finish(struct bkp_verdict *verdict,
    struct bkp_verify_result *result, struct bkp_error *err)
{
	if (verdict->passed == verdict->about_passed &&
	    bkp_verdict_add(verdict, BKP_CHECK_FAIL, err, "verdict",
		"nothing was compared, so nothing is proven") < 0)
		return -1;
	verdict->shown =
	    bkp_alloc_array(verdict->count, sizeof(*verdict->shown), err);
	if (verdict->shown == NULL)
		return -1;
	for (size_t i = 0; i < verdict->count; i++) {
		verdict->shown[i].status = verdict->checks[i].status;
		verdict->shown[i].name = verdict->checks[i].name;
		verdict->shown[i].what = verdict->checks[i].what;
		verdict->shown[i].count = verdict->checks[i].count;
		verdict->shown[i].duration_ms = verdict->checks[i].duration_ms;
	}
	result->checks = verdict->shown;
	result->check_count = verdict->count;
	result->passed = verdict->passed;
	result->failed = verdict->failed;
	result->skipped = verdict->skipped;
	result->about_passed = verdict->about_passed;
	result->about_failed = verdict->about_failed;
	result->is_proven = verdict->passed > 0 && verdict->failed == 0;
	result->memory = verdict;
	return 0;
}

int
bkp_verdict_add_history(struct bkp_repository *repository,
    struct bkp_verify_result *result, struct bkp_error *err)
{
	struct bkp_verdict *verdict = result->memory;

	if (bkp_snapshot_list(repository, &verdict->history, err) < 0)
		return -1;
	result->history = &verdict->history;
	return 0;
}

void
bkp_verify_result_free(struct bkp_verify_result *result)
{
	bkp_verdict_free(result->memory);
	memset(result, 0, sizeof(*result));
}
