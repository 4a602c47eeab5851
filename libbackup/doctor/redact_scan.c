/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for secrets in what is about to be given away, in all the forms that
 * they may have taken on their way. */
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/doctor/redact.h"

/* A half that is shorter stands in too many texts by chance. */
#define HALF_LEAST 8

/* ---- forms ---- */

static enum fmt_status
as_it_is(const char *data, size_t len, struct fmt_buf *out)
{
	return fmt_buf_append(out, data, len);
}

static enum fmt_status
backwards(const char *data, size_t len, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	while (status == FMT_OK && len > 0)
		status = fmt_buf_append_byte(out, (unsigned char)data[--len]);
	return status;
}

static enum fmt_status
hexadecimal(
    const char *data, size_t len, struct fmt_buf *out, const char *digits)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < len; i++) {
		unsigned char byte = (unsigned char)data[i];

		status =
		    fmt_buf_append_byte(out, (unsigned char)digits[byte >> 4]);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(
			    out, (unsigned char)digits[byte & 15]);
	}
	return status;
}

static enum fmt_status
as_hex(const char *data, size_t len, struct fmt_buf *out)
{
	return hexadecimal(data, len, out, "0123456789abcdef");
}

static enum fmt_status
as_upper_hex(const char *data, size_t len, struct fmt_buf *out)
{
	return hexadecimal(data, len, out, "0123456789ABCDEF");
}

/* Whole groups of three from the offset on: what is the same wherever the
 * secret begins in what was encoded. */
static enum fmt_status
base64_from(const char *data, size_t len, struct fmt_buf *out, size_t offset,
    const char *letters)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = offset; status == FMT_OK && i + 3 <= len; i += 3) {
		unsigned long group =
		    (unsigned long)(unsigned char)data[i] << 16 |
		    (unsigned long)(unsigned char)data[i + 1] << 8 |
		    (unsigned char)data[i + 2];

		for (int shift = 18; status == FMT_OK && shift >= 0; shift -= 6)
			status = fmt_buf_append_byte(
			    out, (unsigned char)letters[group >> shift & 63]);
	}
	return status;
}

static const char standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static enum fmt_status
as_base64_0(const char *data, size_t len, struct fmt_buf *out)
{
	return base64_from(data, len, out, 0, standard);
}

static enum fmt_status
as_base64_1(const char *data, size_t len, struct fmt_buf *out)
{
	return base64_from(data, len, out, 1, standard);
}

static enum fmt_status
as_base64_2(const char *data, size_t len, struct fmt_buf *out)
{
	return base64_from(data, len, out, 2, standard);
}

static enum fmt_status
as_url64_0(const char *data, size_t len, struct fmt_buf *out)
{
	return base64_from(data, len, out, 0, for_urls);
}

static enum fmt_status
as_url64_1(const char *data, size_t len, struct fmt_buf *out)
{
	return base64_from(data, len, out, 1, for_urls);
}

static enum fmt_status
as_url64_2(const char *data, size_t len, struct fmt_buf *out)
{
	return base64_from(data, len, out, 2, for_urls);
}

static bool
is_plain(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || strchr("-._~", byte) != NULL;
}

static enum fmt_status
percent(const char *data, size_t len, struct fmt_buf *out, const char *format)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < len; i++) {
		unsigned char byte = (unsigned char)data[i];

		if (byte != '\0' && is_plain(byte))
			status = fmt_buf_append_byte(out, byte);
		else if (format[0] == 'X')
			status = fmt_buf_printf(out, "%%%02X", byte);
		else
			status = fmt_buf_printf(out, "%%%02x", byte);
	}
	return status;
}

static enum fmt_status
as_url(const char *data, size_t len, struct fmt_buf *out)
{
	return percent(data, len, out, "X");
}

static enum fmt_status
as_lower_url(const char *data, size_t len, struct fmt_buf *out)
{
	return percent(data, len, out, "x");
}

static enum fmt_status
as_json(const char *data, size_t len, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < len; i++) {
		unsigned char byte = (unsigned char)data[i];

		if (byte == '"' || byte == '\\')
			status = fmt_buf_append_byte(out, '\\');
		if (status != FMT_OK)
			break;
		status = byte < ' ' ? fmt_buf_printf(out, "\\u%04x", byte)
				    : fmt_buf_append_byte(out, byte);
	}
	return status;
}

