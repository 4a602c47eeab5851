/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/path.h"
#include "formats/record.h"
#include "formats/snapshot.h"
#include "formats/snapshot_impl.h"

/* A copy of the string at `key`. */
static enum fmt_status
get_text(const json_t *object, const char *key, char **out)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value))
		return FMT_MALFORMED;
	*out = strdup(json_string_value(value));
	return *out != NULL ? FMT_OK : FMT_NOMEM;
}

/* The hex digits at `key`: so many of them, or none where that is allowed. */
static enum fmt_status
get_hex(const json_t *object, const char *key, size_t digits, bool may_be_empty,
    char *out)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL)
		return FMT_MALFORMED;
	if (!fmt_snapshot_is_hex(text, digits) &&
	    !(may_be_empty && text[0] == '\0'))
		return FMT_MALFORMED;
	memcpy(out, text, strlen(text) + 1);
	return FMT_OK;
}

static enum fmt_status
get_time(const json_t *object, const char *key, int64_t *out)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		return FMT_MALFORMED;
	*out = json_integer_value(value);
	return FMT_OK;
}

static enum fmt_status
get_tags(const json_t *root, struct fmt_snapshot *out)
{
	const json_t *tags = json_object_get(root, "tags");
	size_t count = json_array_size(tags);

	if (!json_is_array(tags))
		return FMT_MALFORMED;
	if (count == 0)
		return FMT_OK;
	out->tags = calloc(count, sizeof(*out->tags));
	if (out->tags == NULL)
		return FMT_NOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *tag = json_array_get(tags, i);

		if (!json_is_string(tag))
			return FMT_MALFORMED;
		out->tags[i] = strdup(json_string_value(tag));
		if (out->tags[i] == NULL)
			return FMT_NOMEM;
		out->tag_count++;
	}
	return FMT_OK;
}

static enum fmt_status
get_omissions(const json_t *root, struct fmt_snapshot *out)
{
	json_t *omissions = json_object_get(root, "omissions");

	if (!json_is_array(omissions))
		return FMT_MALFORMED;
	for (size_t i = 0; i < json_array_size(omissions); i++)
		if (!json_is_object(json_array_get(omissions, i)))
			return FMT_MALFORMED;
	out->omissions = json_incref(omissions);
	return FMT_OK;
}

static enum fmt_status
get_list(const json_t *object, struct fmt_snapshot_source *out)
{
	const json_t *list = json_object_get(object, "list");
	size_t count = json_array_size(list);
	enum fmt_status status = FMT_OK;

	if (!json_is_array(list))
		return FMT_MALFORMED;
	if (count == 0)
		return FMT_OK;
	out->list = calloc(count, sizeof(*out->list));
	if (out->list == NULL)
		return FMT_NOMEM;
	out->list_count = count;
	for (size_t i = 0; i < count && status == FMT_OK; i++)
		status =
		    fmt_json_get_ref(json_array_get(list, i), &out->list[i]);
	return status;
}

/* What it has read is in *out also where it fails. */
static enum fmt_status
get_source(const json_t *object, struct fmt_snapshot_source *out)
{
	json_t *info = json_object_get(object, "info");
	enum fmt_status status;

	if (!json_is_object(object) || (info != NULL && !json_is_object(info)))
		return FMT_MALFORMED;
	out->info = json_incref(info);
	status =
	    fmt_path_from_json(json_object_get(object, "prefix"), &out->prefix);
	if (status == FMT_OK)
		status = get_text(object, "kind", &out->kind);
	if (status == FMT_OK)
		status = get_list(object, out);
	if (status == FMT_OK)
		status = fmt_json_get_uint(object, "entries", &out->entries);
	if (status == FMT_OK)
		status = fmt_json_get_uint(object, "bytes", &out->bytes);
	return status;
}

