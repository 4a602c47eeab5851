/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page for people: one file, no script, nothing from elsewhere. The
 * verdict in words first, then what it rests on, what failed and what to do,
 * the sources, the history, and every check.
 */
#include <stdio.h>
#include <string.h>

#include "libbackup/operations/report_advice.h"
#include "libbackup/operations/report_history.h"
#include "libbackup/operations/report_style.h"
#include "libbackup/version.h"

/* A page that a telephone still opens; the report in JSON has all. */
#define FAILED_MOST 500
#define SKIPPED_MOST 200
#define CHECKS_MOST 2000

static bool
is_good(const struct bkp_reported *reported)
{
	return reported->outcome == BKP_OUTCOME_PROVEN ||
	       reported->outcome == BKP_OUTCOME_DEGRADED;
}

static bool
is_live(const struct bkp_reported *reported)
{
	return reported->report->mode == BKP_VERIFY_LIVE;
}

/* Text from outside, kept from turning around what stands beside it. */
static void
put_text(struct bkp_report_text *out, const char *text)
{
	bkp_report_add(out, "<bdi>");
	bkp_report_markup(out, text);
	bkp_report_add(out, "</bdi>");
}

static void
put_path(struct bkp_report_text *out, const char *path)
{
	bkp_report_add(out, "<bdi>");
	bkp_report_path(out, path);
	bkp_report_add(out, "</bdi>");
}

/* ---- the verdict ---- */

/* What agrees, of a restore or of what is in use, and of a part or the whole:
 * by itself, of a backup that has gaps, and outside of the limits. */
static const struct agreed {
	const char *plain, *has_gaps, *is_late;
} agreed[2][2] = {
    {{"What was tried of this backup restores",
	 "What was tried of this backup restores, but it has gaps",
	 "What was tried of this backup restores, but not within the limits"},
	{"This backup restores", "This backup restores, but it has gaps",
	    "This backup restores, but not within the limits"}},
    {{"What was looked at of what is in use agrees with the backup",
	 "What was looked at of what is in use agrees with a backup that has "
	 "gaps",
	 "What was looked at of what is in use agrees with the backup, but not "
	 "within the limits"},
	{"What is in use agrees with the backup",
	    "What is in use agrees with a backup that has gaps",
	    "What is in use agrees with the backup, but not within the "
	    "limits"}}};

static const char *
headline(const struct bkp_reported *reported)
{
	bool is_all = reported->result != NULL && reported->result->is_whole;
	const struct agreed *words = &agreed[is_live(reported)][is_all];

	switch (reported->outcome) {
	case BKP_OUTCOME_PROVEN:
		return words->plain;
	case BKP_OUTCOME_DEGRADED:
		return words->has_gaps;
	case BKP_OUTCOME_FAILED:
		if (bkp_reported_is_late(reported))
			return words->is_late;
		return is_live(reported)
			   ? "What is in use differs from the backup"
			   : "This backup is not proven";
	case BKP_OUTCOME_UNFINISHED:
		return "There is no verdict yet";
	default:
		return "There is no verdict";
	}
}

static const char *
icon(const struct bkp_reported *reported)
{
	return reported->outcome == BKP_OUTCOME_PROVEN
		   ? "<path d=\"M9 21l8 8 14-17\"/>"
	       : reported->outcome == BKP_OUTCOME_FAILED
		   ? "<path d=\"M11 11l18 18m0-18l-18 18\"/>"
		   : "<path d=\"M20 9v14m0 6v2\"/>";
}

/* "Snapshot 3f2a9c010000 of 2026-11-21 03:00 UTC (db1)" */
static void
put_snapshot(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_verify_result *result = reported->result;

	bkp_report_addf(
	    out, "Snapshot <code>%.12s</code> of ", result->snapshot);
	bkp_report_time(out, result->snapshot_time_us);
	if (reported->snapshot != NULL) {
		bkp_report_add(out, " (");
		put_text(out, reported->snapshot->host);
		bkp_report_add(out, ")");
	}
}

