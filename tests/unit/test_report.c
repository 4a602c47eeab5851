/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: every form holds hostile names, says what is so, and is there
 * whole or not at all. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <expat.h>
#include <jansson.h>

#include "libbackup/operations/report_text.h"
#include "libbackup/report.h"
#include "tests/unit/failing_alloc.h"

#define NAME "3f2a9c0100000000000000000000000000000000000000000000000000000000"
#define HOUR_US ((int64_t)3600 * 1000000)
#define NOW ((int64_t)1763748000 * 1000000) /* 2025-11-21T18:00:00Z */

static const char hostile[] =
    "bucket/up/a\"<script>&'\n\t\001\033[31m\177\xff\xc0\x80\xed\xa0\x80"
    "\xef\xbf\xbe\xc2\x85%41]]>\xe2\x80\xae";

static const struct bkp_check checks[] = {
    {BKP_CHECK_PASS, "postgres/app/shop/data/public.users",
	"1000 rows, row hash equal", 1, 0},
    {BKP_CHECK_PASS, "files/stack", "20 entries equal", 20, 0},
    {BKP_CHECK_SKIP, "command/redis", "not put into a server", 1, 0},
    {BKP_CHECK_FAIL, hostile, hostile, 1, 2500},
    {BKP_CHECK_PASS, "verdict", NULL, 1, 0},
};

static struct bkp_verify_result
result_of(bool is_proven)
{
	return (struct bkp_verify_result){.snapshot = NAME,
	    .is_proven = is_proven,
	    .checks = checks,
	    .check_count = is_proven ? 3 : 5,
	    .passed = is_proven ? 21 : 22,
	    .failed = is_proven ? 0 : 1,
	    .skipped = 1,
	    .rows = 1000,
	    .files = 20,
	    .duration_ms = 61500,
	    .level = BKP_LEVEL_FULL,
	    .is_whole = 1,
	    .snapshot_time_us = NOW - 9 * HOUR_US,
	    .age_ms = 9 * 3600 * 1000,
	    .recovery_ms = 42000};
}

static struct bkp_report
report_of(const struct bkp_verify_result *result, const struct bkp_error *error)
{
	struct bkp_report report = BKP_REPORT_INIT;

	report.result = result;
	report.error = error;
	report.repository = "/srv/\"backup\"\n";
	report.began_us = NOW;
	report.ended_us = NOW + 61500000;
	report.host = "ci-7<&\"\xff";
	return report;
}

static int
keep(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)err;
	return fmt_buf_append(arg, data, len) == FMT_OK ? 0 : -1;
}

/* The report as a string, the caller's to free. */
static char *
put(const struct bkp_report *report, enum bkp_report_format format)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	if (bkp_report_put(report, format, keep, &buf, &err) < 0)
		fail_msg("%s", err.message);
	assert_non_null(fmt_buf_text(&buf));
	return (char *)buf.data;
}

static void
says(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("it lacks %s:\n%s", what, text);
}

static void
lacks(const char *text, const char *what)
{
	if (strstr(text, what) != NULL)
		fail_msg("it says %s:\n%s", what, text);
}

/* ---- JUnit ---- */

/* What a parser of XML sees. */
struct seen {
	unsigned cases, failures, errors, skipped, suites;
	unsigned said[4]; /* tests, failures, errors, skipped, of the whole */
	char message[512];
};

static void
on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct seen *seen = arg;

	seen->cases += strcmp(name, "testcase") == 0;
	seen->failures += strcmp(name, "failure") == 0;
	seen->errors += strcmp(name, "error") == 0;
	seen->skipped += strcmp(name, "skipped") == 0;
	seen->suites += strcmp(name, "testsuite") == 0;
	for (size_t i = 0; attributes[i] != NULL; i += 2) {
		static const char *const names[] = {
		    "tests", "failures", "errors", "skipped"};

		for (size_t k = 0; k < 4; k++)
			if (strcmp(name, "testsuites") == 0 &&
			    strcmp(attributes[i], names[k]) == 0)
				seen->said[k] = (unsigned)strtoul(
				    attributes[i + 1], NULL, 10);
		if (strcmp(attributes[i], "message") == 0)
			(void)snprintf(seen->message, sizeof(seen->message),
			    "%s", attributes[i + 1]);
	}
}