const struct bkp_redact_form bkp_redact_forms[] = {
    {"as it is", as_it_is},
    {"backwards", backwards},
    {"in hexadecimal", as_hex},
    {"in hexadecimal", as_upper_hex},
    {"as base64", as_base64_0},
    {"as base64", as_base64_1},
    {"as base64", as_base64_2},
    {"as base64", as_url64_0},
    {"as base64", as_url64_1},
    {"as base64", as_url64_2},
    {"as in URLs", as_url},
    {"as in URLs", as_lower_url},
    {"as in JSON", as_json},
    {NULL, NULL},
};

/* ---- looking ---- */

/* Of a text that is wrapped into lines, or indented, everything but that. */
static enum fmt_status
without_space(const char *data, size_t len, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < len; i++)
		if (strchr(" \t\r\n", data[i]) == NULL || data[i] == '\0')
			status =
			    fmt_buf_append_byte(out, (unsigned char)data[i]);
	return status;
}

struct look {
	const char *where;
	const void *data;
	size_t len;
	const void *dense; /* the same without spaces */
	size_t dense_len;
};

static bool
has(const void *data, size_t len, const struct fmt_buf *form)
{
	return len > 0 && memmem(data, len, form->data, form->len) != NULL;
}

static bool
is_in(const struct look *look, const struct fmt_buf *form)
{
	return form->len >= BKP_REDACT_LEAST &&
	       (has(look->data, look->len, form) ||
		   has(look->dense, look->dense_len, form));
}

static int
look_for_form(const struct look *look, const struct bkp_redacted *secret,
    const char *value, size_t len, const struct bkp_redact_form *form,
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	int rc = 0;

	if (form->write(value, len, &text) != FMT_OK)
		rc = bkp_fail_nomem(err, "looking for secrets");
	else if (is_in(look, &text))
		rc = bkp_fail(err, BKP_AUTH,
		    "%s is in %s (%s%s), although it was to be taken out",
		    secret->field, look->where, form->name,
		    len < strlen(secret->value) ? ", a half of it" : "");
	fmt_buf_free(&text);
	return rc;
}

static int
look_for(const struct look *look, const struct bkp_redacted *secret,
    struct bkp_error *err)
{
	const struct bkp_redact_form *form = bkp_redact_forms;
	size_t len = strlen(secret->value), half = len / 2;

	for (; form->name != NULL; form++)
		if (look_for_form(look, secret, secret->value, len, form, err) <
		    0)
			return -1;
	if (half < HALF_LEAST)
		return 0;
	for (form = bkp_redact_forms; form->name != NULL; form++)
		if (look_for_form(
			look, secret, secret->value, half, form, err) < 0 ||
		    look_for_form(look, secret, secret->value + half,
			len - half, form, err) < 0)
			return -1;
	return 0;
}

int
bkp_redactor_scan(const struct bkp_redactor *redactor, const char *where,
    const void *data, size_t len, struct bkp_error *err)
{
	struct fmt_buf dense = FMT_BUF_SECRET_INIT;
	int rc = 0;

	if (without_space(data, len, &dense) != FMT_OK)
		rc = bkp_fail_nomem(err, "looking for secrets");
	for (size_t i = 0; rc == 0 && i < redactor->secret_count; i++) {
		struct look look = {where, data, len, dense.data, dense.len};

		if (!redactor->secrets[i].is_pardoned)
			rc = look_for(&look, &redactor->secrets[i], err);
	}
	fmt_buf_free(&dense);
	return rc;
}

int
bkp_redactor_pardon(struct bkp_redactor *redactor, const void *data, size_t len,
    struct bkp_error *err)
{
	struct fmt_buf dense = FMT_BUF_INIT;
	struct look look;

	if (without_space(data, len, &dense) != FMT_OK) {
		fmt_buf_free(&dense);
		return bkp_fail_nomem(err, "looking for secrets");
	}
	look = (struct look){"", data, len, dense.data, dense.len};
	for (size_t i = 0; i < redactor->secret_count; i++)
		if (look_for(&look, &redactor->secrets[i], NULL) < 0)
			redactor->secrets[i].is_pardoned = true;
	fmt_buf_free(&dense);
	return 0;
}