static void
put_what_was_done(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	put_snapshot(reported, out);
	if (is_live(reported))
		bkp_report_add(
		    out, " was compared with the places that are in use, by ");
	else
		bkp_report_addf(out,
		    " was %s and compared with what was recorded when it was "
		    "made, on ",
		    reported->result->level == BKP_LEVEL_FULL
			? reported->result->is_whole
			      ? "restored into scratch places"
			      : "restored in part into scratch places"
		    : reported->result->level == BKP_LEVEL_SAMPLE
			? "read in part, its structure restored into scratch "
			  "places,"
			: "restored into scratch places without its contents");
	put_text(out, reported->host);
	bkp_report_add(out, ", on ");
	bkp_report_time(out, reported->report->ended_us);
	bkp_report_add(out, ". ");
}

static void
put_gaps(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_verify_result *result = reported->result;
	/* What was left out has a skipped line, too. */
	uint64_t untried = result->skipped > result->omission_count
			       ? result->skipped - result->omission_count
			       : 0;

	if (result->omission_count > 0)
		bkp_report_addf(out,
		    "%s thing%s left out when the backup was made, and no "
		    "restore brings %s back. ",
		    bkp_words_count(result->omission_count).text,
		    result->omission_count == 1 ? " was" : "s were",
		    result->omission_count == 1 ? "it" : "them");
	if (reported->report->path != NULL &&
	    reported->report->path[0] != '\0') {
		bkp_report_add(out, "Only a part was tried: ");
		put_path(out, reported->report->path);
		bkp_report_add(out, ". ");
	}
	if (result->level != BKP_LEVEL_FULL)
		bkp_report_addf(out,
		    "The level was <em>%s</em>: not every content was looked "
		    "at. ",
		    bkp_level_word(result->level));
	else if (!result->is_whole && (reported->report->path == NULL ||
					  reported->report->path[0] == '\0'))
		bkp_report_add(out, "Not everything was looked at. ");
	if (untried > 0)
		bkp_report_addf(out,
		    "<strong>%s thing%s not tried, or not wholly</strong>, as "
		    "told below. ",
		    bkp_words_count(untried).text,
		    untried == 1 ? " was" : "s were");
}

static void
put_sentence(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_verify_result *result = reported->result;

	if (result == NULL) {
		bkp_report_add(out,
		    reported->outcome == BKP_OUTCOME_ERROR
			? "The verification failed before it could tell "
			  "whether the backup restores: "
		    : reported->outcome == BKP_OUTCOME_CANCELLED
			? "The verification was stopped before it could tell "
			  "whether the backup restores: "
			: "");
		put_text(out, bkp_reported_why(reported));
		bkp_report_add(out, ".");
		return;
	}
	put_what_was_done(reported, out);
	if (is_good(reported))
		bkp_report_addf(out, "All %s checks agree. ",
		    bkp_words_count(result->passed).text);
	else
		bkp_report_addf(out,
		    "<strong>%s of %s checks failed.</strong> ",
		    bkp_words_count(result->failed).text,
		    bkp_words_count(result->passed + result->failed).text);
	put_gaps(reported, out);
}

static void
put_verdict(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	static const char *const classes[] = {
	    [BKP_OUTCOME_PROVEN] = "good",
	    [BKP_OUTCOME_DEGRADED] = "warn",
	    [BKP_OUTCOME_FAILED] = "bad",
	    [BKP_OUTCOME_ERROR] = "warn",
	    [BKP_OUTCOME_CANCELLED] = "warn",
	    [BKP_OUTCOME_UNFINISHED] = "warn",
	};

	bkp_report_addf(out,
	    "<header class=\"%s\"><svg width=\"40\" height=\"40\" "
	    "aria-hidden=\"true\"><circle cx=\"20\" cy=\"20\" r=\"19\"/>%s"
	    "</svg><div><h1>%s</h1>\n<p>",
	    classes[reported->outcome], icon(reported), headline(reported));
	put_sentence(reported, out);
	bkp_report_add(out, "</p></div></header>\n");
}

/* ---- the facts ---- */

static void
put_fact(struct bkp_report_text *out, const char *name, const char *value,
    const char *note)
{
	bkp_report_addf(out, "<div><dt>%s</dt><dd>%s", name, value);
	if (note != NULL)
		bkp_report_addf(out, "<small>%s</small>", note);
	bkp_report_add(out, "</dd></div>\n");
}

