/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/entry.h"
#include "formats/entry_impl.h"

struct fmt_entry_reader {
	struct fmt_buf bytes;
	size_t pos;     /* where the next line starts in bytes */
	size_t scanned; /* bytes behind pos known to have no newline */
	bool has_ended;
	bool may_start_inside;
	bool is_open;             /* current has lines to come */
	struct fmt_entry current; /* being put together */
	uint64_t chunk_bytes;     /* in current's chunks so far */
	struct fmt_buf last;      /* path of the entry before, with its NUL */
	enum fmt_status failed;   /* once wrong, wrong for good */
};

enum fmt_status
fmt_entry_reader_new(struct fmt_entry_reader **out)
{
	struct fmt_entry_reader *reader = calloc(1, sizeof(*reader));

	if (reader == NULL)
		return FMT_NOMEM;
	*out = reader;
	return FMT_OK;
}

void
fmt_entry_reader_free(struct fmt_entry_reader *reader)
{
	if (reader == NULL)
		return;
	fmt_buf_free(&reader->bytes);
	fmt_buf_free(&reader->last);
	fmt_entry_free(&reader->current);
	free(reader);
}

void
fmt_entry_reader_start_inside(struct fmt_entry_reader *reader)
{
	reader->may_start_inside = true;
}

enum fmt_status
fmt_entry_reader_feed(
    struct fmt_entry_reader *reader, const void *bytes, size_t len)
{
	struct fmt_buf *buf = &reader->bytes;

	if (reader->failed != FMT_OK)
		return reader->failed;
	if (reader->pos > 0) {
		buf->len -= reader->pos;
		memmove(buf->data, buf->data + reader->pos, buf->len);
		reader->pos = 0;
	}
	return fmt_buf_append(buf, bytes, len);
}

/* Finds the next whole line (without its newline); *line is NULL where there
 * is none yet. */
static enum fmt_status
find_line(struct fmt_entry_reader *reader, const char **line, size_t *len)
{
	const struct fmt_buf *buf = &reader->bytes;
	size_t left = buf->len - reader->pos;
	const unsigned char *start, *newline;

	*line = NULL;
	if (left == 0)
		return FMT_OK;
	start = buf->data + reader->pos;
	newline = memchr(start + reader->scanned, '\n', left - reader->scanned);
	*len = newline != NULL ? (size_t)(newline - start) : left;
	if (*len >= FMT_ENTRY_MAX_LINE)
		return FMT_LIMIT;
	reader->scanned = newline != NULL ? 0 : left;
	if (newline != NULL)
		*line = (const char *)start;
	return FMT_OK;
}

/* Notes what the line says about current's lines to come, and checks that the
 * chunks so far, of which `count` are new, fit the size. */
static enum fmt_status
note_line(struct fmt_entry_reader *reader, size_t count, bool more)
{
	const struct fmt_entry *entry = &reader->current;

	if (count == 0 && (reader->is_open || more))
		return FMT_MALFORMED; /* such a line would say nothing */
	for (size_t i = entry->chunk_count - count; i < entry->chunk_count;
	     i++) {
		/* Neither can be 2^63, so the sum does not wrap. */
		reader->chunk_bytes += entry->chunks[i].len;
		if (reader->chunk_bytes > entry->size)
			return FMT_MALFORMED;
	}
	reader->is_open = more;
	if (!more && entry->has_content && reader->chunk_bytes != entry->size)
		return FMT_MALFORMED;
	return FMT_OK;
}

/* A line that starts an entry, which becomes current. */
static enum fmt_status
start_entry(struct fmt_entry_reader *reader, struct fmt_entry_line *line)
{
	struct fmt_buf *last = &reader->last;
	const char *path = line->entry.path;
	enum fmt_status status;

	if (reader->is_open)
		return FMT_MALFORMED;
	if (last->len > 0 &&
	    fmt_entry_compare((const char *)last->data, path) >= 0)
		return FMT_MALFORMED;
	fmt_buf_clear(last);
	status = fmt_buf_append(last, path, strlen(path) + 1);
	if (status != FMT_OK)
		return status;
	reader->current = line->entry;
	line->entry = (struct fmt_entry)FMT_ENTRY_INIT;
	reader->chunk_bytes = 0;
	return note_line(reader, reader->current.chunk_count, line->more);
}

