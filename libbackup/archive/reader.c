/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/reader.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "formats/sign.h"
#include "libbackup/archive/input.h"
#include "libbackup/base/fail.h"

#define HEAD (64u * 1024) /* bytes that hold an age header */
#define CHECKSUM 4        /* bytes at the end of a zstd frame */

struct bkp_archive {
	struct bkp_archive_input *input; /* owned */
	struct fmt_age_payload payload;  /* secret */
	uint64_t plain_size;
	struct fmt_archive_manifest manifest;
};

/* ---- bytes ---- */

/* Appends the payload's bytes [offset, offset + len). */
static int
read_payload(struct bkp_archive *archive, uint64_t offset, uint64_t len,
    struct fmt_buf *stored, struct fmt_buf *out, struct bkp_error *err)
{
	uint64_t size = bkp_archive_input_size(archive->input);
	uint64_t file_offset, file_len;
	enum fmt_status status;

	if (offset > archive->plain_size || len > archive->plain_size - offset)
		return bkp_fail(err, BKP_CORRUPT,
		    "the archive %s: something should lie beyond its end",
		    bkp_archive_location(archive));
	fmt_age_payload_range(
	    &archive->payload, size, offset, len, &file_offset, &file_len);
	fmt_buf_clear(stored);
	if (bkp_archive_input_read(
		archive->input, file_offset, file_len, stored, err) < 0)
		return -1;
	status = fmt_age_payload_read(&archive->payload, size, offset, len,
	    stored->data, stored->len, out);
	if (status != FMT_OK)
		return bkp_fail_format(err, status,
		    "the archive %s: decrypting bytes %llu to %llu of the file",
		    bkp_archive_location(archive),
		    (unsigned long long)file_offset,
		    (unsigned long long)(file_offset + file_len));
	return 0;
}

/* ---- chunks ---- */

struct bkp_archive_cursor {
	struct bkp_archive *archive;
	ZSTD_DCtx *zstd;        /* owned */
	struct fmt_buf stored;  /* encrypted */
	struct fmt_buf frame;   /* secret: compressed */
	struct fmt_buf content; /* secret: of the frame at `frame_offset` */
	uint64_t frame_offset;
	bool has_frame;
};

int
bkp_archive_cursor_new(struct bkp_archive *archive,
    struct bkp_archive_cursor **out, struct bkp_error *err)
{
	struct bkp_archive_cursor *cursor = bkp_alloc(sizeof(*cursor), err);

	if (cursor == NULL)
		return -1;
	cursor->archive = archive;
	cursor->frame.is_secret = true;
	cursor->content.is_secret = true;
	if ((cursor->zstd = ZSTD_createDCtx()) == NULL) {
		bkp_archive_cursor_free(cursor);
		return bkp_fail_nomem(err, "setting up decompression");
	}
	*out = cursor;
	return 0;
}

void
bkp_archive_cursor_free(struct bkp_archive_cursor *cursor)
{
	if (cursor == NULL)
		return;
	(void)ZSTD_freeDCtx(cursor->zstd);
	fmt_buf_free(&cursor->stored);
	fmt_buf_free(&cursor->frame);
	fmt_buf_free(&cursor->content);
	free(cursor);
}

static int
bad_frame(const struct bkp_archive_cursor *cursor, uint64_t offset,
    const char *why, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "the archive %s: the frame at %llu of its payload: %s",
	    bkp_archive_location(cursor->archive), (unsigned long long)offset,
	    why);
}

/* Decompresses the frame that is in `frame`. What a frame says of its own size
 * is believed only as far as the format allows it. */
static int
decompress(struct bkp_archive_cursor *cursor,
    const struct fmt_archive_place *place, uint32_t max, struct bkp_error *err)
{
	const struct fmt_buf *frame = &cursor->frame;
	unsigned long long size =
	    ZSTD_getFrameContentSize(frame->data, frame->len);
	size_t n;

	if (size > max)
		return bad_frame(cursor, place->frame,
		    "it claims a size that no frame has", err);
	fmt_buf_clear(&cursor->content);
	if (fmt_buf_reserve(&cursor->content, size > 0 ? size : 1) != FMT_OK)
		return bkp_fail_nomem(err, "reading an archive");
	n = ZSTD_decompressDCtx(cursor->zstd, cursor->content.data,
	    (size_t)size, frame->data, frame->len);
	if (ZSTD_isError(n) || n != size)
		return bad_frame(cursor, place->frame,
		    ZSTD_isError(n) ? ZSTD_getErrorName(n) : "another length",
		    err);
	cursor->content.len = n;
	cursor->frame_offset = place->frame;
	cursor->has_frame = true;
	return 0;
}

