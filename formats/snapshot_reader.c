/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/path.h"
#include "formats/sign.h"
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

static enum fmt_status
check_version(const json_t *root)
{
	const char *type = json_string_value(json_object_get(root, "type"));
	const json_t *version = json_object_get(root, "version");

	if (type == NULL || strcmp(type, "snapshot") != 0 ||
	    !json_is_integer(version))
		return FMT_MALFORMED;
	return json_integer_value(version) == FMT_SNAPSHOT_VERSION
		   ? FMT_OK
		   : FMT_UNSUPPORTED;
}

static enum fmt_status
get_all(const json_t *root, struct fmt_snapshot *out)
{
	enum fmt_status status;

	status = check_version(root);
	if (status == FMT_OK)
		status =
		    get_hex(root, "repository", 32, false, out->repository);
	if (status == FMT_OK)
		status = get_hex(root, "previous", 64, true, out->previous);
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

/* Checks line 1 against the signature and the key in line 2. */
static enum fmt_status
check_signature(const char *line, size_t len, const char *second,
    size_t second_len, unsigned char signer[32])
{
	unsigned char signature[FMT_SIGNATURE_SIZE];
	const char *signer_hex, *signature_hex;
	enum fmt_status status;
	json_t *root;

	status = fmt_json_parse(second, second_len, &root);
	if (status != FMT_OK)
		return status;
	signer_hex = json_string_value(json_object_get(root, "signer"));
	signature_hex = json_string_value(json_object_get(root, "signature"));
	if (signer_hex == NULL || signature_hex == NULL ||
	    fmt_unhex(signer_hex, signer, 32) != FMT_OK ||
	    fmt_unhex(signature_hex, signature, sizeof(signature)) != FMT_OK)
		status = FMT_MALFORMED;
	json_decref(root);
	if (status != FMT_OK)
		return status;
	return fmt_sign_verify(
	    signer, FMT_SNAPSHOT_CONTEXT, line, len, signature);
}

/* Where the two lines are: both ended, and nothing after them. */
static enum fmt_status
split_lines(const char *text, size_t len, size_t *first, size_t *second)
{
	const char *newline = len > 0 ? memchr(text, '\n', len) : NULL;

	*first = newline != NULL ? (size_t)(newline - text) : len;
	if (*first > FMT_SNAPSHOT_MAX_LINE)
		return FMT_LIMIT;
	if (newline == NULL || newline == text + len - 1)
		return FMT_TRUNCATED;
	len -= *first + 1;
	newline = memchr(newline + 1, '\n', len);
	if (newline == NULL)
		return FMT_TRUNCATED;
	*second = (size_t)(newline - text) - *first - 1;
	return *second == len - 1 ? FMT_OK : FMT_MALFORMED;
}

enum fmt_status
fmt_snapshot_decode(const void *data, size_t len, struct fmt_snapshot *out)
{
	struct fmt_snapshot read = FMT_SNAPSHOT_INIT;
	const char *text = data;
	size_t first, second;
	enum fmt_status status;
	json_t *root = NULL;

	if ((status = split_lines(text, len, &first, &second)) != FMT_OK)
		return status;
	/* Before anything of line 1 is looked at. */
	status =
	    check_signature(text, first, text + first + 1, second, read.signer);
	if (status == FMT_OK)
		status = fmt_json_parse(text, first, &root);
	if (status == FMT_OK)
		status = get_all(root, &read);
	json_decref(root);
	if (status != FMT_OK) {
		fmt_snapshot_free(&read);
		return status;
	}
	*out = read;
	return FMT_OK;
}
