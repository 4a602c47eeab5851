/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/delta.h"

#include <stdlib.h>
#include <string.h>

#include "formats/delta_impl.h"
#include "formats/sign.h"

/* ---- the text ---- */

/* A number from 1 without leading zeros, and the byte that ends it. */
static bool
take_number(const unsigned char **at, const unsigned char *end, char after,
    uint32_t *out)
{
	const unsigned char *p = *at;
	uint32_t value = 0;

	if (p == end || *p == '0')
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint32_t)(*p - '0');
		if (value > FMT_DELTA_MAX)
			return false;
	}
	if (p == end || *p != (unsigned char)after || p == *at)
		return false;
	*at = p + 1;
	*out = value;
	return true;
}

static bool
take_text(const unsigned char **at, const unsigned char *end, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool
take_id(const unsigned char **at, const unsigned char *end,
    unsigned char id[FMT_ID_SIZE])
{
	char hex[2 * FMT_ID_SIZE + 1];

	if (end - *at < 2 * FMT_ID_SIZE)
		return false;
	memcpy(hex, *at, 2 * FMT_ID_SIZE);
	hex[2 * FMT_ID_SIZE] = '\0';
	*at += 2 * FMT_ID_SIZE;
	return fmt_unhex(hex, id, FMT_ID_SIZE) == FMT_OK;
}

enum fmt_status
fmt_delta_head(const void *delta, size_t len, struct fmt_delta_head *out)
{
	const unsigned char *at = delta, *end;
	struct fmt_delta_head head;

	if (len == 0)
		return FMT_MALFORMED;
	end = at + len;
	if (!take_text(&at, end, FMT_DELTA_MAGIC))
		return FMT_MALFORMED;
	if (take_text(&at, end, FMT_DELTA_TEXT))
		head.form = FMT_COPY_TEXT;
	else if (take_text(&at, end, FMT_DELTA_BINARY))
		head.form = FMT_COPY_BINARY;
	else
		return FMT_UNSUPPORTED;
	if (!take_id(&at, end, head.base) || !take_text(&at, end, " ") ||
	    !take_number(&at, end, ' ', &head.base_len) ||
	    !take_number(&at, end, '\n', &head.len))
		return FMT_MALFORMED;
	head.head_len = len - (size_t)(end - at);
	*out = head;
	return FMT_OK;
}

/* Where what stands in the text ends; NULL: not within it. */
static const unsigned char *
skip_new(const unsigned char *at, const unsigned char *end,
    enum fmt_copy_form form, uint32_t count)
{
	if (form == FMT_COPY_BINARY)
		return count <= (size_t)(end - at) ? at + count : NULL;
	for (uint32_t i = 0; i < count; i++) {
		at = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		if (at == NULL)
			return NULL;
		at++;
	}
	return at;
}

enum fmt_status
fmt_delta_op(const unsigned char **at, const unsigned char *end,
    enum fmt_copy_form form, struct fmt_delta_op *out)
{
	struct fmt_delta_op op = {.lines = NULL};
	const unsigned char *p = *at;

	if (p == end)
		return FMT_TRUNCATED;
	op.is_copy = *p == '=';
	if (!op.is_copy && *p != '+')
		return FMT_MALFORMED;
	p++;
	if (op.is_copy && !take_number(&p, end, ' ', &op.first))
		return FMT_MALFORMED;
	if (!take_number(&p, end, '\n', &op.count))
		return FMT_MALFORMED;
	op.lines = p;
	if (op.is_copy)
		op.first--;
	if (!op.is_copy && (p = skip_new(p, end, form, op.count)) == NULL)
		return FMT_TRUNCATED;
	op.len = (size_t)(p - op.lines);
	*at = p;
	*out = op;
	return FMT_OK;
}

/* ---- applying ---- */

/* Where the lines of the base begin; the last one is where it ends. */
struct lines {
	uint32_t *starts; /* owned: count + 1 */
	size_t count, cap;
};

static enum fmt_status
make_room(struct lines *lines)
{
	size_t cap = lines->cap * 2;
	uint32_t *grown;

	if (lines->count == FMT_DELTA_LINES_MAX)
		return FMT_LIMIT;
	if (lines->count + 1 < lines->cap)
		return FMT_OK;
	if (cap > FMT_DELTA_LINES_MAX + 1)
		cap = FMT_DELTA_LINES_MAX + 1;
	if ((grown = realloc(lines->starts, cap * sizeof(*grown))) == NULL)
		return FMT_NOMEM;
	lines->starts = grown;
	lines->cap = cap;
	return FMT_OK;
}

/* On failure the caller frees as well. */
static enum fmt_status
find_lines(const unsigned char *base, size_t len, struct lines *lines)
{
	const unsigned char *at = base, *end = base + len;
	enum fmt_status status = FMT_OK;

	if (end[-1] != '\n')
		return FMT_MALFORMED;
	/* Rows of 64 bytes, then. */
	lines->cap = 16 + len / 64;
	if (lines->cap > FMT_DELTA_LINES_MAX + 1)
		lines->cap = FMT_DELTA_LINES_MAX + 1;
	lines->starts = malloc(lines->cap * sizeof(*lines->starts));
	if (lines->starts == NULL)
		return FMT_NOMEM;
	lines->starts[0] = 0;
	while (at < end && (status = make_room(lines)) == FMT_OK) {
		at = memchr(at, '\n', (size_t)(end - at));
		lines->starts[++lines->count] = (uint32_t)(++at - base);
	}
	return status;
}

/* The bytes that an op stands for. */
static enum fmt_status
resolve(const struct fmt_delta_op *op, const struct fmt_delta_head *head,
    const unsigned char *base, const struct lines *lines,
    const unsigned char **bytes, size_t *len)
{
	const uint32_t *starts = lines->starts;

	*bytes = op->lines;
	*len = op->len;
	if (!op->is_copy)
		return FMT_OK;
	if (head->form == FMT_COPY_BINARY) {
		if (op->first >= head->base_len ||
		    op->count > head->base_len - op->first)
			return FMT_MALFORMED;
		*bytes = base + op->first;
		*len = op->count;
		return FMT_OK;
	}
	if (op->first >= lines->count || op->count > lines->count - op->first)
		return FMT_MALFORMED;
	*bytes = base + starts[op->first];
	*len = starts[op->first + op->count] - starts[op->first];
	return FMT_OK;
}

enum fmt_status
fmt_delta_apply(const void *delta, size_t len, const void *base,
    size_t base_len, struct fmt_buf *out)
{
	const unsigned char *at = delta, *end = at + len, *bytes;
	struct fmt_delta_head head;
	struct fmt_delta_op op;
	struct lines lines = {NULL, 0, 0};
	size_t n, done = 0;
	enum fmt_status status;

	if ((status = fmt_delta_head(delta, len, &head)) != FMT_OK)
		return status;
	if (head.base_len != base_len)
		return FMT_MALFORMED;
	if (head.form == FMT_COPY_TEXT)
		status = find_lines(base, base_len, &lines);
	if (status == FMT_OK)
		status = fmt_buf_reserve(out, head.len);
	for (at += head.head_len; status == FMT_OK && at < end; done += n) {
		n = 0;
		status = fmt_delta_op(&at, end, head.form, &op);
		if (status == FMT_OK)
			status = resolve(&op, &head, base, &lines, &bytes, &n);
		if (status != FMT_OK)
			break;
		if (n > head.len - done) {
			status = FMT_MALFORMED;
			break;
		}
		memcpy(out->data + out->len + done, bytes, n);
	}
	free(lines.starts);
	if (status == FMT_OK && done != head.len)
		status = FMT_TRUNCATED;
	if (status == FMT_OK)
		out->len += done;
	return status;
}
