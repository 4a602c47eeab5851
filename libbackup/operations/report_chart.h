/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPORT_CHART_H
#define LIBBACKUP_OPERATIONS_REPORT_CHART_H

/*
 * A chart of bars as inline SVG without script. Places across are in percent
 * and all else in pixels, so that letters keep their size on any screen. What
 * a colour says is said by a shape, too, and by words in the description.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/operations/report_text.h"

enum bkp_chart_mark {
	BKP_MARK_NONE,   /* a ring: never verified */
	BKP_MARK_PROVEN, /* a tick */
	BKP_MARK_FAILED  /* a cross, and the bar is hatched */
};

struct bkp_chart_bar {
	int64_t time_us; /* of the snapshot: what stands below */
	bool has_value;
	uint64_t value;
	uint64_t part; /* of it, drawn stronger; 0: all of it is one */
	enum bkp_chart_mark mark;
	bool is_this; /* the snapshot of the report: underlined */
};

struct bkp_chart {
	const char *id;                   /* of the page's elements */
	const char *title;                /* ours, not from outside */
	const char *description;          /* the same */
	bool is_time;                     /* milliseconds, or else bytes */
	const struct bkp_chart_bar *bars; /* oldest first */
	size_t count;
};

void bkp_report_chart(
    struct bkp_report_text *out, const struct bkp_chart *chart);

#endif
