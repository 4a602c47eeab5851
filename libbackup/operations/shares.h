/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_SHARES_H
#define LIBBACKUP_OPERATIONS_SHARES_H

/*
 * A backup that several processes make: the leader (lead.c) holds the moment,
 * says what is to be read, and commits; the shares (share.c) read; whoever
 * finishes (finish.c) asks for the snapshot. They meet in the repository
 * (repository/shares.h).
 */

#include "libbackup/operations.h"
#include "libbackup/repository/shares.h"
#include "libbackup/source/source.h"

/* ---- who does what (share_deal.c) ---- */

/* The share of each task, in the caller's array: the same for everybody who
 * knows plan and number. */
int bkp_share_deal(const struct fmt_share_plan *plan, uint32_t shares,
    uint32_t *owners, struct bkp_error *err);

/* ---- what came of it (share_collect.c) ---- */

struct bkp_share_collection {
	struct bkp_repository *repository; /* borrowed */
	const struct fmt_share_plan *plan; /* borrowed */
	struct fmt_share_done *done;       /* owned: one a task */
	size_t missing;                    /* tasks */
	uint32_t shares;              /* by the results; 0: there is none */
	char (*read)[BKP_SHARE_PATH]; /* owned: results; sorted */
	size_t read_count, read_cap;
	uint64_t new_chunks, known_chunks, stored_bytes;
	bool has_plan, has_finish, has_end; /* when it was looked last */
};

int bkp_share_collect_begin(struct bkp_repository *repository,
    const struct fmt_share_plan *plan, struct bkp_share_collection *out,
    struct bkp_error *err);

/* Reads the results that came since. One that cannot be believed is told, and
 * passed over. */
int bkp_share_collect(struct bkp_share_collection *collection,
    struct bkp_run *run, struct bkp_error *err);
void bkp_share_collect_end(struct bkp_share_collection *collection);

/* The snapshot that a session made, or "". */
int bkp_share_find_snapshot(struct bkp_repository *repository,
    const char *session, char name[65], struct bkp_error *err);

/* "shares 2 and 5 of 8", "all shares": of tasks that are missing; the
 * caller's. */
char *bkp_share_missing(
    const struct bkp_share_collection *collection, struct bkp_error *err);

/* ---- waiting ---- */

/* Sleeps a little, longer from time to time; -1 where the run is cancelled. */
int bkp_share_pause(
    struct bkp_run *run, unsigned *count, struct bkp_error *err);

/* What `wait` of the options says. */
int bkp_share_wait_ms(const struct bkp_share_options *options, uint64_t *ms,
    struct bkp_error *err);

/* The plan of a run; where it is not there yet, or its leader not any more, it
 * is waited for. `is_heard`: as bkp_shares_find_plan. */
int bkp_share_wait_plan(struct bkp_repository *repository, const char *name,
    bool is_heard, uint64_t wait_ms, struct bkp_run *run,
    struct fmt_share_plan *out, struct bkp_error *err);

/* ---- the leader ---- */

struct bkp_lead;

/* time_limit: "6h"; NULL: none. */
int bkp_lead_begin(const char *run_name, const char *time_limit,
    struct bkp_repository *repository, struct bkp_session *session,
    struct bkp_run *run, struct bkp_lead **out, struct bkp_error *err);
void bkp_lead_free(struct bkp_lead *lead); /* NULL is fine */

/* Plans a source that has been prepared; *is_led: others read it, too. */
int bkp_lead_add(struct bkp_lead *lead, struct bkp_source *source,
    struct bkp_sink *sink, bool *is_led, struct bkp_error *err);

/* Shows the plan. */
int bkp_lead_publish(struct bkp_lead *lead, struct bkp_error *err);

/* Until all has been read, and somebody finishes (or at once, where it
 * `finishes` by itself), or the time limit is over. Then the sinks that were
 * added know what came of it. */
int bkp_lead_wait(struct bkp_lead *lead, bool finishes, struct bkp_error *err);

/* Tells the others, and takes away what they met by. `name`: the snapshot that
 * was made; NULL: there is none, and `why` says why. */
void bkp_lead_end(
    struct bkp_lead *lead, const char *name, const struct bkp_error *why);

#endif