static struct seen
parse(const char *text)
{
	XML_Parser parser = XML_ParserCreate(NULL);
	struct seen seen = {.cases = 0};

	assert_non_null(parser);
	XML_SetUserData(parser, &seen);
	XML_SetStartElementHandler(parser, on_start);
	if (XML_Parse(parser, text, (int)strlen(text), XML_TRUE) !=
	    XML_STATUS_OK)
		fail_msg("line %lu: %s:\n%s",
		    (unsigned long)XML_GetCurrentLineNumber(parser),
		    XML_ErrorString(XML_GetErrorCode(parser)), text);
	XML_ParserFree(parser);
	assert_int_equal(seen.said[0], seen.cases);
	assert_int_equal(seen.said[1], seen.failures);
	assert_int_equal(seen.said[2], seen.errors);
	assert_int_equal(seen.said[3], seen.skipped);
	return seen;
}

static void
junit_has_a_case_for_each_check_and_counts_them(void **state)
{
	struct bkp_verify_result result = result_of(false);
	struct bkp_report report = report_of(&result, NULL);
	char *text = put(&report, BKP_REPORT_JUNIT);
	struct seen seen = parse(text);

	(void)state;
	assert_int_equal(seen.cases, 5);
	assert_int_equal(seen.failures, 1);
	assert_int_equal(seen.skipped, 1);
	assert_int_equal(seen.errors, 0);
	assert_int_equal(seen.suites, 5);
	says(text, "<testsuite name=\"postgres/app\" tests=\"1\"");
	says(text, "classname=\"postgres/app\" "
		   "name=\"shop/data/public.users\"");
	says(text, "timestamp=\"2025-11-21T18:00:00\"");
	says(text, "<property name=\"rto_seconds\" value=\"42.000\"/>");
	says(text, "<property name=\"rpo_seconds\" value=\"32400.000\"/>");
	says(text, " time=\"61.500\"");
	says(text, " time=\"2.500\">\n<failure message=\"");
	assert_string_equal(seen.message,
	    "bucket/up/a\"<script>&'\n\t%01%1B[31m%7F%FF%C0%80%ED%A0%80"
	    "%EF%BF%BE%C2%85%41]]>\xe2\x80\xae");
	free(text);
}

static void
each_check_is_told_with_its_source(void **state)
{
	static const struct bkp_check these[] = {
	    {BKP_CHECK_PASS, "bucket/up/a", "equal", 1, 0},
	    {BKP_CHECK_PASS, "bucket/up@versions/a #1", "equal", 1, 0},
	    {BKP_CHECK_SKIP, "bucket/up@versions/a #1", "not tried", 1, 0},
	    {BKP_CHECK_PASS, "bucket/upper", "equal", 1, 0},
	    {BKP_CHECK_PASS, "age", "1 h", 1, 0},
	};
	struct bkp_verify_result result = result_of(true);
	struct bkp_report report = report_of(&result, NULL);
	char *text;

	(void)state;
	result.checks = these;
	result.check_count = 5;
	text = put(&report, BKP_REPORT_JUNIT);
	assert_int_equal(parse(text).suites, 3);
	says(text, "<testsuite name=\"bucket/up\" tests=\"3\"");
	says(text, "<testsuite name=\"bucket/upper\" tests=\"1\"");
	says(text, "<testsuite name=\"snapshot\" tests=\"1\"");
	/* Readers merge cases of one name. */
	says(text, "name=\"bucket/up@versions/a #1 (2)\"");
	free(text);
}

static void
junit_without_a_verdict_is_red(void **state)
{
	struct bkp_error error = {BKP_IO, 0, "the server\001went away"};
	struct bkp_report report = report_of(NULL, &error);
	char *text = put(&report, BKP_REPORT_JUNIT);
	struct seen seen = parse(text);

	(void)state;
	assert_int_equal(seen.cases, 1);
	assert_int_equal(seen.errors, 1);
	assert_string_equal(seen.message, "the server%01went away");
	free(text);
	report.error = NULL;
	text = put(&report, BKP_REPORT_JUNIT);
	seen = parse(text);
	assert_int_equal(seen.errors, 1);
	says(text, "type=\"unfinished\"");
	free(text);
}

static void
a_verdict_that_no_check_explains_is_red(void **state)
{
	struct bkp_verify_result result = result_of(true);
	struct bkp_report report = report_of(&result, NULL);
	char *text;

	(void)state;
	result.is_proven = 0;
	text = put(&report, BKP_REPORT_JUNIT);
	assert_int_equal(parse(text).failures, 1);
	free(text);
	/* Nor is a verdict believed that its counts contradict. */
	result.is_proven = 1;
	result.passed = 0;
	text = put(&report, BKP_REPORT_JUNIT);
	assert_int_equal(parse(text).failures, 1);
	free(text);
}

