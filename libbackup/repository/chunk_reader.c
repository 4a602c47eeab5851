/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading chunks out of packs. Of a pack only the 64 KiB segments that hold a
 * chunk are fetched and decrypted, and at least READ_AHEAD of them, so that
 * small chunks beside each other come out of one fetch: the window. There are
 * two, one for chunks that are stored whole and one for differences, since
 * these and their bases are read in turn. The payload keys of the last packs
 * are remembered, and the last base. From a bucket, where each fetch is a way
 * there and back, who reads on gets twice as much each time, up to FAR_AHEAD;
 * and what does not decrypt is fetched again, as it may come right.
 *
 * Memory: the windows (READ_AHEAD, FAR_AHEAD from a bucket, or the largest
 * chunk read), the stored form of one while it is decrypted, a zstd context,
 * and for differences twice FMT_DELTA_MAX at the most, and 4 bytes a line of
 * the base.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "formats/age.h"
#include "formats/delta.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

#define PACKS 8                  /* whose payload keys are remembered */
#define HEAD (4u * 1024)         /* bytes that hold an age header */
#define READ_AHEAD (256u * 1024) /* least plaintext bytes a fetch */
#define FAR_AHEAD (2u * 1024 * 1024)
#define HEX_NAME 65

struct pack {
	unsigned char name[32];
	uint64_t stored_size, plain_size;
	struct fmt_age_payload payload; /* secret */
	uint64_t used; /* when, by the reader's clock; 0: never */
};

/* Decrypted bytes of a pack's payload, from `offset`. */
struct window {
	unsigned char pack[32];
	uint64_t offset;
	uint64_t ahead;       /* of the last fetch; 0: none yet */
	struct fmt_buf bytes; /* secret */
};

struct bkp_chunk_reader {
	struct bkp_repository *repository;
	enum fmt_pack_kind kind;
	struct bkp_archive_cursor *archive; /* owned; NULL: of packs */
	struct bkp_chunk_hasher hasher;
	ZSTD_DCtx *zstd; /* owned */
	struct pack packs[PACKS];
	uint64_t clock;
	struct window windows[2]; /* of whole chunks, of differences */
	struct fmt_buf stored;    /* fetched, still encrypted */
	struct fmt_buf plain;     /* of bkp_chunk_reader_entry */
	struct fmt_buf delta;     /* a difference */
	struct fmt_buf base;      /* the base that was used last */
	unsigned char base_id[FMT_ID_SIZE]; /* where base is not empty */
};

int
bkp_chunk_reader_new_of(struct bkp_repository *repository,
    enum fmt_pack_kind kind, struct bkp_chunk_reader **out,
    struct bkp_error *err)
{
	struct bkp_chunk_reader *reader = bkp_alloc(sizeof(*reader), err);

	if (reader == NULL)
		return -1;
	reader->repository = repository;
	reader->kind = kind;
	reader->windows[0].bytes.is_secret = true;
	reader->windows[1].bytes.is_secret = true;
	reader->plain.is_secret = true;
	reader->delta.is_secret = true;
	reader->base.is_secret = true;
	if (repository->archive != NULL) {
		if (bkp_archive_cursor_new(
			repository->archive, &reader->archive, err) < 0)
			goto fail;
		*out = reader;
		return 0;
	}
	if (bkp_chunk_hasher_init(&reader->hasher, repository, err) < 0)
		goto fail;
	if ((reader->zstd = ZSTD_createDCtx()) == NULL) {
		(void)bkp_fail_nomem(err, "setting up decompression");
		goto fail;
	}
	*out = reader;
	return 0;
fail:
	bkp_chunk_reader_free(reader);
	return -1;
}

int
bkp_chunk_reader_new(struct bkp_repository *repository,
    struct bkp_chunk_reader **out, struct bkp_error *err)
{
	return bkp_chunk_reader_new_of(repository, FMT_PACK_DATA, out, err);
}

