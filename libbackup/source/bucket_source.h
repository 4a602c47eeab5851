/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_SOURCE_H
#define LIBBACKUP_SOURCE_BUCKET_SOURCE_H

/*
 * A bucket that is read: by one process (bucket_source.c), or range by range by
 * several (bucket_plan.c, bucket_share.c), object by object
 * (bucket_pipeline.c). A share lists the keys of its ranges, fetches what the
 * last snapshot has not, and hands in the entries. The leader lists all of the
 * bucket when they are there, as a single process does, and takes an entry of a
 * share for an object as it takes one of the last snapshot: where it is of what
 * is listed now, or was current at the moment. So what changed meanwhile is as
 * it would be without shares, and what a share did not read, or read in vain,
 * the leader reads.
 */

#include "libbackup/source/bucket_changes.h"
#include "libbackup/source/bucket_cuts.h"
#include "libbackup/source/bucket_history.h"
#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_moment.h"

struct bkp_bucket_shared;

struct bkp_bucket_source {
	struct bkp_source base;
	const struct bkp_bucket_config *config; /* borrowed */
	struct bkp_bucket_access access;
	enum bkp_s3_versioning versioning;
	bool is_exact; /* what was current at a moment, not what is listed */
	struct bkp_bucket_clock clock;   /* where it is */
	struct bkp_bucket_window window; /* that moment, once it is known */
	time_t listed_at;
	struct bkp_bucket_listed *listed; /* what the run went by; owned */
	struct bkp_bucket_cuts cuts;      /* of it */
	uint64_t objects;                 /* of it */
	uint64_t changed;                 /* meanwhile, as a second one says */
	uint64_t changes[3];              /* by enum bkp_bucket_change */
	bool is_stable;                   /* nothing did, or could matter */
	uint64_t kept;   /* objects that are as the last snapshot has them */
	uint64_t passed; /* what it has, and is not so any more */

	/* while it runs */
	struct bkp_sink *sink;
	struct bkp_bucket_origin origin;
	struct bkp_s3_listing *listing; /* one of the two */
	const char *behind; /* of its keys those behind it; NULL: all */
	bool is_share;      /* hands over what it has fetched alone */
	uint64_t unlisted;  /* listings of ranges that failed */
	struct bkp_bucket_past *past;
	struct bkp_bucket_history *history; /* NULL: current ones alone */
	struct bkp_bucket_shared *shared;   /* NULL: nobody else reads */
	uint64_t refused;                   /* objects */
	struct bkp_bucket_former *previous; /* NULL: none */
	bool has_previous;                  /* and it is not at its end */
	struct fmt_entry
	    candidate; /* of it, not yet compared; path NULL: none */
};

/* Before any of the following. */
void bkp_bucket_source_begin(
    struct bkp_bucket_source *source, struct bkp_sink *sink);

/* Opens what the last snapshot has. */
int bkp_bucket_source_previous(
    struct bkp_bucket_source *source, struct bkp_error *err);

/* An object of the listing, in order. */
int bkp_bucket_source_item(struct bkp_bucket_source *source,
    const struct bkp_s3_object *object, const char *version_id,
    struct bkp_bucket_item **out, struct bkp_error *err);

/* True where that object is still what the last snapshot holds. */
bool bkp_bucket_source_is_unchanged(struct bkp_bucket_source *source,
    const struct bkp_bucket_item *item, const char *tags);

/* Has the listing tell what is compared with that, page beside page. */
int bkp_bucket_source_ask(
    struct bkp_bucket_source *source, struct bkp_error *err);

/* Fetches what the listing says, and hands it over. */
int bkp_bucket_source_fetch(
    struct bkp_bucket_source *source, struct bkp_error *err);

/* The same of the versions that were set aside meanwhile. */
int bkp_bucket_source_fetch_older(
    struct bkp_bucket_source *source, struct bkp_error *err);

/* One that is not current, by the listing that tells the current ones: a
 * bkp_bucket_older_fn, whose argument is the source. */
int bkp_bucket_source_set_aside(
    void *source, const struct bkp_s3_version *version, struct bkp_error *err);

/* What it owns. */
void bkp_bucket_source_free(struct bkp_bucket_source *source);

/* ---- with others ---- */

/* Cuts it into ranges (bucket_plan.c). */
int bkp_bucket_source_plan(struct bkp_source *base, struct bkp_sink *sink,
    struct bkp_share_planning *planning, struct bkp_error *err);

/* Reads ranges (bucket_share.c). */
int bkp_bucket_share(const struct bkp_source_config *config,
    const struct bkp_share_work *work, struct bkp_sink *sink,
    struct bkp_error *err);

/* What shares have handed in of a bucket; *out is NULL where there are none. */
int bkp_bucket_shared_open(struct bkp_sink *sink, const char *prefix,
    struct bkp_bucket_shared **out, struct bkp_error *err);

/* Gives an item the entry of a share, where that is of the same object. Items
 * in order. */
int bkp_bucket_shared_find(struct bkp_bucket_shared *shared,
    struct bkp_bucket_item *item, const char *tags, struct bkp_error *err);
void bkp_bucket_shared_close(struct bkp_bucket_shared *shared);

#endif
