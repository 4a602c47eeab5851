/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_PAGES_H
#define LIBBACKUP_S3_PAGES_H

/*
 * Inside libbackup/s3: listings whose pages go on behind a key and an id, of
 * versions and of uploads under way. Markers that do not move on, an answer
 * without IsTruncated and endless empty pages are BKP_CORRUPT.
 */

#include "libbackup/s3/entries.h"
#include "libbackup/s3/s3.h"

struct bkp_s3_pages;

/* What is listed. */
struct bkp_s3_pages_kind {
	const char *question;  /* "versions" */
	const char *root;      /* "ListVersionsResult/" */
	const char *id_marker; /* "version-id-marker" */
	const char *next_id;   /* "NextVersionIdMarker" */
	/* The elements of the entries, and what each must have. */
	struct {
		const char *name; /* "Version"; NULL: the end */
		enum bkp_s3_entry_kind kind;
	} elements[3];
	/* Looks at a page when its keys are decoded, and may set its markers;
	 * may be NULL. */
	int (*check)(struct bkp_s3_pages *pages, struct bkp_error *err);
};

struct bkp_s3_pages {
	struct bkp_s3_connection *connection; /* borrowed */
	const struct bkp_s3_pages_kind *kind; /* borrowed */
	char *bucket, *prefix;                /* owned */
	struct bkp_s3_entries page;
	size_t next;                  /* of the page */
	char *last_key, *last_id;     /* of the pages before */
	char *key_marker, *id_marker; /* of this page; NULL: the first */
	char *next_key, *next_id;
	char **used_ids; /* id markers that were used with key_marker */
	size_t used_count, used_cap;
	bool wants_metadata, asks_prefix;
	bool is_encoded, is_truncated, has_truncated, has_page;
	unsigned empty_pages;
};

/* prefix NULL: all. Zeroed on failure. */
int bkp_s3_pages_open(struct bkp_s3_pages *pages,
    struct bkp_s3_connection *connection, const struct bkp_s3_pages_kind *kind,
    const char *bucket, const char *prefix, struct bkp_error *err);
/* 1: *entry is valid until the next call; 0: end; -1. */
int bkp_s3_pages_next(struct bkp_s3_pages *pages,
    const struct bkp_s3_entry **entry, struct bkp_error *err);
void bkp_s3_pages_close(struct bkp_s3_pages *pages);

/* Whether a listing with metadata that was refused so may go without. */
bool bkp_s3_is_worth_asking_plainly(enum bkp_error_code code);

#endif
