/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_CUTS_H
#define LIBBACKUP_SOURCE_BUCKET_CUTS_H

/*
 * Keys at which a listing is cut, to be asked for in several pieces at once
 * (bkp_s3_list_split): a page of a listing, which is a thousand keys, is
 * between two of them. The listing of a backup is cut by what the last snapshot
 * holds, and the second one by what the first gave. Where a bucket is not what
 * it was, pieces are larger or smaller, and no less is in them.
 */

#include "libbackup/repository/repository_impl.h"
#include "libbackup/s3/s3.h"

/* Whether a listing may begin behind the key: servers do not agree on what a
 * key with some characters comes behind, once it is a parameter. */
bool bkp_bucket_is_plain(const char *key);

/* ---- of keys that were listed ---- */

struct bkp_bucket_cuts {
	char **keys; /* owned */
	size_t count, cap;
	uint64_t stride; /* keys from one to the next */
	uint64_t since;  /* keys behind the last */
	size_t given;
};

#define BKP_BUCKET_CUTS_INIT                                                   \
	{                                                                      \
		NULL, 0, 0, 0, 0, 0                                            \
	}

void bkp_bucket_cuts_free(struct bkp_bucket_cuts *cuts);

/* Keys come in their order. Of very many, few are kept. */
int bkp_bucket_cuts_see(
    struct bkp_bucket_cuts *cuts, const char *key, struct bkp_error *err);

/* A bkp_s3_bound_fn, whose argument is the cuts. */
int bkp_bucket_cuts_next(void *cuts, const char **key, struct bkp_error *err);

/* ---- of the last snapshot ---- */

/* Its entries, some thousands of which are read before they are asked for;
 * fewer where they are large, and then the rest of the listing is one piece. */
struct bkp_bucket_former;

/* Takes the stream (NULL: there is none), also where it fails. Paths are of
 * keys behind `skipped` bytes. */
int bkp_bucket_former_new(struct bkp_entry_stream *stream, size_t skipped,
    struct bkp_bucket_former **out, struct bkp_error *err);
void bkp_bucket_former_free(struct bkp_bucket_former *former); /* NULL: fine */

/* 1: *entry is the caller's; 0: end; -1. */
int bkp_bucket_former_next(struct bkp_bucket_former *former,
    struct fmt_entry *entry, struct bkp_error *err);

/* A bkp_s3_bound_fn, whose argument is the former. */
int bkp_bucket_former_cut(
    void *former, const char **key, struct bkp_error *err);

#endif