static int
read_frame(struct bkp_archive_cursor *cursor,
    const struct fmt_archive_place *place, uint32_t len, struct bkp_error *err)
{
	uint32_t max = fmt_archive_frame_max(place, len);

	if (cursor->has_frame && cursor->frame_offset == place->frame)
		return 0;
	if (max == 0 || place->frame_len > ZSTD_compressBound(max) + CHECKSUM)
		return bad_frame(cursor, place->frame,
		    "no chunk of such a size lies at such a place", err);
	cursor->has_frame = false;
	fmt_buf_clear(&cursor->frame);
	if (read_payload(cursor->archive, place->frame, place->frame_len,
		&cursor->stored, &cursor->frame, err) < 0)
		return -1;
	return decompress(cursor, place, max, err);
}

int
bkp_archive_cursor_get(struct bkp_archive_cursor *cursor,
    const struct fmt_chunk_ref *ref, struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_archive_place place;
	unsigned char digest[32];
	const unsigned char *bytes;

	fmt_archive_place_decode(ref->id, &place);
	if (read_frame(cursor, &place, ref->len, err) < 0)
		return -1;
	if (place.offset > cursor->content.len ||
	    ref->len > cursor->content.len - place.offset)
		return bad_frame(cursor, place.frame,
		    "it does not hold the chunk that should lie in it", err);
	bytes = cursor->content.data + place.offset;
	if (fmt_sha256(bytes, ref->len, digest) != FMT_OK)
		return bkp_fail(err, BKP_IO, "hashing a chunk failed");
	if (memcmp(digest, place.digest, sizeof(place.digest)) != 0)
		return bad_frame(cursor, place.frame,
		    "a chunk in it is not the one that was written", err);
	if (fmt_buf_append(out, bytes, ref->len) != FMT_OK)
		return bkp_fail_nomem(err, "reading an archive");
	return 0;
}

/* ---- opening ---- */

static int
open_payload(struct bkp_archive *archive,
    const struct fmt_age_identity *identities, size_t count,
    struct bkp_error *err)
{
	uint64_t size = bkp_archive_input_size(archive->input);
	const char *name = bkp_archive_location(archive);
	struct fmt_buf head = FMT_BUF_INIT;
	enum fmt_status status;

	if (bkp_archive_input_read(
		archive->input, 0, size < HEAD ? size : HEAD, &head, err) < 0)
		return -1;
	status = fmt_age_payload_open(
	    identities, count, head.data, head.len, &archive->payload);
	fmt_buf_free(&head);
	if (status == FMT_OK)
		status = fmt_age_plain_size(
		    &archive->payload, size, &archive->plain_size);
	if (status == FMT_OK)
		return 0;
	if (status == FMT_NOMATCH)
		return bkp_fail(err, BKP_AUTH,
		    "none of the keys at hand opens the archive %s; give the "
		    "identity file of one of those it was written for "
		    "(--identity-file), or its passphrase",
		    name);
	if (status == FMT_TRUNCATED)
		return bkp_fail(err, BKP_CORRUPT,
		    "the archive %s is cut: nothing of it is left", name);
	if (status == FMT_MALFORMED)
		return bkp_fail(err, BKP_INVALID,
		    "%s is neither a repository nor an archive (no age file)",
		    name);
	return bkp_fail_format(err, status, "opening the archive %s", name);
}

/* How to have what is left. */
static int
is_cut(struct bkp_archive *archive, struct bkp_error *err)
{
	return bkp_fail_in(err,
	    "the archive %s does not end as one does, so it is cut, its last "
	    "part is missing or its end is damaged; get it again, or take "
	    "what is left with 'age -d -i IDENTITY FILE | zstd -d | tar x'",
	    bkp_archive_location(archive));
}

static int
read_manifest(struct bkp_archive *archive, struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT, text = FMT_BUF_SECRET_INIT;
	struct bkp_archive_cursor *cursor = NULL;
	struct fmt_chunk_ref ref;
	enum fmt_status status = FMT_MALFORMED;
	int64_t version = 0;
	int rc = -1;

	if (archive->plain_size < FMT_ARCHIVE_TRAILER) {
		(void)bkp_fail(err, BKP_CORRUPT, "too short");
		goto out;
	}
	if (read_payload(archive, archive->plain_size - FMT_ARCHIVE_TRAILER,
		FMT_ARCHIVE_TRAILER, &stored, &text, err) < 0)
		goto out;
	status =
	    fmt_archive_trailer_decode(text.data, archive->plain_size, &ref);
	if (status != FMT_OK) {
		version = fmt_archive_trailer_version(text.data);
		(void)bkp_fail_format(err, status, "its trailer");
		goto out;
	}
	fmt_buf_clear(&text);
	if (bkp_archive_cursor_new(archive, &cursor, err) < 0 ||
	    bkp_archive_cursor_get(cursor, &ref, &text, err) < 0)
		goto out;
	status = fmt_archive_manifest_decode(
	    text.data, text.len, &archive->manifest);
	if (status == FMT_OK)
		rc = 0;
	else
		(void)bkp_fail_format(err, status, "its manifest");
	if (status == FMT_UNSUPPORTED)
		version = fmt_archive_manifest_version(text.data, text.len);
out:
	bkp_archive_cursor_free(cursor);
	fmt_buf_free(&stored);
	fmt_buf_free(&text);
	if (rc == 0 || (err != NULL && err->code == BKP_NOMEM))
		return rc;
	if (status == FMT_UNSUPPORTED)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "the archive %s is of version %lld, and this libbackup "
		    "knows version %d; read it with a newer one, or with age, "
		    "zstd and tar",
		    bkp_archive_location(archive), (long long)version,
		    FMT_ARCHIVE_VERSION);
	return is_cut(archive, err);
}

