/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/version.h"

#include <string.h>
#include <time.h>

#define ROOT "@versions/"

/* A space begins what is not as it is in the key; these are behind it. */
#define MARK ' '
#define END_OF_KEY '#'
#define CONTROL 0x40
#define SPACE '~'

#define SECOND 1000000
#define LAST_US ((int64_t)253402300799 * SECOND + SECOND - 1)

enum fmt_status
fmt_version_root(const char *prefix, struct fmt_buf *out)
{
	return fmt_buf_printf(out, "%s" ROOT, prefix);
}

bool
fmt_version_is_path(const char *prefix, const char *path)
{
	size_t len = strlen(prefix);

	return strncmp(path, prefix, len) == 0 &&
	       strncmp(path + len, ROOT, strlen(ROOT)) == 0;
}

static enum fmt_status
append_key(const char *key, struct fmt_buf *out)
{
	const unsigned char *at = (const unsigned char *)key;
	enum fmt_status status = FMT_OK;

	for (; *at != '\0' && status == FMT_OK; at++) {
		if (*at > MARK) {
			status = fmt_buf_append_byte(out, *at);
			continue;
		}
		status = fmt_buf_append_byte(out, MARK);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(
			    out, *at == MARK ? SPACE : CONTROL + *at);
	}
	return status;
}

enum fmt_status
fmt_version_group(const char *prefix, const char *key, struct fmt_buf *out)
{
	enum fmt_status status = fmt_version_root(prefix, out);

	if (status == FMT_OK)
		status = append_key(key, out);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, MARK);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, END_OF_KEY);
	return status;
}

enum fmt_status
fmt_version_selection(const char *prefix, const char *key, struct fmt_buf *out)
{
	enum fmt_status status = fmt_version_root(prefix, out);

	return status == FMT_OK ? append_key(key, out) : status;
}

bool
fmt_version_is_selected(const char *path, const char *selection)
{
	size_t len = strlen(selection);

	if (strncmp(path, selection, len) != 0)
		return false;
	return (len > 0 && selection[len - 1] == '/') || path[len] == '/' ||
	       (path[len] == MARK && path[len + 1] == END_OF_KEY);
}

enum fmt_status
fmt_version_path(
    const char *prefix, const char *key, int64_t us, struct fmt_buf *out)
{
	enum fmt_status status = fmt_version_group(prefix, key, out);
	time_t seconds;
	struct tm tm;

	if (status != FMT_OK)
		return status;
	if (us < 0 || us > LAST_US)
		return FMT_LIMIT;
	seconds = (time_t)(us / SECOND);
	if (gmtime_r(&seconds, &tm) == NULL)
		return FMT_LIMIT;
	return fmt_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, (int)(us % SECOND));
}

/* The byte of the key that a mark and `code` stand for; 0: none. */
static unsigned char
decode(unsigned char code)
{
	if (code == SPACE)
		return MARK;
	return code > CONTROL && code < CONTROL + MARK ? code - CONTROL : 0;
}

/* How far the key goes, or NULL. */
static const char *
take_key(const char *at, struct fmt_buf *key, enum fmt_status *status)
{
	*status = FMT_OK;
	for (; *at != '\0' && *status == FMT_OK; at++) {
		unsigned char byte = (unsigned char)*at;

		if (byte < MARK)
			break;
		if (byte == MARK && *++at == END_OF_KEY)
			return at + 1;
		if (byte == MARK && (byte = decode((unsigned char)*at)) == '\0')
			break;
		*status = fmt_buf_append_byte(key, byte);
	}
	return NULL;
}

enum fmt_status
fmt_version_key(const char *prefix, const char *path, struct fmt_buf *key)
{
	size_t before = key->len;
	const char *rest;
	enum fmt_status status;

	if (!fmt_version_is_path(prefix, path))
		return FMT_MALFORMED;
	rest = take_key(path + strlen(prefix) + strlen(ROOT), key, &status);
	if (status == FMT_OK &&
	    (rest == NULL || *rest == '\0' || key->len == before))
		status = FMT_MALFORMED;
	if (status != FMT_OK)
		key->len = before;
	return status;
}
