/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/fail.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct bkp_error) == 512, "bkp_error is 512 bytes");

/* A message is one line: what came from a server may hold more. */
static void
make_one_line(char *message)
{
	size_t len = strlen(message);

	while (len > 0 && (message[len - 1] == '\n' || message[len - 1] == ' '))
		message[--len] = '\0';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)message[i];

		if (c < 0x20 || c == 0x7f)
			message[i] = ' ';
	}
}

static void set_message(struct bkp_error *err, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
set_message(struct bkp_error *err, const char *format, va_list ap)
{
	(void)vsnprintf(err->message, sizeof(err->message), format, ap);
	make_one_line(err->message);
}

int
bkp_fail(struct bkp_error *err, enum bkp_error_code code, const char *format,
    ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	err->code = (int)code;
	err->sys = 0;
	va_start(ap, format);
	set_message(err, format, ap);
	va_end(ap);
	return -1;
}

static enum bkp_error_code
code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return BKP_NOTFOUND;
	case EEXIST:
		return BKP_EXISTS;
	case ENOMEM:
		return BKP_NOMEM;
	case EACCES:
	case EPERM:
		return BKP_AUTH;
	default:
		return BKP_IO;
	}
}

/* Appends ": <text>" to the message. */
static void
append_message(struct bkp_error *err, const char *text)
{
	size_t len = strlen(err->message);

	(void)snprintf(
	    err->message + len, sizeof(err->message) - len, ": %s", text);
	make_one_line(err->message);
}

int
bkp_fail_errno(struct bkp_error *err, int errnum, const char *format, ...)
{
	char text[128];
	va_list ap;

	if (err == NULL)
		return -1;
	err->code = (int)code_of_errno(errnum);
	err->sys = errnum;
	va_start(ap, format);
	set_message(err, format, ap);
	va_end(ap);
	append_message(err, strerror_r(errnum, text, sizeof(text)));
	return -1;
}

static enum bkp_error_code
code_of_status(enum fmt_status status)
{
	switch (status) {
	case FMT_NOMEM:
		return BKP_NOMEM;
	case FMT_UNSUPPORTED:
		return BKP_UNSUPPORTED;
	case FMT_NOMATCH:
		return BKP_AUTH;
	case FMT_CRYPTO:
		return BKP_IO;
	case FMT_OK:
	case FMT_MALFORMED:
	case FMT_TRUNCATED:
	case FMT_AUTH:
	case FMT_LIMIT:
		break;
	}
	return BKP_CORRUPT;
}

int
bkp_fail_format(struct bkp_error *err, enum fmt_status status,
    const char *format, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	err->code = (int)code_of_status(status);
	err->sys = 0;
	va_start(ap, format);
	set_message(err, format, ap);
	va_end(ap);
	append_message(err, fmt_status_text(status));
	return -1;
}

int
bkp_fail_in(struct bkp_error *err, const char *format, ...)
{
	char old[BKP_ERROR_MESSAGE];
	va_list ap;

	if (err == NULL)
		return -1;
	memcpy(old, err->message, sizeof(old));
	va_start(ap, format);
	set_message(err, format, ap);
	va_end(ap);
	append_message(err, old);
	return -1;
}

int
bkp_fail_nomem(struct bkp_error *err, const char *doing)
{
	return bkp_fail(err, BKP_NOMEM, "out of memory while %s", doing);
}

void *
bkp_alloc(size_t size, struct bkp_error *err)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		(void)bkp_fail(err, BKP_NOMEM, "out of memory");
	return memory;
}

void *
bkp_alloc_array(size_t count, size_t size, struct bkp_error *err)
{
	void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

	if (memory == NULL)
		(void)bkp_fail(err, BKP_NOMEM, "out of memory");
	return memory;
}

char *
bkp_strdup(const char *text, struct bkp_error *err)
{
	char *copy = strdup(text);

	if (copy == NULL)
		(void)bkp_fail(err, BKP_NOMEM, "out of memory");
	return copy;
}

char *
bkp_format(struct bkp_error *err, const char *format, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (len < 0) {
		(void)bkp_fail(err, BKP_INVALID, "text cannot be formatted");
		return NULL;
	}
	if ((text = bkp_alloc((size_t)len + 1, err)) == NULL)
		return NULL;
	va_start(ap, format);
	(void)vsnprintf(text, (size_t)len + 1, format, ap);
	va_end(ap);
	return text;
}

int
bkp_compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
bkp_grow(void *items_pointer, size_t count, size_t *cap, size_t size,
    struct bkp_error *err)
{
	void **items = items_pointer;
	size_t new_cap;
	void *grown;

	if (count < *cap)
		return 0;
	new_cap = *cap < 8 ? 8 : *cap + *cap / 2;
	if (new_cap > SIZE_MAX / size)
		return bkp_fail(err, BKP_NOMEM, "out of memory");
	if ((grown = realloc(*items, new_cap * size)) == NULL)
		return bkp_fail(err, BKP_NOMEM, "out of memory");
	*items = grown;
	*cap = new_cap;
	return 0;
}
