/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one JSON object, for programs. Readers ignore members that
 * they do not know; paths are escaped as in events. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/path.h"
#include "libbackup/operations/report_impl.h"
#include "libbackup/version.h"

#define VERSION 1

/* Free text: bytes that are not UTF-8 become %XX. */
static json_t *
text_of(const char *text)
{
	struct bkp_report_text out = BKP_REPORT_TEXT_INIT;
	json_t *value = NULL;
	const char *at;

	if (text == NULL)
		return json_null();
	if (fmt_utf8_is_valid(text))
		return json_string(text);
	for (at = text; *at != '\0' && out.status == FMT_OK;) {
		size_t len =
		    fmt_utf8_length((const unsigned char *)at, strlen(at));

		if (len == 0)
			bkp_report_addf(&out, "%%%02X", (unsigned char)*at++);
		else
			bkp_report_addf(&out, "%.*s", (int)len, at);
		at += len;
	}
	if (out.status == FMT_OK)
		value = json_stringn((const char *)out.buf.data, out.buf.len);
	fmt_buf_free(&out.buf);
	return value;
}

static json_t *
path_of(const char *path)
{
	return path != NULL ? fmt_path_to_json(path) : json_null();
}

static json_t *
time_of(int64_t us)
{
	return us == 0 ? json_null() : json_string(bkp_words_iso(us, 1).text);
}

static json_t *
number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* Appends; a value that could not be made, too, is a failure. */
static void
append(json_t *array, json_t *value, bool *failed)
{
	if (value == NULL || json_array_append_new(array, value) < 0)
		*failed = true;
}

/* ---- checks and sources ---- */

static json_t *
source_name(const struct bkp_reported_source *source)
{
	struct bkp_report_text out = BKP_REPORT_TEXT_INIT;
	json_t *value = NULL;

	if (source->name_len == 0)
		return json_null();
	bkp_report_addf(&out, "%.*s", (int)source->name_len, source->name);
	if (out.status == FMT_OK && fmt_buf_text(&out.buf) != NULL)
		value = fmt_path_to_json(fmt_buf_text(&out.buf));
	fmt_buf_free(&out.buf);
	return value;
}

static json_t *
check_json(const struct bkp_reported_source *source,
    const struct bkp_check *check, bool *failed)
{
	json_t *root = json_object();

	fmt_json_set(
	    root, "status", json_string(bkp_check_word(check->status)), failed);
	fmt_json_set(root, "source", source_name(source), failed);
	fmt_json_set(root, "name", path_of(check->name), failed);
	fmt_json_set(root, "what", text_of(check->what), failed);
	fmt_json_set(root, "count", number(check->count), failed);
	return root;
}

static json_t *
checks_json(const struct bkp_reported *reported, bool *failed)
{
	json_t *array = json_array();

	for (size_t i = 0; i < reported->lines; i++)
		append(array,
		    check_json(&reported->sources[reported->of[i]],
			&reported->result->checks[i], failed),
		    failed);
	return array;
}

static json_t *
sources_json(const struct bkp_reported *reported, bool *failed)
{
	json_t *array = json_array();

	for (size_t i = 0; i < reported->source_count; i++) {
		const struct bkp_reported_source *source =
		    &reported->sources[i];
		json_t *root = json_object();

		fmt_json_set(root, "name", source_name(source), failed);
		fmt_json_set(root, "passed", number(source->agreed), failed);
		fmt_json_set(root, "failed", number(source->failed), failed);
		fmt_json_set(root, "skipped", number(source->skipped), failed);
		append(array, root, failed);
	}
	return array;
}

/* ---- history ---- */

static json_t *
proof_json(const struct bkp_snapshot_proof *proof, bool *failed)
{
	json_t *root;

	if (proof == NULL)
		return json_null();
	root = json_object();
	fmt_json_set(root, "time", time_of(proof->time_us), failed);
	fmt_json_set(root, "is_proven", json_boolean(proof->is_proven), failed);
	fmt_json_set(root, "host", text_of(proof->host), failed);
	fmt_json_set(root, "path", path_of(proof->path), failed);
	fmt_json_set(root, "how", text_of(proof->level), failed);
	fmt_json_set(root, "passed", number(proof->passed), failed);
	fmt_json_set(root, "failed", number(proof->failed), failed);
	fmt_json_set(root, "skipped", number(proof->skipped), failed);
	fmt_json_set(root, "duration_ms", number(proof->duration_ms), failed);
	fmt_json_set(root, "recovery_ms",
	    proof->recovery_ms > 0 ? number(proof->recovery_ms) : json_null(),
	    failed);
	return root;
}

