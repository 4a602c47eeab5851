/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/report_chart.h"

#include <stdio.h>

/* Down, in pixels. */
#define TOP 12
#define BASE 142
#define MARKS 158
#define DAYS 184
#define HEIGHT 192

#define ASIDE 8 /* from the left edge to the numbers, which are outside */

/* Across, in percent. */
#define WIDEST 6.0

#define LEAST_SLOTS 8 /* fewer bars stand at the right */
#define MOST_LINES 4

/* ---- the axis ---- */

/* The smallest round step that needs few lines. */
static uint64_t
size_step(uint64_t most)
{
	static const uint64_t round[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};

	for (uint64_t unit = 1; unit < UINT64_MAX / 1024; unit *= 1024)
		for (size_t i = 0; i < sizeof(round) / sizeof(round[0]); i++)
			if (most / (unit * round[i]) <= MOST_LINES)
				return unit * round[i];
	return most;
}

static uint64_t
time_step(uint64_t most)
{
	static const uint64_t round[] = {1, 2, 5, 10, 20, 50, 100, 200, 500,
	    1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000,
	    600000, 900000, 1800000, 3600000, 7200000, 10800000, 21600000,
	    43200000, 86400000};

	for (size_t i = 0; i < sizeof(round) / sizeof(round[0]); i++)
		if (most / round[i] <= MOST_LINES)
			return round[i];
	return most / MOST_LINES + 1;
}

static struct bkp_words
axis_words(const struct bkp_chart *chart, uint64_t value)
{
	static const struct {
		const char *name;
		uint64_t size;
	} times[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000},
	    {"s", 1000}, {"ms", 1}},
	  sizes[] = {{"EiB", 1ull << 60}, {"PiB", 1ull << 50},
	      {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20},
	      {"KiB", 1ull << 10}, {"B", 1}};
	size_t count = chart->is_time ? sizeof(times) / sizeof(times[0])
				      : sizeof(sizes) / sizeof(sizes[0]);
	struct bkp_words words = {"0"};

	for (size_t i = 0; i < count && value > 0; i++) {
		uint64_t unit = chart->is_time ? times[i].size : sizes[i].size;

		if (value < unit)
			continue;
		(void)snprintf(words.text, sizeof(words.text), "%.3g %s",
		    (double)value / (double)unit,
		    chart->is_time ? times[i].name : sizes[i].name);
		break;
	}
	return words;
}

struct scale {
	uint64_t most, step;
};

static struct scale
scale_of(const struct bkp_chart *chart)
{
	struct scale scale = {.most = 1};

	for (size_t i = 0; i < chart->count; i++)
		if (chart->bars[i].has_value &&
		    chart->bars[i].value > scale.most)
			scale.most = chart->bars[i].value;
	scale.step =
	    chart->is_time ? time_step(scale.most) : size_step(scale.most);
	/* The highest line is above the highest bar. */
	scale.most =
	    (scale.most / scale.step + (scale.most % scale.step > 0 ? 1 : 0)) *
	    scale.step;
	return scale;
}

static double
height_of(const struct scale *scale, uint64_t value)
{
	return (double)(BASE - TOP) * (double)value / (double)scale->most;
}

static void
put_axis(struct bkp_report_text *out, const struct bkp_chart *chart,
    const struct scale *scale)
{
	for (uint64_t n = 0; n <= scale->most / scale->step; n++) {
		uint64_t value = n * scale->step;
		double y = BASE - height_of(scale, value);

		bkp_report_addf(out,
		    "<line class=\"%s\" x1=\"0\" x2=\"100%%\" "
		    "y1=\"%.1f\" y2=\"%.1f\"/>"
		    "<text x=\"-%d\" y=\"%.1f\" text-anchor=\"end\">%s"
		    "</text>\n",
		    n == 0 ? "base" : "grid", y, y, ASIDE, y + 4,
		    axis_words(chart, value).text);
	}
}

/* ---- bars ---- */

struct slots {
	double first, width; /* percent: the left edge, and of one */
};

static struct slots
slots_of(const struct bkp_chart *chart)
{
	size_t count = chart->count < LEAST_SLOTS ? LEAST_SLOTS : chart->count;
	double width = 100.0 / (double)count;

	return (struct slots){width * (double)(count - chart->count), width};
}

static double
middle_of(const struct slots *slots, size_t n)
{
	return slots->first + slots->width * ((double)n + 0.5);
}

