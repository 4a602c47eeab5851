/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/path.h"
#include "formats/record.h"
#include "formats/sign.h"
#include "formats/snapshot_impl.h"

static void
source_free(struct fmt_snapshot_source *source)
{
	free(source->prefix);
	free(source->kind);
	json_decref(source->info);
	free(source->list);
}

void
fmt_snapshot_free(struct fmt_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->source_count; i++)
		source_free(&snapshot->sources[i]);
	free(snapshot->sources);
	for (size_t i = 0; i < snapshot->tag_count; i++)
		free(snapshot->tags[i]);
	free(snapshot->tags);
	free(snapshot->host);
	free(snapshot->seen);
	json_decref(snapshot->omissions);
	*snapshot = (struct fmt_snapshot)FMT_SNAPSHOT_INIT;
}

bool
fmt_snapshot_is_hex(const char *text, size_t digits)
{
	return strspn(text, "0123456789abcdef") == digits &&
	       text[digits] == '\0';
}

/* Numbers that are beyond what JSON readers hold. */
static bool
is_within_limits(const struct fmt_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->source_count; i++)
		if (snapshot->sources[i].entries > INT64_MAX ||
		    snapshot->sources[i].bytes > INT64_MAX)
			return false;
	return snapshot->sequence <= INT64_MAX &&
	       snapshot->roster <= INT64_MAX &&
	       snapshot->checkpoint <= INT64_MAX &&
	       snapshot->stored_bytes <= INT64_MAX &&
	       snapshot->new_chunks <= INT64_MAX &&
	       snapshot->known_chunks <= INT64_MAX;
}

static bool
are_sources_valid(const struct fmt_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->source_count; i++) {
		const struct fmt_snapshot_source *source =
		    &snapshot->sources[i];

		if (source->prefix == NULL || source->prefix[0] == '\0' ||
		    source->kind == NULL || !fmt_utf8_is_valid(source->kind) ||
		    (source->info != NULL && !json_is_object(source->info)))
			return false;
		if (i > 0 &&
		    fmt_entry_compare(source[-1].prefix, source->prefix) >= 0)
			return false;
		for (size_t k = 0; k < source->list_count; k++)
			if (source->list[k].len == 0)
				return false;
	}
	return true;
}

/* What the encoder would write and no reader take. */
static enum fmt_status
check_snapshot(const struct fmt_snapshot *snapshot)
{
	if (!fmt_snapshot_is_hex(snapshot->repository, 32) ||
	    (snapshot->previous[0] != '\0' &&
		!fmt_snapshot_is_hex(snapshot->previous, 64)) ||
	    (snapshot->session[0] != '\0' &&
		!fmt_snapshot_is_hex(snapshot->session, 32)) ||
	    snapshot->host == NULL || !fmt_utf8_is_valid(snapshot->host) ||
	    (snapshot->omissions != NULL &&
		!json_is_array(snapshot->omissions)) ||
	    !are_sources_valid(snapshot))
		return FMT_MALFORMED;
	for (size_t i = 0; i < snapshot->tag_count; i++)
		if (!fmt_utf8_is_valid(snapshot->tags[i]))
			return FMT_MALFORMED;
	for (size_t i = 0; i < snapshot->seen_count; i++)
		if (!fmt_snapshot_is_hex(snapshot->seen[i], 64))
			return FMT_MALFORMED;
	return is_within_limits(snapshot) ? FMT_OK : FMT_LIMIT;
}

