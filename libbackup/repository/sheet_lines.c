/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/sheet_lines.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"

#define LABEL "libbackup recovery sheet 1"
#define LINES 7
#define BODY_MAX 16 /* characters of a line without its checksum */
#define CHECK 4
#define CHECK_ALL 8
#define ALL (BKP_SHEET_ID - 1 + BKP_SHEET_KEY - 1)

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/* Where a line's characters are among all of them. */
static const struct {
	size_t at, len;
} places[LINES] = {
    {0, 16}, {16, 16}, {32, 16}, {48, 16}, {64, 16}, {80, 10}, {0, 0}};

_Static_assert(ALL == 90, "the places are those of 90 characters");

static bool
is_hex_line(int line)
{
	return line < 2;
}

/* The checksum of a line's characters; line 7 is all of them. */
static int
checksum(int line, const char *text, size_t len, size_t check_len, char *out,
    struct bkp_error *err)
{
	char data[sizeof(LABEL) + 1 + ALL];
	unsigned char digest[32];
	enum fmt_status status;
	size_t n = sizeof(LABEL);

	memcpy(data, LABEL, n);
	data[n++] = (char)('1' + line);
	memcpy(data + n, text, len);
	status = fmt_sha256(data, n + len, digest);
	OPENSSL_cleanse(data, sizeof(data));
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing a recovery sheet");
	for (size_t i = 0; i < check_len; i++) {
		size_t bit = i * 5;
		unsigned two =
		    (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];

		out[i] = alphabet[two >> (11 - bit % 8) & 31];
	}
	out[check_len] = '\0';
	return 0;
}

/* ---- writing ---- */

/* Groups of four; capitals read better on paper. */
static enum fmt_status
add_groups(const char *text, size_t len, size_t width, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < width && status == FMT_OK; i++) {
		char c = i < len ? (char)toupper((unsigned char)text[i]) : ' ';

		if (i % 4 == 0)
			status = fmt_buf_append(out, " ", 1);
		if (status == FMT_OK)
			status = fmt_buf_append(out, &c, 1);
	}
	return status;
}

static int
add_line(int line, const char *text, size_t len, const char *check,
    struct fmt_buf *out, struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_printf(out, "  %d  ", line + 1);

	if (status == FMT_OK && len > 0)
		status = add_groups(text, len, BODY_MAX, out);
	if (status == FMT_OK && len > 0)
		status = fmt_buf_append_text(out, "   ");
	if (status == FMT_OK)
		status = add_groups(check, strlen(check), strlen(check), out);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "\n");
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing a recovery sheet");
	return 0;
}

int
bkp_sheet_lines_write(const struct bkp_sheet_lines *lines, struct fmt_buf *out,
    struct bkp_error *err)
{
	char all[ALL], check[CHECK_ALL + 1];
	int rc = 0;

	memcpy(all, lines->id, BKP_SHEET_ID - 1);
	memcpy(all + BKP_SHEET_ID - 1, lines->key, BKP_SHEET_KEY - 1);
	for (int i = 0; rc == 0 && i < LINES - 1; i++) {
		const char *text = all + places[i].at;

		rc = checksum(i, text, places[i].len, CHECK, check, err);
		if (rc == 0)
			rc = add_line(i, text, places[i].len, check, out, err);
	}
	if (rc == 0)
		rc = checksum(LINES - 1, all, ALL, CHECK_ALL, check, err);
	if (rc == 0)
		rc = add_line(LINES - 1, "", 0, check, out, err);
	OPENSSL_cleanse(all, sizeof(all));
	return rc;
}

/* ---- reading ---- */

struct reading {
	char all[ALL + 1]; /* secret */
	char check[CHECK_ALL + 1];
	bool is_there[LINES];
	char wrong[BKP_ERROR_MESSAGE / 2];
	unsigned unnumbered; /* lines of a sheet's lengths without a number */
};

__attribute__((format(printf, 2, 3))) static void
complain(struct reading *reading, const char *format, ...)
{
	size_t len = strlen(reading->wrong);
	va_list args;

	if (len > 0 && len + 2 < sizeof(reading->wrong)) {
		memcpy(reading->wrong + len, "; ", 3);
		len += 2;
	}
	va_start(args, format);
	(void)vsnprintf(
	    reading->wrong + len, sizeof(reading->wrong) - len, format, args);
	va_end(args);
}

/* What a person may have read for another character. */
static char
put_right(char c, bool is_hex)
{
	c = (char)tolower((unsigned char)c);
	if (c == 'o')
		return '0';
	if (is_hex)
		return c == 'l' || c == 'i' ? '1' : c;
	return c == 'i' || c == '1' ? 'l' : c;
}

/* The characters of a typed line; false where it is prose. */
static bool
collect(const char *at, const char *end, char out[2 * BODY_MAX], size_t *len)
{
	*len = 0;
	for (; at < end; at++) {
		if (*at == ' ' || *at == '\t' || *at == '\r' || *at == '-')
			continue;
		if (!isalnum((unsigned char)*at) || *len == 2 * BODY_MAX)
			return false;
		out[(*len)++] = *at;
	}
	return *len > 0;
}