/* ---- JSON ---- */

static void
json_says_what_junit_says(void **state)
{
	struct bkp_verify_result result = result_of(false);
	struct bkp_report report = report_of(&result, NULL);
	char *text = put(&report, BKP_REPORT_JSON);
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const json_t *check;

	(void)state;
	assert_non_null(root);
	assert_string_equal(
	    json_string_value(json_object_get(root, "outcome")), "not proven");
	assert_true(json_is_false(json_object_get(root, "is_proven")));
	assert_int_equal(
	    json_integer_value(json_object_get(root, "recovery_ms")), 42000);
	assert_int_equal(json_array_size(json_object_get(root, "checks")), 5);
	assert_int_equal(json_array_size(json_object_get(root, "sources")), 5);
	check = json_array_get(json_object_get(root, "checks"), 3);
	assert_string_equal(
	    json_string_value(json_object_get(check, "source")), "bucket/up");
	assert_string_equal(json_string_value(json_object_get(check, "name")),
	    "bucket/up/a\"<script>&'%0A%09%01%1B[31m%7F%FF%C0%80%ED%A0%80"
	    "\xef\xbf\xbe%C2%85%2541]]>\xe2\x80\xae");
	assert_true(json_is_null(json_object_get(root, "history")));
	json_decref(root);
	free(text);
}

/* ---- Prometheus ---- */

static void
prometheus_has_absolute_times_and_few_labels(void **state)
{
	struct bkp_verify_result result = result_of(true);
	struct bkp_report report = report_of(&result, NULL);
	char *text = put(&report, BKP_REPORT_PROMETHEUS);
	static const char labels[] = "{repository=\"/srv/\\\"backup\\\"\\n\"";

	(void)state;
	says(text, labels);
	says(text, "\nlibbackup_verify_success{");
	says(text, "\"} 1\n");
	says(text, ",status=\"passed\"} 21\n");
	says(text, ",status=\"failed\"} 0\n");
	says(text, "\"} 1763748061.500\n"); /* the run, and the proof */
	says(text, "last_proven_timestamp_seconds{");
	says(text, "recovery_seconds{");
	says(text, "\"} 42.000\n");
	says(text, "\"} 1763715600.000\n"); /* the snapshot */
	lacks(text, NAME);
	free(text);
	report.path = "a\\b";
	text = put(&report, BKP_REPORT_PROMETHEUS);
	says(text, ",path=\"a\\\\b\"} 1\n");
	free(text);
}

/* Its value; fails where it is not there. */
static long
gauge(const char *text, const char *name)
{
	char start[64];
	const char *at;

	(void)snprintf(start, sizeof(start), "\nlibbackup_verify_%s{", name);
	at = strstr(text, start);
	if (at == NULL || (at = strstr(at, "\"} ")) == NULL) {
		fail_msg("it lacks %s:\n%s", name, text);
		abort();
	}
	return strtol(at + 3, NULL, 10);
}

static void
a_part_or_a_live_place_proves_no_snapshot(void **state)
{
	struct bkp_verify_result result = result_of(true);
	struct bkp_report report = report_of(&result, NULL);
	char *text;

	(void)state;
	report.mode = BKP_VERIFY_LIVE;
	text = put(&report, BKP_REPORT_PROMETHEUS);
	lacks(text, "last_proven");
	assert_int_equal(gauge(text, "is_whole"), 0);
	free(text);
	report.mode = BKP_VERIFY_SCRATCH;
	text = put(&report, BKP_REPORT_PROMETHEUS);
	assert_int_equal(gauge(text, "is_whole"), 1);
	free(text);
	text = put(&report, BKP_REPORT_JUNIT);
	says(text, "<property name=\"is_whole\" value=\"true\"/>");
	free(text);
	result.is_whole = 0;
	text = put(&report, BKP_REPORT_PROMETHEUS);
	lacks(text, "last_proven");
	assert_int_equal(gauge(text, "success"), 1);
	assert_int_equal(gauge(text, "is_whole"), 0);
	free(text);
	text = put(&report, BKP_REPORT_JUNIT);
	says(text, "<property name=\"is_whole\" value=\"false\"/>");
	free(text);
}

/* ---- the page ---- */

