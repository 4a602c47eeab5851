/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_SCHEDULE_H
#define LIBBACKUP_BASE_SCHEDULE_H

/*
 * What to do next, where jobs wait for each other, some exclude each other,
 * and their lengths are known: of those that can begin the one with the longest
 * way to the end (itself and the longest row of jobs that wait for it). That
 * keeps all workers busy to the end as well as any simple rule does.
 *
 *     bkp_schedule_new, _add, _after, _lock    one thread
 *     bkp_schedule_start                       no additions after this
 *     bkp_schedule_is_short, _join             one thread
 *     bkp_schedule_take, _finish, _stop        any thread
 *
 * It starts no threads: the workers of a pipeline (pipeline.h) draw from it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/cancel.h"
#include "libbackup/error.h"

struct bkp_schedule;

int bkp_schedule_new(struct bkp_schedule **out, struct bkp_error *err);
void bkp_schedule_free(struct bkp_schedule *schedule); /* NULL is fine */

/* Adds a job of a length in any unit, the same for all; *job is its number,
 * from 0. It has `units` parts (at least 1) that several workers may do at once
 * and that are given out in order; `arg` comes back with each. */
int bkp_schedule_add(struct bkp_schedule *schedule, uint64_t length,
    uint64_t units, void *arg, size_t *job, struct bkp_error *err);

/* `job` begins when all of `earlier` is finished. */
int bkp_schedule_after(struct bkp_schedule *schedule, size_t job,
    size_t earlier, struct bkp_error *err);

/* While `job` runs it has the thing of this number, alone or with others that
 * do not want it alone. A job names a thing once. */
int bkp_schedule_lock(struct bkp_schedule *schedule, size_t job, size_t thing,
    bool is_alone, struct bkp_error *err);

/* BKP_INVALID where jobs wait for each other in a circle. */
int bkp_schedule_start(struct bkp_schedule *schedule, struct bkp_error *err);

/* Before anything is taken: whether the units of a job can be done one after
 * another and so many workers end as early, by the lengths. */
bool bkp_schedule_is_short(
    const struct bkp_schedule *schedule, size_t job, unsigned workers);

/* Before anything is taken: makes one unit of all units of a job. */
void bkp_schedule_join(struct bkp_schedule *schedule, size_t job);

struct bkp_task {
	size_t job;
	uint64_t unit;
	void *arg;
};

/* Waits for the next task. 1: *out is the caller's to do and finish; 0: there
 * is nothing left, or it was stopped; -1: cancelled (cancel may be NULL). */
int bkp_schedule_take(struct bkp_schedule *schedule,
    const struct bkp_cancel *cancel, struct bkp_task *out,
    struct bkp_error *err);

/* True where that was the last unit of the job, in time for nobody else to
 * know: bkp_schedule_release lets the others go on. */
bool bkp_schedule_finish(
    struct bkp_schedule *schedule, const struct bkp_task *task);

/* After finish answered true: those that wait for the job may begin. */
void bkp_schedule_release(
    struct bkp_schedule *schedule, const struct bkp_task *task);

/* Nothing more is given out: something failed. */
void bkp_schedule_stop(struct bkp_schedule *schedule);

#endif
