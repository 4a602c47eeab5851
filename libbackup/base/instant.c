/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/instant.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define SECOND ((int64_t)1000000)

/* Reads just so many digits, up to `most`. */
static bool
read_number(const char **at, int digits, int least, int most, int *out)
{
	int number = 0;

	for (int i = 0; i < digits; i++, (*at)++) {
		if (!isdigit((unsigned char)**at))
			return false;
		number = number * 10 + (**at - '0');
	}
	*out = number;
	return number >= least && number <= most;
}

static bool
skip(const char **at, const char *any)
{
	if (**at == '\0' || strchr(any, **at) == NULL)
		return false;
	(*at)++;
	return true;
}

static bool
read_date(const char **at, struct tm *tm)
{
	struct tm same = {.tm_mday = 0};
	int year, month, day;

	if (!read_number(at, 4, 1970, 9999, &year) || !skip(at, "-") ||
	    !read_number(at, 2, 1, 12, &month) || !skip(at, "-") ||
	    !read_number(at, 2, 1, 31, &day))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	/* There is no 31st of February. */
	same.tm_year = tm->tm_year;
	same.tm_mon = tm->tm_mon;
	same.tm_mday = day;
	return timegm(&same) != -1 && same.tm_mday == day;
}

/* Six digits of a fraction count. */
static bool
read_fraction(const char **at, int64_t *us, int64_t *length)
{
	if (!isdigit((unsigned char)**at))
		return false;
	for (; isdigit((unsigned char)**at); (*at)++)
		if (*length > 1) {
			*length /= 10;
			*us += (**at - '0') * *length;
		}
	return true;
}

/* What of the day is told; *length becomes how long that lasts. */
static bool
read_clock(const char **at, struct tm *tm, int64_t *us, int64_t *length)
{
	if (!skip(at, "T ")) {
		*length = 24 * 60 * 60 * SECOND;
		return true;
	}
	if (!read_number(at, 2, 0, 23, &tm->tm_hour) || !skip(at, ":") ||
	    !read_number(at, 2, 0, 59, &tm->tm_min))
		return false;
	*length = 60 * SECOND;
	if (!skip(at, ":"))
		return true;
	*length = SECOND;
	if (!read_number(at, 2, 0, 59, &tm->tm_sec))
		return false;
	return !skip(at, ".") || read_fraction(at, us, length);
}

/* Seconds to the east; *is_local where no zone is told. */
static bool
read_zone(const char **at, int *east, bool *is_local)
{
	bool is_west = **at == '-';
	int hours, minutes;

	*east = 0;
	*is_local = **at == '\0';
	if (*is_local || skip(at, "Z"))
		return true;
	if (!skip(at, "+-") || !read_number(at, 2, 0, 23, &hours) ||
	    !skip(at, ":") || !read_number(at, 2, 0, 59, &minutes))
		return false;
	*east = (hours * 60 + minutes) * 60 * (is_west ? -1 : 1);
	return true;
}

bool
bkp_instant_read(const char *text, int64_t *us)
{
	struct tm tm = {.tm_isdst = -1};
	int64_t fraction = 0, length = 0;
	bool is_local;
	int east;
	time_t when;

	if (!read_date(&text, &tm) ||
	    !read_clock(&text, &tm, &fraction, &length) ||
	    !read_zone(&text, &east, &is_local) || *text != '\0')
		return false;
	/* A day of a local calendar may have 23 hours, or 25. */
	if (is_local && length > 60 * SECOND) {
		tm.tm_mday++;
		length = 0;
	}
	when = is_local ? mktime(&tm) : timegm(&tm);
	*us = ((int64_t)when - east) * SECOND + fraction + length - 1;
	return true;
}
