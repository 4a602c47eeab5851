/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_HISTORY_OWN_H
#define LIBBACKUP_REPOSITORY_HISTORY_OWN_H

/* What reading a history and judging it share. */

#include "libbackup/repository/history.h"
#include "libbackup/repository/remembered.h"

/* What to do is the same for whatever is lost. */
#define BKP_USE_NEWER "it is not damaged: use that libbackup, or a newer one"
#define BKP_BRING_BACK                                                         \
	"bring it back from a copy of the repository, or give it up with "     \
	"backup-check --repair --accept-loss"

/* All that there is, at one moment. */
struct bkp_history_view {
	struct bkp_repository *repository;
	const struct bkp_roster *roster;  /* borrowed: who is believed */
	struct bkp_roster newer;          /* owned: where another has come */
	struct bkp_remembered remembered; /* read first */
	struct bkp_snapshots stored;      /* also those that do not count */
	struct bkp_checkpoint checkpoint;
};

/* As bkp_checkpoint_load, by a roster that may be newer. */
int bkp_checkpoint_load_as(struct bkp_repository *repository,
    const struct bkp_roster *roster, struct bkp_checkpoint *out,
    struct bkp_error *err);

/* Why a snapshot should be there, the best reason first. */
enum bkp_expected_by { BKP_BY_SNAPSHOT, BKP_BY_CHECKPOINT, BKP_BY_MACHINE };

struct bkp_expected {
	const char *name; /* borrowed from the view, as `by` is */
	enum bkp_expected_by reason;
	const struct bkp_named_snapshot *snapshot; /* BY_SNAPSHOT: who says */
	const struct bkp_remembered_tip *tip;      /* BY_MACHINE: what */
};

struct bkp_expected_list {
	struct bkp_expected *items; /* owned; by name, the best reason first */
	size_t count, cap;
};

/* All that should be there and was not removed. */
int bkp_history_expect(const struct bkp_history_view *view,
    struct bkp_expected_list *out, struct bkp_error *err);

/* The first that names it, or NULL. */
const struct bkp_expected *bkp_expected_find(
    const struct bkp_expected_list *list, const char *name);

/* The names of all that is stored, sorted. */
int bkp_history_present(const struct bkp_snapshots *stored,
    struct bkp_names *out, struct bkp_error *err);

/* Appends the findings. */
int bkp_history_compare(const struct bkp_history_view *view,
    struct bkp_history *history, struct bkp_error *err);

/* The same for those that are damaged or forged (history_damaged.c). */
int bkp_history_compare_damaged(const struct bkp_history_view *view,
    const struct bkp_expected_list *expected, struct bkp_history *history,
    struct bkp_error *err);

/* The same for the ledger of erasures (history_erasures.c). */
int bkp_history_compare_erasures(const struct bkp_history_view *view,
    struct bkp_history *history, struct bkp_error *err);

/* Adds one with a text of its own; fields but the text are taken from
 * `finding`. */
int bkp_history_add(struct bkp_history *history,
    struct bkp_history_finding finding, struct bkp_error *err,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
