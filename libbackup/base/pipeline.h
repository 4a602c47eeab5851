/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_PIPELINE_H
#define LIBBACKUP_BASE_PIPELINE_H

/*
 * The one place that makes threads. An ordered parallel map:
 *
 *     next (calling thread) -> work (N workers) -> done (calling thread)
 *
 * `next` yields items one after another; up to `window` of them are under way;
 * `work` runs on worker threads in any order; `done` sees the items in the
 * order of `next`. Rules:
 *   - an item belongs to whoever holds it: next gives it to the pipeline, done
 *     takes it back; discard frees items that will not reach done;
 *   - no lock is held while a callback runs;
 *   - the first error wins: the others stop at their next item, everything
 *     under way is discarded, and the call returns -1 with that error;
 *   - cancel is looked at between items; long work looks at it by itself;
 *   - next, done, tick and discard run on the calling thread only (discard
 *     also after the workers have ended).
 * Memory bound: window items.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "libbackup/cancel.h"
#include "libbackup/error.h"

struct bkp_pipeline_ops {
	/* Sets *item to the next item, or to NULL at the end. 0 or -1. */
	int (*next)(void *arg, void **item, struct bkp_error *err);
	/* Works on an item; `worker` is 0..workers-1, one thread each. */
	int (*work)(
	    void *arg, unsigned worker, void *item, struct bkp_error *err);
	/* False: the item goes to done without work, and no worker is woken for
	 * it. May be NULL: there is work for every item. Calling thread. */
	bool (*needs_work)(void *arg, const void *item);
	/* Takes a finished item. May be NULL: discard is called instead. */
	int (*done)(void *arg, void *item, struct bkp_error *err);
	/* Frees an item. */
	void (*discard)(void *arg, void *item);
	/* Called about five times a second and at the end; may be NULL. */
	void (*tick)(void *arg);
};

/* Runs to the end of input or the first error. cancel may be NULL. */
int bkp_pipeline_run(unsigned workers, unsigned window,
    const struct bkp_pipeline_ops *ops, void *arg,
    const struct bkp_cancel *cancel, struct bkp_error *err);

/*
 * A helper thread that takes buffers off the workers' hands (pack upload). A
 * bounded queue: submit waits while `depth` items are queued. The first error
 * is kept and given to every later submit and to drain.
 */
struct bkp_background;

struct bkp_background_ops {
	int (*work)(void *arg, void *item, struct bkp_error *err);
	void (*discard)(void *arg, void *item);
};

int bkp_background_start(unsigned threads, unsigned depth,
    const struct bkp_background_ops *ops, void *arg,
    struct bkp_background **out, struct bkp_error *err);

/* Gives an item away (also when it fails: it is discarded). Any thread. */
int bkp_background_submit(
    struct bkp_background *background, void *item, struct bkp_error *err);

/* Waits until everything submitted is done; 0, or -1 with the first error. */
int bkp_background_drain(
    struct bkp_background *background, struct bkp_error *err);

/* Discards what is still queued, joins the threads, frees. NULL is fine. */
void bkp_background_stop(struct bkp_background *background);

#endif
