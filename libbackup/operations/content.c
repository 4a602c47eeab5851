/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a worker writes bytes: cut by content into chunks, digested on the way.
 * Each worker has one of these, used by one thread at a time, so nothing here
 * is locked but the texts that a digesting sink keeps.
 */
#include "libbackup/operations/content.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/chunker.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/sink.h"

/* Cut points are looked for when this much is pending: a longest chunk and
 * enough beyond it that little has to be moved afterwards. */
#define PENDING (FMT_CHUNKER_MAX + FMT_CHUNKER_MAX / 2)

/* The longest text that is kept to be told line by line. */
#define TEXT_MAX ((size_t)64 << 20)

struct bkp_content {
	struct bkp_session *session;
	struct bkp_chunk_writer *writer; /* NULL: digest only */
	const struct bkp_comparison *comparisons;
	struct bkp_texts *texts;

	EVP_MD_CTX *sha256;
	struct fmt_entry *entry; /* borrowed from begin to end */
	struct fmt_buf pending;  /* bytes not yet cut; or the kept text */
	bool is_text_kept;
	uint64_t size;
};

struct bkp_contents {
	unsigned count;
	struct bkp_content *items;
};

int
bkp_contents_new(struct bkp_session *session, unsigned workers,
    struct bkp_contents **out, struct bkp_error *err)
{
	struct bkp_contents *contents = bkp_alloc(sizeof(*contents), err);

	if (contents == NULL)
		return -1;
	contents->items =
	    bkp_alloc_array(workers, sizeof(*contents->items), err);
	if (contents->items == NULL)
		goto fail;
	for (unsigned i = 0; i < workers; i++) {
		struct bkp_content *content = &contents->items[i];

		contents->count++;
		content->session = session;
		if ((content->sha256 = EVP_MD_CTX_new()) == NULL) {
			(void)bkp_fail_nomem(err, "preparing to digest");
			goto fail;
		}
		if (session != NULL &&
		    bkp_chunk_writer_new(session, &content->writer, err) < 0)
			goto fail;
	}
	*out = contents;
	return 0;
fail:
	bkp_contents_free(contents);
	return -1;
}

int
bkp_contents_flush(struct bkp_contents *contents, struct bkp_error *err)
{
	for (unsigned i = 0; i < contents->count; i++)
		if (contents->items[i].writer != NULL &&
		    bkp_chunk_writer_flush(contents->items[i].writer, err) < 0)
			return -1;
	return 0;
}

void
bkp_contents_free(struct bkp_contents *contents)
{
	if (contents == NULL)
		return;
	for (unsigned i = 0; i < contents->count; i++) {
		bkp_chunk_writer_free(contents->items[i].writer);
		EVP_MD_CTX_free(contents->items[i].sha256);
		fmt_buf_free(&contents->items[i].pending);
	}
	free(contents->items);
	free(contents);
}

struct bkp_content *
bkp_contents_item(struct bkp_contents *contents, unsigned worker)
{
	return worker < contents->count ? &contents->items[worker] : NULL;
}

void
bkp_contents_watch(struct bkp_contents *contents,
    const struct bkp_comparison *comparisons, struct bkp_texts *texts)
{
	for (unsigned i = 0; i < contents->count; i++) {
		contents->items[i].comparisons = comparisons;
		contents->items[i].texts = texts;
	}
}

const struct bkp_comparison *
bkp_comparison_of(const struct bkp_comparison *comparisons, const char *kind)
{
	if (comparisons == NULL)
		return NULL;
	for (; comparisons->entry_kind != NULL; comparisons++)
		if (strcmp(comparisons->entry_kind, kind) == 0)
			return comparisons;
	return NULL;
}

/* ---- one stream ---- */

static bool
is_text(const struct bkp_content *content, const struct fmt_entry *entry)
{
	const struct bkp_comparison *comparison;

	if (content->writer != NULL || content->texts == NULL)
		return false;
	comparison = bkp_comparison_of(content->comparisons, entry->kind);
	return comparison != NULL && comparison->is_text;
}

int
bkp_content_begin(
    struct bkp_content *content, struct fmt_entry *entry, struct bkp_error *err)
{
	if (EVP_DigestInit_ex2(content->sha256, EVP_sha256(), NULL) != 1)
		return bkp_fail(
		    err, BKP_IO, "%s: SHA-256 cannot be started", entry->path);
	fmt_buf_clear(&content->pending);
	content->entry = entry;
	content->size = 0;
	content->is_text_kept = is_text(content, entry);
	entry->has_content = entry->has_sha256 = false;
	entry->chunk_count = 0;
	return 0;
}

static int
store_chunk(struct bkp_content *content, const unsigned char *data, size_t len,
    struct bkp_error *err)
{
	struct fmt_chunk_ref ref = {{0}, 0};

