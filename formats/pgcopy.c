/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pgcopy.h"

#include <string.h>

#include "formats/bytes.h"

/* The signature, flags, and the length of nothing that would come after. */
const unsigned char fmt_copy_header[FMT_COPY_HEADER_LEN] = {'P', 'G', 'C', 'O',
    'P', 'Y', '\n', 0xff, '\r', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0};

/* A row of -1 fields. */
const unsigned char fmt_copy_trailer[FMT_COPY_TRAILER_LEN] = {0xff, 0xff};

#define IS_NULL UINT32_MAX
#define FIELD_MAX INT32_MAX

const char *
fmt_copy_form_name(enum fmt_copy_form form)
{
	return form == FMT_COPY_BINARY ? "binary" : "text";
}

bool
fmt_copy_form_parse(const char *name, enum fmt_copy_form *out)
{
	if (name == NULL)
		return false;
	for (enum fmt_copy_form form = FMT_COPY_TEXT; form <= FMT_COPY_BINARY;
	     form++)
		if (strcmp(name, fmt_copy_form_name(form)) == 0) {
			*out = form;
			return true;
		}
	return false;
}

static enum fmt_status
line(const unsigned char *data, size_t len, size_t *row_len)
{
	const unsigned char *newline = len > 0 ? memchr(data, '\n', len) : NULL;

	if (newline == NULL)
		return FMT_TRUNCATED;
	*row_len = (size_t)(newline + 1 - data);
	return FMT_OK;
}

/* A count of fields, and for each its length and its bytes. */
static enum fmt_status
tuple(const unsigned char *data, size_t len, size_t *row_len)
{
	size_t at = 2;
	unsigned fields;

	if (len < at)
		return FMT_TRUNCATED;
	fields = (unsigned)data[0] << 8 | data[1];
	if (fields > FMT_COPY_FIELDS_MAX)
		return FMT_MALFORMED;
	for (; fields > 0; fields--) {
		uint32_t size;

		if (len - at < 4)
			return FMT_TRUNCATED;
		size = fmt_load_be32(data + at);
		at += 4;
		if (size == IS_NULL)
			continue;
		if (size > FIELD_MAX)
			return FMT_MALFORMED;
		if (len - at < size)
			return FMT_TRUNCATED;
		at += size;
	}
	*row_len = at;
	return FMT_OK;
}

enum fmt_status
fmt_copy_row(enum fmt_copy_form form, const unsigned char *data, size_t len,
    size_t *row_len)
{
	return form == FMT_COPY_BINARY ? tuple(data, len, row_len)
				       : line(data, len, row_len);
}