int
bkp_archive_open(const char *location, const struct bkp_s3_options *options,
    const struct fmt_age_identity *identities, size_t count,
    struct bkp_archive **out, struct bkp_error *err)
{
	struct bkp_archive *archive = bkp_alloc(sizeof(*archive), err);

	if (archive == NULL)
		return -1;
	if (bkp_archive_input_open(location, options, &archive->input, err) <
		0 ||
	    open_payload(archive, identities, count, err) < 0 ||
	    read_manifest(archive, err) < 0) {
		bkp_archive_close(archive);
		return -1;
	}
	*out = archive;
	return 0;
}

void
bkp_archive_close(struct bkp_archive *archive)
{
	if (archive == NULL)
		return;
	bkp_archive_input_close(archive->input);
	fmt_archive_manifest_free(&archive->manifest);
	OPENSSL_cleanse(&archive->payload, sizeof(archive->payload));
	free(archive);
}

const char *
bkp_archive_location(const struct bkp_archive *archive)
{
	return bkp_archive_input_name(archive->input);
}

const struct fmt_archive_manifest *
bkp_archive_manifest(const struct bkp_archive *archive)
{
	return &archive->manifest;
}

/* ---- the snapshot ---- */

int
bkp_archive_record(
    struct bkp_archive *archive, struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_archive_cursor *cursor = NULL;
	int rc = bkp_archive_cursor_new(archive, &cursor, err);

	if (rc == 0)
		rc = bkp_archive_cursor_get(
		    cursor, &archive->manifest.record, out, err);
	bkp_archive_cursor_free(cursor);
	return rc;
}

static const struct fmt_archive_source *
find_source(const struct bkp_archive *archive, const char *prefix)
{
	const struct fmt_archive_manifest *manifest = &archive->manifest;

	for (size_t i = 0; i < manifest->source_count; i++)
		if (strcmp(manifest->sources[i].prefix, prefix) == 0)
			return &manifest->sources[i];
	return NULL;
}

static void
free_source(struct fmt_snapshot_source *source)
{
	free(source->prefix);
	free(source->kind);
	json_decref(source->info);
	free(source->list);
}

/* Gives a source the archive's own list. */
static int
take_list(struct fmt_snapshot_source *source,
    const struct fmt_archive_source *from, struct bkp_error *err)
{
	struct fmt_chunk_ref *list =
	    bkp_alloc_array(from->list_count, sizeof(*list), err);

	if (list == NULL)
		return -1;
	if (from->list_count > 0)
		memcpy(list, from->list, from->list_count * sizeof(*list));
	free(source->list);
	source->list = list;
	source->list_count = from->list_count;
	source->entries = from->entries;
	source->bytes = from->bytes;
	return 0;
}

static int
keep_sources(const struct bkp_archive *archive, struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < snapshot->source_count; i++) {
		struct fmt_snapshot_source source = snapshot->sources[i];
		const struct fmt_archive_source *from =
		    find_source(archive, source.prefix);

		snapshot->sources[i] =
		    (struct fmt_snapshot_source){.prefix = NULL};
		if (from == NULL || rc < 0) {
			free_source(&source);
			continue;
		}
		rc = take_list(&source, from, err);
		snapshot->sources[kept++] = source;
	}
	snapshot->source_count = kept;
	if (rc == 0 && kept != archive->manifest.source_count)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "its manifest names a source that the snapshot has not");
	return rc;
}

int
bkp_archive_snapshot(struct bkp_archive *archive, struct fmt_snapshot *out,
    struct bkp_error *err)
{
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	enum fmt_status status;
	int rc = bkp_archive_record(archive, &text, err);

	if (rc == 0) {
		status = fmt_snapshot_decode(text.data, text.len, &snapshot);
		if (status != FMT_OK)
			rc = bkp_fail_format(err, status, "its snapshot");
	}
	fmt_buf_free(&text);
	if (rc == 0)
		rc = keep_sources(archive, &snapshot, err);
	if (rc < 0) {
		fmt_snapshot_free(&snapshot);
		return bkp_fail_in(
		    err, "the archive %s", bkp_archive_location(archive));
	}
	*out = snapshot;
	return 0;
}
