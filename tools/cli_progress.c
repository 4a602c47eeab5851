/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress: one line on a terminal that is drawn again and again, lines of
 * their own in a log, events in JSON.
 */
#include "tools/cli.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define LINE_EVERY_MS 30000
#define EVENT_EVERY_MS 1000
#define SMOOTH_MS 8000.0
#define GAUGE_MIN 14 /* columns, with two blanks before it */
#define GAUGE_MAX 42

/* What a line says, worked out once for all its forms. */
struct figures {
	uint64_t done, total; /* bytes where they are known, else items */
	bool is_bytes;
	double part; /* 0 to 1; below 0: nobody knows */
	char amount[CLI_TEXT_SIZE * 3];
	char rate[CLI_TEXT_SIZE * 2];
	char left[CLI_TEXT_SIZE * 2];
};

static void
begin_phase(struct cli_progress *p, const char *phase)
{
	(void)snprintf(p->phase, sizeof(p->phase), "%s", phase);
	p->sample_ms = 0;
	p->sample_done = 0;
	p->rate = 0;
}

/* A rate that follows the last seconds: an average over all of a long phase
 * hides that the line has become slow. */
static void
take_sample(struct cli_progress *p, uint64_t elapsed_ms, uint64_t done)
{
	double span, now, weight;

	if (elapsed_ms <= p->sample_ms || done < p->sample_done)
		return;
	span = (double)(elapsed_ms - p->sample_ms);
	now = (double)(done - p->sample_done) * 1000 / span;
	weight = p->sample_ms == 0 ? 1 : span / (span + SMOOTH_MS);
	p->rate += (now - p->rate) * weight;
	p->sample_ms = elapsed_ms;
	p->sample_done = done;
}

static void
amount_text(const struct figures *f, uint64_t n, char text[CLI_TEXT_SIZE])
{
	(void)(f->is_bytes ? cli_size(n, text) : cli_count(n, text));
}

static void
work_out(struct cli_progress *p, const struct bkp_progress *progress,
    struct figures *f)
{
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];

	memset(f, 0, sizeof(*f));
	f->is_bytes = progress->bytes_total > 0 || progress->items_total == 0;
	f->done = f->is_bytes ? progress->bytes_done : progress->items_done;
	f->total = f->is_bytes ? progress->bytes_total : progress->items_total;
	f->part = -1;
	take_sample(p, progress->elapsed_ms, f->done);
	amount_text(f, f->done, a);
	amount_text(f, f->total, b);
	if (f->total > 0) {
		/* Totals are estimates; never claim more than all. */
		f->part = (double)f->done / (double)f->total;
		f->part = f->part > 1 ? 1 : f->part;
		(void)snprintf(f->amount, sizeof(f->amount), "%s of %s", a, b);
	} else {
		(void)snprintf(f->amount, sizeof(f->amount), "%s", a);
	}
	if (p->rate < 1)
		return;
	amount_text(f, (uint64_t)p->rate, a);
	(void)snprintf(f->rate, sizeof(f->rate), "%s/s", a);
	if (f->total > f->done)
		(void)snprintf(f->left, sizeof(f->left), "%s left",
		    cli_duration((uint64_t)((double)(f->total - f->done) *
					    1000 / p->rate),
			a));
}

/* ---- the bar ---- */

static size_t
terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

/* Copies as much of `text` as fits into `width` columns, without what would
 * move the cursor. Returns the columns used. */
static size_t
clip(const char *text, size_t width, char *out, size_t out_size)
{
	mbstate_t state;
	size_t used = 0, at = 0, len;
	wchar_t c;
	int columns;

	memset(&state, 0, sizeof(state));
	for (; *text != '\0'; text += len) {
		len = mbrtowc(&c, text, MB_CUR_MAX, &state);
		columns = len > MB_LEN_MAX ? -1 : wcwidth(c);
		if (len > MB_LEN_MAX || len == 0) {
			memset(&state, 0, sizeof(state));
			len = 1;
		}
		if (columns < 0) {
			if (used + 1 > width || at + 2 > out_size)
				break;
			out[at++] = '?';
			used++;
			continue;
		}
		if (used + (size_t)columns > width || at + len + 1 > out_size)
			break;
		memcpy(out + at, text, len);
		at += len;
		used += (size_t)columns;
	}
	out[at] = '\0';
	return used;
}

static void
draw_gauge(size_t width, double part)
{
	size_t full = (size_t)((double)(width - 2) * part), i;

	(void)fputc('[', stderr);
	for (i = 0; i < width - 2; i++)
		(void)fputc(i < full ? '=' : i == full ? '>' : ' ', stderr);
	(void)fputc(']', stderr);
}

/* The end of the bar, without its first `dropped` parts: the amount, the rate,
 * the time left; the percentage stays. */
