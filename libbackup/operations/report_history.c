/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/report_history.h"

#include <stdio.h>
#include <string.h>

#include "libbackup/operations/report_chart.h"

/* So many fit on a telephone side by side. */
#define SHOWN 20

struct shown {
	const struct bkp_snapshot *items[SHOWN]; /* oldest first */
	size_t count;
};

/* ---- which ---- */

static bool
is_alike(const struct bkp_snapshot *a, const struct bkp_snapshot *b)
{
	if (strcmp(a->host, b->host) != 0 || a->source_count != b->source_count)
		return false;
	for (size_t i = 0; i < a->source_count; i++)
		if (strcmp(a->sources[i].prefix, b->sources[i].prefix) != 0)
			return false;
	return true;
}

static struct shown
choose(const struct bkp_reported *reported)
{
	const struct bkp_snapshot_list *history = reported->result->history;
	struct shown shown = {.count = 0};
	size_t skip = 0;

	for (size_t i = 0; i < history->count; i++)
		if (reported->snapshot == NULL ||
		    is_alike(reported->snapshot, &history->items[i]))
			skip++;
	skip = skip > SHOWN ? skip - SHOWN : 0;
	for (size_t i = 0; i < history->count && shown.count < SHOWN; i++) {
		const struct bkp_snapshot *item = &history->items[i];

		if (reported->snapshot != NULL &&
		    !is_alike(reported->snapshot, item))
			continue;
		if (skip > 0)
			skip--;
		else
			shown.items[shown.count++] = item;
	}
	return shown;
}

static uint64_t
bytes_of(const struct bkp_snapshot *snapshot)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < snapshot->source_count; i++)
		sum += snapshot->sources[i].bytes;
	return sum;
}

static enum bkp_chart_mark
mark_of(const struct bkp_snapshot *snapshot)
{
	if (snapshot->proof == NULL)
		return BKP_MARK_NONE;
	return snapshot->proof->is_proven ? BKP_MARK_PROVEN : BKP_MARK_FAILED;
}

/* ---- charts ---- */

enum quantity { HOLDS, ADDED, TOOK };

static struct bkp_chart_bar
bar_of(const struct bkp_reported *reported, const struct bkp_snapshot *item,
    enum quantity quantity)
{
	const struct bkp_snapshot_proof *proof = item->proof;
	struct bkp_chart_bar bar = {.time_us = item->time_us,
	    .has_value = quantity != TOOK || proof != NULL,
	    .mark = mark_of(item),
	    .is_this = item == reported->snapshot};

	if (quantity == HOLDS)
		bar.value = bytes_of(item);
	else if (quantity == ADDED)
		bar.value = item->stored_bytes;
	else if (proof != NULL)
		bar.value = proof->duration_ms;
	if (quantity == TOOK && proof != NULL)
		bar.part = proof->recovery_ms;
	return bar;
}

static struct bkp_words
words_of(uint64_t value, bool is_time)
{
	return is_time ? bkp_words_duration(value) : bkp_words_size(value);
}

/* What the chart shows, for whoever cannot see it. */
static void
describe(const struct bkp_chart_bar *bars, size_t count, bool is_time,
    char *text, size_t size)
{
	const struct bkp_chart_bar *least = NULL, *most = NULL, *last = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!bars[i].has_value)
			continue;
		last = &bars[i];
		if (least == NULL || last->value < least->value)
			least = last;
		if (most == NULL || last->value > most->value)
			most = last;
	}
	if (least == NULL || most == NULL || last == NULL)
		(void)snprintf(text, size, "There is no value yet.");
	else
		(void)snprintf(text, size,
		    "Bars of %zu snapshots, oldest first: at least %s, at most "
		    "%s, the last one %s. The table below has every number.",
		    count, words_of(least->value, is_time).text,
		    words_of(most->value, is_time).text,
		    words_of(last->value, is_time).text);
}

static void
put_chart(const struct bkp_reported *reported, const struct shown *shown,
    enum quantity quantity, struct bkp_report_text *out)
{
	static const char *const ids[] = {"holds", "added", "took"};
	static const char *const titles[] = {
	    [HOLDS] = "What each snapshot holds",
	    [ADDED] = "What each snapshot added to the repository",
	    [TOOK] = "How long its last verification took",
	};
	struct bkp_chart_bar bars[SHOWN];
	bool is_time = quantity == TOOK, has_value = false, has_part = false;
	char text[512];
	const struct bkp_chart chart = {.id = ids[quantity],
	    .title = titles[quantity],
	    .description = text,
	    .is_time = is_time,
	    .bars = bars,
	    .count = shown->count};

	for (size_t i = 0; i < shown->count; i++) {
		bars[i] = bar_of(reported, shown->items[i], quantity);
		has_value = has_value || bars[i].has_value;
		has_part = has_part || bars[i].part > 0;
	}
	if (!has_value)
		return;
	describe(bars, shown->count, is_time, text, sizeof(text));
	bkp_report_addf(out, "<h3>%s</h3>\n", titles[quantity]);
	bkp_report_chart(out, &chart);
	if (has_part)
		bkp_report_add(out,
		    "<p class=\"dim\">The lower, full part of a bar is the "
		    "time until everything was restored; what is above it is "
		    "comparing and checking.</p>\n");
}