void
bkp_chunk_reader_free(struct bkp_chunk_reader *reader)
{
	if (reader == NULL)
		return;
	bkp_archive_cursor_free(reader->archive);
	bkp_chunk_hasher_free(&reader->hasher);
	(void)ZSTD_freeDCtx(reader->zstd);
	OPENSSL_cleanse(reader->packs, sizeof(reader->packs));
	fmt_buf_free(&reader->windows[0].bytes);
	fmt_buf_free(&reader->windows[1].bytes);
	fmt_buf_free(&reader->stored);
	fmt_buf_free(&reader->plain);
	fmt_buf_free(&reader->delta);
	fmt_buf_free(&reader->base);
	free(reader);
}

/* ---- packs ---- */

static void
pack_path(const unsigned char name[32], char path[96])
{
	char hex[HEX_NAME];

	fmt_hex(name, 32, hex);
	(void)snprintf(path, 96, "packs/%.2s/%s", hex, hex);
}

/* The index knows the pack, so that it is not there is damage. */
static int
fetch(struct bkp_chunk_reader *reader, const char *path, uint64_t offset,
    uint64_t len, struct bkp_error *err)
{
	fmt_buf_clear(&reader->stored);
	if (bkp_store_get(reader->repository->store, path, offset, len,
		&reader->stored, err) == 0)
		return 0;
	if (err != NULL && err->code == BKP_NOTFOUND)
		err->code = BKP_CORRUPT;
	return -1;
}

static bool
is_damage(const struct bkp_error *err)
{
	return err->code == BKP_CORRUPT ||
	       (err->code == BKP_AUTH && err->sys == 0);
}

/* Fetches the head of a pack and finds its payload key. */
static int
open_pack_once(struct bkp_chunk_reader *reader,
    const struct fmt_index_pack *from, struct pack *pack, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &reader->repository->keys;
	uint64_t len = from->stored_size < HEAD ? from->stored_size : HEAD;
	enum fmt_status status;
	char path[96];

	pack_path(from->name, path);
	if (fetch(reader, path, 0, len, err) < 0)
		return -1;
	status = fmt_age_payload_open(
	    reader->kind == FMT_PACK_DATA ? keys->data : keys->metadata,
	    keys->count, reader->stored.data, reader->stored.len,
	    &pack->payload);
	if (status == FMT_OK)
		status = fmt_age_plain_size(
		    &pack->payload, from->stored_size, &pack->plain_size);
	/* Nobody wrote a pack of another version here. */
	if (status == FMT_UNSUPPORTED)
		status = FMT_MALFORMED;
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "%s: %s: opening",
		    reader->repository->store->location, path);
	memcpy(pack->name, from->name, sizeof(pack->name));
	pack->stored_size = from->stored_size;
	return 0;
}

static int
open_pack(struct bkp_chunk_reader *reader, const struct fmt_index_pack *from,
    struct pack *pack, struct bkp_error *err)
{
	unsigned left = bkp_store_reads(reader->repository->store);
	struct bkp_error problem = BKP_ERROR_INIT;

	while (open_pack_once(reader, from, pack, &problem) < 0) {
		if (--left > 0 && is_damage(&problem))
			continue;
		if (err != NULL)
			*err = problem;
		return -1;
	}
	return 0;
}

/* A remembered pack, or one opened in place of the one used longest ago. */
static struct pack *
find_pack(struct bkp_chunk_reader *reader, const struct fmt_index_pack *from,
    struct bkp_error *err)
{
	struct pack *oldest = &reader->packs[0];

	for (size_t i = 0; i < PACKS; i++) {
		struct pack *pack = &reader->packs[i];

		if (pack->used > 0 &&
		    memcmp(pack->name, from->name, sizeof(pack->name)) == 0) {
			pack->used = ++reader->clock;
			return pack;
		}
		if (pack->used < oldest->used)
			oldest = pack;
	}
	oldest->used = 0;
	if (open_pack(reader, from, oldest, err) < 0)
		return NULL;
	oldest->used = ++reader->clock;
	return oldest;
}

/* ---- the window ---- */

static bool
is_in_window(const struct window *window, const struct pack *pack,
    uint64_t offset, uint64_t len)
{
	return window->bytes.len > 0 &&
	       memcmp(window->pack, pack->name, sizeof(window->pack)) == 0 &&
	       offset >= window->offset &&
	       offset + len <= window->offset + window->bytes.len;
}

