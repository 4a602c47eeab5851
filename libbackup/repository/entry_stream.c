/* SPDX-License-Identifier: Apache-2.0 */
/* Entries out of the metadata chunks of a list. One chunk is held at a time. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

struct bkp_entry_stream {
	struct bkp_chunk_reader *chunks;  /* owned */
	struct fmt_entry_reader *entries; /* owned */
	const struct fmt_chunk_ref *list;
	size_t list_count, at; /* at: the next chunk to feed */
	char *prefix;          /* owned */
	size_t prefix_len;
	struct fmt_buf plain; /* secret */
	bool has_finished;    /* all chunks are fed */
	bool has_ended;       /* the last wanted entry was given */
};

int
bkp_entry_stream_open(struct bkp_repository *repository,
    const struct fmt_chunk_ref *list, size_t list_count, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	struct bkp_entry_stream *stream = bkp_alloc(sizeof(*stream), err);
	enum fmt_status status;

	if (stream == NULL)
		return -1;
	stream->list = list;
	stream->list_count = list_count;
	stream->plain.is_secret = true;
	stream->prefix = bkp_strdup(prefix != NULL ? prefix : "", err);
	if (stream->prefix == NULL)
		goto fail;
	stream->prefix_len = strlen(stream->prefix);
	if (bkp_chunk_reader_new_of(
		repository, FMT_PACK_METADATA, &stream->chunks, err) < 0)
		goto fail;
	status = fmt_entry_reader_new(&stream->entries);
	if (status != FMT_OK) {
		(void)bkp_fail_format(err, status, "reading an entry list");
		goto fail;
	}
	*out = stream;
	return 0;
fail:
	bkp_entry_stream_close(stream);
	return -1;
}

void
bkp_entry_stream_close(struct bkp_entry_stream *stream)
{
	if (stream == NULL)
		return;
	fmt_entry_reader_free(stream->entries);
	bkp_chunk_reader_free(stream->chunks);
	fmt_buf_free(&stream->plain);
	free(stream->prefix);
	free(stream);
}

/* Feeds the next chunk of the list, or says that there is none. */
static int
feed(struct bkp_entry_stream *stream, struct bkp_error *err)
{
	enum fmt_status status;

	if (stream->at == stream->list_count) {
		stream->has_finished = true;
		status = fmt_entry_reader_finish(stream->entries);
	} else {
		fmt_buf_clear(&stream->plain);
		if (bkp_chunk_reader_get(stream->chunks,
			&stream->list[stream->at], &stream->plain, err) < 0)
			return bkp_fail_in(err, "reading an entry list");
		stream->at++;
		status = fmt_entry_reader_feed(
		    stream->entries, stream->plain.data, stream->plain.len);
	}
	if (status != FMT_OK)
		return bkp_fail_format(err, status,
		    "reading an entry list: chunk %zu of %zu", stream->at,
		    stream->list_count);
	return 0;
}

/* The next entry of the list, wanted or not. 1, 0 at the end, -1. */
static int
next_entry(struct bkp_entry_stream *stream, struct fmt_entry *entry,
    struct bkp_error *err)
{
	for (;;) {
		enum fmt_status status;
		bool have = false;

		status = fmt_entry_reader_next(stream->entries, entry, &have);
		if (status != FMT_OK)
			return bkp_fail_format(err, status,
			    "reading an entry list: chunk %zu of %zu",
			    stream->at, stream->list_count);
		if (have)
			return 1;
		if (stream->has_finished)
			return 0;
		if (feed(stream, err) < 0)
			return -1;
	}
}

int
bkp_entry_stream_next(struct bkp_entry_stream *stream, struct fmt_entry *entry,
    struct bkp_error *err)
{
	struct fmt_entry found = FMT_ENTRY_INIT;
	int rc = 0;

	while (
	    !stream->has_ended && (rc = next_entry(stream, &found, err)) == 1) {
		if (strncmp(found.path, stream->prefix, stream->prefix_len) ==
		    0) {
			*entry = found;
			return 1;
		}
		/* Beyond the prefix nothing can begin with it any more. */
		stream->has_ended =
		    fmt_entry_compare(found.path, stream->prefix) > 0;
		fmt_entry_free(&found);
	}
	return rc < 0 ? -1 : 0;
}
