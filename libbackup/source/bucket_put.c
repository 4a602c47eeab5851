/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_put.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

#define MIB ((uint64_t)1 << 20)

/* Up to here bytes are read into memory once, instead of twice from chunks. */
#define MEMORY_MAX (16 * MIB)

/* One PUT may not be longer, by S3's rules. */
#define SINGLE_MAX (5120 * MIB)

#define NO_SLOT UINT_MAX

/* Parts for what is sent in parts although nobody knows how it was cut. */
#define UNKNOWN_SINGLE_MAX (64 * MIB)
#define UNKNOWN_PART (16 * MIB)
#define PARTS_MAX 10000u

/* Tags beyond this go in a request of their own: servers limit headers. */
#define TAG_HEADER_MAX 1800u

/* A stretch of an entry's bytes, read from its chunks. */
struct stretch {
	struct bkp_supply *supply;
	struct bkp_slots *slots;
	unsigned slot; /* whose reader is used; NO_SLOT: none now */
	const struct fmt_entry *entry;
	uint64_t begin, len; /* in the entry */
	uint64_t done;
	size_t index;         /* of the next chunk */
	struct fmt_buf chunk; /* the one being handed out */
	size_t used;          /* bytes of it */
	struct bkp_bucket_fault fault;
};

static void
take_slot(struct stretch *stretch)
{
	if (stretch->slot == NO_SLOT)
		stretch->slot = bkp_slots_take(stretch->slots);
}

static void
give_slot(struct stretch *stretch)
{
	if (stretch->slot != NO_SLOT)
		bkp_slots_give(stretch->slots, stretch->slot);
	stretch->slot = NO_SLOT;
}

static int
rewind_stretch(void *arg, struct bkp_error *err)
{
	struct stretch *stretch = arg;

	(void)err;
	stretch->done = 0;
	stretch->index = 0;
	stretch->used = 0;
	fmt_buf_clear(&stretch->chunk);
	return 0;
}

/* Reads the next chunk behind what `out` holds. */
static int
read_next(struct stretch *stretch, struct fmt_buf *out, struct bkp_error *err)
{
	const struct fmt_entry *entry = stretch->entry;
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_chunk_reader_get(
		bkp_supply_reader(stretch->supply, stretch->slot),
		&entry->chunks[stretch->index], out, &why) < 0) {
		stretch->fault.is_ours = true;
		stretch->fault.is_lost = why.code == BKP_CORRUPT;
		if (err != NULL)
			*err = why;
		return bkp_fail_in(err, "%s", entry->path);
	}
	stretch->index++;
	return 0;
}

/* Loads the chunk that holds the next byte. */
static int
load_chunk(struct stretch *stretch, struct bkp_error *err)
{
	const struct fmt_entry *entry = stretch->entry;
	uint64_t skip = stretch->index == 0 ? stretch->begin : 0;

	while (stretch->index < entry->chunk_count &&
	       entry->chunks[stretch->index].len <= skip)
		skip -= entry->chunks[stretch->index++].len;
	if (stretch->index == entry->chunk_count) {
		stretch->fault.is_lost = true;
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: its chunks end before its size says so", entry->path);
	}
	fmt_buf_clear(&stretch->chunk);
	if (read_next(stretch, &stretch->chunk, err) < 0)
		return -1;
	stretch->used = (size_t)skip;
	return 0;
}

static int
read_stretch(
    void *arg, void *to, size_t len, size_t *got, struct bkp_error *err)
{
	struct stretch *stretch = arg;
	uint64_t left = stretch->len - stretch->done;
	size_t step;

	*got = 0;
	if (left == 0)
		return 0;
	if (stretch->used == stretch->chunk.len && load_chunk(stretch, err) < 0)
		return -1;
	step = stretch->chunk.len - stretch->used;
	if (step > len)
		step = len;
	if (step > left)
		step = (size_t)left;
	memcpy(to, stretch->chunk.data + stretch->used, step);
	stretch->used += step;
	stretch->done += step;
	*got = step;
	return 0;
}

