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
	free(snapshot->claims);
	json_decref(snapshot->omissions);
	*snapshot = (struct fmt_snapshot)FMT_SNAPSHOT_INIT;
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
	       snapshot->erasures <= INT64_MAX &&
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
	if (!fmt_is_hex(snapshot->repository, 32) ||
	    (snapshot->previous[0] != '\0' &&
		!fmt_is_hex(snapshot->previous, 64)) ||
	    (snapshot->session[0] != '\0' &&
		!fmt_is_hex(snapshot->session, 32)) ||
	    (snapshot->run[0] != '\0' && !fmt_is_hex(snapshot->run, 32)) ||
	    snapshot->host == NULL || !fmt_utf8_is_valid(snapshot->host) ||
	    (snapshot->omissions != NULL &&
		!json_is_array(snapshot->omissions)) ||
	    !are_sources_valid(snapshot))
		return FMT_MALFORMED;
	for (size_t i = 0; i < snapshot->tag_count; i++)
		if (!fmt_utf8_is_valid(snapshot->tags[i]))
			return FMT_MALFORMED;
	if (!fmt_json_are_names(
		snapshot->seen, snapshot->seen_count, 64, false) ||
	    !fmt_claims_are_valid(snapshot->claims, snapshot->claim_count))
		return FMT_MALFORMED;
	return is_within_limits(snapshot) ? FMT_OK : FMT_LIMIT;
}

static json_t *
source_value(const struct fmt_snapshot_source *source)
{
	json_t *value = json_object();
	bool failed = value == NULL;

	fmt_json_set(
	    value, "prefix", fmt_path_to_json(source->prefix), &failed);
	fmt_json_set(value, "kind", json_string(source->kind), &failed);
	if (source->info != NULL)
		fmt_json_set(value, "info", json_incref(source->info), &failed);
	fmt_json_set(value, "list",
	    fmt_json_refs(source->list, source->list_count), &failed);
	fmt_json_set(value, "entries",
	    json_integer((json_int_t)source->entries), &failed);
	fmt_json_set(
	    value, "bytes", json_integer((json_int_t)source->bytes), &failed);
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

/* The whole of line 1, or NULL: no memory. */
static json_t *
snapshot_value(const struct fmt_snapshot *s)
{
	json_t *root = json_object();
	bool failed = root == NULL;

	fmt_json_set(root, "type", json_string("snapshot"), &failed);
	fmt_json_set(
	    root, "version", json_integer(FMT_SNAPSHOT_VERSION), &failed);
	fmt_json_set(root, "repository", json_string(s->repository), &failed);
	fmt_json_set(root, "host", json_string(s->host), &failed);
	fmt_json_set(root, "time_us", json_integer(s->time_us), &failed);
	fmt_json_set(
	    root, "finished_us", json_integer(s->finished_us), &failed);
	fmt_json_set(
	    root, "sequence", json_integer((json_int_t)s->sequence), &failed);
	fmt_json_set(root, "previous", json_string(s->previous), &failed);
	fmt_json_set(root, "session", json_string(s->session), &failed);
	if (s->run[0] != '\0')
		fmt_json_set(root, "run", json_string(s->run), &failed);
	fmt_json_set(
	    root, "seen", fmt_json_names(s->seen, s->seen_count, 64), &failed);
	fmt_json_set(
	    root, "roster", json_integer((json_int_t)s->roster), &failed);
	fmt_json_set(root, "checkpoint",
	    json_integer((json_int_t)s->checkpoint), &failed);
	fmt_json_set(
	    root, "erasures", json_integer((json_int_t)s->erasures), &failed);
	if (s->claim_count > 0)
		fmt_json_set(root, "proofs",
		    fmt_claims_value(s->claims, s->claim_count), &failed);
	fmt_json_set(root, "tags", tags_value(s), &failed);
	fmt_json_set(root, "omissions",
	    s->omissions != NULL ? json_incref(s->omissions) : json_array(),
	    &failed);
	fmt_json_set(root, "stored_bytes",
	    json_integer((json_int_t)s->stored_bytes), &failed);
	fmt_json_set(root, "new_chunks",
	    json_integer((json_int_t)s->new_chunks), &failed);
	fmt_json_set(root, "known_chunks",
	    json_integer((json_int_t)s->known_chunks), &failed);
	fmt_json_set(root, "sources", sources_value(s), &failed);
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
