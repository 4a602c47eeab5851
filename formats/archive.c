/* SPDX-License-Identifier: Apache-2.0 */
/* Places, trailer and manifest of an archive. */
#include "formats/archive.h"

#include <stdlib.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/json.h"
#include "formats/path.h"
#include "formats/record.h"
#include "formats/sign.h"

#define CONTEXT "libbackup archive v1"
#define VERSION FMT_ARCHIVE_VERSION

/* A zstd skippable frame: magic and content size, then content. */
#define FRAME_MAGIC UINT32_C(0x184d2a5c)
#define FRAME_HEAD ((size_t)8)

static const char magic[8] = {'b', 'k', 'p', 'a', 'r', 'c', 'h', '\n'};

/* ---- places ---- */

void
fmt_archive_place_encode(
    const struct fmt_archive_place *place, unsigned char id[FMT_ID_SIZE])
{
	fmt_store_le64(id, place->frame);
	fmt_store_le32(id + 8, place->frame_len);
	fmt_store_le32(id + 12, place->offset);
	memcpy(id + 16, place->digest, sizeof(place->digest));
}

void
fmt_archive_place_decode(
    const unsigned char id[FMT_ID_SIZE], struct fmt_archive_place *out)
{
	out->frame = fmt_load_le64(id);
	out->frame_len = fmt_load_le32(id + 8);
	out->offset = fmt_load_le32(id + 12);
	memcpy(out->digest, id + 16, sizeof(out->digest));
}

uint32_t
fmt_archive_frame_max(const struct fmt_archive_place *place, uint32_t len)
{
	const uint32_t shared = 2 * FMT_ARCHIVE_FRAME;

	if (place->offset <= shared && len <= shared - place->offset)
		return shared + FMT_ARCHIVE_BETWEEN;
	/* A larger one is alone in its frame. */
	return place->offset == 0 && len <= FMT_ARCHIVE_CHUNK ? len : 0;
}

/* ---- trailer ---- */

enum fmt_status
fmt_archive_trailer_encode(
    const struct fmt_chunk_ref *manifest, struct fmt_buf *out)
{
	enum fmt_status status = fmt_buf_reserve(out, FMT_ARCHIVE_TRAILER);
	unsigned char *p;

	if (status != FMT_OK)
		return status;
	p = out->data + out->len;
	fmt_store_le32(p, FRAME_MAGIC);
	fmt_store_le32(p + 4, (uint32_t)(FMT_ARCHIVE_TRAILER - FRAME_HEAD));
	memcpy(p + 8, manifest->id, FMT_ID_SIZE);
	fmt_store_le32(p + 40, manifest->len);
	fmt_store_le32(p + 44, VERSION);
	memcpy(p + 48, magic, sizeof(magic));
	out->len += FMT_ARCHIVE_TRAILER;
	return FMT_OK;
}

enum fmt_status
fmt_archive_trailer_decode(
    const void *tail, uint64_t payload_size, struct fmt_chunk_ref *manifest)
{
	const unsigned char *p = tail;
	struct fmt_archive_place place;
	struct fmt_chunk_ref ref;

	if (payload_size < FMT_ARCHIVE_TRAILER ||
	    memcmp(p + 48, magic, sizeof(magic)) != 0 ||
	    fmt_load_le32(p) != FRAME_MAGIC)
		return FMT_MALFORMED;
	if (fmt_load_le32(p + 44) != VERSION)
		return FMT_UNSUPPORTED;
	if (fmt_load_le32(p + 4) != FMT_ARCHIVE_TRAILER - FRAME_HEAD)
		return FMT_MALFORMED;
	memcpy(ref.id, p + 8, FMT_ID_SIZE);
	ref.len = fmt_load_le32(p + 40);
	fmt_archive_place_decode(ref.id, &place);
	payload_size -= FMT_ARCHIVE_TRAILER;
	if (ref.len == 0 || place.frame_len == 0 ||
	    place.frame > payload_size ||
	    place.frame_len > payload_size - place.frame)
		return FMT_MALFORMED;
	*manifest = ref;
	return FMT_OK;
}

uint32_t
fmt_archive_trailer_version(const void *tail)
{
	const unsigned char *p = tail;

	return memcmp(p + 48, magic, sizeof(magic)) == 0 ? fmt_load_le32(p + 44)
							 : 0;
}

/* ---- writing the manifest ---- */

void
fmt_archive_manifest_free(struct fmt_archive_manifest *manifest)
{
	for (size_t i = 0; i < manifest->source_count; i++) {
		free(manifest->sources[i].prefix);
		free(manifest->sources[i].list);
	}
	free(manifest->sources);
	free(manifest->path);
	*manifest = (struct fmt_archive_manifest)FMT_ARCHIVE_MANIFEST_INIT;
}

static json_t *
hex_value(const void *data, size_t len)
{
	char hex[2 * 32 + 1];

	fmt_hex(data, len, hex);
	return json_string(hex);
}