static json_t *
snapshot_json(const struct bkp_snapshot *snapshot, bool *failed)
{
	json_t *root = json_object(), *sources = json_array();
	uint64_t bytes = 0;

	for (size_t i = 0; i < snapshot->source_count; i++) {
		bytes += snapshot->sources[i].bytes;
		append(sources, path_of(snapshot->sources[i].prefix), failed);
	}
	fmt_json_set(root, "name", json_string(snapshot->name), failed);
	fmt_json_set(root, "time", time_of(snapshot->time_us), failed);
	fmt_json_set(root, "finished", time_of(snapshot->finished_us), failed);
	fmt_json_set(root, "host", text_of(snapshot->host), failed);
	fmt_json_set(root, "sources", sources, failed);
	fmt_json_set(root, "bytes", number(bytes), failed);
	fmt_json_set(
	    root, "stored_bytes", number(snapshot->stored_bytes), failed);
	fmt_json_set(
	    root, "omissions", number(snapshot->omission_count), failed);
	fmt_json_set(root, "proven", time_of(snapshot->proven_us), failed);
	fmt_json_set(
	    root, "proof_failed", time_of(snapshot->failed_us), failed);
	fmt_json_set(
	    root, "proof", proof_json(snapshot->proof, failed), failed);
	return root;
}

static json_t *
history_json(const struct bkp_snapshot_list *history, bool *failed)
{
	json_t *array;

	if (history == NULL)
		return json_null();
	array = json_array();
	for (size_t i = 0; i < history->count; i++)
		append(
		    array, snapshot_json(&history->items[i], failed), failed);
	return array;
}

/* ---- the whole ---- */

static void
set_result(const struct bkp_reported *reported, json_t *root, bool *failed)
{
	const struct bkp_verify_result *result = reported->result;

	fmt_json_set(root, "snapshot", json_string(result->snapshot), failed);
	fmt_json_set(
	    root, "snapshot_time", time_of(result->snapshot_time_us), failed);
	fmt_json_set(
	    root, "level", json_string(bkp_level_word(result->level)), failed);
	fmt_json_set(root, "is_whole", json_boolean(result->is_whole), failed);
	fmt_json_set(root, "passed", number(result->passed), failed);
	fmt_json_set(root, "failed", number(result->failed), failed);
	fmt_json_set(root, "skipped", number(result->skipped), failed);
	fmt_json_set(root, "rows", number(result->rows), failed);
	fmt_json_set(root, "objects", number(result->objects), failed);
	fmt_json_set(root, "files", number(result->files), failed);
	fmt_json_set(root, "omissions", number(result->omission_count), failed);
	fmt_json_set(root, "duration_ms", number(result->duration_ms), failed);
	fmt_json_set(root, "recovery_ms",
	    result->recovery_ms > 0 ? number(result->recovery_ms) : json_null(),
	    failed);
	fmt_json_set(root, "age_ms", number(result->age_ms), failed);
	fmt_json_set(root, "last_proven",
	    time_of(bkp_reported_proven_us(reported)), failed);
	fmt_json_set(root, "sources", sources_json(reported, failed), failed);
	fmt_json_set(root, "checks", checks_json(reported, failed), failed);
	fmt_json_set(
	    root, "history", history_json(result->history, failed), failed);
}

static json_t *
report_json(const struct bkp_reported *reported, bool *failed)
{
	const struct bkp_report *report = reported->report;
	bool is_proven = reported->outcome == BKP_OUTCOME_PROVEN ||
			 reported->outcome == BKP_OUTCOME_DEGRADED;
	json_t *root = json_object();

	fmt_json_set(root, "type", json_string("verification"), failed);
	fmt_json_set(root, "version", json_integer(VERSION), failed);
	fmt_json_set(
	    root, "program", json_string("libbackup " BKP_VERSION), failed);
	fmt_json_set(root, "outcome",
	    json_string(bkp_outcome_word(reported->outcome)), failed);
	fmt_json_set(root, "is_proven", json_boolean(is_proven), failed);
	fmt_json_set(root, "mode",
	    json_string(report->mode == BKP_VERIFY_LIVE ? "live" : "scratch"),
	    failed);
	fmt_json_set(root, "host", text_of(reported->host), failed);
	fmt_json_set(root, "repository", text_of(report->repository), failed);
	fmt_json_set(root, "path",
	    path_of(report->path != NULL ? report->path : ""), failed);
	fmt_json_set(root, "began", time_of(report->began_us), failed);
	fmt_json_set(root, "ended", time_of(report->ended_us), failed);
	if (reported->result != NULL)
		set_result(reported, root, failed);
	else
		fmt_json_set(
		    root, "error", text_of(bkp_reported_why(reported)), failed);
	return root;
}

void
bkp_report_json(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	bool failed = false;
	json_t *root = report_json(reported, &failed);
	char *text = NULL;

	if (!failed && root != NULL)
		text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	if (text == NULL && out->status == FMT_OK)
		out->status = FMT_NOMEM;
	if (text != NULL) {
		bkp_report_add(out, text);
		bkp_report_add(out, "\n");
	}
	free(text);
	json_decref(root);
}
