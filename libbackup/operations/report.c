/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a verification, in whatever form. */
#include "libbackup/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/report_impl.h"
#include "libbackup/operations/report_save.h"

const char *
bkp_check_word(enum bkp_check_status status)
{
	return status == BKP_CHECK_PASS   ? "pass"
	       : status == BKP_CHECK_SKIP ? "skip"
					  : "fail";
}

const char *
bkp_outcome_word(enum bkp_outcome outcome)
{
	switch (outcome) {
	case BKP_OUTCOME_PROVEN:
		return "proven";
	case BKP_OUTCOME_DEGRADED:
		return "proven with gaps";
	case BKP_OUTCOME_FAILED:
		return "not proven";
	case BKP_OUTCOME_CANCELLED:
		return "cancelled";
	case BKP_OUTCOME_UNFINISHED:
		return "unfinished";
	default:
		return "error";
	}
}

const char *
bkp_level_word(enum bkp_verify_level level)
{
	return level == BKP_LEVEL_QUICK    ? "quick"
	       : level == BKP_LEVEL_SAMPLE ? "sample"
					   : "full";
}

/* The library's word, and no less than its own counts. */
static enum bkp_outcome
outcome_of(const struct bkp_report *report)
{
	const struct bkp_verify_result *result = report->result;

	if (result == NULL && report->error == NULL)
		return BKP_OUTCOME_UNFINISHED;
	if (result == NULL)
		return report->error->code == BKP_CANCELLED
			   ? BKP_OUTCOME_CANCELLED
			   : BKP_OUTCOME_ERROR;
	if (!result->is_proven || result->passed == 0 || result->failed > 0)
		return BKP_OUTCOME_FAILED;
	return result->omission_count > 0 ? BKP_OUTCOME_DEGRADED
					  : BKP_OUTCOME_PROVEN;
}

const char *
bkp_reported_why(const struct bkp_reported *reported)
{
	const struct bkp_error *error = reported->report->error;

	if (error != NULL && error->message[0] != '\0')
		return error->message;
	if (error != NULL)
		return "it failed for a reason that was not told";
	return "the verification has not come to its end: it still runs, or "
	       "it was killed";
}

/* ---- sources ---- */

/* Older versions of objects are of the bucket's own source. */
static size_t
without_versions(const char *name, size_t len)
{
	static const char versions[] = "@versions";
	size_t end = sizeof(versions) - 1;

	return len > end && memcmp(name + len - end, versions, end) == 0
		   ? len - end
		   : len;
}

/* How much of a check's name is its source, as in "postgres/app/shop"; 0: it
 * is about the snapshot. */
static size_t
source_length(const char *name)
{
	static const char *const kinds[] = {
	    "postgres/", "bucket/", "files/", "command/"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]);

		if (strncmp(name, kinds[i], len) == 0 && name[len] != '\0' &&
		    name[len] != '/')
			return without_versions(
			    name, len + strcspn(name + len, "/"));
	}
	return 0;
}

/* Most lines are of the same source as the one before. */
static bool
find_source(
    const struct bkp_reported *reported, const char *name, size_t *found)
{
	size_t len = source_length(name);

	for (size_t i = reported->source_count; i-- > 0;) {
		const struct bkp_reported_source *source =
		    &reported->sources[i];

		if (source->name_len == len &&
		    strncmp(source->name, name, len) == 0) {
			*found = i;
			return true;
		}
	}
	return false;
}

static int
add_line(struct bkp_reported *reported, size_t line, struct bkp_error *err)
{
	const struct bkp_check *check = &reported->result->checks[line];
	struct bkp_reported_source *source;
	size_t n;

	if (!find_source(reported, check->name, &n)) {
		if (bkp_grow(&reported->sources, reported->source_count,
			&reported->source_cap, sizeof(*reported->sources),
			err) < 0)
			return -1;
		n = reported->source_count++;
		reported->sources[n] =
		    (struct bkp_reported_source){.name = check->name,
			.name_len = source_length(check->name),
			.first = line};
	}
	source = &reported->sources[n];
	reported->of[line] = n;
	source->lines++;
	if (check->status == BKP_CHECK_PASS) {
		source->passed++;
		source->agreed += check->count;
	} else if (check->status == BKP_CHECK_SKIP) {
		source->skipped++;
		reported->skipped_lines++;
	} else {
		source->failed++;
		reported->failed_lines++;
	}
	return 0;
}

void
bkp_reported_name(
    struct bkp_report_text *out, const struct bkp_reported_source *source)
{
	char name[512];

	if (source->name_len == 0) {
		bkp_report_add(out, "snapshot");
		return;
	}
	(void)snprintf(
	    name, sizeof(name), "%.*s", (int)source->name_len, source->name);
	bkp_report_path(out, name);
}

const char *
bkp_reported_rest(const struct bkp_reported_source *source, const char *name)
{
	return source->name_len > 0 && name[source->name_len] == '/'
		   ? name + source->name_len + 1
		   : name;
}

/* ---- history ---- */

