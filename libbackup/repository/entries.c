/* SPDX-License-Identifier: Apache-2.0 */
/* The public view of entries: all sources of a snapshot as one sequence. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

struct bkp_entries {
	struct bkp_repository *repository;
	struct fmt_snapshot snapshot;
	char *prefix;                    /* owned */
	size_t source;                   /* the next one to open */
	struct bkp_entry_stream *stream; /* of the one before it, or NULL */
	/* What the last entry given points into. */
	struct fmt_entry entry;
	char *attributes; /* owned */
	char sha256[65];
};

int
bkp_entries_open(struct bkp_repository *repository, const char *snapshot,
    const char *prefix, struct bkp_entries **out, struct bkp_error *err)
{
	struct bkp_entries *entries = bkp_alloc(sizeof(*entries), err);

	if (entries == NULL)
		return -1;
	entries->repository = repository;
	entries->prefix = bkp_strdup(prefix != NULL ? prefix : "", err);
	if (entries->prefix == NULL ||
	    bkp_repository_snapshot(
		repository, snapshot, &entries->snapshot, err) < 0) {
		bkp_entries_close(entries);
		return -1;
	}
	*out = entries;
	return 0;
}

static void
forget_entry(struct bkp_entries *entries)
{
	fmt_entry_free(&entries->entry);
	free(entries->attributes);
	entries->attributes = NULL;
}

void
bkp_entries_close(struct bkp_entries *entries)
{
	if (entries == NULL)
		return;
	forget_entry(entries);
	bkp_entry_stream_close(entries->stream);
	fmt_snapshot_free(&entries->snapshot);
	free(entries->prefix);
	free(entries);
}

/* True where one of the two begins with the other. */
static bool
is_related(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);

	return strncmp(a, b, a_len < b_len ? a_len : b_len) == 0;
}

/* Opens the next source that can hold wanted paths. 1, 0: none left, -1. */
static int
open_next_source(struct bkp_entries *entries, struct bkp_error *err)
{
	while (entries->source < entries->snapshot.source_count) {
		const struct fmt_snapshot_source *source =
		    &entries->snapshot.sources[entries->source++];

		if (!is_related(source->prefix, entries->prefix))
			continue;
		if (bkp_entry_stream_open(entries->repository, source->list,
			source->list_count, entries->prefix, &entries->stream,
			err) < 0)
			return -1;
		return 1;
	}
	return 0;
}

/* The next entry into entries->entry. 1, 0: the end, -1. */
static int
advance(struct bkp_entries *entries, struct bkp_error *err)
{
	int rc;

	forget_entry(entries);
	for (;;) {
		if (entries->stream == NULL &&
		    (rc = open_next_source(entries, err)) != 1)
			return rc;
		rc = bkp_entry_stream_next(
		    entries->stream, &entries->entry, err);
		if (rc != 0)
			return rc;
		bkp_entry_stream_close(entries->stream);
		entries->stream = NULL;
	}
}

static int
fill_entry(
    struct bkp_entries *entries, struct bkp_entry *out, struct bkp_error *err)
{
	const struct fmt_entry *entry = &entries->entry;

	if (entry->attrs != NULL)
		entries->attributes =
		    json_dumps(entry->attrs, JSON_COMPACT | JSON_SORT_KEYS);
	else
		entries->attributes = bkp_strdup("{}", err);
	if (entries->attributes == NULL)
		return bkp_fail_nomem(err, "reading an entry");
	if (entry->has_sha256)
		fmt_hex(entry->sha256, 32, entries->sha256);
	*out = (struct bkp_entry){
	    .path = entry->path,
	    .kind = entry->kind,
	    .has_content = entry->has_content,
	    .size = entry->has_content ? entry->size : 0,
	    .sha256 = entry->has_content && entry->has_sha256 ? entries->sha256
							      : NULL,
	    .attributes = entries->attributes,
	};
	return 0;
}

int
bkp_entries_next(
    struct bkp_entries *entries, struct bkp_entry *entry, struct bkp_error *err)
{
	int rc = advance(entries, err);

	if (rc == 1 && fill_entry(entries, entry, err) < 0)
		return -1;
	return rc;
}

/* ---- the bytes of one entry ---- */

/* Finds the entry at exactly `path`: the first that begins with it, for a
 * path sorts before all that are longer. */
static int
find_entry(struct bkp_entries *entries, const char *path, struct bkp_error *err)
{
	int rc;

	while ((rc = advance(entries, err)) == 1) {
		if (strcmp(entries->entry.path, path) == 0)
			return 0;
	}
	if (rc == 0)
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "there is no entry '%s' in this snapshot; backup-list "
		    "shows the entries",
		    path);
	return -1;
}

int
bkp_entry_read(struct bkp_repository *repository, const char *snapshot,
    const char *path, bkp_bytes_fn *fn, void *arg, struct bkp_error *err)
{
	struct bkp_chunk_reader *reader = NULL;
	struct bkp_entries *entries = NULL;
	int rc = -1;

	if (bkp_entries_open(repository, snapshot, path, &entries, err) == 0 &&
	    find_entry(entries, path, err) == 0 &&
	    bkp_chunk_reader_new(repository, &reader, err) == 0)
		rc = bkp_chunk_reader_entry(
		    reader, &entries->entry, fn, arg, err);
	bkp_chunk_reader_free(reader);
	bkp_entries_close(entries);
	return rc;
}
