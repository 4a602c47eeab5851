/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/archive_writer.h"

#include <archive.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "formats/age.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"

#define LEVEL 3

/* A run of a frame's content: bytes that are there, or a chunk. */
struct piece {
	struct bkp_member *member; /* borrowed; NULL: between members */
	size_t chunk;              /* which one of the member */
	struct fmt_chunk_ref ref;  /* to read; len in any case */
	size_t literal;            /* so many bytes of `bytes`; 0: read ref */
	bool ends_member;          /* the member is owned */
	unsigned char digest[32];
};

struct frame {
	struct piece *pieces;
	size_t count, cap;
	size_t size;           /* of the content */
	struct fmt_buf bytes;  /* secret: literal ones */
	struct fmt_buf plain;  /* secret: the content */
	struct fmt_buf stored; /* compressed */
};

struct bkp_archive_writer {
	struct bkp_run *run;
	struct bkp_archive_output *output;
	struct fmt_age_writer *age; /* owned */
	struct fmt_buf sealed;
	uint64_t payload, stored; /* bytes so far */
	struct bkp_tar *tar;      /* owned */
	ZSTD_CCtx **zstd;         /* owned: one a worker */
	unsigned workers;
	/* What is being planned. */
	const struct bkp_member_feed *feed;
	struct bkp_member *member; /* owned until its last piece is planned */
	size_t chunk;
	bool has_ended;
};

/* ---- members ---- */

int
bkp_member_new(
    struct fmt_entry *entry, struct bkp_member **out, struct bkp_error *err)
{
	struct bkp_member *member = bkp_alloc(sizeof(*member), err);
	EVP_MD_CTX *digest = EVP_MD_CTX_new();

	if (member == NULL || digest == NULL ||
	    EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(digest);
		free(member);
		return bkp_fail_nomem(err, "beginning a member");
	}
	member->entry = *entry;
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	member->digest = digest;
	*out = member;
	return 0;
}

void
bkp_member_free(struct bkp_member *member)
{
	if (member == NULL)
		return;
	fmt_entry_free(&member->entry);
	fmt_buf_free(&member->name);
	EVP_MD_CTX_free(member->digest);
	free(member);
}

/* ---- the writer ---- */

static int
set_up_zstd(struct bkp_archive_writer *writer, struct bkp_error *err)
{
	writer->zstd =
	    bkp_alloc_array(writer->workers, sizeof(*writer->zstd), err);
	if (writer->zstd == NULL)
		return -1;
	for (unsigned i = 0; i < writer->workers; i++) {
		if ((writer->zstd[i] = ZSTD_createCCtx()) == NULL)
			return bkp_fail_nomem(err, "setting up compression");
		if (ZSTD_isError(ZSTD_CCtx_setParameter(
			writer->zstd[i], ZSTD_c_compressionLevel, LEVEL)) ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(
			writer->zstd[i], ZSTD_c_checksumFlag, 1)))
			return bkp_fail(err, BKP_UNSUPPORTED,
			    "zstd refuses its parameters");
	}
	return 0;
}

int
bkp_archive_writer_new(struct bkp_run *run,
    const struct fmt_age_recipient *recipients, size_t count,
    struct bkp_archive_output *output, struct bkp_archive_writer **out,
    struct bkp_error *err)
{
	struct bkp_archive_writer *writer = bkp_alloc(sizeof(*writer), err);
	enum fmt_status status;

	if (writer == NULL)
		return -1;
	writer->run = run;
	writer->output = output;
	writer->workers = bkp_run_workers(run);
	if (bkp_tar_new(&writer->tar, err) < 0 || set_up_zstd(writer, err) < 0)
		goto fail;
	status = fmt_age_writer_new(
	    recipients, count, &writer->sealed, &writer->age);
	if (status != FMT_OK) {
		(void)bkp_fail_format(
		    err, status, "encrypting to the recipients");
		goto fail;
	}
	*out = writer;
	return 0;
fail:
	bkp_archive_writer_free(writer);
	return -1;
}

void
bkp_archive_writer_free(struct bkp_archive_writer *writer)
{
	if (writer == NULL)
		return;
	for (unsigned i = 0; writer->zstd != NULL && i < writer->workers; i++)
		(void)ZSTD_freeCCtx(writer->zstd[i]);
	free(writer->zstd);
	bkp_tar_free(writer->tar);
	bkp_member_free(writer->member);
	fmt_age_writer_free(writer->age);
	fmt_buf_free(&writer->sealed);
	free(writer);
}

/* ---- output ---- */

