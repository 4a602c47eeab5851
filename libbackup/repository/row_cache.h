/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_ROW_CACHE_H
#define LIBBACKUP_REPOSITORY_ROW_CACHE_H

/*
 * What this machine remembers of the rows it stored, so that the next backup
 * can write differences (formats/delta.md) though it cannot read what was
 * written: for each range of a table the chunk that is its base, and 64 bits a
 * row of that (and where it begins, where that is not said by lines); and what
 * it held last, with a seal by which that is recognised. One file
 * a database, <cache>/<repository id>/rows/<SHA-256 of its name>, readable by
 * its owner only; the hashes of single rows are keyed with a secret of the
 * repository and tell nothing without. Notes are as who puts them wrote them:
 * an incremental backup's hold the hash of a range of rows without a key, by
 * which a guess of a whole range can be confirmed.
 *
 * Anybody may delete any of it at any time. Every record is authenticated and
 * says what its base is by the id of its content, so none can be out of date
 * or of another repository: what does not fit, or whose base is not there,
 * makes a whole chunk and nothing else.
 *
 * Thread rule: get and put from any thread. Memory: 24 bytes a range or
 * note, twice; on disk 8 bytes a row of COPY text, 12 of the binary form.
 */

#include "formats/delta.h"
#include "formats/rowhash.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/row_seal.h"

struct bkp_row_cache;

/* What a range held the last time. */
struct bkp_row_last {
	unsigned char id[FMT_ID_SIZE];
	struct bkp_row_seal seal;
	uint32_t len;
	struct fmt_rowhash hash;
};

/* What is known of a range: the chunk that is its base (of no rows: none), and
 * the one that was stored last. */
struct bkp_row_base {
	struct fmt_delta_base base;
	uint32_t stored_len; /* of its frame */
	uint64_t paid; /* bytes of the differences to it that were stored */
	struct bkp_row_last last;
};

/* Opens what is remembered under a name. Where there is no place for a cache
 * *out is NULL; fails for want of memory only. */
int bkp_row_cache_open(const struct bkp_repository *repository,
    const char *name, struct bkp_row_cache **out, struct bkp_error *err);

/*
 * Caches of one database for several repositories that are alike, which share
 * the keys: `cache` goes on behind the last one that was joined with `first`.
 * Borrowed from each other. Ranges are each one's own; notes are put into all
 * and got from `first`.
 */
void bkp_row_cache_join(
    struct bkp_row_cache *first, struct bkp_row_cache *cache);

/* That of a repository, among those joined with `first`; NULL: there is
 * none. */
struct bkp_row_cache *bkp_row_cache_of(
    struct bkp_row_cache *first, const struct bkp_repository *repository);

/* Puts what was put in the place of what was remembered before: once the
 * snapshot is there. */
void bkp_row_cache_keep(struct bkp_row_cache *cache);
void bkp_row_cache_free(struct bkp_row_cache *cache); /* NULL is fine */

/* The key that lines are hashed with, and the one that chunks are sealed
 * with. */
const unsigned char *bkp_row_cache_line_key(const struct bkp_row_cache *cache);
const unsigned char *bkp_row_cache_seal_key(const struct bkp_row_cache *cache);

/* The number of a range; that of the same rows in another form is another. */
uint64_t bkp_row_cache_range(
    const struct bkp_row_cache *cache, const struct bkp_row_range *range);

/* What is remembered of a range; false: nothing, or nothing whole. Hashes and
 * starts lie in `room`. `form` is that of the range. */
bool bkp_row_cache_get(struct bkp_row_cache *cache, uint64_t range,
    enum fmt_copy_form form, struct fmt_buf *room, struct bkp_row_base *out);

/* Remembers a range. What cannot be written is not remembered. */
void bkp_row_cache_put(struct bkp_row_cache *cache, uint64_t range,
    const struct bkp_row_base *base);

/*
 * Notes of others, by a name, to be read by the next backup: they come and go
 * with the rest. Whoever reads one looks himself whether it is of the thing he
 * means, for names are found by 64 bits of hash. put appends up to 7 bytes to
 * `data`; fails for want of memory only.
 */
bool bkp_row_cache_get_note(
    struct bkp_row_cache *cache, const char *name, struct fmt_buf *out);
int bkp_row_cache_put_note(struct bkp_row_cache *cache, const char *name,
    struct fmt_buf *data, struct bkp_error *err);

#endif