	if (bkp_chunk_writer_put(content->writer, data, len, &ref, err) < 0)
		return bkp_fail_in(err, "%s", content->entry->path);
	if (fmt_entry_add_chunk(content->entry, &ref) != FMT_OK)
		return bkp_fail_nomem(err, "listing chunks");
	return 0;
}

/* Stores chunks off the front of what is pending while `at_least` bytes are
 * left, and moves the rest to the front. */
static int
cut_pending(struct bkp_content *content, size_t at_least, struct bkp_error *err)
{
	const struct fmt_chunker *chunker =
	    bkp_session_chunker(content->session);
	struct fmt_buf *pending = &content->pending;
	size_t done = 0;

	while (pending->len > done && pending->len - done >= at_least) {
		size_t left = pending->len - done;
		size_t cut =
		    fmt_chunker_cut(chunker, pending->data + done, left);

		if (cut == 0)
			cut = left;
		if (store_chunk(content, pending->data + done, cut, err) < 0)
			return -1;
		done += cut;
	}
	if (done > 0 && done < pending->len)
		memmove(
		    pending->data, pending->data + done, pending->len - done);
	pending->len -= done;
	return 0;
}

static int
take_pending(struct bkp_content *content, const void *data, size_t len,
    struct bkp_error *err)
{
	const unsigned char *bytes = data;

	while (len > 0) {
		size_t room = PENDING - content->pending.len;
		size_t part = len < room ? len : room;

		if (fmt_buf_append(&content->pending, bytes, part) != FMT_OK)
			return bkp_fail_nomem(err, "collecting a chunk");
		bytes += part;
		len -= part;
		if (content->pending.len == PENDING &&
		    cut_pending(content, FMT_CHUNKER_MAX, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_content_write(struct bkp_content *content, const void *data, size_t len,
    struct bkp_error *err)
{
	if (EVP_DigestUpdate(content->sha256, data, len) != 1)
		return bkp_fail(err, BKP_IO, "%s: SHA-256 cannot go on",
		    content->entry->path);
	content->size += len;
	if (content->writer != NULL)
		return take_pending(content, data, len, err);
	if (!content->is_text_kept)
		return 0;
	if (content->size > TEXT_MAX) {
		content->is_text_kept = false;
		fmt_buf_free(&content->pending);
		return 0;
	}
	if (fmt_buf_append(&content->pending, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "keeping a text to compare");
	return 0;
}

int
bkp_content_end(struct bkp_content *content, struct bkp_error *err)
{
	struct fmt_entry *entry = content->entry;

	if (content->writer != NULL && cut_pending(content, 1, err) < 0)
		return -1;
	if (EVP_DigestFinal_ex(content->sha256, entry->sha256, NULL) != 1)
		return bkp_fail(
		    err, BKP_IO, "%s: SHA-256 cannot be finished", entry->path);
	if (content->is_text_kept && bkp_texts_add(content->texts, entry->path,
					 &content->pending, err) < 0)
		return -1;
	entry->has_content = entry->has_sha256 = true;
	entry->size = content->size;
	content->entry = NULL;
	return 0;
}

void
bkp_content_abort(struct bkp_content *content)
{
	content->entry = NULL;
	fmt_buf_clear(&content->pending);
}

int
bkp_content_put(struct bkp_content *content, struct fmt_entry *entry,
    const void *data, size_t len, struct bkp_error *err)
{
	if (bkp_content_begin(content, entry, err) < 0)
		return -1;
	if (bkp_content_write(content, data, len, err) < 0 ||
	    bkp_content_end(content, err) < 0) {
		bkp_content_abort(content);
		return -1;
	}
	return 0;
}

int
bkp_content_rows(struct bkp_content *content, struct bkp_row_cache *rows,
    const struct bkp_row_range *range, const void *data, size_t len,
    struct fmt_chunk_ref *ref, struct fmt_rowhash *hash, struct bkp_error *err)
{
	enum fmt_status status;

	if (content->writer != NULL)
		return bkp_chunk_writer_put_rows(
		    content->writer, rows, range, data, len, ref, hash, err);
	status = fmt_rowhash_add_rows(hash, range->form, data, len);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing rows");
	return bkp_content_chunk(content, data, len, ref, err);
}

bool
bkp_content_reuse_rows(struct bkp_content *content, struct bkp_row_cache *rows,
    const struct bkp_row_range *range, const struct fmt_chunk_ref *ref)
{
	return content->writer != NULL &&
	       bkp_chunk_writer_reuse_rows(content->writer, rows, range, ref);
}

int
bkp_content_chunk(struct bkp_content *content, const void *data, size_t len,
    struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	if (content->writer != NULL)
		return bkp_chunk_writer_put(
		    content->writer, data, len, ref, err);
	memset(ref->id, 0, sizeof(ref->id));
	ref->len = (uint32_t)len;
	return 0;
}
