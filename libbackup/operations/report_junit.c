/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JUnit's XML as CI servers read it (the schema of Jenkins' xUnit plugin): a
 * suite a source, a case a check. Where there is no verdict there is one case,
 * with an error: an empty report would be a green one.
 */
#include <string.h>

#include "libbackup/operations/report_impl.h"
#include "libbackup/version.h"

static void
add_property(struct bkp_report_text *out, const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	bkp_report_addf(out, "<property name=\"%s\" value=\"", name);
	bkp_report_markup(out, value);
	bkp_report_add(out, "\"/>\n");
}

static void
add_seconds(struct bkp_report_text *out, uint64_t ms)
{
	bkp_report_addf(out, "%llu.%03llu", (unsigned long long)(ms / 1000),
	    (unsigned long long)(ms % 1000));
}

static void
add_number_property(
    struct bkp_report_text *out, const char *name, uint64_t value)
{
	bkp_report_addf(out, "<property name=\"%s\" value=\"%llu\"/>\n", name,
	    (unsigned long long)value);
}

static void
add_time_property(struct bkp_report_text *out, const char *name, uint64_t ms)
{
	bkp_report_addf(out, "<property name=\"%s\" value=\"", name);
	add_seconds(out, ms);
	bkp_report_add(out, "\"/>\n");
}

static void
add_result_properties(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_verify_result *result = reported->result;

	add_property(out, "snapshot", result->snapshot);
	add_property(out, "snapshot_time",
	    bkp_words_iso(result->snapshot_time_us, 1).text);
	if (reported->snapshot != NULL)
		add_property(out, "snapshot_host", reported->snapshot->host);
	add_property(out, "level", bkp_level_word(result->level));
	add_property(out, "is_whole",
	    bkp_reported_is_whole(reported) ? "true" : "false");
	if (result->recovery_ms > 0)
		add_time_property(out, "rto_seconds", result->recovery_ms);
	add_time_property(out, "rpo_seconds", result->age_ms);
	add_number_property(out, "rows", result->rows);
	add_number_property(out, "objects", result->objects);
	add_number_property(out, "files", result->files);
}

static void
add_properties(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_report *report = reported->report;

	bkp_report_add(out, "<properties>\n");
	add_property(out, "outcome", bkp_outcome_word(reported->outcome));
	add_property(out, "program", "libbackup " BKP_VERSION);
	add_property(out, "host", reported->host);
	add_property(out, "repository", report->repository);
	add_property(out, "path", report->path);
	if (reported->result != NULL)
		add_result_properties(reported, out);
	bkp_report_add(out, "</properties>\n");
}

static uint64_t
duration_of(const struct bkp_reported *reported)
{
	const struct bkp_report *report = reported->report;

	if (reported->result != NULL)
		return reported->result->duration_ms;
	return report->ended_us > report->began_us
		   ? (uint64_t)(report->ended_us - report->began_us) / 1000
		   : 0;
}

static void
add_counts(struct bkp_report_text *out, size_t tests, size_t failures,
    size_t errors, size_t skipped)
{
	bkp_report_addf(out,
	    " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"",
	    tests, failures, errors, skipped);
}

/* Times of XML Schema without a zone: UTC. */
static void
add_when(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	bkp_report_addf(out, " timestamp=\"%s\" hostname=\"",
	    bkp_words_iso(reported->report->began_us, 0).text);
	bkp_report_markup(out, reported->host);
	bkp_report_add(out, "\"");
}

/* How many lines before this one speak of the same: readers merge cases that
 * have one name. */
static size_t
lines_before(const struct bkp_reported *reported, size_t n)
{
	const struct bkp_check *checks = reported->result->checks;
	size_t count = 0;

	while (count < n &&
	       strcmp(checks[n - count - 1].name, checks[n].name) == 0)
		count++;
	return count;
}