static void
look_at_history(struct bkp_reported *reported)
{
	const struct bkp_snapshot_list *history = reported->result->history;

	for (size_t i = 0; history != NULL && i < history->count; i++) {
		const struct bkp_snapshot *item = &history->items[i];

		if (strcmp(item->name, reported->result->snapshot) == 0)
			reported->snapshot = item;
		/* The one that an administrator would restore. */
		if (item->proven_us > 0 && item->proven_us > item->failed_us)
			reported->last_proven = item;
	}
}

bool
bkp_reported_is_late(const struct bkp_reported *reported)
{
	const struct bkp_verify_result *result = reported->result;

	return result != NULL && result->about_failed > 0 &&
	       result->failed == result->about_failed &&
	       result->passed > result->about_passed;
}

bool
bkp_reported_is_whole(const struct bkp_reported *reported)
{
	return reported->result != NULL && reported->result->is_whole &&
	       reported->report->mode == BKP_VERIFY_SCRATCH;
}

int64_t
bkp_reported_proven_us(const struct bkp_reported *reported)
{
	const struct bkp_report *report = reported->report;
	const struct bkp_snapshot_list *history =
	    reported->result != NULL ? reported->result->history : NULL;
	int64_t last = 0;

	for (size_t i = 0; history != NULL && i < history->count; i++)
		if (history->items[i].proven_us > last)
			last = history->items[i].proven_us;
	/* Also where the proof could not be kept. */
	if ((reported->outcome == BKP_OUTCOME_PROVEN ||
		reported->outcome == BKP_OUTCOME_DEGRADED) &&
	    bkp_reported_is_whole(reported) && report->ended_us > last)
		last = report->ended_us;
	return last;
}

/* ---- the whole ---- */

void
bkp_reported_fini(struct bkp_reported *reported)
{
	free(reported->sources);
	free(reported->of);
	reported->sources = NULL;
	reported->of = NULL;
}

int
bkp_reported_init(struct bkp_reported *reported,
    const struct bkp_report *report, struct bkp_error *err)
{
	*reported = (struct bkp_reported){.report = report,
	    .result = report->result,
	    .outcome = outcome_of(report)};
	if (report->host != NULL)
		(void)snprintf(
		    reported->host, sizeof(reported->host), "%s", report->host);
	else if (gethostname(reported->host, sizeof(reported->host) - 1) < 0)
		reported->host[0] = '\0';
	if (report->result == NULL)
		return 0;
	reported->lines = report->result->check_count;
	reported->of =
	    bkp_alloc_array(reported->lines, sizeof(*reported->of), err);
	if (reported->of == NULL)
		return -1;
	for (size_t i = 0; i < reported->lines; i++)
		if (add_line(reported, i, err) < 0) {
			bkp_reported_fini(reported);
			return -1;
		}
	look_at_history(reported);
	return 0;
}

/* ---- writing ---- */

/* `before`: the report for a monitor that is replaced, or NULL. */
static int
make(const struct bkp_report *report, enum bkp_report_format format,
    const char *before, struct bkp_report_text *out, struct bkp_error *err)
{
	struct bkp_reported reported;
	int64_t proven_us;

	if (bkp_reported_init(&reported, report, err) < 0)
		return -1;
	switch (format) {
	case BKP_REPORT_JUNIT:
		bkp_report_junit(&reported, out);
		break;
	case BKP_REPORT_JSON:
		bkp_report_json(&reported, out);
		break;
	case BKP_REPORT_HTML:
		bkp_report_html(&reported, out);
		break;
	default:
		proven_us = bkp_reported_proven_us(&reported);
		if (proven_us == 0 && before != NULL)
			proven_us =
			    bkp_report_prometheus_proven(&reported, before);
		bkp_report_prometheus(&reported, proven_us, out);
		break;
	}
	bkp_reported_fini(&reported);
	return out->status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, out->status, "writing a report");
}

int
bkp_report_put(const struct bkp_report *report, enum bkp_report_format format,
    bkp_bytes_fn *fn, void *arg, struct bkp_error *err)
{
	struct bkp_report_text out = BKP_REPORT_TEXT_INIT;
	int rc = make(report, format, NULL, &out, err);

	if (rc == 0)
		rc = fn(arg, out.buf.data, out.buf.len, err);
	fmt_buf_free(&out.buf);
	return rc;
}

int
bkp_report_save(const struct bkp_report *report, enum bkp_report_format format,
    const char *file, struct bkp_error *err)
{
	struct bkp_report_text out = BKP_REPORT_TEXT_INIT;
	struct fmt_buf before = FMT_BUF_INIT;
	const char *text = NULL;
	int rc;

	/* What cannot be read says nothing. */
	if (format == BKP_REPORT_PROMETHEUS &&
	    bkp_report_file_read(file, &before) == 0)
		text = fmt_buf_text(&before);
	rc = make(report, format, text, &out, err);
	if (rc == 0)
		rc =
		    bkp_report_file_write(file, out.buf.data, out.buf.len, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "writing the report %s", file);
	fmt_buf_free(&before);
	fmt_buf_free(&out.buf);
	return rc;
}
