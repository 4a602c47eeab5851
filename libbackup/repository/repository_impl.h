/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_REPOSITORY_IMPL_H
#define LIBBACKUP_REPOSITORY_REPOSITORY_IMPL_H

/*
 * The repository as the rest of the library sees it: reading entries and
 * chunks, and writing a session that ends in a snapshot.
 *
 * Writing order: packs, then index, then the snapshot object, which is the
 * only commit point. A session that is aborted or killed leaves unreferenced
 * objects and nothing else.
 */

#include <stdbool.h>

#include "formats/entry.h"
#include "formats/chunker.h"
#include "formats/pgcopy.h"
#include "formats/rowhash.h"
#include "formats/snapshot.h"
#include "libbackup/repository.h"
#include "libbackup/store/store.h"

/* Opens and initialises over a store that the repository takes (also on
 * failure). The public calls wrap these. */
int bkp_repository_init_store(struct bkp_store *store,
    const struct bkp_init_options *options, struct bkp_error *err);
int bkp_repository_open_store(struct bkp_store *store,
    const struct bkp_keys *keys, struct bkp_repository **out,
    struct bkp_error *err);

/* For proofs: from now on nothing is taken from the cache of this machine that
 * bkp_repository_open gave it, so that damage in the store is seen. */
void bkp_repository_without_cache(struct bkp_repository *repository);

/* From now on what is written gets error correction of so many percent (0:
 * none), and what a repository begins with (config, keys, roster) gets its own
 * where it has none. */
int bkp_repository_keep_parity(
    struct bkp_repository *repository, unsigned percent, struct bkp_error *err);

/* The same for everything that has none; *added: how many objects. */
int bkp_repository_complete_parity(struct bkp_repository *repository,
    unsigned percent, size_t *added, struct bkp_error *err);

/* ---- reading ---- */

/* Reads, verifies (digest, signature, known writer) and decodes a snapshot. */
int bkp_repository_snapshot(struct bkp_repository *repository, const char *name,
    struct fmt_snapshot *out, struct bkp_error *err);

/* Its plaintext as it was signed, both lines, appended to `out`. */
int bkp_snapshot_record(struct bkp_repository *repository, const char *name,
    struct fmt_buf *out, struct bkp_error *err);

/* An iterator over a list of metadata chunks that starts at the first path
 * >= prefix and ends after the last that begins with it. The refs are
 * borrowed until close. */
struct bkp_entry_stream;
int bkp_entry_stream_open(struct bkp_repository *repository,
    const struct fmt_chunk_ref *list, size_t list_count, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err);
/* 1: *entry is the caller's (free it); 0: end; -1. */
int bkp_entry_stream_next(struct bkp_entry_stream *stream,
    struct fmt_entry *entry, struct bkp_error *err);
void bkp_entry_stream_close(struct bkp_entry_stream *stream);

/*
 * The same over a list that may be damaged: of a chunk of it that is lost
 * `lost` is told, and the list goes on behind it. `behind` is the last path
 * before, or
 * ""; `cut` is the entry that began before and went on there, which does not
 * come, or NULL.
 */
typedef int bkp_lost_list_fn(void *arg, size_t chunk, const char *behind,
    const char *cut, const struct bkp_error *why, struct bkp_error *err);
int bkp_entry_stream_open_damaged(struct bkp_repository *repository,
    const struct fmt_chunk_ref *list, size_t list_count, const char *prefix,
    bkp_lost_list_fn *lost, void *arg, struct bkp_entry_stream **out,
    struct bkp_error *err);

/* For a list that only saves work: damage ends it early, is written to
 * *damage, and what lies in the same pack is not found any more, so that it is
 * stored again. */
void bkp_entry_stream_forgive(
    struct bkp_entry_stream *stream, struct bkp_error *damage);

/*
 * Reads chunks; one per worker thread (it has its own decompression context
 * and remembers the last segments of the last packs).
 */
struct bkp_chunk_reader;
int bkp_chunk_reader_new(struct bkp_repository *repository,
    struct bkp_chunk_reader **out, struct bkp_error *err);
void bkp_chunk_reader_free(struct bkp_chunk_reader *reader);