/* For other bytes of the same kind, which are written over these; what is left
 * of them is wiped with the reader. To wipe it each time took a twentieth of a
 * restore's time. */
static void
reuse(struct fmt_buf *buf)
{
	buf->len = 0;
}

/* Fetches and decrypts whole segments that hold [offset, offset + len), and
 * what comes behind, up to `ahead` bytes. */
static int
fill_window_ahead(struct bkp_chunk_reader *reader, struct window *window,
    const struct pack *pack, uint64_t offset, uint64_t len, uint64_t ahead,
    struct bkp_error *err)
{
	uint64_t start = offset / FMT_AGE_SEGMENT * FMT_AGE_SEGMENT;
	uint64_t end = offset + len, file_offset, file_len;
	enum fmt_status status;
	char path[96];

	if (end < start + ahead)
		end = start + ahead;
	end = (end + FMT_AGE_SEGMENT - 1) / FMT_AGE_SEGMENT * FMT_AGE_SEGMENT;
	if (end > pack->plain_size)
		end = pack->plain_size;
	pack_path(pack->name, path);
	fmt_age_payload_range(&pack->payload, pack->stored_size, start,
	    end - start, &file_offset, &file_len);
	reuse(&window->bytes);
	if (fetch(reader, path, file_offset, file_len, err) < 0)
		return -1;
	status = fmt_age_payload_read(&pack->payload, pack->stored_size, start,
	    end - start, reader->stored.data, reader->stored.len,
	    &window->bytes);
	if (status != FMT_OK) {
		fmt_buf_clear(&window->bytes);
		return bkp_fail_format(err, status, "%s: %s: decrypting",
		    reader->repository->store->location, path);
	}
	memcpy(window->pack, pack->name, sizeof(window->pack));
	window->offset = start;
	return 0;
}

/* How much to fetch: more where it goes on behind what was fetched last. */
static uint64_t
choose_ahead(const struct bkp_chunk_reader *reader, const struct window *window,
    const struct pack *pack, uint64_t offset)
{
	bool goes_on =
	    window->bytes.len > 0 && offset >= window->offset &&
	    offset <= window->offset + window->bytes.len &&
	    memcmp(window->pack, pack->name, sizeof(window->pack)) == 0;

	if (!goes_on || bkp_store_reads(reader->repository->store) == 1)
		return READ_AHEAD;
	return window->ahead < FAR_AHEAD / 2 ? window->ahead * 2 : FAR_AHEAD;
}

/* Damage in what comes behind is nothing to this chunk. */
static int
fill_window(struct bkp_chunk_reader *reader, struct window *window,
    const struct pack *pack, uint64_t offset, uint64_t len,
    struct bkp_error *err)
{
	unsigned left = bkp_store_reads(reader->repository->store);
	struct bkp_error problem = BKP_ERROR_INIT;