static json_t *
source_value(const struct fmt_archive_source *source)
{
	json_t *value = json_object();
	bool failed = value == NULL;

	fmt_json_set(
	    value, "prefix", fmt_path_to_json(source->prefix), &failed);
	fmt_json_set(value, "entries",
	    json_integer((json_int_t)source->entries), &failed);
	fmt_json_set(
	    value, "bytes", json_integer((json_int_t)source->bytes), &failed);
	fmt_json_set(value, "list",
	    fmt_json_refs(source->list, source->list_count), &failed);
	if (!failed)
		return value;
	json_decref(value);
	return NULL;
}

static json_t *
sources_value(const struct fmt_archive_manifest *manifest)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < manifest->source_count; i++) {
		if (json_array_append_new(
			array, source_value(&manifest->sources[i])) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

enum fmt_status
fmt_archive_manifest_encode(const struct fmt_archive_manifest *m,
    const unsigned char seed[32], struct fmt_buf *out)
{
	json_t *body = json_object();
	bool failed = body == NULL;
	enum fmt_status status = FMT_NOMEM;

	fmt_json_set(body, "type", json_string("archive"), &failed);
	fmt_json_set(body, "version", json_integer(VERSION), &failed);
	fmt_json_set(body, "repository", json_string(m->repository), &failed);
	fmt_json_set(body, "snapshot", json_string(m->snapshot), &failed);
	fmt_json_set(body, "created_us", json_integer(m->created_us), &failed);
	fmt_json_set(body, "path", fmt_path_to_json(m->path), &failed);
	fmt_json_set(body, "record", fmt_json_ref(&m->record), &failed);
	fmt_json_set(
	    body, "entries_sha256", hex_value(m->entries_sha256, 32), &failed);
	fmt_json_set(
	    body, "sums_sha256", hex_value(m->sums_sha256, 32), &failed);
	fmt_json_set(body, "sources", sources_value(m), &failed);
	if (!failed)
		status = fmt_record_encode(body, CONTEXT, seed, out);
	json_decref(body);
	return status;
}

/* ---- reading the manifest ---- */

static enum fmt_status
get_digest(const json_t *object, const char *key, unsigned char out[32])
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? fmt_unhex(text, out, 32) : FMT_MALFORMED;
}

static enum fmt_status
get_source(const json_t *value, struct fmt_archive_source *out)
{
	enum fmt_status status =
	    fmt_path_from_json(json_object_get(value, "prefix"), &out->prefix);

	if (status == FMT_OK)
		status = fmt_json_get_uint(value, "entries", &out->entries);
	if (status == FMT_OK)
		status = fmt_json_get_uint(value, "bytes", &out->bytes);
	if (status == FMT_OK)
		status = fmt_json_get_refs(
		    value, "list", &out->list, &out->list_count);
	return status;
}

static enum fmt_status
get_sources(const json_t *body, struct fmt_archive_manifest *out)
{
	const json_t *array = json_object_get(body, "sources");
	size_t count = json_array_size(array);

	if (!json_is_array(array) || count == 0)
		return FMT_MALFORMED;
	out->sources = calloc(count, sizeof(*out->sources));
	if (out->sources == NULL)
		return FMT_NOMEM;
	for (size_t i = 0; i < count; i++) {
		enum fmt_status status;

		out->source_count++;
		status = get_source(json_array_get(array, i), &out->sources[i]);
		if (status != FMT_OK)
			return status;
		if (i > 0 && fmt_entry_compare(out->sources[i - 1].prefix,
				 out->sources[i].prefix) >= 0)
			return FMT_MALFORMED;
	}
	return FMT_OK;
}

static enum fmt_status
fill(const json_t *body, void *arg)
{
	struct fmt_archive_manifest *out = arg;
	enum fmt_status status;

	if (get_digest(body, "entries_sha256", out->entries_sha256) != FMT_OK ||
	    get_digest(body, "sums_sha256", out->sums_sha256) != FMT_OK)
		return FMT_MALFORMED;
	status = fmt_json_get_hex(body, "repository", 32, out->repository);
	if (status == FMT_OK)
		status = fmt_json_get_hex(body, "snapshot", 64, out->snapshot);
	if (status == FMT_OK)
		status = fmt_json_get_int(body, "created_us", &out->created_us);
	if (status == FMT_OK)
		status = fmt_json_get_ref(
		    json_object_get(body, "record"), &out->record);
	if (status == FMT_OK)
		status = fmt_path_get(body, "path", &out->path);
	if (status == FMT_OK)
		status = get_sources(body, out);
	return status;
}

static const struct fmt_record_kind kind = {CONTEXT, "archive", VERSION, fill};

enum fmt_status
fmt_archive_manifest_decode(
    const void *data, size_t len, struct fmt_archive_manifest *out)
{
	struct fmt_archive_manifest read = FMT_ARCHIVE_MANIFEST_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_archive_manifest_free(&read);
	return status;
}

int64_t
fmt_archive_manifest_version(const void *data, size_t len)
{
	struct fmt_record record = FMT_RECORD_INIT;
	int64_t version = 0;

	if (fmt_record_decode(data, len, CONTEXT, &record) == FMT_OK)
		version =
		    json_integer_value(json_object_get(record.body, "version"));
	fmt_record_free(&record);
	return version;
}