static void
no_name_becomes_markup_on_the_page(void **state)
{
	struct bkp_verify_result result = result_of(false);
	struct bkp_report report = report_of(&result, NULL);
	char *text = put(&report, BKP_REPORT_HTML);

	(void)state;
	says(text, "This backup is not proven");
	says(text, "1 of 23 checks failed");
	says(text, "&lt;script&gt;&amp;&#39;");
	lacks(text, "<script");
	lacks(text, "http:");
	lacks(text, "https:");
	says(text, "default-src 'none'");
	assert_null(strpbrk(text, "\001\033\177"));
	free(text);
}

static void
the_page_says_in_words_how_it_ended(void **state)
{
	struct bkp_verify_result result = result_of(true);
	struct bkp_error error = {BKP_CANCELLED, 0, "asked to stop"};
	struct bkp_report report = report_of(&result, NULL);
	char *text = put(&report, BKP_REPORT_HTML);

	(void)state;
	says(text, "<h1>This backup restores</h1>");
	says(text, "1 thing was not tried, or not wholly</strong>");
	lacks(text, "What to do");
	free(text);
	result.omission_count = 2;
	text = put(&report, BKP_REPORT_HTML);
	says(text, "<h1>This backup restores, but it has gaps</h1>");
	lacks(text, "not wholly</strong>"); /* it was left out, which is told */
	free(text);
	report = report_of(NULL, &error);
	text = put(&report, BKP_REPORT_HTML);
	says(text, "<h1>There is no verdict</h1>");
	says(text, "asked to stop");
	says(text, "What to do");
	free(text);
}

static void
the_page_does_not_call_a_part_the_whole(void **state)
{
	struct bkp_verify_result result = result_of(true);
	struct bkp_report report = report_of(&result, NULL);
	char *text;

	(void)state;
	result.is_whole = 0;
	result.omission_count = 2;
	result.level = BKP_LEVEL_QUICK;
	text = put(&report, BKP_REPORT_HTML);
	says(text,
	    "<h1>What was tried of this backup restores, but it has gaps</h1>");
	says(text, "without its contents and compared");
	free(text);
	result = result_of(false);
	result.is_whole = 0;
	result.about_failed = result.failed;
	text = put(&report, BKP_REPORT_HTML);
	says(text,
	    "<h1>What was tried of this backup restores, but not within the "
	    "limits</h1>");
	says(text, "restored in part into scratch places");
	free(text);
	report.mode = BKP_VERIFY_LIVE;
	text = put(&report, BKP_REPORT_HTML);
	says(text,
	    "<h1>What was looked at of what is in use agrees with the backup, "
	    "but not within the limits</h1>");
	free(text);
}

/* ---- history ---- */

static struct bkp_snapshot_source sources[] = {
    {.prefix = "postgres/app", .kind = "postgres", .bytes = 1000000}};
static struct bkp_snapshot_proof proofs[3];
static struct bkp_snapshot items[30];
static char names[30][65];

static struct bkp_snapshot_list
history_of(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		memcpy(names[i], NAME, sizeof(names[i]));
		names[i][0] = (char)('a' + (int)(i % 6));
		names[i][1] = (char)('0' + (int)(i / 6));
		items[i] = (struct bkp_snapshot){.name = names[i],
		    .host = "db1",
		    .time_us = NOW - (int64_t)(count - i) * 24 * HOUR_US,
		    .stored_bytes = 5000 * i,
		    .sources = sources,
		    .source_count = 1,
		    .proof = i % 4 < 3 ? &proofs[i % 4] : NULL};
	}
	for (size_t i = 0; i < 3; i++)
		proofs[i] = (struct bkp_snapshot_proof){.time_us = NOW,
		    .is_proven = i != 1,
		    .host = "ci",
		    .path = i == 1 ? hostile : "",
		    .level = "restored",
		    .program = "",
		    .duration_ms = 60000 * (i + 1),
		    .recovery_ms = 30000 * i};
	return (struct bkp_snapshot_list){items, count, NULL};
}

static size_t
count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		count++;
	return count;
}

