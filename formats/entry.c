/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/entry.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "formats/entry_impl.h"
#include "formats/json.h"
#include "formats/json_plain.h"
#include "formats/path.h"
#include "formats/sign.h"

enum fmt_status
fmt_entry_init(struct fmt_entry *entry, const char *path, const char *kind)
{
	struct fmt_entry made = FMT_ENTRY_INIT;

	made.path = strdup(path);
	made.kind = strdup(kind);
	if (made.path == NULL || made.kind == NULL) {
		fmt_entry_free(&made);
		return FMT_NOMEM;
	}
	*entry = made;
	return FMT_OK;
}

enum fmt_status
fmt_entry_add_chunk(struct fmt_entry *entry, const struct fmt_chunk_ref *ref)
{
	if (entry->chunk_count == entry->chunk_cap) {
		size_t cap = entry->chunk_cap == 0 ? 1 : 2 * entry->chunk_cap;
		struct fmt_chunk_ref *chunks;

		if (cap > SIZE_MAX / 2 / sizeof(*chunks))
			return FMT_NOMEM;
		chunks = realloc(entry->chunks, cap * sizeof(*chunks));
		if (chunks == NULL)
			return FMT_NOMEM;
		entry->chunks = chunks;
		entry->chunk_cap = cap;
	}
	entry->chunks[entry->chunk_count++] = *ref;
	return FMT_OK;
}

void
fmt_entry_free(struct fmt_entry *entry)
{
	free(entry->path);
	free(entry->kind);
	json_decref(entry->attrs);
	free(entry->chunks);
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
}

int
fmt_entry_compare(const char *path_a, const char *path_b)
{
	return strcmp(path_a, path_b);
}

bool
fmt_entry_kind_is_valid(const char *kind)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t len = strlen(kind);

	return len > 0 && len <= FMT_ENTRY_MAX_KIND &&
	       strspn(kind, allowed) == len;
}

/* What the encoder would write and no reader take. */
static enum fmt_status
check_entry(const struct fmt_entry *entry)
{
	uint64_t sum = 0;

	if (entry->path == NULL || entry->path[0] == '\0' ||
	    entry->kind == NULL || !fmt_entry_kind_is_valid(entry->kind) ||
	    (entry->attrs != NULL && !json_is_object(entry->attrs)))
		return FMT_MALFORMED;
	if (!entry->has_content)
		return FMT_OK;
	if (entry->size > INT64_MAX)
		return FMT_LIMIT;
	for (size_t i = 0; i < entry->chunk_count; i++) {
		if (entry->chunks[i].len == 0)
			return FMT_MALFORMED;
		sum += entry->chunks[i].len;
	}
	return sum == entry->size ? FMT_OK : FMT_MALFORMED;
}

/* How many of the chunks go into the next line. Beyond one line's worth, lines
 * end where the ids say so: in a list that grew or shrank somewhere the
 * lines before and after are as they were, and deduplicate. */
static size_t
line_share(const struct fmt_chunk_ref *chunks, size_t left, bool is_long)
{
	size_t most =
	    left < FMT_ENTRY_LINE_CHUNKS ? left : FMT_ENTRY_LINE_CHUNKS;

	for (size_t i = 0; is_long && i < most; i++)
		if (chunks[i].id[FMT_ID_SIZE - 1] == 0)
			return i + 1;
	return most;
}

static enum fmt_status
append_facts(const struct fmt_entry *entry, struct fmt_buf *out)
{
	char hex[2 * sizeof(entry->sha256) + 1];
	enum fmt_status status;

	status = fmt_buf_append_text(out, ",\"kind\":\"");
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, entry->kind);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '"');
	if (status == FMT_OK && entry->attrs != NULL)
		status = fmt_buf_append_text(out, ",\"attrs\":");
	if (status == FMT_OK && entry->attrs != NULL)
		status = fmt_json_append(entry->attrs, out);
	if (status == FMT_OK && entry->has_content)
		status = fmt_buf_append_text(out, ",\"size\":");
	if (status == FMT_OK && entry->has_content)
		status = fmt_plain_append_uint(entry->size, out);
	if (status == FMT_OK && entry->has_content && entry->has_sha256) {
		fmt_hex(entry->sha256, sizeof(entry->sha256), hex);
		status = fmt_buf_append_text(out, ",\"sha256\":\"");
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, hex);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(out, '"');
	}
	return status;
}

/* One line, with the facts where it is the first. */
static enum fmt_status
append_line(const struct fmt_entry *entry, bool is_first,
    const struct fmt_chunk_ref *chunks, size_t count, bool more,
    struct fmt_buf *out)
{
	size_t start = out->len;
	enum fmt_status status;

	status = fmt_buf_append_text(out, "{\"path\":");
	if (status == FMT_OK)
		status = fmt_path_append_json(entry->path, out);
	if (status == FMT_OK && is_first)
		status = append_facts(entry, out);
	if (status == FMT_OK && count > 0)
		status = fmt_buf_append_text(out, ",\"chunks\":");
	if (status == FMT_OK && count > 0)
		status = fmt_json_append_refs(chunks, count, out);
	if (status == FMT_OK && more)
		status = fmt_buf_append_text(out, ",\"more\":true");
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "}\n");
	if (status == FMT_OK && out->len - start > FMT_ENTRY_MAX_LINE)
		status = FMT_LIMIT;
	return status;
}

static enum fmt_status
append_lines(const struct fmt_entry *entry, struct fmt_buf *out)
{
	size_t left = entry->has_content ? entry->chunk_count : 0;
	const struct fmt_chunk_ref *chunks = entry->chunks;
	bool is_long = left > FMT_ENTRY_LINE_CHUNKS;
	bool is_first = true;
	enum fmt_status status;

	do {
		size_t count = line_share(chunks, left, is_long);

		status = append_line(
		    entry, is_first, chunks, count, count < left, out);
		if (left > 0)
			chunks += count;
		left -= count;
		is_first = false;
	} while (status == FMT_OK && left > 0);
	return status;
}

enum fmt_status
fmt_entry_encode(const struct fmt_entry *entry, struct fmt_buf *out)
{
	size_t start = out->len;
	enum fmt_status status;

	status = check_entry(entry);
	if (status == FMT_OK)
		status = append_lines(entry, out);
	if (status != FMT_OK)
		out->len = start;
	return status;
}

bool
fmt_entry_is_boundary(const void *line, size_t len)
{
	uint64_t hash = XXH3_64bits(line, len) >> 32;
	/* One line in 256, or as many as make one cut in 64 KiB where lines
	 * are longer than 256 bytes. */
	uint64_t odds = len < 256 ? 256 : len;

	return hash < odds << 16;
}