static void
put_facts(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_verify_result *result = reported->result;

	if (result == NULL)
		return;
	bkp_report_add(
	    out, "<h2>What was compared</h2>\n<dl class=\"facts\">\n");
	if (result->rows > 0)
		put_fact(out, "Rows", bkp_words_count(result->rows).text, NULL);
	if (result->objects > 0)
		put_fact(out, "Objects", bkp_words_count(result->objects).text,
		    NULL);
	if (result->files > 0)
		put_fact(
		    out, "Files", bkp_words_count(result->files).text, NULL);
	if (result->rows == 0 && result->objects == 0 && result->files == 0)
		put_fact(out, "Rows, objects, files", "none", NULL);
	if (result->recovery_ms > 0)
		put_fact(out, "Time to restore",
		    bkp_words_duration(result->recovery_ms).text,
		    "RTO, measured on this machine");
	put_fact(out, "Age of the snapshot",
	    bkp_words_age((int64_t)result->age_ms * 1000).text,
	    "RPO: what would be lost");
	put_fact(out, "Took in all",
	    bkp_words_duration(result->duration_ms).text, NULL);
	bkp_report_add(out, "</dl>\n");
}

/* ---- checks ---- */

static void
put_check(const struct bkp_check *check, struct bkp_report_text *out)
{
	bkp_report_add(out, "<strong>");
	put_path(out, check->name);
	bkp_report_add(out, "</strong>");
	if (check->what != NULL && check->what[0] != '\0') {
		bkp_report_add(out, "<br>");
		put_text(out, check->what);
	}
}

static void
put_more(struct bkp_report_text *out, size_t more)
{
	if (more > 0)
		bkp_report_addf(out,
		    "<p class=\"dim\">And %s more; the report in JSON has all "
		    "of them.</p>\n",
		    bkp_words_count(more).text);
}

/* All lines of one status, as far as they are listed. */
static void
put_lines(const struct bkp_reported *reported, enum bkp_check_status status,
    size_t most, const char *class, struct bkp_report_text *out)
{
	size_t listed = 0, more = 0;

	bkp_report_addf(out, "<ul class=\"%s\">\n", class);
	for (size_t i = 0; i < reported->lines; i++) {
		const struct bkp_check *check = &reported->result->checks[i];

		if (check->status != status)
			continue;
		if (listed == most) {
			more++;
			continue;
		}
		listed++;
		bkp_report_add(out, "<li>");
		put_check(check, out);
		bkp_report_add(out, "</li>\n");
	}
	bkp_report_add(out, "</ul>\n");
	put_more(out, more);
}

static void
put_failures(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	if (reported->failed_lines > 0) {
		bkp_report_add(out, "<h2>What failed</h2>\n");
		put_lines(
		    reported, BKP_CHECK_FAIL, FAILED_MOST, "failures", out);
	} else if (reported->outcome == BKP_OUTCOME_FAILED) {
		bkp_report_add(out,
		    "<h2>What failed</h2>\n<p>Nothing was compared, so "
		    "nothing is proven.</p>\n");
	}
	bkp_report_advice(reported, out);
	if (reported->skipped_lines == 0)
		return;
	bkp_report_add(out, "<h2>What was not tried, or not wholly</h2>\n");
	put_lines(reported, BKP_CHECK_SKIP, SKIPPED_MOST, "skips", out);
}

/* ---- sources ---- */

/* Age and times are not proven: they are within their limits. */
static const char *
source_verdict(const struct bkp_reported_source *source)
{
	if (source->failed > 0)
		return "failed";
	if (source->agreed == 0)
		return "not tried";
	return source->name_len > 0 ? "proven" : "in order";
}

static void
put_source(
    const struct bkp_reported_source *source, struct bkp_report_text *out)
{
	bkp_report_add(out, "<tr><td data-label=\"Source\"><div><bdi>");
	if (source->name_len == 0)
		bkp_report_add(out, "the snapshot as a whole");
	else
		bkp_reported_name(out, source);
	bkp_report_addf(out,
	    "</bdi></div></td><td data-label=\"Verdict\"><span class=\"%s\">"
	    "%s</span></td><td data-label=\"Agree\" class=\"number\">%s</td>"
	    "<td data-label=\"Failed\" class=\"number\">%s</td>"
	    "<td data-label=\"Not tried\" class=\"number\">%s</td></tr>\n",
	    source->failed > 0   ? "bad"
	    : source->agreed > 0 ? "good"
				 : "warn",
	    source_verdict(source), bkp_words_count(source->agreed).text,
	    bkp_words_count(source->failed).text,
	    bkp_words_count(source->skipped).text);
}