/* Whether the next bytes are a chunk as it is. */
static bool
is_next_whole(const struct stretch *stretch)
{
	const struct fmt_entry *entry = stretch->entry;

	return stretch->used == stretch->chunk.len &&
	       (stretch->index > 0 || stretch->begin == 0) &&
	       stretch->index < entry->chunk_count &&
	       entry->chunks[stretch->index].len <=
		   stretch->len - stretch->done;
}

/* All of a stretch in memory: chunks are decompressed where they belong. */
static int
load_stretch(
    struct stretch *stretch, struct fmt_buf *out, struct bkp_error *err)
{
	size_t got;

	fmt_buf_clear(out);
	if (fmt_buf_reserve(out, (size_t)stretch->len + 1) != FMT_OK)
		return bkp_fail_nomem(err, "reading an object");
	(void)rewind_stretch(stretch, err);
	do {
		size_t before = out->len;

		if (is_next_whole(stretch)) {
			if (read_next(stretch, out, err) < 0)
				return -1;
			got = out->len - before;
			stretch->done += got;
		} else {
			if (read_stretch(stretch, out->data + before,
				out->cap - before, &got, err) < 0)
				return -1;
			out->len += got;
		}
	} while (got > 0);
	return 0;
}

/* ---- one object being put ---- */

struct putting {
	struct bkp_s3_connection *connection;
	const char *bucket, *key;
	const struct fmt_entry *entry;
	struct stretch stretch;
	struct fmt_buf memory;
	struct bkp_s3_fields headers, tags;
	bool is_locking;
	bool has_late_tags;  /* they are too long for a header */
	struct fmt_buf etag; /* as the server says */
};

static int
add_tags(struct putting *putting, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = 0;

	if (bkp_bucket_attrs_tags(putting->entry->attrs, &putting->tags, err) <
	    0)
		return -1;
	if (putting->tags.count == 0)
		return 0;
	rc = bkp_s3_encode_query(&putting->tags, &text, err);
	if (rc == 0 && fmt_buf_text(&text) == NULL)
		rc = bkp_fail_nomem(err, "building a request");
	putting->has_late_tags = text.len > TAG_HEADER_MAX;
	if (rc == 0 && !putting->has_late_tags)
		rc = bkp_s3_fields_add(&putting->headers, "x-amz-tagging",
		    (const char *)text.data, err);
	fmt_buf_free(&text);
	return rc;
}

/* The body of a stretch: from memory where it is short. */
static int
make_body(struct putting *putting, uint64_t begin, uint64_t len,
    struct bkp_s3_body *body, struct bkp_error *err)
{
	struct stretch *stretch = &putting->stretch;

	stretch->begin = begin;
	stretch->len = len;
	take_slot(stretch);
	*body = (struct bkp_s3_body){.size = len};
	if (len > MEMORY_MAX) {
		body->rewind = rewind_stretch;
		body->read = read_stretch;
		body->arg = stretch;
		return 0;
	}
	if (load_stretch(stretch, &putting->memory, err) < 0)
		return -1;
	/* Who waits for the server has no slot meanwhile. */
	give_slot(stretch);
	body->data = len > 0 ? (const void *)putting->memory.data : "";
	return 0;
}

/* The bytes must be those that were recorded, before they are sent. */
static int
check_sha256(struct putting *putting, const struct bkp_s3_digests *digests,
    struct bkp_error *err)
{
	const struct fmt_entry *entry = putting->entry;
	char text[65];

	if (!entry->has_sha256)
		return 0;
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", entry->sha256[i]);
	if (strcmp(text, digests->sha256) == 0)
		return 0;
	putting->stretch.fault.is_lost = true;
	return bkp_fail(err, BKP_CORRUPT,
	    "%s: the bytes in the repository are not those that were "
	    "recorded; check the repository",
	    entry->path);
}

/* An ETag that was found to be the MD5 of the bytes whose SHA-256 was recorded
 * beside it need not be computed again. */
