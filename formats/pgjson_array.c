/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL's text of an array (pgjson.md). */
#include <string.h>
#include <strings.h>

#include "formats/pgjson_impl.h"

struct reader {
	struct fmt_buf *out;
	enum fmt_pgjson element;
	char delimiter;
	const char *at, *end;
	struct fmt_buf room; /* one element without its quotes */
	int *is_changed;
};

/* "[0:1][-2:3]=" says where the subscripts begin, which JSON cannot. */
static enum fmt_status
skip_bounds(struct reader *reader)
{
	const char *equals;

	if (reader->at == reader->end || *reader->at != '[')
		return FMT_OK;
	equals = memchr(reader->at, '=', (size_t)(reader->end - reader->at));
	if (equals == NULL)
		return FMT_MALFORMED;
	for (const char *p = reader->at; p < equals; p++)
		if (strchr("0123456789:+-[]", *p) == NULL || *p == '\0')
			return FMT_MALFORMED;
	reader->at = equals + 1;
	return FMT_OK;
}

static enum fmt_status
read_quoted(struct reader *reader)
{
	enum fmt_status status = FMT_OK;

	for (reader->at++; reader->at < reader->end; reader->at++) {
		if (*reader->at == '"') {
			reader->at++;
			return fmt_pgjson_value(reader->out, reader->element,
			    (const char *)reader->room.data, reader->room.len,
			    reader->is_changed);
		}
		if (*reader->at == '\\' && ++reader->at == reader->end)
			break;
		status = fmt_buf_append(&reader->room, reader->at, 1);
		if (status != FMT_OK)
			return status;
	}
	return FMT_TRUNCATED;
}

static enum fmt_status
read_bare(struct reader *reader)
{
	const char *start = reader->at;
	size_t len;

	while (reader->at < reader->end && *reader->at != reader->delimiter &&
	       *reader->at != '}') {
		if (strchr("\"\\{", *reader->at) != NULL && *reader->at != '\0')
			return FMT_MALFORMED;
		reader->at++;
	}
	len = (size_t)(reader->at - start);
	if (len == 0)
		return FMT_MALFORMED;
	if (len == 4 && strncasecmp(start, "NULL", 4) == 0)
		return fmt_buf_append_text(reader->out, "null");
	return fmt_pgjson_value(
	    reader->out, reader->element, start, len, reader->is_changed);
}

static enum fmt_status
read_element(struct reader *reader)
{
	fmt_buf_clear(&reader->room);
	/* An empty element has no bytes, and is read all the same. */
	if (fmt_buf_text(&reader->room) == NULL)
		return FMT_NOMEM;
	return *reader->at == '"' ? read_quoted(reader) : read_bare(reader);
}

/* From '{' to behind its '}'. Recurses as deep as the server's arrays go. */
static enum fmt_status
read_list(struct reader *reader, int depth)
{
	enum fmt_status status;

	if (reader->at == reader->end)
		return FMT_TRUNCATED;
	if (*reader->at != '{')
		return FMT_MALFORMED;
	if (depth == FMT_PGJSON_DIMENSIONS)
		return FMT_LIMIT;
	reader->at++;
	status = fmt_buf_append_byte(reader->out, '[');
	if (status == FMT_OK && reader->at < reader->end &&
	    *reader->at == '}') {
		reader->at++;
		return fmt_buf_append_byte(reader->out, ']');
	}
	while (status == FMT_OK) {
		char next;

		if (reader->at == reader->end)
			return FMT_TRUNCATED;
		status = *reader->at == '{' ? read_list(reader, depth + 1)
					    : read_element(reader);
		if (status != FMT_OK)
			break;
		if (reader->at == reader->end)
			return FMT_TRUNCATED;
		next = *reader->at++;
		if (next == '}')
			return fmt_buf_append_byte(reader->out, ']');
		if (next != reader->delimiter)
			return FMT_MALFORMED;
		status = fmt_buf_append_byte(reader->out, ',');
	}
	return status;
}

enum fmt_status
fmt_pgjson_array(struct fmt_buf *out, enum fmt_pgjson element, char delimiter,
    const char *text, size_t len, int *is_changed)
{
	struct reader reader = {.out = out,
	    .element = element,
	    .delimiter = delimiter,
	    .at = text,
	    .end = text + len,
	    .room = FMT_BUF_INIT,
	    .is_changed = is_changed};
	size_t start = out->len;
	enum fmt_status status = skip_bounds(&reader);

	if (status == FMT_OK)
		status = read_list(&reader, 0);
	if (status == FMT_OK && reader.at != reader.end)
		status = FMT_MALFORMED;
	if (status != FMT_OK)
		out->len = start;
	fmt_buf_free(&reader.room);
	return status;
}