static void
put_sources(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	if (reported->source_count == 0)
		return;
	bkp_report_add(out,
	    "<h2>By source</h2>\n<table>\n<thead><tr>"
	    "<th scope=\"col\">Source</th><th scope=\"col\">Verdict</th>"
	    "<th scope=\"col\" class=\"number\">Agree</th>"
	    "<th scope=\"col\" class=\"number\">Failed</th>"
	    "<th scope=\"col\" class=\"number\">Not tried</th></tr></thead>\n"
	    "<tbody>\n");
	for (size_t i = 0; i < reported->source_count; i++)
		put_source(&reported->sources[i], out);
	bkp_report_add(out, "</tbody>\n</table>\n");
}

/* ---- every check, and where all this comes from ---- */

static void
put_checks(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	static const char *const words[] = {[BKP_CHECK_PASS] = "passed",
	    [BKP_CHECK_FAIL] = "failed",
	    [BKP_CHECK_SKIP] = "skipped"};
	static const char *const classes[] = {[BKP_CHECK_PASS] = "good",
	    [BKP_CHECK_FAIL] = "bad",
	    [BKP_CHECK_SKIP] = "warn"};
	size_t most =
	    reported->lines < CHECKS_MOST ? reported->lines : CHECKS_MOST;

	if (reported->lines == 0)
		return;
	bkp_report_addf(out,
	    "<h2>Every check</h2>\n<details><summary>%s line%s</summary>\n"
	    "<ul class=\"checks\">\n",
	    bkp_words_count(reported->lines).text,
	    reported->lines == 1 ? "" : "s");
	for (size_t i = 0; i < most; i++) {
		const struct bkp_check *check = &reported->result->checks[i];

		bkp_report_addf(out, "<li><span class=\"%s\">%s</span> ",
		    classes[check->status], words[check->status]);
		put_check(check, out);
		bkp_report_add(out, "</li>\n");
	}
	bkp_report_add(out, "</ul>\n");
	put_more(out, reported->lines - most);
	bkp_report_add(out, "</details>\n");
}

static void
put_origin(struct bkp_report_text *out, const char *name, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	bkp_report_addf(out, "<div><dt>%s</dt><dd>", name);
	put_text(out, text);
	bkp_report_add(out, "</dd></div>\n");
}

static void
put_origins(const struct bkp_reported *reported, struct bkp_report_text *out)
{
	const struct bkp_report *report = reported->report;

	bkp_report_add(out, "<footer><dl>\n");
	if (reported->result != NULL)
		put_origin(out, "Snapshot", reported->result->snapshot);
	else
		put_origin(out, "Snapshot asked for",
		    report->snapshot != NULL ? report->snapshot : "latest");
	put_origin(out, "Part", report->path);
	put_origin(out, "Repository", report->repository);
	put_origin(out, "Verified on", reported->host);
	put_origin(out, "Began", bkp_words_time(report->began_us).text);
	if (report->ended_us > 0)
		put_origin(out, "Ended", bkp_words_time(report->ended_us).text);
	put_origin(out, "By", "backup-verify, libbackup " BKP_VERSION);
	bkp_report_add(out, "</dl></footer>\n");
}

void
bkp_report_html(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	bkp_report_add(out, bkp_report_page_head);
	bkp_report_addf(
	    out, "<title>%s</title>\n<style>\n", headline(reported));
	bkp_report_add(out, bkp_report_page_style);
	bkp_report_add(out, "</style>\n</head>\n<body>\n<main>\n");
	put_verdict(reported, out);
	put_facts(reported, out);
	put_failures(reported, out);
	put_sources(reported, out);
	bkp_report_history(reported, out);
	put_checks(reported, out);
	put_origins(reported, out);
	bkp_report_add(out, "</main>\n</body>\n</html>\n");
}