static int
put_sealed(struct bkp_archive_writer *writer, struct bkp_error *err)
{
	if (bkp_archive_output_write(writer->output, writer->sealed.data,
		writer->sealed.len, err) < 0)
		return -1;
	writer->stored += writer->sealed.len;
	fmt_buf_clear(&writer->sealed);
	return 0;
}

static int
put_payload(struct bkp_archive_writer *writer, const struct fmt_buf *bytes,
    struct bkp_error *err)
{
	enum fmt_status status = fmt_age_writer_update(
	    writer->age, bytes->data, bytes->len, &writer->sealed);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "encrypting the archive");
	writer->payload += bytes->len;
	return put_sealed(writer, err);
}

/* ---- frames ---- */

static void
discard(void *arg, void *item)
{
	struct frame *frame = item;

	(void)arg;
	for (size_t i = 0; i < frame->count; i++)
		if (frame->pieces[i].ends_member)
			bkp_member_free(frame->pieces[i].member);
	free(frame->pieces);
	fmt_buf_free(&frame->bytes);
	fmt_buf_free(&frame->plain);
	fmt_buf_free(&frame->stored);
	free(frame);
}

static struct frame *
new_frame(struct bkp_error *err)
{
	struct frame *frame = bkp_alloc(sizeof(*frame), err);

	if (frame != NULL) {
		frame->bytes.is_secret = true;
		frame->plain.is_secret = true;
	}
	return frame;
}

static struct piece *
add_piece(struct frame *frame, struct bkp_error *err)
{
	if (bkp_grow(&frame->pieces, frame->count, &frame->cap,
		sizeof(*frame->pieces), err) < 0)
		return NULL;
	memset(&frame->pieces[frame->count], 0, sizeof(*frame->pieces));
	return &frame->pieces[frame->count++];
}

/* What has been appended to the bytes of a frame since `from` becomes a piece
 * of nobody. */
static int
add_literal(struct frame *frame, size_t from, struct bkp_error *err)
{
	struct piece *piece;

	if (frame->bytes.len == from)
		return 0;
	if ((piece = add_piece(frame, err)) == NULL)
		return -1;
	piece->literal = frame->bytes.len - from;
	frame->size += piece->literal;
	return 0;
}

/* ---- plan ---- */

/* What the header says of a member that is none of a kind with attributes. */
static void
describe_plain(const struct bkp_member *member, struct archive_entry *out)
{
	int64_t us = member->time_us;
	int64_t seconds = us / 1000000;

	if (us % 1000000 < 0)
		seconds--;
	archive_entry_set_filetype(out, AE_IFREG);
	archive_entry_set_perm(out, 0600);
	archive_entry_set_size(out, (la_int64_t)member->entry.size);
	archive_entry_set_mtime(
	    out, (time_t)seconds, (long)(us - seconds * 1000000) * 1000);
}

static int
plan_header(struct bkp_archive_writer *writer, struct frame *frame,
    struct bkp_error *err)
{
	struct bkp_member *member = writer->member;
	struct archive_entry *header = archive_entry_new();
	size_t from = frame->bytes.len;
	int rc = 0;

	if (header == NULL)
		return bkp_fail_nomem(err, "writing a tar header");
	if (member->kind != NULL && member->kind->to_tar != NULL)
		rc = member->kind->to_tar(&member->entry, header, err);
	else
		describe_plain(member, header);
	if (rc == 0) {
		archive_entry_copy_pathname(
		    header, (const char *)member->name.data);
		rc = bkp_tar_begin(writer->tar, header, &frame->bytes, err);
	}
	archive_entry_free(header);
	if (rc == 0)
		rc = add_literal(frame, from, err);
	return rc < 0 ? bkp_fail_in(err, "%s", (char *)member->name.data) : 0;
}

/* The member's bytes, where they are at hand, or the chunk to read. */
static int
plan_chunk(struct bkp_archive_writer *writer, struct frame *frame,
    struct bkp_error *err)
{
	struct bkp_member *member = writer->member;
	struct piece *piece = add_piece(frame, err);
	enum fmt_status status = FMT_OK;
	size_t len;

	if (piece == NULL)
		return -1;
	piece->member = member;
	piece->chunk = writer->chunk;
	piece->ref = member->entry.chunks[writer->chunk++];
	len = piece->ref.len;
	if (len > FMT_ARCHIVE_CHUNK)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%s: a row of %zu bytes is more than an archive holds",
		    (char *)member->name.data, len);
	frame->size += len;
	if (member->spool != NULL) {
		piece->literal = len;
		return bkp_spool_read(member->spool, len, &frame->bytes, err);
	}
	if (member->data == NULL)
		return 0;
	piece->literal = len;
	status = fmt_buf_append(
	    &frame->bytes, (const char *)member->data + member->given, len);
	member->given += len;
	return status == FMT_OK ? 0 : bkp_fail_nomem(err, "archiving");
}

