/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, times and paths, as people and as JSON want them. */
#include "tools/cli.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *
cli_size(uint64_t bytes, char text[CLI_TEXT_SIZE])
{
	static const char *const units[] = {
	    "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(text, CLI_TEXT_SIZE, "%" PRIu64 " B", bytes);
		return text;
	}
	/* 1023.95 would be printed as 1024.0. */
	while (value >= 1023.95 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		i++;
	}
	(void)snprintf(text, CLI_TEXT_SIZE, "%.1f %s", value, units[i]);
	return text;
}

bool
cli_size_read(const char *text, uint64_t *out)
{
	static const char units[] = "KMGTPE";
	unsigned long long value;
	const char *unit;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno != 0 || value == 0)
		return false;
	unit =
	    *end != '\0' ? strchr(units, toupper((unsigned char)*end)) : NULL;
	for (; unit != NULL && unit >= units; unit--) {
		if (value > UINT64_MAX / 1024)
			return false;
		value *= 1024;
	}
	if (*end != '\0' && strchr("KMGTPEkmgtpe", *end) != NULL)
		end += strcmp(end + 1, "iB") == 0 ? 3 : 1;
	if (*end != '\0')
		return false;
	*out = value;
	return true;
}

const char *
cli_count(uint64_t n, char text[CLI_TEXT_SIZE])
{
	char digits[24];
	size_t len, i, at = 0;

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	len = strlen(digits);
	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = '\0';
	return text;
}

const char *
cli_duration(uint64_t ms, char text[CLI_TEXT_SIZE])
{
	uint64_t seconds = ms / 1000;

	if (seconds >= 3600)
		(void)snprintf(text, CLI_TEXT_SIZE,
		    "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
		    seconds / 60 % 60, seconds % 60);
	else
		(void)snprintf(text, CLI_TEXT_SIZE, "%" PRIu64 ":%02" PRIu64,
		    seconds / 60, seconds % 60);
	return text;
}

/* Whole seconds, rounded down before 1970 too, and the microseconds left. */
static time_t
split_time(int64_t us, int *rest)
{
	int64_t seconds = us / 1000000;
	int64_t left = us % 1000000;

	if (left < 0) {
		left += 1000000;
		seconds--;
	}
	*rest = (int)left;
	return (time_t)seconds;
}

const char *
cli_time(int64_t us, char text[CLI_TEXT_SIZE])
{
	struct tm tm;
	int rest;
	time_t seconds = split_time(us, &rest);
	long offset;
	size_t len;

	if (localtime_r(&seconds, &tm) == NULL)
		return cli_time_utc(us, text);
	len = strftime(text, CLI_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	offset = tm.tm_gmtoff / 60;
	(void)snprintf(text + len, CLI_TEXT_SIZE - len, "%c%02ld:%02ld",
	    offset < 0 ? '-' : '+', labs(offset) / 60, labs(offset) % 60);
	return text;
}

const char *
cli_time_utc(int64_t us, char text[CLI_TEXT_SIZE])
{
	struct tm tm;
	int rest;
	time_t seconds = split_time(us, &rest);
	size_t len;

	if (gmtime_r(&seconds, &tm) == NULL) {
		(void)snprintf(text, CLI_TEXT_SIZE, "%" PRId64 "us", us);
		return text;
	}
	len = strftime(text, CLI_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, CLI_TEXT_SIZE - len, ".%06dZ", rest);
	return text;
}

uint64_t
cli_now_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- bytes that are not all text ---- */

/* Length of the UTF-8 sequence at p (NUL ended), 0 where there is none. Wrong
 * are overlong forms, surrogates, and what is above U+10FFFF. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t len, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* C0, DEL, and C1 in its two UTF-8 bytes: what a terminal would obey. */
static bool
is_control(const unsigned char *p)
{
	return p[0] < 0x20 || p[0] == 0x7f ||
	       (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f);
}

enum escape { ESCAPE_INVALID = 0, ESCAPE_CONTROL = 1, ESCAPE_PERCENT = 2 };

/* New memory, or NULL. */
static char *
escape(const char *text, unsigned what)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *p = (const unsigned char *)text;
	size_t size = strlen(text) * 3 + 1;
	char *out = malloc(size);
	size_t at = 0, len, i;
	bool is_plain;

	if (out == NULL)
		return NULL;
	for (; *p != '\0'; p += len) {
		len = utf8_length(p);
		is_plain = len > 0 &&
			   !((what & ESCAPE_CONTROL) && is_control(p)) &&
			   !((what & ESCAPE_PERCENT) && *p == '%');
		if (len == 0)
			len = 1;
		for (i = 0; i < len; i++) {
			if (is_plain) {
				out[at++] = (char)p[i];
				continue;
			}
			out[at++] = '%';
			out[at++] = hex[p[i] >> 4];
			out[at++] = hex[p[i] & 15];
		}
	}
	out[at] = '\0';
	return out;
}

char *
cli_escape(const char *text)
{
	return escape(text, ESCAPE_CONTROL);
}

void
cli_print_escaped(FILE *file, const char *text)
{
	char *safe = cli_escape(text);

	(void)fputs(safe == NULL ? "(out of memory)" : safe, file);
	free(safe);
}

static json_t *
json_escaped(const char *text, unsigned what)
{
	char *safe;
	json_t *json;

	if (text == NULL)
		return json_null();
	safe = escape(text, what);
	json = safe == NULL ? NULL : json_string(safe);
	free(safe);
	return json;
}

json_t *
cli_json_path(const char *path)
{
	return json_escaped(path, ESCAPE_CONTROL | ESCAPE_PERCENT);
}

json_t *
cli_json_text(const char *text)
{
	return json_escaped(text, ESCAPE_INVALID);
}