/* A line without a kind goes on with the entry of the line before. */
static enum fmt_status
continue_entry(
    struct fmt_entry_reader *reader, const struct fmt_entry_line *line)
{
	const struct fmt_entry *entry = &line->entry;
	enum fmt_status status;

	if (!reader->is_open)
		return reader->may_start_inside && reader->last.len == 0
			   ? FMT_OK
			   : FMT_MALFORMED;
	if (strcmp(entry->path, reader->current.path) != 0)
		return FMT_MALFORMED;
	for (size_t i = 0; i < entry->chunk_count; i++) {
		status =
		    fmt_entry_add_chunk(&reader->current, &entry->chunks[i]);
		if (status != FMT_OK)
			return status;
	}
	return note_line(reader, entry->chunk_count, line->more);
}

static enum fmt_status
read_line(struct fmt_entry_reader *reader, const char *text, size_t len)
{
	struct fmt_entry_line line = FMT_ENTRY_LINE_INIT;
	enum fmt_status status;

	if ((status = fmt_entry_line_read(text, len, &line)) != FMT_OK)
		return status;
	if (line.entry.kind != NULL)
		status = start_entry(reader, &line);
	else
		status = continue_entry(reader, &line);
	fmt_entry_free(&line.entry);
	return status;
}

const char *
fmt_entry_reader_open_path(const struct fmt_entry_reader *reader)
{
	return reader->is_open ? reader->current.path : NULL;
}

enum fmt_status
fmt_entry_reader_finish(struct fmt_entry_reader *reader)
{
	const struct fmt_buf *buf = &reader->bytes;

	if (reader->failed != FMT_OK)
		return reader->failed;
	reader->has_ended = true;
	if (buf->len > reader->pos && buf->data[buf->len - 1] != '\n')
		reader->failed = FMT_TRUNCATED;
	else if (buf->len == reader->pos && reader->is_open)
		reader->failed = FMT_TRUNCATED;
	return reader->failed;
}

/* Reads lines until an entry is whole or no whole line is left. */
static enum fmt_status
advance(struct fmt_entry_reader *reader, bool *have)
{
	const char *line;
	size_t len;
	enum fmt_status status;

	for (;;) {
		if ((status = find_line(reader, &line, &len)) != FMT_OK)
			return status;
		if (line == NULL)
			break;
		if ((status = read_line(reader, line, len)) != FMT_OK)
			return status;
		reader->pos += len + 1;
		if (reader->current.path != NULL && !reader->is_open) {
			*have = true;
			return FMT_OK;
		}
	}
	*have = false;
	return reader->has_ended && reader->is_open ? FMT_TRUNCATED : FMT_OK;
}

enum fmt_status
fmt_entry_reader_next(
    struct fmt_entry_reader *reader, struct fmt_entry *entry, bool *have)
{
	bool found;

	if (reader->failed == FMT_OK)
		reader->failed = advance(reader, &found);
	if (reader->failed != FMT_OK)
		return reader->failed;
	*have = found;
	if (found) {
		*entry = reader->current;
		reader->current = (struct fmt_entry)FMT_ENTRY_INIT;
	}
	return FMT_OK;
}

/* ---- what a part of a list refers to ---- */

enum fmt_status
fmt_entry_refs(const void *lines, size_t len, fmt_entry_refs_fn *fn, void *arg)
{
	const char *at = lines, *end = at + len;
	enum fmt_status status = FMT_OK;

	while (status == FMT_OK && at < end) {
		struct fmt_entry_line line = FMT_ENTRY_LINE_INIT;
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if (newline == NULL)
			return FMT_TRUNCATED;
		if ((size_t)(newline - at) >= FMT_ENTRY_MAX_LINE)
			return FMT_LIMIT;
		status = fmt_entry_line_read(at, (size_t)(newline - at), &line);
		if (status != FMT_OK)
			return status;
		status = fn(arg, line.entry.path, line.entry.kind != NULL,
		    line.entry.chunks, line.entry.chunk_count);
		fmt_entry_free(&line.entry);
		at = newline + 1;
	}
	return status;
}
