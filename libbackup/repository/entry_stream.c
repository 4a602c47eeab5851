/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries out of the metadata chunks of a list. One chunk is held at a time.
 * Every line of a list names its path, so the chunk where a prefix begins is
 * found by binary search over the first lines.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/joined.h"
#include "libbackup/repository/repository_own.h"

struct bkp_entry_stream {
	struct bkp_chunk_reader *chunks;  /* owned */
	struct fmt_entry_reader *entries; /* owned */
	const struct fmt_chunk_ref *list;
	size_t list_count, at; /* at: the next chunk to feed */
	char *prefix;          /* owned */
	size_t prefix_len;
	struct fmt_buf plain; /* secret */
	bool is_amid;         /* the next line may go on with an entry that
				 began before the first chunk fed */
	bool has_finished;    /* all chunks are fed */
	bool has_ended;       /* the last wanted entry was given */
	struct bkp_repository *repository;
	struct bkp_error *forgiven; /* borrowed; NULL: damage is an error */
	bool forgives_all;          /* and not only damage */
	bkp_lost_list_fn *lost;     /* NULL: damage ends the list */
	void *lost_arg;
	char *behind; /* owned: the last path, where `lost` is told it */
};

static int
read_chunk(struct bkp_entry_stream *stream, size_t n, struct bkp_error *err)
{
	fmt_buf_clear(&stream->plain);
	if (bkp_chunk_reader_get(
		stream->chunks, &stream->list[n], &stream->plain, err) < 0)
		return bkp_fail_in(err, "reading an entry list");
	return 0;
}

static int
bad_list(const struct bkp_entry_stream *stream, enum fmt_status status,
    size_t chunk, struct bkp_error *err)
{
	return bkp_fail_format(err, status,
	    "reading an entry list: chunk %zu of %zu", chunk,
	    stream->list_count);
}

/* ---- where to begin ---- */

/* The length of the first line from `at`, with its newline. */
static size_t
line_length(const struct fmt_buf *plain, size_t at)
{
	const unsigned char *start = plain->data + at;
	const unsigned char *newline = memchr(start, '\n', plain->len - at);

	return newline != NULL ? (size_t)(newline - start) + 1
			       : plain->len - at;
}

static json_t *
parse_line(const struct fmt_buf *plain, size_t at)
{
	json_t *line = NULL;

	if (plain->len == at || fmt_json_parse((const char *)plain->data + at,
				    line_length(plain, at), &line) != FMT_OK)
		return NULL;
	return line;
}

/* Compares the path of a chunk's first line with the prefix. */
static int
compare_first(struct bkp_entry_stream *stream, size_t n, int *order,
    struct bkp_error *err)
{
	struct fmt_buf path = FMT_BUF_INIT;
	enum fmt_status status = FMT_MALFORMED;
	const char *escaped;
	json_t *line;

	if (read_chunk(stream, n, err) < 0)
		return -1;
	line = parse_line(&stream->plain, 0);
	escaped = json_string_value(json_object_get(line, "path"));
	if (escaped != NULL)
		status = fmt_path_unescape(escaped, strlen(escaped), &path);
	json_decref(line);
	if (status == FMT_OK && fmt_buf_text(&path) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		*order =
		    fmt_entry_compare((const char *)path.data, stream->prefix);
	fmt_buf_free(&path);
	return status == FMT_OK ? 0 : bad_list(stream, status, n + 1, err);
}

static bool
may_pass_over(
    const struct bkp_entry_stream *stream, const struct bkp_error *problem)
{
	return stream->lost != NULL && problem->code == BKP_CORRUPT;
}

/* Sets `at` to the last chunk whose first line comes before the prefix: no
 * entry that is wanted begins earlier. Where one that is asked is lost, to one
 * before it. */
static int
find_start(struct bkp_entry_stream *stream, struct bkp_error *err)
{
	size_t low = 0, high = stream->list_count;

	if (stream->prefix_len == 0)
		return 0;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		struct bkp_error problem = BKP_ERROR_INIT;
		int order = 0;

		if (compare_first(stream, middle, &order, &problem) < 0) {
			if (may_pass_over(stream, &problem))
				break;
			if (err != NULL)
				*err = problem;
			return -1;
		}
		if (order < 0)
			low = middle;
		else
			high = middle;
	}
	stream->at = low;
	stream->is_amid = low > 0;
	return 0;
}

/* How many bytes of the chunk at hand belong to an entry that began before
 * it: the lines up to the first that has a kind. */
static size_t
skip_rest(struct bkp_entry_stream *stream)
{
	size_t at = 0;

	while (at < stream->plain.len) {
		json_t *line = parse_line(&stream->plain, at);
		bool is_first = json_object_get(line, "kind") != NULL;

		/* What is no JSON is left to the reader to refuse. */
		if (line == NULL || is_first) {
			json_decref(line);
			stream->is_amid = false;
			return at;
		}
		json_decref(line);
		at += line_length(&stream->plain, at);
	}
	return at;
}

/* ---- opening and closing ---- */

int
bkp_entry_stream_open(struct bkp_repository *repository,
    const struct fmt_chunk_ref *list, size_t list_count, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	return bkp_entry_stream_open_damaged(
	    repository, list, list_count, prefix, NULL, NULL, out, err);
}