static void
the_history_is_drawn_and_told(void **state)
{
	struct bkp_snapshot_list history = history_of(30);
	struct bkp_verify_result result = result_of(true);
	struct bkp_report report = report_of(&result, NULL);
	char *text;

	(void)state;
	result.history = &history;
	memcpy(result.snapshot, names[29], sizeof(result.snapshot));
	text = put(&report, BKP_REPORT_HTML);
	assert_int_equal(count_of(text, "<svg class=\"chart\""), 3);
	assert_int_equal(count_of(text, "<td data-label=\"Snapshot\">"), 20);
	assert_int_equal(count_of(text, "(this one)"), 1);
	assert_int_equal(count_of(text, ">never verified<"), 5);
	says(text, "at least 1 min 0 s, at most 3 min 0 s");
	lacks(text, "nan");
	lacks(text, "inf%");
	free(text);
	/* Others are not beside it. */
	for (size_t i = 0; i < 25; i++)
		items[i].host = "db2";
	text = put(&report, BKP_REPORT_HTML);
	assert_int_equal(count_of(text, "<td data-label=\"Snapshot\">"), 5);
	free(text);
	text = put(&report, BKP_REPORT_JSON);
	says(text, "\"recovery_ms\": 60000");
	free(text);
}

/* ---- anything ---- */

static void
any_bytes_make_well_formed_reports(void **state)
{
	char name[64], what[64];
	const struct bkp_check check = {BKP_CHECK_FAIL, name, what, 1, 0};
	struct bkp_verify_result result = result_of(false);
	struct bkp_report report = report_of(&result, NULL);
	uint32_t seed = 1;

	(void)state;
	result.checks = &check;
	result.check_count = 1;
	for (int n = 0; n < 2000; n++) {
		char *text;
		json_t *root;

		for (size_t i = 0; i < sizeof(name); i++) {
			seed = seed * 1664525 + 1013904223;
			name[i] = (char)(seed >> 24);
			seed = seed * 1664525 + 1013904223;
			/* Bytes that begin characters, more often. */
			what[i] = (char)((seed >> 24) | (n % 2 ? 0xe0 : 0));
		}
		name[sizeof(name) - 1] = what[sizeof(what) - 1] = '\0';
		text = put(&report, BKP_REPORT_JUNIT);
		assert_int_equal(parse(text).failures, 1);
		free(text);
		text = put(&report, BKP_REPORT_JSON);
		root = json_loads(text, 0, NULL);
		assert_non_null(root);
		json_decref(root);
		free(text);
		text = put(&report, BKP_REPORT_HTML);
		assert_int_equal(count_of(text, "<"), count_of(text, ">"));
		free(text);
	}
}

static void
every_allocation_of_a_report_may_fail(void **state)
{
	struct bkp_snapshot_list history = history_of(4);
	struct bkp_verify_result result = result_of(false);
	struct bkp_report report = report_of(&result, NULL);

	(void)state;
	result.history = &history;
	for (int format = 0; format <= BKP_REPORT_PROMETHEUS; format++)
		for (int n = 0;; n++) {
			struct bkp_error err = BKP_ERROR_INIT;
			struct fmt_buf buf = FMT_BUF_INIT;
			int rc;

			failing_alloc_at(n);
			rc = bkp_report_put(&report,
			    (enum bkp_report_format)format, keep, &buf, &err);
			fmt_buf_free(&buf);
			if (!failing_alloc_end()) {
				assert_int_equal(rc, 0);
				break;
			}
			assert_int_equal(rc, -1);
		}
}

/* ---- files ---- */

static char folder[] = "/tmp/bkp-report-XXXXXX";

static char *
read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	if (file == NULL || text == NULL) {
		fail_msg("there is no %s", path);
		abort();
	}
	(void)fread(text, 1, 65535, file);
	(void)fclose(file);
	return text;
}

