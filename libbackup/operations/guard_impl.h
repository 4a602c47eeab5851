/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_GUARD_IMPL_H
#define LIBBACKUP_OPERATIONS_GUARD_IMPL_H

/*
 * What the parts of a guard share: the journal, which is also its state. An
 * object of JSON:
 *
 *     stage      what is being done (below)
 *     snapshot   the way back; from the stage "command" on
 *     failed     the last one of the failed state
 *     failed_before  [...], those that earlier processes have made
 *     reason     what failed first
 *     command    the name of the program; its arguments are nobody's business
 *     group, boot  its process group, and the boot of the machine that it ran
 *                under
 *     health, stop, start, health_timeout_ms, health_interval_ms,
 *     health_tries, was_healthy, delete_new, may_lack, without_copy, arguments
 *     role, no_owner, no_privileges, skip_refused
 *                how databases are put back
 *     sources    [{path, kind, is_back, refused, new_files, formers: [...]}],
 *                in the order in which they are put back; refused: how much
 *                the server did not take back; new_files: how many were created
 *                since and stay, null: nobody knows; formers: what was beside
 *                its databases before
 */

#include <jansson.h>
#include <stdbool.h>

#include "libbackup/base/run.h"
#include "libbackup/guard.h"
#include "libbackup/operations.h"

/* Stages, as the journal has them. */
#define GUARD_SNAPSHOT "snapshot" /* nothing has been run */
#define GUARD_COMMAND "command"   /* the command may have been run */
#define GUARD_HEALTH "health"     /* it went well; is the application well? */
#define GUARD_LEFT "left"         /* it failed, and was left so, as asked */
#define GUARD_BACK "back"         /* it failed; putting back */
#define GUARD_AFTER "after"       /* all is back; is the application well? */

struct guard_texts {
	char **items; /* owned */
	size_t count, cap;
};

struct guard {
	const struct bkp_guard_options *options;
	struct bkp_run *run; /* for messages */
	char *journal;       /* owned: the file */
	int lock;            /* held from opening to closing; -1: not */
	json_t *state;       /* owned; NULL: there is none */
	struct guard_texts lines, formers;
	uint64_t new_files; /* of the source that is put back */
	bool has_started;   /* the command */
	pid_t group;        /* what it left at work, in this process; 0: none */
	bool has_copy;      /* `failed` is of this process */
};

/* ---- the journal (guard_journal.c) ---- */

/* Takes the lock and reads what is there. BKP_RETRY: somebody else has it. */
int bkp_guard_journal_open(struct guard *guard, struct bkp_error *err);
void bkp_guard_journal_close(struct guard *guard);
/* On disk when it returns. */
int bkp_guard_journal_save(
    struct guard *guard, const char *stage, struct bkp_error *err);
/* The same where there is no way back: that it cannot be written is told. */
void bkp_guard_journal_note(struct guard *guard, const char *stage);
int bkp_guard_journal_remove(struct guard *guard, struct bkp_error *err);

bool bkp_guard_is_at(const struct guard *guard, const char *stage);
/* "" where there is none; borrowed until it is set. */
const char *bkp_guard_text(const struct guard *guard, const char *name);
uint64_t bkp_guard_number(const struct guard *guard, const char *name);
bool bkp_guard_flag(const struct guard *guard, const char *name);
/* Takes the value; NULL: out of memory. */
int bkp_guard_set(struct guard *guard, const char *name, json_t *value,
    struct bkp_error *err);

/* ---- before anything is run (guard_preflight.c) ---- */

/* Fills the state from the options. */
int bkp_guard_describe(struct guard *guard, struct bkp_error *err);
/* What can be seen without a snapshot. */
int bkp_guard_preflight(struct guard *guard, struct bkp_error *err);
/* How a source is put back from the snapshot; borrows from both. */
void bkp_guard_restore_options(const struct guard *guard, const json_t *source,
    struct bkp_restore_options *options);
/* Whether every place could take back what the snapshot has. */
int bkp_guard_rehearse(struct guard *guard, struct bkp_error *err);

/* ---- programs (guard_command.c) ---- */

int bkp_guard_run_command(struct guard *guard, struct bkp_error *err);
/* Ends what the command left at work, and tells so. -1: it stays. */
int bkp_guard_end_group(struct guard *guard, struct bkp_error *err);
/* BKP_RETRY where what the command started is still at work. */
int bkp_guard_check_ended(const struct guard *guard, struct bkp_error *err);
/* What the state has by this name, where it has one: 0 also where it has not.
 * `what` for messages: "the command to stop the application". */
int bkp_guard_run_shell(struct guard *guard, const char *name, const char *what,
    struct bkp_error *err);
/* So many tries as the state says; `cancel` may be NULL. */
int bkp_guard_run_health(struct guard *guard, unsigned tries,
    const struct bkp_cancel *cancel, struct bkp_error *err);

/* ---- back (guard_back.c) ---- */

/* Whether there is a snapshot to go back to. */
int bkp_guard_find_way(const struct guard *guard, struct bkp_error *err);
/* All that is not back yet; -1: something is not, and was told. */
int bkp_guard_put_back(struct guard *guard, struct bkp_error *err);

/* Under which names the databases of the failed state are; with the above, or
 * where that was done by a process before this one. */
void bkp_guard_note_formers(struct guard *guard);

/* ---- what was created since (guard_new.c) ---- */

/* Tells of what the snapshot `failed` has below a source and the way back has
 * not, and counts what stays: files, unless they were to be deleted, and
 * objects of a bucket that the way back lacks something of. */
int bkp_guard_see_new(
    struct guard *guard, const json_t *source, struct bkp_error *err);

/* ---- what snapshots lack (guard_lacks.c) ---- */

/* How many things of each source, by this name in the state; the snapshot is
 * not opened where it has no `omissions`. */
#define GUARD_LACKS "lacks"           /* the way back */
#define GUARD_COPY_LACKS "copy_lacks" /* the copy of the failed state */
int bkp_guard_count_lacks(struct guard *guard, const char *snapshot,
    size_t omissions, const char *name, struct bkp_error *err);
uint64_t bkp_guard_lacks(const json_t *source, const char *name);

/* ---- what to run (guard_lines.c) ---- */

int bkp_guard_add_text(struct guard_texts *texts, struct bkp_error *err,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void bkp_guard_texts_free(struct guard_texts *texts);
/* The line that goes on with what the journal tells of. */
int bkp_guard_add_resume(struct guard *guard, struct bkp_error *err);
/* The lines that put the sources back that are not. */
int bkp_guard_add_lines(struct guard *guard, struct bkp_error *err);

#endif
