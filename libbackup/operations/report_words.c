/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, counts and times as people say them. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "libbackup/operations/report_text.h"

struct bkp_words
bkp_words_size(uint64_t bytes)
{
	static const char *const units[] = {
	    "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	struct bkp_words words;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(
		    words.text, sizeof(words.text), "%" PRIu64 " B", bytes);
		return words;
	}
	/* 1023.95 would be printed as 1024.0. */
	while (value >= 1023.95 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		i++;
	}
	(void)snprintf(words.text, sizeof(words.text),
	    value < 10 ? "%.1f %s" : "%.0f %s", value, units[i]);
	return words;
}

struct bkp_words
bkp_words_count(uint64_t n)
{
	struct bkp_words words;
	char digits[24];
	size_t len, at = 0;

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			words.text[at++] = ',';
		words.text[at++] = digits[i];
	}
	words.text[at] = '\0';
	return words;
}

struct bkp_words
bkp_words_duration(uint64_t ms)
{
	uint64_t seconds = ms / 1000;
	struct bkp_words words;
	char *text = words.text;
	size_t size = sizeof(words.text);

	if (ms < 1000)
		(void)snprintf(text, size, "%" PRIu64 " ms", ms);
	else if (seconds < 60)
		(void)snprintf(text, size, "%" PRIu64 ".%" PRIu64 " s", seconds,
		    ms % 1000 / 100);
	else if (seconds < 3600)
		(void)snprintf(text, size, "%" PRIu64 " min %" PRIu64 " s",
		    seconds / 60, seconds % 60);
	else if (seconds < 86400)
		(void)snprintf(text, size, "%" PRIu64 " h %" PRIu64 " min",
		    seconds / 3600, seconds / 60 % 60);
	else
		(void)snprintf(text, size, "%" PRIu64 " d %" PRIu64 " h",
		    seconds / 86400, seconds / 3600 % 24);
	return words;
}

struct bkp_words
bkp_words_age(int64_t us)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}};
	int64_t seconds = us > 0 ? us / 1000000 : 0;
	struct bkp_words words;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		int64_t n = seconds / units[i].seconds;

		if (n == 0)
			continue;
		(void)snprintf(words.text, sizeof(words.text),
		    "%" PRId64 " %s%s", n, units[i].name, n == 1 ? "" : "s");
		return words;
	}
	(void)snprintf(words.text, sizeof(words.text), "%" PRId64 " second%s",
	    seconds, seconds == 1 ? "" : "s");
	return words;
}

/* ---- moments ---- */

/* Whole seconds, rounded down before 1970, too. False where there is no such
 * day. */
static bool
split(int64_t us, struct tm *tm)
{
	time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0 ? 1 : 0));

	return gmtime_r(&seconds, tm) != NULL;
}

static struct bkp_words
no_time(void)
{
	return (struct bkp_words){"an unknown time"};
}

struct bkp_words
bkp_words_time(int64_t us)
{
	struct bkp_words words;
	struct tm tm;

	if (!split(us, &tm))
		return no_time();
	(void)snprintf(words.text, sizeof(words.text),
	    "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min);
	return words;
}

/* Names of months would be in the program's language, not the page's. */
struct bkp_words
bkp_words_day(int64_t us)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct bkp_words words;
	struct tm tm;

	if (!split(us, &tm))
		return no_time();
	(void)snprintf(words.text, sizeof(words.text), "%d %s", tm.tm_mday,
	    months[tm.tm_mon]);
	return words;
}

struct bkp_words
bkp_words_iso(int64_t us, int has_zone)
{
	struct bkp_words words;
	struct tm tm;

	if (!split(us, &tm))
		return no_time();
	(void)snprintf(words.text, sizeof(words.text),
	    "%04d-%02d-%02dT%02d:%02d:%02d%s", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, has_zone ? "Z" : "");
	return words;
}