int
bkp_entry_stream_open_damaged(struct bkp_repository *repository,
    const struct fmt_chunk_ref *list, size_t list_count, const char *prefix,
    bkp_lost_list_fn *lost, void *arg, struct bkp_entry_stream **out,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = bkp_alloc(sizeof(*stream), err);
	enum fmt_status status;

	if (stream == NULL)
		return -1;
	stream->repository = repository;
	stream->lost = lost;
	stream->lost_arg = arg;
	stream->list = list;
	stream->list_count = list_count;
	stream->plain.is_secret = true;
	stream->prefix = bkp_strdup(prefix != NULL ? prefix : "", err);
	if (stream->prefix == NULL)
		goto fail;
	stream->prefix_len = strlen(stream->prefix);
	status = fmt_entry_reader_new(&stream->entries);
	if (status != FMT_OK) {
		(void)bkp_fail_format(err, status, "reading an entry list");
		goto fail;
	}
	if (bkp_chunk_reader_new_of(
		repository, FMT_PACK_METADATA, &stream->chunks, err) < 0 ||
	    find_start(stream, err) < 0)
		goto fail;
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
	free(stream->behind);
	free(stream);
}

/* ---- reading ---- */

/* The next chunk is lost: begins again behind it. All that was fed before has
 * been read, but for an entry that goes on there. */
static int
pass_over(struct bkp_entry_stream *stream, const struct bkp_error *problem,
    struct bkp_error *err)
{
	struct fmt_entry_reader *entries = NULL;
	enum fmt_status status;

	if (stream->lost(stream->lost_arg, stream->at,
		stream->behind != NULL ? stream->behind : "",
		fmt_entry_reader_open_path(stream->entries), problem, err) < 0)
		return -1;
	if ((status = fmt_entry_reader_new(&entries)) != FMT_OK)
		return bad_list(stream, status, stream->at, err);
	fmt_entry_reader_free(stream->entries);
	stream->entries = entries;
	stream->is_amid = true;
	stream->at++;
	return 0;
}

/* Feeds the next chunk of the list, or says that there is none. */
static int
feed(struct bkp_entry_stream *stream, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	enum fmt_status status;
	size_t skipped = 0;

	if (stream->at == stream->list_count) {
		stream->has_finished = true;
		status = fmt_entry_reader_finish(stream->entries);
	} else {
		if (read_chunk(stream, stream->at, &problem) < 0) {
			if (may_pass_over(stream, &problem))
				return pass_over(stream, &problem, err);
			if (err != NULL)
				*err = problem;
			return -1;
		}
		if (stream->is_amid)
			skipped = skip_rest(stream);
		stream->at++;
		status = fmt_entry_reader_feed(stream->entries,
		    stream->plain.data + skipped, stream->plain.len - skipped);
	}
	return status == FMT_OK ? 0 : bad_list(stream, status, stream->at, err);
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
			return bad_list(stream, status, stream->at, err);
		if (have)
			return 1;
		if (stream->has_finished)
			return 0;
		if (feed(stream, err) < 0)
			return -1;
	}
}

void
bkp_entry_stream_forgive(
    struct bkp_entry_stream *stream, struct bkp_error *damage)
{
	stream->forgiven = damage;
}

void
bkp_entry_stream_forgive_all(struct bkp_entry_stream *stream)
{
	stream->forgives_all = true;
}

/* What lies in the packs of this chunk is not to be built upon. */
static int
lose_packs(struct bkp_entry_stream *stream, size_t n, struct bkp_error *err)
{
	struct bkp_index_set *index = &stream->repository->index;
	struct fmt_index_place place;

	while (n < stream->list_count &&
	       bkp_index_set_find(index, stream->list[n].id, &place))
		if (bkp_index_set_lose(index, place.pack.name, err) < 0)
			return -1;
	return 0;
}

/* 0 where the problem is forgiven: then the stream is at its end. */
static int
forgive(struct bkp_entry_stream *stream, const struct bkp_error *problem,
    struct bkp_error *err)
{
	bool is_damage =
	    problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	    problem->code == BKP_NOTFOUND || problem->code == BKP_UNSUPPORTED;

	bool is_common =
	    problem->code == BKP_NOMEM || problem->code == BKP_CANCELLED;

	if (stream->forgiven == NULL ||
	    (!is_damage && (!stream->forgives_all || is_common))) {
		if (err != NULL)
			*err = *problem;
		return -1;
	}
	*stream->forgiven = *problem;
	stream->has_ended = true;
	return is_damage ? lose_packs(stream, stream->at, err) : 0;
}

/* What `lost` is told. */
static int
note_path(struct bkp_entry_stream *stream, const struct fmt_entry *entry,
    struct bkp_error *err)
{
	char *copy;

	if (stream->lost == NULL)
		return 0;
	if ((copy = bkp_strdup(entry->path, err)) == NULL)
		return -1;
	free(stream->behind);
	stream->behind = copy;
	return 0;
}

int
bkp_entry_stream_next(struct bkp_entry_stream *stream, struct fmt_entry *entry,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_entry found = FMT_ENTRY_INIT;
	int rc = 0;

	while (!stream->has_ended &&
	       (rc = next_entry(stream, &found, &problem)) == 1) {
		if (note_path(stream, &found, err) < 0) {
			fmt_entry_free(&found);
			return -1;
		}
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
	return rc < 0 ? forgive(stream, &problem, err) : 0;
}