	window->ahead = choose_ahead(reader, window, pack, offset);
	if (fill_window_ahead(reader, window, pack, offset, len, window->ahead,
		&problem) == 0)
		return 0;
	for (; is_damage(&problem) && left > 0; left--)
		if (fill_window_ahead(
			reader, window, pack, offset, len, 0, NULL) == 0)
			return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* The zstd frame of a chunk; borrowed until the next call. */
static const unsigned char *
fetch_frame(struct bkp_chunk_reader *reader,
    const struct fmt_index_place *place, struct bkp_error *err)
{
	uint64_t offset = place->chunk.offset, len = place->chunk.stored_len;
	struct window *window = &reader->windows[place->chunk.has_base];
	const struct pack *pack = find_pack(reader, &place->pack, err);

	if (pack == NULL)
		return NULL;
	if (offset + len > pack->plain_size) {
		(void)bkp_fail(
		    err, BKP_CORRUPT, "the index places it beyond its pack");
		return NULL;
	}
	if (!is_in_window(window, pack, offset, len) &&
	    fill_window(reader, window, pack, offset, len, err) < 0)
		return NULL;
	return window->bytes.data + (offset - window->offset);
}

/* ---- chunks ---- */

static int
check_id(struct bkp_chunk_reader *reader, const struct fmt_chunk_ref *ref,
    const void *data, struct bkp_error *err)
{
	unsigned char id[FMT_ID_SIZE];

	if (bkp_chunk_hasher_id(
		&reader->hasher, reader->kind, data, ref->len, id, err) < 0)
		return -1;
	if (memcmp(id, ref->id, sizeof(id)) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "its content is not the one that was stored");
	return 0;
}

/* Decompresses behind out's content, which stays as long as it was. */
static int
decompress(struct bkp_chunk_reader *reader, const unsigned char *frame,
    size_t frame_len, uint32_t len, struct fmt_buf *out, struct bkp_error *err)
{
	size_t n;

	if (ZSTD_getFrameContentSize(frame, frame_len) != len)
		return bkp_fail(
		    err, BKP_CORRUPT, "its frame has another length");
	if (fmt_buf_reserve(out, len > 0 ? len : 1) != FMT_OK)
		return bkp_fail_nomem(err, "reading a chunk");
	n = ZSTD_decompressDCtx(
	    reader->zstd, out->data + out->len, len, frame, frame_len);
	if (ZSTD_isError(n))
		return bkp_fail(err, BKP_CORRUPT, "decompressing: %s",
		    ZSTD_getErrorName(n));
	if (n != len)
		return bkp_fail(
		    err, BKP_CORRUPT, "its frame has another length");
	return 0;
}

static int
check_place(const struct bkp_chunk_reader *reader,
    const struct fmt_chunk_ref *ref, const struct fmt_index_place *place,
    struct bkp_error *err)
{
	if (place->pack.kind != reader->kind)
		return bkp_fail(
		    err, BKP_CORRUPT, "it lies in a pack of the wrong kind");
	if (place->chunk.raw_len != ref->len)
		return bkp_fail(err, BKP_CORRUPT,
		    "the index says it has %u bytes, not %u",
		    (unsigned)place->chunk.raw_len, (unsigned)ref->len);
	return 0;
}

/* ---- differences ---- */

/* Reads one copy of a base, which is stored whole. Its id is not looked at: a
 * wrong one makes a wrong chunk, and that is seen by the chunk's. */
static int
read_base(struct bkp_chunk_reader *reader, const struct fmt_delta_head *head,
    const struct fmt_index_place *place, struct bkp_error *err)
{
	struct fmt_chunk_ref ref = {.len = head->base_len};
	const unsigned char *frame;

	reuse(&reader->base);
	if (check_place(reader, &ref, place, err) < 0 ||
	    (frame = fetch_frame(reader, place, err)) == NULL ||
	    decompress(reader, frame, place->chunk.stored_len, ref.len,
		&reader->base, err) < 0)
		return -1;
	reader->base.len = ref.len;
	return 0;
}

/* Applies the difference to the base, behind out's content. */
static int
apply(struct bkp_chunk_reader *reader, const struct fmt_chunk_ref *ref,
    struct fmt_buf *out, struct bkp_error *err)
{
	size_t before = out->len;
	enum fmt_status status = fmt_delta_apply(reader->delta.data,
	    reader->delta.len, reader->base.data, reader->base.len, out);

	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "reading a chunk");
	if (status != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "its difference does not fit its base: %s",
		    fmt_status_text(status));
	out->len = before;
	return check_id(reader, ref, out->data + before, err);
}

static int
fail_in_base(const struct fmt_delta_head *head,
    const struct fmt_index_place *place, struct bkp_error *err)
{
	char pack[HEX_NAME], base[HEX_NAME];

	fmt_hex(place->pack.name, 32, pack);
	fmt_hex(head->base, FMT_ID_SIZE, base);
	return bkp_fail_in(err, "its base %s in pack %s", base, pack);
}

