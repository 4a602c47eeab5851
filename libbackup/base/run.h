/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_RUN_H
#define LIBBACKUP_BASE_RUN_H

/*
 * What every part of a running operation shares: how many workers, whether to
 * stop, what to tell, what was left out. Owned by the operation.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libbackup/cancel.h"
#include "libbackup/error.h"
#include "libbackup/events.h"

struct bkp_run;

struct bkp_omission {
	char *path;   /* owned: the entry or thing that was left out */
	char *reason; /* owned: a sentence for people */
};

/* events and cancel are copied / borrowed until free; workers at least 1. */
int bkp_run_new(unsigned workers, const struct bkp_events *events,
    const struct bkp_cancel *cancel, struct bkp_run **out,
    struct bkp_error *err);
void bkp_run_free(struct bkp_run *run);

unsigned bkp_run_workers(const struct bkp_run *run);
const struct bkp_cancel *bkp_run_cancel(const struct bkp_run *run);
bool bkp_run_is_cancelled(const struct bkp_run *run);

/* 0, or -1 with BKP_CANCELLED where somebody asked to stop. */
int bkp_run_check(const struct bkp_run *run, struct bkp_error *err);

/* ---- the moment ---- */

/* Microseconds of a clock that only goes forward, and also while the machine
 * sleeps: what is derived from it is compared with servers that do not. */
int64_t bkp_run_clock_us(void);

/* A database was frozen between these two. Calling thread. */
void bkp_run_add_moment(struct bkp_run *run, int64_t from_us, int64_t to_us);

/* Between which two all databases were; false where there was none. */
bool bkp_run_moment(
    const struct bkp_run *run, int64_t *from_us, int64_t *to_us);

/* ---- calling thread only ---- */

/* A line for people. */
void bkp_run_message(struct bkp_run *run, enum bkp_level level,
    const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Starts a phase: a name and what is expected (0: unknown). Zeroes counters. */
void bkp_run_phase(struct bkp_run *run, uint64_t bytes_total,
    uint64_t items_total, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Tells progress at once: what comes may take long without a tick. */
void bkp_run_show(struct bkp_run *run);

/* Tells progress and hands out omissions that workers noted; the `tick` of
 * pipelines takes it as it is (arg: the run). Rate limited by itself. */
void bkp_run_tick(struct bkp_run *run);

/* ---- any thread ---- */

void bkp_run_count(struct bkp_run *run, uint64_t bytes, uint64_t items);

/* Notes that something named was left out: the run is degraded. 0 or -1 (out
 * of memory: then the run must fail, for an omission must not be lost). */
int bkp_run_omit(struct bkp_run *run, struct bkp_error *err, const char *path,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- after the work ---- */

/* Borrowed until free. Hands out what tick has not yet told. */
const struct bkp_omission *bkp_run_omissions(
    struct bkp_run *run, size_t *count);

#endif
