/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_MOMENT_H
#define LIBBACKUP_SOURCE_BUCKET_MOMENT_H

/*
 * A bucket with versioning as it was at the moment of the databases.
 *
 * That moment is known by this machine's clock only, and versions are dated by
 * the server's. How far that is ahead is told by the Date of its answers: it
 * has whole seconds, so it is asked again and again until one second turns into
 * the next, and then is known as well as the answers are quick. Between the
 * first moment that may be meant and the last lies a window, some 20 ms wide;
 * and wider by one and a half seconds where the Date may be behind. What was
 * done before the window is in the snapshot, what was done after it is not, and
 * within it nothing is missing that a database may name: what was put is in,
 * what was deleted stays in.
 */

#include "libbackup/base/run.h"
#include "libbackup/s3/s3.h"

/* The server's clock, as this machine's sees it. Microseconds. */
struct bkp_bucket_clock {
	int64_t ahead_min, ahead_max; /* of bkp_run_clock_us */
	int64_t looked_at;            /* by that */
	bool has_whole_seconds;       /* in the dates of versions */
};

/* Asks for the time, and looks at how versions are dated; fails where these
 * cannot be listed, or not be read by their ids (BKP_AUTH). */
int bkp_bucket_clock_look(struct bkp_s3_connection *connection,
    const char *bucket, const char *prefix, const struct bkp_run *run,
    struct bkp_bucket_clock *clock, struct bkp_error *err);

/* An answer that tells this time came between the other two. */
void bkp_bucket_clock_take(struct bkp_bucket_clock *clock, int64_t asked,
    int64_t answered, const struct bkp_s3_time *time, bool is_first);

struct bkp_bucket_window {
	int64_t from, to; /* microseconds since 1970, by the server's clock */
	bool has_whole_seconds;
};

/* When the databases were frozen; without any, when the clock was looked at. */
struct bkp_bucket_window bkp_bucket_window_of(
    const struct bkp_bucket_clock *clock, const struct bkp_run *run);

/* All that is listed is within it. */
struct bkp_bucket_window bkp_bucket_window_now(void);

/* Of the versions of a key, from the newest on. */
enum bkp_bucket_verdict {
	BKP_BUCKET_LATER, /* it was not there yet: look at the one before */
	BKP_BUCKET_TAKEN, /* this is it */
	BKP_BUCKET_GONE,  /* it was deleted */
};

enum bkp_bucket_verdict bkp_bucket_judge(const struct bkp_bucket_window *window,
    const struct bkp_s3_version *version);

/* ---- the versions that were current ---- */

struct bkp_bucket_past;

int bkp_bucket_past_open(struct bkp_s3_connection *connection,
    const char *bucket, const char *prefix,
    const struct bkp_bucket_window *window, struct bkp_bucket_past **out,
    struct bkp_error *err);
void bkp_bucket_past_ask_metadata(struct bkp_bucket_past *past);

/* Tells of every version and delete marker that was there then and is not what
 * was current: in the order of the listing, at the call for the next key. 0,
 * or -1 with err set. */
typedef int bkp_bucket_older_fn(
    void *arg, const struct bkp_s3_version *version, struct bkp_error *err);
void bkp_bucket_past_tell_older(
    struct bkp_bucket_past *past, bkp_bucket_older_fn *fn, void *arg);

/* In order of keys, each once. 1: valid until the next call; 0: end; -1. */
int bkp_bucket_past_next(struct bkp_bucket_past *past,
    struct bkp_s3_version *version, struct bkp_error *err);
void bkp_bucket_past_close(struct bkp_bucket_past *past); /* NULL: fine */

#endif