static void
add_case(
    const struct bkp_reported *reported, size_t n, struct bkp_report_text *out)
{
	const struct bkp_reported_source *source =
	    &reported->sources[reported->of[n]];
	const struct bkp_check *check = &reported->result->checks[n];
	size_t before = lines_before(reported, n);
	const char *what = check->what != NULL ? check->what : "";
	const char *element =
	    check->status == BKP_CHECK_FAIL ? "failure" : "skipped";

	bkp_report_add(out, "<testcase classname=\"");
	bkp_reported_name(out, source);
	bkp_report_add(out, "\" name=\"");
	bkp_report_path(out, bkp_reported_rest(source, check->name));
	if (before > 0)
		bkp_report_addf(out, " (%zu)", before + 1);
	bkp_report_add(out, "\" time=\"");
	add_seconds(out, check->duration_ms);
	if (check->status == BKP_CHECK_PASS) {
		bkp_report_add(out, "\">\n<system-out>");
		bkp_report_markup(out, what);
		bkp_report_add(out, "</system-out>\n</testcase>\n");
		return;
	}
	bkp_report_addf(out, "\">\n<%s message=\"", element);
	bkp_report_markup(out, what);
	if (check->status == BKP_CHECK_SKIP) {
		bkp_report_add(out, "\"/>\n</testcase>\n");
		return;
	}
	bkp_report_add(out, "\" type=\"failure\">");
	bkp_report_path(out, check->name);
	bkp_report_add(out, ": ");
	bkp_report_markup(out, what);
	bkp_report_addf(out, "</%s>\n</testcase>\n", element);
}

static void
add_suite(
    const struct bkp_reported *reported, size_t n, struct bkp_report_text *out)
{
	const struct bkp_reported_source *source = &reported->sources[n];

	bkp_report_add(out, "<testsuite name=\"");
	bkp_reported_name(out, source);
	bkp_report_add(out, "\"");
	add_counts(out, source->lines, source->failed, 0, source->skipped);
	add_when(reported, out);
	bkp_report_add(out, ">\n");
	add_properties(reported, out);
	for (size_t i = source->first; i < reported->lines; i++)
		if (reported->of[i] == n)
			add_case(reported, i, out);
	bkp_report_add(out, "</testsuite>\n");
}

/* One case that is red: `element` is "error" or "failure". */
static void
add_lone_suite(const struct bkp_reported *reported, const char *element,
    const char *why, struct bkp_report_text *out)
{
	bool is_error = element[0] == 'e';

	bkp_report_add(out, "<testsuite name=\"verification\"");
	add_counts(out, 1, is_error ? 0 : 1, is_error ? 1 : 0, 0);
	add_when(reported, out);
	bkp_report_add(out, ">\n");
	add_properties(reported, out);
	bkp_report_addf(out,
	    "<testcase classname=\"verification\" name=\"verdict\">\n"
	    "<%s message=\"",
	    element);
	bkp_report_markup(out, why);
	bkp_report_addf(
	    out, "\" type=\"%s\">", bkp_outcome_word(reported->outcome));
	bkp_report_markup(out, why);
	bkp_report_addf(out, "</%s>\n</testcase>\n</testsuite>\n", element);
}

void
bkp_report_junit(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	bool has_verdict = reported->result != NULL;
	/* Not proven, and no line says why: red all the same. */
	bool is_unsaid = reported->outcome == BKP_OUTCOME_FAILED &&
			 reported->failed_lines == 0;
	size_t lone = !has_verdict || is_unsaid ? 1 : 0;

	bkp_report_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			    "<testsuites name=\"backup-verify\"");
	add_counts(out, reported->lines + lone,
	    reported->failed_lines + (is_unsaid ? 1 : 0), has_verdict ? 0 : 1,
	    reported->skipped_lines);
	bkp_report_add(out, " time=\"");
	add_seconds(out, duration_of(reported));
	bkp_report_add(out, "\">\n");
	if (!has_verdict)
		add_lone_suite(
		    reported, "error", bkp_reported_why(reported), out);
	else if (is_unsaid)
		add_lone_suite(reported, "failure", "nothing is proven", out);
	for (size_t i = 0; i < reported->source_count; i++)
		add_suite(reported, i, out);
	bkp_report_add(out, "</testsuites>\n");
}