/* The member ends: its last piece owns it. */
static int
plan_end(struct bkp_archive_writer *writer, struct frame *frame,
    struct bkp_error *err)
{
	struct bkp_member *member = writer->member;
	size_t from = frame->bytes.len;
	struct piece *piece;

	if (member->entry.has_content &&
	    bkp_tar_pass(writer->tar, member->entry.size, err) < 0)
		return bkp_fail_in(err, "%s", (char *)member->name.data);
	if (bkp_tar_end(writer->tar, &frame->bytes, err) < 0 ||
	    add_literal(frame, from, err) < 0 ||
	    (piece = add_piece(frame, err)) == NULL)
		return -1;
	piece->member = member;
	piece->ends_member = true;
	writer->member = NULL;
	return 0;
}

static int
plan_member(struct bkp_archive_writer *writer, struct frame *frame,
    struct bkp_error *err)
{
	const struct bkp_member_feed *feed = writer->feed;

	if (feed->next(feed->arg, &writer->member, err) < 0)
		return -1;
	writer->chunk = 0;
	writer->has_ended = writer->member == NULL;
	return writer->has_ended ? 0 : plan_header(writer, frame, err);
}

/* True where the frame ends before the next piece: a large chunk is not put
 * behind what is there. */
static bool
is_full(const struct bkp_archive_writer *writer, const struct frame *frame)
{
	const struct bkp_member *member = writer->member;

	if (frame->size >= FMT_ARCHIVE_FRAME)
		return true;
	return frame->size > 0 && member != NULL &&
	       writer->chunk < member->entry.chunk_count &&
	       frame->size + member->entry.chunks[writer->chunk].len >
		   2 * FMT_ARCHIVE_FRAME;
}

static int
plan(void *arg, void **out, struct bkp_error *err)
{
	struct bkp_archive_writer *writer = arg;
	struct frame *frame = new_frame(err);
	int rc = frame == NULL ? -1 : 0;

	while (rc == 0 && !writer->has_ended && !is_full(writer, frame)) {
		if (writer->member == NULL)
			rc = plan_member(writer, frame, err);
		else if (writer->member->entry.has_content &&
			 writer->chunk < writer->member->entry.chunk_count)
			rc = plan_chunk(writer, frame, err);
		else
			rc = plan_end(writer, frame, err);
	}
	if (rc < 0 || frame->count == 0) {
		if (frame != NULL)
			discard(NULL, frame);
		frame = NULL;
	}
	*out = frame;
	return rc;
}

/* ---- make ---- */

static int
make_piece(struct bkp_archive_writer *writer, unsigned worker,
    struct frame *frame, struct piece *piece, size_t *literal,
    struct bkp_error *err)
{
	size_t from = frame->plain.len;

	if (piece->literal > 0) {
		if (fmt_buf_append(&frame->plain, frame->bytes.data + *literal,
			piece->literal) != FMT_OK)
			return bkp_fail_nomem(err, "archiving");
		*literal += piece->literal;
	} else if (piece->ref.len > 0) {
		struct bkp_chunk_reader *reader =
		    bkp_supply_reader(writer->feed->supply, worker);

		if (bkp_chunk_reader_get(
			reader, &piece->ref, &frame->plain, err) < 0)
			return bkp_fail_in(
			    err, "%s", (char *)piece->member->name.data);
	}
	if (piece->member != NULL &&
	    fmt_sha256(frame->plain.data + from, frame->plain.len - from,
		piece->digest) != FMT_OK)
		return bkp_fail(err, BKP_IO, "hashing a chunk failed");
	return 0;
}

static int
compress(struct bkp_archive_writer *writer, unsigned worker,
    struct frame *frame, struct bkp_error *err)
{
	size_t bound = ZSTD_compressBound(frame->plain.len), n;

	if (fmt_buf_reserve(&frame->stored, bound) != FMT_OK)
		return bkp_fail_nomem(err, "compressing");
	n = ZSTD_compress2(writer->zstd[worker], frame->stored.data, bound,
	    frame->plain.data, frame->plain.len);
	if (ZSTD_isError(n))
		return bkp_fail(
		    err, BKP_IO, "compressing: %s", ZSTD_getErrorName(n));
	frame->stored.len = n;
	return 0;
}

static int
make(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct bkp_archive_writer *writer = arg;
	struct frame *frame = item;
	size_t literal = 0;

	if (fmt_buf_reserve(&frame->plain, frame->size + 1) != FMT_OK)
		return bkp_fail_nomem(err, "archiving");
	for (size_t i = 0; i < frame->count; i++)
		if (make_piece(writer, worker, frame, &frame->pieces[i],
			&literal, err) < 0)
			return -1;
	fmt_buf_free(&frame->bytes);
	return frame->plain.len > 0 ? compress(writer, worker, frame, err) : 0;
}

