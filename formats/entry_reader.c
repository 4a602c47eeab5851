/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/entry.h"
#include "formats/entry_impl.h"
#include "formats/json.h"
#include "formats/path.h"
#include "formats/sign.h"

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

static bool
has_any_content_key(const json_t *root)
{
	return json_object_get(root, "sha256") != NULL ||
	       json_object_get(root, "chunks") != NULL ||
	       json_object_get(root, "more") != NULL;
}

static enum fmt_status
read_content_facts(const json_t *root, struct fmt_entry *entry)
{
	const json_t *sha256 = json_object_get(root, "sha256");
	enum fmt_status status;

	if (json_object_get(root, "size") == NULL)
		return has_any_content_key(root) ? FMT_MALFORMED : FMT_OK;
	status = fmt_json_get_uint(root, "size", &entry->size);
	if (status != FMT_OK)
		return status;
	entry->has_content = true;
	if (sha256 == NULL)
		return FMT_OK;
	if (!json_is_string(sha256) ||
	    fmt_unhex(json_string_value(sha256), entry->sha256,
		sizeof(entry->sha256)) != FMT_OK)
		return FMT_MALFORMED;
	entry->has_sha256 = true;
	return FMT_OK;
}

static enum fmt_status
read_facts(const json_t *root, struct fmt_entry *entry)
{
	const json_t *kind = json_object_get(root, "kind");
	json_t *attrs = json_object_get(root, "attrs");

	if (!json_is_string(kind) ||
	    !fmt_entry_kind_is_valid(json_string_value(kind)))
		return FMT_MALFORMED;
	if (attrs != NULL && !json_is_object(attrs))
		return FMT_MALFORMED;
	entry->kind = strdup(json_string_value(kind));
	if (entry->kind == NULL)
		return FMT_NOMEM;
	entry->attrs = json_incref(attrs);
	return read_content_facts(root, entry);
}

/* Adds the line's chunks to current; afterwards is_open says whether more
 * lines must follow. */
static enum fmt_status
read_chunks(struct fmt_entry_reader *reader, const json_t *root)
{
	const json_t *chunks = json_object_get(root, "chunks");
	const json_t *more = json_object_get(root, "more");
	struct fmt_entry *entry = &reader->current;
	size_t count = json_array_size(chunks);
	enum fmt_status status = FMT_OK;

	if ((chunks != NULL && !json_is_array(chunks)) ||
	    (more != NULL && !json_is_boolean(more)))
		return FMT_MALFORMED;
	if (count == 0 && (reader->is_open || json_is_true(more)))
		return FMT_MALFORMED; /* such a line would say nothing */
	for (size_t i = 0; i < count && status == FMT_OK; i++) {
		struct fmt_chunk_ref ref;

		status = fmt_json_get_ref(json_array_get(chunks, i), &ref);
		if (status != FMT_OK)
			return status;
		/* Neither can be 2^63, so the sum does not wrap. */
		reader->chunk_bytes += ref.len;
		if (reader->chunk_bytes > entry->size)
			return FMT_MALFORMED;
		status = fmt_entry_add_chunk(entry, &ref);
	}
	reader->is_open = json_is_true(more);
	if (status == FMT_OK && !reader->is_open && entry->has_content &&
	    reader->chunk_bytes != entry->size)
		status = FMT_MALFORMED;
	return status;
}

/* A line that starts an entry. *path is taken where it becomes current's. */
static enum fmt_status
start_entry(struct fmt_entry_reader *reader, const json_t *root, char **path)
{
	struct fmt_buf *last = &reader->last;
	enum fmt_status status;

	if (reader->is_open)
		return FMT_MALFORMED;
	if (last->len > 0 &&
	    fmt_entry_compare((const char *)last->data, *path) >= 0)
		return FMT_MALFORMED;
	fmt_buf_clear(last);
	status = fmt_buf_append(last, *path, strlen(*path) + 1);
	if (status != FMT_OK)
		return status;
	reader->current.path = *path;
	*path = NULL;
	reader->chunk_bytes = 0;
	if ((status = read_facts(root, &reader->current)) != FMT_OK)
		return status;
	return read_chunks(reader, root);
}

/* A line without a kind goes on with the entry of the line before. */
static enum fmt_status
continue_entry(
    struct fmt_entry_reader *reader, const json_t *root, const char *path)
{
	if (reader->is_open)
		return strcmp(path, reader->current.path) == 0
			   ? read_chunks(reader, root)
			   : FMT_MALFORMED;
	if (reader->may_start_inside && reader->last.len == 0)
		return FMT_OK;
	return FMT_MALFORMED;
}

static enum fmt_status
read_line(struct fmt_entry_reader *reader, const char *line, size_t len)
{
	char *path = NULL;
	json_t *root = NULL;
	enum fmt_status status;

	if ((status = fmt_json_parse(line, len, &root)) != FMT_OK)
		return status;
	status = fmt_path_from_json(json_object_get(root, "path"), &path);
	if (status == FMT_OK) {
		if (json_object_get(root, "kind") != NULL)
			status = start_entry(reader, root, &path);
		else
			status = continue_entry(reader, root, path);
	}
	free(path);
	json_decref(root);
	return status;
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
