/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_WALK_H
#define LIBBACKUP_SOURCE_BUCKET_WALK_H

/*
 * The entries that were chosen of a snapshot and the objects that a bucket has
 * in their place, side by side in the order of their keys. Calling thread.
 */

#include "libbackup/s3/s3.h"
#include "libbackup/source/source.h"

struct bkp_bucket_walk {
	struct bkp_supply *supply; /* borrowed */
	struct bkp_s3_listing *listing;
	struct bkp_entry_stream *entries;
	struct fmt_entry entry; /* the next; path NULL: read on */
	struct bkp_s3_object object;
	bool has_object;               /* `object` is the next */
	bool has_listing, has_entries; /* neither is at its end */
	/* What is of a kind that nobody knows here is noted as left out. */
	bool is_telling;
};

#define BKP_BUCKET_WALK_INIT                                                   \
	{                                                                      \
		.supply = NULL, .entry = FMT_ENTRY_INIT                        \
	}

/* connection NULL: there is no bucket yet, and so no objects. */
int bkp_bucket_walk_open(struct bkp_bucket_walk *walk,
    struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_supply *supply, struct bkp_error *err);
/* The connection is the walk's alone until it is closed, and its listing reads
 * ahead. */
void bkp_bucket_walk_read_ahead(struct bkp_bucket_walk *walk);
void bkp_bucket_walk_close(struct bkp_bucket_walk *walk);

/* What comes at one key: 1; 0 at the end; -1. The entry is the caller's (its
 * path is NULL where there is none); *object is NULL where there is none, and
 * valid until the next call. */
int bkp_bucket_walk_next(struct bkp_bucket_walk *walk, struct fmt_entry *entry,
    const struct bkp_s3_object **object, struct bkp_error *err);

/* True once no objects come any more. */
bool bkp_bucket_walk_is_past_objects(const struct bkp_bucket_walk *walk);

/* What all keys that a supply selects begin with, by the selection, or as the
 * bucket was backed up; NULL: nothing in common. */
const char *bkp_bucket_common_prefix(struct bkp_supply *supply);
/* The entries of current versions that are selected, and others that begin as
 * they do. */
int bkp_bucket_currents(struct bkp_supply *supply,
    struct bkp_entry_stream **out, struct bkp_error *err);

/* The key of an entry; NULL for what is not an object of this supply. */
const char *bkp_bucket_key_of(
    const struct bkp_supply *supply, const struct fmt_entry *entry);

/* Notes that an entry of an unknown kind is left out. */
int bkp_bucket_leave_unknown(struct bkp_supply *supply,
    const struct fmt_entry *entry, struct bkp_error *err);

/* True where an object has the entry's bytes, as far as listings tell. */
bool bkp_bucket_is_alike(
    const struct fmt_entry *entry, const struct bkp_s3_object *object);

/* True where they do not tell, and only the bytes themselves do: those of
 * encrypted objects have ETags that are made of nothing. */
bool bkp_bucket_may_be_alike(
    const struct fmt_entry *entry, const struct bkp_s3_object *object);

#endif
