/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/duration.h"

#include <ctype.h>

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
