/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/archive_lines.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

#define CHUNK FMT_ARCHIVE_FRAME

/* One text, as it grows. */
struct text {
	struct bkp_spool *spool; /* owned */
	struct fmt_buf pending;  /* secret: not yet a chunk */
	uint32_t *lengths;       /* owned: of the chunks */
	size_t count, cap;
};

struct bkp_archive_lines {
	struct text entries, sums;
	size_t *counts; /* owned: chunks of entries of each source */
	size_t sources, source;
};

static void
free_text(struct text *text)
{
	bkp_spool_free(text->spool);
	fmt_buf_free(&text->pending);
	free(text->lengths);
}

int
bkp_archive_lines_new(
    size_t sources, struct bkp_archive_lines **out, struct bkp_error *err)
{
	struct bkp_archive_lines *lines = bkp_alloc(sizeof(*lines), err);

	if (lines == NULL)
		return -1;
	lines->entries.pending.is_secret = true;
	lines->sums.pending.is_secret = true;
	lines->sources = sources;
	lines->counts = bkp_alloc_array(sources, sizeof(*lines->counts), err);
	if (lines->counts == NULL ||
	    bkp_spool_new(&lines->entries.spool, err) < 0 ||
	    bkp_spool_new(&lines->sums.spool, err) < 0) {
		bkp_archive_lines_free(lines);
		return -1;
	}
	*out = lines;
	return 0;
}

void
bkp_archive_lines_free(struct bkp_archive_lines *lines)
{
	if (lines == NULL)
		return;
	free_text(&lines->entries);
	free_text(&lines->sums);
	free(lines->counts);
	free(lines);
}

/* ---- cutting ---- */

/* The first `len` pending bytes become a chunk. */
static int
take_chunk(struct text *text, size_t len, struct bkp_error *err)
{
	struct fmt_buf *pending = &text->pending;

	if (len > UINT32_MAX)
		return bkp_fail(err, BKP_UNSUPPORTED, "a line is too long");
	if (bkp_grow(&text->lengths, text->count, &text->cap,
		sizeof(*text->lengths), err) < 0 ||
	    bkp_spool_write(text->spool, pending->data, len, err) < 0)
		return -1;
	text->lengths[text->count++] = (uint32_t)len;
	memmove(pending->data, pending->data + len, pending->len - len);
	pending->len -= len;
	return 0;
}

/* Chunks end at the ends of lines. */
static int
take_chunks(struct text *text, struct bkp_error *err)
{
	const struct fmt_buf *pending = &text->pending;

	while (pending->len >= CHUNK) {
		const unsigned char *newline = memchr(
		    pending->data + CHUNK - 1, '\n', pending->len - CHUNK + 1);

		if (newline == NULL)
			return 0;
		if (take_chunk(
			text, (size_t)(newline - pending->data) + 1, err) < 0)
			return -1;
	}
	return 0;
}

static int
take_rest(struct text *text, struct bkp_error *err)
{
	return text->pending.len > 0 ? take_chunk(text, text->pending.len, err)
				     : 0;
}

/* ---- lines ---- */

int
bkp_archive_lines_entry(struct bkp_archive_lines *lines,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_entry_encode(entry, &lines->entries.pending);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing an entry");
	return take_chunks(&lines->entries, err);
}

int
bkp_archive_lines_sum(struct bkp_archive_lines *lines,
    const unsigned char sha256[32], const char *name, struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_archive_sum(sha256, name, &lines->sums.pending);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing a digest");
	return take_chunks(&lines->sums, err);
}

int
bkp_archive_lines_end_source(
    struct bkp_archive_lines *lines, struct bkp_error *err)
{
	size_t before = 0;

	if (take_rest(&lines->entries, err) < 0)
		return -1;
	for (size_t i = 0; i < lines->source; i++)
		before += lines->counts[i];
	lines->counts[lines->source++] = lines->entries.count - before;
	return 0;
}

const size_t *
bkp_archive_lines_counts(const struct bkp_archive_lines *lines)
{
	return lines->counts;
}

static struct bkp_spool *
read_back(struct text *text, const uint32_t **lengths, size_t *count,
    struct bkp_error *err)
{
	if (take_rest(text, err) < 0 || bkp_spool_rewind(text->spool, err) < 0)
		return NULL;
	*lengths = text->lengths;
	*count = text->count;
	return text->spool;
}

struct bkp_spool *
bkp_archive_lines_entries(struct bkp_archive_lines *lines,
    const uint32_t **lengths, size_t *count, struct bkp_error *err)
{
	return read_back(&lines->entries, lengths, count, err);
}

struct bkp_spool *
bkp_archive_lines_sums(struct bkp_archive_lines *lines,
    const uint32_t **lengths, size_t *count, struct bkp_error *err)
{
	return read_back(&lines->sums, lengths, count, err);
}