static void
put_legend(struct bkp_report_text *out)
{
	bkp_report_add(out,
	    "<p class=\"legend\">"
	    "<span><svg width=\"14\" height=\"12\" aria-hidden=\"true\">"
	    "<path class=\"yes\" d=\"M3 6l3 4 5-8\"/></svg> proven</span> "
	    "<span><svg width=\"14\" height=\"12\" aria-hidden=\"true\">"
	    "<path class=\"no\" d=\"M3.5 2.5l7 7m0-7l-7 7\"/></svg> failed, "
	    "bar hatched</span> "
	    "<span><svg width=\"14\" height=\"12\" aria-hidden=\"true\">"
	    "<circle class=\"never\" cx=\"7\" cy=\"6\" r=\"3\"/></svg> never "
	    "verified</span> "
	    "<span><svg width=\"14\" height=\"12\" aria-hidden=\"true\">"
	    "<path class=\"this\" d=\"M1 9h12\"/></svg> this snapshot</span>"
	    "</p>\n");
}

/* ---- the table ---- */

static void
put_verdict(const struct bkp_snapshot *item, struct bkp_report_text *out)
{
	const struct bkp_snapshot_proof *proof = item->proof;

	if (proof == NULL) {
		bkp_report_add(out, "never verified");
		return;
	}
	bkp_report_addf(out, "<span class=\"%s\">%s</span> ",
	    proof->is_proven ? "good" : "bad",
	    proof->is_proven ? "proven" : "failed");
	bkp_report_time(out, proof->time_us);
	if (proof->path[0] != '\0') {
		bkp_report_add(out, " <bdi>");
		bkp_report_path(out, proof->path);
		bkp_report_add(out, "</bdi>");
	}
	if (proof->is_proven && strcmp(proof->level, "restored") != 0)
		bkp_report_addf(out, " (%s)", proof->level);
}

/* Ends the cell before it. */
static void
put_number(
    struct bkp_report_text *out, const char *label, struct bkp_words words)
{
	bkp_report_addf(out,
	    "</div></td><td data-label=\"%s\" class=\"number\"><div>%s", label,
	    words.text);
}

static struct bkp_words
duration_or_none(uint64_t ms)
{
	return ms > 0 ? bkp_words_duration(ms) : (struct bkp_words){"–"};
}

static void
put_row(const struct bkp_reported *reported, const struct bkp_snapshot *item,
    struct bkp_report_text *out)
{
	const struct bkp_snapshot_proof *proof = item->proof;

	bkp_report_addf(out,
	    "<tr%s><td data-label=\"Snapshot\"><div><code>%.12s</code>%s"
	    "</div></td><td data-label=\"Of\"><div>",
	    item == reported->snapshot ? " class=\"this\"" : "", item->name,
	    item == reported->snapshot ? " (this one)" : "");
	bkp_report_time(out, item->time_us);
	put_number(out, "Holds", bkp_words_size(bytes_of(item)));
	put_number(out, "Added", bkp_words_size(item->stored_bytes));
	bkp_report_add(out, "</div></td><td data-label=\"Verdict\"><div>");
	put_verdict(item, out);
	put_number(out, "Verified in",
	    duration_or_none(proof != NULL ? proof->duration_ms : 0));
	put_number(out, "Restored in",
	    duration_or_none(proof != NULL ? proof->recovery_ms : 0));
	bkp_report_add(out, "</div></td></tr>\n");
}

static void
put_table(const struct bkp_reported *reported, const struct shown *shown,
    struct bkp_report_text *out)
{
	bkp_report_add(out,
	    "<details><summary>The same in numbers, newest first</summary>\n"
	    "<table>\n"
	    "<thead><tr><th scope=\"col\">Snapshot</th><th scope=\"col\">Of"
	    "</th><th scope=\"col\" class=\"number\">Holds</th>"
	    "<th scope=\"col\" class=\"number\">Added</th>"
	    "<th scope=\"col\">Verdict</th>"
	    "<th scope=\"col\" class=\"number\">Verified in</th>"
	    "<th scope=\"col\" class=\"number\">Restored in</th></tr></thead>\n"
	    "<tbody>\n");
	for (size_t i = shown->count; i-- > 0;)
		put_row(reported, shown->items[i], out);
	bkp_report_add(out, "</tbody>\n</table>\n</details>\n");
}

void
bkp_report_history(
    const struct bkp_reported *reported, struct bkp_report_text *out)
{
	struct shown shown;

	if (reported->result == NULL || reported->result->history == NULL ||
	    reported->result->history->count == 0)
		return;
	shown = choose(reported);
	bkp_report_add(out, "<h2>History</h2>\n<p class=\"dim\">");
	bkp_report_addf(out, "The last %zu snapshot%s", shown.count,
	    shown.count == 1 ? "" : "s");
	if (reported->snapshot != NULL) {
		bkp_report_add(out, " of <bdi>");
		bkp_report_markup(out, reported->snapshot->host);
		bkp_report_add(out, "</bdi> with the same sources");
	}
	bkp_report_add(out, ", oldest at the left.</p>\n");
	put_legend(out);
	put_chart(reported, &shown, HOLDS, out);
	put_chart(reported, &shown, ADDED, out);
	put_chart(reported, &shown, TOOK, out);
	put_table(reported, &shown, out);
}
