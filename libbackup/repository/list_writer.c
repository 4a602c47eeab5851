/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an entry list: lines of JSON, cut into metadata chunks at lines that
 * their content chooses, so that a list that changed in one place shares its
 * other chunks with the one before.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/session_own.h"

#define CHUNK_MIN (16u * 1024)
#define CHUNK_MAX (1024u * 1024) /* one longer line is one longer chunk */

struct bkp_list_writer {
	struct bkp_session *session;
	struct fmt_buf lines; /* secret: of the entry that is added */
	struct fmt_buf chunk; /* secret: gathered so far */
	struct fmt_buf last;  /* path of the entry before */
	bool has_last;
	struct fmt_chunk_ref *refs; /* owned */
	size_t count, cap;
};

int
bkp_list_writer_new(struct bkp_session *session, struct bkp_list_writer **out,
    struct bkp_error *err)
{
	struct bkp_list_writer *writer;

	if (session->lists == NULL &&
	    bkp_chunk_writer_new_of(
		session, FMT_PACK_METADATA, &session->lists, err) < 0)
		return -1;
	if ((writer = bkp_alloc(sizeof(*writer), err)) == NULL)
		return -1;
	writer->session = session;
	writer->lines.is_secret = writer->chunk.is_secret = true;
	*out = writer;
	return 0;
}

void
bkp_list_writer_free(struct bkp_list_writer *writer)
{
	if (writer == NULL)
		return;
	fmt_buf_free(&writer->lines);
	fmt_buf_free(&writer->chunk);
	fmt_buf_free(&writer->last);
	free(writer->refs);
	free(writer);
}

static int
cut(struct bkp_list_writer *writer, struct bkp_error *err)
{
	if (writer->chunk.len == 0)
		return 0;
	if (bkp_grow(&writer->refs, writer->count, &writer->cap,
		sizeof(*writer->refs), err) < 0 ||
	    bkp_chunk_writer_put(writer->session->lists, writer->chunk.data,
		writer->chunk.len, &writer->refs[writer->count], err) < 0)
		return -1;
	writer->count++;
	writer->chunk.len = 0;
	return 0;
}

static int
add_line(struct bkp_list_writer *writer, const unsigned char *line, size_t len,
    struct bkp_error *err)
{
	if (writer->chunk.len + len > CHUNK_MAX && cut(writer, err) < 0)
		return -1;
	if (fmt_buf_append(&writer->chunk, line, len) != FMT_OK)
		return bkp_fail_nomem(err, "writing an entry list");
	if (writer->chunk.len >= CHUNK_MIN && fmt_entry_is_boundary(line, len))
		return cut(writer, err);
	return 0;
}

static int
add_lines(struct bkp_list_writer *writer, struct bkp_error *err)
{
	const unsigned char *at = writer->lines.data;
	const unsigned char *end = at + writer->lines.len;

	while (at < end) {
		const unsigned char *newline =
		    memchr(at, '\n', (size_t)(end - at));
		size_t len = newline != NULL ? (size_t)(newline - at) + 1
					     : (size_t)(end - at);

		if (add_line(writer, at, len, err) < 0)
			return -1;
		at += len;
	}
	return 0;
}

static int
check_order(
    struct bkp_list_writer *writer, const char *path, struct bkp_error *err)
{
	if (writer->has_last &&
	    fmt_entry_compare((const char *)writer->last.data, path) >= 0)
		return bkp_fail(err, BKP_INVALID,
		    "the entry '%.200s' comes after '%.200s', out of order",
		    path, (const char *)writer->last.data);
	writer->last.len = 0;
	if (fmt_buf_append(&writer->last, path, strlen(path) + 1) != FMT_OK)
		return bkp_fail_nomem(err, "writing an entry list");
	writer->has_last = true;
	return 0;
}

int
bkp_list_writer_add(struct bkp_list_writer *writer,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	enum fmt_status status;

	if (check_order(writer, entry->path, err) < 0)
		return -1;
	writer->lines.len = 0;
	status = fmt_entry_encode(entry, &writer->lines);
	if (status != FMT_OK)
		return bkp_fail_format(
		    err, status, "writing the entry '%.200s'", entry->path);
	return add_lines(writer, err);
}

int
bkp_list_writer_finish(struct bkp_list_writer *writer,
    struct fmt_chunk_ref **refs, size_t *count, struct bkp_error *err)
{
	if (cut(writer, err) < 0)
		return -1;
	*refs = writer->refs;
	*count = writer->count;
	writer->refs = NULL;
	writer->count = writer->cap = 0;
	return 0;
}