static json_t *
refs_value(const struct fmt_chunk_ref *refs, size_t count)
{
	char hex[2 * FMT_ID_SIZE + 1];
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < count; i++) {
		fmt_hex(refs[i].id, FMT_ID_SIZE, hex);
		/* Takes the pair, and answers -1 where that is NULL. */
		if (json_array_append_new(array,
			json_pack("[s,I]", hex, (json_int_t)refs[i].len)) !=
		    0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *
prefix_value(const char *prefix)
{
	struct fmt_buf text = FMT_BUF_INIT;
	json_t *value = NULL;

	if (fmt_path_escape(prefix, &text) == FMT_OK)
		value = json_stringn((const char *)text.data, text.len);
	fmt_buf_free(&text);
	return value;
}

/*
 * Sets `key` to `value`, which is taken also where that fails; *failed is set
 * then. NULL stands for a value that could not be made.
 */
static void
set(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value) != 0)
		*failed = true;
}

static json_t *
source_value(const struct fmt_snapshot_source *source)
{
	json_t *value = json_object();
	bool failed = value == NULL;

	set(value, "prefix", prefix_value(source->prefix), &failed);
	set(value, "kind", json_string(source->kind), &failed);
	if (source->info != NULL)
		set(value, "info", json_incref(source->info), &failed);
	set(value, "list", refs_value(source->list, source->list_count),
	    &failed);
	set(value, "entries", json_integer((json_int_t)source->entries),
	    &failed);
	set(value, "bytes", json_integer((json_int_t)source->bytes), &failed);
	if (failed) {
		json_decref(value);
		return NULL;
	}
	return value;
}

static json_t *
sources_value(const struct fmt_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < snapshot->source_count; i++)
		if (json_array_append_new(
			array, source_value(&snapshot->sources[i])) != 0) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

static json_t *
tags_value(const struct fmt_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < snapshot->tag_count; i++)
		if (json_array_append_new(
			array, json_string(snapshot->tags[i])) != 0) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

static json_t *
seen_value(const struct fmt_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < snapshot->seen_count; i++)
		if (json_array_append_new(
			array, json_string(snapshot->seen[i])) != 0) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

/* The whole of line 1, or NULL: no memory. */
static json_t *
snapshot_value(const struct fmt_snapshot *s)
{
	json_t *root = json_object();
	bool failed = root == NULL;

	set(root, "type", json_string("snapshot"), &failed);
	set(root, "version", json_integer(FMT_SNAPSHOT_VERSION), &failed);
	set(root, "repository", json_string(s->repository), &failed);
	set(root, "host", json_string(s->host), &failed);
	set(root, "time_us", json_integer(s->time_us), &failed);
	set(root, "finished_us", json_integer(s->finished_us), &failed);
	set(root, "sequence", json_integer((json_int_t)s->sequence), &failed);
	set(root, "previous", json_string(s->previous), &failed);
	set(root, "session", json_string(s->session), &failed);
	set(root, "seen", seen_value(s), &failed);
	set(root, "roster", json_integer((json_int_t)s->roster), &failed);
	set(root, "checkpoint", json_integer((json_int_t)s->checkpoint),
	    &failed);
	set(root, "tags", tags_value(s), &failed);
	set(root, "omissions",
	    s->omissions != NULL ? json_incref(s->omissions) : json_array(),
	    &failed);
	set(root, "stored_bytes", json_integer((json_int_t)s->stored_bytes),
	    &failed);
	set(root, "new_chunks", json_integer((json_int_t)s->new_chunks),
	    &failed);
	set(root, "known_chunks", json_integer((json_int_t)s->known_chunks),
	    &failed);
	set(root, "sources", sources_value(s), &failed);
	if (failed) {
		json_decref(root);
		return NULL;
	}
	return root;
}

enum fmt_status
fmt_snapshot_encode(const struct fmt_snapshot *snapshot,
    const unsigned char seed[32], struct fmt_buf *out)
{
	enum fmt_status status;
	json_t *root;

	if ((status = check_snapshot(snapshot)) != FMT_OK)
		return status;
	if ((root = snapshot_value(snapshot)) == NULL)
		return FMT_NOMEM;
	status = fmt_record_encode(root, FMT_SNAPSHOT_CONTEXT, seed, out);
	json_decref(root);
	return status;
}