static int
take_line(struct reading *reading, int line, const char *typed, size_t len,
    struct bkp_error *err)
{
	size_t body = places[line].len;
	size_t check_len = line == LINES - 1 ? CHECK_ALL : CHECK;
	char text[BODY_MAX], check[CHECK_ALL + 1], wanted[CHECK_ALL + 1];
	int rc = 0;

	if (reading->is_there[line]) {
		complain(reading, "line %d is there twice", line + 1);
		return 0;
	}
	reading->is_there[line] = true;
	if (len != body + check_len) {
		complain(reading, "line %d has %zu characters and not %zu",
		    line + 1, len, body + check_len);
		return 0;
	}
	for (size_t i = 0; i < body; i++)
		text[i] = put_right(typed[i], is_hex_line(line));
	for (size_t i = 0; i < check_len; i++)
		check[i] = put_right(typed[body + i], false);
	check[check_len] = '\0';
	if (line == LINES - 1) {
		memcpy(reading->check, check, sizeof(check));
	} else {
		rc = checksum(line, text, body, check_len, wanted, err);
		if (rc == 0 && strcmp(check, wanted) != 0)
			complain(reading, "line %d is wrong", line + 1);
		memcpy(reading->all + places[line].at, text, body);
	}
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

/* Spaces do not matter, also behind the number: it is one where what follows
 * is as long as a line of that number. */
static bool
is_glued(const char *at, const char *end)
{
	char typed[2 * BODY_MAX];
	size_t len = 0, body = places[*at - '1'].len;
	bool is_sheet = collect(at + 1, end, typed, &len) &&
			len == body + (body > 0 ? CHECK : CHECK_ALL);

	OPENSSL_cleanse(typed, sizeof(typed));
	return is_sheet;
}

static int
read_line(struct reading *reading, const char *at, const char *end,
    struct bkp_error *err)
{
	char typed[2 * BODY_MAX];
	size_t len;
	int rc = 0, line;

	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (end - at < 2 || *at < '1' || *at > '0' + LINES ||
	    (isalnum((unsigned char)at[1]) && !is_glued(at, end))) {
		if (collect(at, end, typed, &len) &&
		    (len == BODY_MAX + CHECK || len == places[5].len + CHECK))
			reading->unnumbered++;
		OPENSSL_cleanse(typed, sizeof(typed));
		return 0;
	}
	line = *at - '1';
	at++;
	if (*at == '.' || *at == ':' || *at == ')')
		at++;
	if (collect(at, end, typed, &len))
		rc = take_line(reading, line, typed, len, err);
	OPENSSL_cleanse(typed, sizeof(typed));
	return rc;
}

static int
judge(struct reading *reading, struct bkp_error *err)
{
	char wanted[CHECK_ALL + 1];
	bool has_any = false;

	for (int i = 0; i < LINES; i++)
		has_any = has_any || reading->is_there[i];
	if (!has_any && reading->unnumbered > 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "the lines of the recovery sheet have no numbers: type "
		    "each line as it is on paper, from its number (1 to 7) to "
		    "its last group");
	if (!has_any)
		return bkp_fail(err, BKP_CORRUPT,
		    "this is no recovery sheet: none of its seven lines, each "
		    "with its number and groups of four characters, is in it");
	for (int i = 0; i < LINES; i++) {
		if (!reading->is_there[i])
			complain(reading, "line %d is missing", i + 1);
	}
	if (reading->wrong[0] == '\0') {
		if (checksum(LINES - 1, reading->all, ALL, CHECK_ALL, wanted,
			err) < 0)
			return -1;
		if (strcmp(reading->check, wanted) != 0)
			complain(reading,
			    "each line is right, but line 7 says that they "
			    "are not of one sheet");
	}
	if (reading->wrong[0] != '\0')
		return bkp_fail(err, BKP_CORRUPT,
		    "the recovery sheet was not typed in as it is on paper: %s",
		    reading->wrong);
	return 0;
}

int
bkp_sheet_lines_read(const char *text, size_t len, struct bkp_sheet_lines *out,
    struct bkp_error *err)
{
	struct reading reading = {.wrong = ""};
	const char *end = text + len;
	int rc = 0;

	while (rc == 0 && text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline != NULL ? newline : end;

		rc = read_line(&reading, text, stop, err);
		text = newline != NULL ? newline + 1 : end;
	}
	if (rc == 0)
		rc = judge(&reading, err);
	if (rc == 0) {
		memcpy(out->id, reading.all, BKP_SHEET_ID - 1);
		out->id[BKP_SHEET_ID - 1] = '\0';
		memcpy(out->key, reading.all + BKP_SHEET_ID - 1,
		    BKP_SHEET_KEY - 1);
		out->key[BKP_SHEET_KEY - 1] = '\0';
	}
	OPENSSL_cleanse(&reading, sizeof(reading));
	return rc;
}