/* Tries every copy of the base. */
static int
apply_to_base(struct bkp_chunk_reader *reader, const struct fmt_chunk_ref *ref,
    const struct fmt_delta_head *head, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct bkp_repository *repository = reader->repository;
	struct bkp_error problem = BKP_ERROR_INIT; /* the first one is told */
	struct fmt_index_place place;

	if (reader->base.len > 0 &&
	    memcmp(reader->base_id, head->base, FMT_ID_SIZE) == 0 &&
	    apply(reader, ref, out, NULL) == 0)
		return 0;
	if (bkp_repository_find_chunk(repository, head->base, &place, err) < 0)
		return bkp_fail_in(err, "its base");
	for (size_t n = 0;
	     bkp_index_set_find_copy(&repository->index, head->base, n, &place);
	     n++) {
		struct bkp_error *told = n == 0 ? &problem : NULL;
		int rc = read_base(reader, head, &place, told);

		if (rc == 0 && apply(reader, ref, out, told) == 0) {
			memcpy(reader->base_id, head->base, FMT_ID_SIZE);
			return 0;
		}
		fmt_buf_clear(&reader->base);
		if (told != NULL)
			(void)fail_in_base(head, &place, told);
	}
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
read_difference(struct bkp_chunk_reader *reader,
    const struct fmt_chunk_ref *ref, const unsigned char *frame,
    size_t frame_len, uint32_t len, struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_delta_head head;
	enum fmt_status status;

	reuse(&reader->delta);
	if (decompress(reader, frame, frame_len, len, &reader->delta, err) < 0)
		return -1;
	reader->delta.len = len;
	status = fmt_delta_head(reader->delta.data, len, &head);
	if (status == FMT_UNSUPPORTED)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "it is a difference of a later version; use a later "
		    "libbackup");
	if (status != FMT_OK || head.len != ref->len)
		return bkp_fail(
		    err, BKP_CORRUPT, "its frame has another length");
	return apply_to_base(reader, ref, &head, out, err);
}

static int
read_chunk(struct bkp_chunk_reader *reader, const struct fmt_chunk_ref *ref,
    const struct fmt_index_place *place, struct fmt_buf *out,
    struct bkp_error *err)
{
	size_t frame_len = place->chunk.stored_len;
	const unsigned char *frame;
	unsigned long long len;
	int rc;

	if (check_place(reader, ref, place, err) < 0 ||
	    (frame = fetch_frame(reader, place, err)) == NULL)
		return -1;
	/* A difference is shorter than its chunk; an error is above all. */
	len = ZSTD_getFrameContentSize(frame, frame_len);
	if (len < ref->len && len <= FMT_DELTA_MAX)
		rc = read_difference(
		    reader, ref, frame, frame_len, (uint32_t)len, out, err);
	else if ((rc = decompress(
		      reader, frame, frame_len, ref->len, out, err)) == 0)
		rc = check_id(reader, ref, out->data + out->len, err);
	if (rc == 0)
		out->len += ref->len;
	return rc;
}

/* The chunk is read first, so that what is copied elsewhere is proven. */
const unsigned char *
bkp_chunk_reader_frame(struct bkp_chunk_reader *reader,
    const struct fmt_index_place *place, struct bkp_error *err)
{
	struct fmt_chunk_ref ref = {.len = place->chunk.raw_len};
	const unsigned char *frame = NULL;
	char pack[HEX_NAME], chunk[HEX_NAME];

	memcpy(ref.id, place->chunk.id, sizeof(ref.id));
	reuse(&reader->plain);
	if (read_chunk(reader, &ref, place, &reader->plain, err) == 0)
		frame = fetch_frame(reader, place, err);
	if (frame == NULL) {
		fmt_hex(place->pack.name, 32, pack);
		fmt_hex(ref.id, FMT_ID_SIZE, chunk);
		(void)bkp_fail_in(err, "pack %s: chunk %s", pack, chunk);
	}
	return frame;
}

/* A header that none of our keys opens any more has been changed, and a disk
 * that cannot read a place will not read it tomorrow. What a store refuses has
 * a reason of its own in `sys`. */
static void
judge_loss(struct bkp_error *problem)
{
	if ((problem->code == BKP_AUTH && problem->sys == 0) ||
	    (problem->code == BKP_IO && problem->sys == EIO)) {
		problem->code = BKP_CORRUPT;
		problem->sys = 0;
	}
}