/* Appends the chunk's plaintext to `out`; authenticated, and its id and length
 * recomputed. BKP_CORRUPT names pack and chunk: the chunk is lost, whatever is
 * the matter with it (damaged, gone, on a disk that cannot read it any more);
 * any other error says nothing about what is stored. */
int bkp_chunk_reader_get(struct bkp_chunk_reader *reader,
    const struct fmt_chunk_ref *ref, struct fmt_buf *out,
    struct bkp_error *err);

/* Streams an entry's content chunk by chunk, then compares size and, where
 * it has one, SHA-256. Errors begin with the path. */
int bkp_chunk_reader_entry(struct bkp_chunk_reader *reader,
    const struct fmt_entry *entry, bkp_bytes_fn *fn, void *arg,
    struct bkp_error *err);

/* ---- writing ---- */

struct bkp_session;      /* one backup run; shared by its threads */
struct bkp_chunk_writer; /* one per worker thread */

/* Needs the host key (it signs). Loads the index. */
int bkp_session_begin(struct bkp_repository *repository,
    struct bkp_session **out, struct bkp_error *err);

/*
 * Joins a session of another repository that is like that of `first`
 * (bkp_repository_is_like) with it, before anything is made of either: what is
 * written through `first` is read, named and compressed once and stored in
 * each of them that lacks it, and only what all of them have is taken over.
 * One that fails is lost: the others go on. Each is committed on its own, and
 * `first` is ended before the others.
 */
int bkp_session_join(struct bkp_session *first, struct bkp_session *other,
    struct bkp_error *err);

/*
 * What this one could not do. 0: others that are joined with it go on, and it
 * is lost; -1, and err is set: there are none, or it is no matter of one
 * repository (the run is cancelled, memory is short). Any thread.
 */
int bkp_session_lose(struct bkp_session *session,
    const struct bkp_error *problem, struct bkp_error *err);

/* Why nothing more is stored in this one; NULL: nothing is wrong. While others
 * that it is joined with go on this is the only sign of it. Borrowed; not while
 * writers are at work. */
const struct bkp_error *bkp_session_lost(const struct bkp_session *session);

/* 0; -1 where an index object was left out because it is damaged, and err tells
 * which: what only that one knew is stored again. */
int bkp_session_check_index(struct bkp_session *session, struct bkp_error *err);

/* Frees; what was not committed is garbage in the repository. */
void bkp_session_end(struct bkp_session *session);

int bkp_chunk_writer_new(struct bkp_session *session,
    struct bkp_chunk_writer **out, struct bkp_error *err);

/* Stores a chunk (up to FMT_CHUNKER_MAX, or one row longer than that) unless
 * it is known; fills ref. */
int bkp_chunk_writer_put(struct bkp_chunk_writer *writer, const void *data,
    size_t len, struct fmt_chunk_ref *ref, struct bkp_error *err);

/*
 * What this machine remembers of the rows that it stored, for one database
 * (row_cache.h): with it a range of which little has changed is stored as a
 * difference to what was stored for it before. Borrowed until the session
 * ends; *out is NULL where there is no place for it. Calling thread only.
 */
struct bkp_row_cache;
int bkp_session_rows(struct bkp_session *session, const char *database,
    struct bkp_row_cache **out, struct bkp_error *err);

/* Which rows: the number-th chunk of those from a page on, of a part of a
 * table (its name, borrowed), in which form. The same rows tomorrow must be
 * the same range; that they are not makes a backup larger and nothing worse. */
struct bkp_row_range {
	const char *part;
	uint64_t first_page, number;
	enum fmt_copy_form form;
};

/* Stores a chunk of whole rows of that form, and adds them to *hash. `rows` may
 * be NULL; with it a range that is as it was is known again by a seal
 * (row_seal.h), and neither its rows nor its id are made again. */
int bkp_chunk_writer_put_rows(struct bkp_chunk_writer *writer,
    struct bkp_row_cache *rows, const struct bkp_row_range *range,
    const void *data, size_t len, struct fmt_chunk_ref *ref,
    struct fmt_rowhash *hash, struct bkp_error *err);