static int
digest(struct putting *putting, const struct bkp_s3_body *body,
    struct bkp_s3_digests *digests, struct bkp_error *err)
{
	const char *etag = bkp_bucket_attrs_get(putting->entry->attrs, "etag");

	if (putting->entry->has_sha256 && etag != NULL &&
	    fmt_unhex(etag, digests->md5, sizeof(digests->md5)) == FMT_OK)
		return bkp_s3_digest_sha256(body, digests, err);
	return bkp_s3_digest_body(body, digests, err);
}

static int
put_single(struct putting *putting, struct bkp_error *err)
{
	struct bkp_s3_digests digests;
	struct bkp_s3_body body;

	if (make_body(putting, 0, putting->entry->size, &body, err) < 0 ||
	    digest(putting, &body, &digests, err) < 0 ||
	    check_sha256(putting, &digests, err) < 0)
		return -1;
	return bkp_s3_put(putting->connection, putting->bucket, putting->key,
	    &putting->headers, &body, &digests, &putting->etag, err);
}

static int
put_parts(struct putting *putting, const uint64_t *sizes, size_t count,
    struct bkp_error *err)
{
	struct bkp_s3_upload *upload = NULL;
	struct bkp_s3_body body;
	uint64_t begin = 0;
	int rc = bkp_s3_upload_begin(putting->connection, putting->bucket,
	    putting->key, &putting->headers, &upload, err);

	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = make_body(putting, begin, sizes[i], &body, err);
		if (rc == 0)
			rc = bkp_s3_upload_part(upload, &body, err);
		begin += sizes[i];
	}
	if (rc == 0)
		rc = bkp_s3_upload_complete(upload, &putting->etag, err);
	bkp_s3_upload_end(upload);
	return rc;
}

/* Sizes for what must be sent in parts and was not, or not knowably. */
static int
invent_parts(
    uint64_t size, uint64_t **sizes, size_t *count, struct bkp_error *err)
{
	uint64_t part = UNKNOWN_PART;

	while ((size + part - 1) / part > PARTS_MAX)
		part *= 2;
	*count = (size_t)((size + part - 1) / part);
	if ((*sizes = bkp_alloc_array(*count, sizeof(**sizes), err)) == NULL)
		return -1;
	for (size_t i = 0; i < *count; i++)
		(*sizes)[i] =
		    i + 1 < *count ? part : size - part * (*count - 1);
	return 0;
}

/* An object that was put in one piece goes back in one piece, or its ETag
 * would be another. */
static int
put_bytes(struct putting *putting, struct bkp_error *err)
{
	const struct fmt_entry *entry = putting->entry;
	bool is_plain = bkp_bucket_attrs_get(entry->attrs, "etag") != NULL;
	uint64_t *sizes = NULL;
	size_t count = 0;
	int rc = bkp_bucket_attrs_parts(
	    entry->attrs, entry->size, &sizes, &count, err);

	if (rc == 0 && count == 0 &&
	    entry->size > (is_plain ? SINGLE_MAX : UNKNOWN_SINGLE_MAX))
		rc = invent_parts(entry->size, &sizes, &count, err);
	if (rc == 0 && count > 0)
		rc = put_parts(putting, sizes, count, err);
	else if (rc == 0)
		rc = put_single(putting, err);
	free(sizes);
	return rc;
}

/* ---- what arrived ---- */

static bool
is_etag_right(const struct putting *putting)
{
	const char *expected =
	    bkp_bucket_attrs_get(putting->entry->attrs, "etag");

	return expected != NULL &&
	       strcmp(expected, (const char *)putting->etag.data) == 0;
}

/* Where the ETag alone does not prove that the bytes arrived: asks. A server
 * that encrypts makes ETags of its own, and says so. */
