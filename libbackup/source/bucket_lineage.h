/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_LINEAGE_H
#define LIBBACKUP_SOURCE_BUCKET_LINEAGE_H

/*
 * The versions of keys on their way back: those that a snapshot has, and those
 * that a bucket has in their place, key by key, the oldest first. Versions are
 * told apart by their ETags and sizes, for in another bucket they have other
 * ids and dates.
 */

#include "libbackup/s3/s3.h"
#include "libbackup/source/source.h"

/* The versions of one key. The older ones of a key that has many are not in
 * memory. */
struct bkp_bucket_lineage {
	char *key;                       /* owned */
	struct fmt_entry *older;         /* owned; of a key that has few */
	size_t older_count, older_cap;   /* 0 of one that has many */
	struct bkp_entry_stream *stream; /* owned; of one that has many */
	struct fmt_entry current;        /* path NULL: it was deleted */
	size_t wanted, existing;         /* how many in all */
	size_t there;                    /* of the wanted, from the oldest on */
	bool is_clash;                   /* what exists is another history */
	/* Owned: the ids of those there that may be others of the same sizes;
	 * NULL where one is known by its ETag. NULL: all of them are. */
	char **doubtful;
	size_t put, left_out, refused; /* what became of them */
	/* where bkp_bucket_lineage_next stands */
	size_t given;
};

void bkp_bucket_lineage_free(struct bkp_bucket_lineage *lineage);

/* The versions one after another: 1, and *entry is the caller's; 0: end; -1.
 * Any thread, one at a time. */
int bkp_bucket_lineage_next(struct bkp_bucket_lineage *lineage,
    struct fmt_entry *entry, struct bkp_error *err);

bool bkp_bucket_is_marker(const struct fmt_entry *entry);

/* ---- reading them ---- */

struct bkp_bucket_lineages;

/* All of a supply. connection NULL: there is no bucket yet. is_telling: what is
 * of a kind that nobody knows here is noted as left out. Calling thread. */
int bkp_bucket_lineages_open(struct bkp_supply *supply,
    struct bkp_s3_connection *connection, const char *bucket, bool is_telling,
    struct bkp_bucket_lineages **out, struct bkp_error *err);
void bkp_bucket_lineages_close(struct bkp_bucket_lineages *lineages);

/* The next key, the caller's; *out NULL: the end. */
int bkp_bucket_lineages_next(struct bkp_bucket_lineages *lineages,
    struct bkp_bucket_lineage **out, struct bkp_error *err);

/* Of the key that was read last: whether the newest versions that exist, but
 * for the `skipped` oldest, are the oldest wanted (is_sure: by their ETags;
 * else what has one that tells nothing may be of the same bytes where its size
 * is the same); and whether the newest that exist are all that are wanted, by
 * their sizes alone where is_by_size. */
bool bkp_bucket_lineages_go_on(
    const struct bkp_bucket_lineages *lineages, size_t skipped, bool is_sure);
bool bkp_bucket_lineages_are_there(
    const struct bkp_bucket_lineages *lineages, bool is_by_size);

/* Gives the key that was read last the ids of what exists and whose bytes alone
 * can tell whether it is what is wanted in its place (`doubtful`). */
int bkp_bucket_lineages_doubt(struct bkp_bucket_lineages *lineages,
    struct bkp_bucket_lineage *lineage, struct bkp_error *err);

/* ---- putting them back (bucket_lineage_put.c) ---- */

enum bkp_bucket_lineage_mode {
	BKP_BUCKET_LINEAGE_NONE,    /* the snapshot has current ones alone, or
				       they were chosen */
	BKP_BUCKET_LINEAGE_ALL,     /* every version goes back */
	BKP_BUCKET_LINEAGE_REFUSED, /* the bucket keeps no versions */
};

/* Whether a source tells of older versions or delete markers (info). */
bool bkp_bucket_lineage_is_told(const json_t *info);

/* How a supply goes into a bucket, which need not exist. is_every: versions
 * were asked for, also where a part was chosen. */
int bkp_bucket_lineage_choose(struct bkp_supply *supply,
    struct bkp_s3_connection *connection, const char *bucket, bool exists,
    bool is_every, enum bkp_bucket_lineage_mode *out, struct bkp_error *err);

/* Says what cannot go back into a bucket that keeps no versions. */
int bkp_bucket_lineage_refuse(
    struct bkp_supply *supply, const char *bucket, struct bkp_error *err);

struct bkp_bucket_lineage_place {
	struct bkp_supply *supply; /* borrowed, as all of it */
	struct bkp_s3_connection *own;
	struct bkp_s3_connection *const *connections; /* one a thread */
	unsigned threads;
	const char *bucket;
	const char *prefix; /* what these credentials may see; NULL: all */
	bool exists;        /* it did before */
	bool is_overwrite;  /* versions may go on top of others */
	/* Sends a version; any thread. What is left out has been noted. */
	int (*put)(void *arg, unsigned thread, const char *key,
	    const struct fmt_entry *entry, bool *is_left_out, bool *is_refused,
	    struct bkp_error *err);
	/* Locks again what is there; any thread. is_newest: the key's current
	 * version is meant; others are not reached. What cannot be is noted. */
	int (*lock)(void *arg, unsigned thread, const char *key,
	    const struct fmt_entry *entry, bool is_newest,
	    struct bkp_error *err);
	/* A key is through; calling thread, in the order of keys. */
	int (*done)(void *arg, const struct bkp_bucket_lineage *lineage,
	    struct bkp_error *err);
	void *arg;
};

/* BKP_EXISTS where a key has versions that are not the oldest ones of the
 * snapshot's. */
int bkp_bucket_lineage_check(
    const struct bkp_bucket_lineage_place *place, struct bkp_error *err);

/* Puts what is not there, each key's versions one after another; and says where
 * the bucket does not have them as they should be. */
int bkp_bucket_lineage_restore(
    const struct bkp_bucket_lineage_place *place, struct bkp_error *err);

#endif