int
bkp_chunk_reader_get(struct bkp_chunk_reader *reader,
    const struct fmt_chunk_ref *ref, struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_index_place place, other;
	char pack[HEX_NAME], chunk[HEX_NAME];

	if (reader->archive != NULL)
		return bkp_archive_cursor_get(reader->archive, ref, out, err);
	if (reader->kind == FMT_PACK_DATA && !reader->repository->keys.has_data)
		return bkp_fail(err, BKP_AUTH,
		    "a host's key file opens metadata only; to read content, "
		    "give an identity file or the passphrase");
	if (bkp_repository_find_chunk(
		reader->repository, ref->id, &place, &problem) < 0) {
		judge_loss(&problem);
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (read_chunk(reader, ref, &place, out, &problem) == 0)
		return 0;
	/* What had been lost with a pack may have been stored again. */
	for (size_t n = 1; bkp_index_set_find_copy(
		 &reader->repository->index, ref->id, n, &other);
	     n++)
		if (read_chunk(reader, ref, &other, out, NULL) == 0)
			return 0;
	judge_loss(&problem);
	if (err != NULL)
		*err = problem;
	fmt_hex(place.pack.name, 32, pack);
	fmt_hex(ref->id, FMT_ID_SIZE, chunk);
	return bkp_fail_in(err, "pack %s: chunk %s", pack, chunk);
}

/* ---- entries ---- */

/* Hands out an entry's bytes chunk by chunk, hashing and counting them. */
static int
stream_chunks(struct bkp_chunk_reader *reader, const struct fmt_entry *entry,
    EVP_MD_CTX *digest, bkp_bytes_fn *fn, void *arg, uint64_t *size,
    struct bkp_error *err)
{
	struct fmt_buf *plain = &reader->plain;

	for (size_t i = 0; i < entry->chunk_count; i++) {
		plain->len = 0;
		if (bkp_chunk_reader_get(
			reader, &entry->chunks[i], plain, err) < 0)
			return -1;
		if (entry->has_sha256 &&
		    EVP_DigestUpdate(digest, plain->data, plain->len) != 1)
			return bkp_fail(err, BKP_IO, "hashing failed");
		*size += plain->len;
		if (fn(arg, plain->data, plain->len, err) < 0)
			return -1;
	}
	return 0;
}

static int
check_entry(const struct fmt_entry *entry, EVP_MD_CTX *digest, uint64_t size,
    struct bkp_error *err)
{
	unsigned char actual[32];

	if (size != entry->size)
		return bkp_fail(err, BKP_CORRUPT,
		    "it has %llu bytes, and %llu were recorded",
		    (unsigned long long)size, (unsigned long long)entry->size);
	if (!entry->has_sha256)
		return 0;
	if (EVP_DigestFinal_ex(digest, actual, NULL) != 1)
		return bkp_fail(err, BKP_IO, "hashing failed");
	if (memcmp(actual, entry->sha256, sizeof(actual)) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "its SHA-256 is not the one that was recorded");
	return 0;
}

static int
fail_in_entry(const struct fmt_entry *entry, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	const char *path = NULL;

	if (fmt_path_escape(entry->path, &text) == FMT_OK)
		path = fmt_buf_text(&text);
	(void)bkp_fail_in(err, "%s", path != NULL ? path : "an entry");
	fmt_buf_free(&text);
	return -1;
}

int
bkp_chunk_reader_entry(struct bkp_chunk_reader *reader,
    const struct fmt_entry *entry, bkp_bytes_fn *fn, void *arg,
    struct bkp_error *err)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	uint64_t size = 0;
	int rc;

	if (digest == NULL ||
	    EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
		rc = bkp_fail_nomem(err, "hashing");
	else if (!entry->has_content)
		rc = bkp_fail(
		    err, BKP_INVALID, "a %s has no content", entry->kind);
	else
		rc = stream_chunks(reader, entry, digest, fn, arg, &size, err);
	if (rc == 0)
		rc = check_entry(entry, digest, size, err);
	EVP_MD_CTX_free(digest);
	return rc < 0 ? fail_in_entry(entry, err) : 0;
}
