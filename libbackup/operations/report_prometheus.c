/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format, for the textfile collector. Moments are absolute,
 * so that the server computes ages; labels are the repository and, where only
 * a part of it was tried, which: names of snapshots and tables would make a new
 * series each night.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/operations/report_impl.h"

#define PREFIX "libbackup_verify_"
#define PROVEN PREFIX "last_proven_timestamp_seconds"

/* {repository="...",path="..."} and, where `status` is not NULL, that. */
static void
add_labels(const struct bkp_reported *reported, const char *status,
    struct bkp_report_text *out)
{
	const struct bkp_report *report = reported->report;

	bkp_report_add(out, "{repository=\"");
	if (report->repository != NULL)
		bkp_report_label(out, report->repository);
	bkp_report_add(out, "\"");
	if (report->path != NULL && report->path[0] != '\0') {
		bkp_report_add(out, ",path=\"");
		bkp_report_label(out, report->path);
		bkp_report_add(out, "\"");
	}
	if (status != NULL)
		bkp_report_addf(out, ",status=\"%s\"", status);
	bkp_report_add(out, "} ");
}

static void
add_head(struct bkp_report_text *out, const char *name, const char *help)
{
	bkp_report_addf(
	    out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void
add_number(const struct bkp_reported *reported, const char *name,
    const char *help, uint64_t value, struct bkp_report_text *out)
{
	add_head(out, name, help);
	bkp_report_add(out, name);
	add_labels(reported, NULL, out);
	bkp_report_addf(out, "%llu\n", (unsigned long long)value);
}

/* Whole milliseconds, without the rounding of a double. */
static void
add_milliseconds(const struct bkp_reported *reported, const char *name,
    const char *help, int64_t ms, struct bkp_report_text *out)
{
	uint64_t magnitude = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

	add_head(out, name, help);
	bkp_report_add(out, name);
	add_labels(reported, NULL, out);
	bkp_report_addf(out, "%s%llu.%03llu\n", ms < 0 ? "-" : "",
	    (unsigned long long)(magnitude / 1000),
	    (unsigned long long)(magnitude % 1000));
}

static void
add_checks(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	static const char name[] = PREFIX "checks";
	const struct bkp_verify_result *result = reported->result;
	const struct {
		const char *status;
		uint64_t count;
	} counts[] = {{"passed", result->passed}, {"failed", result->failed},
	    {"skipped", result->skipped}};

	add_head(out, name, "Checks of the last verification, by outcome.");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bkp_report_add(out, name);
		add_labels(reported, counts[i].status, out);
		bkp_report_addf(
		    out, "%llu\n", (unsigned long long)counts[i].count);
	}
}

static void
add_result(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_verify_result *result = reported->result;

	add_number(reported, PREFIX "is_whole",
	    "Whether the verdict is about all of the snapshot, restored.",
	    bkp_reported_is_whole(reported) ? 1 : 0, out);
	add_checks(reported, out);
	add_milliseconds(reported, PREFIX "duration_seconds",
	    "How long the last verification took.",
	    (int64_t)result->duration_ms, out);
	if (result->recovery_ms > 0)
		add_milliseconds(reported, PREFIX "recovery_seconds",
		    "How long it took until all was restored (RTO).",
		    (int64_t)result->recovery_ms, out);
	add_milliseconds(reported, PREFIX "snapshot_timestamp_seconds",
	    "The moment that the verified snapshot holds (RPO: since then).",
	    result->snapshot_time_us / 1000, out);
	add_number(reported, PREFIX "rows",
	    "Rows that were compared and agree.", result->rows, out);
	add_number(reported, PREFIX "objects",
	    "Objects that were compared and agree.", result->objects, out);
	add_number(reported, PREFIX "files",
	    "Files that were compared and agree.", result->files, out);
	add_number(reported, PREFIX "omissions",
	    "What was left out when the verified snapshot was made.",
	    result->omission_count, out);
}

void
bkp_report_prometheus(const struct bkp_reported *reported, int64_t proven_us,
    struct bkp_report_text *out)
{
	bool is_proven = reported->outcome == BKP_OUTCOME_PROVEN ||
			 reported->outcome == BKP_OUTCOME_DEGRADED;

	add_number(reported, PREFIX "success",
	    "Whether the last verification proved the snapshot.",
	    is_proven ? 1 : 0, out);
	add_number(reported, PREFIX "verdict",
	    "Whether the last verification came to a verdict, good or bad.",
	    reported->result != NULL ? 1 : 0, out);
	add_milliseconds(reported, PREFIX "last_run_timestamp_seconds",
	    "When the last verification ended.",
	    reported->report->ended_us / 1000, out);
	if (proven_us != 0)
		add_milliseconds(reported, PROVEN,
		    "When a whole snapshot was last proven.", proven_us / 1000,
		    out);
	if (reported->result != NULL)
		add_result(reported, out);
}

int64_t
bkp_report_prometheus_proven(
    const struct bkp_reported *reported, const char *text)
{
	struct bkp_report_text start = BKP_REPORT_TEXT_INIT;
	const char *wanted = NULL, *line = text;
	double seconds = 0;
	size_t len;

	bkp_report_add(&start, PROVEN);
	add_labels(reported, NULL, &start);
	if (start.status == FMT_OK)
		wanted = fmt_buf_text(&start.buf);
	len = wanted != NULL ? strlen(wanted) : 0;
	while (wanted != NULL && line != NULL && *line != '\0') {
		if (strncmp(line, wanted, len) == 0)
			seconds = strtod(line + len, NULL);
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	fmt_buf_free(&start.buf);
	return seconds > 0 && seconds < 1e12 ? (int64_t)(seconds * 1e6) : 0;
}