static void
a_file_is_replaced_and_what_is_no_file_is_written_to(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_report report = report_of(NULL, NULL);
	struct stat before, after;
	char path[128], link[128], pipe[128], begin[5];
	mode_t mask = umask(022);
	char *text;
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/r.xml", folder);
	(void)snprintf(link, sizeof(link), "%s/link.xml", folder);
	(void)snprintf(pipe, sizeof(pipe), "%s/pipe", folder);
	assert_int_equal(
	    bkp_report_save(&report, BKP_REPORT_JUNIT, path, &err), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0644);
	assert_int_equal(symlink("r.xml", link), 0);
	assert_int_equal(
	    bkp_report_save(&report, BKP_REPORT_JUNIT, link, &err), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(lstat(link, &after), 0);
	assert_true(S_ISLNK(after.st_mode));
	text = read_file(path);
	assert_int_equal(parse(text).errors, 1);
	free(text);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	fd = open(pipe, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(
	    bkp_report_save(&report, BKP_REPORT_JUNIT, pipe, &err), 0);
	assert_int_equal(stat(pipe, &after), 0);
	assert_true(S_ISFIFO(after.st_mode));
	assert_int_equal(read(fd, begin, 5), 5);
	assert_memory_equal(begin, "<?xml", 5);
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(pipe), 0);
	assert_int_equal(
	    bkp_report_save(&report, BKP_REPORT_JUNIT, folder, &err), -1);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(unlink(path), 0);
	/* Nothing else was left there. */
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	(void)umask(mask);
}

static void
a_monitor_keeps_the_last_proof_when_there_is_no_verdict(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_error why = {BKP_RETRY, 0, "try later"};
	struct bkp_verify_result result = result_of(true);
	struct bkp_report report = report_of(&result, NULL);
	char path[128], *text;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/r.prom", folder);
	assert_int_equal(
	    bkp_report_save(&report, BKP_REPORT_PROMETHEUS, path, &err), 0);
	report = report_of(NULL, &why);
	report.ended_us += HOUR_US;
	assert_int_equal(
	    bkp_report_save(&report, BKP_REPORT_PROMETHEUS, path, &err), 0);
	text = read_file(path);
	says(text, "verify_success{repository=\"/srv/\\\"backup\\\"\\n\"} 0\n");
	says(text, "verify_verdict{repository=\"/srv/\\\"backup\\\"\\n\"} 0\n");
	says(text, "last_run_timestamp_seconds{"
		   "repository=\"/srv/\\\"backup\\\"\\n\"} 1763751661.500\n");
	says(text, "last_proven_timestamp_seconds{"
		   "repository=\"/srv/\\\"backup\\\"\\n\"} 1763748061.500\n");
	lacks(text, "recovery_seconds");
	free(text);
	/* What was said of another repository is not about this one. */
	report.repository = "/else";
	assert_int_equal(
	    bkp_report_save(&report, BKP_REPORT_PROMETHEUS, path, &err), 0);
	text = read_file(path);
	lacks(text, "last_proven");
	free(text);
	assert_int_equal(unlink(path), 0);
}

/* ---- words ---- */

static void
numbers_and_times_are_said_as_people_do(void **state)
{
	(void)state;
	assert_string_equal(bkp_words_size(1023).text, "1023 B");
	assert_string_equal(bkp_words_size(1048575).text, "1.0 MiB");
	assert_string_equal(bkp_words_size(UINT64_MAX).text, "16 EiB");
	assert_string_equal(bkp_words_count(1234567).text, "1,234,567");
	assert_string_equal(bkp_words_duration(999).text, "999 ms");
	assert_string_equal(bkp_words_duration(3599999).text, "59 min 59 s");
	assert_string_equal(bkp_words_duration(90000000).text, "1 d 1 h");
	assert_string_equal(bkp_words_age(HOUR_US * 47).text, "1 day");
	assert_string_equal(bkp_words_age(0).text, "0 seconds");
	assert_string_equal(bkp_words_day(NOW).text, "21 Nov");
	assert_string_equal(bkp_words_time(-1).text, "1969-12-31 23:59 UTC");
	assert_string_equal(
	    bkp_words_time(INT64_MAX).text, "294247-01-10 04:00 UTC");
}

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(junit_has_a_case_for_each_check_and_counts_them),
	    cmocka_unit_test(each_check_is_told_with_its_source),
	    cmocka_unit_test(junit_without_a_verdict_is_red),
	    cmocka_unit_test(a_verdict_that_no_check_explains_is_red),
	    cmocka_unit_test(json_says_what_junit_says),
	    cmocka_unit_test(prometheus_has_absolute_times_and_few_labels),
	    cmocka_unit_test(a_part_or_a_live_place_proves_no_snapshot),
	    cmocka_unit_test(no_name_becomes_markup_on_the_page),
	    cmocka_unit_test(the_page_says_in_words_how_it_ended),
	    cmocka_unit_test(the_page_does_not_call_a_part_the_whole),
	    cmocka_unit_test(the_history_is_drawn_and_told),
	    cmocka_unit_test(any_bytes_make_well_formed_reports),
	    cmocka_unit_test(every_allocation_of_a_report_may_fail),
	    cmocka_unit_test(
		a_file_is_replaced_and_what_is_no_file_is_written_to),
	    cmocka_unit_test(
		a_monitor_keeps_the_last_proof_when_there_is_no_verdict),
	    cmocka_unit_test(numbers_and_times_are_said_as_people_do),
	};

	return cmocka_run_group_tests_name(
	    "report", tests, make_folder, remove_folder);
}