static void
put_rectangle(struct bkp_report_text *out, const char *class, double middle,
    double width, double height)
{
	/* Something that is there is seen. */
	if (height < 1.5)
		height = 1.5;
	bkp_report_addf(out,
	    "<rect class=\"%s\" x=\"%.2f%%\" width=\"%.2f%%\" y=\"%.1f\" "
	    "height=\"%.1f\"/>",
	    class, middle - width / 2, width, BASE - height, height);
}

static void
put_bar(struct bkp_report_text *out, const struct bkp_chart *chart,
    const struct scale *scale, const struct slots *slots, size_t n)
{
	const struct bkp_chart_bar *bar = &chart->bars[n];
	double middle = middle_of(slots, n);
	double width = slots->width * 0.7;

	if (!bar->has_value)
		return;
	if (width > WIDEST)
		width = WIDEST;
	put_rectangle(out, bar->part > 0 ? "rest" : "bar", middle, width,
	    height_of(scale, bar->value));
	if (bar->part > 0)
		put_rectangle(out, "bar", middle, width,
		    height_of(scale,
			bar->part < bar->value ? bar->part : bar->value));
	if (bar->mark != BKP_MARK_FAILED)
		return;
	bkp_report_addf(out,
	    "<rect fill=\"url(#%s-hatch)\" x=\"%.2f%%\" width=\"%.2f%%\" "
	    "y=\"%.1f\" height=\"%.1f\"/>",
	    chart->id, middle - width / 2, width,
	    BASE - height_of(scale, bar->value), height_of(scale, bar->value));
}

/* Drawn around a point: percent have no place in a path. */
static void
put_mark(
    struct bkp_report_text *out, const struct bkp_chart_bar *bar, double middle)
{
	static const char *const shapes[] = {
	    [BKP_MARK_NONE] = "<circle class=\"never\" r=\"3\"/>",
	    [BKP_MARK_PROVEN] = "<path class=\"yes\" d=\"M-4 0l3 4 5-8\"/>",
	    [BKP_MARK_FAILED] =
		"<path class=\"no\" d=\"M-3.5-3.5l7 7m0-7l-7 7\"/>",
	};

	bkp_report_addf(out, "<svg x=\"%.2f%%\" y=\"%d\">%s%s</svg>\n", middle,
	    MARKS, shapes[bar->mark],
	    bar->is_this ? "<path class=\"this\" d=\"M-6 9h12\"/>" : "");
}

static void
put_day(struct bkp_report_text *out, const struct bkp_chart *chart,
    const struct slots *slots, size_t n, const char *anchor)
{
	bkp_report_addf(out,
	    "<text x=\"%.2f%%\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
	    anchor[0] == 'e' ? 100.0 : middle_of(slots, n), DAYS, anchor,
	    bkp_words_day(chart->bars[n].time_us).text);
}

/* The first, the last, and one between where there is room. */
static void
put_days(struct bkp_report_text *out, const struct bkp_chart *chart,
    const struct slots *slots)
{
	size_t last = chart->count - 1;

	put_day(out, chart, slots, last, "end");
	if (chart->count >= 4)
		put_day(out, chart, slots, 0, "middle");
	if (chart->count >= LEAST_SLOTS)
		put_day(out, chart, slots, last / 2, "middle");
}

void
bkp_report_chart(struct bkp_report_text *out, const struct bkp_chart *chart)
{
	struct slots slots = slots_of(chart);
	struct scale scale = scale_of(chart);

	if (chart->count == 0)
		return;
	bkp_report_addf(out,
	    "<svg class=\"chart\" role=\"img\" width=\"100%%\" height=\"%d\" "
	    "aria-labelledby=\"%s-title %s-text\">\n"
	    "<title id=\"%s-title\">%s</title>\n"
	    "<desc id=\"%s-text\">%s</desc>\n"
	    "<defs><pattern id=\"%s-hatch\" width=\"6\" height=\"6\" "
	    "patternUnits=\"userSpaceOnUse\" "
	    "patternTransform=\"rotate(45)\"><path class=\"hatch\" "
	    "d=\"M0 0v6\"/></pattern></defs>\n",
	    HEIGHT, chart->id, chart->id, chart->id, chart->title, chart->id,
	    chart->description, chart->id);
	put_axis(out, chart, &scale);
	for (size_t i = 0; i < chart->count; i++) {
		put_bar(out, chart, &scale, &slots, i);
		put_mark(out, &chart->bars[i], middle_of(&slots, i));
	}
	put_days(out, chart, &slots);
	bkp_report_add(out, "</svg>\n");
}
