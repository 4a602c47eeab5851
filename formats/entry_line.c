/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/entry.h"
#include "formats/entry_impl.h"
#include "formats/json.h"
#include "formats/json_plain.h"
#include "formats/path.h"
#include "formats/sign.h"

/* ---- as our writer writes it ---- */

static enum fmt_status
read_plain_path(struct fmt_plain *in, struct fmt_entry *entry)
{
	const char *text;
	size_t len;
	enum fmt_status status;

	if (!fmt_plain_take(in, "{\"path\":"))
		return FMT_MALFORMED;
	if ((status = fmt_plain_string(in, &text, &len)) != FMT_OK)
		return status;
	return fmt_path_from_text(text, len, &entry->path);
}

static enum fmt_status
read_plain_kind(struct fmt_plain *in, struct fmt_entry *entry)
{
	const char *text;
	size_t len;
	enum fmt_status status;

	if ((status = fmt_plain_string(in, &text, &len)) != FMT_OK)
		return status;
	if (len == 0)
		return FMT_MALFORMED;
	if ((entry->kind = strndup(text, len)) == NULL)
		return FMT_NOMEM;
	return fmt_entry_kind_is_valid(entry->kind) ? FMT_OK : FMT_MALFORMED;
}

/* What is behind the kind and in front of the chunks. */
static enum fmt_status
read_plain_facts(struct fmt_plain *in, struct fmt_entry *entry)
{
	enum fmt_status status = FMT_OK;

	if (fmt_plain_take(in, ",\"attrs\":"))
		status = fmt_plain_object(in, &entry->attrs);
	if (status == FMT_OK && fmt_plain_take(in, ",\"size\":")) {
		entry->has_content = true;
		status = fmt_plain_uint(in, &entry->size);
	}
	if (status == FMT_OK && entry->has_content &&
	    fmt_plain_take(in, ",\"sha256\":")) {
		entry->has_sha256 = true;
		status =
		    fmt_plain_hex(in, entry->sha256, sizeof(entry->sha256));
	}
	return status;
}

static enum fmt_status
read_plain_chunk(struct fmt_plain *in, struct fmt_entry *entry)
{
	struct fmt_chunk_ref ref;
	enum fmt_status status;
	uint64_t len;

	if (!fmt_plain_take(in, "["))
		return FMT_MALFORMED;
	status = fmt_plain_hex(in, ref.id, sizeof(ref.id));
	if (status == FMT_OK && !fmt_plain_take(in, ","))
		status = FMT_MALFORMED;
	if (status == FMT_OK)
		status = fmt_plain_uint(in, &len);
	if (status != FMT_OK)
		return status;
	if (len < 1 || len > UINT32_MAX || !fmt_plain_take(in, "]"))
		return FMT_MALFORMED;
	ref.len = (uint32_t)len;
	return fmt_entry_add_chunk(entry, &ref);
}

static enum fmt_status
read_plain_chunks(struct fmt_plain *in, struct fmt_entry *entry)
{
	enum fmt_status status;

	do {
		if ((status = read_plain_chunk(in, entry)) != FMT_OK)
			return status;
	} while (fmt_plain_take(in, ","));
	return fmt_plain_take(in, "]") ? FMT_OK : FMT_MALFORMED;
}

static enum fmt_status
read_plain_line(struct fmt_plain *in, struct fmt_entry_line *line)
{
	struct fmt_entry *entry = &line->entry;
	enum fmt_status status = read_plain_path(in, entry);

	if (status == FMT_OK && fmt_plain_take(in, ",\"kind\":")) {
		status = read_plain_kind(in, entry);
		if (status == FMT_OK)
			status = read_plain_facts(in, entry);
	}
	if (status == FMT_OK && (entry->kind == NULL || entry->has_content)) {
		if (fmt_plain_take(in, ",\"chunks\":["))
			status = read_plain_chunks(in, entry);
		line->more = fmt_plain_take(in, ",\"more\":true");
	}
	if (status == FMT_OK && (!fmt_plain_take(in, "}") || in->at != in->end))
		status = FMT_MALFORMED;
	return status;
}

/* ---- any other way that JSON may be written ---- */

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

static enum fmt_status
read_chunks(const json_t *root, struct fmt_entry_line *line)
{
	const json_t *chunks = json_object_get(root, "chunks");
	const json_t *more = json_object_get(root, "more");
	enum fmt_status status = FMT_OK;

	if ((chunks != NULL && !json_is_array(chunks)) ||
	    (more != NULL && !json_is_boolean(more)))
		return FMT_MALFORMED;
	for (size_t i = 0; i < json_array_size(chunks); i++) {
		struct fmt_chunk_ref ref;

		status = fmt_json_get_ref(json_array_get(chunks, i), &ref);
		if (status == FMT_OK)
			status = fmt_entry_add_chunk(&line->entry, &ref);
		if (status != FMT_OK)
			return status;
	}
	line->more = json_is_true(more);
	return FMT_OK;
}

static enum fmt_status
read_any_line(const char *text, size_t len, struct fmt_entry_line *line)
{
	json_t *root = NULL;
	enum fmt_status status;

	if ((status = fmt_json_parse(text, len, &root)) != FMT_OK)
		return status;
	status = fmt_path_from_json(
	    json_object_get(root, "path"), &line->entry.path);
	if (status == FMT_OK && json_object_get(root, "kind") != NULL)
		status = read_facts(root, &line->entry);
	if (status == FMT_OK)
		status = read_chunks(root, line);
	json_decref(root);
	return status;
}

/* ---- both ---- */

enum fmt_status
fmt_entry_line_read(const char *text, size_t len, struct fmt_entry_line *line)
{
	struct fmt_plain in = FMT_PLAIN_INIT(text, len);
	struct fmt_entry_line found = FMT_ENTRY_LINE_INIT;
	enum fmt_status status = read_plain_line(&in, &found);

	fmt_plain_free(&in);
	if (status == FMT_MALFORMED) {
		fmt_entry_free(&found.entry);
		found.more = false;
		status = read_any_line(text, len, &found);
	}
	if (status != FMT_OK)
		fmt_entry_free(&found.entry);
	else
		*line = found;
	return status;
}