/* ---- put ---- */

static int
end_member(struct bkp_archive_writer *writer, struct bkp_member *member,
    struct bkp_error *err)
{
	const struct fmt_entry *entry = &member->entry;
	const char *name = (const char *)member->name.data;
	unsigned char sha256[32];

	if (EVP_DigestFinal_ex(member->digest, sha256, NULL) != 1)
		return bkp_fail(err, BKP_IO, "hashing failed");
	if (entry->has_content && member->size != entry->size)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: it has %llu bytes, and %llu were recorded", name,
		    (unsigned long long)member->size,
		    (unsigned long long)entry->size);
	if (entry->has_content && entry->has_sha256 &&
	    memcmp(sha256, entry->sha256, sizeof(sha256)) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: its SHA-256 is not the one that was recorded", name);
	if (writer->feed->done(writer->feed->arg, entry, name, sha256, err) < 0)
		return -1;
	bkp_run_count(writer->run, 0, 1);
	return 0;
}

/* A chunk is where it is now. */
static int
put_chunk(struct bkp_archive_writer *writer, const struct frame *frame,
    const struct piece *piece, size_t at, struct bkp_error *err)
{
	struct bkp_member *member = piece->member;
	struct fmt_archive_place place = {.frame = writer->payload,
	    .frame_len = (uint32_t)frame->stored.len,
	    .offset = (uint32_t)at};

	memcpy(place.digest, piece->digest, sizeof(place.digest));
	fmt_archive_place_encode(&place, member->entry.chunks[piece->chunk].id);
	if (EVP_DigestUpdate(
		member->digest, frame->plain.data + at, piece->ref.len) != 1)
		return bkp_fail(err, BKP_IO, "hashing failed");
	member->size += piece->ref.len;
	bkp_run_count(writer->run, piece->ref.len, 0);
	return 0;
}

static int
put_pieces(struct bkp_archive_writer *writer, struct frame *frame,
    struct bkp_error *err)
{
	size_t at = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < frame->count; i++) {
		struct piece *piece = &frame->pieces[i];

		if (piece->ends_member) {
			rc = end_member(writer, piece->member, err);
		} else if (piece->member != NULL) {
			rc = put_chunk(writer, frame, piece, at, err);
			at += piece->ref.len;
		} else {
			at += piece->literal;
		}
	}
	return rc;
}

static int
put(void *arg, void *item, struct bkp_error *err)
{
	struct bkp_archive_writer *writer = arg;
	struct frame *frame = item;
	int rc = put_pieces(writer, frame, err);

	if (rc == 0)
		rc = put_payload(writer, &frame->stored, err);
	discard(NULL, frame);
	return rc;
}

static void
tick(void *arg)
{
	struct bkp_archive_writer *writer = arg;

	bkp_run_tick(writer->run);
}

int
bkp_archive_writer_run(struct bkp_archive_writer *writer,
    const struct bkp_member_feed *feed, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = plan,
	    .work = make,
	    .done = put,
	    .discard = discard,
	    .tick = tick};
	unsigned workers = writer->workers;

	writer->feed = feed;
	writer->has_ended = false;
	return bkp_pipeline_run(workers, 2 * workers + 2, &ops, writer,
	    bkp_run_cancel(writer->run), err);
}

/* ---- the end ---- */

static int
put_end_of_tar(struct bkp_archive_writer *writer, struct bkp_error *err)
{
	struct frame *frame = new_frame(err);
	int rc = -1;

	if (frame == NULL)
		return -1;
	if (bkp_tar_finish(writer->tar, &frame->plain, err) == 0 &&
	    compress(writer, 0, frame, err) == 0)
		rc = put_payload(writer, &frame->stored, err);
	discard(NULL, frame);
	return rc;
}

int
bkp_archive_writer_finish(struct bkp_archive_writer *writer,
    const struct fmt_chunk_ref *manifest, uint64_t *stored,
    struct bkp_error *err)
{
	struct fmt_buf trailer = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = put_end_of_tar(writer, err);

	if (rc == 0 && fmt_archive_trailer_encode(manifest, &trailer) != FMT_OK)
		rc = bkp_fail_nomem(err, "ending the archive");
	if (rc == 0)
		rc = put_payload(writer, &trailer, err);
	fmt_buf_free(&trailer);
	if (rc < 0)
		return -1;
	status = fmt_age_writer_finish(writer->age, &writer->sealed);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "encrypting the archive");
	if (put_sealed(writer, err) < 0)
		return -1;
	*stored = writer->stored;
	return 0;
}