static void
make_tail(const struct figures *f, unsigned dropped, char *tail, size_t size)
{
	const char *parts[] = {f->amount, f->rate, f->left};
	size_t at = 0, i;

	*tail = '\0';
	if (f->part >= 0)
		at = (size_t)snprintf(
		    tail, size, "  %3d%%", (int)(f->part * 100));
	for (i = dropped; i < 3; i++) {
		if (*parts[i] != '\0' && at < size)
			at += (size_t)snprintf(
			    tail + at, size - at, "  %s", parts[i]);
	}
}

static size_t
at_most(size_t n, size_t limit)
{
	return n < limit ? n : limit;
}

/* Chooses what there is room for in `width` columns and makes the tail. With a
 * gauge: all figures, or all but the amount; else as many as leave a part of
 * the phase. Returns the columns of the gauge with its blanks, 0 for none. */
static size_t
fit(const struct figures *f, size_t phase, size_t width, char *tail,
    size_t size)
{
	size_t least, room;
	unsigned dropped;

	for (dropped = 0; f->part >= 0 && dropped < 2; dropped++) {
		make_tail(f, dropped, tail, size);
		least = (dropped == 0 ? phase : at_most(phase, 24)) + GAUGE_MIN;
		if (least + strlen(tail) > width)
			continue;
		room = width - strlen(tail);
		return room < phase + GAUGE_MIN
			   ? GAUGE_MIN
			   : at_most(room - phase, GAUGE_MAX);
	}
	for (dropped = 0; dropped <= 3; dropped++) {
		make_tail(f, dropped, tail, size);
		if (at_most(phase, 16) + strlen(tail) <= width)
			break;
	}
	return 0;
}

/*
 * "phase  [====>    ]  42%  1.2 GiB of 3.0 GiB  85.0 MiB/s  0:21 left". The
 * last column stays free, for some terminals wrap when it is written.
 */
static void
draw_bar(struct cli *cli, const struct figures *f)
{
	const char *name = cli->progress.phase;
	size_t width = terminal_width() - 1, tail_width, gauge;
	char tail[CLI_TEXT_SIZE * 8], phase[512], clipped[512];

	gauge = fit(f, clip(name, width, phase, sizeof(phase)), width, tail,
	    sizeof(tail));
	tail_width = clip(tail, width - gauge, clipped, sizeof(clipped));
	(void)clip(name, width - gauge - tail_width, phase, sizeof(phase));
	(void)fprintf(stderr, "\r%s", phase);
	if (gauge > 0) {
		(void)fputs("  ", stderr);
		draw_gauge(gauge - 2, f->part);
	}
	(void)fprintf(stderr, "%s\033[K", clipped);
	(void)fflush(stderr);
	cli->progress.is_shown = true;
}

void
cli_progress_clear(struct cli *cli)
{
	if (!cli->progress.is_shown)
		return;
	(void)fputs("\r\033[K", stderr);
	(void)fflush(stderr);
	cli->progress.is_shown = false;
}

/* ---- lines and events ---- */

static void
print_line(struct cli *cli, const struct figures *f, bool is_new)
{
	cli_begin_line(cli, CLI_PRIORITY_INFO);
	cli_print_escaped(stderr, cli->progress.phase);
	if (!is_new && f->done + f->total > 0) {
		(void)fprintf(stderr, ": %s", f->amount);
		if (f->part >= 0)
			(void)fprintf(stderr, " (%d%%)", (int)(f->part * 100));
		if (*f->rate != '\0')
			(void)fprintf(stderr, ", %s", f->rate);
		if (*f->left != '\0')
			(void)fprintf(stderr, ", %s", f->left);
	}
	(void)fputc('\n', stderr);
}

static json_t *
progress_event(const struct bkp_progress *p)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "type",
	    "progress", "phase", cli_json_text(p->phase), "bytes_done",
	    (json_int_t)p->bytes_done, "bytes_total",
	    (json_int_t)p->bytes_total, "items_done", (json_int_t)p->items_done,
	    "items_total", (json_int_t)p->items_total, "elapsed_ms",
	    (json_int_t)p->elapsed_ms);
}

void
cli_progress_show(struct cli *cli, const struct bkp_progress *progress)
{
	struct cli_progress *p = &cli->progress;
	const char *phase = progress->phase == NULL ? "" : progress->phase;
	uint64_t every = cli->is_json ? EVENT_EVERY_MS : LINE_EVERY_MS;
	bool is_new = strncmp(p->phase, phase, sizeof(p->phase) - 1) != 0;
	bool is_due = is_new || cli_now_ms() - p->told_ms >= every;
	struct figures f;

	if (cli->is_quiet || *phase == '\0')
		return;
	if (is_new)
		begin_phase(p, phase);
	work_out(p, progress, &f);
	if (cli->is_terminal && !cli->is_json) {
		draw_bar(cli, &f);
		return;
	}
	if (!is_due)
		return;
	p->told_ms = cli_now_ms();
	if (cli->is_json)
		cli_emit(cli, progress_event(progress));
	else
		print_line(cli, &f, is_new);
}
