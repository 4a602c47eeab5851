/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_ENTRIES_H
#define LIBBACKUP_S3_ENTRIES_H

/* Inside libbackup/s3: what the pages of listings hold, of objects, of
 * versions and of uploads under way. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/error.h"

struct bkp_s3_entry {
	char *key, *etag, *last_modified, *storage_class; /* owned */
	char *tags; /* owned; NULL: the server did not say */
	char *id;   /* owned; of a version or an upload */
	uint64_t size;
	int64_t modified_us; /* since 1970; where last_modified is a time */
	bool has_metadata;   /* the server told more than it must */
	bool is_latest, is_marker;
};

/* A page. items[count] is the one that is being read. */
struct bkp_s3_entries {
	struct bkp_s3_entry *items; /* owned */
	size_t count, cap;
};

/* What an entry must have. */
enum bkp_s3_entry_kind {
	BKP_S3_ENTRY_OBJECT,  /* key, ETag, date */
	BKP_S3_ENTRY_VERSION, /* and an id */
	BKP_S3_ENTRY_MARKER,  /* key, id, date */
	BKP_S3_ENTRY_UPLOAD   /* key, id, date */
};

/* An element directly inside an entry ended. Unknown ones say nothing. */
int bkp_s3_entries_take(struct bkp_s3_entries *entries, const char *bucket,
    const char *name, const char *text, size_t len, struct bkp_error *err);

/* An entry ended: it is complete, or BKP_CORRUPT. */
int bkp_s3_entries_end(struct bkp_s3_entries *entries, const char *bucket,
    enum bkp_s3_entry_kind kind, struct bkp_error *err);

/* Undoes encoding-type=url in all keys, or in one text that is replaced. */
int bkp_s3_entries_decode(
    struct bkp_s3_entries *entries, const char *bucket, struct bkp_error *err);
int bkp_s3_decode_key(char **key, const char *bucket, struct bkp_error *err);

/* One alone, which is empty then. */
void bkp_s3_entry_free(struct bkp_s3_entry *entry);

/* Empties; frees. */
void bkp_s3_entries_drop(struct bkp_s3_entries *entries);
void bkp_s3_entries_free(struct bkp_s3_entries *entries);

/* Replaces an owned text. */
int bkp_s3_set_text(
    char **to, const char *text, size_t len, struct bkp_error *err);

/* BKP_CORRUPT: a listing is not what it should be. */
int bkp_s3_listing_broken(
    const char *bucket, struct bkp_error *err, const char *what);

#endif
