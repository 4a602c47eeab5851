/* SPDX-License-Identifier: Apache-2.0 */
/* A run in words: for pings and for mail. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/jobs/notify.h"
#include "libbackup/operations/report_text.h"

const char *
bkp_notice_word(enum bkp_job_state state)
{
	return state == BKP_JOB_RUNNING ? "started" : bkp_job_state_name(state);
}

const char bkp_notice_of_test[] =
    "This is a test: backup-run --notify-test was given, and nothing was run. "
    "What comes here when something is wrong arrives as this did.";

const char *
bkp_notice_event(const struct bkp_told *told)
{
	if (told->is_test)
		return "test";
	switch (told->report->state) {
	case BKP_JOB_RUNNING:
		return "start";
	case BKP_JOB_COMPLETE:
		return told->is_recovery ? "recovery" : "success";
	case BKP_JOB_DEGRADED:
		return "degraded";
	default:
		return "failure";
	}
}

/* ---- the first line ---- */

/* Text of one line: control characters and what is not UTF-8 become %XX, so
 * that no name ends a header. */
static void
add_line_text(struct bkp_report_text *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\n' || *text == '\t')
			bkp_report_add(out, " ");
		else {
			size_t len = strcspn(text, "\n\t");
			char *part = strndup(text, len);

			if (part == NULL) {
				out->status = FMT_NOMEM;
				return;
			}
			bkp_report_plain(out, part);
			free(part);
			text += len - 1;
		}
}

static void
add_subject(const struct bkp_told *told, struct bkp_report_text *out)
{
	const struct bkp_job_report *report = told->report;

	add_line_text(out, report->job);
	bkp_report_add(out, " on ");
	add_line_text(out, told->host);
	if (told->is_test) {
		bkp_report_add(out, ": TEST, nothing was run");
		return;
	}
	bkp_report_addf(out, ": %s", bkp_notice_word(report->state));
	if (told->is_recovery)
		bkp_report_add(out, " again");
	if (report->state == BKP_JOB_FAILED && report->exit_status > 0)
		bkp_report_addf(out, " (exit status %d)", report->exit_status);
}

/* Hands the text over, or tells that there was no memory. */
static int
finish(struct bkp_report_text *text, struct fmt_buf *out, struct bkp_error *err)
{
	if (text->status != FMT_OK || fmt_buf_text(&text->buf) == NULL) {
		fmt_buf_free(&text->buf);
		return bkp_fail_nomem(err, "telling of a run");
	}
	*out = text->buf;
	return 0;
}

int
bkp_notice_subject(
    const struct bkp_told *told, struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_report_text text = BKP_REPORT_TEXT_INIT;

	add_subject(told, &text);
	return finish(&text, out, err);
}

/* ---- all of it ---- */

static void
add_repository(const struct bkp_job_repository *it, struct bkp_report_text *out)
{
	bkp_report_add(out, "Repository ");
	add_line_text(out, it->name);
	if (it->snapshot == NULL) {
		bkp_report_add(out, ": no new snapshot\n");
		return;
	}
	bkp_report_add(out, ": snapshot ");
	add_line_text(out, it->snapshot);
	bkp_report_addf(out, ", %s, %s added, %s entries",
	    bkp_words_size(it->bytes).text,
	    bkp_words_size(it->stored_bytes).text,
	    bkp_words_count(it->entries).text);
	if (it->omissions > 0)
		bkp_report_addf(
		    out, ", %s left out", bkp_words_count(it->omissions).text);
	bkp_report_add(out, "\n");
}

static uint64_t
lasted_ms(int64_t began_us, int64_t ended_us)
{
	return ended_us > began_us ? (uint64_t)(ended_us - began_us) / 1000 : 0;
}

static void
add_in_brackets(const char *text, struct bkp_report_text *out)
{
	if (text == NULL)
		return;
	bkp_report_add(out, " (");
	add_line_text(out, text);
	bkp_report_add(out, ")");
}

static void
add_step(const struct bkp_job_step *it, struct bkp_report_text *out)
{
	bkp_report_add(out, "Step ");
	add_line_text(out, it->name);
	add_in_brackets(it->repository, out);
	add_in_brackets(it->what, out);
	bkp_report_addf(out, ": %s", bkp_notice_word(it->state));
	if (it->signal_number > 0)
		bkp_report_addf(out, ", ended by signal %d", it->signal_number);
	else if (it->exit_status > 0)
		bkp_report_addf(out, ", exit status %d", it->exit_status);
	if (it->ended_us > 0)
		bkp_report_addf(out, ", %s",
		    bkp_words_duration(lasted_ms(it->began_us, it->ended_us))
			.text);
	if (it->error != NULL) {
		bkp_report_add(out, ": ");
		add_line_text(out, it->error);
	}
	bkp_report_add(out, "\n");
}

static void
add_times(const struct bkp_job_report *report, struct bkp_report_text *out)
{
	bkp_report_addf(
	    out, "\nBegan %s\n", bkp_words_iso(report->began_us, 1).text);
	if (report->ended_us == 0)
		return;
	bkp_report_addf(out, "Ended %s, after %s\n",
	    bkp_words_iso(report->ended_us, 1).text,
	    bkp_words_duration(lasted_ms(report->began_us, report->ended_us))
		.text);
}

static void
add_facts(const struct bkp_told *told, struct bkp_report_text *out)
{
	const struct bkp_job_report *report = told->report;

	add_subject(told, out);
	bkp_report_add(out, "\n");
	if (told->is_test) {
		bkp_report_addf(out, "\n%s\n", bkp_notice_of_test);
		return;
	}
	if (report->error != NULL) {
		add_line_text(out, report->error);
		bkp_report_add(out, "\n");
	}
	add_times(report, out);
	for (size_t i = 0; i < report->repository_count; i++)
		add_repository(&report->repositories[i], out);
	for (size_t i = 0; i < report->step_count; i++)
		add_step(&report->steps[i], out);
}

/* The last lines of the log that fit. */
static void
add_log(const char *log, size_t room, struct bkp_report_text *out)
{
	size_t len = strlen(log);
	const char *from = log;

	if (len > room) {
		from = strchr(log + (len - room), '\n');
		from = from != NULL ? from + 1 : log + len;
	}
	if (*from == '\0')
		return;
	bkp_report_add(
	    out, from > log ? "\nThe last lines:\n" : "\nThe log:\n");
	bkp_report_plain(out, from);
	if (from[strlen(from) - 1] != '\n')
		bkp_report_add(out, "\n");
}

/* Not in the middle of a character. */
static void
cut(struct fmt_buf *buf, size_t most)
{
	if (buf->len <= most)
		return;
	while (most > 0 && (buf->data[most] & 0xc0) == 0x80)
		most--;
	buf->len = most;
	buf->data[most] = '\0';
}

int
bkp_notice_text(const struct bkp_told *told, size_t most, struct fmt_buf *out,
    struct bkp_error *err)
{
	static const size_t heading = sizeof("\nThe last lines:\n\n");
	struct bkp_report_text text = BKP_REPORT_TEXT_INIT;
	size_t used;

	add_facts(told, &text);
	used = text.buf.len + heading;
	/* What cannot be written as it is becomes up to three times as long:
	 * it is cut below, which the end of the log should not be. */
	if (told->notice->log != NULL && used < most)
		add_log(told->notice->log, most - used, &text);
	if (finish(&text, out, err) < 0)
		return -1;
	if (bkp_secrets_remove(&told->secrets, out, err) < 0) {
		fmt_buf_free(out);
		return -1;
	}
	cut(out, most);
	return 0;
}
