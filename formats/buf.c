/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/buf.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Moves a secret to new memory without leaving a copy behind. */
static unsigned char *
move_secret(struct fmt_buf *buf, size_t cap)
{
	unsigned char *data = malloc(cap);

	if (data == NULL)
		return NULL;
	if (buf->len > 0)
		memcpy(data, buf->data, buf->len);
	if (buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->cap);
	free(buf->data);
	return data;
}

enum fmt_status
fmt_buf_reserve(struct fmt_buf *buf, size_t extra)
{
	unsigned char *data;
	size_t cap, need;

	if (extra <= buf->cap - buf->len)
		return FMT_OK;
	if (extra > SIZE_MAX / 2 - buf->len)
		return FMT_NOMEM;
	need = buf->len + extra;
	cap = buf->cap < 64 ? 64 : buf->cap;
	/* Doubling while small; by an eighth once large, so that a buffer of
	 * hundreds of megabytes does not ask for twice its content. */
	while (cap < need)
		cap += cap < (64u << 20) ? cap : cap / 8;
	if (buf->is_secret)
		data = move_secret(buf, cap);
	else
		data = realloc(buf->data, cap);
	if (data == NULL)
		return FMT_NOMEM;
	buf->data = data;
	buf->cap = cap;
	return FMT_OK;
}

enum fmt_status
fmt_buf_append(struct fmt_buf *buf, const void *data, size_t len)
{
	enum fmt_status status = fmt_buf_reserve(buf, len);

	if (status != FMT_OK)
		return status;
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return FMT_OK;
}

enum fmt_status
fmt_buf_append_text(struct fmt_buf *buf, const char *text)
{
	return fmt_buf_append(buf, text, strlen(text));
}

enum fmt_status
fmt_buf_append_byte(struct fmt_buf *buf, unsigned char byte)
{
	return fmt_buf_append(buf, &byte, 1);
}

enum fmt_status
fmt_buf_printf(struct fmt_buf *buf, const char *format, ...)
{
	enum fmt_status status;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (len < 0)
		return FMT_MALFORMED;
	if ((status = fmt_buf_reserve(buf, (size_t)len + 1)) != FMT_OK)
		return status;
	va_start(ap, format);
	(void)vsnprintf(
	    (char *)buf->data + buf->len, (size_t)len + 1, format, ap);
	va_end(ap);
	buf->len += (size_t)len;
	return FMT_OK;
}

const char *
fmt_buf_text(struct fmt_buf *buf)
{
	if (fmt_buf_reserve(buf, 1) != FMT_OK)
		return NULL;
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

void
fmt_buf_clear(struct fmt_buf *buf)
{
	if (buf->is_secret && buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->cap);
	buf->len = 0;
}

void
fmt_buf_free(struct fmt_buf *buf)
{
	if (buf->is_secret && buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->cap);
	free(buf->data);
	buf->data = NULL;
	buf->len = buf->cap = 0;
}
