/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/duration.h"

#include <ctype.h>
#include <stdio.h>

#include "libbackup/base/fail.h"

static int64_t
hours_of(char unit)
{
	switch (unit) {
	case 'h':
		return 1;
	case 'd':
		return 24;
	case 'w':
		return 7 * 24;
	case 'm':
		return 31 * 24;
	case 'y':
		return 366 * 24;
	default:
		return 0;
	}
}

int
bkp_duration_read(const char *text, int64_t *us, struct bkp_error *err)
{
	const int64_t most = (int64_t)1000 * 366 * 24; /* a thousand years */
	const char *p = text;
	int64_t hours = 0;

	while (isdigit((unsigned char)*p)) {
		int64_t number = 0;

		for (; isdigit((unsigned char)*p); p++)
			if (number <= most)
				number = number * 10 + (*p - '0');
		hours += number * hours_of(*p);
		if (hours_of(*p) == 0 || hours > most) {
			hours = 0;
			break;
		}
		p++;
	}
	if (*p != '\0' || hours == 0)
		return bkp_fail(err, BKP_INVALID,
		    "'%.40s' is no duration: give numbers with h, d, w, m or "
		    "y, as in 36h, 30d or 1y6m",
		    text);
	*us = hours * 3600 * 1000000;
	return 0;
}

static uint64_t
seconds_of(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 24 * 3600;
	case 'w':
		return 7 * 24 * 3600;
	default:
		return 0;
	}
}

int
bkp_span_read(const char *text, uint64_t *ms, struct bkp_error *err)
{
	const uint64_t most = (uint64_t)10 * 366 * 24 * 3600;
	const char *p = text;
	uint64_t seconds = 0;

	while (isdigit((unsigned char)*p)) {
		uint64_t number = 0;

		for (; isdigit((unsigned char)*p); p++)
			if (number <= most)
				number = number * 10 + (uint64_t)(*p - '0');
		seconds += number * seconds_of(*p);
		if (seconds_of(*p) == 0 || seconds > most) {
			seconds = 0;
			break;
		}
		p++;
	}
	if (*p == '\0' && p > text && seconds == 0)
		return bkp_fail(err, BKP_INVALID,
		    "'%.40s' is no time at all: give 1s or more, or leave it "
		    "out",
		    text);
	if (*p != '\0' || seconds == 0)
		return bkp_fail(err, BKP_INVALID,
		    "'%.40s' is no time: give numbers with s, m (minutes), h, "
		    "d or w, as in 90s, 30m, 26h or 1h30m",
		    text);
	*ms = seconds * 1000;
	return 0;
}

struct bkp_span
bkp_span(uint64_t ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000},
	    {"s", 1000}, {"ms", 1}};
	const size_t last = sizeof(units) / sizeof(units[0]) - 1;
	struct bkp_span span;
	size_t n = 0;
	uint64_t rest;

	while (n < last && ms < units[n].ms)
		n++;
	rest = n < last - 1 ? ms % units[n].ms / units[n + 1].ms : 0;
	if (rest > 0)
		(void)snprintf(span.text, sizeof(span.text), "%llu %s %llu %s",
		    (unsigned long long)(ms / units[n].ms), units[n].name,
		    (unsigned long long)rest, units[n + 1].name);
	else
		(void)snprintf(span.text, sizeof(span.text), "%llu %s",
		    (unsigned long long)(ms / units[n].ms), units[n].name);
	return span;
}