static int
compare_head(struct putting *putting, struct bkp_error *err)
{
	const char *expected =
	    bkp_bucket_attrs_get(putting->entry->attrs, "etag");
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	const char *length, *encryption;
	int rc = bkp_s3_head(putting->connection, putting->bucket, putting->key,
	    0, &headers, err);
	bool is_answered = rc == 0;

	length = bkp_s3_fields_get(&headers, "content-length");
	encryption =
	    bkp_s3_fields_get(&headers, "x-amz-server-side-encryption");
	if (rc == 0 && (length == NULL ||
			   strtoull(length, NULL, 10) != putting->entry->size))
		rc = bkp_fail(err, BKP_CORRUPT,
		    "s3://%s/%s has %s bytes on the server instead of %llu",
		    putting->bucket, putting->key,
		    length != NULL ? length : "no",
		    (unsigned long long)putting->entry->size);
	else if (rc == 0 && expected != NULL && encryption == NULL)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "s3://%s/%s has the ETag %s on the server instead of %s",
		    putting->bucket, putting->key,
		    (const char *)putting->etag.data, expected);
	putting->stretch.fault.is_altered = is_answered && rc < 0;
	bkp_s3_fields_free(&headers);
	return rc;
}

/* All headers but the tags. */
static int
add_headers(struct putting *putting, struct bkp_error *err)
{
	const json_t *attrs = putting->entry->attrs;
	struct bkp_s3_lock lock;

	if (bkp_bucket_attrs_headers(attrs, &putting->headers, err) < 0)
		return -1;
	if (!putting->is_locking || !bkp_bucket_attrs_lock(attrs, &lock))
		return 0;
	return bkp_s3_add_lock(&putting->headers, &lock, err);
}

/* A server without tags refuses an object that comes with some: then it goes
 * without them, rather than not at all. */
static int
put_tagged(struct putting *putting, struct bkp_error *err)
{
	struct bkp_bucket_fault *fault = &putting->stretch.fault;
	struct bkp_error why = BKP_ERROR_INIT;

	if (add_tags(putting, err) < 0)
		return -1;
	if (put_bytes(putting, &why) == 0)
		return 0;
	if (why.code != BKP_UNSUPPORTED || fault->is_ours || fault->is_lost ||
	    putting->tags.count == 0 || putting->has_late_tags) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	fault->lacks_tags = true;
	bkp_s3_fields_free(&putting->headers);
	if (add_headers(putting, err) < 0)
		return -1;
	return put_bytes(putting, err);
}

static int
put_late_tags(struct putting *putting, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_s3_put_tags(putting->connection, putting->bucket, putting->key,
		&putting->tags, &why) == 0)
		return 0;
	if (why.code == BKP_UNSUPPORTED) {
		putting->stretch.fault.lacks_tags = true;
		return 0;
	}
	if (err != NULL)
		*err = why;
	return -1;
}

static int
put_all(struct putting *putting, struct bkp_error *err)
{
	if (add_headers(putting, err) < 0 || put_tagged(putting, err) < 0)
		return -1;
	if (!is_etag_right(putting) && compare_head(putting, err) < 0)
		return -1;
	return putting->has_late_tags ? put_late_tags(putting, err) : 0;
}

int
bkp_bucket_put(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const struct fmt_entry *entry, bool is_locking,
    struct bkp_supply *supply, struct bkp_slots *slots,
    struct bkp_bucket_fault *fault, struct bkp_error *err)
{
	struct putting putting = {.connection = connection,
	    .bucket = bucket,
	    .key = key,
	    .entry = entry,
	    .is_locking = is_locking,
	    .stretch = {.supply = supply,
		.slots = slots,
		.slot = NO_SLOT,
		.entry = entry,
		.chunk = FMT_BUF_INIT},
	    .memory = FMT_BUF_INIT,
	    .headers = BKP_S3_FIELDS_INIT,
	    .tags = BKP_S3_FIELDS_INIT,
	    .etag = FMT_BUF_INIT};
	int rc = put_all(&putting, err);

	give_slot(&putting.stretch);
	*fault = putting.stretch.fault;
	fmt_buf_free(&putting.stretch.chunk);
	fmt_buf_free(&putting.memory);
	fmt_buf_free(&putting.etag);
	bkp_s3_fields_free(&putting.headers);
	bkp_s3_fields_free(&putting.tags);
	return rc;
}
