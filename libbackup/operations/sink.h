/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_SINK_H
#define LIBBACKUP_OPERATIONS_SINK_H

/*
 * Sinks and supplies as the operations make them; sources and targets know
 * only what source/source.h declares.
 */

#include "libbackup/source/source.h"

/* ---- the workers' content writers, shared by the sinks of one run ---- */

struct bkp_contents;

/* With a session they store chunks; with NULL they digest and drop. Memory
 * bound: FMT_CHUNKER_MAX and a half a worker, and the session's packs. */
int bkp_contents_new(struct bkp_session *session, unsigned workers,
    struct bkp_contents **out, struct bkp_error *err);

/* Stores what is pending in packs; before commit. */
int bkp_contents_flush(struct bkp_contents *contents, struct bkp_error *err);
void bkp_contents_free(struct bkp_contents *contents);

/* ---- a sink into a repository ---- */

/* What came through a sink. */
struct bkp_tally {
	uint64_t entries, contents, bytes, rows;
};

/* The entry list that a source wrote before; borrowed by the sink. */
struct bkp_previous {
	struct bkp_repository *repository;
	const struct fmt_chunk_ref *list;
	size_t list_count;
};

/* What the newest snapshot of a list that has a source says of it: `snapshot`,
 * which is the caller's, holds it, and *name, borrowed from the list and set
 * where it cannot be read, too, is what it is called. Nothing is set where there
 * is none. (previous.c) */
int bkp_previous_find(struct bkp_repository *repository,
    const struct bkp_snapshot_list *list, const char *prefix,
    struct fmt_snapshot *snapshot, const char **name, struct bkp_previous *out,
    struct bkp_error *err);

/* previous may be NULL. All is borrowed until free. */
int bkp_sink_new(struct bkp_run *run, struct bkp_contents *contents,
    struct bkp_session *session, const char *prefix,
    const struct bkp_previous *previous, struct bkp_sink **out,
    struct bkp_error *err);

/* Shows each entry to `fn` as well, on the calling thread. */
typedef int bkp_watch_fn(
    void *arg, const struct fmt_entry *entry, struct bkp_error *err);
void bkp_sink_watch(struct bkp_sink *sink, bkp_watch_fn *fn, void *arg);

/* What others have read for this sink's source; borrowed. */
void bkp_sink_share(struct bkp_sink *sink, const struct bkp_shared *shared);

/* Ends the list: the refs are the caller's. */
int bkp_sink_finish(struct bkp_sink *sink, struct fmt_chunk_ref **refs,
    size_t *count, struct bkp_error *err);

/* What is wrong with the earlier entry list, which was read in vain then; NULL
 * where nothing is. */
const struct bkp_error *bkp_sink_damage(const struct bkp_sink *sink);

/* ---- a sink that only digests ---- */

/* Sees each entry, in path order, on the calling thread. `text` is the content
 * where the comparison of its kind says is_text, else NULL; both are borrowed
 * until it returns. */
typedef int bkp_seen_fn(void *arg, const struct fmt_entry *entry,
    const struct fmt_buf *text, struct bkp_error *err);

/* `recorded`: what is compared with; borrowed until free. */
int bkp_sink_new_digest(struct bkp_run *run, struct bkp_contents *contents,
    const char *prefix, const struct bkp_comparison *comparisons,
    const struct bkp_previous *recorded, bkp_seen_fn *seen, void *arg,
    struct bkp_sink **out, struct bkp_error *err);

const struct bkp_tally *bkp_sink_tally(const struct bkp_sink *sink);
void bkp_sink_free(struct bkp_sink *sink); /* NULL is fine */

/* ---- supply ---- */

/* All is borrowed until free; makes a chunk reader a worker where the keys can
 * read contents. */
int bkp_supply_new(struct bkp_run *run, struct bkp_repository *repository,
    const struct fmt_snapshot_source *source, const char *selection,
    struct bkp_supply **out, struct bkp_error *err);
void bkp_supply_free(struct bkp_supply *supply); /* NULL is fine */

/* What targets counted as put back. */
uint64_t bkp_supply_count(const struct bkp_supply *supply);

/* When bkp_supply_ready was last called, by bkp_clock_ms; 0: it was not. */
uint64_t bkp_supply_ready_ms(const struct bkp_supply *supply);

#endif
