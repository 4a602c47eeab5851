/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_ENTRY_H
#define FORMATS_ENTRY_H

/*
 * An entry: a path, attributes, a stream of bytes. Written as lines of JSON
 * (formats/entry.md), so that jq reads an entry list. A list is cut into
 * metadata chunks at line boundaries chosen by content.
 *
 * A path is bytes without NUL. In JSON every byte that is not part of valid
 * UTF-8, every control character and '%' are written as %XX.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/pack.h"
#include "formats/status.h"

struct fmt_chunk_ref {
	unsigned char id[FMT_ID_SIZE];
	uint32_t len; /* of the chunk's plaintext */
};

/*
 * `kind` says which source wrote it and what it is: "postgres.table",
 * "postgres.schema", "bucket.object", "files.file", "files.directory", ...
 * `attrs` is a JSON object whose keys are that kind's own (NULL: none). Where
 * has_content is false there is no stream (a directory, a link) and size,
 * sha256 and chunks mean nothing. A stream that several workers wrote (a
 * table) has no sha256: its chunk ids and its row hash stand for it.
 */
struct fmt_entry {
	char *path;	 /* owned, NUL ended */
	char *kind;	 /* owned */
	json_t *attrs;	 /* owned reference */
	bool has_content;
	bool has_sha256;
	uint64_t size;
	unsigned char sha256[32];
	struct fmt_chunk_ref *chunks; /* owned */
	size_t chunk_count;
	size_t chunk_cap;
};

#define FMT_ENTRY_INIT {NULL, NULL, NULL, false, false, 0, {0}, NULL, 0, 0}

/* Sets path and kind (copied) on an entry that is FMT_ENTRY_INIT. */
enum fmt_status fmt_entry_init(
    struct fmt_entry *entry, const char *path, const char *kind);
enum fmt_status fmt_entry_add_chunk(
    struct fmt_entry *entry, const struct fmt_chunk_ref *ref);
void fmt_entry_free(struct fmt_entry *entry); /* contents; leaves INIT */

/* The order of lists: bytes of the path as unsigned char. */
int fmt_entry_compare(const char *path_a, const char *path_b);

/* Escapes a path for JSON and for people, and back. Appends to `out`. */
enum fmt_status fmt_path_escape(const char *path, struct fmt_buf *out);
enum fmt_status fmt_path_unescape(
    const char *text, size_t len, struct fmt_buf *out);

/* Appends the entry as one or more JSON lines (long chunk lists go on in
 * further lines, so that lists of huge tables deduplicate). */
enum fmt_status fmt_entry_encode(
    const struct fmt_entry *entry, struct fmt_buf *out);

/* True where a list may be cut after this line (given with its newline). */
bool fmt_entry_is_boundary(const void *line, size_t len);

/*
 * Reads entries out of list bytes that come in portions. feed takes bytes;
 * next gives the entries that are complete: *have false means feed more.
 * finish says that the bytes ended: FMT_TRUNCATED where they end inside a
 * line; after it, next gives the last entry. Entries out of order or twice are
 * FMT_MALFORMED. *entry becomes the caller's.
 */
struct fmt_entry_reader;

enum fmt_status fmt_entry_reader_new(struct fmt_entry_reader **out);
void fmt_entry_reader_free(struct fmt_entry_reader *reader);

/* Before the first feed: the bytes are a list from some metadata chunk of it
 * on. Lines that go on with an entry whose start was not fed are passed over
 * (else they are FMT_MALFORMED). */
void fmt_entry_reader_start_inside(struct fmt_entry_reader *reader);

enum fmt_status fmt_entry_reader_feed(
    struct fmt_entry_reader *reader, const void *bytes, size_t len);
enum fmt_status fmt_entry_reader_finish(struct fmt_entry_reader *reader);
enum fmt_status fmt_entry_reader_next(struct fmt_entry_reader *reader,
    struct fmt_entry *entry, bool *have);

/* The path of the entry that the next line goes on with; NULL: of none. */
const char *fmt_entry_reader_open_path(const struct fmt_entry_reader *reader);

/*
 * What a metadata chunk of a list refers to, whatever entry it begins in: each
 * line's path and the chunks in that line (none for a folder). is_first: an
 * entry begins here; else the line goes on with one. Answers FMT_OK to go on;
 * anything else ends the call with it. Borrowed until the callback returns.
 */
typedef enum fmt_status fmt_entry_refs_fn(void *arg, const char *path,
    bool is_first, const struct fmt_chunk_ref *refs, size_t count);

enum fmt_status fmt_entry_refs(
    const void *lines, size_t len, fmt_entry_refs_fn *fn, void *arg);

#endif