static enum fmt_status
get_sources(const json_t *root, struct fmt_snapshot *out)
{
	const json_t *sources = json_object_get(root, "sources");
	size_t count = json_array_size(sources);
	enum fmt_status status = FMT_OK;

	if (!json_is_array(sources))
		return FMT_MALFORMED;
	if (count == 0)
		return FMT_OK;
	out->sources = calloc(count, sizeof(*out->sources));
	if (out->sources == NULL)
		return FMT_NOMEM;
	for (size_t i = 0; i < count && status == FMT_OK; i++) {
		struct fmt_snapshot_source *source = &out->sources[i];

		out->source_count++;
		status = get_source(json_array_get(sources, i), source);
		if (status == FMT_OK && i > 0 &&
		    fmt_entry_compare(source[-1].prefix, source->prefix) >= 0)
			status = FMT_MALFORMED;
	}
	return status;
}

static enum fmt_status
get_numbers(const json_t *root, struct fmt_snapshot *out)
{
	enum fmt_status status;

	status = get_time(root, "time_us", &out->time_us);
	if (status == FMT_OK)
		status = get_time(root, "finished_us", &out->finished_us);
	if (status == FMT_OK)
		status = fmt_json_get_uint(root, "sequence", &out->sequence);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "stored_bytes", &out->stored_bytes);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "new_chunks", &out->new_chunks);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "known_chunks", &out->known_chunks);
	return status;
}

/* The snapshots of all writers that this one came after. */
static enum fmt_status
get_seen(const json_t *root, struct fmt_snapshot *out)
{
	const json_t *seen = json_object_get(root, "seen");
	size_t count = json_array_size(seen);

	if (!json_is_array(seen))
		return FMT_MALFORMED;
	if (count == 0)
		return FMT_OK;
	out->seen = calloc(count, sizeof(*out->seen));
	if (out->seen == NULL)
		return FMT_NOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *name = json_string_value(json_array_get(seen, i));

		if (name == NULL || !fmt_snapshot_is_hex(name, 64))
			return FMT_MALFORMED;
		memcpy(out->seen[i], name, sizeof(out->seen[i]));
		out->seen_count++;
	}
	return FMT_OK;
}

static enum fmt_status
get_all(const json_t *root, struct fmt_snapshot *out)
{
	enum fmt_status status;

	status = fmt_record_check(root, "snapshot", FMT_SNAPSHOT_VERSION);
	if (status == FMT_OK)
		status =
		    get_hex(root, "repository", 32, false, out->repository);
	if (status == FMT_OK)
		status = get_hex(root, "previous", 64, true, out->previous);
	if (status == FMT_OK)
		status = get_hex(root, "session", 32, true, out->session);
	if (status == FMT_OK)
		status = get_seen(root, out);
	if (status == FMT_OK)
		status = fmt_json_get_uint(root, "roster", &out->roster);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "checkpoint", &out->checkpoint);
	if (status == FMT_OK)
		status = get_text(root, "host", &out->host);
	if (status == FMT_OK)
		status = get_numbers(root, out);
	if (status == FMT_OK)
		status = get_tags(root, out);
	if (status == FMT_OK)
		status = get_omissions(root, out);
	if (status == FMT_OK)
		status = get_sources(root, out);
	return status;
}

enum fmt_status
fmt_snapshot_decode(const void *data, size_t len, struct fmt_snapshot *out)
{
	struct fmt_snapshot read = FMT_SNAPSHOT_INIT;
	struct fmt_record record = FMT_RECORD_INIT;
	enum fmt_status status;

	status = fmt_record_decode(data, len, FMT_SNAPSHOT_CONTEXT, &record);
	if (status != FMT_OK)
		return status;
	memcpy(read.signer, record.signer, sizeof(read.signer));
	status = get_all(record.body, &read);
	fmt_record_free(&record);
	if (status != FMT_OK) {
		fmt_snapshot_free(&read);
		return status;
	}
	*out = read;
	return FMT_OK;
}
