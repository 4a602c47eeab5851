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

/* The hex digits at `key`: so many of them, or none. */
static enum fmt_status
get_hex_or_none(const json_t *object, const char *key, size_t digits, char *out)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_string(value) && json_string_length(value) == 0) {
		out[0] = '\0';
		return FMT_OK;
	}
	return fmt_json_get_hex(object, key, digits, out);
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
		status = fmt_json_get_refs(
		    object, "list", &out->list, &out->list_count);
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

/* Snapshots were written before there was anything to count. */
static enum fmt_status
get_erasures(const json_t *root, struct fmt_snapshot *out)
{
	if (json_object_get(root, "erasures") == NULL)
		return FMT_OK;
	return fmt_json_get_uint(root, "erasures", &out->erasures);
}

static enum fmt_status
get_numbers(const json_t *root, struct fmt_snapshot *out)
{
	enum fmt_status status;

	status = fmt_json_get_int(root, "time_us", &out->time_us);
	if (status == FMT_OK)
		status =
		    fmt_json_get_int(root, "finished_us", &out->finished_us);
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
	enum fmt_status status =
	    fmt_json_get_names(root, "seen", 64, &out->seen, &out->seen_count);

	if (status == FMT_OK &&
	    !fmt_json_are_names(out->seen, out->seen_count, 64, false))
		status = FMT_MALFORMED;
	return status;
}

static enum fmt_status
fill(const json_t *root, void *arg)
{
	struct fmt_snapshot *out = arg;
	enum fmt_status status =
	    fmt_json_get_hex(root, "repository", 32, out->repository);

	if (status == FMT_OK)
		status = get_hex_or_none(root, "previous", 64, out->previous);
	if (status == FMT_OK)
		status = get_hex_or_none(root, "session", 32, out->session);
	if (status == FMT_OK && json_object_get(root, "run") != NULL)
		status = get_hex_or_none(root, "run", 32, out->run);
	if (status == FMT_OK)
		status = get_seen(root, out);
	if (status == FMT_OK)
		status = fmt_json_get_uint(root, "roster", &out->roster);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "checkpoint", &out->checkpoint);
	if (status == FMT_OK)
		status = get_erasures(root, out);
	if (status == FMT_OK)
		status = fmt_claims_get(
		    root, "proofs", &out->claims, &out->claim_count);
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

static const struct fmt_record_kind kind = {
    FMT_SNAPSHOT_CONTEXT, "snapshot", FMT_SNAPSHOT_VERSION, fill};

enum fmt_status
fmt_snapshot_decode(const void *data, size_t len, struct fmt_snapshot *out)
{
	struct fmt_snapshot read = FMT_SNAPSHOT_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_snapshot_free(&read);
	return status;
}