/* Takes over a chunk of such a range that an earlier session stored and whose
 * rows are known to be the same. False: it is not in the repository (any
 * more), or is about to go, and the rows must be read. */
bool bkp_chunk_writer_reuse_rows(struct bkp_chunk_writer *writer,
    struct bkp_row_cache *rows, const struct bkp_row_range *range,
    const struct fmt_chunk_ref *ref);

/* Seals and submits what is pending. Before commit, each writer once. */
int bkp_chunk_writer_flush(
    struct bkp_chunk_writer *writer, struct bkp_error *err);
void bkp_chunk_writer_free(struct bkp_chunk_writer *writer);

/* True where every chunk of the entry is in the index (an entry of an earlier
 * snapshot can then be taken over without reading its content again). */
bool bkp_session_has_entry(
    struct bkp_session *session, const struct fmt_entry *entry);

/* The chunker of this repository, for content that is cut by content. */
const struct fmt_chunker *bkp_session_chunker(
    const struct bkp_session *session);

/*
 * Writes the entry list of one source; entries come in path order. Calling
 * thread only. finish hands out the refs (the caller's, free()).
 */
struct bkp_list_writer;
int bkp_list_writer_new(struct bkp_session *session,
    struct bkp_list_writer **out, struct bkp_error *err);
int bkp_list_writer_add(struct bkp_list_writer *writer,
    const struct fmt_entry *entry, struct bkp_error *err);
int bkp_list_writer_finish(struct bkp_list_writer *writer,
    struct fmt_chunk_ref **refs, size_t *count, struct bkp_error *err);
void bkp_list_writer_free(struct bkp_list_writer *writer);

/*
 * Waits for all packs, writes the index, then the snapshot object. The
 * session fills repository, sequence, previous, seen, checkpoint, finished_us,
 * stored_bytes and the chunk counts; the rest is the caller's. Writes the name.
 * Every chunk writer must have been flushed.
 */
int bkp_session_commit(struct bkp_session *session,
    struct fmt_snapshot *snapshot, char name[65], struct bkp_error *err);

/*
 * A backup that several processes make: each has a session, and the one that
 * began first, before the others stored anything, is committed
 * (session_share.c). `id` is borrowed; touch gives a sign of life, and fails
 * where the session does not count any more.
 */
const char *bkp_session_id(const struct bkp_session *session);
int bkp_session_touch(struct bkp_session *session, struct bkp_error *err);

/* Instead of a commit: what was written is stored and in the index when this
 * returns. Every chunk writer must have been flushed. May be called again. */
int bkp_session_settle(struct bkp_session *session, struct bkp_error *err);

/* Before chunks of others are counted on: reads the index and lists the packs
 * again. Nobody may be at work with the session. */
int bkp_session_look_again(struct bkp_session *session, struct bkp_error *err);
/* Of this length: a snapshot that says another could not be read. */
bool bkp_session_has_chunk(struct bkp_session *session,
    const unsigned char id[FMT_ID_SIZE], uint64_t len);

/* The entries of a list that another session has stored. */
int bkp_session_entries(struct bkp_session *session,
    const struct fmt_chunk_ref *list, size_t list_count,
    struct bkp_entry_stream **out, struct bkp_error *err);

/* What the session has stored so far; and adds what others have. */
void bkp_session_counts(struct bkp_session *session, uint64_t *new_chunks,
    uint64_t *known_chunks, uint64_t *stored_bytes);
void bkp_session_count(struct bkp_session *session, uint64_t new_chunks,
    uint64_t known_chunks, uint64_t stored_bytes);

/* Instead of a commit: true, and its name, where a snapshot is there that
 * holds just what `snapshot` would, and nothing of that had to be stored. */
int bkp_session_find_same(struct bkp_session *session,
    const struct fmt_snapshot *snapshot, bool *is_there, char name[65],
    struct bkp_error *err);

/* After a commit: remembers on this machine that the snapshot was made, so
 * that it is missed when it is gone. The backup is good also where this fails;
 * err tells why. */
int bkp_session_remember(struct bkp_session *session,
    const struct fmt_snapshot *snapshot, const char *name,
    struct bkp_error *err);

#endif
